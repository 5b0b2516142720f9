"""The reasoner as a model: its requests and answers, what it asks, when its plan is in doubt, whether its result will do."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from holdfast.core import budget, routing
from holdfast.core import events as e
from holdfast.core.evolve.beliefs import learn
from holdfast.core.evolve.steps import add_steps, following, put
from holdfast.core.facts import Fact, is_guess, same_value
from holdfast.core.models import Part
from holdfast.core.plan import Goal
from holdfast.core.routing import Tried
from holdfast.core.state import Setback, State, StepState, Turn
from holdfast.core.thinking import Question


def thinking_changed(state: State, event: e.ThinkingChanged, entry: e.Entry) -> State:
    """What other models would not do says nothing of these, and nobody need say whether those are asked again."""
    interrupts = {name: asked for name, asked in state.interrupts.items() if asked.about != "reasoner"}
    return following(state, entry, thinking=event.thinking, setbacks=(), reason_at=0.0, interrupts=interrupts)


# --- requests -----------------------------------------------------------------------------------------------------


def requested(state: State, event: e.ProposalRequested) -> dict[str, Any]:
    """The fields of the state that change with a request to a model. What comes in from now on it does not hear of."""
    if not event.model:
        return {}
    changes: dict[str, Any] = {"asking_model": event, "reason_at": 0.0}
    changes |= {"told_suspicions": len(state.suspicions), "told_steps": len(state.unseen)}
    if event.reserved is not None:
        changes["reserved"] = {**state.reserved, "": event.reserved}
    return changes


def model_answered(state: State, event: e.ModelAnswered, entry: e.Entry) -> State:
    """What it proposes follows in an event of its own, which closes the request."""
    phase = state.asking_model.phase if state.asking_model is not None else "plan"
    turn = Turn(turn=event.turn, phase=phase, model=event.model, said=event.said, at=entry.at)
    kept = tuple(setback for setback in state.setbacks if setback.model != event.model or setback.context)
    call_ids = state.call_ids
    for part in event.said:
        if part.kind == "call" and part.id:
            call_ids = call_ids.insert(part.id, event.model)
    return following(
        state,
        entry,
        call_ids=call_ids,
        turns=(*state.turns, turn),
        conversation_bytes=state.conversation_bytes + _said_bytes(event.said),
        setbacks=tuple(setback for setback in kept if setback.context or setback.until > entry.at),
        spent=state.spent + event.usage,
        reserved=_freed(state),
    )


def model_failed(state: State, event: e.ModelFailed, entry: e.Entry) -> State:
    """The turn goes on: the same model later, or another one now."""
    thinking, failure = state.thinking, event.failure
    assert thinking is not None, "only a run that asks models has one that failed"
    context = _is_context(failure)
    before = sum(1 for each in state.setbacks if each.model == event.model and each.context == context and not each.lost)
    until = routing.until_after(
        thinking,
        failure.kind,
        context=context,
        failures=before + 1,
        at=entry.at,
        run_id=state.run_id,
        model=event.model,
        retry_after_seconds=failure.retry_after_seconds,
    )
    asked = state.asking_model.reserved if state.asking_model is not None else None
    setback = Setback(
        model=event.model,
        kind=failure.kind,
        message=failure.message,
        until=until,
        context=context,
        input_bytes=asked.input_tokens // 2 if context and asked is not None else 0,
    )
    return following(
        state,
        entry,
        proposing=None,
        setbacks=(*state.setbacks, setback),
        spent=state.spent + event.usage,
        reserved=_freed(state),
    )


def model_call_lost(state: State, event: e.ModelCallLost, entry: e.Entry) -> State:
    """It is asked again at once; but one whose answers take the worker down, each time, is not asked for ever."""
    losses = 1 + sum(1 for each in state.setbacks if each.model == event.model and each.lost)
    until = entry.at if losses <= state.limits.lost_max else routing.NEVER
    said = f"whoever asked it was gone before it answered, {losses} times"
    setback = Setback(model=event.model, kind="crashed", message=said, until=until, lost=True)
    return following(
        state,
        entry,
        proposing=None,
        setbacks=(*state.setbacks, setback),
        spent=state.spent + event.usage,
        reserved=_freed(state),
        news=True,
    )


def reasoner_held(state: State, event: e.ReasonerHeld, entry: e.Entry) -> State:
    return following(state, entry, reason_at=event.until)


def tried(state: State) -> dict[str, Tried]:
    """What is known of the models that did not answer."""
    found: dict[str, Tried] = {}
    for setback in state.setbacks:
        before = found.get(setback.model, Tried())
        sizes = [size for size in (before.input_bytes, setback.input_bytes) if size]
        found[setback.model] = Tried(
            failures=before.failures + 1,
            until=max(before.until, setback.until),
            kind=setback.kind,
            message=setback.message,
            input_bytes=min(sizes) if sizes else before.input_bytes,
        )
    return found


def _is_context(failure: e.Failure) -> bool:
    return isinstance(failure.detail, dict) and failure.detail.get("context") is True


def _freed(state: State) -> dict[str, Any]:
    return {name: held for name, held in state.reserved.items() if name}


def _said_bytes(said: tuple[Part, ...]) -> int:
    """What a turn adds to the requests after it, apart from what its steps were called with and what they return: all that goes
    back to the provider, and for each call what frames it and its result."""
    texts = sum(len(f"{part.text}{part.signature}{part.problem}".encode("utf-8", "replace")) for part in said)
    values = (value for part in said for value in (part.args, part.details) if value is not None)
    calls = sum(part.kind == "call" for part in said)
    return texts + sum(len(msgspec.json.encode(value)) for value in values) + calls * routing.CALL_BYTES


# --- turns --------------------------------------------------------------------------------------------------------


def closed(state: State, turn: int, outcome: str, problems: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of the state that change when the reasoner's turn is over: what it knows now, and what is not in doubt any
    more. A turn of which nothing could be taken leaves the doubts as they are, and so does any the doubts that came up while it
    was asked."""
    changes: dict[str, Any] = {"proposing": None}
    if (held := state.reserved.get("")) is not None:
        # Nothing was heard of what its request used.
        changes |= {"spent": state.spent + budget.lost(held), "reserved": _freed(state)}
    if state.turns and state.turns[-1].turn == turn and not state.turns[-1].outcome:
        last = replace(state.turns[-1], outcome=outcome, problems=problems)
        changes["turns"] = (*state.turns[:-1], last)
    if outcome != "failed":
        changes |= {
            "proposal_failures": 0,
            "proposal_problems": (),
            "suspicions": late_doubts(state),
            "unseen": state.unseen[state.told_steps :],
        }
    return changes


def late_doubts(state: State) -> tuple[str, ...]:
    """Why the plan may be wrong that the reasoner had not heard of when it was asked: what it says does not settle them."""
    return state.suspicions[state.told_suspicions :]


def plan_kept(state: State, event: e.PlanKept, entry: e.Entry) -> State:
    return following(state, entry, **closed(state, event.turn, "keep"))


def drop_steps(state: State, entry: e.Entry, names: tuple[str, ...], reason: str) -> State:
    """Give up steps that have not begun. One that began while that was proposed goes on."""
    for name in names:
        step = state.steps.get(name)
        if step is not None and not has_begun(step):
            interrupts = {other: asked for other, asked in state.interrupts.items() if other != step.interrupt}
            state = put(state, entry, replace(step, phase="skipped", reason=reason, interrupt=None), interrupts=interrupts)
    return state


def has_begun(step: StepState) -> bool:
    """Whether a step was called, or has ended. One that a person is asked about first, or that is held back, has not begun."""
    if step.phase in ("blocked", "ready"):
        return False
    return step.attempt > 0 or step.phase not in ("asking", "waiting", "checking")


def goal_changed(state: State, event: e.GoalChanged, entry: e.Entry) -> State:
    """The goal is another one from now on; what is done stays done. Whoever plans is told."""
    suspicions = state.suspicions
    if state.thinking is not None:
        suspicions = (*suspicions, f"{event.by} changed the goal" + (f": {event.note}" if event.note else ""))
    goal = Goal(text=event.goal.text or state.goal.text, inputs={**state.goal.inputs, **event.goal.inputs})
    changes: dict[str, Any] = {}
    if state.thinking is not None:
        given = [Fact(name=name, value=value, by=event.by, at=entry.at) for name, value in event.goal.inputs.items()]
        changes = learn(state, given)
        state = _unasked(state, entry)
        state = _without_unjudged(state, entry)
    return following(
        state,
        entry,
        goal=goal,
        conversation_bytes=state.conversation_bytes + len(msgspec.json.encode(event.goal)),
        suspicions=suspicions,
        finishing=False,
        result=None,
        accepted=False,
        checks=without_check(state),  # What was found of a result for the old goal says nothing of one for this.
        news=True,
        **changes,
    )


def _without_unjudged(state: State, entry: e.Entry) -> State:
    """A plan that nobody has approved yet was for the goal as it was."""
    if state.unjudged is None:
        return state
    planned = tuple(step.id for step in state.unjudged.steps)
    interrupts = {name: asked for name, asked in state.interrupts.items() if asked.about != "plan"}
    state = replace(state, unjudged=None, plan_asked=None, plan_checks=None, interrupts=interrupts)
    return drop_steps(state, entry, planned, "the goal changed")


def _unasked(state: State, entry: e.Entry) -> State:
    """Calls that a person was asked about, or approved, and that were never made, are for the goal as it was: nobody approves
    them now, and what was approved is asked about anew."""
    for name in state.order:
        step = state.steps[name]
        if step.approved is not None and step.attempt == 0:
            state = replace(
                state, steps=state.steps.insert(name, replace(step, approved=None, was_asked=len(step.approved_by) or 1))
            )
    for interrupt, asked in state.interrupts.items():
        if asked.about == "call" and (step := state.steps[asked.step]).attempt == 0:
            interrupts = {name: other for name, other in state.interrupts.items() if name != interrupt}
            given_up = replace(step, phase="skipped", reason="the goal changed", interrupt=None)
            state = put(state, entry, given_up, interrupts=interrupts, unseen=(*state.unseen, asked.step))
    return state


def plan_suspected(state: State, event: e.PlanSuspected, entry: e.Entry) -> State:
    failures = 0 if event.why == "failures" else state.failures
    if state.finishing:  # What it would finish with was said before that.
        state = replace(state, finishing=False, result=None, accepted=False, checks=without_check(state))
    return following(state, entry, suspicions=(*state.suspicions, event.reason), failures=failures, news=True)


# --- questions ----------------------------------------------------------------------------------------------------


def questions_proposed(state: State, event: e.QuestionsProposed, entry: e.Entry) -> State:
    return following(state, entry, weighing=(*state.weighing, *event.questions), **closed(state, event.turn, "ask"))


def goal_interpreted(state: State, event: e.GoalInterpreted, entry: e.Entry) -> State:
    """What the words say is believed; what they do not say is weighed, question by question."""
    # What was given with the goal, or seen, is not changed by how its words are read.
    new = [fact for fact in event.facts if (known := state.facts.get(fact.name)) is None or is_guess(known) or known.stale]
    learned = learn(state, [replace(fact, at=entry.at) for fact in new])
    return following(
        state,
        entry,
        interpreted=True,
        intent=event.intent,
        weighing=(*state.weighing, *event.missing),
        news=state.news or not state.interpreted,
        **learned,
        **closed(state, event.turn, "interpret"),
    )


def inferred(state: State, event: e.Inferred, entry: e.Entry) -> State:
    """A guess is believed, as one."""
    question = event.question
    fact = Fact(
        name=question.name,
        value=question.guess,
        source="inferred",
        by="the reasoner",
        at=entry.at,
        confidence=question.confidence,
        rests_on=question.rests_on,
        basis=question.basis,
    )
    weighing = tuple(other for other in state.weighing if other.name != question.name)
    before = state.facts.get(fact.name)
    is_new = before is None or not same_value(before.value, fact.value)
    return following(state, entry, weighing=weighing, news=state.news or is_new, **learn(state, [fact]))


def question_asked(state: State, question: Question) -> dict[str, Any]:
    """The fields of the state that change when a person is asked."""
    weighing = tuple(other for other in state.weighing if other.name != question.name)
    return {"weighing": weighing, "questions": {**state.questions, question.name: question}}


def question_answered(state: State, event: e.Answered, entry: e.Entry, question: Question) -> dict[str, Any]:
    """What a person said is a fact. That they will not say is one, too."""
    questions = {name: other for name, other in state.questions.items() if name != question.name}
    if event.decision != "respond":
        return {"questions": questions, "unanswered": _unanswered(state, question, f"{event.by} does not say"), "news": True}
    told = Fact(name=question.name, value=event.value, source="told", by=event.by, at=entry.at, pinned=True)
    return {"questions": questions, "news": True, **learn(state, [told])}


def question_expired(state: State, question: Question) -> dict[str, Any]:
    """Silence is no answer; the reasoner is told that there was none."""
    questions = {name: other for name, other in state.questions.items() if name != question.name}
    return {"questions": questions, "unanswered": _unanswered(state, question, "nobody answered"), "news": True}


def _unanswered(state: State, question: Question, why: str) -> dict[str, str]:
    return {**state.unanswered, question.name: why}


# --- whether it is done -------------------------------------------------------------------------------------------


def check_planned(state: State, event: e.CheckPlanned, entry: e.Entry) -> State:
    return add_steps(state, entry, (event.step,), checks={**state.checks, "": event.step.id})


def finish_ruled(state: State, event: e.FinishRuled, entry: e.Entry) -> State:
    """A result that will not do goes back to the reasoner, also where the plan was to be the last one."""
    checks = without_check(state)
    if event.accepted:
        return following(state, entry, checks=checks, accepted=True)
    return following(
        state,
        entry,
        checks=checks,
        finishing=False,
        final=False,
        result=None,
        refusals=state.refusals + 1,
        refused_because=(*state.refused_because, event.reason),
        news=True,
    )


def without_check(state: State) -> dict[str, str]:
    """What looks at a result looks at this one only; that the step was such a look is kept."""
    found = {name: of for name, of in state.checks.items() if name}
    return found | {state.checks[""]: ""} if "" in state.checks else found


# --- money --------------------------------------------------------------------------------------------------------


def spent_by(state: State, step: str, event: e.Event, *, keep: bool = False) -> dict[str, Any]:
    """The fields of the state that change when a call has ended: what it cost is settled, as it says or as it was declared.
    keep: what it started goes on, or may, and keeps its share of the budget."""
    usage = getattr(event, "spent", None)
    held = state.reserved.get(step)
    if usage is None and (held is None or keep):
        return {}
    changes: dict[str, Any] = {}
    if held is not None and not keep:
        changes["reserved"] = {name: other for name, other in state.reserved.items() if name != step}
        usage = usage if usage is not None else budget.lost(held, requests=0)
    if usage is not None:
        changes["spent"] = state.spent + usage
    return changes
