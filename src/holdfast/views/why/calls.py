"""The calls of a step, one by one: what led to each, what it rested on, what came of it, and what was ruled then."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.plan import waits_for
from holdfast.views.entries import changes_words, failure_words
from holdfast.views.why.causes import cause
from holdfast.views.why.facts import budget_then, facts_then, origins_then, redacted_args
from holdfast.views.why.links import said
from holdfast.views.why.past import Past
from holdfast.views.why.records import Attempt, Basis
from holdfast.views.words import FIELD_MAX, cut, listed, moment, span, usage_words

_OUTCOMES: dict[type, str] = {
    e.CallSucceeded: "ok", e.CallPartial: "partial", e.CallDeferred: "deferred", e.CallFailed: "failed", e.CallUnknown: "unknown",
}  # fmt: skip
_RULINGS = (
    e.RetryRuled, e.RecoveryRuled, e.FallbackRuled, e.PendingRuled, e.StepFailed, e.StepSkipped, e.Asked, e.RestPlanned,
    e.ReuseRuled, e.ProbeIntended, e.StepDoneByHand, e.CallbackReceived, e.ChildEnded,
)  # fmt: skip


def attempts(past: Past, step: str) -> tuple[Attempt, ...]:
    """The calls of a step, in order."""
    return tuple(_attempts(past, step))


def _attempts(past: Past, step: str) -> Iterator[Attempt]:
    before: Attempt | None = None
    args_before: object = None
    for number in past.of_step.get(step, ()):
        event = past.event(number)
        if not isinstance(event, e.CallIntended):
            continue
        made = _attempt(past, number, event, before, args_before)
        before, args_before = made, event.args
        yield made


def _attempt(past: Past, number: int, event: e.CallIntended, before: Attempt | None, args_before: object) -> Attempt:
    step = event.step
    because = cause(past, number)
    same_args = before is not None and before.tool == event.tool and args_before == event.args
    facts = facts_then(past, step, number)
    outcome = _outcome_of(past, step, number)
    ruled = _ruled(past, step, outcome or number)
    contract = past.before(number).contracts.get(event.tool)
    return Attempt(
        number=event.attempt, entry=number, at=past.at(number), tool=event.tool, key=event.key,
        safety=contract.safety if contract is not None else "", because=led_words(past, number, because),
        because_entry=because, basis=basis(past, because), row=getattr(past.event(because), "row", "") if because else "",
        args={} if same_args else redacted_args(past.state, references.unmarked(event.args)), same_args=same_args,
        same_key=before is not None and before.key == event.key,
        origins=() if same_args else origins_then(past, step, event.tool, event.args, number),
        facts=() if same_args and before is not None and before.facts == facts else facts,
        budget=budget_then(past, step, number, event.reserved),
        outcome=_OUTCOMES[type(past.event(outcome))] if outcome else "open", outcome_entry=outcome,
        ended_at=past.at(outcome) if outcome else None,
        after_seconds=round(max(past.at(outcome) - past.at(number), 0.0), 3) if outcome else None,
        said=outcome_words(past, outcome) if outcome else "", then=said(past, ruled) if ruled else "", then_entry=ruled,
        of_source=number < past.forked,
    )  # fmt: skip


def _outcome_of(past: Past, step: str, number: int) -> int:
    """The entry with the outcome of a call; 0 where there is none yet."""
    after = number
    while after := past.next_of(step, after):
        event = past.event(after)
        if isinstance(event, e.CallIntended):
            return 0
        if type(event) in _OUTCOMES:
            return after
    return 0


def _ruled(past: Past, step: str, after: int) -> int:
    """What was ruled next on a step; 0 where its call just ended it."""
    if isinstance(past.event(after), e.CallSucceeded):
        return 0
    following = past.next_of(step, after)
    return following if following and isinstance(past.event(following), _RULINGS) else 0


def basis(past: Past, because: int) -> Basis:
    """Of what kind it is that led to something."""
    event = past.event(because) if because else None
    match event:
        case None:
            return "outside"
        case e.PlanAdopted() | e.UndoPlanned() | e.CheckPlanned() | e.ReobservationPlanned() | e.RestPlanned():
            return "plan"
        case e.Answered() | e.StepDoneByHand() | e.GoalChanged() | e.Instructed():
            return "word"
        case e.CallSucceeded() | e.CallFailed() | e.CallUnknown() | e.CallPartial() | e.CallDeferred() | e.ProbeAnswered():
            return "outcome"
        case _:
            return "ruling"


def led_words(past: Past, number: int, because: int) -> str:
    """What led to a call, in words."""
    if not because:
        return "the journal does not say"
    event, step = past.event(because), getattr(past.event(number), "step", "")
    match event:
        case e.PlanAdopted(revision=revision):
            return f"plan {revision} has it{_approved(past, because, number)}{_when_ready(past, step, number)}"
        case e.UndoPlanned(reason=reason):
            return f"what was done is taken back: {cut(reason, FIELD_MAX)}"
        case e.RetryRuled(reason=reason):
            return f"retried: {cut(reason)}"
        case e.FallbackRuled(reason=reason):
            return f"fell back to {event.tool}: {cut(reason)}"
        case e.RecoveryRuled(row=row, reason=reason):
            return f"{reason} (row {row} of the recovery table)"
        case e.PendingRuled(row=row, reason=reason):
            return f"{reason} (row {row} of what is owed)"
        case e.Answered(interrupt=interrupt):
            return f"{interrupt}: {said(past, because)}"
        case e.RestPlanned(step=of):
            if event.rest.undoes:
                return f"what {event.rest.undoes} did is taken back before another way is tried"
            return f"{of} left it undone, or is meant again"
        case e.CheckPlanned():
            return "the proposed result is to be looked at"
        case e.ReobservationPlanned(fact=fact, for_step=for_step):
            return f"{for_step} needs {cut(fact, FIELD_MAX)} fresh, and it was too old"
        case _:
            return said(past, because)


def _approved(past: Past, plan: int, number: int) -> str:
    """Who let a plan be carried out, where somebody was asked."""
    for answered in past.of_kind.get(e.Answered, ()):
        event = past.event(answered)
        if plan < answered < number and isinstance(event, e.Answered) and event.decision == "approve":
            asked = past.question(event.interrupt)
            if asked is not None and asked.about == "plan" and past.asked[event.interrupt] > plan:
                return f", which {cut(event.by, FIELD_MAX)} approved ({event.interrupt})"
    return ""


def _when_ready(past: Past, step: str, number: int) -> str:
    """What a step had waited for that ended last."""
    waited = waited_for(past, step, number)
    return f", and {waited[0]} had ended {span(max(past.at(number) - past.at(waited[1]), 0.0))} before" if waited else ""


def waited_for(past: Past, step: str, number: int) -> tuple[str, int] | None:
    """Of the steps that one waits for, the one that ended last before an entry, and the entry that ended it."""
    known = past.state.steps.get(step)
    if known is None:
        return None
    ends = [(end, name) for name in waits_for(known.step, past.state.stand_ins) if 0 < (end := past.ended(name)) < number]
    return (max(ends)[1], max(ends)[0]) if ends else None


def outcome_words(past: Past, number: int) -> str:
    """What came of a call, in words."""
    event = past.event(number)
    match event:
        case e.CallSucceeded(value=value):
            return f"done: {cut(value, FIELD_MAX)}{_used(event)}"
        case e.CallPartial(left=left):
            return f"done in part; left: {listed(left)}{_used(event)}"
        case e.CallDeferred(by=by, handle=handle, until=until):
            named = f" as {cut(handle, FIELD_MAX)}" if handle else ""
            late = f" until {moment(until)}" if until is not None else ""
            return f"{cut(by, FIELD_MAX) or 'the other side'} took it{named} and owes its result{late}{_used(event)}"
        case e.CallFailed(failure=failure):
            wait = f"; it asked for {span(failure.retry_after_seconds)}" if failure.retry_after_seconds is not None else ""
            return f"failed: {failure_words(failure)}{wait}{_used(event)}"
        case e.CallUnknown(why=why):
            return f"nobody knew whether it happened: {cut(why)}{_used(event)}"
        case _:
            return said(past, number)


def _used(event: e.CallSucceeded | e.CallPartial | e.CallDeferred | e.CallFailed | e.CallUnknown) -> str:
    also = f"; also: {changes_words(event.changes)}" if not isinstance(event, e.CallUnknown) and event.changes else ""
    return also + (f"; it used {usage_words(event.spent)}" if event.spent is not None else "")
