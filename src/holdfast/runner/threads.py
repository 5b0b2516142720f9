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
from holdfast.tools.function import Cancelled

GRACE_SECONDS = 0.5
LEFT_BEHIND_MAX = 64

_Job = tuple[Callable[[], Any], asyncio.Future[Any], asyncio.AbstractEventLoop, contextvars.Context, list[int]]


class TimedOut(Exception):
    """The call did not end in its time, nor in the grace after it."""


class Threads:
    """Grows with the calls under way; idle threads are used again."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()
        self.left_behind = 0

    async def call(self, function: Callable[[], Any], timeout_seconds: float, stopped: threading.Event) -> Any:
        """The function's result, or whatever it raised. TimedOut when its time is over."""
        if self.left_behind >= LEFT_BEHIND_MAX:
            raise Unavailable(f"{self.left_behind} calls of synchronous tools hang in this worker; restart it")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        ident: list[int] = []
        self._put((function, future, loop, contextvars.copy_context(), ident))
        timer = loop.call_later(timeout_seconds, self._stop, stopped, ident, future)
        try:
            return await future
        finally:
            timer.cancel()

    def _put(self, job: _Job) -> None:
        with self._lock:
            spawn = self._idle == 0
            if not spawn:
                self._idle -= 1
        self._jobs.put(job)
        if spawn:
            threading.Thread(target=self._work, name="holdfast-tool", daemon=True).start()

    def _stop(self, stopped: threading.Event, ident: list[int], future: asyncio.Future[Any]) -> None:
        stopped.set()
        future.get_loop().call_later(GRACE_SECONDS / 2, self._interrupt, ident, future)
        future.get_loop().call_later(GRACE_SECONDS, self._leave, future)

    def _interrupt(self, ident: list[int], future: asyncio.Future[Any]) -> None:
        if ident and not future.done():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident[0]), ctypes.py_object(Cancelled))

    def _leave(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            self.left_behind += 1
            future.set_exception(TimedOut())

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, future, loop, context, ident = job
            result: Any = None
            error: BaseException | None = None
            ident.append(threading.get_ident())
            try:
                result = context.run(function)
            except Cancelled:
                error = TimedOut()
            except BaseException as raised:  # noqa: BLE001 — handed to the caller, whatever it is.
                error = raised
            ident.clear()
            with self._lock:
                self._idle += 1
            try:
                loop.call_soon_threadsafe(self._land, future, result, error)
            except RuntimeError:
                return  # The loop is closed; nobody waits.
            del job, function, future, result, error

    def _land(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        if future.done():
            if not future.cancelled():
                self.left_behind -= 1
        elif error is not None:
            future.set_exception(error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}"))
        else:
            future.set_result(result)

    def close(self) -> None:
        """Let idle threads end."""
        with self._lock:
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)
