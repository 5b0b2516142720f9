"""Runs held against what is usual for their agent: what they cost, and how often they tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from holdfast.monitors.catalog import COST_RUNAWAY, RETRIED_TOO_OFTEN, Monitor
from holdfast.monitors.digest import RunDigest
from holdfast.monitors.findings import Evidence, Finding, Unjudged, Window
from holdfast.monitors.ranks import far_above
from holdfast.monitors.results import of_run
from holdfast.monitors.settings import Settings

Told = tuple[list[Finding], list[Unjudged]]


def cost_runaway(agent: str, runs: Sequence[RunDigest], window: Window, settings: Settings) -> Told:
    """Runs of an agent, also those that go on, that cost far more than its ended ones did."""
    bars = settings.of(COST_RUNAWAY, agent=agent)
    past, now, blind = _parted(COST_RUNAWAY, agent, runs, window, bars, lambda run: run.cost_usd > 0)
    if not now or blind:
        return [], blind
    costs = [run.cost_usd for run in past]
    usual = median(costs)
    least = max(bars["factor"] * usual, usual + bars["usd"], far_above(costs, bars["spreads"]))
    found = []
    for run in now:
        if run.cost_usd > least:
            what = f"it cost ${run.cost_usd:.4g}, where half of {len(past)} earlier runs of {agent} cost up to ${usual:.4g}"
            dear = sorted((call for call in run.calls if call.cost_usd), key=lambda call: call.cost_usd or 0.0, reverse=True)
            seen = [
                Evidence(what=f"{call.tool} cost ${call.cost_usd or 0:.4g}", run=run.run_id, step=call.step, entry=call.entry)
                for call in dear
            ]
            found.append(
                of_run(run, COST_RUNAWAY.name, window, what, seen, level="warning", measured=run.cost_usd, threshold=least)
            )
    return found, []


def attempts(agent: str, runs: Sequence[RunDigest], window: Window, settings: Settings) -> Told:
    """Runs of an agent, also those that go on, that needed far more attempts for each step than its ended ones did."""
    bars = settings.of(RETRIED_TOO_OFTEN, agent=agent)
    past, now, blind = _parted(RETRIED_TOO_OFTEN, agent, runs, window, bars, lambda run: bool(run.tries))
    if not now or blind:
        return [], blind
    rates = [_attempts(run) for run in past if run.tries]
    usual = median(rates)
    least = max(bars["factor"] * usual, far_above(rates, bars["spreads"]))
    found = []
    for run in now:
        made = sum(tries.count for tries in run.tries)
        if made >= bars["attempts_min"] and _attempts(run) > least:
            what = (
                f"it made {made} attempts for {len(run.tries)} steps, where half of {len(rates)} earlier runs of {agent} made up "
                f"to {usual:.3g} for each"
            )
            most = sorted(run.tries, key=lambda tries: tries.count, reverse=True)
            seen = [
                Evidence(what=f"{tries.count} attempts of {tries.tool}", run=run.run_id, step=tries.step, entry=tries.entry)
                for tries in most
                if tries.count > 1
            ]
            found.append(
                of_run(run, RETRIED_TOO_OFTEN.name, window, what, seen, level="warning", measured=_attempts(run), threshold=least)
            )
    return found, []


def _attempts(run: RunDigest) -> float:
    return sum(tries.count for tries in run.tries) / len(run.tries)


def _parted(
    monitor: Monitor, agent: str, runs: Sequence[RunDigest], window: Window, bars: dict[str, float],
    counts: Callable[[RunDigest], bool],
) -> tuple[list[RunDigest], list[RunDigest], list[Unjudged]]:  # fmt: skip
    """Those that ended before the window, those that are of it, and why nothing can be said."""
    past = [run for run in runs if window.is_past(run.ended_at)]
    now = [run for run in runs if counts(run) and window.holds(run.ended_at if run.ended_at is not None else run.changed_at)]
    if len(past) >= max(bars["runs_min"], 1) and any(map(counts, past)):
        return past, now, []
    why = f"{len(past)} earlier runs are known, and {bars['runs_min']:g} are needed"
    return past, now, [Unjudged(monitor=monitor.name, about=agent, why=why)] if now else []
