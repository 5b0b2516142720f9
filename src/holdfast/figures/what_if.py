"""What another policy would have done: its rules, run over what was recorded of earlier rulings. Nothing is called.

What is replayed is what the recorded ruling looked at (`Judged.document`). Two things are not in the record, and are said
instead of guessed: what the tool or the plan declares itself (so a call that no rule of the policy matches is `unmatched`: it
would be asked or not as its tool says), and what functions of the user's said (so a rule that needs one `cannot_tell`, unless
its answer is given).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from holdfast.core.policy import Check, Policy, Ruling, Undecided, evaluate
from holdfast.figures.rows import amount_of, amount_sum, decide_seconds, is_overridden, is_weighed, middle, policy_name
from holdfast.journal.people import Judged, is_cut

Came = Literal["asked", "sampled", "not_asked", "blocked", "cannot_tell", "unmatched"]
# How many examples are kept of what would be let through.
EXAMPLES_MAX = 20


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the same calls and plans were, or would be, what. asked: in all; sampled: of these, by a draw. not_asked:
    made without asking, by a rule. cannot_tell: that depends on functions that were not asked. unmatched: no rule of the
    policy holds. The first and the last four together are all rows."""

    asked: int = 0
    sampled: int = 0
    not_asked: int = 0
    blocked: int = 0
    cannot_tell: int = 0
    unmatched: int = 0


class Overruled(msgspec.Struct, frozen=True, kw_only=True):
    """Calls held against what people decided of them then.

    caught: overridden ones that would be asked; stopped: that would be blocked; let_through: that nobody would be asked
    about, with what they are about together (None: none has an amount). saved: plain yeses of which nobody would be asked any
    more; saved_seconds: what half of these took at most. blocked_approved: that would be blocked, and people said yes.
    newly_asked: that were not asked, and would be.
    """

    caught: int = 0
    stopped: int = 0
    let_through: int = 0
    let_through_amount: float | None = None
    saved: int = 0
    saved_seconds: float | None = None
    blocked_approved: int = 0
    newly_asked: int = 0


class RuleSide(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the other policy: what it would do, and what people had decided of that."""

    rule: str
    side: Side
    people: Overruled


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was overridden and would be let through. rule: that lets it through."""

    run_id: str
    entry: int
    step: str
    tool: str
    decision: str
    amount: float | None
    rule: str


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. policy: `name@version` of the other one; rows: how many calls and plans were looked at; left_out: rows
    that are neither (questions, calls in doubt) or of which nothing is recorded that a rule could look at. recorded,
    proposed: what was, and what would be. people: against what people decided. rules: one for each rule of the other policy,
    in its order. examples: of what would be let through, the largest amounts first."""

    policy: str
    rows: int
    left_out: int
    recorded: Side
    proposed: Side
    people: Overruled
    rules: tuple[RuleSide, ...] = ()
    examples: tuple[Example, ...] = ()


class _Tally:
    """Counts of one side, and the rows that people's decisions are held against."""

    def __init__(self) -> None:
        self.came: dict[Came, int] = {}
        self.let_through: list[Judged] = []
        self.saved: list[Judged] = []
        self.caught = self.stopped = self.blocked_approved = self.newly_asked = 0

    def add(self, row: Judged, came: Came) -> None:
        self.came[came] = self.came.get(came, 0) + 1
        if came in ("asked", "sampled"):
            self.newly_asked += not row.asked
            self.caught += is_overridden(row)
        elif is_weighed(row):
            if came == "blocked":
                self.stopped += is_overridden(row)
                self.blocked_approved += not is_overridden(row)
            elif came == "not_asked":
                (self.let_through if is_overridden(row) else self.saved).append(row)

    def side(self) -> Side:
        came = self.came
        return Side(
            asked=came.get("asked", 0) + came.get("sampled", 0),
            sampled=came.get("sampled", 0),
            not_asked=came.get("not_asked", 0),
            blocked=came.get("blocked", 0),
            cannot_tell=came.get("cannot_tell", 0),
            unmatched=came.get("unmatched", 0),
        )

    def people(self) -> Overruled:
        return Overruled(
            caught=self.caught,
            stopped=self.stopped,
            let_through=len(self.let_through),
            let_through_amount=amount_sum(self.let_through),
            saved=len(self.saved),
            saved_seconds=middle([seconds for row in self.saved if (seconds := decide_seconds(row)) is not None]),
            blocked_approved=self.blocked_approved,
            newly_asked=self.newly_asked,
        )


def what_if(policy: Policy, judged: Iterable[Judged], checks: Mapping[str, Check] | None = None) -> WhatIf:
    """Run a policy over recorded rulings and count. checks: what functions are taken to say, by name, for all rows.

    Draws are made as they would have been, from run, step and rule; the rule of that name in a policy of that name has the
    draw that was recorded.
    """
    recorded, proposed = _Tally(), _Tally()
    rules = {rule.name: _Tally() for rule in policy.rules}
    through: list[tuple[Judged, str]] = []
    left_out = 0
    for row in judged:
        if row.about not in ("call", "plan") or not row.document:
            left_out += 1
            continue
        ruling = _ruled(policy, row, checks)
        came: Came = "cannot_tell" if _looks_at_cut(ruling) else _came(ruling, row)
        recorded.add(row, _came_then(row))
        proposed.add(row, came)
        if isinstance(ruling, Ruling):
            rules[ruling.rule].add(row, came)
            if came == "not_asked" and is_overridden(row):
                through.append((row, ruling.rule))
    return WhatIf(
        policy=f"{policy.name}@{policy.version}",
        rows=sum(recorded.came.values()),
        left_out=left_out,
        recorded=recorded.side(),
        proposed=proposed.side(),
        people=proposed.people(),
        rules=tuple(RuleSide(rule=name, side=tally.side(), people=tally.people()) for name, tally in rules.items()),
        examples=_examples(through),
    )


def _ruled(policy: Policy, row: Judged, checks: Mapping[str, Check] | None) -> Ruling | Undecided | None:
    on: Literal["call", "plan"] = "plan" if row.about == "plan" else "call"
    return evaluate(policy, row.document, checks=checks, seed=_seed(row), on=on)


def _seed(row: Judged) -> str:
    """What a draw is made from; as in `core/decide`, of the first occurrence of a call."""
    if row.about == "plan":
        return f"{row.run_id}\x1fplan\x1f{row.document.get('revision', 0)}"
    return f"{row.run_id}\x1f{row.step}\x1f1"


def _looks_at_cut(ruling: Ruling | Undecided | None) -> bool:
    """Whether a condition looked at a value that is too long for the record."""
    return isinstance(ruling, Ruling) and any(map(is_cut, ruling.looked.values()))


def _came(ruling: Ruling | Undecided | None, row: Judged) -> Came:
    if ruling is None:
        return "unmatched"
    if isinstance(ruling, Undecided):
        return "cannot_tell"
    if ruling.verdict == "block":
        return "blocked"
    if ruling.verdict == "sample" and ruling.draw is not None:
        is_same = row.rule == ruling.rule and policy_name(row.policy) == policy_name(ruling.policy)
        draw = row.draw if is_same and row.draw is not None else ruling.draw
        return "sampled" if ruling.rate is None or draw < ruling.rate else "not_asked"
    return "asked" if ruling.asks else "not_asked"


def _came_then(row: Judged) -> Came:
    if row.asked:
        return "sampled" if row.verdict == "sample" else "asked"
    return "blocked" if row.verdict == "block" else "not_asked"


def _examples(through: list[tuple[Judged, str]]) -> tuple[Example, ...]:
    through.sort(key=lambda pair: (-(amount_of(pair[0]) or 0.0), pair[0].at))
    return tuple(
        Example(
            run_id=row.run_id, entry=row.entry, step=row.step, tool=row.tool, decision=row.decision,
            amount=amount_of(row), rule=rule,
        )
        for row, rule in through[:EXAMPLES_MAX]
    )  # fmt: skip
