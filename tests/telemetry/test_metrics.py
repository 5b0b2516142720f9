"""What is counted of runs, and that nothing of it is a run's own."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import msgspec
import pytest

from holdfast import Agent, Conflict, Holdfast, Plan, Step, Transient, Unknown, tool
from holdfast.core import events as e
from holdfast.forking import Where, fork
from holdfast.telemetry import names
from holdfast.telemetry.counts import Counts
from holdfast.telemetry.instruments import ALL
from holdfast.telemetry.intents import Intents
from holdfast.telemetry.metrics import Counting
from holdfast.testing.models import ScriptedModel, call
from tests.telemetry.kit import Heard


def counted(found: Heard) -> dict[str, dict[tuple[str, ...], float]]:
    """The numbers of what was heard; of histograms how many values they have."""
    counts = Counts(ALL)
    counting, intents = Counting(counts), Intents()
    for commit in found.commits:
        counting.commit(commit, intents.of(commit))
    numbers = {series.metric.name: dict(series.numbers()) for series in counts.snapshot()}
    for series in counts.snapshot():
        numbers[series.metric.name] |= {labels: sum(point.buckets) for labels, point in series.histograms()}
    return numbers


async def test_a_run_is_counted_by_how_its_steps_and_attempts_ended(tmp_path: Path) -> None:
    """Retries, failures and skips each in their place."""
    tries = itertools.count()

    @tool(safety="idempotent", retry={"attempts": 2, "backoff": "0.01s"})
    def shaky() -> str:
        """Works the second time."""
        if next(tries) == 0:
            raise Transient("503")
        return "ok"

    @tool(safety="idempotent", retry=1)
    def refuse() -> str:
        """Never works."""
        raise Conflict("no")

    plan = Plan(steps=(Step(id="a", tool="shaky"), Step(id="b", tool="refuse", on_failure="skip", after=("a",))))
    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await app.run(Agent("clerk", tools=[shaky, refuse], plan=plan), id="r", patience_seconds=5)
        entries = await app.history("r")
    numbers = counted(found)
    assert numbers[names.ATTEMPTS] == {
        ("shaky", "failed", "transient"): 1, ("shaky", "ok", ""): 1, ("refuse", "failed", "conflict"): 1,
    }  # fmt: skip
    assert numbers[names.EXECUTE_TOOL_DURATION] == {
        ("shaky", "transient", "clerk"): 1, ("shaky", "", "clerk"): 1, ("refuse", "conflict", "clerk"): 1,
    }  # fmt: skip
    assert numbers[names.RETRIES] == {("shaky",): 1}
    assert numbers[names.STEPS_ENDED] == {("clerk", "done"): 1, ("clerk", "skipped"): 1}
    assert numbers[names.RUNS_ENDED] == {("clerk", "completed"): 1} and numbers[names.INVOKE_AGENT_DURATION] == {("clerk", ""): 1}
    assert numbers[names.RUNS_TAKEN_ON] == {("clerk",): 1} == numbers[names.QUEUE_DURATION]
    assert sum(numbers[names.EVENTS].values()) == len(entries) - 1, "the first one was written by whoever began it"
    assert numbers[names.COMMITS] == {("clerk",): len(found.commits)}


async def test_what_was_unknown_is_counted_by_the_row_that_settled_it(tmp_path: Path) -> None:
    """And so is the question that a person was asked, with their decision."""

    @tool(safety="irreversible", approve="never")
    def pay() -> str:
        """Nobody knows."""
        raise Unknown("the line broke")

    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        agent = Agent("clerk", tools=[pay], plan=Plan(steps=(Step(id="a", tool="pay"),)))
        await app.run(agent, id="r")
        await app.answer("r", "reject", by="ann")
        await app.run(agent, id="r")
    numbers = counted(found)
    [ruled] = [event for commit in found.commits for event in commit.events if isinstance(event, e.RecoveryRuled)]
    assert numbers[names.RECOVERIES] == {(ruled.row, "ask"): 1}
    assert numbers[names.ATTEMPTS] == {("pay", "unknown", "unknown"): 1}
    [(kind, about)] = numbers[names.INTERRUPTS_OPENED]
    assert about == "doubt" and numbers[names.INTERRUPTS_CLOSED] == {(kind, "reject"): 1}
    assert numbers[names.INTERRUPT_DURATION] == {(kind,): 1}


async def test_tokens_and_money_are_counted_by_model(tmp_path: Path) -> None:
    """Input and output apart, each request once."""

    @tool(safety="read", cost=0.25)
    def look(what: str) -> str:
        """Look."""
        return what

    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        model = ScriptedModel([call("look", what="x"), "Done."], name="m")
        await app.run(Agent("clerk", tools=[look], model=model), "Look", id="r")
        spent = (await app.state("r")).spent
    numbers = counted(found)
    assert set(numbers[names.TOKEN_USAGE].values()) == {2.0}
    assert {labels[3] for labels in numbers[names.TOKEN_USAGE]} == {"input", "output"}
    assert sum(numbers[names.OPERATION_DURATION].values()) == 2
    assert abs(sum(numbers[names.COST].values()) - float(spent.cost_usd)) < 1e-9


async def test_a_request_that_a_crash_took_is_counted_without_what_nobody_knows(tmp_path: Path) -> None:
    """It is charged with all that was reserved; that is a bound, and no tokens that were used."""
    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await app.run(Agent("clerk", model=ScriptedModel(["Done."], name="m")), "Look", id="r")
    asked, answered = found.commits[0], found.commits[1]
    [was] = [event for event in answered.events if isinstance(event, e.ModelAnswered)]
    lost = e.ModelCallLost(turn=was.turn, model=was.model, usage=was.usage)
    found.commits = [asked, msgspec.structs.replace(answered, events=(lost,))]
    numbers = counted(found)
    assert numbers[names.TOKEN_USAGE] == numbers[names.COST] == {}
    assert [labels[3] for labels in numbers[names.OPERATION_DURATION]] == ["crashed"]


async def test_a_simulated_run_counts_as_nothing_done(tmp_path: Path) -> None:
    """Its calls stand apart."""

    @tool(safety="keyed", key_ttl="24h")
    def grant() -> str:
        """Grant access."""
        return "ok"

    agent = Agent("clerk", tools=[grant], plan=Plan(steps=(Step(id="a", tool="grant"),)))
    found = Heard()
    async with Holdfast(tmp_path / "s.db") as app:
        await app.run(agent, id="r")
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await fork(app.journal, "r", agent, id="f", clock_now=time.time(), by="ann", where=Where(entry=2), mode="simulate")
        await app.run(agent, id="f", patience_seconds=5)
    numbers = counted(found)
    assert numbers[names.SIMULATED_CALLS] == {("grant", "ok"): 1}
    for name in (names.ATTEMPTS, names.STEPS_ENDED, names.RUNS_ENDED, names.EXECUTE_TOOL_DURATION, names.INVOKE_AGENT_DURATION):
        assert numbers[name] == {}, name


async def test_no_label_names_a_run_or_a_step(tmp_path: Path) -> None:
    """Or there would be as many series as runs."""

    @tool(safety="read")
    def look() -> str:
        """Look."""
        return "x"

    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        for number in range(3):
            plan = Plan(steps=(Step(id=f"stepname{number}", tool="look"),))
            await app.run(
                Agent("clerk", tools=[look], plan=plan), id=f"runname{number}", labels={"a": "labelname"}, tenant="tenantname"
            )
    labels = {label for points in counted(found).values() for key in points for label in key}
    assert not [label for label in labels if "name" in label]


async def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intents whose outcome another worker commits, and kinds of commits."""

    @tool(safety="read")
    def look() -> str:
        """Look."""
        return "x"

    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        await app.run(Agent("clerk", tools=[look], plan=Plan(steps=(Step(id="a", tool="look"),))), id="r")
    intents = Intents()
    for commit in found.commits:
        intents.of(commit)
    assert not intents._at, "every intent met its outcome"
    monkeypatch.setattr("holdfast.telemetry.intents.INTENTS_MAX", 100)
    for number in range(250):
        intents._remember(("r", "s", number), 0.0)
    assert len(intents._at) <= 100 and ("r", "s", 249) in intents._at
    counting = Counting(Counts(ALL))
    monkeypatch.setattr("holdfast.telemetry.metrics.SHAPES_MAX", 100)
    for number in range(250):
        counting._shape((e.RetryRuled,) * number)
    assert len(counting._shapes) <= 100
