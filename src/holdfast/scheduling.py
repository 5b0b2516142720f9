"""The user's verbs about schedules, below `Holdfast`: put, pause, resume. What fires them is `engines/schedules.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core import schedule as core
from holdfast.core.schedule import Ruling, Schedule, Standing
from holdfast.core.values import plain
from holdfast.errors import UsageError
from holdfast.journal.base import Journal, Turn
from holdfast.starting import inputs_of, started


def wanted(
    agent: Agent,
    name: str,
    goal: str | None,
    inputs: dict[str, Any] | None,
    at: float | str | datetime | None,
    **of: Any,
) -> Schedule:
    """A schedule as it will be read back. UsageError for what cannot be, in it or in the runs that it would begin."""
    schedule = Schedule(
        name=name,
        agent=agent.name,
        goal=goal,
        inputs=inputs_of(agent, inputs),
        at=None if at is None else core.moment_of(at),
        **of,
    )
    try:
        schedule = msgspec.convert(plain(schedule), Schedule)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"the schedule cannot be written down: {error}") from error
    core.check(schedule)
    labels = {"schedule": name, **schedule.labels}
    started(agent, core.run_id_of(name, 0.0), goal, schedule.inputs, schedule.tenant, schedule.priority, labels)
    return schedule


async def put(journal: Journal, schedule: Schedule, now: float, *, replace: bool = False) -> Standing:
    """Put a schedule into the store; the same twice is once. UsageError where another one has the name, unless `replace`."""
    while True:
        found = await journal.schedules(schedule.name)
        if found and core.is_same(found[0].schedule, schedule):
            return found[0]
        if found and not replace:
            raise UsageError(
                f"there is another schedule {schedule.name} already: {_difference(found[0].schedule, schedule)}",
                hint="choose another name, or replace it",
            )
        ruling = core.changed(found[0], schedule, now) if found else Ruling(standing=core.begun(schedule, now))
        if await _turned(journal, ruling, now):
            return await get(journal, schedule.name)


async def pause(journal: Journal, name: str, now: float) -> Standing:
    """Nothing of it begins until it is resumed."""
    while True:
        found = await get(journal, name)
        if found.paused or await _turned(journal, core.paused(found), now):
            return await get(journal, name)


async def resume(journal: Journal, name: str, now: float) -> Standing:
    """It goes on with its next time."""
    while True:
        found = await get(journal, name)
        if not found.paused or await _turned(journal, core.resumed(found, now), now):
            return await get(journal, name)


async def get(journal: Journal, name: str) -> Standing:
    """A schedule by name; UsageError where there is none."""
    found = await journal.schedules(name)
    if not found:
        raise UsageError(f"there is no schedule {name[:80]} in this store", hint="`holdfast schedule list` lists them")
    return found[0]


async def _turned(journal: Journal, ruling: Ruling, now: float) -> bool:
    """False where somebody else changed it in the meantime."""
    return await journal.turn_schedule(Turn(standing=ruling.standing, at=now, firings=ruling.firings))


def _difference(one: Schedule, other: Schedule) -> str:
    names = (name for name in Schedule.__struct_fields__ if name != "created_at" and getattr(one, name) != getattr(other, name))
    return f"it has another {', '.join(names)}"
