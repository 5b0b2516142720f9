"""What is drawn from the store: read at an interval, on the event loop of whoever has the store open, never when somebody
asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import get_args

from holdfast.core.gates import circuit
from holdfast.core.state import Status
from holdfast.errors import HoldfastError
from holdfast.figures import figures
from holdfast.journal.base import Journal
from holdfast.journal.people import JudgedFilter
from holdfast.telemetry import names
from holdfast.telemetry.counts import Counts

_log = logging.getLogger("holdfast")
INTERVAL_SECONDS = 15.0
# A store that takes long to read is read less often, so that reading never takes more than this part of the time.
SHARE = 0.02
# Rulings older than this do not count for the override rate.
RULINGS_SECONDS = 30 * 86400.0
STATUSES = get_args(Status)

# More that can be drawn: each reader sets gauges of its own.
Reader = Callable[[Journal, Counts, float], Awaitable[None]]


async def read(journal: Journal, counts: Counts, now: float) -> None:
    """Read the store, and set what it says. JournalError where it cannot be read."""
    health = await journal.health(now)
    counts.set(names.RUNS, {(status,): health.runs.get(status, 0) for status in STATUSES})
    counts.set(names.QUEUE_AGE, {(): max((late.seconds for late in (*health.unclaimed, *health.parked)), default=0.0)})
    counts.set(names.QUEUE_RUNS, {(): len(health.unclaimed)})
    counts.set(names.CLAIMS_EXPIRED, {(): len(health.expired)})
    counts.set(names.RUNS_OVERDUE, {(): len(health.parked)})
    counts.set(names.OLDEST_PENDING, {(): _age(health.oldest_owed, now)})
    counts.set(names.OLDEST_INTERRUPT, {(): _age(health.oldest_asked, now)})
    counts.set(names.STORE_BYTES, {(): health.bytes})
    circuits: dict[tuple[str, ...], float] = {}
    for tool, gate in (await journal.gates()).items():
        state = circuit(gate, now)
        circuits |= {(tool, word): float(word == state) for word in ("closed", "half_open", "open")}
    counts.set(names.CIRCUITS, circuits)
    await _rules(journal, counts, now)
    counts.set(names.STORE_READ_AT, {(): now})


async def _rules(journal: Journal, counts: Counts, now: float) -> None:
    judged = await journal.judged(JudgedFilter(since=now - RULINGS_SECONDS))
    # Many rows are counted elsewhere than on the loop.
    found = await asyncio.to_thread(figures, judged, (), now)
    counts.set(names.OVERRIDE_RATE, {(f.name, f.policy): f.override_rate for f in found if f.override_rate is not None})
    counts.set(
        names.RULINGS,
        {
            (figure.name, figure.policy, word): number
            for figure in found
            for word, number in (("asked", figure.asked), ("passed", figure.passed), ("blocked", figure.blocked))
        },
    )


def _age(since: float | None, now: float) -> float:
    return max(0.0, now - since) if since is not None else 0.0


@asynccontextmanager
async def watching(
    journal: Journal,
    counts: Counts,
    now: Callable[[], float],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    readers: tuple[Reader, ...] = (),
) -> AsyncIterator[None]:
    """Keep the gauges as the store is, as long as this is entered."""
    watching = asyncio.create_task(_watch(journal, counts, now, interval_seconds, (read, *readers)))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(
    journal: Journal, counts: Counts, now: Callable[[], float], interval_seconds: float, readers: tuple[Reader, ...]
) -> None:
    while True:
        begun = time.monotonic()
        for reader in readers:
            try:
                await reader(journal, counts, now())
            except HoldfastError as error:
                _log.warning("telemetry: the store could not be read: %s", error)
            except Exception:  # noqa: BLE001 — the border: a reader that is wrong must not end the others.
                _log.exception("telemetry: %s could not read the store", getattr(reader, "__name__", "a reader"))
        await asyncio.sleep(max(interval_seconds, (time.monotonic() - begun) / SHARE))
