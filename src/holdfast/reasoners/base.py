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
from holdfast.core.contract import Contract, digest
from holdfast.core.events import (
    AnyEvent,
    FactsLearned,
    FinishProposed,
    GiveUpProposed,
    GoalInterpreted,
    Instructed,
    ModelAnswered,
    PlanAdopted,
    PlanKept,
    ProposalFailed,
    QuestionsProposed,
)
from holdfast.core.evolve.minds import has_begun
from holdfast.core.evolve.runs import plans_left
from holdfast.core.facts import RANK, Fact, name_problem
from holdfast.core.models import Part, Usage, cost
from holdfast.core.pending import Pending
from holdfast.core.plan import Goal, Plan, Step, plain_plan
from holdfast.core.soundness import problems, schema_problem
from holdfast.core.state import State, StepState, secret_names, standing_effect
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
    None where one is made by hand. listener: hears what a model says while it says it. instructions: what people said that
    the run is to go by, the oldest first."""

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
    instructions: Sequence[Instructed] = ()

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
    """What a reasoner is told about this state; pure. request: what it is asked. now: seconds since the epoch."""
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
        instructions=state.instructions,
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


def events_of(proposal: object, state: State, turn: int) -> tuple[AnyEvent, ...]:
    """The events that come of what a reasoner returned: what a model said, the facts that it noted, and its proposal, adopted if
    it is sound, else failed with every problem. They belong into one commit."""
    if not isinstance(proposal, Thought):
        return (taken(proposal, state, turn),)
    events: list[AnyEvent] = [_answered(proposal, state, turn)]
    if notes := _notes(proposal, state):
        events.append(FactsLearned(facts=notes, reason=f"noted by {proposal.model}"))
    if proposal.proposal is None:
        problems = proposal.problems or ("nothing was proposed",)
        events.append(ProposalFailed(turn=turn, problems=_bounded(list(problems))))
    else:
        events.append(taken(proposal.proposal, state, turn))
    return tuple(events)


def _answered(thought: Thought, state: State, turn: int) -> ModelAnswered:
    """What it cost is worked out here, by the price that was written down when the run started."""
    terms = state.thinking.models.get(thought.model) if state.thinking is not None else None
    usage = msgspec.structs.replace(thought.usage, requests=1)
    if terms is not None:
        usage = msgspec.structs.replace(usage, cost_usd=cost(terms.price, usage))
    return ModelAnswered(
        turn=turn,
        model=thought.model,
        usage=usage,
        said=thought.said,
        finish=thought.finish,
        seconds=thought.seconds,
        bytes=thought.bytes,
    )


def _notes(thought: Thought, state: State) -> tuple[Fact, ...]:
    """What a model concluded is a guess, and never takes the place of what was seen or said."""
    found = []
    for fact in thought.notes:
        known = state.facts.get(fact.name)
        if known is not None and (known.pinned or RANK[known.source] > RANK["inferred"]):
            continue
        found.append(msgspec.structs.replace(fact, source="inferred", by=thought.model, confirmed_by="", pinned=False))
    return tuple(found)


def taken(proposal: object, state: State, turn: int) -> AnyEvent:
    """The event that a proposal becomes: adopted if it is sound, else failed with every problem."""
    if isinstance(proposal, (Plan, Step)):
        proposal = Propose(plan=proposal if isinstance(proposal, Plan) else Plan(steps=(proposal,), final=False))
    match proposal:
        case Finish(result):
            return _finished(result, state, turn)
        case GiveUp(reason):
            return GiveUpProposed(turn=turn, reason=reason)
        case Keep(reason):
            return PlanKept(turn=turn, reason=reason)
        case Ask(questions=questions, reason=reason):
            return _asked(questions, reason, state, turn)
        case Interpret():
            return _interpreted(proposal, state, turn)
        case Propose():
            return _adopted(proposal, state, turn)
        case _:
            pass
    return ProposalFailed(
        turn=turn, problems=(f"{type(proposal).__name__} is no proposal; return a Plan, a Step, Finish, Ask or GiveUp",)
    )


def _finished(result: Any, state: State, turn: int) -> AnyEvent:
    try:
        plain = values.plain(result)
    except ValueError as error:
        return ProposalFailed(turn=turn, problems=(f"the result cannot be written as JSON: {error}",))
    schema = state.thinking.result_schema if state.thinking is not None else {}
    if schema and (wrong := schema_problem(plain, schema)):
        return ProposalFailed(turn=turn, problems=(f"the result is not of the form that is asked for: {wrong}",))
    return FinishProposed(turn=turn, result=plain)


def _interpreted(proposal: Interpret, state: State, turn: int) -> AnyEvent:
    """What is known already, or was asked, is not missing."""
    said = {fact.name for fact in proposal.facts}
    known = state.facts.keys() | state.unanswered.keys() | state.questions.keys() | said
    missing = {question.name: question for question in reversed(proposal.missing) if question.name not in known}
    asked = tuple(question for question in proposal.missing if missing.get(question.name) is question)
    if found := [problem for question in asked for problem in _question_problems(question)]:
        return ProposalFailed(turn=turn, problems=_bounded(found))
    return GoalInterpreted(turn=turn, intent=proposal.intent, facts=proposal.facts, missing=asked)


def _question_problems(question: Question) -> list[str]:
    """Why a question cannot be put to a person, or its guess not be taken; nothing where both can."""
    if wrong := name_problem(question.name):
        return [wrong]
    try:
        plain = values.plain(msgspec.to_builtins(question))
        guess = values.plain(question.guess)
    except (ValueError, TypeError) as error:
        return [f"the question {question.name} cannot be written as JSON: {error}"]
    if plain.get("answer_schema") and question.has_guess and (wrong := schema_problem(guess, question.answer_schema)):
        return [f"the guess for {question.name} is no answer to it: {wrong}"]
    return []


def _asked(questions: tuple[Question, ...], reason: str, state: State, turn: int) -> AnyEvent:
    """Nobody is asked twice: what was answered is known, and who did not answer is not asked again."""
    found = []
    names: set[str] = set()
    for question in questions:
        found += _question_problems(question)
        if question.name in names:
            found.append(f"{question.name} is asked twice")
        names.add(question.name)
        known = state.facts.get(question.name)
        if known is not None and not known.stale and known.source in ("told", "observed"):
            found.append(f"{question.name} is known already: it is {known.value!r}")
        elif question.name in state.unanswered:
            found.append(f"{question.name} was asked, and {state.unanswered[question.name]}; go on without it, or give up")
        elif question.name in state.questions:
            found.append(f"{question.name} is being asked")
    if not questions:
        found.append("nothing is asked")
    if found:
        return ProposalFailed(turn=turn, problems=_bounded(found))
    return QuestionsProposed(turn=turn, questions=questions, reason=reason)


def _adopted(proposal: Propose, state: State, turn: int) -> AnyEvent:
    if state.thinking is not None and not plans_left(state):
        most = state.limits.revisions_max
        said = f"the run may have {most} plans, and this would be one more; leave the plan as it is, finish, or give up"
        return ProposalFailed(turn=turn, problems=(said,))
    plan, found = _checked(proposal.plan, state)
    for name in proposal.dropped:
        step = state.steps.get(name)
        if step is None:
            found.append(f"there is no step {name} to drop")
        elif has_begun(step) and step.phase != "skipped":  # One that fell in the meantime is dropped already.
            found.append(f"step {name} has begun, and is {step.phase}: it cannot be dropped")
    found += _repeats(plan, state)
    if not found and not plan.steps and not plan.final and not proposal.dropped:
        found.append("the proposal has no step, and says neither finish nor give up")
    if found:
        return ProposalFailed(turn=turn, problems=_bounded(found))
    return PlanAdopted(turn=turn, revision=state.revision + 1, plan=plan, reason=proposal.reason, dropped=proposal.dropped)


def _repeats(plan: Plan, state: State) -> list[str]:
    """Steps that would do an effect again which is done or under way. One that is meant has another occurrence."""
    found = []
    for step in plan.steps if state.thinking is not None else ():
        contract = state.contracts.get(step.tool)
        if contract is None or contract.safety in ("read", "idempotent") or step.undoes:
            continue
        name = standing_effect(state, digest([step.tool, step.args]), step.occurrence)
        if name is not None:
            found.append(f"step {step.id} would repeat step {name}, which is {state.steps[name].phase}: use its result")
    return found


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
