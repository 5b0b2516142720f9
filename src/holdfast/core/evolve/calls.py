"""Calls and probes: their intents and outcomes."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.contract import Contract, digest
from holdfast.core.diagnosis import changed_the_world
from holdfast.core.evolve.minds import spent_by
from holdfast.core.evolve.steps import counted, finish, flying, following, open_pending, put, settled
from holdfast.core.forks import chosen
from holdfast.core.models import Reserved
from holdfast.core.pending import Found, Pending, can_look, look_wait
from holdfast.core.state import State, StepState, contract_of


def call_intended(state: State, event: e.CallIntended, entry: e.Entry) -> State:
    step = state.steps[event.step]
    again = step.key == event.key
    changes: dict[str, Any] = {"attempts": state.attempts + 1}
    contract = state.contracts.get(event.tool)
    granted = 0
    if contract is not None:
        if contract.business_key:
            changes["business"] = state.business.insert(event.key, event.step)
        if contract.agent is not None:
            granted = event.granted.attempts_max if event.granted is not None else 0
            changes["children"] = state.children + (0 if again else 1)
        if event.reserved is not None:
            changes |= _held_for(state, event.step, event.reserved, again=again)
        if state.thinking is not None and contract.safety not in ("read", "idempotent"):
            changes["done_calls"] = state.done_calls.insert(digest([event.tool, event.args]), event.step)
    if state.fork is not None and state.fork.mode == "simulate":
        changes["fork_calls"] = chosen(state, event, contract)
    if event.step in state.outdated and step.doubt_since is None and not step.landed:
        # What it was called with before failed for certain; now it is called with what holds.
        changes["outdated"] = tuple(name for name in state.outdated if name != event.step)
    sent = replace(
        step,
        phase="flying",
        attempt=event.attempt,
        tries=step.tries + 1,
        tool=event.tool,
        args=event.args,
        key=event.key,
        sent=digest(event.args) if state.facts else "",
        occurrence=step.occurrence + (1 if event.anew else 0),
        fence=entry.fence,
        first_sent_at=step.first_sent_at if again else entry.at,
        verdict="none",
        probe=0,
        failure=None,
        landed=step.landed and again,
        contract=step.contract if again and step.doubt_since is not None else None,
        callback=None,
        probe_failure=None,
        held_since=None,
        granted=granted,
    )
    return put(state, entry, sent, **changes)


def _held_for(state: State, step: str, need: Reserved, *, again: bool) -> dict[str, Any]:
    """The fields of the state that change when something of the budget is held for a call. again: of the call, or the run that
    it starts, nobody knows whether it was made before, with what was held then. Another run that was started goes on without
    being waited for."""
    before = state.reserved.get(step)
    if before is not None and again:
        need = Reserved(
            input_tokens=max(need.input_tokens, before.input_tokens),
            output_tokens=max(need.output_tokens, before.output_tokens),
            cost_usd=max(need.cost_usd, before.cost_usd),
        )
    changes = settled(state, step) if before is not None and not again else {}
    return changes | {"reserved": {**state.reserved, step: need}}


def call_succeeded(state: State, event: e.CallSucceeded, entry: e.Entry) -> State:
    step = flying(state, event.step, event.attempt)
    contract = state.contracts.get(step.tool)
    changes = counted(state, event.changes) | spent_by(state, event.step, event)
    if contract is not None and contract.visible_within_seconds is not None and can_look(contract):
        sight = Pending(
            step=event.step,
            tool=step.tool,
            key=step.key,
            args=step.args or {},
            about="sight",
            since=entry.at,
            until=entry.at + contract.visible_within_seconds,
        )
        changes |= open_pending(state, sight, contract)
    if event.cut is not None:
        step = replace(step, cut=event.cut)
    return finish(state, entry, step, event.value, "call", **changes)


def call_partial(state: State, event: e.CallPartial, entry: e.Entry) -> State:
    step = replace(flying(state, event.step, event.attempt), cut=event.cut, rest_args=event.rest)
    changes = counted(state, event.changes) | spent_by(state, event.step, event)
    if event.left and event.rest is None:
        contract = contract_of(state, step)
        rest = _owed(step, event, entry, contract)
        if step.callback is not None:
            rest = heard(rest, step.callback)
        changes |= open_pending(state, rest, contract)
    elif event.left:
        changes["rests"] = (*state.rests, event.step)
    return finish(state, entry, step, event.value, "call", event.left, **changes)


def call_deferred(state: State, event: e.CallDeferred, entry: e.Entry) -> State:
    """The call is no longer in doubt: the other side has it. A deadline holds even where it named none."""
    step = flying(state, event.step, event.attempt)
    contract = contract_of(state, step)
    owed = _owed(step, event, entry, contract)
    if step.callback is not None:
        owed = heard(owed, step.callback)
    goes_on = contract is not None and contract.agent is not None
    changes = counted(state, event.changes) | open_pending(state, owed, contract)
    changes |= spent_by(state, event.step, event, keep=goes_on)
    waiting = replace(
        step, phase="owed", handle=event.handle, doubt_since=None, due_at=0.0, verdict="none", probe=0, callback=None
    )
    return put(state, entry, waiting, **changes)


def _owed(step: StepState, event: e.CallDeferred | e.CallPartial, entry: e.Entry, contract: Contract | None) -> Pending:
    until = event.until
    if until is None:
        until = entry.at + (contract.owed_within_seconds if contract is not None else 0.0)
    child = contract is not None and contract.agent is not None
    return Pending(
        step=event.step,
        tool=step.tool,
        key=step.key,
        args=step.args or {},
        about="result" if isinstance(event, e.CallDeferred) else "rest",
        items=() if isinstance(event, e.CallDeferred) else event.left,
        by=event.by,
        handle=event.handle,
        signal=event.signal,
        child=event.handle if child else "",
        since=entry.at,
        until=until,
    )


def heard(pending: Pending, callback: e.CallbackReceived) -> Pending:
    """What is owed, after its result was delivered."""
    found: Found = "failed" if callback.failure is not None else "came"
    return replace(pending, found=found, settled_by="callback", value=callback.value, failure=callback.failure)


def call_failed(state: State, event: e.CallFailed, entry: e.Entry) -> State:
    step = flying(state, event.step, event.attempt)
    contract = contract_of(state, step)
    landed = contract is not None and changed_the_world(event.failure, contract)
    failed = replace(step, phase="diagnosis", failure=event.failure, landed=step.landed or landed)
    if landed and not step.landed:
        failed = replace(failed, done_at=entry.sequence)
    changes = counted(state, event.changes)
    if contract is not None and contract.agent is not None and step.lost == 0 and event.spent is None:
        # The run was not started, so it spends nothing.
        changes["reserved"] = {name: held for name, held in state.reserved.items() if name != event.step}
    elif step.doubt_since is not None:
        changes |= settled(state, event.step)  # An earlier attempt may have cost all of it, whatever this one says of itself.
    else:
        changes |= spent_by(state, event.step, event)
    return put(state, entry, failed, **changes)


def call_unknown(state: State, event: e.CallUnknown, entry: e.Entry) -> State:
    """The doubt starts, or starts again: a lost request may land until its contract's settle time is over."""
    step = flying(state, event.step, event.attempt)
    contract = contract_of(state, step)
    settle_at = entry.at
    if contract is not None:
        # What has landed may not be seen yet by those who look.
        settle_at += contract.settles_within_seconds + (contract.visible_within_seconds or 0.0)
    doubted = replace(
        step,
        phase="doubt",
        lost=step.lost + 1,
        doubt_since=entry.at,
        settle_at=max(step.settle_at, settle_at),
        crashed=event.crashed,
        reason=event.why,
        verdict="none",
        probe=0,
    )
    # A run that was started, maybe, spends what it was granted. Where a repeat is dropped, or comes only after a look, the call
    # costs once however often it is made: what is held for it is held on until it is settled, and not held twice.
    once = contract is not None and (
        contract.agent is not None or (event.spent is None and contract.safety in ("keyed", "reconcilable"))
    )
    return put(state, entry, doubted, **spent_by(state, event.step, event, keep=once))


def probe_intended(state: State, event: e.ProbeIntended, entry: e.Entry) -> State:
    owed = state.pending.get(event.step)
    if owed is not None:
        looking = replace(owed, looks=event.probe, looking=entry.fence, looked_at=entry.at)
        return following(state, entry, pending={**state.pending, event.step: looking})
    step = replace(state.steps[event.step], phase="probing", probe=event.probe, probed_at=entry.at, fence=entry.fence)
    return put(state, entry, step)


def probe_answered(state: State, event: e.ProbeAnswered, entry: e.Entry) -> State:
    owed = state.pending.get(event.step)
    if owed is not None and owed.looking is not None and owed.looks == event.probe:
        return following(state, entry, pending={**state.pending, event.step: _looked(state, owed, event, entry)})
    step = state.steps[event.step]
    if step.phase != "probing":
        return following(state, entry)  # What was owed came by other ways while it was looked for.
    assert step.probe == event.probe, f"answer to probe {event.probe} of {event.step}, which is at {step.probe}"
    answered = replace(
        step,
        phase="doubt",
        verdict=event.verdict,
        probe_value=event.value,
        probe_failure=event.failure,
        probe_message=event.message,
        cut=event.cut if event.verdict == "happened" else step.cut,
    )
    return put(state, entry, answered)


def _looked(state: State, owed: Pending, event: e.ProbeAnswered, entry: e.Entry) -> Pending:
    """What is owed, after a look. Where a callback came in the meantime, that counts."""
    owed = replace(owed, looking=None, message=event.message)
    if owed.found in ("came", "failed"):
        return owed
    step = state.steps[owed.step]
    contract = contract_of(state, step)
    due_at = entry.at + (look_wait(contract, owed.looks) if contract is not None else 0.0)
    found: Found = "not_yet"
    if event.verdict == "happened":
        found = "came" if event.failure is None else "failed"
        if event.left and owed.about == "rest":
            return replace(owed, found="not_yet", items=event.left, due_at=due_at)
    elif event.verdict == "not_happened" and owed.about != "sight" and contract is not None and contract.poll:
        found = "failed"
    failure = event.failure
    if found == "failed" and failure is None:
        failure = e.Failure(kind="failed_later", message=event.message or "the other side says that it will not come")
    return replace(
        owed, found=found, settled_by="probe", value=event.value, failure=failure, left=event.left or (), due_at=due_at
    )
