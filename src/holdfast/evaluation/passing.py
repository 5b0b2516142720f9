"""How time passes in a case: by itself, by jumps, or not at all for whoever only waits.

| | what a run waits for (people, deadlines, retries) | what takes time (a model, a tool of one's own) | for |
| --- | --- | --- | --- |
| `virtual` | is jumped to | is jumped to, on a loop without threads and sockets | scripted models and worlds |
| `skipping` | is jumped to | takes its time | real models and tools |
| `real` | takes its time | takes its time | worlds that go on by themselves |

A jumping loop has no threads, so its store is read and written in place; the file is the same as any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import apsw

from holdfast.errors import JournalUnavailable
from holdfast.journal.base import Journal
from holdfast.journal.sqlite import SqliteJournal
from holdfast.journal.sqlite.file import File
from holdfast.runner.clock import Clock, SystemClock
from holdfast.runner.threads import Threads
from holdfast.testing.clock import InlineThreads, JumpingLoop, SimClock

T = TypeVar("T")

# Callbacks of one case on a jumping loop; far more than any run has, and soon over for one that goes round in circles.
TURNS_MAX = 5_000_000


class Passing(Protocol):
    """A way for time to pass. poll_seconds: how often a worker looks whether somebody wrote."""

    clock: Clock
    poll_seconds: float

    def journal(self, path: Path) -> Journal: ...
    def threads(self) -> Threads: ...
    async def until(self, at: float, news: asyncio.Event) -> None:
        """Wait until then, or until there is news."""


class Virtual:
    """See the module's text; on the loop that runs now."""

    poll_seconds = 0.5

    def __init__(self) -> None:
        self.clock: Clock = SimClock(asyncio.get_running_loop())
        self._files: dict[Path, InlineFile] = {}

    def journal(self, path: Path) -> Journal:
        return InlineJournal(self._files.setdefault(path, InlineFile(str(path))))

    def threads(self) -> Threads:
        return InlineThreads()

    async def until(self, at: float, news: asyncio.Event) -> None:
        await _within(at - self.clock.now(), news)


class Real:
    """See the module's text."""

    poll_seconds = 0.025

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()

    def journal(self, path: Path) -> Journal:
        return SqliteJournal(path)

    def threads(self) -> Threads:
        return Threads()

    async def until(self, at: float, news: asyncio.Event) -> None:
        await _within(at - self.clock.now(), news)


class Skipping(Real):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = self._skipped = SkippingClock()

    async def until(self, at: float, news: asyncio.Event) -> None:
        await asyncio.sleep(0)
        if not news.is_set():
            self._skipped.skip_to(at)


class SkippingClock:
    """This machine's clock, which can be told that it is later."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return round(time.time() + self._ahead, 3)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def skip_to(self, at: float) -> None:
        """It is then; an earlier time is no news."""
        self._ahead += max(at - self.now(), 0.0)


async def _within(seconds: float, news: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0.0)):
            await news.wait()


def jumping() -> JumpingLoop:
    """A loop on which a case is played in virtual time."""
    return JumpingLoop(turns_max=TURNS_MAX)


# --- a store without threads --------------------------------------------------------------------------------------


class InlineJournal(SqliteJournal):
    """A way to a store in a file, for a loop that has no threads: whoever asks does the work."""

    def __init__(self, file: InlineFile):
        super().__init__(file.path)
        self.file = file
        self._read = file.read
        self._write = self._counted
        self._mine = 0

    async def _counted(self, work: Callable[[apsw.Connection], T]) -> T:
        before = self.file.commits
        try:
            return await self.file.write(work)
        finally:
            self._mine += self.file.commits - before

    async def stamp(self) -> object:
        return self.file.commits - self._mine  # All ways share a connection, and SQLite tells of the changes of other ones alone.


class InlineFile(File):
    """A store's file with one connection. Several may open it, and the last one closes it. Nothing of a case is worth waiting
    for the disk: it can be played again."""

    _connection: apsw.Connection | None = None
    _users = 0

    async def open(self) -> None:
        self._users += 1
        if self._connection is None:
            self._connection = self._open_writer()
            self._connection.execute("pragma synchronous = off")

    async def close(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._connection = None
            await super().close()

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        (result,) = self._commit(self.reader(), [work])
        if isinstance(result, Exception):
            raise result
        found: T = result
        return found

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        return self._reading(work)

    def reader(self) -> apsw.Connection:
        if self._connection is None:
            raise JournalUnavailable("the journal is not open")
        return self._connection
