"""Is the world as it must be? Transfers are counted in the ledger; the journals are asked how the runs were left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast.core.events import Answered, Entry
from holdfast.core.evolve import fold
from holdfast.labs.services.ledger import LedgerRow, RequestRow

GATEWAYS = ("keyed", "lookup", "plain")

Said = Literal["happened", "not-happened", "never-sent"]


@dataclass(frozen=True, kw_only=True)
class Payment:
    gateway: str
    account: str
    amount: str
    reference: str

    @property
    def run_id(self) -> str:
        return f"payment-{self.gateway}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. were_killed: SIGKILL ended the worker of each payment before the record."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    were_killed: bool


def transfers(ledger: Sequence[LedgerRow], payment: Payment) -> list[LedgerRow]:
    """The transfers to the payment's account, whoever made them."""
    return [row for row in ledger if row["subject"] == payment.account]


def check(payments: Sequence[Payment], seen: Seen, said: Said) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [] if seen.were_killed else ["a worker was not killed before the transfer was written down"]
    for payment in payments:
        problems += [f"{payment.gateway}: {problem}" for problem in _world_problems(payment, seen)]
        problems += [f"{payment.run_id}: {problem}" for problem in _run_problems(payment, seen, said)]
    known = {payment.account for payment in payments}
    problems += [
        f"the ledger has a transfer to {row['subject']}, to whom nothing is owed"
        for row in seen.ledger
        if row["subject"] not in known
    ]
    return problems


def _world_problems(payment: Payment, seen: Seen) -> list[str]:
    landed = transfers(seen.ledger, payment)
    problems = [] if len(landed) == 1 else [f"{len(landed)} transfers to {payment.account}, where one must be"]
    problems += [
        f"{row['detail']['amount']} went through {row['service']}, where {payment.amount} was owed through {payment.gateway}"
        for row in landed
        if (row["service"], row["detail"]["amount"]) != (payment.gateway, payment.amount)
    ]
    posts = [row for row in seen.requests if row["method"] == "POST" and row["path"] == f"/{payment.gateway}/transfers"]
    expected = 2 if payment.gateway == "keyed" else 1
    if len(posts) != expected:
        problems.append(f"{len(posts)} requests for a transfer, where {expected} must be")
    if len({row["key"] for row in posts}) > 1:
        problems.append("a repeat went out under another key")
    looks = [row for row in seen.requests if row["method"] == "GET" and row["path"].startswith("/lookup/")]
    if payment.gateway == "lookup" and not looks:
        problems.append("the gateway was not asked")
    return problems


_SETTLED_BY = {"keyed": "call", "lookup": "probe"}


def _run_problems(payment: Payment, seen: Seen, said: Said) -> list[str]:
    entries = seen.histories.get(payment.run_id)
    if not entries:
        return ["there is no such run"]
    state = fold(entries)
    expected = "failed" if payment.gateway == "plain" and said == "not-happened" else "completed"
    problems = [] if state.ended == expected else [f"it is {state.ended or 'not ended'}, and must be {expected}"]
    if not state.order:
        return [*problems, "it has no plan"]
    settled_by = _SETTLED_BY.get(payment.gateway, {"happened": "person", "never-sent": "call"}.get(said, ""))
    if state.steps["transfer"].settled_by != settled_by:
        problems.append(
            f"it was settled by {state.steps['transfer'].settled_by or 'nobody'}, and must be by {settled_by or 'nobody'}"
        )
    answers = [entry.event for entry in entries if isinstance(entry.event, Answered)]
    if len(answers) != (2 if payment.gateway == "plain" else 0):
        problems.append(f"a person was heard {len(answers)} times")
    if answers and answers[-1].seen_at is None:
        problems.append("the person was not shown what they decided")
    return problems
