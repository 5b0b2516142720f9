"""Figures: how often people were asked, what they said, and how long it took, by rule, tool, policy or person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from holdfast.figures.interval import Interval, wilson
from holdfast.figures.rows import (
    decide_seconds,
    is_decided,
    is_overridden,
    is_quick,
    is_weighed,
    middle,
    ninetieth,
    policy_name,
    since,
)
from holdfast.journal.people import Judged, OpenInterrupt

By = Literal["rule", "tool", "policy", "person"]
# By what is counted: the name, and of a rule the policy that it belongs to.
Key = tuple[str, str]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What the record says of one rule, tool, policy (`name@version`) or person.

    policy: of a rule, the name of its policy without the version; empty where the tool or the plan itself asks.

    rulings = asked + passed + blocked: how often something was ruled. asked: a person was. sampled: of these, by a draw.
    passed: it was made without asking. blocked: it was not made at all.

    asked = approved + edited + rejected + responded + cancelled + standing + expired + withdrawn + undecided. standing:
    answered by an approval given in advance. decided: by a person, the first five together. undecided: nothing is recorded
    yet.

    overridden: a person did not simply say yes: they rejected it, edited the arguments, responded in place of the tool, or
    cancelled the run. Had nobody been asked, the call would have been made against their will. weighed: of what was decided,
    where a plain yes was possible (approvals; an answer to what an agent wants to know agrees or disagrees with nobody);
    standing approvals and silence are not in it. override_rate = overridden / weighed, None of nothing; override_interval:
    where it lies with 95 % confidence (Wilson).

    decide_seconds_median, decide_seconds_p90: how long people took; from_seen of these were timed from when the person was
    first shown it, from_asked (nobody noted that) from when it was asked. quick: decisions in under five seconds, of quick_of
    where that can be told (those timed from when they were seen, and those decided within five seconds of being asked). bulk:
    decided together with others by one word.

    open: of what is open now; open_seconds_median, open_seconds_max: how long that has been open. Nothing of it belongs to a
    person.
    """

    by: By
    name: str
    policy: str = ""
    rulings: int = 0
    asked: int = 0
    sampled: int = 0
    passed: int = 0
    blocked: int = 0
    decided: int = 0
    approved: int = 0
    edited: int = 0
    rejected: int = 0
    responded: int = 0
    cancelled: int = 0
    standing: int = 0
    expired: int = 0
    withdrawn: int = 0
    undecided: int = 0
    weighed: int = 0
    overridden: int = 0
    override_rate: float | None = None
    override_interval: Interval | None = None
    decide_seconds_median: float | None = None
    decide_seconds_p90: float | None = None
    from_seen: int = 0
    from_asked: int = 0
    quick: int = 0
    quick_of: int = 0
    bulk: int = 0
    open: int = 0
    open_seconds_median: float | None = None
    open_seconds_max: float | None = None


def figures(
    judged: Iterable[Judged], open_interrupts: Iterable[OpenInterrupt], now: float, by: By = "rule"
) -> list[Figure]:  # fmt: skip
    """Figures by rule, tool, policy or person; what was asked most first. By person only what somebody decided is counted, of
    what two had to approve for both; the time that it took is that of the last of them."""
    rows: dict[Key, list[Judged]] = {}
    for row in judged:
        for key in _keys(row, by):
            rows.setdefault(key, []).append(row)
    ages: dict[Key, list[float]] = {}
    for asked in open_interrupts if by != "person" else ():
        ages.setdefault(_key(asked.rule, asked.tool, asked.policy, by), []).append(max(0.0, now - asked.asked_at))
    found = [_figure(by, key, rows.get(key, []), ages.get(key, [])) for key in rows.keys() | ages.keys()]
    return sorted(found, key=lambda figure: (-figure.asked, -figure.open, -figure.rulings, figure.name, figure.policy))


def _keys(row: Judged, by: By) -> list[Key]:
    if by == "person":
        if not row.asked or not row.decision:
            return []
        # A yes is everybody's who gave it; any other word is that of the one who said it, whoever had approved before.
        return [(person, "") for person in dict.fromkeys(row.by if row.decision == "approve" else row.by[-1:])]
    return [_key(row.rule, row.tool, row.policy, by)]


def _key(rule: str, tool: str, policy: str, by: By) -> Key:
    if by == "rule":
        return rule, policy_name(policy)
    return (tool if by == "tool" else policy), ""


def _figure(by: By, key: Key, rows: list[Judged], ages: list[float]) -> Figure:
    asked = [row for row in rows if row.asked]
    said = Counter(row.decision for row in asked if not row.standing)
    decided = [row for row in asked if is_decided(row)]
    standing = sum(bool(row.standing) for row in asked)
    weighed, overridden = sum(map(is_weighed, decided)), sum(map(is_overridden, decided))
    blocked = sum(row.verdict == "block" for row in rows if not row.asked)
    timed = _timed(decided, key[0] if by == "person" else None)
    times = [seconds for row in timed if (seconds := decide_seconds(row)) is not None]
    starts = Counter(since(row) for row in timed if decide_seconds(row) is not None)
    quick = Counter(is_quick(row) for row in timed)
    return Figure(
        by=by,
        name=key[0],
        policy=key[1],
        rulings=len(rows),
        asked=len(asked),
        sampled=sum(row.verdict == "sample" for row in asked),
        passed=len(rows) - len(asked) - blocked,
        blocked=blocked,
        decided=len(decided),
        approved=said["approve"],
        edited=said["edit"],
        rejected=said["reject"],
        responded=said["respond"],
        cancelled=said["cancel"],
        standing=standing,
        expired=said["expired"],
        withdrawn=said["withdrawn"],
        undecided=len(asked) - len(decided) - standing - said["expired"] - said["withdrawn"],
        weighed=weighed,
        overridden=overridden,
        override_rate=overridden / weighed if weighed else None,
        override_interval=wilson(overridden, weighed),
        decide_seconds_median=middle(times),
        decide_seconds_p90=ninetieth(times),
        from_seen=starts["seen"],
        from_asked=starts["asked"],
        quick=quick[True],
        quick_of=quick[True] + quick[False],
        bulk=sum(row.bulk for row in decided),
        open=len(ages),
        open_seconds_median=middle(ages),
        open_seconds_max=max(ages, default=None),
    )


def _timed(decided: list[Judged], person: str | None) -> list[Judged]:
    """Those whose time is that of this person, or of anybody."""
    return decided if person is None else [row for row in decided if row.by and row.by[-1] == person]
