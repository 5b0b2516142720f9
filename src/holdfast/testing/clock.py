"""A clock that jumps: hours of waiting pass in a moment, and in the same order each time.

    def test_reminder():
        loop = JumpingLoop()
        clock = SimClock(loop)
        loop.run_until_complete(main(Holdfast(MemoryJournal(), clock=clock)))

`JumpingLoop` is an asyncio loop without sockets, selectors or real time. It runs what is ready first in, first out; when
nothing is, its time jumps to the next timer. The same program gives the same order of everything, in every process.

`Process` groups what runs in a loop as a real process would: it can be paused (SIGSTOP), go on (SIGCONT), and be killed
(SIGKILL): from then on nothing of it runs, no `finally`, no `except`, no callback.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import threading
from asyncio import Future, Handle, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

from holdfast.runner.heartbeat import Heartbeat
from holdfast.runner.threads import Threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# A Tuesday in November 2023; any time will do, but times on paper are easier to read when they look like times.
EPOCH = 1_700_000_000.0

_PROCESS: ContextVar[Process | None] = ContextVar("holdfast_process", default=None)


class Stuck(AssertionError):
    """Nothing is left that could ever happen, or a bound of the loop is reached, and what is waited for has not come."""


class JumpingLoop(asyncio.BaseEventLoop):
    """See the module's text. time_max: past this time, and turns_max: after so many callbacks, `Stuck` is raised."""

    def __init__(self, *, time_max: float = float("inf"), turns_max: float = float("inf")) -> None:
        super().__init__()
        self.time_max = time_max
        self.turns_max = turns_max
        self.turns = 0
        self.errors: list[dict[str, Any]] = []
        self._now = 0.0
        self._queue: deque[tuple[Handle, Process | None]] = deque()
        self._timers: list[tuple[float, int, TimerHandle, Process | None]] = []
        self._timer_number = 0
        self._tasks: list[Task[Any]] = []
        self._running = False
        self._stopped = False
        self._finished = False

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    # --- scheduling -----------------------------------------------------------------------------------------------

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> Handle:
        context = copy_context() if context is None else context
        handle = Handle(callback, args, self, context)
        self._queue.append((handle, context.get(_PROCESS)))
        return handle

    def call_soon_threadsafe(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        return self.call_at(self._now + max(delay, 0.0), callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> TimerHandle:
        context = copy_context() if context is None else context
        handle = TimerHandle(when, callback, args, self, context)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, handle, context.get(_PROCESS)))
        return handle

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """Asked for by `TimerHandle.cancel`; a cancelled timer is dropped when its time comes."""

    def create_future(self) -> Future[Any]:
        return Future(loop=self)

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], *, name: object = None, context: Context | None = None
    ) -> Task[T]:
        task: Task[T] = Task(coro, loop=self, name=None if name is None else str(name), context=context)
        self._tasks.append(task)
        process = (context or copy_context()).get(_PROCESS)
        if process is not None:
            process.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Future[T]:  # type: ignore[override]
        """Runs the function at once: there are no threads here."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 — handed to whoever awaits, like an executor does.
            future.set_exception(error)
        return future

    # --- running --------------------------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Run until this is done and return its result; `Stuck` when that can never be."""
        main: Future[Any] = asyncio.ensure_future(future, loop=self)
        self._run(main.done)
        return main.result()

    def run_forever(self) -> None:
        self._run(lambda: False)

    def _run(self, done: Callable[[], bool]) -> None:
        assert not self._running, "the loop runs already"
        self._running, self._stopped = True, False
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while not done() and not self._stopped:
                self._turn()
        finally:
            self._running = False
            asyncio._set_running_loop(before)

    def _turn(self) -> None:
        if not self._queue:
            self._jump()
        self.turns += 1
        if self.turns > self.turns_max:
            raise Stuck(f"{self.turns} callbacks have run, and there is no end of it")
        handle, process = self._queue.popleft()
        if handle.cancelled():
            return
        if process is None or process.state == "running":
            handle._run()
        elif process.state == "paused":
            process.held.append((handle, process))

    def _jump(self) -> None:
        """Go to the next timer, and make everything ready that is due then."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Stuck("nothing is left that could happen")
        if timers[0][0] > self.time_max:
            raise Stuck(f"it is {self._now:.3f}, and what comes next comes after {self.time_max:.3f}")
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            _, _, handle, process = heapq.heappop(timers)
            self._queue.append((handle, process))

    def stop(self) -> None:
        self._stopped = True

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._finished

    def close(self) -> None:
        """Forget all that was to come. What still waits is unwound here and now: what belongs to a killed process would
        otherwise be unwound by the garbage collector, at any time."""
        self._finished = True
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._tasks:
                task = self._tasks.pop()
                if not task.done():
                    _unwind(task.get_coro())
        finally:
            asyncio._set_running_loop(before)
        self._queue.clear()
        self._timers.clear()

    async def shutdown_asyncgens(self) -> None:
        """There is nothing to shut down."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    # --- what asyncio asks a loop for -----------------------------------------------------------------------------

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Debug mode reads real clocks; it is never on here."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Errors that nobody caught are kept in `errors`; a test should look that there are none."""
        if not self._finished:
            self.errors.append(context)


class _Unwound(BaseException):
    """Raised in what is unwound."""


def _unwind(coroutine: Any) -> None:
    """Raise in a coroutine until it has ended, however often it waits on its way out."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
        return
    for _ in range(100):
        try:
            coroutine.throw(_Unwound())
        except BaseException:  # noqa: BLE001 — it is on its way out, whatever it says.
            return


class Process:
    """A part of a program that is stopped, continued and killed as a whole. state: running, paused or dead."""

    def __init__(self, loop: JumpingLoop, name: str):
        self.name = name
        self.state = "running"
        self.tasks: list[Task[Any]] = []
        self.held: deque[tuple[Handle, Process | None]] = deque()
        self._loop = loop
        self._context = copy_context()
        self._context.run(_PROCESS.set, self)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Run something inside; whatever it starts belongs to the process too."""
        return self._context.run(self._loop.create_task, coroutine)

    def pause(self) -> None:
        """SIGSTOP: nothing of it runs until `resume`; its timers go off then."""
        if self.state == "running":
            self.state = "paused"

    def resume(self) -> None:
        """SIGCONT: go on with all that gathered meanwhile, in its order."""
        if self.state == "paused":
            self.state = "running"
            self._loop._queue.extend(self.held)
            self.held.clear()

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more."""
        self.state = "dead"
        self.held.clear()

    @property
    def dead(self) -> bool:
        """Whether it was killed."""
        return self.state == "dead"


def current_process() -> Process | None:
    """The process in which the caller runs, if any."""
    return _PROCESS.get()


def outside(function: Callable[..., T], *args: Any) -> T:
    """Call a function as nobody's: what it schedules goes on when the calling process dies."""
    context = copy_context()
    context.run(_PROCESS.set, None)
    return context.run(function, *args)


class SimClock:
    """See `Clock`. The wall clock can be wrong and can be set; the monotonic one goes on evenly."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: float = EPOCH):
        self._loop = loop
        self._start = start

    def now(self) -> float:
        """Seconds since the epoch, in whole milliseconds like the real one."""
        return round(self._start + self._loop.time(), 3)

    def monotonic(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._start += seconds


class InlineThreads(Threads):
    """In place of threads where there must be none: synchronous tools run at once, on the loop, and are never timed out."""

    async def call(
        self, function: Callable[[], Any], timeout_seconds: float, stopped: threading.Event, heartbeat: Heartbeat | None = None
    ) -> Any:
        return function()


def run_jumping(main: Callable[[SimClock], Coroutine[Any, Any, T]]) -> T:
    """Run an async function on a jumping loop of its own; it is given the clock."""
    loop = JumpingLoop()
    try:
        result: T = loop.run_until_complete(main(SimClock(loop)))
        return result
    finally:
        loop.close()
