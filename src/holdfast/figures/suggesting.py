"""What the record suggests: to ask only above an amount, to ask for a sample, or to ask more.

A suggestion says what it would have let through, on the record, and how sure that is. It comes from at least thirty decisions
of people, or not at all. It is never acted on by itself: a person changes the policy, or does not.

Rows of one rule count together whatever the version of its policy; where the rule was changed, give only the rows of the
version that counts (`JudgedFilter.policy`). Standing approvals, silence and answers to questions are no evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import ceil
from typing import Literal

import msgspec

from holdfast.figures.interval import by_chance, wilson
from holdfast.figures.rows import amount_of, amount_sum, is_overridden, is_quick, is_weighed, policy_name
from holdfast.journal.people import Judged

Kind = Literal["threshold", "rate", "ask_more"]


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever asks for suggestions is ready to bear.

    decisions_min: fewer are no evidence. let_through_max: how many overridden calls a threshold may let through at most, in
    the table. chance_max: how likely a threshold may be mere chance. per_1000: how many overridden calls of 1,000 a sampling
    rate may let through, at worst. rate_min: no rate below it is suggested, for what is never looked at teaches nothing.
    rate_step: a rate that is lower by less is not worth a change. ask_more_above: an override rate that is surely above it is
    too high for a sample.
    """

    decisions_min: int = 30
    let_through_max: int = 3
    chance_max: float = 0.05
    per_1000: float = 10.0
    rate_min: float = 0.05
    rate_step: float = 0.05
    ask_more_above: float = 0.1


USUAL = Tolerance()


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What would have been, had a person been asked only above an amount. threshold: the largest amount that is not asked.
    asked: how many above it; fewer: how many not above it, that were asked. let_through: how many of these were overridden,
    and let_through_amount what they were about together. rate_max: the upper end of the override rate below it (95 %,
    Wilson). chance: how likely such a split is where the amount has nothing to do with being overridden."""

    threshold: float
    asked: int
    fewer: int
    let_through: int
    let_through_amount: float | None
    rate_max: float
    chance: float


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one rule. policy: its policy's name without version, empty where the tool or the plan itself asks.

    decided, overridden: the evidence; rate_low, rate_high: where the override rate lies (95 %). threshold: ask only above it.
    rate: ask for this share. fewer: how many of the decided would not have been asked (of a rate: as expected). let_through:
    how many overridden calls would have been made without asking, let_through_amount what they were about together; of a
    sample these are expected numbers. Where to ask more is suggested they are what is let through as it is. cuts: of a
    threshold, what others there are. what: the suggestion in words; sure: how sure it is, in words; caution: why the evidence
    may be worth less than it looks, or empty.
    """

    kind: Kind
    rule: str
    policy: str
    what: str
    sure: str
    decided: int
    overridden: int
    rate_low: float
    rate_high: float
    fewer: float = 0.0
    let_through: float = 0.0
    let_through_amount: float | None = None
    threshold: float | None = None
    rate: float | None = None
    cuts: tuple[Cut, ...] = ()
    caution: str = ""


def suggestions(judged: Iterable[Judged], tolerance: Tolerance = USUAL) -> list[Suggestion]:
    """Everything that the record suggests, by rule; empty where it suggests nothing."""
    rules: dict[tuple[str, str], list[Judged]] = {}
    for row in judged:
        if row.verdict != "block":
            rules.setdefault((row.rule, policy_name(row.policy)), []).append(row)
    return [
        suggested
        for key in sorted(rules)
        if (record := _record(key, rules[key])).weighed and len(record.weighed) >= tolerance.decisions_min
        for suggest in (_threshold, _rate, _ask_more)
        if (suggested := suggest(record, tolerance)) is not None
    ]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """Of one rule. share: of the calls that it is now asked for."""

    rule: str
    policy: str
    weighed: list[Judged]
    overridden: list[Judged]
    passed: list[Judged]
    low: float
    high: float
    share: float
    is_sample: bool


def _record(key: tuple[str, str], rows: list[Judged]) -> _Record:
    weighed = [row for row in rows if is_weighed(row)]
    overridden = [row for row in weighed if is_overridden(row)]
    interval = wilson(len(overridden), len(weighed))
    last = max(rows, key=lambda row: row.at)
    is_sample = last.verdict == "sample"
    return _Record(
        rule=key[0],
        policy=key[1],
        weighed=weighed,
        overridden=overridden,
        passed=[row for row in rows if not row.asked],
        low=interval.low if interval else 0.0,
        high=interval.high if interval else 1.0,
        share=last.rate if is_sample and last.rate is not None else 1.0,
        is_sample=is_sample,
    )


# --- ask only above an amount -------------------------------------------------------------------------------------


def cuts(weighed: Iterable[Judged], tolerance: Tolerance = USUAL) -> tuple[Cut, ...]:
    """For each number of overridden calls that may be let through, from 0 on, the highest threshold that does so; only those
    with enough decisions below them, and something left to ask above. Rows without an amount are not in it."""
    rows = sorted((amount, is_overridden(row)) for row in weighed if (amount := amount_of(row)) is not None)
    hits = sum(overridden for _, overridden in rows)
    best: dict[int, Cut] = {}
    below, let_through, money = 0, 0, 0.0
    for amount, same in groupby(rows, key=lambda pair: pair[0]):
        overrides = [overridden for _, overridden in same]
        below, let_through = below + len(overrides), let_through + sum(overrides)
        money += amount * sum(overrides)
        interval = wilson(let_through, below)
        if let_through > tolerance.let_through_max or let_through == hits or below == len(rows):
            break
        if interval is not None and below >= tolerance.decisions_min:
            best[let_through] = Cut(
                threshold=amount,
                asked=len(rows) - below,
                fewer=below,
                let_through=let_through,
                let_through_amount=money if let_through else 0.0,
                rate_max=interval.high,
                chance=by_chance(let_through, below, hits, len(rows)),
            )
    return tuple(best[few] for few in sorted(best))


def _threshold(record: _Record, tolerance: Tolerance) -> Suggestion | None:
    """The cut that lets the fewest through, where it is more than chance."""
    found = cuts(record.weighed, tolerance)
    cut = next((cut for cut in found if cut.chance <= tolerance.chance_max), None)
    if cut is None:
        return None
    through = f"{cut.let_through} overridden" + (f" over {cut.let_through_amount:g} together" if cut.let_through else "")
    return _suggestion(
        record,
        kind="threshold",
        what=f"ask only above {cut.threshold:g}: {cut.fewer} fewer of {cut.fewer + cut.asked}, {through} let through",
        sure=f"95 % sure that at most {_percent(cut.rate_max)} of those up to {cut.threshold:g} would be overridden; "
        f"a split like this is chance in {_percent(cut.chance)} of cases",
        threshold=cut.threshold,
        fewer=float(cut.fewer),
        let_through=float(cut.let_through),
        let_through_amount=cut.let_through_amount,
        cuts=found,
    )


# --- ask for a sample ---------------------------------------------------------------------------------------------


def _rate(record: _Record, tolerance: Tolerance) -> Suggestion | None:
    """The least rate with which no more than is borne is let through, even if the override rate is as high as it may be."""
    rate = sampling_rate(record.high, tolerance)
    if rate > record.share - tolerance.rate_step:
        return None
    left = rate / record.share
    amount = amount_sum(record.overridden)
    fewer, let_through = (1 - left) * len(record.weighed), (1 - left) * len(record.overridden)
    return _suggestion(
        record,
        kind="rate",
        what=f"ask for a sample of {_percent(rate)} instead of {_percent(record.share)}: about {fewer:.0f} fewer of "
        f"{len(record.weighed)}, about {let_through:.1f} of {len(record.overridden)} overridden let through",
        sure=f"95 % sure that at most {_percent(record.high)} would be overridden, so at most "
        f"{(1 - rate) * record.high * 1000:.1f} of 1,000 are let through that would be",
        rate=rate,
        fewer=fewer,
        let_through=let_through,
        let_through_amount=None if amount is None else (1 - left) * amount,
    )


def sampling_rate(override_rate: float, tolerance: Tolerance = USUAL) -> float:
    """The least rate (in whole percent, rounded up) with which 1,000 calls, of which this share would be overridden, let no
    more than `per_1000` of them through."""
    if override_rate * 1000 <= tolerance.per_1000:
        return tolerance.rate_min
    exact = 1 - tolerance.per_1000 / (1000 * override_rate)
    return max(tolerance.rate_min, ceil(round(exact * 100, 9)) / 100)


# --- ask more -----------------------------------------------------------------------------------------------------


def _ask_more(record: _Record, tolerance: Tolerance) -> Suggestion | None:
    """A sample of which too much is overridden lets as much through unseen."""
    if not record.is_sample or record.share >= 1.0 or record.low <= tolerance.ask_more_above:
        return None
    share = len(record.overridden) / len(record.weighed)
    amount = amount_sum(record.passed)
    return _suggestion(
        record,
        kind="ask_more",
        what=f"ask always instead of a sample of {_percent(record.share)}: of {len(record.passed)} that were not asked about "
        f"{share * len(record.passed):.0f} would have been overridden",
        sure=f"95 % sure that at least {_percent(record.low)} would be overridden",
        rate=1.0,
        fewer=-float(len(record.passed)),
        let_through=share * len(record.passed),
        let_through_amount=None if amount is None else share * amount,
    )


def _suggestion(
    record: _Record, *, kind: Kind, what: str, sure: str, fewer: float, let_through: float, let_through_amount: float | None,
    threshold: float | None = None, rate: float | None = None, cuts: tuple[Cut, ...] = (),
) -> Suggestion:  # fmt: skip
    return Suggestion(
        kind=kind, rule=record.rule, policy=record.policy, what=what, sure=sure, decided=len(record.weighed),
        overridden=len(record.overridden), rate_low=record.low, rate_high=record.high, fewer=fewer, let_through=let_through,
        let_through_amount=let_through_amount, threshold=threshold, rate=rate, cuts=cuts,
        caution="" if kind == "ask_more" else _caution(record.weighed),
    )  # fmt: skip


def _caution(weighed: list[Judged]) -> str:
    """That people may not have looked."""
    known = [quick for row in weighed if (quick := is_quick(row)) is not None]
    hasty = sum(known) + sum(row.bulk and is_quick(row) is not True for row in weighed)
    if 2 * hasty < len(weighed):
        return ""
    return f"{hasty} of {len(weighed)} were decided in under five seconds or in bulk: that nobody objected says little"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
