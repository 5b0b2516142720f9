"""A refund, promised in two ways. Which promise the bank keeps is said by no test of the agent alone; see `refunds.yaml`."""

from holdfast import Agent, Call, tool

PLAN = {
    "order": {"tool": "look_up", "args": {"order": {"$ref": "inputs.order"}}},
    "refund": {"tool": "refund", "args": {"order": {"$ref": "inputs.order"}, "amount": {"$ref": "steps.order.total"}}},
    "mail": {"tool": "send_mail", "args": {"to": {"$ref": "steps.order.customer"}, "receipt": {"$ref": "steps.refund.receipt"}}},
}


@tool(safety="read")
def look_up(order: str) -> dict[str, str | float]:
    """What was paid for an order, and by whom."""
    raise NotImplementedError("the shop is not part of this example")


@tool(safety="keyed", key_ttl="24h")
def send_mail(to: str, receipt: str, call: Call) -> str:
    """Tell the customer."""
    raise NotImplementedError("the mail is not part of this example")


def refunds(version: str, refund) -> Agent:
    """The same plan, whatever the refund promises."""
    inputs = {"order": {"type": "string"}}
    return Agent(
        "refunds", version=version, goal="Refund the order", inputs=inputs, tools=[look_up, refund, send_mail], plan=PLAN
    )


def was_refunded(order: str, amount: float, call: Call):
    """Look whether the bank has booked it."""
    raise NotImplementedError("the bank is not part of this example")
