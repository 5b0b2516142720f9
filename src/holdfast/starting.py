"""What a run begins with: its row and its first event, checked and in the form in which they will be read back.

Whoever creates a run makes both here: the user's verbs, a schedule that fires, and a run that starts another one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core.contract import digest
from holdfast.core.events import RunStarted
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal
from holdfast.core.values import plain
from holdfast.errors import UsageError
from holdfast.journal.base import NewRun
from holdfast.journal.codec import redact
from holdfast.memory import check_thread

ID_MAX = 200
PRIORITY_MAX = 1_000_000


def started(
    agent: Agent,
    run_id: str,
    goal: str | None,
    inputs: dict[str, Any] | None = None,
    tenant: str = "",
    priority: int = 0,
    labels: dict[str, str] | None = None,
    *,
    limits: Limits | None = None,
    parent: str = "",
    parent_step: str = "",
    depth: int = 0,
    ends_with_parent: bool = True,
    thread: str = "",
) -> tuple[NewRun, RunStarted]:
    """What `Journal.create` is given. goal: None takes the agent's. limits: in place of the agent's; parent, parent_step,
    depth, ends_with_parent: of a run that another one starts. thread: the conversation that it belongs to.

    Raises UsageError, with everything that is wrong, for an id, inputs or other parts that cannot be taken.
    """
    check_id(run_id)
    if thread:
        check_thread(thread)
    asked, goal_digest = goal_of(agent, goal, inputs)
    agent.check_inputs(asked.inputs)
    first = RunStarted(
        run_id=run_id,
        agent=agent.name,
        agent_version=agent.version,
        goal=asked,
        contracts=tuple(agent.toolbox.contracts.values()),
        limits=limits or agent.limits,
        tenant=tenant,
        priority=priority,
        labels=labels or {},
        secrets=agent.secrets,
        on_stop=agent.on_stop,
        parent=parent,
        parent_step=parent_step,
        depth=depth,
        thread=thread,
        thinking=agent.thinking(asked.inputs),
        accept=agent.accept,
        policy=agent.policy,
        records=1,
    )
    first = _as_read(first)
    row = NewRun(
        run_id=run_id,
        agent=agent.name,
        goal_digest=goal_digest,
        tenant=tenant,
        priority=priority,
        labels=labels or {},
        parent=parent,
        parent_step=parent_step,
        ends_with_parent=ends_with_parent,
    )
    return row, first


def goal_of(agent: Agent, text: str | None, inputs: dict[str, Any] | None) -> tuple[Goal, str]:
    """What is asked, and the digest that tells it from another goal under the same id."""
    goal = Goal(text=agent.goal if text is None else text, inputs=inputs_of(agent, inputs))
    try:
        return goal, digest([agent.name, goal])
    except ValueError as error:
        raise UsageError(f"the goal cannot be written down: {error}") from error


def inputs_of(agent: Agent, inputs: dict[str, Any] | None) -> dict[str, Any]:
    """Inputs as they will be read back; UsageError where they are no JSON."""
    try:
        read = plain(inputs or {})
    except ValueError as error:
        raise UsageError(f"the inputs are no JSON: {error}") from error
    if not isinstance(read, dict):
        raise UsageError("the inputs are no table of values by name")
    redacted: dict[str, Any] = redact(read, agent.secret_names)
    return redacted


def check_id(run_id: str) -> None:
    """UsageError for a text that cannot be the id of a run."""
    if not run_id or len(run_id) > ID_MAX or not run_id.isprintable() or run_id != run_id.strip():
        raise UsageError(f"{run_id[:40]!r} is no id for a run", hint=f"use up to {ID_MAX} printable characters")


def _as_read(started: RunStarted) -> RunStarted:
    """The start as it will be read back; UsageError for a part of it that is not of its type."""
    try:
        read = msgspec.convert(plain(started), RunStarted)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"the run cannot be written down: {error}", hint="texts are texts, labels are texts by name") from error
    if abs(read.priority) > PRIORITY_MAX:
        raise UsageError(
            f"a priority lies between -{PRIORITY_MAX} and {PRIORITY_MAX}", hint="a level is worth a minute of waiting"
        )
    return read
