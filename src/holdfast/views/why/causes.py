"""What led to an entry: for each kind of entry, the one before it that it follows from.

A cause is always earlier than what it led to, so a chain ends. What comes from outside (words, the start) has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from holdfast.core import events as e
from holdfast.core.state import State, source_of
from holdfast.views.why.past import Past

CHAIN_MAX = 40


def chain(past: Past, number: int) -> Iterator[int]:
    """An entry and what it came from, back to what came from outside; at most CHAIN_MAX of them."""
    for _ in range(CHAIN_MAX):
        if not number:
            return
        yield number
        number = cause(past, number)


def cause(past: Past, number: int) -> int:
    """The entry that led to this one; 0 where nothing in the journal did."""
    event = past.event(number)
    found = _CAUSES.get(type(event), _none)(past, number, event)
    return found if 0 < found < number else 0


def effects(past: Past, number: int, within: int) -> Iterator[int]:
    """What followed from an entry, as far as it is near behind it."""
    if past.effects is not None:
        yield from past.effects.get(number, ())
    elif number:
        nearby = range(number + 1, min(number + within, len(past.entries)) + 1)
        yield from (other for other in nearby if cause(past, other) == number)


def work_out(past: Past) -> None:
    """Work out at once what followed from every entry, for whoever wants most of it."""
    found: dict[int, list[int]] = {}
    for number in range(1, len(past.entries) + 1):
        if before := cause(past, number):
            found.setdefault(before, []).append(number)
    past.effects = found


def of_step(past: Past, step: str, number: int) -> int:
    """What was said of a step before an entry, or else what brought it."""
    return past.last_of(step, number) or _earlier(past.brought.get(step, 0), number)


# --- one for each kind of entry -----------------------------------------------------------------------------------


def _none(past: Past, number: int, event: e.AnyEvent) -> int:
    return 0


def _of_its_step(past: Past, number: int, event: Any) -> int:
    return of_step(past, event.step, number)


def _intended(past: Past, number: int, event: e.CallIntended) -> int:
    before = past.last_of(event.step, number)
    # What a policy says of a call, and a call that was held, were said of one that was there already.
    while before and isinstance(past.event(before), (e.PolicyRuled, e.ChecksAnswered, e.ChecksIntended, e.CallHeld)):
        before = past.last_of(event.step, before)
    return before or past.brought.get(event.step, 0)


def _of_its_question(past: Past, number: int, event: Any) -> int:
    return past.asked.get(event.interrupt, 0)


def _of_its_turn(past: Past, number: int, event: Any) -> int:
    return past.last((e.ModelAnswered, e.ProposalRequested), number)


def _of_its_request(past: Past, number: int, event: Any) -> int:
    return past.last((e.ProposalRequested,), number)


def _requested(past: Past, number: int, event: e.ProposalRequested) -> int:
    """Why the reasoner is asked: what has just come to be known."""
    if event.attempt > 1:
        return past.last((e.ModelFailed, e.ModelCallLost, e.Answered), number)
    before = past.before(number)
    if event.phase == "diagnose" or before.suspicions:
        last = past.last(_DOUBTS, number)
        if last:
            return last
    if before.proposal_failures:
        return past.last((e.ProposalFailed,), number)
    unseen = [name for name in before.unseen if before.steps[name].phase in ("done", "skipped", "failed")]
    if unseen:
        return past.ended(unseen[-1])
    return past.last(_NEWS, number) or 1


_DOUBTS = (
    e.PlanSuspected, e.GoalChanged, e.Instructed, e.StepSkipped, e.FinishRuled, e.InterruptExpired, e.Answered, e.PolicyRuled,
)  # fmt: skip
_NEWS = (
    e.Answered, e.InterruptExpired, e.Inferred, e.FinishRuled, e.CallSucceeded, e.CallPartial, e.StepSkipped, e.StepFailed,
    e.PendingRuled, e.RecoveryRuled, e.ReuseRuled, e.StepDoneByHand, e.GoalInterpreted, e.MemoryRecalled, e.FactsInvalidated,
    e.ProposalFailed, e.RunForked,
)  # fmt: skip


def _skipped(past: Past, number: int, event: e.StepSkipped) -> int:
    before = past.before(number)
    step = before.steps[event.step]
    if event.needless and step.step.alternative_to:
        done = source_of(before, step.step.alternative_to)
        return past.ended(done or step.step.alternative_to)
    if step.phase in ("ready", "blocked") and (blocker := _blocker(before, event.step)):
        return past.ended(blocker)
    return of_step(past, event.step, number)


def _blocker(state: State, name: str) -> str:
    return next((other for other in state.steps[name].reads if source_of(state, other) is None), "")


def _reused(past: Past, number: int, event: e.ReuseRuled) -> int:
    return _earlier(past.ended(event.same_as), number) or of_step(past, event.step, number)


def _suppressed(past: Past, number: int, event: e.FollowUpSuppressed) -> int:
    return past.last_of(event.same_as, number) or of_step(past, event.step, number)


def _refused(past: Past, number: int, event: e.CallRefused) -> int:
    other = past.last_of(event.same_as, number) if event.same_as and event.same_as != event.step else 0
    return other or of_step(past, event.step, number)


def _held(past: Past, number: int, event: e.CallHeld) -> int:
    refused = past.last((e.RoomRefused,), number)
    return refused if refused and past.at(refused) == past.at(number) else of_step(past, event.step, number)


def _asked(past: Past, number: int, event: e.Asked) -> int:
    match event.about:
        case "plan":
            return past.last((e.PlanAdopted,), number)
        case "stop":
            return _earlier(past.cancelled or past.stopping, number)
        case "question":
            return past.last((e.QuestionsProposed, e.GoalInterpreted), number)
        case "reasoner":
            return past.last((e.ModelFailed, e.ModelCallLost), number)
        case "agent":
            return past.last((e.AgentChanged,), number)
        case "handoff":
            return past.last((e.HandoffRequested,), number)
        case "fact":
            return _guess(past, number, event.facts) or of_step(past, event.step, number)
        case _:
            return of_step(past, event.step, number)


def _guess(past: Past, number: int, names: tuple[str, ...]) -> int:
    """Where one of these facts was guessed last."""
    for kind in (e.Inferred, e.MemoryRecalled, e.GoalInterpreted, e.FactsLearned):
        for guessed in reversed(past.of_kind.get(kind, ())):
            event = past.event(guessed)
            found = {event.question.name} if isinstance(event, e.Inferred) else {one.name for one in getattr(event, "facts", ())}
            if guessed < number and not found.isdisjoint(names):
                return guessed
    return 0


def _withdrawn(past: Past, number: int, event: e.InterruptWithdrawn) -> int:
    asked = past.asked.get(event.interrupt, 0)
    return max(past.last((e.PolicyChanged, e.AgentChanged, e.FactsLearned, e.PlanAdopted), number), asked)


def _pended(past: Past, number: int, event: e.PendingRuled) -> int:
    owed = past.before(number).pending.get(event.step)
    if owed is not None and owed.settled_by == "signal":
        return past.last((e.SignalReceived,), number)
    return of_step(past, event.step, number)


def _rest(past: Past, number: int, event: e.RestPlanned) -> int:
    return of_step(past, event.step, number)


def _ruled_by_policy(past: Past, number: int, event: e.PolicyRuled) -> int:
    return of_step(past, event.step, number) if event.step else past.last((e.PlanAdopted,), number)


def _checks(past: Past, number: int, event: Any) -> int:
    if isinstance(event, e.ChecksAnswered):
        return past.last((e.ChecksIntended,), number)
    return of_step(past, event.step, number) if event.step else past.last((e.PlanAdopted,), number)


def _observed(past: Past, number: int, event: e.FactsLearned) -> int:
    return past.last_of(event.step, number) if event.step else 0


def _invalidated(past: Past, number: int, event: e.FactsInvalidated) -> int:
    return past.last(
        (e.FactsLearned, e.Answered, e.GoalChanged, e.CallSucceeded, e.PendingRuled, e.StepDoneByHand, e.StepSkipped), number
    )


def _reobserved(past: Past, number: int, event: e.ReobservationPlanned) -> int:
    return past.last((e.FactsLearned, e.FactsInvalidated, e.Inferred, e.MemoryRecalled), number) or of_step(
        past, event.for_step, number
    )


def _suspected(past: Past, number: int, event: e.PlanSuspected) -> int:
    kinds: dict[str, tuple[type, ...]] = {
        "failures": (e.StepSkipped, e.StepFailed), "drift": (e.FactsLearned,), "correction": (e.FactsLearned, e.Answered),
        "goal": (e.GoalChanged,), "answer": (e.Answered, e.InterruptExpired), "partial": (e.CallPartial, e.PendingRuled),
    }  # fmt: skip
    return past.last(kinds[event.why], number)


def _check_planned(past: Past, number: int, event: e.CheckPlanned) -> int:
    return past.last((e.FinishProposed, e.CallSucceeded), number)


def _finish_ruled(past: Past, number: int, event: e.FinishRuled) -> int:
    check = past.before(number).checks.get("")
    return (_earlier(past.ended(check), number) if check else 0) or past.last((e.FinishProposed, e.CallSucceeded), number)


def _limited(past: Past, number: int, event: e.LimitReached) -> int:
    for limits, kinds in _LIMITS:
        if event.limit in limits:
            return past.last(kinds, number)
    return past.last(_SPENDING, number) if event.limit.startswith("changes.") else 0


_SPENDING = (e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown)
_LIMITS: tuple[tuple[frozenset[str], tuple[type, ...]], ...] = (
    (frozenset({"turns_max", "idle_turns_max", "revisions_max"}), (e.StepSkipped, e.StepFailed, *_SPENDING, e.ModelAnswered)),
    (frozenset({"cost_usd_max", "tokens_max"}), (e.ModelAnswered, e.ModelFailed, e.ModelCallLost, e.ChildEnded, *_SPENDING)),
    (frozenset({"proposal_failures_max"}), (e.ProposalFailed,)),
    (frozenset({"refusals_max"}), (e.Answered, e.InterruptExpired)),
    (frozenset({"finishes_max"}), (e.FinishRuled,)),
    (frozenset({"attempts_max", "children_max"}), (e.CallIntended,)),
    (frozenset({"steps_max"}), (e.PlanAdopted, e.RestPlanned)),
)


def _undone(past: Past, number: int, event: e.UndoPlanned) -> int:
    agreed = past.last((e.Answered,), number)
    if agreed and (asked := past.question(getattr(past.event(agreed), "interrupt", ""))) is not None and asked.about == "stop":
        return agreed
    return _earlier(past.cancelled or past.stopping, number)


def _failed(past: Past, number: int, event: e.RunFailed) -> int:
    return _earlier(past.stopping, number) or past.last((e.ProposalFailed, e.LimitReached, e.StepFailed), number)


def _cancelled(past: Past, number: int, event: e.RunCancelled) -> int:
    return _earlier(past.cancelled, number)


def _completed(past: Past, number: int, event: e.RunCompleted) -> int:
    """What is not wholly done comes first; then who said that it is done; then the last step of it."""
    for name in (*event.flagged, *event.skipped, *event.partial):
        if found := _earlier(past.ended(name), number):
            return found
    if past.state.thinking is None and e.FinishRuled not in past.of_kind and e.FinishProposed not in past.of_kind:
        return past.last((e.CallSucceeded, *_NEWS), number)
    return past.last((e.FinishRuled, e.FinishProposed, e.Answered), number) or past.last(_NEWS, number)


def _continued(past: Past, number: int, event: e.RunContinued) -> int:
    return past.last((e.RunPaused,), number)


def _held_reasoner(past: Past, number: int, event: e.ReasonerHeld) -> int:
    return past.last((e.ModelFailed, e.ModelCallLost), number)


def _guessed(past: Past, number: int, event: e.Inferred) -> int:
    return past.last((e.QuestionsProposed, e.GoalInterpreted), number)


def _recalled(past: Past, number: int, event: e.MemoryRecalled) -> int:
    return past.last((e.RecallIntended,), number)


def _start(past: Past, number: int, event: Any) -> int:
    return 1


def _earlier(found: int, number: int) -> int:
    return found if found < number else 0


_CAUSES: dict[type, Callable[[Past, int, Any], int]] = {
    e.CallIntended: _intended,
    **dict.fromkeys(
        (
            e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown, e.ProbeIntended, e.ProbeAnswered,
            e.RetryRuled, e.RecoveryRuled, e.FallbackRuled, e.StepFailed, e.ChildEnded, e.CallbackReceived, e.CallbackRefused,
            e.StepDoneByHand,
        ),
        _of_its_step,
    ),
    **dict.fromkeys(
        (e.Answered, e.AnswerVoided, e.InterruptExpired, e.Reminded, e.Escalated, e.ApprovalGiven, e.Commented), _of_its_question
    ),
    **dict.fromkeys(
        (e.PlanAdopted, e.PlanKept, e.QuestionsProposed, e.GoalInterpreted, e.FinishProposed, e.GiveUpProposed, e.ProposalFailed),
        _of_its_turn,
    ),
    **dict.fromkeys((e.ModelAnswered, e.ModelFailed, e.ModelCallLost), _of_its_request),
    e.ProposalRequested: _requested, e.StepSkipped: _skipped, e.ReuseRuled: _reused, e.FollowUpSuppressed: _suppressed,
    e.CallRefused: _refused, e.CallHeld: _held, e.Asked: _asked, e.InterruptWithdrawn: _withdrawn, e.PendingRuled: _pended,
    e.RestPlanned: _rest, e.PolicyRuled: _ruled_by_policy, e.ChecksIntended: _checks, e.ChecksAnswered: _checks,
    e.FactsLearned: _observed, e.FactsInvalidated: _invalidated, e.ReobservationPlanned: _reobserved,
    e.PlanSuspected: _suspected, e.CheckPlanned: _check_planned, e.FinishRuled: _finish_ruled, e.LimitReached: _limited,
    e.UndoPlanned: _undone, e.RunFailed: _failed, e.RunCancelled: _cancelled, e.RunCompleted: _completed,
    e.RunContinued: _continued, e.ReasonerHeld: _held_reasoner, e.Inferred: _guessed, e.MemoryRecalled: _recalled,
    e.RecallIntended: _start,
}  # fmt: skip
