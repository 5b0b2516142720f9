"""`propose(briefing) -> proposal` is the whole interface between a run and whatever thinks for it.

A fixed plan, a plain function and (later) a model are reasoners. A proposal is never trusted: it is checked against the
contracts like any input from outside. Reasoners may be as non-deterministic as they like: what they proposed is recorded.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from holdfast.core import values
from holdfast.core.contract import Contract
from holdfast.core.events import AnyEvent, FinishProposed, GiveUpProposed, PlanAdopted, ProposalFailed
from holdfast.core.plan import Goal, Plan, Step, plain_plan, problems
from holdfast.core.state import State, secret_names

PROBLEMS_MAX = 50


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a step so far. phase: as in `core/state.py`; value: its result when it is done."""

    id: str
    tool: str
    phase: str
    attempts: int
    value: Any = None
    reason: str = ""
    left: tuple[str, ...] = ()


class OwedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the world still owes to a step: a call that would repeat it is not made while this is open. about: its `result`,
    the `rest` of a part (items: which), or that it can be seen (`sight`). until: seconds since the epoch."""

    step: str
    tool: str
    about: str
    by: str
    since: float
    until: float
    args: dict[str, Any] = {}
    items: tuple[str, ...] = ()


class Briefing(msgspec.Struct, frozen=True, kw_only=True):
    """What a reasoner is told. owed: what the world still owes. changes: how much of what else calls changed, by name.
    refused: calls that failed for good, as tool and arguments; they are not made again as they are. problems: why its last
    proposal was not taken."""

    run_id: str
    goal: Goal
    turn: int
    steps: tuple[StepReport, ...]
    tools: tuple[Contract, ...]
    problems: tuple[str, ...] = ()
    owed: tuple[OwedReport, ...] = ()
    changes: dict[str, float] = {}
    refused: tuple[tuple[str, dict[str, Any]], ...] = ()

    def result(self, step: str) -> Any:
        """The result of a finished step, or None."""
        return next((report.value for report in self.steps if report.id == step and report.phase == "done"), None)


class Finish(msgspec.Struct, frozen=True):
    """The goal is reached; result: any JSON."""

    result: Any = None


class GiveUp(msgspec.Struct, frozen=True):
    """The goal cannot be reached."""

    reason: str


class Propose(msgspec.Struct, frozen=True, kw_only=True):
    """Steps to do next. final: nothing more is to come. dropped: steps not begun that are given up."""

    plan: Plan
    reason: str = ""


Proposal = Propose | Finish | GiveUp


class Reasoner(Protocol):
    """See the module's text. Errors that it raises count against the run's bound of failed proposals."""

    async def propose(self, briefing: Briefing) -> Proposal:
        """What to do next."""


def briefing(state: State) -> Briefing:
    """What a reasoner is told about this state; pure."""
    reports = (state.steps[name] for name in state.order)
    return Briefing(
        run_id=state.run_id,
        goal=state.goal,
        turn=state.turn,
        steps=tuple(
            StepReport(
                id=s.step.id,
                tool=s.tool,
                phase=s.phase,
                attempts=s.attempt,
                value=s.value,
                reason=s.reason,
                left=s.left,
            )
            for s in reports
        ),
        tools=tuple(state.contracts.values()),
        problems=state.proposal_problems,
        owed=tuple(
            OwedReport(
                step=owed.step,
                tool=owed.tool,
                about=owed.about,
                by=owed.by,
                since=owed.since,
                until=owed.until,
                args=owed.args,
                items=owed.items,
            )
            for owed in state.pending.values()
        ),
        changes=state.changes,
        refused=tuple((state.steps[name].tool, state.steps[name].args or {}) for name, *_ in state.failed_calls.values()),
    )


def taken(proposal: object, state: State, turn: int) -> AnyEvent:
    """The event that a proposal becomes: adopted if it is sound, else failed with every problem."""
    if isinstance(proposal, (Plan, Step)):
        proposal = Propose(plan=proposal if isinstance(proposal, Plan) else Plan(steps=(proposal,), final=False))
    match proposal:
        case Finish(result):
            try:
                return FinishProposed(turn=turn, result=values.plain(result))
            except ValueError as error:
                return ProposalFailed(turn=turn, problems=(f"the result cannot be written as JSON: {error}",))
        case GiveUp(reason):
            return GiveUpProposed(turn=turn, reason=reason)
        case Propose(plan=plan, reason=reason):
            plan, found = _checked(plan, state)
            if not found and not plan.steps and not plan.final:
                found.append("the proposal has no step, and says neither finish nor give up")
            if found:
                return ProposalFailed(turn=turn, problems=_bounded(found))
            return PlanAdopted(turn=turn, revision=state.revision + 1, plan=plan, reason=reason)
        case _:
            pass
    return ProposalFailed(
        turn=turn, problems=(f"{type(proposal).__name__} is no proposal; return a Plan, a Step, Finish or GiveUp",)
    )


# The last plan that was found sound, what it was checked for, and its plain form: a plan file proposes the same plan to each
# of its runs, and walking it again for each would cost more than the steps.
_sound: tuple[Plan, tuple[dict[str, Contract], frozenset[str], tuple[str, ...]], Plan] | None = None


def _checked(plan: Plan, state: State) -> tuple[Plan, list[str]]:
    """The plan as it will be read back, and what is wrong with it."""
    global _sound
    checked_for = (state.contracts, frozenset(state.goal.inputs), state.secrets)
    if _sound is not None and _sound[0] is plan and not state.order and _sound[1] == checked_for:
        return _sound[2], []
    try:
        form = plain_plan(plan)
    except ValueError as error:
        return plan, [f"it is no plan: {error}"]
    found = problems(form, state.contracts, state.goal.inputs, state.order, secret_names(state))
    if not found and not state.order:
        _sound = (plan, checked_for, form)
    return form, found


def _bounded(found: list[str]) -> tuple[str, ...]:
    """Problems are written down and shown again; a plan with a thousand of them is told the first."""
    more = len(found) - PROBLEMS_MAX
    return (*found[:PROBLEMS_MAX], f"and {more} more") if more > 0 else tuple(found)
