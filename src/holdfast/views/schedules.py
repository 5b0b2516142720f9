"""Schedules and what became of their times, in words: when they fire next, in the words of their place and in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from holdfast.core.schedule import Became, CatchUp, Firing, Overlap, Standing, zone
from holdfast.errors import UsageError
from holdfast.views.words import moment, span

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# What became of a time, where the word alone does not say it.
BECAME: dict[Became, str] = {"waiting": "waits", "begun": "began"}


class ScheduleLine(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it stands. when: its cron line, or the one time in UTC. state: `on`, `paused`, or `over` where no time is
    left. next_at, next_local, next_utc: its next time; None and empty where there is none. waiting: times that wait for the
    run before. current: the run that it began last; running: whether that goes on. note: what keeps it from firing."""

    name: str
    agent: str
    when: str
    timezone: str
    state: str
    overlap: Overlap
    catch_up: CatchUp
    next_at: float | None = None
    next_local: str = ""
    next_utc: str = ""
    waiting: int = 0
    current: str = ""
    running: bool = False
    goal: str | None = None
    inputs: dict[str, Any] = {}
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    created_at: float = 0.0
    note: str = ""


class FiringLine(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a time. count, until: of several of which the same became. status: of the run that it began."""

    planned_at: float
    local: str
    utc: str
    became: Became
    count: int = 1
    until: float = 0.0
    until_local: str = ""
    caught_up: bool = False
    late_seconds: float = 0.0
    run_id: str = ""
    status: str = ""
    why: str = ""


def local(at: float, timezone: str) -> str:
    """A time as people of a place write it: `Mon 2026-11-23 09:00 CET`; in UTC where the place is not known here."""
    try:
        found = datetime.fromtimestamp(at, zone(timezone))
    except (UsageError, OverflowError, ValueError):
        return moment(at)
    seconds = f":{found:%S}" if found.second else ""
    return f"{_DAYS[found.weekday()]} {found:%Y-%m-%d %H:%M}{seconds} {found.tzname() or ''}".rstrip()


def utc(at: float) -> str:
    """The same for machines: `2026-11-23T08:00:00Z`."""
    return moment(at).replace(".000Z", "Z")


def schedule_line(standing: Standing, served: Iterable[str]) -> ScheduleLine:
    """How a schedule stands. served: the agents that live workers have."""
    schedule = standing.schedule
    at = standing.next_at
    over = at is None and not standing.waiting
    state = "paused" if standing.paused else "over" if over else "on"
    unserved = state == "on" and schedule.agent not in served
    return ScheduleLine(
        name=schedule.name, agent=schedule.agent, timezone=schedule.timezone, state=state,
        when=schedule.cron if schedule.cron is not None else utc(schedule.at or 0.0),
        overlap=schedule.overlap, catch_up=schedule.catch_up,
        next_at=at, next_local="" if at is None else local(at, schedule.timezone), next_utc="" if at is None else utc(at),
        waiting=len(standing.waiting), current=standing.current, running=standing.running, goal=schedule.goal,
        inputs=schedule.inputs, tenant=schedule.tenant, priority=schedule.priority, labels=schedule.labels,
        created_at=schedule.created_at, note=f"no live worker has the agent {schedule.agent}" if unserved else "",
    )  # fmt: skip


def firing_line(firing: Firing, timezone: str, statuses: Mapping[str, str]) -> FiringLine:
    """What became of a time. statuses: of runs, by id."""
    several = firing.count > 1
    return FiringLine(
        planned_at=firing.planned_at, local=local(firing.planned_at, timezone), utc=utc(firing.planned_at), became=firing.became,
        count=firing.count, until=firing.until, until_local=local(firing.until, timezone) if several else "",
        caught_up=firing.caught_up, late_seconds=round(max(firing.ruled_at - firing.planned_at, 0.0), 3), run_id=firing.run_id,
        status=statuses.get(firing.run_id, ""), why=firing.why,
    )  # fmt: skip


def firing_words(line: FiringLine) -> str:
    """What became of a time, in a word or two: `began, 2h late`, `missed 4 times`."""
    word = BECAME.get(line.became, line.became)
    if line.count > 1:
        return f"{word} {line.count} times"
    return f"{word}, {span(line.late_seconds)} late" if line.became == "begun" and line.late_seconds >= 60 else word
