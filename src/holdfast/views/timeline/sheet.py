"""A timeline laid out: every shape and every word has its place, in points from the upper left corner."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from holdfast.views.timeline.axis import Axis, axis, ticks
from holdfast.views.timeline.lanes import contents
from holdfast.views.timeline.legend import meanings
from holdfast.views.timeline.lettering import fitted, plain, width
from holdfast.views.timeline.records import Lane, Timeline
from holdfast.views.timeline.shapes import Label, Row, Shape
from holdfast.views.words import counted, moment, span, usd

WIDTH, MARGIN = 1200.0, 16.0
NAMES_MIN, NAMES_MAX, ENDS = 90.0, 290.0, 200.0
# How high a lane is, by how many there are at most.
HEIGHTS = ((40, 24.0), (120, 15.0), (1_000_000_000, 9.0))
SHARED_HEIGHT = 22.0
HEAD, COST, AXIS = 18.0, 34.0, 38.0
# A plan with fewer steps than this on average is one of many small ones, and gets no heading.
STEPS_A_PLAN = 1.5
WORDS_MAX, WORDS_ALL = 300, 400_000
STATUS = {"waiting": "waits", "blocked": "needs a person"}


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The whole picture. title, description: for who cannot see it."""

    width: float
    height: float
    title: str
    description: str
    shapes: tuple[Shape, ...]
    labels: tuple[Label, ...]


def picture(found: Timeline) -> Sheet:
    """A timeline on a sheet. The same timeline gives the same sheet."""
    return _Sheet(found).draw()


class _Sheet:
    def __init__(self, found: Timeline):
        self.found = found
        self.shapes: list[Shape] = []
        self.labelled: set[str] = set()
        self.labels: list[Label] = []
        self.lane_height = next(height for most, height in HEIGHTS if len(found.lanes) <= most)
        self.size = min(12.0, max(9.0, self.lane_height - 5.0))
        names = (_name_width(lane, self.size) + 14.0 for lane in found.lanes)
        self.left = MARGIN + min(max((*names, NAMES_MIN)), NAMES_MAX)
        self.right = WIDTH - MARGIN - ENDS
        things = sum(len(lane.bars) + len(lane.waits) + len(lane.marks) for lane in found.lanes)
        self.words_max = max(60, min(WORDS_MAX, WORDS_ALL // max(things, 1)))
        self.axis = self._axis()

    def _axis(self) -> Axis:
        found, moments = self.found, [self.found.begin, self.found.end]
        busy = [(bar.begin, bar.end) for lane in found.lanes for bar in lane.bars]
        for begin, end in busy:
            moments += (begin, end)
        moments += [at for lane in found.lanes for wait in lane.waits for at in (wait.begin, wait.end)]
        moments += [mark.at for lane in found.lanes for mark in lane.marks]
        moments += [line.at for line in found.lines]
        return axis(moments, busy, self.left, self.right)

    def draw(self) -> Sheet:
        found = self.found
        top = self._heading()
        top = self._legend(top) + AXIS
        if found.lines:
            top += 14.0
        rows, bottom = self._rows(top)
        self.labelled = _labelled(rows, self.size * 1.25)
        self._time(top, bottom)
        for row in rows:
            self._lane(row)
        self._over(top, bottom)
        if found.costs:
            bottom = self._cost(bottom)
        return Sheet(
            width=WIDTH, height=bottom + MARGIN, title=plain(f"Timeline of run {found.run_id}", 300),
            description=_description(found), shapes=tuple(self.shapes), labels=tuple(self.labels),
        )  # fmt: skip

    def text(
        self, x: float, y: float, words: str, size: float, *, style: str = "", anchor: Literal["start", "middle"] = "start",
        room: float | None = None, whole: float | None = None,
    ) -> Label | None:  # fmt: skip
        """A label, cut to its room, or left out where the whole of it does not fit; None where there is none."""
        clean = plain(words, 500)
        shown = clean if room is None else fitted(clean, size, room)
        if whole is not None and width(clean, size) > whole:
            return None
        if not shown:
            return None
        label = Label(x=x, y=y, words=shown, size=size, style=style, anchor=anchor, width=width(shown, size))
        self.labels.append(label)
        return label

    # --- above the lanes ------------------------------------------------------------------------------------------

    def _heading(self) -> float:
        found, room = self.found, WIDTH - 2 * MARGIN
        status = STATUS.get(found.status, found.status)
        self.text(MARGIN, 28, found.run_id + (f" — {found.goal}" if found.goal else ""), 17, style="head", room=room)
        why = f": {found.reason}" if found.reason else ""
        self.text(
            MARGIN, 48, f"{'simulated, ' if found.simulated else ''}{status}{why}", 12, style=f"is-{found.status}", room=room
        )
        parts = [
            f"agent {found.agent}",
            f"from {moment(found.begin)}"
            if found.begin == found.end
            else f"from {moment(found.begin)}, for {span(found.end - found.begin)}",
            counted(found.steps, "step"),
            counted(found.attempts, "call"),
            counted(found.entries, "entry", "entries"),
            usd(found.spent_usd) if found.spent_usd else "",
            counted(found.tokens, "token") if found.tokens else "",
            f"a fork of {found.source}" if found.source else "",
        ]
        self.text(MARGIN, 66, " · ".join(filter(None, parts)), 11, style="soft", room=room)
        return 80.0

    def _legend(self, top: float) -> float:
        """What the shapes mean: those that are in this picture."""
        x, y = MARGIN, top + 8.0
        for words, draw in meanings(self.found):
            wide = 30.0 + width(words, 10.5) + 14.0
            if x + wide > WIDTH - MARGIN:
                x, y = MARGIN, y + 17.0
            row = Row(lane=Lane(kind="run", name=""), y=y, height=16.0)
            self.shapes.extend(draw(x, row))
            self.text(x + 30.0, y + 4.0, words, 10.5, style="soft")
            x += wide
        return y + 14.0

    # --- time -----------------------------------------------------------------------------------------------------

    def _time(self, top: float, bottom: float) -> None:
        """Breaks, the grid, and what stands along it: lengths above, times of day below."""
        free_lengths, free_days = self.left - 30.0, self.left - 40.0
        base = top - AXIS + (0.0 if not self.found.lines else -14.0)
        self.shapes.append(
            Shape(kind="rect", x=self.left, y=top, width=self.right - self.left, height=bottom - top, style="field")
        )
        for number, piece in enumerate(self.axis.pieces):
            wide = piece.right - piece.left
            if piece.is_break:
                long = span(piece.end - piece.begin)
                words = (
                    f"{long} in which nothing happened but what the bars show, from {moment(piece.begin)} to {moment(piece.end)}"
                )
                self.shapes.append(
                    Shape(kind="rect", x=piece.left, y=top, width=wide, height=bottom - top, style="break", words=words)
                )
                label = self.text(
                    (piece.left + piece.right) / 2, base + 12, long, 10, style="long", anchor="middle", room=wide - 2
                )
                free_lengths = max(free_lengths, label.right if label else 0.0)
                continue
            for at in (piece.begin, *ticks(piece, 64.0, piece.begin)[1:]):
                x = self.axis.x(at) if at != piece.begin else piece.left
                self.shapes.append(Shape(kind="line", x=x, y=top, width=0.0, height=bottom - top, style="grid"))
                words = f"+{span(at - piece.begin)}" if at > piece.begin else "0" if number == 0 else ""
                wide = width(words, 10)
                if words and x - wide / 2 > free_lengths + 4 and x + wide / 2 < piece.right - 2:
                    self.text(x, base + 12, words, 10, style="soft", anchor="middle")
                    free_lengths = x + wide / 2
            day = _of_day(piece.begin, self.found.begin if number else None)
            if piece.left > free_days + 6 and piece.left + width(day, 10) < self.right:
                self.text(piece.left, base + 28, day, 10, style="day")
                free_days = piece.left + width(day, 10)

    def _over(self, top: float, bottom: float) -> None:
        """What goes over the lanes: the zigzags of breaks, lost workers, forks and the end."""
        for piece in self.axis.pieces:
            if piece.is_break:
                middle = (piece.left + piece.right) / 2
                self.shapes.append(
                    Shape(kind="rect", x=round((middle - 4) / 8) * 8.0, y=top, width=8, height=bottom - top, style="zigzag")
                )
        places = [self.axis.x(line.at) for line in self.found.lines]
        for line, x, following in zip(self.found.lines, places, (*places[1:], self.right), strict=False):
            words, said = _cut(line.words), "worker lost" if line.kind == "crash" else "forked here"
            high = bottom - top + 12
            self.shapes.append(Shape(kind="line", x=x, y=top - 12, height=high, style=f"l-{line.kind}", words=words))
            self.shapes.append(Shape(kind="sign", x=x, y=top - 8, width=9, height=9, style=f"m-{line.kind}", words=words))
            self.text(x + 8, top - 4, said, 9.5, style=f"{line.kind}-word", whole=following - x - 16)
        end = self.axis.x(self.found.end)
        self.shapes.append(
            Shape(kind="line", x=end, y=top, width=0.0, height=bottom - top, style="end", words=_end_words(self.found))
        )

    # --- lanes ----------------------------------------------------------------------------------------------------

    def _rows(self, top: float) -> tuple[list[Row], float]:
        """A row for each lane, under headings of plans where there are several worth one."""
        rows, y = [], top + 4.0
        headed, plan = self._is_headed(), 0
        reasons = {one.revision: one.reason for one in self.found.plans}
        for lane in self.found.lanes:
            if headed and lane.kind == "step" and lane.plan != plan:
                plan = lane.plan
                why = f": {reasons[plan]}" if reasons.get(plan) else ""
                self.text(MARGIN, y + 12, f"plan {plan}{why}", 10.5, style="plan", room=WIDTH - 2 * MARGIN)
                self.shapes.append(
                    Shape(
                        kind="line",
                        x=MARGIN,
                        y=y + HEAD - 2,
                        width=WIDTH - 2 * MARGIN,
                        height=0.0,
                        style="rule",
                        words=_cut(f"plan {plan}{why}"),
                    )
                )
                y += HEAD
            height = max(self.lane_height, SHARED_HEIGHT) if lane.steps else self.lane_height
            rows.append(Row(lane=lane, y=y + height / 2, height=height))
            y += height
        return rows, y + 4.0

    def _is_headed(self) -> bool:
        steps = [lane for lane in self.found.lanes if lane.kind == "step"]
        plans = {lane.plan for lane in steps}
        in_order = [lane.plan for lane in steps] == sorted(lane.plan for lane in steps)
        return in_order and 1 < len(plans) <= 12 and self.found.steps >= STEPS_A_PLAN * len(plans)

    def _lane(self, row: Row) -> None:
        lane = row.lane
        shapes, labels = contents(row, self.axis, self.words_max)
        self.shapes.extend(shapes)
        self.labels.extend(labels)
        if (
            len(lane.steps) > 1
            or width(lane.outcome, self.size) > ENDS - 14
            or width(lane.name, self.size) > self.left - MARGIN - 8
        ):
            words = _cut(f"{lane.name} ({lane.tool}): {lane.outcome}")
            ends = ((MARGIN, self.left - MARGIN), (self.right, ENDS))
            self.shapes += (
                Shape(kind="rect", x=x, y=row.y - row.height / 2, width=wide, height=row.height, style="hit", words=words)
                for x, wide in ends
            )
        if not self._has_room(row):
            return
        y = row.y + self.size * 0.35
        name = self.text(MARGIN, y, lane.name, self.size, style="name", room=self.left - MARGIN - 8)
        if name is not None and lane.tool and lane.tool != lane.name:
            rest = self.left - name.right - 16
            self.text(name.right + 8, y, lane.tool, self.size - 1.5, style="soft", room=rest)
        small = max(self.size - 1.0, 8.5)
        style = "soft" if lane.is_smooth or lane.outcome.startswith("done") else "rough"
        self.text(self.right + 10, y, lane.outcome, small, style=style, room=ENDS - 12)

    def _has_room(self, row: Row) -> bool:
        """Whether the words of a lane fit between those of others; where lanes are low, those in trouble come first."""
        return row.height >= self.size * 1.25 or row.lane.name in self.labelled

    # --- money ----------------------------------------------------------------------------------------------------

    def _cost(self, top: float) -> float:
        costs = self.found.costs
        most = max(one.usd for one in costs) or 1
        base = top + COST
        points, last = [(self.left, base)], self.left
        height = 0.0
        for one in costs:
            x, now = self.axis.x(one.at), float(one.usd / most) * (COST - 10)
            if x - last >= 0.5 or now != height:
                points += [(x, base - height), (x, base - now)]
                last, height = x, now
        points += [(self.axis.x(self.found.end), base - height)]
        self.shapes.append(
            Shape(
                kind="path",
                x=self.left,
                y=top,
                width=self.right - self.left,
                height=COST,
                style="cost",
                points=tuple(points),
                words=f"spent in all: {usd(costs[-1].usd)}",
            )
        )
        self.text(MARGIN, base - 6, "spent", min(self.size, 11.0), style="name")
        self.text(self.right + 10, base - 6, usd(costs[-1].usd), 11, style="soft", room=ENDS - 12)
        return base + 6.0


def _name_width(lane: Lane, size: float) -> float:
    tool = lane.tool if lane.tool != lane.name else ""
    return width(plain(lane.name, 200), size) + (8.0 + width(plain(tool, 200), size - 1.5) if tool else 0.0)


def _labelled(rows: Sequence[Row], apart: float) -> set[str]:
    """The lanes that get their words where not all can: first those in trouble, then whatever fits between."""
    free: list[float] = []
    names = set()
    for row in sorted(rows, key=lambda row: (row.lane.kind == "step", row.lane.is_smooth, row.y)):
        at = bisect_left(free, row.y)
        if all(abs(row.y - other) >= apart for other in free[max(at - 1, 0) : at + 1]):
            insort(free, row.y)
            names.add(row.lane.name)
    return names


def _cut(words: str) -> str:
    return plain(words, WORDS_MAX)


def _of_day(at: float, begin: float | None) -> str:
    """A time of day; with the day, at the beginning and on another day than that."""
    time = moment(at)
    if len(time) != 24:
        return time
    when = datetime.fromtimestamp(at, UTC)
    same = begin is not None and moment(begin)[:10] == time[:10]
    return time[11:23] if same else f"{when:%a} {time[:10]} {time[11:19]}"


def _end_words(found: Timeline) -> str:
    return _cut(
        f"{STATUS.get(found.status, found.status)} at {moment(found.end)}" + (f": {found.reason}" if found.reason else "")
    )


def _description(found: Timeline) -> str:
    """The picture in words."""
    rough = [f"{lane.name} {lane.outcome}" for lane in found.lanes if lane.kind == "step" and not lane.is_smooth]
    crashes = sum(line.kind == "crash" for line in found.lines)
    parts = [
        f"{STATUS.get(found.status, found.status)}" + (f": {found.reason}" if found.reason else ""),
        f"{counted(found.steps, 'step')} with {counted(found.attempts, 'call')} in {span(found.end - found.begin)}",
        f"{counted(crashes, 'worker')} lost" if crashes else "",
        f"not smooth: {'; '.join(rough[:20])}" if rough else "",
    ]
    return plain(". ".join(filter(None, parts)), 2000)
