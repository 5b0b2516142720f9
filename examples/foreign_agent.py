"""An agent of Pydantic AI as the reasoner of a run that may be killed at any moment. See "Bring your own" in the documentation.

The model is scripted, so that no key is needed. With a real one: `Mind("anthropic:claude-sonnet-4-5", …)`.
"""

import time
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai import Agent as Mind
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from holdfast import NOT_HAPPENED, Agent, Call, Happened, tool
from holdfast.reasoners.pydantic_agent import PydanticAgentReasoner

BANK = Path("bank.txt")


class Settled(BaseModel):
    """What the agent reports at its end."""

    receipt: str
    amount: int


def says(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """What a model would say: look the order up, give the money back, report."""
    returned = {part.tool_name: part for message in messages for part in message.parts if part.part_kind == "tool-return"}
    if "look_up" not in returned:
        return ModelResponse(parts=[ToolCallPart("look_up", {"order": 7})])
    amount = returned["look_up"].content["paid"]
    if "refund" not in returned:
        return ModelResponse(parts=[ToolCallPart("refund", {"order": 7, "amount": amount})])
    return ModelResponse(parts=[ToolCallPart("final_result", {"receipt": returned["refund"].content, "amount": amount})])


mind = Mind(FunctionModel(says), output_type=Settled, instructions="Refund what the customer paid, and report the receipt.")


@tool(safety="read")
def look_up(order: int) -> dict[str, int]:
    """What the customer paid."""
    return {"order": order, "paid": 80}


def was_refunded(order: int, amount: int, call: Call):
    """Look whether the bank has booked it; holdfast asks after a crash or a time-out."""
    booked = BANK.read_text().splitlines() if BANK.exists() else []
    return Happened(f"R-{order}") if any(call.key in line for line in booked) else NOT_HAPPENED


@tool(safety="reconcilable", probe=was_refunded, settles_within="1s")
def refund(order: int, amount: int, call: Call) -> str:
    """Give the customer their money back."""
    with BANK.open("a") as bank:
        bank.write(f"order {order}: {amount} ({call.key})\n")
    time.sleep(2)  # The bank has booked it, and is slow to answer: kill -9 comes here.
    return f"R-{order}"


agent = Agent("refunds", goal="Refund order 7", tools=[look_up, refund], reasoner=PydanticAgentReasoner(mind))
