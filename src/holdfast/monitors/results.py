"""Runs that say completed: is there a result, does the goal hold, was the plan followed?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from holdfast.monitors.catalog import EMPTY_RESULT, GOAL_CHECK_FAILS, SKIPPED_TOO_MUCH
from holdfast.monitors.digest import RunDigest
from holdfast.monitors.findings import EVIDENCE_MAX, Evidence, Finding, Unjudged, Window, earlier, recent
from holdfast.monitors.ranks import far_below
from holdfast.monitors.settings import Settings

NAMED_MAX = 5


def of_run(run: RunDigest, monitor: str, window: Window, what: str, evidence: Sequence[Evidence], **more: object) -> Finding:
    """A finding about one run. It is the same however often and in whatever window it is found."""
    fields: dict[str, object] = {"level": "broken", **more}
    return Finding(
        monitor=monitor, about=run.run_id, what=what, evidence=tuple(evidence)[:EVIDENCE_MAX], since=window.since,
        until=window.until, id=f"{monitor}/{run.run_id}", agent=run.agent, run=run.run_id, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


# --- is there a result ------------------------------------------------------------------------------------------------


def empty_result(
    agent: str, runs: Sequence[RunDigest], window: Window, settings: Settings
) -> tuple[list[Finding], list[Unjudged]]:
    """Of one agent."""
    bars = settings.of(EMPTY_RESULT, agent=agent)
    past, now = earlier(runs, window), recent(runs, window)
    were_empty = sum(run.parts[""].is_empty for run in past)
    usually_empty = bool(past) and were_empty >= bars["usually_empty"] * len(past)
    is_known = len(past) >= bars["runs_min"]
    found: list[Finding] = []
    for run in now:
        if run.parts[""].is_empty:
            if not usually_empty:
                before = f"; of {len(past)} earlier runs of {agent} {were_empty} did" if past else ""
                what = f"it completed with an empty result{before}"
                found.append(of_run(run, EMPTY_RESULT.name, window, what, [_at_end(run, "the result is empty")], measured=0.0))
        elif is_known and (thin := sorted(_thin(run, past, bars), key=lambda one: one[1] / one[2])):
            what = "it completed with far less than usual: " + "; ".join(said for said, _, _ in thin[:NAMED_MAX])
            seen = [_at_end(run, said) for said, _, _ in thin]
            _, measured, least = thin[0]
            found.append(of_run(run, EMPTY_RESULT.name, window, what, seen, level="warning", measured=measured, threshold=least))
    blind = [] if is_known or not now else [_too_few(EMPTY_RESULT.name, agent, len(past), bars["runs_min"])]
    return found, blind


def _thin(run: RunDigest, past: Sequence[RunDigest], bars: dict[str, float]) -> Iterator[tuple[str, float, float]]:
    """The parts of a result that have far less than usual: in words, how much there is, and how much there should be."""
    for name in sorted({name for other in past for name in other.parts}):
        # Who says that a part is missing must know that it is always there.
        with_it = [other.parts[name] for other in past if name in other.parts]
        if len(with_it) < len(past):
            continue
        have = run.parts.get(name)
        for unit, is_, were in (
            ("values", have.values if have else 0, [size.values for size in with_it]),
            ("bytes", have.bytes if have else 0, [size.bytes for size in with_it]),
        ):
            usual = median(were)
            least = min(bars["share"] * usual, far_below(were, bars["spreads"]))
            if is_ < least:
                which = f"{name} has" if name else "its result has"
                yield (
                    f"{which} {is_} {unit}, where half of {len(were)} earlier ones had {usual:g} or more",
                    float(is_),
                    least,
                )
                break


# --- does the goal hold -----------------------------------------------------------------------------------------------


def goal_check_fails(agent: str, runs: Sequence[RunDigest], window: Window, settings: Settings) -> list[Finding]:
    """Of one agent."""
    bars = settings.of(GOAL_CHECK_FAILS, agent=agent)
    check = settings.check(agent)
    found: list[Finding] = []
    for run in recent(runs, window):
        broken, doubtful = list(_not_reached(run)), list(_doubtful(run, bars))
        if check is not None and run.document is not None:
            held = check.holds(run.document)
            if held.holds is not True:
                why = "does not hold" if held.holds is False else f"cannot be worked out: {held.why}"
                broken.append(_at_end(run, f"the check {check.text!r} {why}"))
        evidence = [*broken, *doubtful]
        if evidence:
            what = "it completed, and " + "; ".join(one.what for one in evidence[:NAMED_MAX])
            level = "broken" if broken else "warning"
            found.append(of_run(run, GOAL_CHECK_FAILS.name, window, what, evidence, level=level, measured=float(len(evidence))))
    return found


def _not_reached(run: RunDigest) -> Iterator[Evidence]:
    if run.accept and run.accepted is not True:
        why = "was refused" if run.accepted is False else "was never looked at"
        yield _at_end(run, f"what counts as done ({run.accept}) {why}")
    for step in run.unknown:
        yield _at_end(run, f"nobody knows whether step {step} happened", step)


def _doubtful(run: RunDigest, bars: dict[str, float]) -> Iterator[Evidence]:
    for step in run.flagged:
        yield _at_end(run, f"step {step} is flagged: somebody should look at it", step)
    for step in run.partial:
        yield _at_end(run, f"step {step} is done in part only", step)
    if bars["refusals"] and len(run.refused) >= bars["refusals"]:
        last = run.refused[-1]
        yield Evidence(
            what=f"its result was refused {len(run.refused)} times before it was accepted, last by {last.by}: {last.reason}",
            run=run.run_id, entry=last.entry,
        )  # fmt: skip


# --- was the plan followed --------------------------------------------------------------------------------------------


def skipped_too_much(agent: str, runs: Sequence[RunDigest], window: Window, settings: Settings) -> list[Finding]:
    """Of one agent."""
    bars = settings.of(SKIPPED_TOO_MUCH, agent=agent)
    found: list[Finding] = []
    for run in recent(runs, window):
        left = tuple(dict.fromkeys((*run.skipped, *run.replaced)))
        share = len(left) / run.steps if run.steps else 0.0
        if len(left) >= max(bars["steps"], 1) and share > bars["share"]:
            what = (
                f"it completed, and of {run.steps} steps {len(run.skipped)} were skipped and {len(run.replaced)} done another way"
            )
            seen = [_at_end(run, f"step {step} was skipped", step) for step in run.skipped]
            seen += [_at_end(run, f"step {step} was done another way", step) for step in run.replaced]
            found.append(
                of_run(run, SKIPPED_TOO_MUCH.name, window, what, seen, level="warning", measured=share, threshold=bars["share"])
            )
    return found


def _at_end(run: RunDigest, what: str, step: str = "") -> Evidence:
    return Evidence(what=what, run=run.run_id, step=step, entry=run.end)


def _too_few(monitor: str, about: str, count: int, needed: float) -> Unjudged:
    return Unjudged(monitor=monitor, about=about, why=f"{count} earlier runs are known, and {needed:g} are needed")
