"""100,000 operations that the world owes, in one store: how long it takes to find the few that are due.

Each belongs to a run of its own that waits parked, the worst case for the table of runs. Time moves on by a second at each
look, and so many come due in it; what was found is claimed and parked again later, as a worker would. Beside each figure
stands a floor: the same rows by a plain indexed SELECT, on a connection of its own, at the same moment.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw

from holdfast.core import events as e
from holdfast.core.plan import Goal
from holdfast.journal.base import Batch, Claim, Head, NewRun, Owed, Release
from holdfast.journal.sqlite import SqliteJournal

AGENT = "bench"
T0 = 1_700_000_000.0
BAR_MS = 5.0


async def measure(path: Path, count: int, due_each: int = 100, looks: int = 100) -> None:
    """Fill a store and look for what is due. due_each: how many come due between two looks."""
    journal = SqliteJournal(path)
    await journal.open()
    begun = time.perf_counter()
    for first in range(0, count, 2000):
        await asyncio.gather(*(_wait_for(journal, n, T0 + n / due_each) for n in range(first, min(first + 2000, count))))
    print(
        f"{count:,} pending operations, {due_each} due at each of {looks} looks   (filled in {time.perf_counter() - begun:.0f} s)"
    )
    raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    times: dict[str, list[float]] = {
        name: [] for name in ("owed", "claim_due", "next_due", "floor owed", "floor due", "floor next")
    }
    for look in range(looks):
        # The last one of the second is exactly then.
        now = T0 + (look + 1) - 1 / due_each
        _check(len(await _timed(times["owed"], lambda now=now: journal.owed(due_before=now))), due_each)
        _check(
            len(_raw(times["floor owed"], raw, "select * from owed where due_at <= ? order by due_at limit 1000", now)), due_each
        )
        _raw(times["floor due"], raw, "select id from runs where due_at <= ? order by due_at limit 1000", now)
        claims = await _timed(times["claim_due"], lambda now=now: journal.claim_due("w", [AGENT], now, 1e9, due_each))
        _check(len(claims), due_each)
        await asyncio.gather(*(_look_again(journal, claim, now) for claim in claims))
        _check(await _timed(times["next_due"], lambda now=now: journal.next_due([AGENT], now)), now + 1 / due_each)
        _raw(times["floor next"], raw, "select due_at from runs where due_at > ? order by due_at limit 1", now)
    raw.close()
    await journal.close()
    for name, beside in (("owed", "floor owed"), ("claim_due", "floor due"), ("next_due", "floor next")):
        _print(name, times[name], times[beside])


async def _wait_for(journal: SqliteJournal, number: int, due_at: float) -> None:
    run_id = f"r{number}"
    started = (e.RunStarted(run_id=run_id, agent=AGENT, goal=Goal(), contracts=()),)
    claim = await journal.create(
        NewRun(run_id=run_id, agent=AGENT, goal_digest="g"), started, T0 - 10, worker="w", lease_seconds=5
    )
    assert claim is not None
    head = (await journal.read(run_id)).head
    await _park(journal, claim, head, due_at)


async def _look_again(journal: SqliteJournal, claim: Claim, now: float) -> None:
    head = (await journal.read(claim.run_id)).head
    await _park(journal, claim, head, now + 10_000)


async def _park(journal: SqliteJournal, claim: Claim, head: Head, due_at: float) -> None:
    owed = Owed(
        step="book", tool="book", about="result", by="the hotel", key=claim.run_id, since=T0, until=T0 + 86400, due_at=due_at
    )
    event = e.ProbeIntended(step="book", probe=1)
    release = Release(status="waiting", due_at=due_at, waits_for="result of book, which is owed")
    wanted = Batch(run_id=claim.run_id, fence=claim.fence, head=head, at=T0 - 5, events=(event,), owed=(owed,), release=release)
    assert isinstance(await journal.append(wanted), Head)


async def _timed(times: list[float], work: Callable[[], Awaitable[Any]]) -> Any:
    begun = time.perf_counter()
    found = await work()
    times.append((time.perf_counter() - begun) * 1e3)
    return found


def _raw(times: list[float], connection: apsw.Connection, sql: str, now: float) -> list[Any]:
    begun = time.perf_counter()
    found = list(connection.execute(sql, (now,)))
    times.append((time.perf_counter() - begun) * 1e3)
    return found


def _check(found: float, expected: float) -> None:
    assert abs(found - expected) < 1e-3, f"{found} instead of {expected}"


def _print(name: str, times: list[float], floors: list[float]) -> None:
    p50, worst = statistics.median(times), max(times)
    print(
        f"  {name:9}  p50 {p50:.2f} ms   worst {worst:.2f} ms   floor p50 {statistics.median(floors):.2f} ms, worst {max(floors):.2f} ms"
        f"   (target {BAR_MS:.0f} ms{'' if p50 < BAR_MS else ': MISSED'})"
    )
