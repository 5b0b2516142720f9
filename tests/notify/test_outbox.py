"""The outbox on a real store: at least once, with the same id, and nobody in the way of another."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import JournalUnavailable, UsageError
from holdfast.journal.people import Notice, Person, Sending, Sent
from holdfast.journal.sqlite import SqliteJournal
from holdfast.notify.base import NotifyError
from holdfast.notify.outbox import LEASE_SECONDS, PARALLEL_SENDS, Notifier, backoff
from holdfast.notify.threads import in_thread
from holdfast.notify.webhook import Webhook
from holdfast.testing.journal_suite import appended, batch, done
from tests.notify.kit import ANN, BOB, SECRET, T0, Clock, free_port, notice, receiving, store, until

HOUR = 3600.0


class Channel:
    """Does as it is told with what it is given. says: for each send in turn an error to raise or a remark."""

    def __init__(self, name: str = "test", *says: Any):
        self.name = name
        self.says = list(says)
        self.sent: list[str] = []
        self.to: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0

    async def send(self, notice: Notice, to: tuple[Person, ...]) -> str | None:
        self.sent.append(notice.id)
        self.to.append([person.name for person in to])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        said = self.says.pop(0) if self.says else None
        if isinstance(said, BaseException):
            raise said
        return said


@asynccontextmanager
async def running(journal: Any, *channels: Any, clock: Clock | None = None, **of: Any) -> AsyncIterator[Notifier]:
    """A notifier at work, which is stopped afterwards."""
    notifier = Notifier(journal, channels, clock or Clock(), **{"poll_seconds": 0.02, **of})
    task = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        notifier.stop()
        await asyncio.wait_for(task, 20)


async def became(journal: SqliteJournal, channel: str = "test") -> list[Sent]:
    """What became of the notices on a channel."""
    return [sent for sent in await journal.notices() if sent.channel == channel]


async def settled(journal: SqliteJournal, count: int = 1, channel: str = "test") -> list[Sent]:
    """The same, once so many are settled: sent, given up or to be tried again."""
    async with asyncio.timeout(10):
        while True:
            found = [one for one in await became(journal, channel) if one.sent_at is not None or one.error]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)


async def test_what_is_to_be_told_is_sent_once_to_those_who_are_meant(tmp_path: Path) -> None:
    """And that is written down, with what was remarked."""
    channel = Channel("test", "said so")
    async with store(tmp_path / "s.db", notice()) as journal:
        for person in (ANN, BOB):
            await journal.put_person(person)
        async with running(journal, channel):
            [sent] = await settled(journal)
            await asyncio.sleep(0.1)
    assert (sent.sent_at, sent.next_at, sent.tries, sent.error) == (T0, None, 1, "said so")
    assert (channel.sent, channel.to) == (["order-7/i1/asked/1"], [["ann"]])


async def test_what_failed_is_tried_again_later_under_the_same_id(tmp_path: Path) -> None:
    """After 5 s, 10 s, … and not before."""
    clock, channel = Clock(), Channel("test", NotifyError("away"), ValueError("a bug"), None)
    async with store(tmp_path / "s.db", notice()) as journal, running(journal, channel, clock=clock):
        [first] = await settled(journal)
        assert first.error == "away" and first.next_at is not None and 4.0 <= first.next_at - T0 <= 6.0
        clock.at = first.next_at - 0.01
        await asyncio.sleep(0.1)
        assert len(channel.sent) == 1
        clock.at = first.next_at
        await until(lambda: len(channel.sent) == 2)
        [second] = await settled(journal)
        while second.tries < 2 or second.error == "away":
            [second] = await became(journal)
        assert second.error == "ValueError: a bug" and second.next_at is not None
        assert 8.0 <= second.next_at - clock.at <= 12.0
        clock.at = second.next_at
        await until(lambda: len(channel.sent) == 3)
    assert set(channel.sent) == {"order-7/i1/asked/1"}


async def test_the_time_that_the_other_side_names_is_waited_for(tmp_path: Path) -> None:
    """Even if it is longer than ours."""
    channel = Channel("test", NotifyError("429", retry_after_seconds=900.0))
    async with store(tmp_path / "s.db", notice()) as journal, running(journal, channel):
        [sent] = await settled(journal)
    assert sent.next_at == T0 + 900.0


@pytest.mark.parametrize("error", [NotifyError("410", transient=False), NotifyError("still away")])
async def test_what_will_not_be_or_is_too_old_is_given_up(tmp_path: Path, error: NotifyError) -> None:
    """It is written down why, and not tried again."""
    clock, channel = Clock(), Channel("test", error)
    if error.transient:
        clock.at = T0 + 48 * HOUR
    async with store(tmp_path / "s.db", notice()) as journal, running(journal, channel, clock=clock):
        [sent] = await settled(journal)
        clock.at += HOUR
        await asyncio.sleep(0.1)
    assert (sent.sent_at, sent.next_at, sent.error) == (None, None, str(error))
    assert len(channel.sent) == 1


async def test_nobody_is_told_that_they_are_asked_when_they_are_not(tmp_path: Path) -> None:
    """It was answered meanwhile. That it was withdrawn is told all the same."""
    channel = Channel()
    notices = (notice(), notice("order-7/i1/withdrawn/1", what="withdrawn"))
    async with store(tmp_path / "s.db", *notices, opened=()) as journal, running(journal, channel):
        sent = await settled(journal, 2)
    assert channel.sent == ["order-7/i1/withdrawn/1"]
    assert "not asked any more" in next(one.error for one in sent if one.notice.what == "asked")


async def test_a_channel_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    """Nor does it take on more than its share."""
    slow, quick = Channel("slow"), Channel("quick")
    slow.gate.clear()
    several = tuple(notice(f"order-7/i1/reminded/0.{number}", what="reminded") for number in range(30))
    async with store(tmp_path / "s.db", *several) as journal:
        async with running(journal, slow, quick, stop_seconds=0.05):
            await settled(journal, 30, "quick")
            assert len(slow.sent) == slow.most_at_once == PARALLEL_SENDS
            assert quick.most_at_once <= PARALLEL_SENDS
        # What hung was cancelled when its time was over, and its lease is left to run out.
        assert slow.at_once == 0
        assert {one.sent_at for one in await became(journal, "slow")} == {None}
        held = await journal.claim_notices("slow", T0 + LEASE_SECONDS - 1, 1.0, 100)
        assert len(held) == 30 - PARALLEL_SENDS


async def test_a_blocking_channel_has_threads_of_its_own(tmp_path: Path) -> None:
    """Fifty that block take nothing from the loop, nor from those that wait for a thread of it."""
    release = threading.Event()
    stuck = [asyncio.create_task(in_thread(lambda wire: release.wait(10), 10)) for _ in range(50)]
    try:
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5) == 7
        assert await in_thread(lambda wire: 8, 5) == 8
    finally:
        release.set()
        await asyncio.gather(*stuck)


async def test_what_is_in_flight_is_finished_on_stop_and_what_is_due_is_sent(tmp_path: Path) -> None:
    """A command that ends right after it asked still tells it."""
    channel = Channel()
    async with store(tmp_path / "s.db", notice()) as journal:
        notifier = Notifier(journal, [channel], Clock())
        notifier.stop()
        await asyncio.wait_for(notifier.run(), 10)
        [sent] = await became(journal)
    assert sent.sent_at == T0


async def test_whoever_is_cancelled_leaves_the_lease_to_run_out(tmp_path: Path) -> None:
    """Nothing is settled; it is sent again after that, and not before."""
    channel = Channel()
    channel.gate.clear()
    async with store(tmp_path / "s.db", notice()) as journal:
        task = asyncio.create_task(Notifier(journal, [channel], Clock()).run())
        await until(lambda: channel.sent)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() and channel.at_once == 0
        assert await journal.claim_notices("test", T0 + LEASE_SECONDS - 1, 1.0, 10) == []
        [again] = await journal.claim_notices("test", T0 + LEASE_SECONDS + 1, 1.0, 10)
    assert (again.notice.id, again.tries) == ("order-7/i1/asked/1", 2)


async def test_notify_wakes_it(tmp_path: Path) -> None:
    """It does not wait for its next look."""
    channel = Channel()
    async with store(tmp_path / "s.db", notice()) as journal, running(journal, channel, poll_seconds=600) as notifier:
        await until(lambda: channel.sent)
        await settled(journal)
        claim = await journal.claim("order-7", "bob", T0 + 99, 10.0)
        assert claim is not None
        head = (await journal.read("order-7")).head
        await appended(journal, batch(claim, head, done("b"), notices=(notice("order-7/failed", what="failed", interrupt=""),)))
        notifier.notify()
        await until(lambda: len(channel.sent) == 2)


async def test_where_there_is_nothing_to_send_nothing_is_written(tmp_path: Path) -> None:
    """A store at rest stays at rest."""
    async with store(tmp_path / "s.db", notice()) as journal, running(journal, Channel(), Channel("other")):
        await settled(journal)
        await settled(journal, channel="other")
        other = SqliteJournal(tmp_path / "s.db")
        await other.open()
        try:
            await other.stamp()
            before = await other.stamp()
            await asyncio.sleep(0.2)
            assert await other.stamp() == before
        finally:
            await other.close()


async def test_a_store_in_trouble_is_waited_for(tmp_path: Path) -> None:
    """The notice is sent when it is back."""

    class Troubled:
        def __init__(self, journal: SqliteJournal):
            self.journal, self.claims = journal, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.journal, name)

        async def claim_notices(self, *args: Any) -> list[Sending]:
            self.claims += 1
            if self.claims < 4:
                raise JournalUnavailable("the disk is full") if self.claims % 2 else OSError("what is this?")
            return await self.journal.claim_notices(*args)

    channel = Channel()
    async with store(tmp_path / "s.db", notice()) as journal, running(Troubled(journal), channel):
        await settled(journal)
    assert channel.sent == ["order-7/i1/asked/1"]


def test_two_channels_of_one_name_are_refused() -> None:
    """What one of them sent would count as sent by both."""
    with pytest.raises(UsageError, match="two channels are called 'a'"):
        Notifier(None, [Channel("a"), Channel("b"), Channel("a")], Clock())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no name"):
        Notifier(None, [Channel("")], Clock())  # type: ignore[arg-type]


def test_the_backoff_doubles_up_to_an_hour_with_a_jitter_that_follows_from_the_notice() -> None:
    """So each process says the same, and those that failed together part."""

    def seconds(tries: int, name: str = "n") -> float:
        return backoff(Sending(notice=notice(name), channel="c", tries=tries))

    for tries, least in ((1, 4.0), (2, 8.0), (5, 64.0), (11, 2880.0), (500, 2880.0)):
        assert least <= seconds(tries) <= 1.5 * least and seconds(tries) == seconds(tries)
    assert len({seconds(3, f"n{number}") for number in range(20)}) == 20


async def test_a_server_that_is_away_and_then_fails_gets_it_in_the_end(tmp_path: Path) -> None:
    """Refused, 500, 204: three tries, and what comes has the same id each time."""
    clock, port = Clock(), free_port()
    channel = Webhook(f"http://127.0.0.1:{port}/", SECRET, name="test", now=clock.now)
    async with store(tmp_path / "s.db", notice()) as journal, running(journal, channel, clock=clock):
        await said(journal, "ConnectionRefusedError")
        with receiving((500, {}), (204, {})) as receiver:
            channel._port = receiver.server_address[1]
            clock.at += 600
            await said(journal, "answered 500")
            clock.at += 600
            sent = await said(journal, "")
    assert (sent.sent_at, sent.tries) == (T0 + 1200, 3)
    assert [headers["webhook-id"] for headers, _ in receiver.came] == ["order-7/i1/asked/1"] * 2


async def said(journal: SqliteJournal, words: str) -> Sent:
    """What became of the one notice, once that says so; empty: once it is sent."""
    async with asyncio.timeout(10):
        while True:
            [found] = await settled(journal)
            if words in found.error and (words or found.sent_at is not None):
                return found
            await asyncio.sleep(0.01)


KILLED = """
import asyncio, os, signal, sys
from holdfast.journal.sqlite import SqliteJournal
from holdfast.notify.outbox import Notifier
from holdfast.notify.webhook import Webhook
from tests.notify.kit import SECRET, Clock

class Dies(SqliteJournal):
    async def settle_notice(self, *args, **of):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    journal = Dies(sys.argv[1])
    await journal.open()
    await Notifier(journal, [Webhook(sys.argv[2], SECRET)], Clock()).run()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_between_sending_and_settling_loses_nothing(tmp_path: Path) -> None:
    """It comes once more, when the lease is over, with the same id, by which its receiver drops it."""
    path = tmp_path / "s.db"
    root = Path(holdfast.__file__).parents[2]
    with receiving() as receiver:
        async with store(path, notice()):
            pass
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", KILLED, str(path), receiver.url],
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
            timeout=60,
        )
        assert ended.returncode == -signal.SIGKILL and len(receiver.came) == 1
        clock = Clock(T0 + LEASE_SECONDS - 1)
        async with store(path) as journal, running(journal, Webhook(receiver.url, SECRET), clock=clock):
            await asyncio.sleep(0.2)
            assert len(receiver.came) == 1
            clock.at = T0 + LEASE_SECONDS + 1
            await settled(journal, channel="webhook")
        (first, body), (second, again) = receiver.came
    assert first["webhook-id"] == second["webhook-id"] and body == again
