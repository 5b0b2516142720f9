"""Many steps that are alike share a lane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec.structs import replace

from holdfast.views.timeline.records import Bar, Lane, Timeline, Wait

Fold = Literal["auto", "never"]
# So many lanes can be looked at one by one.
LANES_MAX = 60
# Fewer steps are not worth a lane of their own.
ALIKE_MIN = 3


def folded(found: Timeline, fold: Fold = "auto") -> Timeline:
    """With alike steps in one lane, where there are more than LANES_MAX: those of the same tool that went as planned, in the
    place of the first of them; then, if there still are too many, also those to which the same happened otherwise."""
    if fold == "never":
        return found
    for key in (_smooth, _alike):
        if len(found.lanes) > LANES_MAX:
            found = replace(found, lanes=tuple(_folded(found.lanes, key)))
    return found


def _smooth(lane: Lane) -> tuple[str, ...] | None:
    return (lane.tool, lane.outcome) if lane.is_smooth and lane.kind == "step" else None


def _alike(lane: Lane) -> tuple[str, ...] | None:
    """Those that ended alike, unless a person had to do with them."""
    if lane.kind != "step" or any(wait.why == "person" for wait in lane.waits):
        return None
    return (lane.tool, lane.outcome.partition(":")[0])


def _folded(lanes: Sequence[Lane], key: Callable[[Lane], tuple[str, ...] | None]) -> list[Lane]:
    groups: dict[tuple[str, ...], list[Lane]] = {}
    for lane in lanes:
        if (alike := key(lane)) is not None:
            groups.setdefault(alike, []).append(lane)
    shown: list[Lane] = []
    for lane in lanes:
        group = groups.get(key(lane) or (), [])
        if len(group) < ALIKE_MIN:
            shown.append(lane)
        elif group[0] is lane:
            shown.append(_together(group))
    return shown


def _together(group: Sequence[Lane]) -> Lane:
    steps = [name for lane in group for name in lane.steps or (lane.name,)]
    bars: list[Bar] = [bar for lane in group for bar in lane.bars]
    waits: list[Wait] = [wait for lane in group for wait in lane.waits]
    return Lane(
        kind="step", name=f"{steps[0]} … {steps[-1]}", tool=group[0].tool, plan=group[0].plan,
        outcome=f"{len(steps)} × {group[0].outcome.partition(':')[0]}", is_smooth=all(lane.is_smooth for lane in group),
        bars=tuple(sorted(bars, key=lambda bar: (bar.begin, bar.entry))),
        waits=tuple(sorted(waits, key=lambda wait: (wait.begin, wait.end, wait.why, wait.brief))),
        marks=tuple(sorted((mark for lane in group for mark in lane.marks), key=lambda mark: mark.entry)), steps=tuple(steps),
    )  # fmt: skip
