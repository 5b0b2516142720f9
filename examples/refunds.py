"""A refund that is killed in the middle, and goes on. See the README."""

import time
from pathlib import Path

from holdfast import NOT_HAPPENED, Agent, Call, Happened, tool

BANK = Path("bank.txt")


def was_refunded(order: int, amount: int, call: Call):
    """Look whether the bank has booked it; holdfast asks after a crash or a time-out."""
    booked = BANK.read_text().splitlines() if BANK.exists() else []
    return Happened(f"R-{order}") if any(call.key in line for line in booked) else NOT_HAPPENED


@tool(safety="reconcilable", probe=was_refunded, settles_within="1s")
def refund(order: int, amount: int, call: Call) -> str:
    """Give the customer their money back."""
    with BANK.open("a") as bank:
        bank.write(f"order {order}: {amount} ({call.key})\n")
    time.sleep(5)  # The bank has booked it, and is slow to answer: kill -9 comes here.
    return f"R-{order}"


@tool(safety="idempotent")
def close_ticket(order: int, receipt: str) -> str:
    """Tell the customer, and close the ticket."""
    return f"ticket of order {order} closed with receipt {receipt}"


agent = Agent(
    "refunds",
    goal="Refund the order",
    tools=[refund, close_ticket],
    plan={
        "refund": {"tool": "refund", "args": {"order": {"$ref": "inputs.order"}, "amount": 80}},
        "close": {"tool": "close_ticket", "args": {"order": {"$ref": "inputs.order"}, "receipt": {"$ref": "steps.refund"}}},
    },
)
