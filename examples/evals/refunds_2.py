"""The second version: after a time-out it looks whether the refund was booked."""

from bank import refunds, was_refunded

from holdfast import Call, tool


@tool(safety="reconcilable", probe=was_refunded, settles_within="5s", timeout="20s", approve="amount > 500")
def refund(order: str, amount: float, call: Call) -> dict[str, str]:
    """Give the customer their money back."""
    raise NotImplementedError("the bank is not part of this example")


agent = refunds("2", refund)
