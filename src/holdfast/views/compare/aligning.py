"""Which step of one side is which of the other: by name, then by what is called, then by tool and order.

Names come first, for who writes a plan keeps them. A model names its steps anew in each run, so what is left is aligned by what
makes its call the same one (its business key, or its tool and arguments), the first with the first. What is left then is
aligned by tools in their order, as the longest sequence that both have.

All of it is symmetric: whichever side is called A, the same steps meet. Where several sequences are equally long, which one is
taken is decided on the sides in an order of their own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

from holdfast.views.compare.records import Aligned, StepSide

# A table of so many cells is filled in a moment; beyond it tools are matched one by one, and what crosses is left out.
CELLS_MAX = 250_000

Places = list[tuple[int, int]]


def align(a: Sequence[StepSide], b: Sequence[StepSide]) -> list[tuple[int, int, Aligned]]:
    """Places of steps that belong together, in the order of A, with what they were aligned by."""
    found: list[tuple[int, int, Aligned]] = []
    left_a, left_b = list(range(len(a))), list(range(len(b)))
    for how in ("id", "call"):
        met = _by_name([getattr(a[at], how) for at in left_a], [getattr(b[at], how) for at in left_b])
        found += [(left_a[one], left_b[other], how) for one, other in met]
        ones, others = {one for one, _ in met}, {other for _, other in met}
        left_a = [at for number, at in enumerate(left_a) if number not in ones]
        left_b = [at for number, at in enumerate(left_b) if number not in others]
    met = in_order([a[at].tool for at in left_a], [b[at].tool for at in left_b])
    found += [(left_a[one], left_b[other], "order") for one, other in met]
    return sorted(found)


def _by_name(a: Sequence[str], b: Sequence[str]) -> Places:
    """The first of a name with the first of it, and so on; an empty name is none."""
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for at, name in enumerate(b):
        if name:
            waiting[name].append(at)
    return [(at, waiting[name].popleft()) for at, name in enumerate(a) if name and waiting.get(name)]


def in_order(a: Sequence[str], b: Sequence[str]) -> Places:
    """Places of a longest sequence of tools that both have, in order."""
    if (len(a), list(a)) > (len(b), list(b)):
        return [(one, other) for other, one in in_order(b, a)]
    start, shorter = 0, len(a)
    while start < shorter and a[start] == b[start]:
        start += 1
    end = 0
    while end < shorter - start and a[-1 - end] == b[-1 - end]:
        end += 1
    inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
    small = len(inner_a) * len(inner_b) <= CELLS_MAX
    inner = _longest(inner_a, inner_b) if small else _one_by_one(inner_a, inner_b)
    return [
        *((at, at) for at in range(start)),
        *((one + start, other + start) for one, other in inner),
        *((len(a) - at, len(b) - at) for at in range(end, 0, -1)),
    ]


def _longest(a: Sequence[str], b: Sequence[str]) -> Places:
    """The longest common subsequence, by the table of Wagner and Fischer."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for one in range(len(a) - 1, -1, -1):
        row, below, tool = table[one], table[one + 1], a[one]
        for other in range(len(b) - 1, -1, -1):
            row[other] = below[other + 1] + 1 if tool == b[other] else max(below[other], row[other + 1])
    found, one, other = [], 0, 0
    while one < len(a) and other < len(b):
        if a[one] == b[other]:
            found.append((one, other))
            one, other = one + 1, other + 1
        elif table[one + 1][other] >= table[one][other + 1]:
            one += 1
        else:
            other += 1
    return found


def _one_by_one(a: Sequence[str], b: Sequence[str]) -> Places:
    met = sorted(_by_name(a, b))
    kept = set(rising([other for _, other in met]))
    return [pair for at, pair in enumerate(met) if at in kept]


def moved(pairs: Sequence[tuple[int, int]], names: Mapping[tuple[int, int], str]) -> set[tuple[int, int]]:
    """Those of the pairs, in the order of A, that stand at another place among the others: the fewest without which the rest is
    in the same order on both sides. names: of each pair, the same from both sides; of two that changed places, which one is
    called moved is decided by them."""
    across = sorted(pairs, key=lambda pair: pair[1])
    if [names[pair] for pair in pairs] <= [names[pair] for pair in across]:
        return set(pairs) - {pairs[at] for at in rising([other for _, other in pairs])}
    return set(pairs) - {across[at] for at in rising([one for one, _ in across])}


def rising(numbers: Sequence[int]) -> list[int]:
    """Places of a longest sequence of rising numbers."""
    ends: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for at, number in enumerate(numbers):
        where = bisect_left(ends, number)
        before.append(places[where - 1] if where else -1)
        if where == len(ends):
            ends.append(number)
            places.append(at)
        else:
            ends[where], places[where] = number, at
    found, at = [], places[-1] if places else -1
    while at >= 0:
        found.append(at)
        at = before[at]
    return found[::-1]
