"""The agent of the lab `approvals`: it pays what it is given, and whether a person is asked is the policy's to say."""

from dataclasses import dataclass

from holdfast import Agent, Call, Limits, Policy, tool
from holdfast.labs.http_call import send

ARGUMENTS = ("payout", "amount", "account_days", "country", "opened_in")


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


def paying(policy: Policy, count: int) -> Agent:
    """An agent whose runs pay so many payouts each; one that is refused holds up none of the others."""
    steps = {
        f"pay_{at}": {
            "tool": "pay",
            "args": {
                "book": {"$ref": "inputs.book"},
                **{name: {"$ref": f"inputs.payouts[{at}].{name}"} for name in ARGUMENTS},
            },
            "optional": True,
        }
        for at in range(count)
    }
    return Agent(
        f"payouts-{count}",
        goal="Pay what customers ask for",
        inputs={"book": {"type": "string"}, "payouts": {"type": "array", "minItems": count, "maxItems": count}},
        tools=[pay],
        plan=steps,
        policy=policy,
        limits=Limits(person_seconds=80 * 86400.0, parallel_max=10),
    )
