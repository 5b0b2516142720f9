"""What rates, circuits, caps, tokens and shared keys cost a step, beside the same step without them, in the same run."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import apsw

from bench import floor
from holdfast import Agent, Call, Holdfast, tool

PAYLOAD = "x" * 1000
PROMISES: dict[str, dict[str, Any]] = {
    "nothing more": {},
    "callback": {"callback": True},
    "breaker": {"breaker": "5/1m"},
    "rate of 10,000 a second": {"rate": "10000/1s"},
    "parallel": {"parallel": 1000},
    "business key of the store": {"business_key": "n", "scope": "store"},
    "sufficient": {"sufficient": "length(@) > `0`"},
}


async def measure(folder: Path, runs: int = 100, steps: int = 20, at_once: int = 50) -> None:
    """One line a promise: steps a second, CPU a step, commits a step."""
    base = await floor.crowd(folder / "floor.db", at_once, 400)
    print(f"{runs} runs x {steps} steps, {at_once} at once; floor {base:,.0f} commits/s")
    for number, (name, promised) in enumerate(PROMISES.items()):
        path = folder / f"promises{number}.db"
        seconds, used = await _played(path, promised, runs, steps, at_once)
        connection = apsw.Connection(str(path))
        commits = int(next(iter(connection.execute("select count(*) from batches")))[0])
        connection.close()
        total = runs * steps
        print(
            f"{name:26} {total / seconds:8,.0f} steps/s {used / total * 1e6:6.0f} µs CPU a step {commits / total:6.3f} commits a step"
        )


async def _played(path: Path, promised: dict[str, Any], runs: int, steps: int, at_once: int) -> tuple[float, float]:
    @tool(safety="keyed", key_ttl="forever", name="noop", **promised)
    async def noop(n: int, run: int, call: Call) -> str:
        return PAYLOAD

    plan = {
        f"s{n}": {"tool": "noop", "args": {"n": n, "run": {"$ref": "inputs.run"}}, "after": [f"s{n - 1}"] if n else []}
        for n in range(steps)
    }
    if "business_key" in promised:
        # Keys of a store are for what differs between runs.
        plan = {
            name: {**step, "args": {**step["args"], "n": {"$ref": f"inputs.keys[{at}]"}}}
            for at, (name, step) in enumerate(plan.items())
        }
    agent = Agent("promising", tools=[noop], plan=plan)
    async with Holdfast(path, parallel_runs=at_once) as app:
        for n in range(runs):
            await app.start(agent, id=f"r{n}", inputs={"run": n, "keys": list(range(n * steps, (n + 1) * steps))})
        before, begun = _cpu(), time.perf_counter()
        await app.work(agent, until_idle=True)
        seconds, used = time.perf_counter() - begun, _cpu() - before
        assert len(await app.runs(status="completed")) == runs, f"not all of {runs} runs completed"
    return seconds, used


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
