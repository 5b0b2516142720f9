"""The agent of the lab `approvals`: it pays what it is given, and whether a person is asked first is the policy's to say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import Agent, Call, Limits, tool
from holdfast.labs.http_call import send
from holdfast.labs.services.payouts import Payout


@dataclass(frozen=True)
class Paid:
    """A payout as the service confirms it. id: the service's own."""

    id: str
    payout: str
    amount: int


@tool(safety="keyed", key_ttl="30d", timeout="10s", amount="amount")
def pay(book: str, payout: str, amount: int, account_days: int, country: str, opened_in: str, call: Call) -> Paid:
    """Pay out money that a customer asks for."""
    order = {"book": book, "payout": payout, "amount": str(amount)}
    return Paid(**send("POST", "/payouts", order, key=call.key, timeout_seconds=9.0))


_INPUTS = {
    "book": {"type": "string", "minLength": 1},
    "payout": {"type": "string", "minLength": 1},
    "amount": {"type": "integer", "minimum": 1},
    "account_days": {"type": "integer", "minimum": 0},
    "country": {"type": "string", "minLength": 2},
    "opened_in": {"type": "string", "minLength": 2},
}
STEP = "pay"


def paying(policy: str | Path) -> Agent:
    """An agent under the policy of a file; a run of it is one payout."""
    return Agent(
        "payouts",
        goal="Pay what a customer asks for",
        inputs=_INPUTS,
        tools=[pay],
        plan={STEP: {"tool": "pay", "args": {name: {"$ref": f"inputs.{name}"} for name in _INPUTS}}},
        policy=policy,
        limits=Limits(person_seconds=80 * 86400.0),
    )


def inputs_of(payout: Payout, book: str) -> dict[str, Any]:
    """What a run is given: the payout as it is to be seen, and the book that it is paid from."""
    seen = {"payout": payout.name, "amount": payout.usd, "account_days": payout.days}
    return {"book": book, **seen, "country": payout.country, "opened_in": payout.opened_in}
