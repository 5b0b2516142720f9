"""When people's judgement may be worth nothing any more: everything is approved unread, or the queue grows old.

An alarm is a question to whoever is responsible, not a verdict. Each says what was counted, in which window, and by which
thresholds, which the caller may change.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import msgspec

from holdfast.figures.rows import decide_seconds, is_decided, is_weighed, middle, policy_name, since
from holdfast.journal.people import Judged, OpenInterrupt

Kind = Literal["rubber_stamp", "too_fast", "queue_grows"]
Of = Literal["person", "rule", "all"]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """When there is an alarm.

    window_seconds: what is looked at, back from now. Rubber stamp: at least decisions_min decisions in it, of which
    approved_share or more are plain yes, and either half of the time it took less than median_seconds from when it was shown
    (known of at least seen_share of them), or bulk_share or more were decided in bulk. Too fast: one person decided
    burst_decisions or more, one by one, within burst_seconds; a person reads a screen in some seconds, and 12 a minute are
    one each five. Queue: open_min or more are open, their median age grew over the window from look to look (there are
    `looks`), and is queue_growth times what it was.
    """

    window_seconds: float = 7 * 86400.0
    decisions_min: int = 20
    approved_share: float = 0.95
    median_seconds: float = 5.0
    seen_share: float = 0.5
    bulk_share: float = 0.8
    burst_decisions: int = 12
    burst_seconds: float = 60.0
    open_min: int = 10
    looks: int = 5
    queue_growth: float = 2.0


USUAL = Thresholds()


class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that somebody should look at. of, name: whom or what it is about; empty where it is about all. policy: of a
    rule, without version. what: in words. since, until: the time that was looked at; of `too_fast`, of the burst itself.
    thresholds: by which. The rest is the evidence, as far as it belongs to the kind: decisions, approved, timed (how many are
    known to have been shown first), median_seconds of those, bulk; open, and the median ages of what was open at each look
    (None: nothing was)."""

    kind: Kind
    of: Of
    name: str
    what: str
    since: float
    until: float
    thresholds: Thresholds
    policy: str = ""
    decisions: int = 0
    approved: int = 0
    timed: int = 0
    median_seconds: float | None = None
    bulk: int = 0
    open: int = 0
    ages_seconds: tuple[float | None, ...] = ()


def alarms(
    judged: Iterable[Judged], open_interrupts: Iterable[OpenInterrupt], now: float, thresholds: Thresholds = USUAL
) -> list[Alarm]:
    """All alarms there are now: of people, then of rules, then of queues."""
    rows, waiting = list(judged), list(open_interrupts)
    began = now - thresholds.window_seconds
    recent = [row for row in rows if is_decided(row) and row.decided_at is not None and began <= row.decided_at <= now]
    people, rules = _by_person(recent), _by_rule(recent)
    return [
        *(alarm for name in sorted(people) for alarm in _stamp("person", name, "", people[name], began, now, thresholds)),
        *(alarm for name in sorted(people) for alarm in _burst(name, people[name], thresholds)),
        *(alarm for key in sorted(rules) for alarm in _stamp("rule", *key, rules[key], began, now, thresholds)),
        *_queues(rows, waiting, now, thresholds),
    ]


def _by_person(rows: list[Judged]) -> dict[str, list[Judged]]:
    """By who said the last word, whose the times are."""
    people: dict[str, list[Judged]] = {}
    for row in rows:
        if row.by:
            people.setdefault(row.by[-1], []).append(row)
    return people


def _by_rule(rows: list[Judged]) -> dict[tuple[str, str], list[Judged]]:
    rules: dict[tuple[str, str], list[Judged]] = {}
    for row in rows:
        rules.setdefault((row.rule, policy_name(row.policy)), []).append(row)
    return rules


# --- approved unread ----------------------------------------------------------------------------------------------


def _stamp(of: Of, name: str, policy: str, rows: list[Judged], began: float, now: float, bars: Thresholds) -> list[Alarm]:
    weighed = [row for row in rows if is_weighed(row)]
    approved, bulk = sum(row.decision == "approve" for row in weighed), sum(row.bulk for row in weighed)
    count = len(weighed)
    if count < max(1, bars.decisions_min) or approved < bars.approved_share * count:
        return []
    times = [seconds for row in weighed if since(row) == "seen" and (seconds := decide_seconds(row)) is not None]
    typical = middle(times)
    is_hasty = typical is not None and len(times) >= bars.seen_share * count and typical < bars.median_seconds
    if not is_hasty and bulk < bars.bulk_share * count:
        return []
    how = f"half of them in under {max(typical or 0.0, 0.1):.1f} s" if is_hasty else f"{bulk} of them in bulk"
    who = f"{name} approved" if of == "person" else f"of what the rule {name} asked people approved"
    return [
        Alarm(
            kind="rubber_stamp", of=of, name=name, policy=policy, what=f"{who} {approved} of {count}, {how}",
            since=began, until=now, thresholds=bars, decisions=count, approved=approved,
            timed=len(times), median_seconds=typical, bulk=bulk,
        )
    ]  # fmt: skip


def _burst(name: str, rows: list[Judged], bars: Thresholds) -> list[Alarm]:
    """The most that one person decided one by one in a short time, the latest where there are several."""
    times = sorted(row.decided_at for row in rows if row.decided_at is not None and not row.bulk)
    most, ended, first = 0, 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= bars.burst_seconds:
            first += 1
        if last - first + 1 >= max(1, most):
            most, ended = last - first + 1, last
    if not times or most < max(1, bars.burst_decisions):
        return []
    within = times[ended - most + 1 : ended + 1]
    return [
        Alarm(
            kind="too_fast", of="person", name=name, what=f"{name} decided {most} within {within[-1] - within[0]:.0f} s",
            since=within[0], until=within[-1], thresholds=bars, decisions=most,
            approved=sum(row.decision == "approve" for row in rows if not row.bulk and _within(row, within)),
        )
    ]  # fmt: skip


def _within(row: Judged, times: list[float]) -> bool:
    return row.decided_at is not None and times[0] <= row.decided_at <= times[-1]


# --- the queue ----------------------------------------------------------------------------------------------------


class _Stay(msgspec.Struct, frozen=True):
    """How long something was open; `until` is None while it is."""

    began: float
    until: float | None


def _queues(rows: list[Judged], waiting: list[OpenInterrupt], now: float, bars: Thresholds) -> list[Alarm]:
    """Of everything, and of each rule. What is open now is what the store says is open; what was open before follows from the
    record."""
    stays: dict[tuple[str, str], list[_Stay]] = {}
    for row in rows:
        if row.asked and row.decision and row.decided_at is not None:
            stays.setdefault((row.rule, policy_name(row.policy)), []).append(_Stay(row.at, row.decided_at))
    for asked in waiting:
        stays.setdefault((asked.rule, policy_name(asked.policy)), []).append(_Stay(asked.asked_at, None))
    whole = [stay for some in stays.values() for stay in some]
    return [
        *_queue("all", "", "", whole, now, bars),
        *(alarm for key in sorted(stays) for alarm in _queue("rule", *key, stays[key], now, bars)),
    ]


def _queue(of: Of, name: str, policy: str, stays: list[_Stay], now: float, bars: Thresholds) -> list[Alarm]:
    count = sum(stay.until is None for stay in stays)
    if count < max(1, bars.open_min):
        return []
    gap = bars.window_seconds / max(1, bars.looks - 1)
    ages = tuple(_age(stays, now - gap * before) for before in reversed(range(bars.looks)))
    known = [age for age in ages if age is not None]
    grows = all(before < after for before, after in pairwise(known))
    if len(known) < min(3, max(1, bars.looks)) or not grows or known[-1] < bars.queue_growth * known[0]:
        return []
    whose = f"of the rule {name} " if of == "rule" else ""
    return [
        Alarm(
            kind="queue_grows", of=of, name=name, policy=policy, open=count, ages_seconds=ages, thresholds=bars,
            what=f"{count} {whose}are open, half of them for {known[-1] / 3600:.1f} h or more; it was {known[0] / 3600:.1f} h",
            since=now - bars.window_seconds, until=now,
        )
    ]  # fmt: skip


def _age(stays: list[_Stay], at: float) -> float | None:
    """The median age of what was open then."""
    return middle([at - stay.began for stay in stays if stay.began <= at and (stay.until is None or at < stay.until)])
