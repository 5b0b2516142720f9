"""A step that starts a run: the effect is a row in the store, made once however often it is tried."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core.commands import CallTool, child_run_id
from holdfast.core.events import AnyEvent, CallDeferred, CallFailed, CallUnknown, Failure
from holdfast.core.limits import Limits, within
from holdfast.core.models import Usage
from holdfast.core.state import State
from holdfast.errors import HoldfastError, JournalUnavailable
from holdfast.journal.base import Journal
from holdfast.reasoners.planfile import limits_of
from holdfast.starting import started

# A run that starts a run that starts a run: beyond this it is a circle.
DEPTH_MAX = 8


def child_id(state: State, command: CallTool) -> str:
    """The id of the run that a call starts."""
    return child_run_id(state.run_id, command.step, command.occurrence)


async def start_child(command: CallTool, agent: Agent, state: State, journal: Journal, now: float) -> AnyEvent:
    """Put the child into the store; its result is owed until it ends. The commit that ends it tells the parent."""
    child = agent.agents.get(command.contract.agent or "")
    if child is None:
        return _failed(command, "not_found", f"the agent has no agent {command.contract.agent}")
    if state.depth >= DEPTH_MAX:
        return _failed(command, "denied", f"it would be the {DEPTH_MAX + 1}th run inside one another")
    args = command.args
    given = args.get("limits") or {}
    wrong: list[str] = []
    limits_of(given, wrong)
    if wrong:
        return _failed(command, "invalid_input", "; ".join(wrong))
    try:
        row, first = started(
            child,
            child_id(state, command),
            args.get("goal"),
            args.get("inputs") or {},
            state.tenant,
            state.priority,
            state.labels,
            limits=within(_limits(child.limits, command.limits), given),
            parent=state.run_id,
            parent_step=command.step,
            depth=state.depth + 1,
            ends_with_parent=not args.get("detached", False),
            thread=state.thread,
        )
    except HoldfastError as error:
        return _failed(command, "invalid_input", str(error))
    try:
        if await journal.create(row, (first,), now) is None:
            there = await journal.row(row.run_id)
            if there is None or there.parent != state.run_id:
                return _failed(command, "conflict", f"there is a run {row.run_id} already, and it is not this one's")
    except JournalUnavailable as error:
        return CallUnknown(step=command.step, attempt=command.attempt, why=str(error))
    # No longer than its parent goes on: who waits for that one is to see that it waits for nothing else.
    ends_at = state.started_at + state.limits.wall_seconds
    until = now + first.limits.wall_seconds + first.limits.person_seconds
    until = min(until, ends_at) if ends_at > now else until
    return CallDeferred(step=command.step, attempt=command.attempt, handle=row.run_id, by=f"agent {child.name}", until=until)


def _limits(own: Limits, granted: Limits | None) -> Limits:
    """The child's own limits, none of them above what its parent grants it."""
    if granted is None:
        return own
    most: dict[str, Any] = {name: getattr(granted, name) for name in ("attempts_max", "wall_seconds", "steps_max", "turns_max")}
    # Without a budget of its own it has none; a run of a child that has one is not given more.
    means = {name: getattr(granted, name) for name in ("cost_usd_max", "tokens_max") if getattr(granted, name) is not None}
    own = msgspec.structs.replace(own, **{name: means[name] for name in means if getattr(own, name) is None})
    most |= means
    return within(own, most)


def _failed(command: CallTool, kind: Any, message: str) -> CallFailed:
    return CallFailed(step=command.step, attempt=command.attempt, failure=Failure(kind=kind, message=message))


def _has_share(limits: Limits) -> bool:
    return limits.cost_usd_max is not None or limits.tokens_max is not None


def report(state: State) -> dict[str, Any]:
    """What the parent of an ended run is told."""
    return {
        "status": state.ended,
        "result": msgspec.to_builtins(state.result),
        "reason": state.reason,
        "attempts": state.attempts,
        # Of one that had a share of the budget it is said also where it spent nothing, for that is given back.
        "spent": msgspec.to_builtins(state.spent) if state.spent != Usage() or _has_share(state.limits) else None,
        "partial": [*state.partial, *state.skipped, *state.flagged],
    }
