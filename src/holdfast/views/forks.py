"""What a fork is a fork of, and what of its record is its source's."""

from __future__ import annotations

import msgspec

from holdfast.core import events as e
from holdfast.core.commands import call_key
from holdfast.core.forks import NO_ANSWER
from holdfast.core.state import ENDED, State, StepState


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated call to which neither the record nor the script had an answer. entry: of its outcome."""

    entry: int
    step: str
    tool: str
    args: dict[str, object]


class ForkView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a fork comes from. entry: the last one of `source` that it took over; mode: what it may do to the world. taken: steps
    whose effects are the source's, and are not done again; in_doubt: those that the source had begun and of which nobody knows
    whether they happened; owed: those of which it is still owed something. simulated: nothing that it says happened after that
    entry did."""

    source: str
    entry: int
    mode: e.ForkMode
    by: str = ""
    reason: str = ""
    taken: tuple[str, ...] = ()
    in_doubt: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    simulated: bool = False


def fork_view(state: State) -> ForkView | None:
    """Where a run comes from; None where it is no fork."""
    fork = state.fork
    if fork is None:
        return None
    steps = [state.steps[name] for name in state.order]
    return ForkView(
        source=fork.source,
        entry=fork.entry,
        mode=fork.mode,
        by=fork.by,
        reason=fork.reason,
        taken=tuple(step.step.id for step in steps if step.phase == "done" and _is_taken(state, step)),
        in_doubt=tuple(step.step.id for step in steps if _is_in_doubt(state, step)),
        owed=tuple(name for name in state.pending if not _is_own(state, state.steps[name])),
        simulated=fork.mode == "simulate",
    )


def unanswered(entries: list[e.Entry]) -> tuple[Unanswered, ...]:
    """The calls of a simulated run that nobody had an answer to, in order."""
    calls: dict[str, e.CallIntended] = {}
    found = []
    for entry in entries:
        if isinstance(entry.event, e.CallIntended):
            calls[entry.event.step] = entry.event
        elif isinstance(entry.event, e.CallFailed) and entry.event.failure.message.startswith(NO_ANSWER):
            call = calls[entry.event.step]
            found.append(Unanswered(entry=entry.sequence, step=call.step, tool=call.tool, args=call.args))
    return tuple(found)


def _is_taken(state: State, step: StepState) -> bool:
    """Whether a step is done by an effect of the source."""
    contract = state.contracts.get(step.tool)
    if (contract is not None and contract.safety == "read") or not step.key:
        return False
    assert state.fork is not None
    return step.done_at <= state.fork.entry or not _is_own(state, step)


def _is_in_doubt(state: State, step: StepState) -> bool:
    begun = step.phase == "flying" and step.fence < state.fence
    return step.phase not in ENDED and (begun or step.doubt_since is not None) and not _is_own(state, step)


def _is_own(state: State, step: StepState) -> bool:
    """Whether the call in force went out under a key that this run gave it."""
    contract = state.contracts.get(step.tool)
    business, scope = (contract.business_key, contract.business_scope) if contract is not None else ((), "run")
    return step.key == call_key(
        state.run_id, step.tool, step.step.id, business, step.args or {}, step.occurrence, scope
    )  # fmt: skip
