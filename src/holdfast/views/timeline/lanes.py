"""What is drawn in a lane: bars, waits and marks, and the words that fit between them.

How a bar ended is said thrice: by its colour, by its pattern and by a sign at its end, so that it can be read in grey and by who
cannot tell the colours apart. What went well has no sign.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from holdfast.views.timeline.axis import Axis
from holdfast.views.timeline.lettering import plain, width
from holdfast.views.timeline.records import Bar, Lane, Mark, Outcome, Sign, Wait, Why
from holdfast.views.timeline.shapes import Label, Row, Shape
from holdfast.views.words import moment, span

BAR_MIN, SIGN, GAP = 2.5, 10.0, 3.0
# In a lane that several steps share, bars that were under way at once are put below one another, up to so many.
TRACKS_MAX = 5
# Above so many things in a lane, those are drawn as one that nobody could tell apart.
CROWD = 150
# Above so many things in a lane there is no room for words between them.
WORDED_MAX = 120
# Of marks that are drawn as one, the sign of the one that says most.
TELLING: tuple[Sign, ...] = ("no", "yes", "word", "ruling")
Span = tuple[float, float]


def contents(row: Row, axis: Axis, words_max: int) -> tuple[list[Shape], list[Label]]:
    """The shapes and the words of a lane. words_max: of what is shown to who points at one."""
    lane = row.lane
    shapes: list[Shape] = []
    taken: list[Span] = [(at - GAP - 4, at + GAP + 4) for at in axis.zigzags]
    bars = [(group, track, _extent(group, axis)) for group, track in _in_tracks(lane, axis)]
    marks = [(axis.x(group[0].at), group) for group in _together(lane.marks, axis)]
    # Where a mark and the sign of a bar would lie on one another, the one goes up and the other down.
    mark_xs, sign_xs = [x for x, _ in marks], sorted(extent[1] for group, _, extent in bars if group[0].outcome != "ok")
    for wait in lane.waits:
        words = plain(_wait_words(wait), words_max)
        shapes.extend(wait_shapes(wait.why, axis.x(wait.begin), axis.x(wait.end), row, words))
    for group, track, (begin, end) in bars:
        bar, words = group[0], plain(_bar_words(group), words_max)
        aside = row.height / 4 if _is_near(end, mark_xs) else 0.0
        shapes.extend(bar_shapes(bar.outcome, bar.what, begin, end, track(row), words, aside))
        taken.append((begin - GAP, end + (SIGN / 2 if bar.outcome != "ok" else 0.0) + GAP))
    for x, together in marks:
        words = plain("; ".join(f"{moment(mark.at)} {mark.words}" for mark in together), words_max)
        sign = min((mark.sign for mark in together), key=TELLING.index)
        shapes.append(mark_shape(sign, x, row, words, -row.height / 4 if _is_near(x, sign_xs) else 0.0))
        taken.append((x - SIGN / 2 - GAP, x + SIGN / 2 + GAP))
    has_words = row.height >= 20 and not lane.steps and len(taken) <= WORDED_MAX
    return shapes, list(_labels(row, axis, taken)) if has_words else []


def _extent(group: Sequence[Bar], axis: Axis) -> Span:
    begin = axis.x(group[0].begin)
    return begin, max(axis.x(max(bar.end for bar in group)), begin + BAR_MIN)


def _is_near(x: float, others: Sequence[float]) -> bool:
    at = bisect_left(others, x)
    return any(abs(x - other) < SIGN for other in others[max(at - 1, 0) : at + 1])


# --- bars ---------------------------------------------------------------------------------------------------------


def bar_shapes(
    outcome: Outcome, what: str, begin: float, end: float, row: Row, words: str = "", aside: float = 0.0,
) -> Iterator[Shape]:  # fmt: skip
    """A bar. One of a call is as high as there is room, one that only asks is lower. aside: how far down its sign is."""
    high = max(row.height * (0.62 if what in ("call", "model") else 0.36), 3.0)
    wide = max(end - begin, BAR_MIN)
    yield Shape(kind="rect", x=begin, y=row.y - high / 2, width=wide, height=high, style=f"b-{outcome}", words=words)
    if outcome != "ok":
        size = min(SIGN, row.height)
        yield Shape(kind="sign", x=begin + wide, y=row.y + aside, width=size, height=size, style=f"s-{outcome}", words=words)


def _in_tracks(lane: Lane, axis: Axis) -> Iterator[tuple[Sequence[Bar], _Track]]:
    """Bars with the part of the lane that each has; in a crowd, bars in one place are one."""
    if not lane.steps:
        for group in _crowded(lane.bars, axis):
            yield group, _Track(0, 1)
        return
    ends: list[float] = []
    placed: list[tuple[Bar, int]] = []
    for bar in lane.bars:
        free = next((at for at, end in enumerate(ends) if end <= bar.begin), None)
        if free is None:
            free = len(ends) if len(ends) < TRACKS_MAX else min(range(TRACKS_MAX), key=ends.__getitem__)
            ends += [0.0] * (free == len(ends))
        ends[free] = bar.end
        placed.append((bar, free))
    for track in range(len(ends)):
        for group in _crowded([bar for bar, at in placed if at == track], axis, crowd=0):
            yield group, _Track(track, len(ends))


class _Track:
    """One of `of` parts of a lane, from the top."""

    def __init__(self, number: int, of: int):
        self.number, self.of = number, of

    def __call__(self, row: Row) -> Row:
        if self.of == 1:
            return row
        high = (row.height - 4.0) / self.of
        return Row(lane=row.lane, y=row.y - (row.height - 4.0) / 2 + high * (self.number + 0.5), height=high)


def _crowded(bars: Sequence[Bar], axis: Axis, crowd: int = CROWD) -> Iterator[list[Bar]]:
    """Each bar for itself; in a crowd, those of one outcome that touch on the sheet together."""
    group: list[Bar] = []
    right = 0.0
    for bar in bars:
        begin = axis.x(bar.begin)
        alike = group and bar.outcome == group[0].outcome and bar.what == group[0].what
        if len(bars) > crowd and alike and begin <= right + 0.5:
            group.append(bar)
        else:
            if group:
                yield group
            group = [bar]
        right = max(right if len(group) > 1 else 0.0, axis.x(bar.end), begin + BAR_MIN)
    if group:
        yield group


def _bar_words(group: Sequence[Bar]) -> str:
    first = group[0]
    words = f"{first.words} [{first.outcome}, {moment(first.begin)}, {span(first.end - first.begin)}]"
    return words if len(group) == 1 else f"{len(group)} of them, {first.outcome}, the first: {words}"


# --- waits and marks ----------------------------------------------------------------------------------------------


def wait_shapes(why: Why, begin: float, end: float, row: Row, words: str = "") -> Iterator[Shape]:
    """A box for people and for what is owed, a line for what goes on by itself."""
    wide = max(end - begin, 1.0)
    if why in ("retry", "held"):
        yield Shape(
            kind="rect", x=begin, y=row.y - row.height * 0.3, width=wide, height=row.height * 0.6, style="hit", words=words
        )
        yield Shape(kind="line", x=begin, y=row.y, width=wide, style=f"w-{why}")
        return
    high = max(row.height * 0.62, 3.0)
    yield Shape(kind="rect", x=begin, y=row.y - high / 2, width=wide, height=high, style=f"w-{why}", words=words)


def _wait_words(wait: Wait) -> str:
    still = ", still" if wait.is_open else ""
    until = f", until {moment(wait.until)} at most" if wait.until is not None else ""
    return f"{wait.words or wait.brief} [waited {span(wait.end - wait.begin)}{still}, from {moment(wait.begin)}{until}]"


def mark_shape(sign: str, x: float, row: Row, words: str = "", aside: float = 0.0) -> Shape:
    """A mark around a moment."""
    size = min(SIGN, row.height)
    return Shape(kind="sign", x=x, y=row.y + aside, width=size, height=size, style=f"m-{sign}", words=words)


def _together(marks: Iterable[Mark], axis: Axis) -> Iterator[list[Mark]]:
    """Marks that would lie on one another are one."""
    group: list[Mark] = []
    for mark in marks:
        if group and axis.x(mark.at) - axis.x(group[0].at) > SIGN * 0.8:
            yield group
            group = []
        group.append(mark)
    if group:
        yield group


# --- words between them -------------------------------------------------------------------------------------------


def _labels(row: Row, axis: Axis, taken: list[Span]) -> Iterator[Label]:
    """Words in bars and in waits, each where nothing else is; those that do not fit are left to who points at them."""
    words: list[Span] = []
    for bar in row.lane.bars:
        begin, end = axis.x(bar.begin), axis.x(bar.end)
        signs = SIGN / 2 if bar.outcome != "ok" else 0.0
        others = [one for one in taken if one[0] > begin or one[1] < end]
        label = _label(row, _free(begin, end - signs, [*others, *words]), bar.brief, "in-bar")
        if label is not None:
            words.append((label.left - GAP, label.right + GAP))
            yield label
    for wait in row.lane.waits:
        free = _free(axis.x(wait.begin), axis.x(wait.end), [*taken, *words])
        brief = f"{wait.brief}, {span(wait.end - wait.begin)}"
        label = _label(row, free, brief, "in-wait") or _label(row, free, wait.brief, "in-wait")
        if label is not None:
            words.append((label.left - GAP, label.right + GAP))
            yield label


def _free(begin: float, end: float, taken: Iterable[Span]) -> Span:
    """The widest part of a stretch in which nothing is."""
    best, at = (begin, begin), begin
    for left, right in sorted(taken):
        if right <= at or left >= end:
            continue
        if left - at > best[1] - best[0]:
            best = at, left
        at = max(at, right)
    return (at, end) if end - at > best[1] - best[0] else best


def _label(row: Row, free: Span, words: str, style: str) -> Label | None:
    words, size = plain(words, 80), 9.5
    wide = width(words, size)
    if not words or wide + 4 > free[1] - free[0]:
        return None
    return Label(
        x=(free[0] + free[1]) / 2, y=row.y + size * 0.35, words=words, size=size, width=wide, style=style, anchor="middle",
    )  # fmt: skip
