"""Blocking calls in threads of their own, with an end to each.

Not the threads of the event loop: they are few, and a slow channel would hold up another. A thread here is a daemon, so that a
server that does not answer keeps no process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from holdfast.notify.base import NotifyError

T = TypeVar("T")


class Wire:
    """How a call that takes too long is ended: what it waits for is closed under it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._close: Callable[[], object] | None = None
        self._is_cut = False

    def hold(self, close: Callable[[], object]) -> None:
        """From now on this ends the call; at once where its time is over."""
        with self._lock:
            self._close = close
            is_cut = self._is_cut
        if is_cut:
            self.cut()

    def cut(self) -> None:
        """End the call."""
        with self._lock:
            self._is_cut = True
            close = self._close
        if close is not None:
            with suppress(Exception):  # It is closed already, or about to be.
                close()


async def in_thread(call: Callable[[Wire], T], seconds: float) -> T:
    """What the call returns or raises; NotifyError where that takes longer than so many seconds."""
    loop = asyncio.get_running_loop()
    landed: asyncio.Future[T] = loop.create_future()
    wire = Wire()

    def land(result: T) -> None:
        if not landed.done():
            landed.set_result(result)

    def fail(error: BaseException) -> None:
        if not landed.done():
            # What is no Exception would end the event loop, and a thread of a library's must not.
            landed.set_exception(error if isinstance(error, Exception) else NotifyError(f"{type(error).__name__}: {error}"))

    def work() -> None:
        with suppress(RuntimeError):  # The loop is closed; nobody waits.
            try:
                result = call(wire)
            except BaseException as error:  # noqa: BLE001 — handed to whoever awaits.
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(land, result)

    threading.Thread(target=work, name="holdfast-notify", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await landed
    except TimeoutError as error:
        wire.cut()
        raise NotifyError(f"it took longer than {seconds:g} seconds") from error
    except asyncio.CancelledError:
        wire.cut()
        raise
