"""Spans are made of what was committed: their ids, times, links and attributes, and what they must not say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import Agent, Call, Conflict, Deferred, Holdfast, Plan, Step, Transient, Unknown, tool
from holdfast.forking import Where, fork
from holdfast.telemetry import ids, names, traceparent
from holdfast.telemetry.records import CLIENT, Span
from holdfast.testing.models import ScriptedModel, call, fault, tries
from tests.telemetry.kit import Heard, heard, told

CANARY = "canary-7f3a"
SPOKEN = {name for key, name in vars(names).items() if key.isupper() and isinstance(name, str)}


def stepped(*tools: Any, agents: Any = (), **steps: Any) -> Agent:
    """An agent with a plan of these steps."""
    plan = Plan(steps=tuple(Step(id=name, **said) for name, said in steps.items()))
    return Agent("clerk", tools=list(tools), agents=list(agents), plan=plan)


@tool(safety="read")
def look(what: str) -> dict[str, str]:
    """Look something up."""
    return {"found": what}


@tool(safety="keyed", key_ttl="24h")
def grant(name: Any, call: Call) -> str:
    """Grant access."""
    return call.key


def by_step(spans: list[Span]) -> dict[str, Span]:
    """Attempts by step and number."""
    return {f"{told(s)[names.STEP_ID]}/{told(s)[names.ATTEMPT]}": s for s in spans if names.STEP_ID in told(s)}


async def test_a_run_is_one_trace_with_a_span_for_each_attempt(tmp_path: Path) -> None:
    """The parent of all is the run; an attempt points at those whose results it reads."""
    began = time.time()
    agent = stepped(
        look, grant, a={"tool": "look", "args": {"what": "x"}}, b={"tool": "grant", "args": {"name": {"$ref": "steps.a"}}}
    )
    found = (await heard(tmp_path / "s.db", agent, thread="t-1")).spans()
    assert [span.name for span in found] == ["plan clerk", "execute_tool look", "execute_tool grant", "invoke_agent clerk"]
    assert {span.trace_id for span in found} == {ids.trace_id("r")}
    assert len({span.span_id for span in found}) == 4
    plan, a, b, run = found
    assert run.parent_id == b"" and {span.parent_id for span in (plan, a, b)} == {run.span_id} == {ids.run_span("r")}
    assert [(link.span_id, link.why) for link in b.links] == [(a.span_id, "reads")]
    assert traceparent("r", "b", 1) == f"00-{b.trace_id.hex()}-{b.span_id.hex()}-01"
    assert told(b) == {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "grant", "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": told(b)["gen_ai.tool.call.id"], "gen_ai.agent.name": "clerk", "gen_ai.conversation.id": "t-1",
        "holdfast.run.id": "r", "holdfast.step.id": "b", "holdfast.attempt": 1, "holdfast.safety": "keyed", "holdfast.outcome": "ok",
        "holdfast.arguments.bytes": 22, "holdfast.result.bytes": len(str(told(b)["gen_ai.tool.call.id"])) + 2,
        "holdfast.worker": told(b)["holdfast.worker"],
    }  # fmt: skip
    assert told(run)["holdfast.run.status"] == "completed" and told(run)["holdfast.run.attempts"] == 2
    assert began - 1 <= run.begun_at <= plan.begun_at <= a.begun_at <= a.ended_at <= b.begun_at <= b.ended_at <= time.time() + 1
    assert not any(span.failed for span in found)


async def test_every_name_is_from_the_one_file_of_names(tmp_path: Path) -> None:
    """What is not there has no name."""
    agent = stepped(look, a={"tool": "look", "args": {"what": "x"}})
    for span in (await heard(tmp_path / "s.db", agent)).spans():
        assert set(told(span)) <= SPOKEN
        assert span.name.split()[0] in SPOKEN


async def test_an_attempt_points_at_the_one_before_it(tmp_path: Path) -> None:
    """A failed attempt has an error whose type is the kind of the failure, and no status otherwise."""
    failures: Iterator[int] = iter(range(1))

    @tool(safety="idempotent", retry={"attempts": 3, "backoff": "0.01s"})
    def shaky() -> str:
        """Works the second time."""
        if next(failures, None) is not None:
            raise Transient(f"503 {CANARY}")
        return "ok"

    found = by_step((await heard(tmp_path / "s.db", stepped(shaky, a={"tool": "shaky"}))).spans())
    first, second = found["a/1"], found["a/2"]
    assert (first.failed, told(first)["error.type"], told(first)["holdfast.outcome"]) == (True, "transient", "failed")
    assert [(link.span_id, link.why) for link in second.links] == [(first.span_id, "retry_of")]
    assert (second.failed, "error.type" in told(second)) == (False, False)
    assert first.ended_at <= second.begun_at
    assert names.START_INFERRED not in told(second)


async def test_what_nobody_knows_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Unknown is neither failed nor ok; that a person is asked is a wait with a span of its own."""

    @tool(safety="irreversible", approve="never")
    def pay() -> str:
        """Nobody knows."""
        raise Unknown("the line broke")

    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        agent = stepped(pay, a={"tool": "pay"})
        await app.run(agent, id="r")
        [question] = (await app.show("r")).questions
        assert [told(s)["error.type"] for s in found.named("execute_tool")] == ["unknown"]
        await app.answer("r", "reject", by="ann", note=CANARY)
        await app.run(agent, id="r")
    [asked] = found.named("ask")
    assert asked.name == f"ask {question.kind}"
    assert {key: told(asked)[key] for key in (names.DECISION, names.STEP_ID, names.INTERRUPT_ABOUT, names.OPERATION)} == {
        "holdfast.decision": "reject", "holdfast.step.id": "a", "holdfast.interrupt.about": "doubt", "holdfast.operation": "ask",
    }  # fmt: skip
    assert [link.why for link in asked.links] == ["asked_about"] and asked.begun_at < asked.ended_at
    [run] = found.named("invoke_agent")
    assert (run.failed, told(run)["error.type"]) == (
        told(run)["holdfast.run.status"] == "failed",
        told(run)["holdfast.run.status"],
    )


async def test_what_is_owed_is_a_wait_from_its_call_until_it_came(tmp_path: Path) -> None:
    """The attempt ends when the other side took it; what it left has a span of its own."""

    @tool(safety="idempotent")
    def reserve() -> str:
        """They confirm later."""
        return Deferred(by="them", signal="confirmed", until="1h")  # type: ignore[return-value]

    found = Heard()
    async with Holdfast(tmp_path / "s.db", observers=[found]) as app:
        agent = stepped(reserve, a={"tool": "reserve"})
        await app.run(agent, id="r", patience_seconds=0.1)
        await app.signal("r", "confirmed", "table 4")
        await app.run(agent, id="r", patience_seconds=5)
    [attempt], [owed] = found.named("execute_tool"), found.named("await")
    assert (told(attempt)["holdfast.outcome"], attempt.failed) == ("deferred", False)
    assert (owed.name, told(owed)["holdfast.outcome"], told(owed)["holdfast.pending.about"]) == (
        "await reserve",
        "settle",
        "result",
    )
    assert [(link.span_id, link.why) for link in owed.links] == [(attempt.span_id, "left_by")]
    assert owed.begun_at == attempt.ended_at < owed.ended_at


async def test_a_child_run_and_its_parent_point_at_one_another(tmp_path: Path) -> None:
    """Each is a trace of its own."""
    child = Agent("helper", tools=[look], plan=Plan(steps=(Step(id="x", tool="look", args={"what": "y"}),)))
    agent = stepped(agents=[child], a={"tool": "helper", "args": {"goal": "help"}})
    found = await heard(tmp_path / "s.db", agent)
    runs = {told(span)[names.RUN_ID]: span for span in found.named("invoke_agent")}
    (other,) = set(runs) - {"r"}
    [attempt] = [span for span in found.named("execute_tool") if told(span)[names.RUN_ID] == "r"]
    assert [(link.trace_id, link.span_id, link.why) for link in attempt.links] == [
        (ids.trace_id(other), runs[other].span_id, "started")
    ]
    assert [(link.trace_id, link.span_id, link.why) for link in runs[other].links] == [
        (ids.trace_id("r"), attempt.span_id, "started_by")
    ]
    assert told(runs[other])[names.PARENT_RUN] == "r"


async def test_a_request_to_a_model_stands_below_the_turn_that_it_planned(tmp_path: Path) -> None:
    """Also one that failed, whose turn came to nothing then; models' words are not told."""
    model = ScriptedModel([tries(fault("overloaded"), call("look", what=CANARY)), f"Done: {CANARY}."], name="m")
    found = await heard(tmp_path / "s.db", Agent("clerk", tools=[look], model=model), goal=f"Find {CANARY}")
    chats, plans = found.named("chat"), found.named("plan")
    # How often it fails depends on how long the run waits in between.
    failed, first, last = chats[0], *chats[-2:]
    assert (failed.failed, told(failed)["error.type"], failed.parent_id) == (True, told(failed)["error.type"], ids.run_span("r"))
    assert first.parent_id == plans[0].span_id and plans[0].parent_id == ids.run_span("r")
    assert last.parent_id == ids.run_span("r"), "it finished, and planned nothing"
    assert {span.kind for span in chats} == {CLIENT} and len({span.span_id for span in chats}) == len(chats)
    assert told(first)["gen_ai.operation.name"] == "chat" and told(plans[0])["gen_ai.operation.name"] == "plan"
    assert first.name == f"chat {told(first)['gen_ai.request.model']}"
    assert isinstance(told(first)["gen_ai.usage.input_tokens"], int) and "gen_ai.provider.name" in told(first)
    assert plans[0].begun_at <= first.begun_at <= first.ended_at
    assert names.START_INFERRED not in told(first) and names.START_INFERRED not in told(plans[0])
    assert {key for span in found.spans() for key in told(span)} <= SPOKEN
    assert told(found.named("invoke_agent")[0])["gen_ai.usage.output_tokens"]


async def test_content_is_told_only_where_it_was_asked_for(tmp_path: Path) -> None:
    """Goal, arguments, results, messages, words of models and of people; with it they are there, and cut."""

    @tool(safety="read")
    def say(what: str) -> str:
        """Say it back, at length."""
        return what + "x" * 20_000

    @tool(safety="idempotent", retry=1)
    def refuse(what: str) -> str:
        """Say no."""
        raise Conflict(f"no {what}")

    model = ScriptedModel([call("say", what=CANARY), call("refuse", what=CANARY), CANARY], name="m")
    agent = Agent("clerk", instructions=CANARY, tools=[say, refuse], model=model)
    found = await heard(tmp_path / "s.db", agent, goal=f"Say {CANARY}", labels={"x": CANARY})
    assert CANARY not in repr([(span, told(span)) for span in found.spans()])
    spans = found.spans(content=True)
    said = {key: str(value) for span in spans for key, value in told(span).items() if CANARY in str(value)}
    assert set(said) == {names.TOOL_CALL_ARGUMENTS, names.TOOL_CALL_RESULT, names.OUTPUT_MESSAGES, names.GOAL}
    assert any(CANARY in span.message for span in spans if span.failed)
    long = next(value for span in spans for value in [str(told(span).get(names.TOOL_CALL_RESULT, ""))] if value.endswith("more)"))
    assert len(long) < 8_100 and "(cut: " in long


async def test_a_simulated_run_executes_nothing(tmp_path: Path) -> None:
    """Its calls are `simulate_tool`, every span of it says so, and it points at its source. To make the fork is to do nothing."""
    path = tmp_path / "s.db"
    agent = stepped(look, grant, a={"tool": "look", "args": {"what": "x"}}, b={"tool": "grant", "args": {"name": "n"}})
    await heard(path, agent)
    found = Heard()
    async with Holdfast(path, observers=[found]) as app:
        await app.history("r")
        await app.verify("r")
        await fork(app.journal, "r", agent, id="f", clock_now=time.time(), by="ann", where=Where(entry=2), mode="simulate")
        assert found.commits == []
        await app.run(agent, id="f", patience_seconds=5)
        assert (await app.show("f")).status == "completed"
    spans = found.spans()
    assert not any("execute_tool" in (span.name, *map(str, told(span).values())) for span in spans)
    assert {span.name for span in found.named("simulate_tool")} == {"simulate_tool look", "simulate_tool grant"}
    assert all(told(span)[names.SIMULATED] is True and told(span)[names.FORK_SOURCE] == "r" for span in spans)
    [run] = found.named("invoke_agent")
    assert [(link.trace_id, link.span_id, link.why) for link in run.links] == [(ids.trace_id("r"), ids.run_span("r"), "fork_of")]
    assert run.trace_id == ids.trace_id("f") != ids.trace_id("r")


async def test_an_attempt_of_another_worker_begins_when_its_key_went_out(tmp_path: Path) -> None:
    """Nothing is remembered of it here: the state knows. A later attempt is marked, for its time is only about right."""
    agent = stepped(grant, a={"tool": "grant", "args": {"name": "n"}})
    found = await heard(tmp_path / "s.db", agent)
    [whole] = found.named("execute_tool")
    outcome = next(commit for commit in found.commits if commit.before.active)
    alone = Heard()
    alone.commits = [outcome]
    [span] = alone.named("execute_tool")
    assert (span.begun_at, span.ended_at) == (whole.begun_at, whole.ended_at) and names.START_INFERRED not in told(span)
    step = msgspec.structs.replace(outcome.before.steps["a"], attempt=2)
    before = msgspec.structs.replace(outcome.before, steps=outcome.before.steps.insert("a", step))
    event = msgspec.structs.replace(outcome.events[0], attempt=2)
    alone.commits = [msgspec.structs.replace(outcome, before=before, events=(event,))]
    [second] = alone.named("execute_tool")
    assert told(second)[names.START_INFERRED] is True and second.begun_at == outcome.before.at


@pytest.mark.parametrize("name", ["a", "a 1", "1 a", "x" * 300, "ü\ud800"])
def test_ids_follow_from_what_they_are_of_and_from_nothing_else(name: str) -> None:
    """The same in every process, and never those of something else."""
    trace = ids.trace_id(name)
    assert (len(trace), trace) == (16, ids.trace_id(name)) and trace != ids.trace_id(name + "2")
    made = {ids.span_id(trace, what, name, number) for what in ("attempt", "probe") for number in range(12)}
    made |= {ids.span_id(trace, "attempt", f"{number} {name}") for number in range(12)}
    assert len(made) == 36 and {len(one) for one in made} == {8}


def test_ids_are_those_of_the_first_release() -> None:
    """Whoever changes them tears the traces of runs that go on in two."""
    assert traceparent("order-7", "pay", 1) == "00-b87e80646e469cbef701eb5a7a6c1a7a-c12f7ad2307a6a29-01"
