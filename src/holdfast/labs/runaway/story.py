"""Who runs away, what becomes of them, and in which order their worker is killed: drawn from the seed."""

import random
from dataclasses import dataclass
from typing import Any

NAMES = ("repeats", "searches", "replans", "spends")
"""The agents, which are also the ids of their runs."""

BUDGET = "0.50"
"""US dollars for each run, models and pictures together."""

AT_ONCE = 10
DRAW_SECONDS = 1.5
"""Far more than it takes to send ten requests and kill a process."""

KILLS = ("models", "pictures")
"""models: the provider has charged an answer, which is not out. pictures: ten calls are in flight, and the first is charged."""


@dataclass(frozen=True, kw_only=True)
class Story:
    kills: tuple[str, ...]
    """The two services that the worker of the one that spends is killed in, in this order."""

    @property
    def faults(self) -> dict[str, Any]:
        """What the services are told."""
        return {"draw_seconds": DRAW_SECONDS}


def story_of(seed: int) -> Story:
    """The story of a seed."""
    return Story(kills=tuple(random.Random(seed).sample(KILLS, 2)))


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What stops a script. why: words of the reason. kept: what the ledger has of it at the end, by service."""

    why: tuple[str, ...]
    kept: dict[str, int]


BOUNDS: dict[str, Bound] = {
    "repeats": Bound(why=("taught nothing new", "an order has six digits"), kept={"refunds": 1}),
    "searches": Bound(why=("taught nothing new", "known already"), kept={"notes": 1}),
    "replans": Bound(why=("6 plans were made",), kept={"tables": 1}),
    # How many pictures there are follows from what the deaths cost.
    "spends": Bound(why=(f"the budget of ${BUDGET} is used up",), kept={}),
}
