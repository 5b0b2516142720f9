"""A fork begins: what its source did stays done; what its source was about to do, was asked and was allowed is void."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from rpds import HashTrieMap

from holdfast.core import events as e
from holdfast.core.commands import call_key
from holdfast.core.contract import digest
from holdfast.core.evolve.runs import thinking_of
from holdfast.core.evolve.steps import put
from holdfast.core.forks import places
from holdfast.core.state import ENDED, State, StepState


def run_forked(state: State, event: e.RunForked, entry: e.Entry) -> State:
    """Time begins anew, for a fork may be made a year later; what was spent counts. An open request to a model or to a memory is
    made anew, for it changes nothing; an open call is in doubt, like one that a worker left: it may have happened."""
    for interrupt, asked in state.interrupts.items():
        state = _withdrawn(state, entry, interrupt, asked)
    if event.thinking is not None and state.thinking is None:
        state = _begins_to_think(state)
    state = replace(
        state,
        run_id=event.run_id,
        agent=event.agent,
        agent_version=event.agent_version,
        contracts={contract.tool: contract for contract in event.contracts},
        limits=event.limits,
        secrets=event.secrets,
        on_stop=event.on_stop,
        thinking=event.thinking,
        accept=event.accept,
        policy=event.policy,
        fork=event,
        fork_record=places(event.recorded),
        fork_calls=HashTrieMap(),
        parent="",
        parent_step="",
        depth=0,
        version=entry.sequence,
        fence=entry.fence,
        at=max(state.at, entry.at),
        started_at=entry.at,
        records=1,
        interrupts={},
        standings={},
        questions={},
        weighing=(*state.weighing, *state.questions.values()) if event.thinking is not None else (),
        held_by=None,
        changed=None,
        paused=None,
        handoff=None,
        plan_asked=None,
        plan_checks=None,
        checking_plan=None,
        proposing=None,
        asking_model=None,
        setbacks=(),
        reason_at=0.0,
        recalling=None,
        reserved={name: held for name, held in state.reserved.items() if name},
        business=HashTrieMap(),
    )
    for name in state.order:
        state = _step_forked(state, name, event.source)
    return state


def _begins_to_think(state: State) -> State:
    """A model takes over from a plan, or from code: it hears of all that was done, and none of it is done again at its wish."""
    ended = [state.steps[name] for name in state.order if state.steps[name].phase in ENDED]
    made = [step for step in ended if (step.phase == "done" or step.landed) and _changes(state, step)]
    done = HashTrieMap({digest([step.tool, step.args]): step.step.id for step in made})
    return replace(
        state, done_calls=done, unseen=tuple(step.step.id for step in ended), **thinking_of(state.goal, state.started_at)
    )  # fmt: skip


def _changes(state: State, step: StepState) -> bool:
    contract = state.contracts.get(step.tool)
    return contract is None or contract.safety not in ("read", "idempotent")


def _withdrawn(state: State, entry: e.Entry, interrupt: str, asked: e.Asked) -> State:
    """The question was one of the source's. A step that waited for the answer is looked at again, and asks its own."""
    owed = state.pending.get(asked.step)
    if owed is not None and owed.interrupt == interrupt:
        return replace(state, pending={**state.pending, asked.step: replace(owed, interrupt=None)})
    step = state.steps.get(asked.step)
    if step is None or step.interrupt != interrupt:
        return state
    phase: Any = {"doubt": "doubt", "owed": "owed", "failure": "diagnosis"}.get(asked.about, "waiting")
    return put(state, entry, replace(step, phase=phase, due_at=entry.at, interrupt=None))


def _step_forked(state: State, name: str, source: str) -> State:
    """A step's approval was for the source. What it did counts under the key that the fork would give it, or the same thing would
    be done again under another one."""
    step = state.steps[name]
    changes: dict[str, Any] = {}
    if step.phase not in ENDED:
        changes = {"approved": None, "approved_by": (), "approved_until": None, "ruled": "", "checks": None}
        changes["begun_before"] = step.occurrence if step.key and (_was_made(step) or _is_insisted_on(state, step, source)) else 0
        if step.phase == "checking":
            changes |= {"phase": "waiting", "due_at": state.at}
    contract = state.contracts.get(step.tool)
    business = state.business
    if contract is not None and contract.business_key and step.key:
        business = business.insert(step.key, name)
        if _was_made(step):
            key = call_key(
                state.run_id, step.tool, name, contract.business_key, step.args or {}, step.occurrence, contract.business_scope
            )
            business = business.insert(key, name)
    steps = state.steps.insert(name, replace(step, **changes)) if changes else state.steps
    return replace(state, steps=steps, business=business)


def _is_insisted_on(state: State, step: StepState, source: str) -> bool:
    """Whether a person told the source to make once more, under its key, a call that may have happened for all that they know."""
    contract = state.contracts.get(step.tool)
    if not step.insisted or contract is None:
        return False
    about = step.tool, step.step.id, contract.business_key, step.args or {}, step.occurrence, contract.business_scope
    return step.begun_before == step.occurrence or step.key == call_key(source, *about)


def _was_made(step: StepState) -> bool:
    """Whether the call of a step was made, or may have been."""
    return step.phase == "done" or step.landed or step.doubt_since is not None or step.phase in ("flying", "owed")
