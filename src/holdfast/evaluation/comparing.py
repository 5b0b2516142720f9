"""Two evaluations side by side, case by case and in all.

Only what both have is counted: the same cases, and of each the same repeats, which had the same seeds. In all, every case has the
same weight on both sides. The interval of the whole takes runs for draws from one urn; as the cases are fixed and only their runs
vary, it is a little wider than it need be, never narrower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Literal

import msgspec

from holdfast.errors import UsageError
from holdfast.evaluation.differences import Difference, median_difference, newcombe, runs_needed
from holdfast.evaluation.results import CaseRun, Header, Results
from holdfast.figures.interval import Interval, wilson

Verdict = Literal["better", "worse", "no difference can be told"]
FIGURES: dict[str, Callable[[CaseRun], float]] = {
    "cost_usd": lambda run: float(run.cost_usd),
    "seconds": lambda run: run.seconds,
    "questions": lambda run: float(run.questions),
    "calls": lambda run: float(run.calls),
}
# A difference of rates that is worth seeing, for which it is said how many runs would show it where the rates are the same.
WORTH_SEEING = 0.1


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the runs held, and where the true rate lies with 95 % confidence (Wilson). wrong: of these runs, those whose
    journal and ledger disagree."""

    held: int
    runs: int
    interval: Interval | None
    wrong: int

    @property
    def share(self) -> float:
        return self.held / self.runs if self.runs else 0.0


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """The median of something of which less is better, on both sides, and the median of the paired differences (b less a)."""

    name: str
    a: float
    b: float
    difference: Difference
    verdict: Verdict


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One case, or (case empty) all. difference: of the rates, b less a (Newcombe). repeats_needed: of each case, to tell a
    difference as large as the one that was seen; where none was seen, one of ten points."""

    case: str
    a: Rate
    b: Rate
    difference: Difference | None
    verdict: Verdict
    repeats_needed: int | None
    figures: tuple[Figure, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two evaluations side by side. apart: what differs in how they were run, in sentences. left_out: runs that only one of
    them has."""

    a: Header
    b: Header
    cases: tuple[Side, ...]
    whole: Side
    apart: tuple[str, ...]
    left_out: int

    @property
    def worse(self) -> bool:
        """Whether the second is worse in all, or its journals and ledgers disagree where those of the first did not."""
        return self.whole.verdict == "worse" or (self.whole.b.wrong > 0 and self.whole.a.wrong == 0)


Pairs = Sequence[tuple[CaseRun, CaseRun]]


def compare(a: Results, b: Results, seed: int = 0) -> Comparison:
    """The second held against the first. UsageError where they have no run in common. seed: of the resampling."""
    first = {(run.case, run.repeat): run for run in a.counted}
    second = {(run.case, run.repeat): run for run in b.counted}
    common = [place for place in first if place in second]
    if not common:
        raise UsageError("the two evaluations have no run of a case in common", hint="compare two of the same case file")
    cases = list(dict.fromkeys(case for case, _ in common))
    pairs = {case: [(first[place], second[place]) for place in common if place[0] == case] for case in cases}
    return Comparison(
        a=a.header,
        b=b.header,
        cases=tuple(_side(case, [pairs[case]], seed) for case in cases),
        whole=_side("", list(pairs.values()), seed),
        apart=tuple(_apart(a.header, b.header)),
        left_out=len(first) + len(second) - 2 * len(common),
    )


def _side(case: str, strata: Sequence[Pairs], seed: int) -> Side:
    every = [pair for pairs in strata for pair in pairs]
    a, b = _rate([pair[0] for pair in every]), _rate([pair[1] for pair in every])
    difference = newcombe(a.held, a.runs, b.held, b.runs)
    told = difference is not None and difference.is_told
    return Side(
        case=case,
        a=a,
        b=b,
        difference=difference,
        verdict="no difference can be told" if not told else "better" if b.share > a.share else "worse",
        repeats_needed=None if told else _repeats_needed(a.share, b.share, len(strata)),
        figures=tuple(found for name in FIGURES if (found := _figure(name, strata, seed)) is not None),
    )


def _rate(runs: Sequence[CaseRun]) -> Rate:
    held = sum(run.held for run in runs)
    wrong = sum(run.outcome == "wrong" for run in runs)
    return Rate(held=held, runs=len(runs), interval=wilson(held, len(runs)), wrong=wrong)


def _repeats_needed(a: float, b: float, cases: int) -> int | None:
    other = b if a != b else (a - WORTH_SEEING if a >= WORTH_SEEING else a + WORTH_SEEING)
    needed = runs_needed(a, other)
    return None if needed is None else ceil(needed / cases)


def _figure(name: str, strata: Sequence[Pairs], seed: int) -> Figure | None:
    """What both sides spent of something; None where neither spent any."""
    of = FIGURES[name]
    sides = [[of(pair[side]) for pairs in strata for pair in pairs] for side in (0, 1)]
    if not any(sides[0]) and not any(sides[1]):
        return None
    difference = median_difference([[of(b) - of(a) for a, b in pairs] for pairs in strata], seed)
    assert difference is not None, "there are runs"
    verdict: Verdict = "no difference can be told"
    if difference.is_told:
        verdict = "better" if difference.value < 0 else "worse"
    return Figure(name=name, a=_middle(sides[0]), b=_middle(sides[1]), difference=difference, verdict=verdict)


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _apart(a: Header, b: Header) -> Iterator[str]:
    """What should be the same on both sides, and is not."""
    for name, was, is_now in (
        ("case file", a.file_digest, b.file_digest), ("seed", a.seed, b.seed), ("release of holdfast", a.release, b.release),
        ("passing of time", a.time, b.time),
    ):  # fmt: skip
        if was != is_now:
            values = "" if name == "case file" else f" ({was} and {is_now})"
            yield f"the {name} is not the same{values}"
    if a.agent_digest == b.agent_digest and a.model == b.model:
        yield "it is the same agent with the same model on both sides"
