"""`propose(briefing) -> proposal` is the whole interface between a run and whatever thinks for it.

A fixed plan, a plain function and a model are reasoners. A proposal is never trusted: it is checked against the contracts like
any input from outside. Reasoners may be as non-deterministic as they like: what they proposed is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeVar, overload

import msgspec

from holdfast.core import values
from holdfast.core.commands import AskReasoner
from holdfast.core.contract import Contract
from holdfast.core.events import AnyEvent, FinishProposed, GiveUpProposed, PlanAdopted, ProposalFailed
from holdfast.core.facts import Fact
from holdfast.core.models import Part, Usage
from holdfast.core.pending import Pending
from holdfast.core.plan import Goal, Plan, Step, plain_plan, problems
from holdfast.core.state import State, StepState, secret_names
from holdfast.core.thinking import Phase, Question
from holdfast.reasoners.model import Listener

PROBLEMS_MAX = 50
_T = TypeVar("_T")


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
    proposal was not taken. phase: what it is asked for. facts: what the run believes. now: seconds since the epoch. request: for
    a model: which one, and the most that it may use. state: all that is known, for a reasoner that builds its own picture;
    None where one is made by hand. listener: hears what a model says while it says it."""

    run_id: str
    goal: Goal
    turn: int
    steps: Sequence[StepReport]
    tools: Sequence[Contract]
    problems: tuple[str, ...] = ()
    owed: Sequence[OwedReport] = ()
    changes: dict[str, float] = {}
    refused: Sequence[tuple[str, dict[str, Any]]] = ()
    phase: Phase = "plan"
    facts: Mapping[str, Fact] = {}
    now: float = 0.0
    request: AskReasoner | None = None
    state: State | None = None
    listener: Listener | None = None

    def result(self, step: str) -> Any:
        """The result of a finished step, or None."""
        return next((report.value for report in self.steps if report.id == step and report.phase == "done"), None)


class Finish(msgspec.Struct, frozen=True):
    """The goal is reached; result: any JSON. Steps that have not begun are dropped."""

    result: Any = None


class GiveUp(msgspec.Struct, frozen=True):
    """The goal cannot be reached."""

    reason: str


class Propose(msgspec.Struct, frozen=True, kw_only=True):
    """Steps to do next. dropped: steps not begun that are given up. confidence: how sure the reasoner is, 0 to 1."""

    plan: Plan
    reason: str = ""
    dropped: tuple[str, ...] = ()
    confidence: float = 1.0


class Keep(msgspec.Struct, frozen=True):
    """The plan that is under way stands."""

    reason: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Something must be known first. Whether a person is asked for it, or the guess is taken, is weighed by the run."""

    questions: tuple[Question, ...]
    reason: str = ""


class Interpret(msgspec.Struct, frozen=True, kw_only=True):
    """What the goal means. facts: what it says, and what is assumed; missing: what it does not say."""

    intent: str
    facts: tuple[Fact, ...] = ()
    missing: tuple[Question, ...] = ()


Proposal = Propose | Finish | GiveUp | Keep | Ask | Interpret


class Thought(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, beside what it proposes. model: that answered. said, usage, finish: see `model.Answer`. proposal: None
    where nothing that was said could be taken; problems: why. notes: facts that it concluded. bytes: of the request."""

    model: str
    said: tuple[Part, ...]
    usage: Usage
    finish: str = ""
    seconds: float = 0.0
    bytes: int = 0
    proposal: Proposal | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[Fact, ...] = ()


class Reasoner(Protocol):
    """See the module's text. Errors that it raises count against the run's bound of failed proposals; a `ModelFailure` is
    ruled on by its kind."""

    async def propose(self, briefing: Briefing) -> Proposal | Thought:
        """What to do next."""


class _Lazy(Sequence[_T]):
    """Reports that are made when somebody reads them: a model reads the state itself, and a long run has many steps."""

    def __init__(self, make: Callable[[], tuple[_T, ...]]):
        self._make = make

    @cached_property
    def _made(self) -> tuple[_T, ...]:
        return self._make()

    @overload
    def __getitem__(self, index: int) -> _T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...

    def __getitem__(self, index: int | slice) -> _T | Sequence[_T]:
        return self._made[index]

    def __len__(self) -> int:
        return len(self._made)

    def __eq__(self, other: object) -> bool:
        return self._made == (other._made if isinstance(other, _Lazy) else other)

    def __hash__(self) -> int:
        return hash(self._made)

    def __repr__(self) -> str:
        return repr(self._made)


def briefing(state: State, request: AskReasoner | None = None, now: float = 0.0, listener: Listener | None = None) -> Briefing:
    """What a reasoner is told about this state; pure."""
    return Briefing(
        run_id=state.run_id,
        goal=state.goal,
        turn=state.turn,
        steps=_Lazy(lambda: tuple(_step_report(state.steps[name]) for name in state.order)),
        tools=_Lazy(lambda: tuple(state.contracts.values())),
        problems=state.proposal_problems,
        owed=_Lazy(lambda: tuple(map(_owed_report, state.pending.values()))),
        changes=state.changes,
        refused=_Lazy(
            lambda: tuple((state.steps[name].tool, state.steps[name].args or {}) for name, *_ in state.failed_calls.values())
        ),
        phase=request.phase if request is not None else "plan",
        facts=state.facts,
        now=now or state.at,
        request=request,
        state=state,
        listener=listener,
    )


def _step_report(step: StepState) -> StepReport:
    return StepReport(
        id=step.step.id,
        tool=step.tool,
        phase=step.phase,
        attempts=step.attempt,
        value=step.value,
        reason=step.reason,
        left=step.left,
    )


def _owed_report(owed: Pending) -> OwedReport:
    return OwedReport(
        step=owed.step,
        tool=owed.tool,
        about=owed.about,
        by=owed.by,
        since=owed.since,
        until=owed.until,
        args=owed.args,
        items=owed.items,
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
