"""How time passes: by itself, by jumps, and not at all."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.errors import JournalUnavailable
from holdfast.evaluation.passing import InlineFile, InlineJournal, Real, Skipping, Virtual, jumping
from holdfast.journal.base import Worker
from tests.evaluation.kit import evaluated, shopper, suite_of


def test_virtual_time_jumps_and_news_ends_a_wait() -> None:
    """A year is over at once; whoever is told something does not wait for the rest of it."""
    loop = jumping()

    async def go() -> tuple[float, float]:
        passing, news = Virtual(), asyncio.Event()
        began = passing.clock.now()
        await passing.until(began + 365 * 86400, news)
        waited = passing.clock.now() - began
        asyncio.get_running_loop().call_later(5, news.set)
        await passing.until(passing.clock.now() + 1000, news)
        return waited, passing.clock.now() - began - waited

    try:
        assert loop.run_until_complete(go()) == (365 * 86400, 5)
    finally:
        loop.close()


def test_a_clock_that_is_skipped_goes_on_from_there() -> None:
    """It never goes back, and what it measures goes with it."""

    async def go() -> None:
        passing = Skipping()
        at, measured = passing.clock.now(), passing.clock.monotonic()
        await passing.until(at + 86400, asyncio.Event())
        assert 0 <= passing.clock.now() - at - 86400 < 5
        assert passing.clock.monotonic() - measured >= 86399
        await passing.until(at, asyncio.Event())
        assert passing.clock.now() >= at + 86400

    asyncio.run(go())


def test_real_time_is_waited_for() -> None:
    """As long as there is no news."""

    async def go() -> float:
        passing, began = Real(), time.monotonic()
        await passing.until(passing.clock.now() + 0.05, asyncio.Event())
        return time.monotonic() - began

    assert asyncio.run(go()) >= 0.04


def test_a_store_that_is_written_in_place_is_a_store_like_any_other(tmp_path: Path) -> None:
    """What was written on a jumping loop is read from another one; after it was closed, nothing is taken."""
    loop = jumping()
    agent = shopper({"look": {"tool": "price", "args": {"item": "x"}}})

    async def begin() -> None:
        journal = InlineJournal(InlineFile(str(tmp_path / "runs.db")))
        async with Holdfast(journal) as app:
            await app.start(agent, "x", id="one", inputs={"item": "pen"})
            assert await app.start(agent, "x", id="one", inputs={"item": "pen"}) == "one"
            assert await app.journal.row("two") is None
        with pytest.raises(JournalUnavailable):
            await journal.row("one")

    try:
        loop.run_until_complete(begin())
    finally:
        loop.close()

    async def look() -> str:
        async with Holdfast(tmp_path / "runs.db") as app:
            assert (await app.verify("one")).problem is None
            return (await app.show("one")).status

    assert asyncio.run(look()) == "running"


def test_who_shares_a_store_in_place_hears_of_the_others_writes_alone(tmp_path: Path) -> None:
    """Or a worker would be woken by what it writes itself; and the last one who leaves closes it."""
    loop = jumping()

    async def go() -> None:
        file = InlineFile(str(tmp_path / "runs.db"))
        first, second = InlineJournal(file), InlineJournal(file)
        await first.open()
        await second.open()
        stamps = [int(str(await one.stamp())) for one in (first, second)]
        await first.seen(Worker(name="w", agents=(), seen_at=1.0))
        assert [await first.stamp(), await second.stamp()] == [stamps[0], stamps[1] + 1]
        await first.close()
        assert [worker.name for worker in await second.workers(0.0)] == ["w"]
        await second.close()
        with pytest.raises(JournalUnavailable):
            await second.workers(0.0)

    try:
        loop.run_until_complete(go())
    finally:
        loop.close()


def test_the_file_says_whether_time_is_real(tmp_path: Path) -> None:
    """Then a service that takes its time takes it; by default it takes none."""
    services = {"price": {"answer": 1, "takes": "150ms"}, "buy": {"answer": {"receipt": "x"}}}
    walls = []
    for name in ("virtual", "real"):
        (run,) = evaluated(suite_of(services=services, time=name), shopper(), tmp_path / name).runs
        assert run.outcome == "held"
        walls.append(run.wall_seconds)
    assert walls[0] < 0.15 <= walls[1]
