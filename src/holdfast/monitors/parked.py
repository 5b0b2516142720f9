"""What waits past its time: runs, questions, things that are owed, schedules."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from holdfast.core.schedule import Standing
from holdfast.journal.base import Owed
from holdfast.journal.keeping import Late
from holdfast.journal.people import OpenInterrupt
from holdfast.monitors.catalog import PARKED_PAST_DEADLINE
from holdfast.monitors.findings import Evidence, Finding, Window
from holdfast.monitors.settings import Settings
from holdfast.views import moment, span

_NAME = PARKED_PAST_DEADLINE.name


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What a store says is waited for. unclaimed, expired, parked: see `Health`; owed, open: all that there is; schedules: all of
    them."""

    unclaimed: tuple[Late, ...] = ()
    expired: tuple[Late, ...] = ()
    parked: tuple[Late, ...] = ()
    owed: tuple[Owed, ...] = ()
    open: tuple[OpenInterrupt, ...] = ()
    schedules: tuple[Standing, ...] = ()


def parked(waiting: Waiting, window: Window, settings: Settings) -> list[Finding]:
    """One finding for each run, and one for each schedule; what is the same run is told together."""
    grace = settings.of(PARKED_PAST_DEADLINE)["grace"]
    by_run: dict[str, list[tuple[float, str, Evidence]]] = {}
    agents: dict[str, str] = {}
    for since, run, agent, step, what in _late(waiting):
        agents[run] = agents.get(run) or agent
        if window.until - since > grace:
            said = f"{what}, {span(window.until - since)} ago"
            by_run.setdefault(run, []).append((since, said, Evidence(what=said, run=run, step=step)))
    found = [
        _of_run(run, agents[run], sorted(seen, key=lambda one: one[0]), window, grace) for run, seen in sorted(by_run.items())
    ]
    return [*found, *_schedules(waiting, window, grace)]


def _late(waiting: Waiting) -> Iterator[tuple[float, str, str, str, str]]:
    """Since when something is late, and of which run, agent and step."""
    for late in waiting.unclaimed:
        yield late.since, late.run_id, late.agent, "", "it was due, and no worker has taken it"
    for late in waiting.expired:
        yield late.since, late.run_id, late.agent, "", f"the claim of worker {late.worker} ended, and nobody has taken it over"
    for late in waiting.parked:
        yield late.since, late.run_id, late.agent, "", "the time of what it waits for was over"
    for owed in waiting.owed:
        yield (
            owed.until,
            owed.run_id,
            "",
            owed.step,
            f"step {owed.step} was to have what it is owed{f' by {owed.by}' if owed.by else ''}",
        )
    for asked in waiting.open:
        yield (
            asked.expires_at,
            asked.run_id,
            asked.agent,
            asked.step,
            f"the question {asked.interrupt} was to be answered, or to end",
        )


def _of_run(run: str, agent: str, seen: list[tuple[float, str, Evidence]], window: Window, grace: float) -> Finding:
    first, what, _ = seen[0]
    more = f" (and {len(seen) - 1} more)" if len(seen) > 1 else ""
    return Finding(
        monitor=_NAME, about=run, level="broken", what=f"{what}{more}", evidence=tuple(one for _, _, one in seen),
        since=first, until=window.until, id=f"{_NAME}/{run}/{first:.3f}", measured=window.until - first, threshold=grace,
        agent=agent, run=run,
    )  # fmt: skip


def _schedules(waiting: Waiting, window: Window, grace: float) -> Iterator[Finding]:
    for standing in waiting.schedules:
        name, at = standing.schedule.name, standing.next_at
        if standing.paused or at is None or window.until - at <= grace:
            continue
        what = f"the schedule {name} was to begin a run at {moment(at)}, and no worker has seen to it"
        yield Finding(
            monitor=_NAME, about=f"schedule {name}", level="broken", what=what, evidence=(Evidence(what=what),), since=at,
            until=window.until, id=f"{_NAME}/schedule {name}/{at:.3f}", measured=window.until - at, threshold=grace,
            agent=standing.schedule.agent,
        )  # fmt: skip
