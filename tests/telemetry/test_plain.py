"""A plain commit is told as if it had been kept whole."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from holdfast import Agent, Call, Deferred, Holdfast, Plan, Step, Transient, tool
from holdfast.forking import Where, fork
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.intents import Intents
from holdfast.telemetry.metrics import Counting
from holdfast.telemetry.plain import plain
from holdfast.telemetry.records import Span, whole
from holdfast.telemetry.spans import Spans
from tests.telemetry.kit import Heard


def told(found: Heard, *, short: bool) -> tuple[list[object], list[object], int]:
    """Spans and numbers of what was heard, and how many commits were plain."""
    counts = Counts(ALL)
    intents, counting, spans = Intents(), Counting(counts), Spans()
    made: list[Span] = []
    plains = 0
    for commit in found.commits:
        less = plain(commit) if short else None
        if less is not None:
            plains += 1
            begun_at = intents.plain(less)
            counting.plain(less, begun_at)
            made.append(spans.plain(less, begun_at))
        else:
            begun = intents.of(commit)
            counting.commit(commit, begun)
            made += spans.of(commit, begun)
    counting.settle()
    numbers = [
        (one.metric.name, list(one.numbers()), [(k, p.buckets, p.total) for k, p in one.histograms()])
        for one in counts.snapshot()
    ]
    fields = [name for name in Span.__struct_fields__ if name not in ("attributes", "attempt", "shared")]
    said: list[object] = [({name: getattr(span, name) for name in fields}, whole(span)) for span in made]
    return said, list(numbers), plains


async def test_both_ways_say_the_same(tmp_path: Path) -> None:
    """Of steps in a row and at once, that read one another, fail and are made again, wait, cost something, and have large results."""
    tried: set[str] = set()

    @tool(safety="idempotent", retry={"attempts": 3, "backoff": "0.001s"})
    def shaky(n: int, call: Call) -> dict[str, int]:
        """Works the second time."""
        if n % 2 and call.key not in tried:
            tried.add(call.key)
            raise Transient("503")
        return {"n": n + 1}

    @tool(safety="read", result_max=300)
    async def big(what: str) -> str:
        """Says too much."""
        return "ü" * 500

    @tool(safety="keyed", key_ttl="24h", cost=0.5)
    def pay(n: int, call: Call) -> str:
        """Costs something."""
        return call.key

    @tool(safety="idempotent")
    def reserve() -> str:
        """Comes later."""
        return Deferred(by="them", signal="confirmed", until="1h")  # type: ignore[return-value]

    steps = [Step(id=f"s{n}", tool="shaky", args={"n": {"$ref": f"steps.s{n - 1}.n"} if n else n}) for n in range(6)]
    steps += [Step(id=f"p{n}", tool="big", args={"what": str(n)}) for n in range(6)]
    steps += [Step(id="pay", tool="pay", args={"n": 1}, after=("s5",)), Step(id="table", tool="reserve", after=("pay",))]
    steps += [Step(id="last", tool="big", args={"what": {"$ref": "steps.table"}})]
    agent = Agent("clerk", tools=[shaky, big, pay, reserve], plan=Plan(steps=tuple(steps)))
    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await asyncio.gather(*(app.start(agent, id=f"r{n}", thread="t" if n else "") for n in range(3)))
        await app.work(agent, until_idle=True)
        for n in range(3):
            await app.signal(f"r{n}", "confirmed", "table 4")
        await app.work(agent, until_idle=True)
        assert {row.status for row in await app.runs()} == {"completed"}
    short, long = told(found, short=True), told(found, short=False)
    assert short[:2] == long[:2]
    assert 10 < short[2] < len(found.commits) and long[2] == 0


async def test_an_attempt_whose_intent_was_not_heard_has_the_time_that_the_state_knows(tmp_path: Path) -> None:
    """Both ways."""

    @tool(safety="read")
    def look() -> str:
        """Look."""
        return "x"

    steps = (Step(id="a", tool="look"), Step(id="b", tool="look", after=("a",)))
    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await app.run(Agent("clerk", tools=[look], plan=Plan(steps=steps)), id="r")
    found.commits = [commit for commit in found.commits if plain(commit) is not None]
    assert len(found.commits) == 1
    short, long = told(found, short=True), told(found, short=False)
    assert short[:2] == long[:2] and short[2] == 1


async def test_the_call_of_a_fork_is_told_as_what_it_is(tmp_path: Path) -> None:
    """A simulated call is not one that was made."""

    @tool(safety="read")
    def look() -> str:
        """Look."""
        return "x"

    steps = (Step(id="a", tool="look"), Step(id="b", tool="look", after=("a",)), Step(id="c", tool="look", after=("b",)))
    agent = Agent("clerk", tools=[look], plan=Plan(steps=steps))
    found = Heard()
    async with Holdfast(tmp_path / "s.db") as app:
        await app.run(agent, id="r")
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await fork(app.journal, "r", agent, id="f", clock_now=time.time(), by="ann", where=Where(entry=2), mode="simulate")
        await app.run(agent, id="f", patience_seconds=5)
    short, long = told(found, short=True), told(found, short=False)
    assert short[:2] == long[:2] and not any("execute_tool" in str(span) for span in short[0])
