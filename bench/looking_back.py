"""What it costs to ask why: `holdfast show ID --why` end to end on a run of 10,000 entries, beside a bare start in the same run."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from holdfast import Agent, Holdfast, Limits, Plan, Step, Transient, tool
from holdfast.core.evolve import fold
from holdfast.views.why import why

TARGET_SECONDS = 0.3
TRIES = 9


async def measure(folder: Path, entries_min: int = 10_000) -> None:
    """End to end with the start of the process, median and best of several, beside `python -c pass` and `holdfast --version`; then
    what of it is reading, folding, explaining."""
    db = folder / "why.db"
    count = await _long_run(db, entries_min)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "holdfast --version": [sys.executable, "-m", "holdfast", "--version"],
        "show big --why": [sys.executable, "-m", "holdfast", "show", "big", "--why", "--db", str(db)],
        "show big --why s1000": [sys.executable, "-m", "holdfast", "show", "big", "--why", "s1000", "--db", str(db)],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(TRIES):  # In turn, so that what else the machine does hits all of them alike.
        for name, words in commands.items():
            begun = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=os.environ)
            times[name].append(time.perf_counter() - begun)
    print(f"why, of a run of {count:,} entries   (target {TARGET_SECONDS} s with the start)")
    for name, found in times.items():
        print(f"  {name:22} {statistics.median(found):.3f} s   best {min(found):.3f} s")
    await _parts(db)


async def _parts(db: Path) -> None:
    async with Holdfast(db) as app:
        begun = time.perf_counter()
        entries = await app.history("big")
        read = time.perf_counter()
    state = fold(entries)
    folded = time.perf_counter()
    why(entries, state.at)
    explained = time.perf_counter()
    print(
        f"  within: read, chain and decode {1000 * (read - begun):.0f} ms, fold alone {1000 * (folded - read):.0f} ms, "
        f"explanation, its fold included, {1000 * (explained - folded):.0f} ms"
    )


async def _long_run(db: Path, entries_min: int) -> int:
    """A run with a plan of one step after the other, every third of which fails once."""
    calls: Counter[int] = Counter()

    @tool(safety="idempotent", name="noop", retry={"attempts": 5, "backoff": "1ms..1ms", "jitter": 0})
    async def noop(n: int) -> dict[str, int]:
        calls[n] += 1
        if n % 3 == 0 and calls[n] == 1:
            raise Transient("503 from upstream")
        return {"n": n}

    steps = entries_min // 3 + 20
    plan = Plan(
        steps=tuple(Step(id=f"s{n}", tool="noop", args={"n": n}, after=(f"s{n - 1}",) if n else ()) for n in range(steps)),
        result={},
    )
    agent = Agent("long", tools=[noop], plan=plan, limits=Limits(attempts_max=1_000_000, steps_max=1_000_000))
    async with Holdfast(db) as app:
        await app.run(agent, id="big")
        found = len(await app.history("big"))
    assert found >= entries_min, f"{found} entries"
    return found


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        asyncio.run(measure(Path(made)))
