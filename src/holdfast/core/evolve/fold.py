"""The rules of the fold by event, and the fold itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from holdfast.core import events as e
from holdfast.core.evolve import beliefs, calls, forks, minds, people, rulings, runs, words
from holdfast.core.state import State


def fold(entries: Iterable[e.Entry], state: State | None = None) -> State:
    """The state after these entries, from the beginning or on top of a state; at least one entry is needed."""
    for entry in entries:
        state = evolve(state, entry)
    assert state is not None, "a run has at least its start"
    return state


def evolve(state: State | None, entry: e.Entry) -> State:
    """One event later."""
    event = entry.event
    if state is None:
        assert isinstance(event, e.RunStarted), f"a run begins with its start, not with {type(event).__name__}"
        return runs.started(event, entry)
    assert entry.sequence == state.version + 1, f"entry {entry.sequence} after {state.version}"
    after = RULES[type(event)](state, event, entry)
    return after if after.interrupts is state.interrupts else people.stood(state, after, event, entry)


RULES: dict[type[e.Event], Callable[[State, Any, e.Entry], State]] = {
    e.RunResumed: words.only_noted,
    e.AgentChanged: words.agent_changed,
    e.CancelRequested: words.cancel_requested,
    e.Answered: words.answered,
    e.AnswerVoided: words.only_noted,
    e.CallbackReceived: words.callback_received,
    e.CallbackRefused: words.only_noted,
    e.SignalReceived: words.signal_received,
    e.ChildEnded: words.child_ended,
    e.ProposalRequested: runs.proposal_requested,
    e.PlanAdopted: runs.plan_adopted,
    e.ProposalFailed: runs.proposal_failed,
    e.FinishProposed: runs.finish_proposed,
    e.GiveUpProposed: runs.give_up_proposed,
    e.CallIntended: calls.call_intended,
    e.CallSucceeded: calls.call_succeeded,
    e.CallPartial: calls.call_partial,
    e.CallDeferred: calls.call_deferred,
    e.CallFailed: calls.call_failed,
    e.CallUnknown: calls.call_unknown,
    e.ProbeIntended: calls.probe_intended,
    e.ProbeAnswered: calls.probe_answered,
    e.RetryRuled: rulings.retry_ruled,
    e.RecoveryRuled: rulings.recovery_ruled,
    e.FallbackRuled: rulings.fallback_ruled,
    e.ReuseRuled: rulings.reuse_ruled,
    e.PendingRuled: rulings.pending_ruled,
    e.RestPlanned: rulings.rest_planned,
    e.FollowUpSuppressed: rulings.follow_up_suppressed,
    e.CallHeld: rulings.call_held,
    e.CallRefused: rulings.call_refused,
    e.StepSkipped: rulings.step_skipped,
    e.StepFailed: rulings.step_failed,
    e.Asked: words.asked,
    e.InterruptExpired: words.interrupt_expired,
    e.LimitReached: runs.limit_reached,
    e.UndoPlanned: runs.undo_planned,
    e.ThinkingChanged: minds.thinking_changed,
    e.ModelAnswered: minds.model_answered,
    e.ModelFailed: minds.model_failed,
    e.ModelCallLost: minds.model_call_lost,
    e.ReasonerHeld: minds.reasoner_held,
    e.PlanKept: minds.plan_kept,
    e.QuestionsProposed: minds.questions_proposed,
    e.GoalInterpreted: minds.goal_interpreted,
    e.GoalChanged: minds.goal_changed,
    e.Inferred: minds.inferred,
    e.PlanSuspected: minds.plan_suspected,
    e.CheckPlanned: minds.check_planned,
    e.FinishRuled: minds.finish_ruled,
    e.RecallIntended: beliefs.recall_intended,
    e.MemoryRecalled: beliefs.memory_recalled,
    e.FactsLearned: beliefs.facts_learned,
    e.FactsInvalidated: beliefs.facts_invalidated,
    e.ReobservationPlanned: beliefs.reobservation_planned,
    e.PolicyChanged: people.policy_changed,
    e.PolicyRuled: people.policy_ruled,
    e.ChecksIntended: people.checks_intended,
    e.ChecksAnswered: people.checks_answered,
    e.InterruptWithdrawn: people.interrupt_withdrawn,
    e.Reminded: people.reminded,
    e.Escalated: people.escalated,
    e.ApprovalGiven: people.approval_given,
    e.Commented: words.only_noted,
    e.RunPaused: people.run_paused,
    e.RunContinued: people.run_continued,
    e.Instructed: people.instructed,
    e.HandoffRequested: people.handoff_requested,
    e.StepDoneByHand: people.step_done_by_hand,
    e.WordVoided: words.only_noted,
    e.RoomRefused: words.only_noted,
    e.RulingDeferred: words.only_noted,
    e.RunForked: forks.run_forked,
    e.RunCompleted: runs.run_completed,
    e.RunFailed: runs.run_failed,
    e.RunCancelled: runs.run_cancelled,
}
