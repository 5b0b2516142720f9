"""Speed and size, each printed beside the floor that was measured in the same run.

python -m bench.run [one] [crowd] [growth] [parked] [resume] [imports] [owed] [promises] [turns] [people] [replay] [why]      (default: all)
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import floor, looking_back, people, promises, replaying, thinking
from bench import owed as owed_bench
from bench.crowds import PAYLOAD, chain, cpu
from holdfast import Agent, Holdfast, Plan, Step, tool
from holdfast.journal.sqlite import SqliteJournal


@tool(safety="irreversible")
async def pay(amount: int) -> str:
    """Never called here: every run parks at the question."""
    return "paid"


async def one(folder: Path) -> None:
    """One run, 200 steps: p50 per step and commits per step."""
    floors = floor.alone(folder / "floor.db", 200)
    times: list[float] = []

    @tool(safety="idempotent", name="noop")
    async def timed(n: int) -> str:
        times.append(time.perf_counter())
        return PAYLOAD

    agent = chain(200)
    agent = Agent("bench", tools=[timed], plan=agent.plan)
    async with Holdfast(folder / "one.db") as app:
        await app.run(agent, id="one")
        assert isinstance(app.journal, SqliteJournal)
        commits = app.journal.file.commits
    gaps = [b - a for a, b in pairwise(times)]
    p50, base = statistics.median(gaps) * 1000, statistics.median(floors) * 1000
    print(f"one run, 200 steps   p50 {p50:.3f} ms a step   floor {base:.3f} ms   {p50 / base:.2f} x   (target 2 x)")
    print(
        f"                     p99 {sorted(gaps)[-3] * 1000:.3f} ms          commits {commits} for 200 steps (start and end included)"
    )


async def crowd(folder: Path, runs: int = 200, steps: int = 20, at_once: int = 50) -> None:
    """Many runs in one process."""
    base = max([await floor.crowd(folder / f"floor{n}.db", at_once, 400) for n in range(2)])
    agent = chain(steps)
    async with Holdfast(folder / "crowd.db", parallel_runs=at_once) as app:
        for n in range(runs):
            await app.start(agent, id=f"r{n}")
        before, begun = cpu(), time.perf_counter()
        await app.work(agent, until_idle=True)
        seconds, used = time.perf_counter() - begun, cpu() - before
        rows = await app.runs(status="completed")
        assert len(rows) == runs, f"{len(rows)} of {runs} completed"
    total = runs * steps
    print(
        f"{runs} runs x {steps} steps, {at_once} at once   {total / seconds:,.0f} steps/s   {used / total * 1e6:.0f} µs CPU a step   "
        f"floor {base:,.0f} steps/s   (target 6,000 where the floor gives 33,000; 160 µs)"
    )


async def growth(folder: Path) -> None:
    """Bytes and time per step as a run gets longer."""
    base = None
    for steps in (50, 200, 800, 3200):
        agent, path = chain(steps), folder / f"growth{steps}.db"
        async with Holdfast(path) as app:
            begun, before = time.perf_counter(), cpu()
            await app.run(agent, id="long")
            seconds, used = time.perf_counter() - begun, cpu() - before
        size = path.stat().st_size + sum(p.stat().st_size for p in folder.glob(f"{path.name}-wal"))
        logical = steps * (len(PAYLOAD) + 30)
        floors = statistics.median(floor.alone(folder / f"gfloor{steps}.db", 200)) * 1e3
        per = seconds / steps * 1e3
        base = base or per
        print(
            f"{steps:5} steps   {per:.3f} ms a step   {used / steps * 1e6:.0f} µs CPU   floor {floors:.3f} ms   {size / steps:,.0f} bytes a step"
            f"   {size / logical:.2f} x the logical size   (target: flat; 3 x)"
        )


async def parked(folder: Path, runs: int = 10_000) -> None:
    """Runs that wait for a person: memory, opening, and waking one."""
    path = folder / "parked.db"
    agent = Agent("parker", tools=[pay], plan=Plan(steps=(Step(id="pay", tool="pay", args={"amount": 1}),)))
    async with Holdfast(path, parallel_runs=200) as app:
        await asyncio.gather(*(app.start(agent, id=f"p{n}") for n in range(runs)))
        await app.work(agent, until_idle=True)
    script = "import asyncio,sys,time,resource\nfrom bench.run import waker\nasyncio.run(waker(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


async def waker(path: str) -> None:
    """In a fresh process: open the store, measure, answer one run and time its way to the tool."""
    woken: list[float] = []

    @tool(safety="irreversible", name="pay")
    async def paying(amount: int) -> str:
        """Never called here: every run parks at the question."""
        woken.append(time.perf_counter())
        return "paid"

    agent = Agent("parker", tools=[paying], plan=Plan(steps=(Step(id="pay", tool="pay", args={"amount": 1}),)))
    begun = time.perf_counter()
    async with Holdfast(path) as app:
        rows = await app.runs(limit=1)
        opened = time.perf_counter() - begun
        working = asyncio.create_task(app.work(agent))
        await asyncio.sleep(1.0)
        waits = []
        for n in range(20):
            asked = time.perf_counter()
            await app.answer(f"p{n * 7}", "approve", by="bench")
            async with asyncio.timeout(10):
                while len(woken) <= n:
                    await asyncio.sleep(0.001)
            waits.append(woken[n] - asked)
        memory = peak_memory()
        await app.stop()
        await working
    assert rows[0].status == "blocked"
    print(
        f"10,000 parked runs   {memory:.0f} MB in the process   opened in {opened * 1e3:.0f} ms   answer to tool p50 "
        f"{statistics.median(waits) * 1e3:.1f} ms, worst {max(waits) * 1e3:.1f} ms   (targets 100 MB, 300 ms, 50 ms)"
    )


def peak_memory() -> float:
    """MB at the peak of this process. (`ru_maxrss` would count the process that started it too.)"""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


async def resume(folder: Path) -> None:
    """A run of 10,000 events, read and folded."""
    agent = chain(4998)
    async with Holdfast(folder / "resume.db") as app:
        await app.run(agent, id="long")
        history = await app.history("long")
        best = min([await timed(lambda: app.state("long")) for _ in range(3)])
        raw = min([await timed(lambda: raw_read(folder / "resume.db")) for _ in range(3)])
    print(f"resume of {len(history):,} events   {best * 1e3:.0f} ms   raw read of the rows {raw * 1e3:.0f} ms   (target 200 ms)")


async def raw_read(path: Path) -> None:
    """The rows and nothing else."""
    import apsw

    connection = apsw.Connection(str(path))
    list(connection.execute("select * from batches"))
    connection.close()


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


async def imports(folder: Path) -> None:
    """CPU of the imports, best of five, beside a bare interpreter."""
    bare = best_cpu(["-c", "pass"])
    package = best_cpu(["-c", "import holdfast"])
    agent = best_cpu(["-c", "from holdfast import Agent, Holdfast, tool"])
    cli = best_cpu(["-m", "holdfast", "--help"])
    print(
        f"import holdfast {package * 1e3:.0f} ms CPU   with Agent, Holdfast and tool {agent * 1e3:.0f} ms   holdfast --help {cli * 1e3:.0f} ms"
        f"   bare python {bare * 1e3:.0f} ms   (targets 150 ms, 400 ms)"
    )


async def owed(folder: Path) -> None:
    """100,000 pending operations in one store: finding what is due."""
    await owed_bench.measure(folder / "owed.db", 100_000)


def best_cpu(arguments: list[str]) -> float:
    """User and system seconds of the best of five runs."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


BENCHES: dict[str, Callable[[Path], Awaitable[None]]] = {
    "one": one, "crowd": crowd, "growth": growth, "parked": parked, "resume": resume, "imports": imports,
    "owed": owed, "promises": promises.measure, "turns": thinking.turns, "people": people.measure,
    "replay": replaying.measure, "why": looking_back.measure,
}  # fmt: skip


def main(names: list[str]) -> None:
    """Run the named benches, each in a folder of its own on the disk of the working directory."""
    for name in names or list(BENCHES):
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
            asyncio.run(BENCHES[name](Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
