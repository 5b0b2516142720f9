"""A compiled graph of LangGraph as the reasoner of a run: the state of the run goes in, a proposal comes out.

The graph only thinks. What its nodes do to the world by themselves, no journal knows of: it is done again when the process dies
in the middle, and no person is asked. So its tools are those of the run, which it names in what it proposes. It keeps nothing
between turns either: what it needs to know stands in the briefing, which is made from the journal.

Nothing of LangGraph is imported: whatever has its `ainvoke` will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from holdfast.core.plan import Plan, Step
from holdfast.core.references import SECRET
from holdfast.core.values import plain
from holdfast.errors import DefinitionError, PlanError
from holdfast.reasoners.base import Ask, Briefing, Finish, GiveUp, Interpret, Keep, Proposal, Propose, Thought
from holdfast.reasoners.planfile import step_of

_INTERRUPT = "__interrupt__"
_PROPOSALS = (Propose, Finish, GiveUp, Keep, Ask, Interpret, Thought)


class Graph(Protocol):
    """The part of a compiled graph that is used."""

    async def ainvoke(self, input: Any, config: Any = None) -> Any:
        """The last state of the graph, from this first one."""


class GraphReasoner:
    """See the module's text and `graph_reasoner`."""

    def __init__(
        self,
        graph: Graph,
        to_input: Callable[[Briefing], Any],
        to_proposal: Callable[[Any, Briefing], Proposal | Thought | Plan | Step],
        config: Mapping[str, Any] | None,
    ):
        self.graph, self.to_input, self.to_proposal, self.config = graph, to_input, to_proposal, config

    async def propose(self, briefing: Briefing) -> Proposal | Thought:
        """One walk through the graph."""
        found = await self.graph.ainvoke(self.to_input(briefing), dict(self.config) if self.config is not None else None)
        if isinstance(found, dict) and found.get(_INTERRUPT):
            raise PlanError(["the graph was interrupted to ask a person; propose Ask, or a step whose tool asks for approval"])
        proposal = self.to_proposal(found, briefing)
        if isinstance(proposal, Step):
            proposal = Plan(steps=(proposal,), final=False)
        return Propose(plan=proposal) if isinstance(proposal, Plan) else proposal


def graph_reasoner(
    graph: Graph,
    *,
    to_input: Callable[[Briefing], Any] | None = None,
    to_proposal: Callable[[Any, Briefing], Proposal | Thought | Plan | Step] | None = None,
    config: Mapping[str, Any] | None = None,
) -> GraphReasoner:
    """A reasoner from a compiled graph.

    to_input: the first state of the graph from the briefing; by default `input_of`. to_proposal: the proposal from its last
    state and the briefing; by default `proposal_of`. config: handed to the graph. DefinitionError where the graph has no
    `ainvoke`, or keeps a checkpoint of its own.
    """
    if not callable(getattr(graph, "ainvoke", None)):
        raise DefinitionError(f"{type(graph).__name__} has no `ainvoke`", hint="compile the graph first: graph.compile()")
    if getattr(graph, "checkpointer", None):
        raise DefinitionError(
            "the graph keeps checkpoints of its own, and the run has its journal: after a crash they would differ",
            hint="compile it without a checkpointer",
        )
    return GraphReasoner(graph, to_input or input_of, to_proposal or proposal_of, config)


def input_of(briefing: Briefing) -> dict[str, Any]:
    """The briefing as plain JSON: goal, inputs, instructions (what people said since), turn, steps (with their results), facts,
    tools (with their schemas), owed, refused and problems."""
    found: dict[str, Any] = plain(
        {
            "goal": briefing.goal.text,
            "inputs": briefing.goal.inputs,
            "instructions": [{"by": said.by, "text": said.text} for said in briefing.instructions],
            "turn": briefing.turn,
            "steps": {report.id: msgspec.to_builtins(report) for report in briefing.steps},
            "facts": {name: fact.value for name, fact in briefing.facts.items()},
            "tools": {tool.tool: {"description": tool.description, "input_schema": tool.input_schema} for tool in briefing.tools},
            "owed": [msgspec.to_builtins(owed) for owed in briefing.owed],
            "refused": list(briefing.refused),
            "problems": list(briefing.problems),
        }
    )
    return found


def proposal_of(found: Any, briefing: Briefing) -> Proposal | Thought | Plan | Step:
    """The proposal that stands in the last state of a graph, under `proposal`: one of holdfast's, or a table with one of

    - `steps`: by id, each in the form that a plan file has;
    - `finish`: the result;
    - `give_up`: the reason.

    PlanError with everything that is wrong with it.
    """
    proposal = found.get("proposal") if isinstance(found, Mapping) else None
    if isinstance(proposal, (*_PROPOSALS, Plan, Step)):
        return proposal
    if isinstance(proposal, Mapping) and len(proposal) == 1:
        (kind, value), *_ = proposal.items()
        if kind == "finish":
            return Finish(value)
        if kind == "give_up" and isinstance(value, str):
            return GiveUp(value)
        if kind == "steps" and isinstance(value, Mapping):
            return _planned(value)
    raise PlanError(["the last state of the graph has no `proposal`: a table with `steps`, `finish` or `give_up`"])


def _planned(forms: Mapping[str, Any]) -> Propose:
    found = [f"{{{SECRET}: …}} cannot stand in what a graph proposes"] if _holds_secret(forms) else []
    steps = [step for name, form in forms.items() if (step := step_of(name, form, found))]
    if found:
        raise PlanError(found)
    # A step that fails is for the graph to think about, unless it says otherwise.
    says = {name for name, form in forms.items() if "on_failure" in form or "optional" in form}
    told = (step if step.id in says else msgspec.structs.replace(step, on_failure="replan") for step in steps)
    return Propose(plan=Plan(steps=tuple(told), final=False))


def _holds_secret(value: Any) -> bool:
    """Whether a secret is called for: a model may have said so, and would choose where it goes."""
    if isinstance(value, Mapping):
        return SECRET in value or any(map(_holds_secret, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_secret, value))
