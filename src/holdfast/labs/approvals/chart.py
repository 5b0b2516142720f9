"""The chart of the lab: how old the queue grew, and how often people said no. An SVG file that stands alone, written by hand.

It is drawn on nothing, for light and dark pages alike. The colours are those of Okabe and Ito, "Color Universal Design", 2002,
which colour-blind readers can tell apart; each policy has a mark of its own as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from holdfast.labs.approvals.outcome import Outcome, Week

WIDTH, HEIGHT = 900, 396
TOP, BOTTOM = 96, 322
COLOURS = ("#d55e00", "#2a8fd0", "#009e73")
LEAST = 10
"""Decisions of a week that make a rate worth drawing."""

_FOOT = "Simulated people and simulated time. Ages go on over weekends, in which nobody decides."
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #555; }
  .head { font-size: 14px; font-weight: 600; fill: #333; }
  .grid { stroke: #888; stroke-opacity: 0.25; }
  @media (prefers-color-scheme: dark) { text { fill: #aaa; } .head { fill: #ddd; } }
"""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel from `left` to `right`; weeks along, from 0 to `weeks`, and up to `top` upwards."""

    left: float
    right: float
    weeks: int
    top: float

    def x(self, week: float) -> float:
        return self.left + (self.right - self.left) * week / self.weeks

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * min(value, self.top) / self.top


def chart(outcomes: Sequence[Outcome]) -> str:
    """Both panels, as the text of an SVG file; the same for the same outcomes."""
    weeks = max(len(outcome.weeks) for outcome in outcomes)
    age = Panel(left=48, right=430, weeks=weeks, top=_round_up(max(max(one.ages, default=0.0) for one in outcomes), 2.0))
    highest = max((high for one in outcomes for week in one.weeks if (high := _high(week)) is not None), default=0.0)
    rate = Panel(left=508, right=890, weeks=weeks, top=_round_up(highest, 0.1))
    parts = [
        *_legend(outcomes),
        *_frame(age, "Age of what is open: the median of each working day", "days", [*_steps(age.top, 2.0)], "{:.0f}"),
        *(_line(age, outcome, number) for number, outcome in enumerate(outcomes)),
        *_ends(age, outcomes),
        *_frame(rate, "Override rate of each week, with its 95 % interval", "", [*_steps(rate.top, 0.1)], "{:.0%}"),
        *(part for number, outcome in enumerate(outcomes) for part in _dots(rate, outcome, number, len(outcomes))),
    ]
    label = "By week, a colour for each policy: the age of open questions, and the share of decisions that were no plain yes."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">',
            f"<title>{label}</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            _text(18, HEIGHT - 12, f"{_FOOT} A week with fewer than {LEAST} decisions has no rate."),
            "</svg>",
            "",
        ]
    )


def _legend(outcomes: Sequence[Outcome]) -> Iterator[str]:
    at = 54.0
    for number, outcome in enumerate(outcomes):
        yield _mark(at, 20, number)
        yield _text(at + 12, 24, outcome.title)
        at += 44 + 6.6 * len(outcome.title)


def _frame(panel: Panel, head: str, unit: str, steps: Sequence[float], form: str) -> Iterator[str]:
    """Head, grid, and what stands along the axes."""
    yield _text(panel.left - 30, 62, head, kind="head")
    for value in steps:
        y = panel.y(value)
        yield f'<line class="grid" x1="{panel.left:.1f}" y1="{y:.1f}" x2="{panel.right:.1f}" y2="{y:.1f}"/>'
        is_top = value == steps[-1]
        yield _text(panel.left - 8, y + 4, form.format(value), anchor="end")
        if is_top and unit:
            yield _text(panel.left - 30, y - 12, unit)
    for week in range(panel.weeks):
        yield _text(panel.x(week + 0.5), BOTTOM + 18, str(week + 1), anchor="middle")
    yield _text((panel.left + panel.right) / 2, BOTTOM + 36, "week", anchor="middle")


def _line(panel: Panel, outcome: Outcome, number: int) -> str:
    points = " ".join(f"{panel.x((day + 0.5) / 5):.1f},{panel.y(age):.1f}" for day, age in enumerate(outcome.ages))
    dashes = ("", ' stroke-dasharray="6 3"', ' stroke-dasharray="2 3"')[number % 3]
    return (
        f'<polyline fill="none" stroke="{_colour(number)}" stroke-width="2" stroke-linejoin="round"{dashes} points="{points}"/>'
    )


def _ends(panel: Panel, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """At the end of each line, whose it is; lines that end in the same place share a word."""
    ends: dict[tuple[int, int], list[str]] = {}
    for outcome in outcomes:
        if outcome.ages:
            x, y = panel.x((len(outcome.ages) - 0.5) / 5), panel.y(outcome.ages[-1])
            ends.setdefault((round(x), round(y / 12)), []).append(outcome.title.partition(":")[0])
    for (x, row), names in ends.items():
        yield _text(x + 7, row * 12 + 1, ", ".join(names))


def _dots(panel: Panel, outcome: Outcome, number: int, of: int) -> Iterator[str]:
    """A mark for each week, and its interval; beside one another where there are several policies."""
    for week in outcome.weeks:
        share, interval = week.rate.share, week.rate.interval
        if share is None or interval is None or week.rate.weighed < LEAST:
            continue
        x = panel.x(week.number + 0.5) + (number - (of - 1) / 2) * 10
        low, high = panel.y(interval.low), panel.y(interval.high)
        yield f'<line stroke="{_colour(number)}" stroke-width="1.5" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"/>'
        yield _mark(x, panel.y(share), number)


def _mark(x: float, y: float, number: int) -> str:
    """A circle, a square or a diamond."""
    fill = f'fill="{_colour(number)}"'
    if number % 3 == 0:
        return f'<circle {fill} cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if number % 3 == 2 else ""
    return f'<rect {fill} x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"{turn}/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _high(week: Week) -> float | None:
    interval = week.rate.interval
    return interval.high if interval is not None and week.rate.weighed >= LEAST else None


def _round_up(value: float, step: float) -> float:
    return step * max(1, -(-value // step))


def _steps(top: float, step: float) -> Iterator[float]:
    for number in range(round(top / step) + 1):
        yield number * step
