"""From time to place: linear where something happens, broken where for long nothing does.

A run works for milliseconds and waits for a weekend. So the longest stretches in which nothing was written
are cut down to a few points, with a zigzag and their length on it, where that shows more of the rest than it hides of them. What
is left is to one scale, the same in all pieces.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

# More of them, or of the room, and one would look at nothing but breaks.
BREAKS_MAX, BREAKS_SHARE = 14, 0.5
# Where something was under way a stretch is broken late: it counts as so many times shorter.
BUSY = 8.0
# In points: a break; a piece between two of them at the least, and one of no length.
BREAK, PIECE_MIN, MOMENT = 48.0, 24.0, 14.0
# From so many points on one sees how long a stretch is.
SEEN = 8.0
_NICE = (1.0, 2.0, 5.0)
_MINUTES = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0, 172800.0, 604800.0)


Stretch = tuple[float, float]


class Piece(msgspec.Struct, frozen=True):
    """From `begin` to `end` in seconds since the epoch, from `left` to `right` in points. is_break: it is not to scale."""

    begin: float
    end: float
    left: float
    right: float
    is_break: bool = False


class Axis(msgspec.Struct, frozen=True):
    """Pieces without a gap, in order."""

    pieces: tuple[Piece, ...]

    @property
    def zigzags(self) -> list[float]:
        """The middle of each break."""
        return [(piece.left + piece.right) / 2 for piece in self.pieces if piece.is_break]

    def x(self, at: float) -> float:
        """Where a time is; what is outside is at an end."""
        number = max(bisect_right(self.pieces, at, key=lambda piece: piece.begin) - 1, 0)
        if number and at == self.pieces[number].begin == self.pieces[number - 1].begin:
            number -= 1
        found = self.pieces[number]
        if found.end <= found.begin:
            return (found.left + found.right) / 2
        share = min(max((at - found.begin) / (found.end - found.begin), 0.0), 1.0)
        return found.left + share * (found.right - found.left)


def axis(moments: Iterable[float], busy: Sequence[Stretch], left: float, right: float) -> Axis:
    """moments: when something happened; at least one. busy: stretches in which something was under way."""
    times = sorted(set(moments))
    if len(times) == 1:
        return Axis((Piece(times[0], times[0], left, right),))
    gaps = list(pairwise(times))
    covered = _covered(gaps, busy)
    order = sorted(range(len(gaps)), key=lambda at: (-_length(gaps[at]) / (BUSY if covered[at] else 1.0), at))
    most = min(BREAKS_MAX, int((right - left) * BREAKS_SHARE / BREAK), len(gaps) - 1)
    # As many are broken as show most.
    best = max(range(most + 1), key=lambda count: (_shown(gaps, covered, order, count, right - left), -count))
    return Axis(tuple(_pieces(list(_runs(gaps, set(order[:best]))), left, right)))


def _length(gap: Stretch) -> float:
    return gap[1] - gap[0]


def _shown(gaps: Sequence[Stretch], covered: Sequence[bool], order: Sequence[int], count: int, room: float) -> float:
    """How much one sees when the first `count` gaps of `order` are broken. What is to scale counts as far as one can see how long
    it is, and twice where something was under way; what is broken counts less, for one has to read how long it was."""
    broken, left = order[:count], order[count:]
    scale = max(room - count * BREAK, 0.0) / (sum(_length(gaps[at]) for at in left) or 1.0)
    seen = sum(min(_length(gaps[at]) * scale / SEEN, 1.0) * (2.0 if covered[at] else 1.0) for at in left)
    return seen + sum(0.5 for _ in broken)


def _pieces(runs: Sequence[tuple[float, float, bool]], left: float, right: float) -> Iterator[Piece]:
    """Places for stretches, all those to scale by the same one, above the least that each of them has."""
    squeeze = min(1.0, 0.9 * (right - left) / sum(map(_least, runs)))
    scaled = sum(end - begin for begin, end, is_break in runs if not is_break)
    room = right - left - squeeze * sum(map(_least, runs))
    at = left
    for begin, end, is_break in runs:
        wide = squeeze * _least((begin, end, is_break)) + (0.0 if is_break or not scaled else room * (end - begin) / scaled)
        yield Piece(begin, end, at, at + wide, is_break)
        at += wide


def _least(run: tuple[float, float, bool]) -> float:
    begin, end, is_break = run
    return BREAK if is_break else PIECE_MIN if end > begin else MOMENT


def _covered(gaps: Sequence[Stretch], busy: Sequence[Stretch]) -> list[bool]:
    """Whether something was under way all through each gap."""
    covered = _joined(busy)
    starts = [begin for begin, _ in covered]
    found = []
    for begin, end in gaps:
        at = bisect_right(starts, begin) - 1
        found.append(at >= 0 and covered[at][1] >= end)
    return found


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def _runs(gaps: Sequence[Stretch], broken: set[int]) -> Iterator[tuple[float, float, bool]]:
    """Gaps that are to scale are joined; between two breaks, and at the ends, there is always a piece, be it of no length."""
    begin = gaps[0][0]
    for at, (start, end) in enumerate(gaps):
        if at in broken:
            yield begin, start, False
            yield start, end, True
            begin = end
    yield begin, gaps[-1][1], False


# --- ticks --------------------------------------------------------------------------------------------------------


def ticks(piece: Piece, apart: float, origin: float) -> list[float]:
    """Times at round distances from `origin`, within a piece that is to scale, at least `apart` points from one another."""
    length, width = piece.end - piece.begin, piece.right - piece.left
    if piece.is_break or length <= 0 or width < apart:
        return []
    step = _round(length * apart / width)
    first = int((piece.begin - origin) / step)
    found = []
    for number in range(first, first + int(width / apart) + 3):
        at = origin + number * step
        if piece.begin <= at <= piece.end:
            found.append(at)
    return found


def _round(step: float) -> float:
    """The next length that people count in."""
    if step > 45:
        return next((one for one in _MINUTES if one >= step), 604800.0 * -(-step // 604800.0))
    power = 1e-6
    while power * 10 < step:
        power *= 10
    return next((one * power for one in _NICE if one * power >= step), 10 * power)
