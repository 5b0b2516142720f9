"""A graph as the reasoner: the briefing goes in, a proposal comes out, and nothing else does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast import Agent, DefinitionError, Finish, GiveUp, Holdfast, NotFound, Plan, PlanError, Propose, Step, tool
from holdfast.core.facts import Fact
from holdfast.core.plan import Goal
from holdfast.reasoners.base import Briefing, StepReport
from holdfast.reasoners.graph import graph_reasoner, input_of, proposal_of
from holdfast.testing.memory.journal import MemoryJournal

BRIEFING = Briefing(
    run_id="r",
    goal=Goal(text="g", inputs={"order": 7}),
    turn=2,
    steps=(StepReport(id="a", tool="t", phase="done", attempts=1, value={"paid": 80}),),
    tools=(),
    problems=("no",),
    facts={"city": Fact(name="city", value="Oslo", by="ann")},
)


class Walked:
    """Stands in for a compiled graph: its one node is a function from the first state to the last one."""

    checkpointer: Any = None

    def __init__(self, node: Any):
        self.node, self.seen, self.config = node, [], None
        self.seen: list[Any]

    async def ainvoke(self, input: Any, config: Any = None) -> Any:
        self.seen.append(input)
        self.config = config
        return self.node(input)


def test_the_first_state_of_a_graph_is_the_briefing_as_json() -> None:
    """Results, facts and problems are in it, and nothing that JSON does not have."""
    found = input_of(BRIEFING)
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
    assert found["inputs"] == {"order": 7}
    assert found["steps"]["a"]["value"] == {"paid": 80}
    assert found["facts"] == {"city": "Oslo"}
    assert found["problems"] == ["no"]


@pytest.mark.parametrize(
    ("proposal", "meant"),
    [
        ({"finish": {"receipt": 1}}, Finish({"receipt": 1})),
        ({"finish": None}, Finish(None)),
        ({"give_up": "no money"}, GiveUp("no money")),
        (Finish(2), Finish(2)),
        (
            {"steps": {"b": {"tool": "t", "args": {"x": {"$ref": "steps.a.paid"}}}}},
            Propose(
                plan=Plan(steps=(Step(id="b", tool="t", args={"x": {"$ref": "steps.a.paid"}}, on_failure="replan"),), final=False)
            ),
        ),
        (
            {"steps": {"b": {"tool": "t", "optional": True}}},
            Propose(plan=Plan(steps=(Step(id="b", tool="t", on_failure="skip"),), final=False)),
        ),
    ],
)
def test_the_last_state_of_a_graph_holds_a_proposal(proposal: Any, meant: Any) -> None:
    """In plain tables, so that a graph need not know of holdfast, or in its words."""
    assert proposal_of({"proposal": proposal}, BRIEFING) == meant


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        {"proposal": None},
        {"proposal": {}},
        {"proposal": {"finish": 1, "give_up": "x"}},
        {"proposal": {"give_up": 3}},
        {"proposal": {"steps": []}},
        {"proposal": {"steps": {"b": {"tool": "t", "args": {"x": {"$secret": "bank"}}}}}},
        {"proposal": {"steps": {"b": 3}}},
    ],
)
def test_what_is_no_proposal_is_refused_with_its_reason(found: Any) -> None:
    """A secret too: a model may have written it."""
    with pytest.raises(PlanError):
        proposal_of(found, BRIEFING)


def test_a_graph_that_is_not_compiled_or_keeps_checkpoints_is_refused() -> None:
    """Two records of one run would differ after a crash."""
    with pytest.raises(DefinitionError, match="compile"):
        graph_reasoner(object())  # type: ignore[arg-type]
    keeps = Walked(lambda state: state)
    keeps.checkpointer = object()
    with pytest.raises(DefinitionError, match="checkpoint"):
        graph_reasoner(keeps)


async def test_a_graph_that_was_interrupted_proposes_nothing() -> None:
    """Its question would reach nobody."""
    reasoner = graph_reasoner(Walked(lambda state: {"__interrupt__": ["really?"]}))
    with pytest.raises(PlanError, match="interrupted"):
        await reasoner.propose(BRIEFING)


async def test_the_forms_in_and_out_and_the_config_are_the_callers() -> None:
    """A Step, or a Plan, will do as a proposal."""
    graph = Walked(lambda state: state + 1)
    reasoner = graph_reasoner(
        graph,
        to_input=lambda told: told.turn,
        to_proposal=lambda found, told: Step(id=f"s{found}", tool="t"),
        config={"recursion_limit": 5},
    )
    assert await reasoner.propose(BRIEFING) == Propose(plan=Plan(steps=(Step(id="s3", tool="t"),), final=False))
    assert graph.seen == [2]
    assert graph.config == {"recursion_limit": 5}


async def test_a_graph_pursues_a_goal_and_hears_of_what_failed() -> None:
    """Its steps are done by the run; one that fails is told to it."""

    @tool(safety="keyed", key_ttl="24h")
    def refund(order: int) -> str:
        """Give the money back."""
        raise NotFound(f"no order {order}")

    def node(state: dict[str, Any]) -> dict[str, Any]:
        if not state["steps"]:
            return {"proposal": {"steps": {"r": {"tool": "refund", "args": {"order": state["inputs"]["order"]}}}}}
        return {"proposal": {"finish": state["steps"]["r"]["reason"]}}

    agent = Agent("graph", goal="g", tools=[refund], reasoner=graph_reasoner(Walked(node)))
    async with Holdfast(MemoryJournal()) as app:
        run = await app.run(agent, inputs={"order": 7})
    assert (run.status, run.result) == ("completed", "not_found: no order 7")
