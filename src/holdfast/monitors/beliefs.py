"""What runs believed, held against what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from holdfast.figures.interval import wilson
from holdfast.monitors.catalog import BELIEF_AND_WORLD_APART
from holdfast.monitors.digest import RunDigest
from holdfast.monitors.findings import EVIDENCE_MAX, Evidence, Finding, Unjudged, Window, recent
from holdfast.monitors.ranks import Z_99
from holdfast.monitors.results import of_run
from holdfast.monitors.settings import Settings

_NAME = BELIEF_AND_WORLD_APART.name
_KINDS = {
    "observed": "facts observed to be otherwise",
    "guessed": "wrong guesses",
    "refused": "results that did not do",
    "happened": "failed calls that had happened",
    "late": "late deliveries that say otherwise",
    "unseen": "things done that never showed",
}


def apart(agent: str, runs: Sequence[RunDigest], window: Window, settings: Settings) -> tuple[list[Finding], list[Unjudged]]:
    """Of one agent: each completed run that rests on what was known to be wrong by its end, and how often anything was found to
    be otherwise than was believed."""
    bars = settings.of(BELIEF_AND_WORLD_APART, agent=agent)
    found = [_resting(run, window) for run in recent(runs, window) if run.outdated]
    now = [run for run in runs if window.holds(run.ended_at)]
    past = [run for run in runs if window.is_past(run.ended_at)]
    with_some = [run for run in now if run.contradictions]
    if len(now) < max(bars["runs_min"], 1):
        why = f"{len(now)} runs ended in the window, and {bars['runs_min']:g} are needed for a rate"
        return found, [Unjudged(monitor=_NAME, about=agent, why=why)] if with_some else []
    is_ = wilson(len(with_some), len(now), Z_99)
    before = sum(bool(run.contradictions) for run in past)
    was = wilson(before, len(past), Z_99) if len(past) >= bars["runs_min"] else None
    assert is_ is not None
    share, past_share = len(with_some) / len(now), before / len(past) if past else 0.0
    rose = was is not None and is_.low > was.high and share - past_share >= bars["rise"]
    # Where it was like this all along, it is told by the rate in force only where nothing says what is usual.
    if not rose and (was is not None or is_.low <= bars["share"]):
        return found, []
    kinds = Counter(one.kind for run in with_some for one in run.contradictions)
    named = ", ".join(f"{_KINDS[kind]} ({count})" for kind, count in kinds.most_common())
    what = f"in {len(with_some)} of {len(now)} runs of {agent} something was not as it was believed to be: {named}"
    if was is not None:
        what += f"; before that in {before} of {len(past)}"
    seen = [
        Evidence(what=one.what, run=run.run_id, step=one.step, entry=one.entry)
        for run in with_some
        for one in run.contradictions[:1]
    ]
    found.append(
        Finding(
            monitor=_NAME, about=agent, level="warning", what=what, evidence=tuple(seen[:EVIDENCE_MAX]), since=window.since,
            until=window.until, id=f"{_NAME}/{agent}/{window.name()}", measured=share,
            threshold=past_share + bars["rise"] if was is not None else bars["share"], agent=agent,
        )
    )  # fmt: skip
    return found, []


def _resting(run: RunDigest, window: Window) -> Finding:
    """A run that completed on what it knew was not so."""
    said = [one for one in run.contradictions if one.name] or list(run.contradictions)
    steps = ", ".join(run.outdated[:5])
    why = said[-1].what if said else "what they rest on was corrected"
    what = f"it completed, and steps that it counts as done rest on what was known to be wrong by then ({steps}): {why}"
    seen = [Evidence(what=one.what, run=run.run_id, step=one.step, entry=one.entry) for one in said]
    seen += [
        Evidence(what=f"step {step} rests on it, and was not done again", run=run.run_id, step=step) for step in run.outdated
    ]
    return of_run(run, _NAME, window, what, seen, measured=float(len(run.outdated)), threshold=0.0)
