"""An agent of Pydantic AI as the reasoner, over the world of `agents.py`. Loaded by real workers.

Before each turn its model waits at the gate `think-N`, N counted from 1 by the answers that it was shown.
"""

import asyncio
import os
from pathlib import Path

from pydantic_ai import Agent as Mind
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from holdfast import Agent
from holdfast.reasoners.pydantic_agent import PydanticAgentReasoner
from tests.acceptance.agents import POLL_SECONDS, keyed, reconcilable

GATES = Path(os.environ["WORLD"]) / "gates"


async def says(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Two calls at once, then one, then the end, with all results that it was shown."""
    turn = 1 + sum(isinstance(message, ModelResponse) for message in messages)
    shut = GATES / f"think-{turn}.shut"
    while shut.exists():
        (GATES / f"think-{turn}.waits").touch()
        await asyncio.sleep(POLL_SECONDS)
    match turn:
        case 1:
            return ModelResponse(parts=[ToolCallPart("keyed", {"subject": "a"}), ToolCallPart("reconcilable", {"subject": "b"})])
        case 2:
            return ModelResponse(parts=[ToolCallPart("reconcilable", {"subject": "c"})])
        case _:
            returned = [str(part.content) for m in messages for part in m.parts if part.part_kind == "tool-return"]
            return ModelResponse(parts=[TextPart(" ".join(returned))])


foreign = Agent(
    "foreign", goal="Befall all three", tools=[keyed, reconcilable], reasoner=PydanticAgentReasoner(Mind(FunctionModel(says)))
)
"""Three effects in two turns."""
