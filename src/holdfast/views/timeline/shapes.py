"""What a sheet is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.views.timeline.records import Lane


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """rect: from its upper left corner. line: from there by width and height. path: through `points`. sign: a small
    one around its middle, which `style` names. style: as the style sheet of `svg.py` has it; words: shown to who points at it."""

    kind: Literal["rect", "line", "path", "sign"]
    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    style: str = ""
    words: str = ""
    points: tuple[tuple[float, float], ...] = ()


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Words whose base line begins, or has its middle, at x, y. width: at least as wide as they are drawn."""

    x: float
    y: float
    words: str
    size: float
    width: float
    style: str = ""
    anchor: Literal["start", "middle"] = "start"

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.x - (self.width / 2 if self.anchor == "middle" else 0.0)

    @property
    def right(self) -> float:
        """Where it ends at the latest."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """Of its tallest letters."""
        return self.y - 0.8 * self.size

    @property
    def bottom(self) -> float:
        """Of those that hang down."""
        return self.y + 0.22 * self.size


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A lane in its place. y: its middle."""

    lane: Lane
    y: float
    height: float
