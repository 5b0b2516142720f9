"""What sends the notices that the store keeps: at least once, with the same id each time, and never in the way of a run.

Each channel has a loop of its own. It claims what it is to send (nobody else is given that before the lease is over), sends, and
settles. A process that is killed between sending and settling leaves a lease that runs out, and the notice is sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from holdfast.errors import HoldfastError, UsageError
from holdfast.journal.people import Notice, PeopleStore, Person, Sending
from holdfast.notify.base import Channel, NotifyError, addressees

POLL_SECONDS = 2.0
# A send is cancelled after so long; its lease must outlast that, or another worker would send it meanwhile.
SEND_SECONDS, LEASE_SECONDS = 60.0, 90.0
# At once, on one channel.
PARALLEL_SENDS = 8
# 5 s, 10 s, 20 s, … up to an hour between two tries; what the other side asks for can be longer.
BACKOFF_SECONDS, BACKOFF_SECONDS_MAX, RETRY_AFTER_SECONDS_MAX = 5.0, 3600.0, 86_400.0
JITTER = 0.2
GIVE_UP_SECONDS = 48 * 3600.0
# What is in flight when it stops has so long to end.
STOP_SECONDS = 5.0
ERROR_MAX = 500
# There is no point in telling people that they are asked when they are not any more.
WHILE_OPEN = frozenset({"asked", "reminded", "escalated", "handed_off"})

log = logging.getLogger("holdfast")


class Clock(Protocol):
    """now: seconds since the epoch."""

    def now(self) -> float: ...


class Notifier:
    """Sends what is to be told. `run` goes on until `stop`.

    poll_seconds: how often the store is asked without a `notify`. parallel_sends: at once on each channel. give_up_seconds: after
    so long a notice is not tried again. stop_seconds: how long what is in flight may go on after `stop`.
    """

    def __init__(
        self,
        journal: PeopleStore,
        channels: Iterable[Channel],
        clock: Clock,
        *,
        poll_seconds: float = POLL_SECONDS,
        parallel_sends: int = PARALLEL_SENDS,
        give_up_seconds: float = GIVE_UP_SECONDS,
        stop_seconds: float = STOP_SECONDS,
    ):
        self._journal = journal
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._parallel_sends = parallel_sends
        self._give_up_seconds = give_up_seconds
        self._stop_seconds = stop_seconds
        self._stopping = False
        self._loops = [_Loop(self, channel) for channel in channels]
        names = [loop.channel.name for loop in self._loops]
        if twice := sorted({name for name in names if not name or names.count(name) > 1}):
            raise UsageError(
                f"two channels are called {twice[0]!r}" if twice[0] else "a channel has no name",
                hint="what was sent is remembered by it; give each a name of its own: name=…",
            )

    async def run(self) -> None:
        """Send what is to be sent, until `stop`: then once more what is due, and what is in flight is finished within a few
        seconds. What is not, or what is cancelled, is sent again by whoever comes when its lease is over."""
        tasks = [asyncio.create_task(loop.run()) for loop in self._loops]
        try:
            for error in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(error, Exception):
                    log.error("a channel was stopped by an error inside holdfast", exc_info=error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def notify(self) -> None:
        """There may be something to send."""
        for loop in self._loops:
            loop.news.set()

    def stop(self) -> None:
        """Come to an end."""
        self._stopping = True
        self.notify()

    # --- one notice -----------------------------------------------------------------------------------------------

    async def _send(self, channel: Channel, sending: Sending, people: list[Person]) -> None:
        """Send one notice, whatever comes of it, and say so to the store."""
        notice = sending.notice
        try:
            if await self._is_over(notice):
                await self._settle(sending, sent_at=self._clock.now(), error="not sent: it is not asked any more")
                return
            remark = await self._bounded(channel, notice, addressees(notice, people))
        except NotifyError as error:
            await self._failed(sending, error)
        except HoldfastError as error:
            await self._failed(sending, NotifyError(str(error)))
        except Exception as bug:
            # A channel is anybody's code, and must not stop the others.
            log.warning("channel %s raised while it sent notice %s", channel.name, notice.id, exc_info=True)
            await self._failed(sending, NotifyError(f"{type(bug).__name__}: {bug}"))
        else:
            await self._settle(sending, sent_at=self._clock.now(), error=remark or "")

    async def _is_over(self, notice: Notice) -> bool:
        return (
            notice.what in WHILE_OPEN
            and bool(notice.interrupt)
            and await self._journal.open_interrupt(notice.run_id, notice.interrupt) is None
        )

    async def _bounded(self, channel: Channel, notice: Notice, to: tuple[Person, ...]) -> str | None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await channel.send(notice, to)
        except TimeoutError as error:
            raise NotifyError(f"it took longer than {SEND_SECONDS:g} seconds") from error

    async def _failed(self, sending: Sending, error: NotifyError) -> None:
        now = self._clock.now()
        next_at = now + max(backoff(sending), min(error.retry_after_seconds or 0.0, RETRY_AFTER_SECONDS_MAX))
        if not error.transient or next_at > sending.notice.at + self._give_up_seconds:
            log.warning("notice %s was given up on channel %s: %s", sending.notice.id, sending.channel, error)
            await self._settle(sending, error=str(error))
        else:
            await self._settle(sending, next_at=next_at, error=str(error))

    async def _settle(
        self, sending: Sending, *, sent_at: float | None = None, next_at: float | None = None, error: str = ""
    ) -> None:
        try:
            await self._journal.settle_notice(
                sending.notice.id, sending.channel, sent_at=sent_at, next_at=next_at, error=error[:ERROR_MAX]
            )
        except HoldfastError as trouble:
            log.warning("what became of notice %s could not be written, so it comes again: %s", sending.notice.id, trouble)


def backoff(sending: Sending) -> float:
    """Seconds until the next try. The jitter is made from the notice, so that those that failed together do not come back
    together, and each process says the same."""
    drawn = hashlib.sha256(f"{sending.notice.id}\x1f{sending.channel}\x1f{sending.tries}".encode("utf-8", "replace")).digest()
    share = int.from_bytes(drawn[:4]) / 2**32
    doubled = BACKOFF_SECONDS * 2.0 ** min(max(sending.tries - 1, 0), 30)
    return min(doubled, BACKOFF_SECONDS_MAX) * (1 + JITTER * (2 * share - 1))


class _Loop:
    """The loop of one channel."""

    def __init__(self, notifier: Notifier, channel: Channel):
        self.channel = channel
        self.news = asyncio.Event()
        self._notifier = notifier
        self._flights: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            while not self._notifier._stopping:
                self.news.clear()
                full = await self._round()
                await self._rest(full)
            await self._round()
            if self._flights:
                await asyncio.wait(self._flights, timeout=self._notifier._stop_seconds)
        finally:
            for flight in self._flights:
                flight.cancel()
            await asyncio.gather(*self._flights, return_exceptions=True)

    async def _round(self) -> bool:
        """Claim what may be sent now and begin to send it; whether there may be more than that."""
        notifier = self._notifier
        free = notifier._parallel_sends - len(self._flights)
        if free <= 0:
            return True
        try:
            journal, now = notifier._journal, notifier._clock.now()
            claimed = await journal.claim_notices(self.channel.name, now, LEASE_SECONDS, free)
            people = await journal.people() if claimed else []
        except HoldfastError as error:
            log.warning("channel %s cannot look for notices: %s", self.channel.name, error)
            return False
        except Exception:
            log.exception("channel %s cannot look for notices", self.channel.name)
            return False
        for sending in claimed:
            flight = asyncio.create_task(notifier._send(self.channel, sending, people))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)
        return len(claimed) == free

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        if not flight.cancelled() and (error := flight.exception()) is not None:
            log.error("channel %s: an error inside holdfast", self.channel.name, exc_info=error)

    async def _rest(self, full: bool) -> None:
        """Until there is news, or the time is over; where there may be more to send, until there is room for it."""
        news = asyncio.create_task(self.news.wait())
        whatever: set[asyncio.Task[Any]] = {news, *(self._flights if full else ())}
        try:
            await asyncio.wait(whatever, timeout=self._notifier._poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
