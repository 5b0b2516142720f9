"""A plain Python function as the reasoner: it is given the briefing and returns the next steps, or the end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from holdfast.reasoners.base import Briefing, Proposal


class FunctionReasoner:
    """See `Reasoner`. The function returns a Plan, a Step, Propose, Finish or GiveUp; one that is not async gets a thread."""

    def __init__(self, function: Callable[[Briefing], Any]):
        self.function = function

    async def propose(self, briefing: Briefing) -> Proposal:
        """Whatever the function says."""
        if inspect.iscoroutinefunction(self.function):
            found: Proposal = await self.function(briefing)
        else:
            found = await asyncio.to_thread(self.function, briefing)
        return found
