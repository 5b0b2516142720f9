"""A step changed, and what follows from that for the lists of its run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from holdfast.core import budget
from holdfast.core import events as e
from holdfast.core.contract import Contract, digest
from holdfast.core.diagnosis import PASSING
from holdfast.core.facts import STEP_PREFIX
from holdfast.core.pending import Pending, can_look, look_wait
from holdfast.core.plan import Plan, Step, believes, needs, reads, stand_ins, waits_for
from holdfast.core.state import AT_REST, ENDED, Phase, SettledBy, State, StepMap, StepState

Named = TypeVar("Named")
# A result of so many bytes says the same in answer to any question.
SAME_BYTES_MIN = 64


def following(state: State, entry: e.Entry, **changes: Any) -> State:
    """The state one entry later."""
    return replace(state, version=entry.sequence, at=max(state.at, entry.at), fence=entry.fence, **changes)


def put(state: State, entry: e.Entry, step: StepState, **changes: Any) -> State:
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
    steps = state.steps.insert(name, step)
    ends = step.phase in ENDED and before not in ENDED
    if ends:
        steps, changes["ready"] = _released(state, steps, changes.get("ready", state.ready), name)
        changes["open_steps"] = state.open_steps - 1
    changed = replace(
        state, version=entry.sequence, at=max(state.at, entry.at), fence=entry.fence, steps=steps, **changes
    )  # fmt: skip
    return replace(changed, **settled(changed, name)) if ends and name in changed.reserved else changed


def settled(state: State, *names: str) -> dict[str, Any]:
    """The fields of the state that change when nothing more is heard of what was held of the budget for these (steps, and ""
    for the model): it counts as spent."""
    held = [(name, state.reserved[name]) for name in names if name in state.reserved]
    if not held:
        return {}
    rest = {name: other for name, other in state.reserved.items() if name not in names}
    return {"reserved": rest, "spent": sum((budget.lost(each, requests=int(not name)) for name, each in held), state.spent)}


def _released(state: State, steps: StepMap, ready: tuple[str, ...], ended: str) -> tuple[StepMap, tuple[str, ...]]:
    """The steps, and those that are ready, after one has ended that others may wait for."""
    for name in state.dependents.get(ended) or ():
        waiting = steps[name]
        missing = waiting.missing - 1
        if missing == 0 and waiting.phase == "blocked":
            ready = (*ready, name)
            steps = steps.insert(name, replace(waiting, missing=0, phase="ready"))
        else:
            steps = steps.insert(name, replace(waiting, missing=missing))
    return steps, ready


def add_steps(state: State, entry: e.Entry, added: Iterable[Step], **changes: Any) -> State:
    """The state with new steps, which wait for what they need."""
    new = {step.id: step for step in added}
    others = state.stand_ins
    if any(step.alternative_to for step in new.values()):
        others = stand_ins(Plan(steps=tuple(new.values())), others)
    steps, dependents, ready = state.steps, state.dependents, list(state.ready)
    for step in new.values():
        missing, read = 0, reads(step)
        for other in waits_for(step, others) if others or step.alternative_to else dict.fromkeys((*read, *step.after)):
            if other in new or steps[other].phase not in ENDED:
                missing += 1
                dependents = dependents.insert(other, (*(dependents.get(other) or ()), step.id))
        phase: Phase = "blocked" if missing else "ready"
        if not missing:
            ready.append(step.id)
        needed = needs(step) if read else ()
        made = StepState(
            step=step,
            phase=phase,
            reads=needed,
            missing=missing,
            tool=step.tool,
            occurrence=step.occurrence,
            believes=believes(step),
            # Whoever plans again has read what was returned.
            tainted=bool(state.taints) and (state.thinking is not None or not state.final),
        )
        steps = steps.insert(step.id, made)
    return following(
        state,
        entry,
        order=(*state.order, *new),
        steps=steps,
        dependents=dependents,
        stand_ins=others,
        ready=tuple(ready),
        open_steps=state.open_steps + len(new),
        **changes,
    )


def finish(
    state: State, entry: e.Entry, step: StepState, value: Any, by: SettledBy, left: tuple[str, ...] = (), **changes: Any
) -> State:
    """The step is done, and what that teaches and changes."""
    step = replace(
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
        probe_failure=None,
        callback=None,
        failure=None,
        contract=None,
        held_since=None,
        granted=0,
        reason="",
        done_at=entry.sequence,
    )
    if state.thinking is not None:
        changes |= _heard_of(state, step, value)
    contract = state.contracts.get(step.tool)
    if contract is not None and contract.untrusted and by != "person":
        changes["taints"] = (*state.taints, step.step.id)
    if by != "reuse" and (contract is None or contract.safety != "read"):
        changes["effects"] = state.effects + 1
    if by != "reuse" and contract is not None and contract.observes:
        changes["to_observe"] = (*state.to_observe, step.step.id)
    if step.step.id in state.outdated:
        changes["shaken"] = (*state.shaken, f"{STEP_PREFIX}{step.step.id}")
    if step.step.undoes:
        changes |= taken_back(state, step)
    if not state.final:
        # Only a reasoner that is asked again can go round in circles; a plan that is final need not pay for this.
        learned = digest([step.tool, value] if _says_enough(state, contract, value) else [step.tool, step.args, value])
        if state.known.get(learned) is None:
            changes["known"], changes["news"] = state.known.insert(learned, step.step.id), True
    return put(state, entry, step, **changes)


def _says_enough(state: State, contract: Contract | None, value: Any) -> bool:
    """Whether a model that looks and sees the same has learned nothing, in whatever words it asked. A short answer (yes, nothing
    found) says something of its question only."""
    looks = state.thinking is not None and contract is not None and contract.safety == "read"
    return looks and len(msgspec.json.encode(value)) >= SAME_BYTES_MIN


def _heard_of(state: State, step: StepState, value: Any) -> dict[str, Any]:
    """The fields of the state that change when a model is to hear of a result."""
    return {
        "unseen": (*state.unseen, step.step.id),
        "failures": 0,
        "conversation_bytes": state.conversation_bytes + len(msgspec.json.encode([step.args, value])),
    }


def taken_back(state: State, step: StepState) -> dict[str, Any]:
    """The field of the state that changes when a call that takes another back is wholly done."""
    undoes = step.step.undoes
    return {"undone": (*state.undone, undoes)} if undoes and not step.left and undoes not in state.undone else {}


def given_up(state: State, entry: e.Entry, step: StepState, before: StepState, **changes: Any) -> State:
    """The tool in force did not do it, for good: the very same call need not be made again."""
    failure = before.failure
    if state.thinking is not None and step.phase in ENDED:
        # What could only not begin, for another step was not done, did not fail itself.
        failed = failure is not None or step.phase == "failed" or before.phase not in ("ready", "blocked")
        failures = state.failures + (1 if failed else 0)
        changes = {"unseen": (*state.unseen, before.step.id), "failures": failures} | changes
    contract = state.contracts.get(before.tool)
    if contract is not None and contract.untrusted and before.attempt > 0 and before.step.id not in state.taints:
        changes["taints"] = (*state.taints, before.step.id)  # How it failed is told, in words from outside.
    # To a model a person's refusal is said once; it does not ask them again.
    heard = failure is not None and (failure.detail != e.BY_A_PERSON or state.thinking is not None)
    if failure is not None and before.args is not None and failure.kind not in PASSING and heard:
        call = digest([before.tool, before.args])
        changes["failed_calls"] = {**state.failed_calls, call: (before.step.id, state.effects, failure.kind)}
        if not state.final:
            learned = digest([before.tool, before.args, failure.kind])
            if state.known.get(learned) is None:
                changes["known"], changes["news"] = state.known.insert(learned, before.step.id), True
    return put(state, entry, step, **changes)


def open_pending(state: State, pending: Pending, contract: Contract | None) -> dict[str, Any]:
    """The fields of the state that change when something is owed from now on. A word that came before is heard now."""
    name = pending.signal or pending.step
    pending = replace(pending, signal=name)
    if contract is not None and can_look(contract) and not pending.child:
        pending = replace(pending, due_at=pending.since + look_wait(contract, 0))
    word = state.signals.get(name)
    if word is None or pending.found != "none":
        return {"pending": {**state.pending, pending.step: pending}}
    heard = replace(pending, found="came", settled_by="signal", value=word.value)
    rest = {other: said for other, said in state.signals.items() if other != name}
    return {"pending": {**state.pending, pending.step: heard}, "signals": rest}


def without(named: dict[str, Named], name: str) -> dict[str, Named]:
    """All of what is owed, or asked, but this."""
    return {other: each for other, each in named.items() if other != name}


def counted(state: State, changes: tuple[e.Change, ...]) -> dict[str, Any]:
    """The field of the state that changes with what else a call changed."""
    if not changes:
        return {}
    totals = dict(state.changes)
    for change in changes:
        totals[change.name] = totals.get(change.name, 0.0) + change.amount
    return {"changes": totals}


def flying(state: State, name: str, attempt: int) -> StepState:
    """The step whose call is under way; an outcome without one is an error of holdfast's."""
    step = state.steps[name]
    assert step.phase == "flying" and step.attempt == attempt, f"outcome of attempt {attempt} of {name}, which is {step.phase}"
    return step
