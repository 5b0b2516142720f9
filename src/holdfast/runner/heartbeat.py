"""The end of a call that reports no progress.

A tool that declares a heartbeat promises to report that it goes on; when it has been silent for so long, its call is ended as
if its time were over. Reports may come from any thread, and often: they wake the loop once for all that came meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable


class Heartbeat:
    """Watches one call, from `begin` to `close`. ended: the call was ended because it was silent."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._heard_at = self._loop.time()
        self._told = False
        self._timer: asyncio.TimerHandle | None = None
        self._end: Callable[[], None] = _nothing

    def begin(self, end: Callable[[], None]) -> None:
        """Watch from now on. end: what ends the call."""
        self._end = end
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_at(self._heard_at + self.seconds, self._look)

    def beat(self) -> None:
        """It goes on; from any thread."""
        if threading.get_ident() == self._thread:
            self._hear()
        elif not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # The loop is closed; nobody watches any more.
                self._loop.call_soon_threadsafe(self._hear)

    def close(self) -> None:
        """The call is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hear(self) -> None:
        self._told = False
        self._heard_at = self._loop.time()

    def _look(self) -> None:
        silent_until = self._heard_at + self.seconds
        if self._loop.time() < silent_until:
            self._timer = self._loop.call_at(silent_until, self._look)
        else:
            self.ended, self._timer = True, None
            self._end()


def _nothing() -> None:
    """What ends a call that is not watched yet."""
