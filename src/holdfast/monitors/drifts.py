"""Tools held against their own past: success, latency, cost, retries.

Nothing is assumed about how values are distributed. Shares are compared by their Wilson intervals (see `figures/interval.py` for
the source), quantiles by the order statistics between which they lie (see `ranks.py`). There is a drift only where the two
intervals do not touch *and* the difference is as large as the thresholds say: the first alone would find, in a thousand calls,
what nobody cares about; the second alone would find, in ten, what is chance. Better than before is no finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from holdfast.figures.interval import wilson
from holdfast.monitors.catalog import RETRIED_TOO_OFTEN, TOOL_COST_DRIFT, TOOL_LATENCY_DRIFT, TOOL_SUCCESS_DRIFT, Monitor
from holdfast.monitors.digest import Call, RunDigest, Tries
from holdfast.monitors.findings import EVIDENCE_MAX, Evidence, Finding, Unjudged, Window
from holdfast.monitors.ranks import Z_99, Quantile, quantile
from holdfast.monitors.settings import Settings
from holdfast.views import span

Told = tuple[list[Finding], list[Unjudged]]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with a tool, in the window and before; each with the run that it belongs to."""

    tool: str
    now: Sequence[tuple[str, Call]]
    before: Sequence[tuple[str, Call]]
    tries_now: Sequence[tuple[str, Tries]]
    tries_before: Sequence[tuple[str, Tries]]


def uses(runs: Iterable[RunDigest], window: Window) -> list[Use]:
    """By tool; a call is of the window in which it ended, whenever its run began."""
    now: dict[str, list[tuple[str, Call]]] = {}
    before: dict[str, list[tuple[str, Call]]] = {}
    tries_now: dict[str, list[tuple[str, Tries]]] = {}
    tries_before: dict[str, list[tuple[str, Tries]]] = {}
    for run in runs:
        for call in run.calls:
            if (place := now if window.holds(call.at) else before if window.is_past(call.at) else None) is not None:
                place.setdefault(call.tool, []).append((run.run_id, call))
        for tries in run.tries:
            kept = tries_now if window.holds(tries.at) else tries_before if window.is_past(tries.at) else None
            if kept is not None:
                kept.setdefault(tries.tool, []).append((run.run_id, tries))
    return [
        Use(
            tool=tool, now=now.get(tool, ()), before=before.get(tool, ()), tries_now=tries_now.get(tool, ()),
            tries_before=tries_before.get(tool, ()),
        )
        for tool in sorted(now.keys() | tries_now.keys())
    ]  # fmt: skip


def success(use: Use, window: Window, settings: Settings) -> Told:
    """Whether the tool fails more often than it did."""
    bars = settings.of(TOOL_SUCCESS_DRIFT, tool=use.tool)
    if blind := _too_few(TOOL_SUCCESS_DRIFT, use.tool, len(use.now), len(use.before), bars):
        return [], blind
    good, were_good = sum(call.is_good for _, call in use.now), sum(call.is_good for _, call in use.before)
    is_, was = wilson(good, len(use.now), Z_99), wilson(were_good, len(use.before), Z_99)
    assert is_ is not None and was is not None
    share, past = good / len(use.now), were_good / len(use.before)
    if past - share < bars["drop"] or is_.high >= was.low:
        return [], []
    what = (
        f"{use.tool} succeeded in {_percent(share)} of {len(use.now)} calls ({_percent(is_.low)} to {_percent(is_.high)}); "
        f"before that in {_percent(past)} of {len(use.before)} ({_percent(was.low)} to {_percent(was.high)})"
    )
    seen = [_evidence(run, call, f"the call {_OUTCOMES[call.outcome]}") for run, call in use.now if not call.is_good]
    return [_drift(TOOL_SUCCESS_DRIFT, use.tool, window, what, seen, share, past - bars["drop"])], []


def latency(use: Use, window: Window, settings: Settings) -> Told:
    """Whether the calls that returned a result took longer than they did: their median, or the 95th of a hundred."""
    bars = settings.of(TOOL_LATENCY_DRIFT, tool=use.tool)
    now = [(run, call, call.seconds) for run, call in use.now if call.seconds is not None and call.outcome == "ok"]
    before = [call.seconds for _, call in use.before if call.seconds is not None and call.outcome == "ok"]
    if blind := _too_few(TOOL_LATENCY_DRIFT, use.tool, len(now), len(before), bars):
        return [], blind
    for share, name in ((0.5, "half of its calls"), (0.95, "95 of 100 of its calls")):
        is_, was = quantile([seconds for _, _, seconds in now], share), quantile(before, share)
        if is_ is not None and was is not None and _is_more(is_, was, bars["factor"], bars["seconds"]):
            what = (
                f"{use.tool}: {name} took up to {span(is_.value)} ({span(is_.low)} to {span(is_.high)}), of {len(now)}; before "
                f"that up to {span(was.value)} ({span(was.low)} to {span(was.high)}), of {len(before)}"
            )
            slow = sorted(now, key=lambda one: one[2], reverse=True)
            seen = [_evidence(run, call, f"the call took {span(seconds)}") for run, call, seconds in slow]
            least = max(was.value * bars["factor"], was.value + bars["seconds"])
            return [_drift(TOOL_LATENCY_DRIFT, use.tool, window, what, seen, is_.value, least)], []
    return [], []


def cost(use: Use, window: Window, settings: Settings) -> Told:
    """Whether the calls of which it is known what they cost became dearer."""
    bars = settings.of(TOOL_COST_DRIFT, tool=use.tool)
    now = [(run, call, call.cost_usd) for run, call in use.now if call.cost_usd is not None]
    before = [call.cost_usd for _, call in use.before if call.cost_usd is not None]
    if not now:
        return [], []
    if blind := _too_few(TOOL_COST_DRIFT, use.tool, len(now), len(before), bars):
        return [], blind
    is_, was = quantile([usd for _, _, usd in now], 0.5), quantile(before, 0.5)
    if is_ is None or was is None or not _is_more(is_, was, bars["factor"], bars["usd"]):
        return [], []
    what = (
        f"{use.tool}: half of its {len(now)} calls cost up to ${is_.value:.4g} (${is_.low:.4g} to ${is_.high:.4g}); before "
        f"that, of {len(before)}, up to ${was.value:.4g} (${was.low:.4g} to ${was.high:.4g})"
    )
    dear = sorted(now, key=lambda one: one[2], reverse=True)
    seen = [_evidence(run, call, f"the call cost ${usd:.4g}") for run, call, usd in dear]
    least = max(was.value * bars["factor"], was.value + bars["usd"])
    return [_drift(TOOL_COST_DRIFT, use.tool, window, what, seen, is_.value, least)], []


def retries(use: Use, window: Window, settings: Settings) -> Told:
    """Whether more of the tool's steps needed another attempt than did before."""
    bars = settings.of(RETRIED_TOO_OFTEN, tool=use.tool)
    now, before = use.tries_now, use.tries_before
    if not now:
        return [], []
    if blind := _too_few(RETRIED_TOO_OFTEN, use.tool, len(now), len(before), bars, of="steps"):
        return [], blind
    again, were_again = sum(tries.count > 1 for _, tries in now), sum(tries.count > 1 for _, tries in before)
    is_, was = wilson(again, len(now), Z_99), wilson(were_again, len(before), Z_99)
    assert is_ is not None and was is not None
    share, past = again / len(now), were_again / len(before)
    if share - past < bars["rise"] or is_.low <= was.high:
        return [], []
    what = (
        f"{_percent(share)} of {len(now)} steps of {use.tool} were tried again ({_percent(is_.low)} to {_percent(is_.high)}); "
        f"before that {_percent(past)} of {len(before)} ({_percent(was.low)} to {_percent(was.high)})"
    )
    most = sorted(now, key=lambda one: one[1].count, reverse=True)
    seen = [
        Evidence(what=f"{tries.count} attempts", run=run, step=tries.step, entry=tries.entry)
        for run, tries in most
        if tries.count > 1
    ]
    return [_drift(RETRIED_TOO_OFTEN, use.tool, window, what, seen, share, past + bars["rise"])], []


def _is_more(is_: Quantile, was: Quantile, factor: float, least: float) -> bool:
    return is_.low > was.high and is_.value >= factor * was.value and is_.value - was.value >= least


def _drift(
    monitor: Monitor, tool: str, window: Window, what: str, seen: Sequence[Evidence], measured: float, threshold: float
) -> Finding:
    return Finding(
        monitor=monitor.name, about=tool, level="warning", what=what, evidence=tuple(seen[:EVIDENCE_MAX]), since=window.since,
        until=window.until, id=f"{monitor.name}/{tool}/{window.name()}", measured=measured, threshold=threshold, tool=tool,
    )  # fmt: skip


def _too_few(
    monitor: Monitor, tool: str, now: int, before: int, bars: dict[str, float], of: Literal["calls", "steps"] = "calls"
) -> list[Unjudged]:
    least, past = bars[f"{of}_min"], bars["past_min"]
    if now >= max(least, 1) and before >= max(past, 1):
        return []
    why = f"{now} {of} in the window and {before} before it; {least:g} and {past:g} are needed"
    return [Unjudged(monitor=monitor.name, about=tool, why=why)]


_OUTCOMES = {"failed": "failed", "unknown": "ended without anybody knowing"}


def _evidence(run: str, call: Call, what: str) -> Evidence:
    return Evidence(what=what, run=run, step=call.step, entry=call.entry)


def _percent(share: float) -> str:
    return f"{share:.0%}"
