"""An agent of Pydantic AI as the reasoner of a run: it thinks as it was written, and what it wants done becomes steps.

The agent keeps its model, instructions and output type. Its tools are those of the run: each call that it wants is a step, with
everything that a step has (journal, retries, approval, doubt), and what came of it is told to it in its next turn. Each turn is
one request to its model, and the agent's own checks of its output go back to it in the next one. What it said is written down
once, so that a run goes on in another process where it was.

Importing this module loads nothing of the library; making a reasoner does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.core.models import Price
from holdfast.errors import DefinitionError, UsageError
from holdfast.reasoners.base import Briefing, Thought
from holdfast.reasoners.model import ModelFailure
from holdfast.reasoners.words import written

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent

# Failures after which the same request may be answered, if it is not made at once.
_PASSING = frozenset({"rate_limited", "unavailable", "transient"})
_PAUSE_SECONDS = 2.0


class PydanticAgentReasoner:
    """See the module's text, and `Reasoner`.

    agent: without tools of its own; make them tools of the holdfast agent. deps: what its instructions and validators are
    given. prompt: what it is told at first, and again when the goal changes; by default the words and the inputs of the goal.
    name: of the model, as the journal has it; None takes what the answer says. price: what a token costs; None counts tokens
    only. pause_seconds_max: how long it waits, at most, before a request that a provider was too busy for counts as failed.

    The run has no budget of money or tokens by this: nothing is reserved before a request. See the documentation.
    DefinitionError where the agent has tools.
    """

    def __init__(
        self,
        agent: AbstractAgent[Any, Any],
        *,
        deps: Any = None,
        prompt: Callable[[Briefing], str] | None = None,
        name: str | None = None,
        price: Price | None = None,
        pause_seconds_max: float = 30.0,
    ):
        # The agent could not be there without its library, and this loads no more of it.
        from holdfast.reasoners.pydantic_agent_wire import tools_of

        if found := tools_of(agent):
            raise DefinitionError(
                f"the agent has tools of its own, which would act unseen by the journal: {', '.join(found)}",
                hint="give them to the holdfast agent, as @tool functions; this one is offered them",
            )
        self.agent = agent
        self.deps = deps
        self.prompt = prompt or goal_prompt
        self.name = name
        self.price = price
        self.pause_seconds_max = pause_seconds_max

    async def propose(self, briefing: Briefing) -> Thought:
        """One turn of the agent: the calls that it wants, or its output as the result of the run."""
        from holdfast.reasoners.pydantic_agent_wire import Exchange

        if briefing.state is None:
            raise UsageError("this reasoner reads the run itself", hint="make the briefing with `briefing(state)`")
        exchange = Exchange(self.agent, self.deps, self.prompt, briefing, briefing.state, name=self.name, price=self.price)
        try:
            return await exchange.thought()
        except ModelFailure as failure:
            await asyncio.sleep(self._pause(failure, briefing.state.proposal_failures))
            raise AgentFailed(f"{failure.kind}: {failure.message}") from failure

    def _pause(self, failure: ModelFailure, before: int) -> float:
        """Three proposals in a row that come to nothing end a run, and a busy provider needs longer than no time at all."""
        if failure.kind not in _PASSING:
            return 0.0
        return min(failure.retry_after_seconds or _PAUSE_SECONDS * 2.0**before, self.pause_seconds_max)


class AgentFailed(Exception):
    """A request of a foreign agent came to nothing. It counts as a proposal that failed."""


def goal_prompt(briefing: Briefing) -> str:
    """The words of the goal, its inputs as JSON, and what people said since."""
    goal = briefing.goal
    inputs = f"Inputs: {written(goal.inputs)}" if goal.inputs else ""
    since = "\n".join(f"{said.by} says: {said.text}" for said in briefing.instructions)
    return "\n\n".join(part for part in (goal.text, inputs, since) if part) or "Go on."
