"""Is the world as it must be? Payouts and frauds are counted in the ledger; of holdfast it takes what people said, and which
payouts they were asked about."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.core.policy import Policy
from holdfast.figures import WhatIf
from holdfast.labs.approvals.agents import STEP
from holdfast.labs.approvals.living import Lived
from holdfast.labs.approvals.outcome import Outcome, paid_from, payout_in
from holdfast.labs.approvals.story import Story
from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.services.payouts import Payout


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at: what was lived through under each policy, what came of it, and what the third one was expected to
    do, from the record of the first."""

    ledger: Sequence[LedgerRow]
    lived: Sequence[Lived]
    outcomes: Sequence[Outcome]
    expected: WhatIf


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [f"{lived.book}: {problem}" for lived in seen.lived for problem in book_problems(story, lived, seen.ledger)]
    for lived, outcome in zip(seen.lived, seen.outcomes, strict=True):
        problems += [f"{lived.book}: {problem}" for problem in _count_problems(story, lived, outcome, seen.ledger)]
    books = tuple(f"{lived.book}/" for lived in seen.lived)
    problems += [
        f"{row['subject']} was paid, from a book that nobody keeps" for row in seen.ledger if not row["subject"].startswith(books)
    ]
    return problems + _alarm_problems(seen) + _expected_problems(seen)


# --- one book -----------------------------------------------------------------------------------------------------


def book_problems(story: Story, lived: Lived, ledger: Sequence[LedgerRow]) -> list[str]:
    """What must be so of each payout, wherever a worker is killed."""
    paid = Counter(payout_in(row) for row in paid_from(ledger, lived.book))
    problems = [f"{name} was paid {times} times" for name, times in paid.items() if times > 1]
    refused = {row.run_id for row in lived.judged if (row.asked and row.decision != "approve") or row.verdict == "block"}
    problems += [f"{name} was refused, and paid" for name in sorted(refused & paid.keys())]
    missing = [payout.name for payout in story.payouts if payout.name not in refused and payout.name not in paid]
    problems += [f"{name} was approved, or nobody was to be asked, and it was not paid" for name in missing]
    ended = {run.run_id: run.status for run in lived.runs}
    for payout in story.payouts:
        expected = "failed" if payout.name in refused else "completed"
        if ended.get(payout.name) != expected:
            problems.append(f"the run {payout.name} is {ended.get(payout.name, 'not there')}, and must be {expected}")
    return problems + list(_draw_problems(story, lived))


def _draw_problems(story: Story, lived: Lived) -> Iterator[str]:
    """Who was asked is what the rules say, with the draws made here once more."""
    asked = {row.run_id for row in lived.judged if row.asked}
    expected = {payout.name for payout in story.payouts if is_asked(lived.policy, payout)}
    for name in sorted(asked ^ expected):
        yield f"about {name} {'a person' if name in asked else 'nobody'} was asked, and by the rules and the draw it is otherwise"


def is_asked(policy: Policy, payout: Payout) -> bool:
    """Whether a person is to be asked about a payout: the rules of this lab, read without the machinery that is checked."""
    for rule in policy.rules:
        if rule.when and not payout.usd > float(rule.when.partition("amount >")[2]):
            continue
        return rule.then == "always" or draw_of(policy.name, rule.name, payout.name) < rule.rate
    return False


def draw_of(policy: str, rule: str, run_id: str) -> float:
    """The draw of a call, from 0 to 1: of the run, the step, the policy and the rule, and of nothing else."""
    words = json.dumps([f"{run_id}\x1f{STEP}\x1f1", policy, rule], separators=(",", ":"))
    return int(hashlib.sha256(words.encode()).hexdigest()[:13], 16) / 16**13


# --- what is said of it -------------------------------------------------------------------------------------------


def _count_problems(story: Story, lived: Lived, outcome: Outcome, ledger: Sequence[LedgerRow]) -> Iterator[str]:
    """The figures that are shown say what the ledger says."""
    truth: Mapping[str, Payout] = {payout.name: payout for payout in story.payouts}
    paid = {payout_in(row) for row in paid_from(ledger, lived.book)}
    through = [truth[name] for name in paid if truth[name].fraud]
    if (outcome.let_through, outcome.lost_usd) != (len(through), sum(payout.usd for payout in through)):
        yield f"{outcome.let_through} frauds over {outcome.lost_usd} are shown, and {len(through)} are in the ledger"
    caught = sum(payout.fraud and payout.name not in paid for payout in story.payouts)
    if outcome.caught != caught:
        yield f"{outcome.caught} frauds are shown as caught, and {caught} were not paid"
    if lived.deaths != 1:
        yield f"{lived.deaths} workers were killed in the middle of a payout, where 1 must be"


def _alarm_problems(seen: Seen) -> list[str]:
    first, *others = seen.outcomes
    problems = [] if first.stamped else [f"{first.book}: nobody was said to approve unread, and everybody did"]
    return problems + [
        f"{outcome.book}: {outcome.stamped} alarms say that people approve unread" for outcome in others if outcome.stamped
    ]


def _expected_problems(seen: Seen) -> list[str]:
    """What was worked out over the record, without a call, is what came about when the policy was lived under."""
    last, expected = seen.outcomes[-1], seen.expected.proposed
    if last.asked == expected.asked:
        return []
    return [f"{last.book}: {last.asked} were asked, and {expected.asked} were expected from the record"]
