"""The first version, with a fault: it says that a refund may be repeated. The bank books each request."""

from bank import refunds

from holdfast import tool


@tool(safety="idempotent", timeout="20s", approve="amount > 500")
def refund(order: str, amount: float) -> dict[str, str]:
    """Give the customer their money back."""
    raise NotImplementedError("the bank is not part of this example")


agent = refunds("1", refund)
