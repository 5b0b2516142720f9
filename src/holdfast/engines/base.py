"""What an engine owes: that `advance` is called for each run that is due, by one worker at a time."""

from __future__ import annotations

from typing import Protocol

from holdfast.agent import Agent
from holdfast.journal.base import Claim


class Engine(Protocol):
    """Decides where and when a run is advanced, and nothing about what happens in it."""

    async def start(self) -> None:
        """Begin to keep claims alive."""

    async def stop(self) -> None:
        """Let every run finish the effect at hand, give the claims back, and end."""

    def load(self, agent: Agent) -> None:
        """Make an agent known; runs of agents that are not known are left alone."""

    async def drive(self, run_id: str, claim: Claim | None = None, patience_seconds: float | None = None) -> None:
        """Advance one run until it has ended, waits for a person, or waits longer than the patience."""

    async def work(self, *, until_idle: bool = False) -> None:
        """Advance all that is due, until `stop` (or until nothing is due any more)."""
