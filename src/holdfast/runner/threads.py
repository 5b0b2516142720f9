"""Threads for synchronous tools, with a time-out that is one.

A thread cannot be killed. When a call's time is over, its `Call.stopped` is set, so that a tool that looks at it can end by
itself and say what it did. Half a grace later `Cancelled` is raised in the thread at its next Python instruction; one that
sits in a system call gets it when that returns. A call that ends within the grace is heard after all, for its result is the
truth. One that does not is left behind: it is counted, and past a limit no synchronous tool is called any more in this
process. The threads are daemons, so that a hanging tool does not keep a process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import queue
import threading
from collections.abc import Callable
from typing import Any

from holdfast.errors import Unavailable
from holdfast.runner.heartbeat import Heartbeat
from holdfast.tools.call import Cancelled

GRACE_SECONDS = 0.5
LEFT_BEHIND_MAX = 64
_NOTHING = object()


class TimedOut(Exception):
    """The call did not end in its time, nor in the grace after it."""


class _Job:
    """A call on its way through a thread. ident: of the thread while the function runs in it, else 0."""

    def __init__(self, function: Callable[[], Any], stopped: threading.Event, loop: asyncio.AbstractEventLoop):
        self.function = function
        self.stopped = stopped
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.context = contextvars.copy_context()
        self.lock = threading.Lock()
        self.ident = 0
        self.interrupted = False
        self.landed = False
        self.left = False


class Threads:
    """Grows with the calls under way; idle threads are used again."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()
        self.left_behind = 0

    async def call(
        self, function: Callable[[], Any], timeout_seconds: float, stopped: threading.Event, heartbeat: Heartbeat | None = None
    ) -> Any:
        """The function's result, or whatever it raised. TimedOut when its time is over, or when its heartbeat has ended it."""
        if self.left_behind >= LEFT_BEHIND_MAX:
            raise Unavailable(f"{self.left_behind} calls of synchronous tools hang in this worker; restart it")
        job = _Job(function, stopped, asyncio.get_running_loop())
        timer = job.loop.call_later(timeout_seconds, self._stop, job)
        if heartbeat is not None:
            heartbeat.begin(lambda: self._stop(job))
        try:
            self._put(job)
            return await job.future
        except asyncio.CancelledError:
            self._stop(job)  # Nobody waits for it any more: it is ended like one whose time is over.
            raise
        finally:
            timer.cancel()
            if heartbeat is not None:
                heartbeat.close()
            job.future.cancel()

    def _put(self, job: _Job) -> None:
        with self._lock:
            spawn = self._idle == 0
            if not spawn:
                self._idle -= 1
        self._jobs.put(job)
        if spawn:
            threading.Thread(target=self._work, name="holdfast-tool", daemon=True).start()

    def _stop(self, job: _Job) -> None:
        job.stopped.set()
        job.loop.call_later(GRACE_SECONDS / 2, self._interrupt, job)
        job.loop.call_later(GRACE_SECONDS, self._leave, job)

    def _interrupt(self, job: _Job) -> None:
        with job.lock:
            if job.ident and not job.interrupted:
                job.interrupted = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(job.ident), ctypes.py_object(Cancelled))

    def _leave(self, job: _Job) -> None:
        if not (job.landed or job.left):
            job.left = True
            self.left_behind += 1
            if not job.future.done():
                job.future.set_exception(TimedOut())

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            result, error = _run(job)
            with self._lock:
                self._idle += 1
            try:
                job.loop.call_soon_threadsafe(self._land, job, result, error)
            except RuntimeError:
                return  # The loop is closed; nobody waits.
            del job, result, error

    def _land(self, job: _Job, result: Any, error: BaseException | None) -> None:
        job.landed = True
        if job.left:
            self.left_behind -= 1
        if job.future.done():
            return
        if error is not None:
            # What would end the process or the loop is an error of the tool, and a future takes no StopIteration.
            fits = isinstance(error, Exception) and not isinstance(error, StopIteration)
            job.future.set_exception(error if fits else RuntimeError(f"{type(error).__name__}: {error}"))
        else:
            job.future.set_result(result)

    def close(self) -> None:
        """Let idle threads end."""
        with self._lock:
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)


def _run(job: _Job) -> tuple[Any, BaseException | None]:
    """Run a job's function in this thread: its result, or what it raised. When it returns, no interrupt can come any more: one
    that came late would hit the next job."""
    result: Any = _NOTHING
    error: BaseException = TimedOut()
    if job.future.done():
        return None, error  # Nobody waits for it any more, so it must not begin.
    try:
        job.ident = threading.get_ident()
        try:
            result = job.context.run(job.function)
        except Cancelled:
            pass
        except BaseException as raised:  # noqa: BLE001 — handed to the caller, whatever it is.
            error = raised
        with job.lock:
            job.ident = 0
        if job.interrupted:
            # One that is on its way arrives in here. (To take it back, as the C API can, leaves all of Python slower.)
            for _ in range(100):
                pass
    except Cancelled:
        pass  # It came right behind the function's end; what that gave is the truth.
    return (None, error) if result is _NOTHING else (result, None)
