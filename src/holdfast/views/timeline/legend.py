"""What the shapes of a picture mean: of those that are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from holdfast.views.timeline.lanes import bar_shapes, mark_shape, wait_shapes
from holdfast.views.timeline.records import Outcome, Sign, Timeline, Why
from holdfast.views.timeline.shapes import Row, Shape

OUTCOMES: dict[Outcome, str] = {
    "ok": "done",
    "part": "in part",
    "deferred": "taken on, result owed",
    "failed": "failed",
    "unknown": "nobody knows",
    "open": "under way",
}
WAITS: dict[Why, str] = {
    "person": "a person is asked",
    "owed": "owed by others",
    "retry": "until the next try",
    "held": "held back",
    "paused": "paused",
}
SIGNS: dict[Sign, str] = {"yes": "a yes, or a result", "no": "a no", "word": "word from outside", "ruling": "ruled"}
_LINES = {"crash": "worker lost", "fork": "forked"}
Draw = Callable[[float, Row], list[Shape]]


def meanings(found: Timeline) -> Iterator[tuple[str, Draw]]:
    """Words for each kind of shape that there is, with how to draw one at a place."""
    bars = {bar.outcome for lane in found.lanes for bar in lane.bars}
    waits = {wait.why for lane in found.lanes for wait in lane.waits}
    marks = {mark.sign for lane in found.lanes for mark in lane.marks}
    looks = {bar.what for lane in found.lanes for bar in lane.bars} & {"probe", "check", "memory", "reasoner"}
    lines = {line.kind for line in found.lines}
    for outcome, words in OUTCOMES.items():
        if outcome in bars:
            yield words, partial(_bar, outcome, "call")
    if looks:
        yield "only looked or asked", partial(_bar, "ok", "probe")
    for why, words in WAITS.items():
        if why in waits:
            yield words, partial(_wait, why)
    for sign, words in SIGNS.items():
        if sign in marks:
            yield words, partial(_mark, sign)
    for kind, words in _LINES.items():
        if kind in lines:
            yield words, partial(_line, kind)


def _bar(outcome: Outcome, what: str, x: float, row: Row) -> list[Shape]:
    return list(bar_shapes(outcome, what, x, x + 18.0, row))


def _wait(why: Why, x: float, row: Row) -> list[Shape]:
    return list(wait_shapes(why, x, x + 18.0, row))


def _mark(sign: Sign, x: float, row: Row) -> list[Shape]:
    return [mark_shape(sign, x + 9.0, row)]


def _line(kind: str, x: float, row: Row) -> list[Shape]:
    line = Shape(kind="line", x=x + 9.0, y=row.y - 7.0, height=14.0, style=f"l-{kind}")
    return [line, Shape(kind="sign", x=x + 9.0, y=row.y - 3.0, width=9.0, height=9.0, style=f"m-{kind}")]
