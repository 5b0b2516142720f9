"""What a signal means to a command that moves runs: finish the effect at hand, give the runs back, leave."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from holdfast.cli.options import INTERRUPTED
from holdfast.cli.text import say

_NAMES = ("SIGTERM", "SIGINT")


class Stopping:
    """Whether a signal came, and which. `event` is set with it."""

    def __init__(self) -> None:
        self.by = ""
        self.event = asyncio.Event()


@asynccontextmanager
async def stopping(stop: Callable[[], Awaitable[None]]) -> AsyncIterator[Stopping]:
    """Call `stop` on SIGTERM or SIGINT; on a second SIGINT leave at once, as a crash would."""
    loop, state = asyncio.get_running_loop(), Stopping()
    tasks: list[asyncio.Future[None]] = []

    def on(name: str) -> None:
        if not state.by:
            state.by = name
            state.event.set()
            say("stopping when the effect at hand has ended; interrupt once more to leave at once")
            tasks.append(asyncio.ensure_future(stop()))
        elif name == "SIGINT":
            say("left at once; what was in flight is in doubt until its run goes on")
            os._exit(INTERRUPTED)

    for name in _NAMES:
        loop.add_signal_handler(getattr(signal, name), on, name)
    try:
        yield state
        await asyncio.gather(*tasks)
    finally:
        for name in _NAMES:
            loop.remove_signal_handler(getattr(signal, name))
