"""Rulings: what was decided about steps, and what is owed to them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.contract import digest
from holdfast.core.evolve.steps import add_steps, finish, following, given_up, open_pending, put, taken_back, without
from holdfast.core.pending import Pending
from holdfast.core.provenance import is_tainted
from holdfast.core.state import State, StepState, contract_of


def retry_ruled(state: State, event: e.RetryRuled, entry: e.Entry) -> State:
    return put(state, entry, replace(state.steps[event.step], phase="waiting", due_at=event.due_at, reason=event.reason))


def recovery_ruled(state: State, event: e.RecoveryRuled, entry: e.Entry) -> State:
    step = state.steps[event.step]
    if step.phase == "owed":
        return _old_owed_ruled(state, event, entry, step)
    if step.doubt_since is None:
        step = replace(step, doubt_since=entry.at, settle_at=max(step.settle_at, entry.at))
    step = replace(step, reason=event.reason, spent=step.spent or event.spent)
    if event.action == "take":
        return _take(state, entry, step)
    if event.action == "probe":
        return put(state, entry, replace(step, phase="probe_wait", due_at=event.due_at))
    contract = contract_of(state, step)
    if step.verdict == "not_happened" or step.callback is not None or (contract is not None and contract.safety == "read"):
        step = replace(step, doubt_since=None, settle_at=0.0)
    if event.action == "repeat":
        return put(state, entry, replace(step, phase="waiting", due_at=event.due_at))
    if event.action == "fail":
        # It did not happen, for certain: no `crashed`, which would say that the world has changed.
        told = step.callback.failure if step.callback is not None else None
        failure = told or step.failure or e.Failure(kind="transient", message=event.reason)
        return put(state, entry, replace(step, phase="diagnosis", failure=failure, spent=True, callback=None))
    return put(state, entry, replace(step, phase="doubt"))


def _take(state: State, entry: e.Entry, step: StepState) -> State:
    """It happened: the result of a probe, or one that was delivered, is taken; one that will not do is a failure."""
    if step.callback is not None:
        return finish(state, entry, step, step.callback.value, "callback")
    if step.probe_failure is not None:
        broken = replace(step, phase="diagnosis", failure=step.probe_failure, landed=True, spent=True, doubt_since=None)
        return put(state, entry, replace(broken, probe_failure=None, done_at=step.done_at or entry.sequence))
    return finish(state, entry, step, step.probe_value, "probe")


def _old_owed_ruled(state: State, event: e.RecoveryRuled, entry: e.Entry, step: StepState) -> State:
    """Journals of the first release ruled on what was owed with the rows of the recovery table."""
    owed = state.pending[event.step]
    if event.action == "take":
        return finish(state, entry, step, owed.value, "probe", pending=without(state.pending, event.step))
    return following(state, entry, pending={**state.pending, event.step: replace(owed, due_at=event.due_at)})


def pending_ruled(state: State, event: e.PendingRuled, entry: e.Entry) -> State:
    owed, step = state.pending[event.step], state.steps[event.step]
    if event.action == "ask":
        return following(state, entry)
    pending = without(state.pending, event.step)
    if owed.about == "result":
        return _result_ruled(state, event, entry, owed, step, pending)
    step = replace(step, reason=event.reason if event.action != "settle" else step.reason)
    changes: dict[str, Any] = {"pending": pending, "news": True}
    if event.action == "settle" and owed.about == "rest":
        step = replace(step, left=(), value=step.value if owed.value is None else owed.value)
        changes |= taken_back(state, step)
    elif event.action == "repeat":
        step = replace(step, repeats=step.repeats + 1, rest_args=owed.args)
        changes["rests"] = (*state.rests, event.step)
    elif event.action in ("fail", "give_up"):
        changes["flagged"] = (*state.flagged, event.step)
    return put(state, entry, step, **changes)


def _result_ruled(
    state: State, event: e.PendingRuled, entry: e.Entry, owed: Pending, step: StepState, pending: dict[str, Pending]
) -> State:
    if event.action == "settle":
        changes: dict[str, Any] = {"pending": pending}
        if owed.left:
            rest = replace(owed, about="rest", items=owed.left, left=(), found="none", value=None, since=entry.at, settled_by="")
            changes = open_pending(replace(state, pending=pending), rest, contract_of(state, step))
        return finish(state, entry, step, owed.value, owed.settled_by, owed.left, **changes)
    if event.action == "repeat":
        again = replace(
            step,
            phase="waiting",
            due_at=entry.at,
            occurrence=step.occurrence + 1,
            repeats=step.repeats + 1,
            tries=0,
            lost=0,
            approved=None,
            reason=event.reason,
        )
        return put(state, entry, again, pending=pending)
    failure = owed.failure or e.Failure(kind="overdue", message=event.reason)
    landed = step.landed or failure.landed or event.action == "give_up"
    return put(state, entry, replace(step, phase="diagnosis", failure=failure, landed=landed, spent=True), pending=pending)


def rest_planned(state: State, event: e.RestPlanned, entry: e.Entry) -> State:
    state = add_steps(state, entry, (event.rest,))
    if event.rest.undoes == event.step:
        taking_back = replace(state.steps[event.step], undo=event.rest.id)
        return replace(state, steps=state.steps.insert(event.step, taking_back))
    origin = replace(state.steps[event.step], rest=event.rest.id, rest_args=None)
    # A repeat of a repeat counts as one more of the first.
    planned = replace(state.steps[event.rest.id], repeats=origin.repeats, tainted=is_tainted(state, event.step))
    rests = tuple(name for name in state.rests if name != event.step)
    undoing = (*state.undoing, event.rest.id) if event.step in state.undoing else state.undoing
    steps = state.steps.insert(event.step, origin).insert(event.rest.id, planned)
    return replace(state, steps=steps, rests=rests, undoing=undoing)


def fallback_ruled(state: State, event: e.FallbackRuled, entry: e.Entry) -> State:
    step = state.steps[event.step]
    fresh = StepState(
        step=step.step,
        phase="waiting",
        reads=step.reads,
        believes=step.believes,
        tool=event.tool,
        fallbacks_taken=step.fallbacks_taken + 1,
        attempt=step.attempt,
        occurrence=step.occurrence + (1 if _is_another_call(state, step, event.tool) else 0),
        due_at=entry.at,
        reason=event.reason,
        tainted=step.tainted,
    )
    undone = tuple(name for name in state.undone if name != event.step)  # It is about to be done after all.
    return given_up(state, entry, fresh, step, undone=undone)


def _is_another_call(state: State, step: StepState, tool: str) -> bool:
    """Whether a fallback calls a tool that the step has called, with other arguments. It needs a key of its own then; by a
    business key it has one. A run that it starts is another one than that which was started before, whatever its agent."""
    contract = state.contracts.get(tool)
    if contract is not None and contract.agent is not None:
        return True
    if contract is None or contract.business_key or step.fallbacks_taken >= len(step.step.fallbacks):
        return False
    called = (step.step.tool, *(fallback.tool for fallback in step.step.fallbacks[: step.fallbacks_taken]))
    return tool in called and step.step.fallbacks[step.fallbacks_taken].args is not None


def reuse_ruled(state: State, event: e.ReuseRuled, entry: e.Entry) -> State:
    same = state.steps[event.same_as]
    step = replace(state.steps[event.step], key=same.key, rest=same.rest)
    return finish(state, entry, step, same.value, "reuse", same.left)


def follow_up_suppressed(state: State, event: e.FollowUpSuppressed, entry: e.Entry) -> State:
    """It keeps its place; what it would repeat is waited for."""
    step = replace(state.steps[event.step], suppressed_by=event.same_as or event.run_id, reason=event.reason)
    return put(state, entry, step)


def call_held(state: State, event: e.CallHeld, entry: e.Entry) -> State:
    step = state.steps[event.step]
    since = step.held_since if step.held_since is not None else entry.at
    return put(state, entry, replace(step, phase="waiting", due_at=event.until, held_since=since))


def call_refused(state: State, event: e.CallRefused, entry: e.Entry) -> State:
    step = replace(state.steps[event.step], phase="diagnosis", failure=event.failure, refused=True, held_since=None)
    return put(state, entry, step)


def step_skipped(state: State, event: e.StepSkipped, entry: e.Entry) -> State:
    before = state.steps[event.step]
    step = replace(before, phase="skipped", reason=event.reason, flagged=event.flagged, interrupt=None, callback=None)
    if event.needless:
        return put(state, entry, step)
    if event.told:
        return _told(state, event, entry, before, step)
    lists: dict[str, Any] = {"flagged": (*state.flagged, event.step)} if event.flagged else {}
    owed = state.pending.get(event.step)
    if owed is not None and owed.about == "result":
        lists["pending"] = without(state.pending, event.step)  # Whoever gives a step up does not wait for it any more.
    return given_up(state, entry, step, before, skipped=(*state.skipped, event.step), **lists)


def _told(state: State, event: e.StepSkipped, entry: e.Entry, before: StepState, step: StepState) -> State:
    """The reasoner is told. A plan of several steps is in doubt then. The same failure of the same call, or the same refusal of a
    call that was not made, is no news."""
    lists: dict[str, Any] = {"news": True}
    if (failure := before.failure) is not None:
        learned = digest([before.tool, failure.message if before.refused else before.args, failure.kind])
        lists = {} if state.known.get(learned) is not None else lists
        if before.refused and not state.final:
            lists["known"] = state.known.insert(learned, event.step)
    owed = state.pending.get(event.step)
    if owed is not None and owed.about == "result":
        lists["pending"] = without(state.pending, event.step)
    thinking = state.thinking
    if thinking is not None and thinking.horizon != 1 and thinking.reassess != "never":
        lists["suspicions"] = (*state.suspicions, f"step {event.step} failed: {event.reason}")
    return given_up(state, entry, step, before, **lists)


def step_failed(state: State, event: e.StepFailed, entry: e.Entry) -> State:
    before = state.steps[event.step]
    step = replace(before, phase="failed", reason=event.reason, interrupt=None, callback=None)
    return given_up(state, entry, step, before, stopping=state.stopping or f"step {event.step}: {event.reason}")
