"""The fold: what is known one event later.

`evolve` is total over the events of one run in order, and pure: a journal folded twice, or in two parts, gives the
same state. It believes what it is told; whether something *may* happen is asked in `decide` before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.approval import shown_digest
from holdfast.core.contract import Contract, weakest
from holdfast.core.diagnosis import changed_the_world
from holdfast.core.plan import needs
from holdfast.core.state import AT_REST, ENDED, Phase, State, StepState, contract_of


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
        return _started(event, entry)
    assert entry.sequence == state.version + 1, f"entry {entry.sequence} after {state.version}"
    return _RULES[type(event)](state, event, entry)


# --- the rules ----------------------------------------------------------------------------------------------------


def _next(state: State, entry: e.Entry, **changes: Any) -> State:
    return replace(state, version=entry.sequence, at=max(state.at, entry.at), fence=entry.fence, **changes)


def _put(state: State, entry: e.Entry, step: StepState, **changes: Any) -> State:
    """The state with a step changed, and the lists that follow from its phase."""
    name = step.step.id
    before = state.steps[name].phase
    if before != step.phase:
        was_active, is_active = before not in AT_REST, step.phase not in AT_REST
        if was_active and not is_active:
            changes["active"] = tuple(other for other in state.active if other != name)
        elif is_active and not was_active:
            changes["active"] = (*state.active, name)
        if before == "ready":
            at = state.ready.index(name)
            changes["ready"] = state.ready[:at] + state.ready[at + 1 :]
        elif step.phase == "ready":
            changes["ready"] = (*state.ready, name)
    changed = replace(
        state,
        version=entry.sequence,
        at=max(state.at, entry.at),
        fence=entry.fence,
        steps=state.steps.insert(name, step),
        **changes,
    )
    return _release_dependents(changed, step) if step.phase in ENDED and before not in ENDED else changed


def _release_dependents(state: State, ended: StepState) -> State:
    steps, ready = state.steps, state.ready
    for name in state.dependents.get(ended.step.id) or ():
        waiting = steps[name]
        missing = waiting.missing - 1
        if missing == 0 and waiting.phase == "blocked":
            ready = (*ready, name)
            steps = steps.insert(name, replace(waiting, missing=0, phase="ready"))
        else:
            steps = steps.insert(name, replace(waiting, missing=missing))
    return replace(state, steps=steps, ready=ready, open_steps=state.open_steps - 1)


def _started(event: e.RunStarted, entry: e.Entry) -> State:
    return State(
        run_id=event.run_id,
        agent=event.agent,
        agent_version=event.agent_version,
        goal=event.goal,
        tenant=event.tenant,
        priority=event.priority,
        labels=event.labels,
        secrets=event.secrets,
        limits=event.limits,
        contracts={c.tool: c for c in event.contracts},
        version=entry.sequence,
        fence=entry.fence,
        at=entry.at,
        started_at=entry.at,
    )


def _resumed(state: State, event: e.RunResumed, entry: e.Entry) -> State:
    return _next(state, entry)


def _agent_changed(state: State, event: e.AgentChanged, entry: e.Entry) -> State:
    """Weaker promises hold only after a person said so; open calls are judged by what held when they were made."""
    open_ones = {name: asked for name, asked in state.interrupts.items() if asked.about != "agent"}
    state = _next(state, entry, interrupts=open_ones, held_by=None)
    return replace(state, changed=event) if event.weaker else _adopt_contracts(state, event)


def _adopt_contracts(state: State, event: e.AgentChanged) -> State:
    contracts = {contract.tool: contract for contract in event.contracts}
    steps = state.steps
    for name in state.active:
        step = steps[name]
        old = contract_of(state, step)
        if contracts.get(step.tool) != old:
            # What a person approved was bound to the old promises; what was sent is judged by them, and by the new ones
            # where they are less.
            held = _held_for_what_was_sent(step, old, contracts.get(step.tool))
            steps = steps.insert(name, replace(step, approved=None, contract=held))
    return replace(state, contracts=contracts, steps=steps, changed=None)


def _held_for_what_was_sent(step: StepState, old: Contract | None, new: Contract | None) -> Contract | None:
    if not step.key or old is None:
        return None
    return old if new is None else weakest(old, new)


def _cancel_requested(state: State, event: e.CancelRequested, entry: e.Entry) -> State:
    return _next(state, entry, cancel=state.cancel or event)


def _proposal_requested(state: State, event: e.ProposalRequested, entry: e.Entry) -> State:
    return _next(state, entry, turn=event.turn, proposing=entry.fence)


def _plan_adopted(state: State, event: e.PlanAdopted, entry: e.Entry) -> State:
    steps, dependents, ready = state.steps, state.dependents, list(state.ready)
    added = {step.id: step for step in event.plan.steps}
    for step in added.values():
        missing, reads = 0, needs(step)
        for other in dict.fromkeys((*reads, *step.after)):
            if other in added or steps[other].phase not in ENDED:
                missing += 1
                dependents = dependents.insert(other, (*(dependents.get(other) or ()), step.id))
        phase: Phase = "blocked" if missing else "ready"
        if not missing:
            ready.append(step.id)
        steps = steps.insert(
            step.id,
            StepState(step=step, phase=phase, reads=reads, missing=missing, tool=step.tool, occurrence=step.occurrence),
        )
    state = _next(
        state,
        entry,
        revision=event.revision,
        planned=True,
        final=event.plan.final,
        result_form=event.plan.result,
        order=(*state.order, *added),
        steps=steps,
        dependents=dependents,
        ready=tuple(ready),
        open_steps=state.open_steps + len(added),
        proposing=None,
        proposal_failures=0,
        proposal_problems=(),
    )
    for name in event.dropped:
        dropped = replace(state.steps[name], phase="skipped", reason=f"dropped by revision {event.revision}: {event.reason}")
        state = _put(state, entry, dropped)
    return state


def _proposal_failed(state: State, event: e.ProposalFailed, entry: e.Entry) -> State:
    return _next(state, entry, proposing=None, proposal_failures=state.proposal_failures + 1, proposal_problems=event.problems)


def _finish_proposed(state: State, event: e.FinishProposed, entry: e.Entry) -> State:
    return _next(state, entry, proposing=None, finishing=True, result=event.result)


def _give_up_proposed(state: State, event: e.GiveUpProposed, entry: e.Entry) -> State:
    return _next(state, entry, proposing=None, stopping=state.stopping or event.reason)


def _call_intended(state: State, event: e.CallIntended, entry: e.Entry) -> State:
    step = state.steps[event.step]
    again = step.key == event.key
    flying = replace(
        step,
        phase="flying",
        attempt=event.attempt,
        tries=step.tries + 1,
        tool=event.tool,
        args=event.args,
        key=event.key,
        fence=entry.fence,
        first_sent_at=step.first_sent_at if again else entry.at,
        verdict="none",
        probe=0,
        failure=None,
        landed=step.landed and again,
        contract=step.contract if again and step.doubt_since is not None else None,
    )
    changes: dict[str, Any] = {"attempts": state.attempts + 1}
    contract = state.contracts.get(event.tool)
    if contract is not None and contract.business_key:
        changes["business"] = state.business.insert(event.key, event.step)
    return _put(state, entry, flying, **changes)


def _flying(state: State, name: str, attempt: int) -> StepState:
    step = state.steps[name]
    assert step.phase == "flying" and step.attempt == attempt, f"outcome of attempt {attempt} of {name}, which is {step.phase}"
    return step


def _done(step: StepState, value: Any, by: Literal["call", "probe", "person", "reuse"], left: tuple[str, ...] = ()) -> StepState:
    return replace(
        step,
        phase="done",
        value=value,
        left=left,
        settled_by=by,
        doubt_since=None,
        approved=None,
        interrupt=None,
        edited=None,
        probe_value=None,
        failure=None,
        contract=None,
        reason="",
    )


def _call_succeeded(state: State, event: e.CallSucceeded, entry: e.Entry) -> State:
    return _put(state, entry, _done(_flying(state, event.step, event.attempt), event.value, "call"))


def _call_partial(state: State, event: e.CallPartial, entry: e.Entry) -> State:
    return _put(state, entry, _done(_flying(state, event.step, event.attempt), event.value, "call", event.left))


def _call_deferred(state: State, event: e.CallDeferred, entry: e.Entry) -> State:
    """The call is no longer in doubt: the other side has it. A deadline holds even where it named none."""
    step = _flying(state, event.step, event.attempt)
    contract = contract_of(state, step)
    until = event.until if event.until is not None else entry.at + (contract.probe_window_seconds if contract else 0.0)
    return _put(
        state,
        entry,
        replace(
            step,
            phase="owed",
            handle=event.handle,
            owed_until=until,
            doubt_since=None,
            due_at=0.0,
            verdict="none",
            probe=0,
        ),
    )


def _call_failed(state: State, event: e.CallFailed, entry: e.Entry) -> State:
    step = _flying(state, event.step, event.attempt)
    contract = contract_of(state, step)
    landed = contract is not None and changed_the_world(event.failure, contract)
    return _put(state, entry, replace(step, phase="diagnosis", failure=event.failure, landed=step.landed or landed))


def _call_unknown(state: State, event: e.CallUnknown, entry: e.Entry) -> State:
    """The doubt starts, or starts again: a lost request may land until its contract's settle time is over."""
    step = _flying(state, event.step, event.attempt)
    contract = contract_of(state, step)
    settle_at = entry.at + (contract.settles_within_seconds if contract else 0.0)
    return _put(
        state,
        entry,
        replace(
            step,
            phase="doubt",
            lost=step.lost + 1,
            doubt_since=entry.at,
            settle_at=max(step.settle_at, settle_at),
            crashed=event.crashed,
            reason=event.why,
            verdict="none",
            probe=0,
        ),
    )


def _probe_intended(state: State, event: e.ProbeIntended, entry: e.Entry) -> State:
    return _put(
        state,
        entry,
        replace(state.steps[event.step], phase="probing", probe=event.probe, probed_at=entry.at, fence=entry.fence),
    )


def _probe_answered(state: State, event: e.ProbeAnswered, entry: e.Entry) -> State:
    step = state.steps[event.step]
    assert step.phase == "probing" and step.probe == event.probe, (
        f"answer to probe {event.probe} of {event.step}, which is {step.phase}"
    )
    owed = step.doubt_since is None
    return _put(
        state,
        entry,
        replace(
            step, phase="owed" if owed else "doubt", verdict=event.verdict, probe_value=event.value, probe_message=event.message
        ),
    )


def _retry_ruled(state: State, event: e.RetryRuled, entry: e.Entry) -> State:
    return _put(state, entry, replace(state.steps[event.step], phase="waiting", due_at=event.due_at, reason=event.reason))


def _recovery_ruled(state: State, event: e.RecoveryRuled, entry: e.Entry) -> State:
    step = state.steps[event.step]
    if step.doubt_since is None and step.phase != "owed":
        step = replace(step, doubt_since=entry.at, settle_at=max(step.settle_at, entry.at))
    step = replace(step, reason=event.reason, spent=step.spent or event.spent)
    if event.action == "take":
        return _put(state, entry, _done(step, step.probe_value, "probe"))
    if event.action == "probe":
        return _put(state, entry, replace(step, phase="owed" if step.phase == "owed" else "probe_wait", due_at=event.due_at))
    contract = contract_of(state, step)
    if step.verdict == "not_happened" or (contract is not None and contract.safety == "read"):
        step = replace(step, doubt_since=None, settle_at=0.0)
    if event.action == "repeat":
        return _put(state, entry, replace(step, phase="waiting", due_at=event.due_at))
    if event.action == "fail":
        # It did not happen, for certain: no `crashed`, which would say that the world has changed.
        failure = step.failure or e.Failure(kind="transient", message=event.reason)
        return _put(state, entry, replace(step, phase="diagnosis", failure=failure, spent=True))
    return _put(state, entry, replace(step, phase="doubt"))


def _fallback_ruled(state: State, event: e.FallbackRuled, entry: e.Entry) -> State:
    step = state.steps[event.step]
    fresh = StepState(
        step=step.step,
        phase="waiting",
        reads=step.reads,
        tool=event.tool,
        fallbacks_taken=step.fallbacks_taken + 1,
        attempt=step.attempt,
        occurrence=step.occurrence,
        due_at=entry.at,
        reason=event.reason,
    )
    return _put(state, entry, fresh)


def _reuse_ruled(state: State, event: e.ReuseRuled, entry: e.Entry) -> State:
    same = state.steps[event.same_as]
    return _put(state, entry, replace(_done(state.steps[event.step], same.value, "reuse", same.left), key=same.key))


def _step_skipped(state: State, event: e.StepSkipped, entry: e.Entry) -> State:
    step = replace(state.steps[event.step], phase="skipped", reason=event.reason, flagged=event.flagged, interrupt=None)
    lists: dict[str, Any] = {"flagged": (*state.flagged, event.step)} if event.flagged else {}
    return _put(state, entry, step, skipped=(*state.skipped, event.step), **lists)


def _step_failed(state: State, event: e.StepFailed, entry: e.Entry) -> State:
    step = replace(state.steps[event.step], phase="failed", reason=event.reason, interrupt=None)
    return _put(state, entry, step, stopping=state.stopping or f"step {event.step}: {event.reason}")


def _asked(state: State, event: e.Asked, entry: e.Entry) -> State:
    changes: dict[str, Any] = {"interrupts": {**state.interrupts, event.interrupt: event}, "asked": state.asked + 1}
    if event.about == "agent":
        return _next(state, entry, held_by=event.interrupt, **changes)
    step = replace(state.steps[event.step], phase="asking", interrupt=event.interrupt, args=event.args, tool=event.tool)
    return _put(state, entry, step, **changes)


def _closed(state: State, interrupt: str) -> dict[str, e.Asked]:
    return {name: asked for name, asked in state.interrupts.items() if name != interrupt}


def _answered(state: State, event: e.Answered, entry: e.Entry) -> State:
    asked = state.interrupts[event.interrupt]
    changes: dict[str, Any] = {"interrupts": _closed(state, event.interrupt)}
    if event.decision == "cancel":
        changes["cancel"] = state.cancel or e.CancelRequested(by=event.by, reason=event.note)
    said = f"{event.decision} by {event.by}" + (f": {event.note}" if event.note else "")
    if asked.about == "agent":
        state = _next(state, entry, held_by=None, **changes)
        if event.decision == "approve" and state.changed is not None:
            return _adopt_contracts(state, state.changed)
        return replace(state, changed=None, stopping=state.stopping or f"the agent's promises became weaker ({said})")
    contract = state.contracts.get(asked.tool)
    return _put(state, entry, _heard(state.steps[asked.step], asked, event, said, entry.at, contract), **changes)


def _heard(step: StepState, asked: e.Asked, event: e.Answered, said: str, at: float, contract: Contract | None) -> StepState:
    """The step after a person's word. What they say holds: a doubt that they settled is settled."""
    step = replace(step, interrupt=None, reason=said, failure=None)
    if event.decision == "respond":
        return _done(step, event.value, "person")
    if event.decision in ("approve", "edit"):
        anew = replace(
            step,
            phase="waiting",
            due_at=at,
            tries=0,
            lost=0,
            spent=False,
            doubt_since=None,
            settle_at=0.0,
            landed=False,
            insisted=asked.about != "call",
            approved=asked.digest,
        )
        if event.decision == "edit":
            # Other arguments are another call: it gets a key of its own, and the person's word is for these, as long as the
            # tool promises what it did when they were shown it.
            again = contract is not None and shown_digest(asked.tool, asked.args, contract) == asked.digest
            approved = shown_digest(asked.tool, event.value, contract) if again and contract is not None else None
            return replace(anew, edited=event.value, approved=approved, occurrence=step.occurrence + (1 if step.key else 0))
        return anew
    kept = event.decision == "cancel" and asked.about in ("doubt", "owed")
    refusal = e.Failure(kind="denied", message=said, detail=e.BY_A_PERSON)
    kept_as: Phase = "owed" if asked.about == "owed" else "doubt"
    return replace(
        step,
        phase=kept_as if kept else "diagnosis",
        failure=refusal,
        spent=True,
        doubt_since=step.doubt_since if kept else None,
    )


def _interrupt_expired(state: State, event: e.InterruptExpired, entry: e.Entry) -> State:
    asked = state.interrupts[event.interrupt]
    changes: dict[str, Any] = {"interrupts": _closed(state, event.interrupt)}
    if asked.about == "agent":
        return _next(
            state,
            entry,
            held_by=None,
            changed=None,
            stopping="nobody answered whether the weaker promises will do",
            **changes,
        )
    step = replace(state.steps[asked.step], interrupt=None)
    if asked.about in ("doubt", "owed"):
        why = f"step {asked.step}: nobody said in time whether it happened"
        phase: Phase = "doubt" if asked.about == "doubt" else "owed"
        return _put(state, entry, replace(step, phase=phase, spent=True), stopping=state.stopping or why, **changes)
    silence = e.Failure(kind="denied", message="nobody answered in time", detail=e.BY_A_PERSON)
    return _put(state, entry, replace(step, phase="diagnosis", failure=silence, spent=True), **changes)


def _answer_voided(state: State, event: e.AnswerVoided, entry: e.Entry) -> State:
    return _next(state, entry)


def _limit_reached(state: State, event: e.LimitReached, entry: e.Entry) -> State:
    return _next(state, entry, stopping=state.stopping or f"the limit {event.limit} of {event.allowed:g} is reached")


def _run_completed(state: State, event: e.RunCompleted, entry: e.Entry) -> State:
    return _next(
        state,
        entry,
        ended="completed",
        result=event.result,
        partial=event.partial,
        skipped=event.skipped,
        flagged=event.flagged,
    )


def _run_failed(state: State, event: e.RunFailed, entry: e.Entry) -> State:
    return _next(state, entry, ended="failed", reason=event.reason, unknown=event.unknown, interrupts={})


def _run_cancelled(state: State, event: e.RunCancelled, entry: e.Entry) -> State:
    reason = f"cancelled by {event.by}" + (f": {event.reason}" if event.reason else "")
    return _next(state, entry, ended="cancelled", reason=reason, unknown=event.unknown, interrupts={})


_RULES: dict[type[e.Event], Callable[[State, Any, e.Entry], State]] = {
    e.RunResumed: _resumed,
    e.AgentChanged: _agent_changed,
    e.CancelRequested: _cancel_requested,
    e.Answered: _answered,
    e.AnswerVoided: _answer_voided,
    e.ProposalRequested: _proposal_requested,
    e.PlanAdopted: _plan_adopted,
    e.ProposalFailed: _proposal_failed,
    e.FinishProposed: _finish_proposed,
    e.GiveUpProposed: _give_up_proposed,
    e.CallIntended: _call_intended,
    e.CallSucceeded: _call_succeeded,
    e.CallPartial: _call_partial,
    e.CallDeferred: _call_deferred,
    e.CallFailed: _call_failed,
    e.CallUnknown: _call_unknown,
    e.ProbeIntended: _probe_intended,
    e.ProbeAnswered: _probe_answered,
    e.RetryRuled: _retry_ruled,
    e.RecoveryRuled: _recovery_ruled,
    e.FallbackRuled: _fallback_ruled,
    e.ReuseRuled: _reuse_ruled,
    e.StepSkipped: _step_skipped,
    e.StepFailed: _step_failed,
    e.Asked: _asked,
    e.InterruptExpired: _interrupt_expired,
    e.LimitReached: _limit_reached,
    e.RunCompleted: _run_completed,
    e.RunFailed: _run_failed,
    e.RunCancelled: _run_cancelled,
}
