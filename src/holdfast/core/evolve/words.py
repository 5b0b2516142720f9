"""Words from outside: cancels, answers, callbacks, signals, the end of a child run, a changed agent."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.approval import bound_revision, sameness, shown_digest
from holdfast.core.commands import child_run_id
from holdfast.core.contract import Contract, weakest
from holdfast.core.evolve.beliefs import guesses_heard
from holdfast.core.evolve.calls import heard
from holdfast.core.evolve.minds import question_answered, question_asked, question_expired, spent_by
from holdfast.core.evolve.people import handoff_answered, plan_approved, plan_refused
from holdfast.core.evolve.steps import finish, following, put, taken_back, without
from holdfast.core.pending import Found, Pending
from holdfast.core.state import Phase, State, StepState, contract_of


def agent_changed(state: State, event: e.AgentChanged, entry: e.Entry) -> State:
    """Weaker promises hold only after a person said so; open calls are judged by what held when they were made."""
    open_ones = {name: asked for name, asked in state.interrupts.items() if asked.about != "agent"}
    state = following(state, entry, interrupts=open_ones, held_by=None)
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


def cancel_requested(state: State, event: e.CancelRequested, entry: e.Entry) -> State:
    return following(state, entry, cancel=state.cancel or event)


# --- what the world delivers --------------------------------------------------------------------------------------

# A person is asked about it, and now it is answered without them. That it could not be done answers less: a person who is
# asked what to do about a failure, or whether to make the call once more, has still to say so.
_ANSWERED: dict[str, Phase] = {"doubt": "doubt", "owed": "owed", "failure": "diagnosis", "call": "waiting"}
_ANSWERED_BY_FAILURE: dict[str, Phase] = {"doubt": "doubt", "owed": "owed"}


def callback_received(state: State, event: e.CallbackReceived, entry: e.Entry) -> State:
    owed = state.pending.get(event.step)
    if owed is not None and owed.key == event.key:
        return following(state, entry) if _is_heard(owed) else _hear(state, entry, heard(owed, event))
    step = state.steps[event.step]
    if step.key != event.key or step.callback is not None:
        return following(state, entry)
    return _early(state, entry, step, event)


def _is_heard(owed: Pending) -> bool:
    """Whether it has come, or never will. What is said of it after that changes nothing."""
    return owed.found in ("came", "failed")


def signal_received(state: State, event: e.SignalReceived, entry: e.Entry) -> State:
    for owed in state.pending.values():
        if owed.signal == event.name and not _is_heard(owed):
            return _hear(state, entry, replace(owed, found="came", settled_by="signal", value=event.value))
    return following(state, entry, signals={**state.signals, event.name: event})


def child_ended(state: State, event: e.ChildEnded, entry: e.Entry) -> State:
    failure = event.failure
    if event.status != "completed":
        failure = e.Failure(kind="failed_later", message=f"the run {event.child} is {event.status}: {event.reason}")
    owed, step = state.pending.get(event.step), state.steps.get(event.step)
    if step is None:
        return following(state, entry)  # Heard by a worker that lost its claim before the step was there; it can write nothing.
    state = replace(state, attempts=state.attempts + event.attempts, **_child_spent(state, event, step))
    if event.child == child_run_id(state.run_id, event.step, step.occurrence):
        step = replace(step, granted=0)
        state = replace(state, steps=state.steps.insert(event.step, step))
    if owed is not None and owed.child == event.child:
        found: Found = "failed" if failure is not None else "came"
        return _hear(state, entry, replace(owed, found=found, settled_by="child", value=event.result, failure=failure))
    if owed is not None or step.callback is not None or event.child != child_run_id(state.run_id, event.step, step.occurrence):
        return following(state, entry)  # It was waited for no more.
    delivered = e.CallbackReceived(step=event.step, key=step.key, value=event.result, failure=failure, by=event.child)
    return _early(state, entry, step, delivered)


def _child_spent(state: State, event: e.ChildEnded, step: StepState) -> dict[str, Any]:
    """The fields of the state that change with what a run spent that a step started. Of one that is waited for no more, all
    that it was granted counts as spent already."""
    is_held = event.step in state.reserved and event.child == child_run_id(state.run_id, event.step, step.occurrence)
    has_budget = state.limits.cost_usd_max is not None or state.limits.tokens_max is not None
    if not is_held:
        return {} if has_budget or event.spent is None else {"spent": state.spent + event.spent}
    return spent_by(state, event.step, event)


def _hear(state: State, entry: e.Entry, owed: Pending) -> State:
    """What is owed has come, or never will. A question about it is answered by that."""
    state = following(state, entry, pending={**state.pending, owed.step: replace(owed, looking=None, interrupt=None)})
    if owed.interrupt is not None:
        state = replace(state, interrupts=closed(state, owed.interrupt))
    step = state.steps[owed.step]
    return _without_question(state, entry, step, _ANSWERED) if step.phase == "asking" else state


def _early(state: State, entry: e.Entry, step: StepState, event: e.CallbackReceived) -> State:
    """The result of a call whose own outcome is not known yet, or was not what it seemed."""
    if step.phase in ("done", "skipped", "failed"):
        return following(state, entry)
    state = put(state, entry, replace(step, callback=event))
    if step.phase != "asking":
        return state
    answered = _ANSWERED if event.failure is None else _ANSWERED_BY_FAILURE
    return _without_question(state, entry, state.steps[event.step], answered)


def _without_question(state: State, entry: e.Entry, step: StepState, answered: dict[str, Phase]) -> State:
    assert step.interrupt is not None, f"{step.step.id} is asking nothing"
    about = state.interrupts[step.interrupt].about
    if about not in answered:
        return state
    interrupts = closed(state, step.interrupt)
    return put(state, entry, replace(step, phase=answered[about], interrupt=None), interrupts=interrupts)


# --- people -------------------------------------------------------------------------------------------------------


def closed(state: State, interrupt: str) -> dict[str, e.Asked]:
    """What is asked, but this."""
    return {name: asked for name, asked in state.interrupts.items() if name != interrupt}


def asked(state: State, event: e.Asked, entry: e.Entry) -> State:
    changes: dict[str, Any] = {"interrupts": {**state.interrupts, event.interrupt: event}, "asked": state.asked + 1}
    if event.about == "agent":
        return following(state, entry, held_by=event.interrupt, **changes)
    if event.about == "question" and event.asks is not None:
        return following(state, entry, **question_asked(state, event.asks), **changes)
    if event.about in ("reasoner", "handoff"):
        return following(state, entry, **changes)
    if event.about == "plan":
        return following(state, entry, plan_asked=event.interrupt, **changes)
    if event.about == "stop":
        return following(state, entry, stop="asked", shown_at_stop=event.digest, **changes)
    owed = state.pending.get(event.step)
    if owed is not None and owed.about != "result":
        changes["pending"] = {**state.pending, event.step: replace(owed, interrupt=event.interrupt)}
        return following(state, entry, **changes)
    step = replace(state.steps[event.step], phase="asking", interrupt=event.interrupt, args=event.args, tool=event.tool)
    return put(state, entry, step, **changes)


def answered(state: State, event: e.Answered, entry: e.Entry) -> State:
    question = state.interrupts[event.interrupt]
    changes: dict[str, Any] = {"interrupts": closed(state, event.interrupt)}
    if event.decision == "cancel":
        changes["cancel"] = state.cancel or e.CancelRequested(by=event.by, reason=event.note)
    said = f"{event.decision} by {event.by}" + (f": {event.note}" if event.note else "")
    if question.about == "agent":
        state = following(state, entry, held_by=None, **changes)
        if event.decision == "approve" and state.changed is not None:
            return _adopt_contracts(state, state.changed)
        return replace(state, changed=None, stopping=state.stopping or f"the agent's promises became weaker ({said})")
    if question.about == "question" and question.asks is not None:
        return following(state, entry, **question_answered(state, event, entry, question.asks), **changes)
    if question.about == "plan":
        if event.decision == "approve":
            return plan_approved(state, entry, question, _approvers(state, event), **changes)
        return plan_refused(replace(state, **changes), entry, said, event.by)
    if question.about == "handoff":
        return handoff_answered(state, event, entry, **changes)
    if question.about == "reasoner":
        if event.decision == "approve":
            return following(state, entry, setbacks=(), reason_at=0.0, **changes)
        return following(state, entry, stopping=state.stopping or f"no model could be asked ({said})", **changes)
    if question.about == "fact" and event.decision in ("approve", "edit"):
        step = replace(state.steps[question.step], phase="waiting", due_at=entry.at, interrupt=None, reason=said)
        return put(state, entry, step, **guesses_heard(state, event, entry, question), **changes)
    if question.about == "stop":
        return following(state, entry, stop="agreed" if event.decision == "approve" else "keep", **changes)
    owed = state.pending.get(question.step)
    if owed is not None and owed.about != "result":
        return _heard_of_rest(state, event, entry, owed, changes)
    if question.about == "owed" and event.decision != "cancel":
        changes["pending"] = without(state.pending, question.step)
    step = state.steps[question.step]
    if event.decision == "respond":
        return finish(state, entry, replace(step, reason=said), event.value, "person", **changes)
    if question.about == "call" and event.decision == "reject":
        same = sameness(question.tool, question.args, state.contracts.get(question.tool))
        changes["refused_calls"] = {**state.refused_calls, same: (*state.refused_calls.get(same, ()), event.by)}
    return put(state, entry, _heard(state, step, question, event, said, entry.at), **changes)


def _approvers(state: State, event: e.Answered) -> tuple[str, ...]:
    return (*state.standings[event.interrupt].approvals, event.by)


def _heard_of_rest(state: State, event: e.Answered, entry: e.Entry, owed: Pending, changes: dict[str, Any]) -> State:
    """A person's word on what a part left undone, or on an effect that nobody sees. The step itself stays done."""
    step = state.steps[owed.step]
    if event.decision == "cancel" and owed.step not in state.undoing:
        return following(state, entry, **changes)
    changes["pending"] = without(state.pending, owed.step)
    if event.decision == "respond":
        step = replace(step, left=(), value=step.value if event.value is None else event.value)
        changes |= taken_back(state, step)
    elif event.decision == "approve":
        step = replace(step, repeats=step.repeats + 1, rest_args=owed.args)
        changes["rests"] = (*state.rests, owed.step)
    else:
        changes["flagged"] = (*state.flagged, owed.step)
    return put(state, entry, step, **changes)


def _heard(state: State, step: StepState, question: e.Asked, event: e.Answered, said: str, at: float) -> StepState:
    """The step after a person's word. What they say holds: a doubt that they settled is settled."""
    later = step.failure is not None and step.failure.kind in ("overdue", "failed_later")
    step = replace(step, interrupt=None, reason=said, failure=None)
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
            # In a fork they are asked about the call, and what was said of it to its source still holds.
            insisted=question.about != "call" or (step.insisted and step.begun_before > 0),
            approved=question.digest,
            approved_by=_approvers(state, event),
            approved_until=question.expires_at,
            # What functions said was said before somebody thought it over: they are asked again before the call is made.
            checks=None,
            was_asked=0,
            callback=None,
            refused=False,
            held_since=None,
        )
        if event.decision == "edit":
            # Other arguments are another call: it gets a key of its own, and the person's word is for these, as long as the
            # tool promises what it did when they were shown it.
            contract, approved = state.contracts.get(question.tool), None
            if contract is not None and question.digest == _shown(state, question, question.args, contract):
                approved = _shown(state, question, event.value, contract)
            return replace(anew, edited=event.value, approved=approved, occurrence=step.occurrence + (1 if step.key else 0))
        if later or question.about == "owed":
            # The other side took the call; under its key it would give the same answer again.
            return replace(anew, occurrence=step.occurrence + 1)
        return anew
    kept = event.decision == "cancel" and question.about in ("doubt", "owed")
    refusal = e.Failure(kind="denied", message=said, detail=e.BY_A_PERSON)
    kept_as: Phase = "owed" if question.about == "owed" else "doubt"
    return replace(
        step,
        phase=kept_as if kept else "diagnosis",
        failure=refusal,
        spent=True,
        doubt_since=step.doubt_since if kept else None,
    )


def _shown(state: State, question: e.Asked, args: dict[str, Any], contract: Contract) -> str:
    return shown_digest(question.tool, args, contract, question.ruling, bound_revision(state))


def interrupt_expired(state: State, event: e.InterruptExpired, entry: e.Entry) -> State:
    question = state.interrupts[event.interrupt]
    changes: dict[str, Any] = {"interrupts": closed(state, event.interrupt)}
    if question.about == "agent":
        stopping = "nobody answered whether the weaker promises will do"
        return following(state, entry, held_by=None, changed=None, stopping=stopping, **changes)
    if question.about == "question" and question.asks is not None:
        return following(state, entry, **question_expired(state, question.asks), **changes)
    if question.about == "plan":
        return plan_refused(replace(state, **changes), entry, "nobody answered in time", "")
    if question.about == "handoff":
        why = "it was taken over, and nobody handed it back in time"
        return following(state, entry, handoff=None, stopping=state.stopping or why, **changes)
    if question.about == "reasoner":
        return following(state, entry, stopping=state.stopping or "no model could be asked, and nobody said to go on", **changes)
    if question.about == "stop":
        return following(state, entry, stop="keep", **changes)
    owed = state.pending.get(question.step)
    if owed is not None and owed.about != "result":
        changes["pending"] = without(state.pending, question.step)
        return following(state, entry, flagged=(*state.flagged, question.step), **changes)
    step = replace(state.steps[question.step], interrupt=None)
    silence = e.Failure(kind="denied", message="nobody answered in time", detail=e.BY_A_PERSON)
    if question.about in ("doubt", "owed"):
        why = f"step {question.step}: nobody said in time whether it happened"
        phase: Phase = "doubt" if question.about == "doubt" else "owed"
        step = replace(step, phase=phase, spent=True, failure=silence)
        return put(state, entry, step, stopping=state.stopping or why, **changes)
    if question.about == "call":
        # Who asks the same again is not let off for nobody having said no.
        same = sameness(question.tool, question.args, state.contracts.get(question.tool))
        changes["refused_calls"] = {**state.refused_calls, same: (*state.refused_calls.get(same, ()), "")}
    return put(state, entry, replace(step, phase="diagnosis", failure=silence, spent=True), **changes)


def only_noted(state: State, event: e.Event, entry: e.Entry) -> State:
    """An event that is kept for people to read, and changes nothing."""
    return following(state, entry)
