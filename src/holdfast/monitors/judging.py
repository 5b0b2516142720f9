"""All monitors over what was read: pure, so that everything that is found can be found again from the same digests."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from holdfast.figures.alarms import Alarm
from holdfast.monitors import beliefs, drifts, results, usual
from holdfast.monitors.catalog import (
    BELIEF_AND_WORLD_APART,
    COST_RUNAWAY,
    EMPTY_RESULT,
    GOAL_CHECK_FAILS,
    NAMES,
    PARKED_PAST_DEADLINE,
    RETRIED_TOO_OFTEN,
    RUBBER_STAMPING,
    SKIPPED_TOO_MUCH,
    TOOL_COST_DRIFT,
    TOOL_LATENCY_DRIFT,
    TOOL_SUCCESS_DRIFT,
    Monitor,
)
from holdfast.monitors.digest import RunDigest
from holdfast.monitors.findings import Evidence, Finding, Unjudged, Window
from holdfast.monitors.parked import Waiting, parked
from holdfast.monitors.settings import Settings


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a store. runs: a digest each, in any order. waiting, alarms: what it says beside. changed: how many runs
    changed in the window and in the past, of which `runs` are those that were read; unreadable: runs whose journals are
    broken."""

    window: Window
    runs: tuple[RunDigest, ...]
    waiting: Waiting = Waiting()
    alarms: tuple[Alarm, ...] = ()
    changed: int = 0
    cut: bool = False
    unreadable: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. unjudged: what cannot be judged yet. runs: how many were looked at; of: how many there are; cut: some runs
    of the window or of the past were not read, for there are more than the limit."""

    window: Window
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    runs: int
    of: int
    cut: bool
    unreadable: tuple[str, ...] = ()


def judge(seen: Seen, settings: Settings) -> Report:
    """What all monitors find. Simulated forks are left out: nothing of them happened."""
    runs = [run for run in seen.runs if not run.simulated]
    found: list[Finding] = []
    unjudged: list[Unjudged] = []
    for agent, own in _by_agent(runs):
        for told in _of_agent(agent, own, seen.window, settings):
            found += told[0]
            unjudged += told[1]
    for use in drifts.uses(runs, seen.window):
        for monitor, look in _TOOLS:
            if settings.looks(monitor, tool=use.tool):
                told = look(use, seen.window, settings)
                found += told[0]
                unjudged += told[1]
    if settings.looks(PARKED_PAST_DEADLINE):
        found += parked(seen.waiting, seen.window, settings)
    if settings.looks(RUBBER_STAMPING):
        found += [_stamped(alarm, seen.window) for alarm in seen.alarms]
    found.sort(key=_order)
    return Report(
        window=seen.window, findings=tuple(found), unjudged=tuple(unjudged), runs=len(runs), of=seen.changed, cut=seen.cut,
        unreadable=seen.unreadable,
    )  # fmt: skip


_TOOLS = (
    (TOOL_SUCCESS_DRIFT, drifts.success),
    (TOOL_LATENCY_DRIFT, drifts.latency),
    (TOOL_COST_DRIFT, drifts.cost),
    (RETRIED_TOO_OFTEN, drifts.retries),
)


def _of_agent(
    agent: str, runs: list[RunDigest], window: Window, settings: Settings
) -> Iterable[tuple[list[Finding], list[Unjudged]]]:
    def wanted(monitor: Monitor) -> bool:
        return settings.looks(monitor, agent=agent)

    if wanted(EMPTY_RESULT):
        yield results.empty_result(agent, runs, window, settings)
    if wanted(GOAL_CHECK_FAILS):
        yield results.goal_check_fails(agent, runs, window, settings), []
    if wanted(SKIPPED_TOO_MUCH):
        yield results.skipped_too_much(agent, runs, window, settings), []
    if wanted(BELIEF_AND_WORLD_APART):
        yield beliefs.apart(agent, runs, window, settings)
    if wanted(RETRIED_TOO_OFTEN):
        yield usual.attempts(agent, runs, window, settings)
    if wanted(COST_RUNAWAY):
        yield usual.cost_runaway(agent, runs, window, settings)


def _by_agent(runs: list[RunDigest]) -> list[tuple[str, list[RunDigest]]]:
    agents: dict[str, list[RunDigest]] = {}
    for run in runs:
        agents.setdefault(run.agent, []).append(run)
    return sorted(agents.items())


def _stamped(alarm: Alarm, window: Window) -> Finding:
    """An alarm of `figures/alarms.py` beside what monitors found."""
    about = f"{alarm.of} {alarm.name}".strip()
    return Finding(
        monitor=RUBBER_STAMPING.name, about=about, level="warning", what=alarm.what, evidence=(Evidence(what=alarm.what),),
        since=alarm.since, until=alarm.until, id=f"{RUBBER_STAMPING.name}/{alarm.kind}/{about}/{window.name()}",
    )  # fmt: skip


def _order(finding: Finding) -> tuple[bool, int, str]:
    """What is broken first, then by monitor."""
    return finding.level != "broken", NAMES.index(finding.monitor), finding.about
