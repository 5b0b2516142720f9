"""Replays: how many events a second are walked again, of one long run and of a store of many, beside reading them only."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.crowds import chain
from holdfast import Holdfast
from holdfast.replaying import Contents, replay_all, replay_part, replay_run

STEPS_LONG, RUNS, STEPS = 5_000, 1_000, 25


async def measure(folder: Path) -> None:
    """Events a second, the best of three: a machine that does something else besides only ever makes it slower."""
    await _long(folder / "long.db")
    await _many(folder / "many.db")


async def _long(path: Path) -> None:
    async with Holdfast(path) as app:
        await app.run(chain(STEPS_LONG), id="long")
        row = await app.journal.row("long")
        assert row is not None

        async def read() -> None:
            contents = Contents(app.journal)
            for batch in await app.journal.batches("long"):
                await contents.entries(batch)

        async def walk() -> None:
            assert (await replay_run(app.journal, "long")).agrees

        floor, took = await _best(read), await _best(walk)
    print(
        f"one run              {row.version / took:,.0f} events/s replayed ({row.version} events, one process)   "
        f"floor {row.version / floor:,.0f} events/s: read, chain checked, decoded"
    )


async def _many(path: Path) -> None:
    agent, jobs = chain(STEPS), os.cpu_count() or 1
    async with Holdfast(path) as app:
        for number in range(RUNS):
            await app.start(agent, id=f"r{number}")
        await app.work(agent, until_idle=True)
        rows = await app.runs(limit=RUNS)
        events, ids = sum(row.version for row in rows), [row.run_id for row in rows]

        async def walk() -> None:
            assert all([found.agrees async for found in replay_all(app.journal, ids)])

        one = await _best(walk)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        parts = [ids[number::jobs] for number in range(jobs)]

        async def walk_parts() -> None:
            for done in [pool.submit(replay_part, str(path), part) for part in parts]:
                assert all(found.agrees for found in done.result())

        await walk_parts()  # The processes are there by now.
        all_jobs = await _best(walk_parts)

    async def hashed() -> None:
        hashlib.sha256(path.read_bytes()).digest()

    floor = await _best(hashed)
    print(
        f"{RUNS} runs            {events / all_jobs:,.0f} events/s replayed by {jobs} processes, {events / one:,.0f} by one "
        f"({events} events)   floor {events / floor:,.0f} events/s: the file read and hashed   (target 50,000)"
    )


async def _best(work: Callable[[], Awaitable[Any]]) -> float:
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        await work()
        times.append(time.perf_counter() - begun)
    return min(times)
