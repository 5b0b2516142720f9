"""Who goes where, where to in the end, what the room costs by then, and where the workers are killed: drawn from the seed."""

import random
from dataclasses import dataclass
from typing import Any

from holdfast.labs.services.trips import PRICES

LETTERS, TRIP = "letters-1", "trip-1"
GUESTS = ("Nora Lind", "Paul Okoro", "Ines Duarte", "Elin Berg")
KILLS = ("rooms", "trains")
"""The services in the middle of whose first effect the worker may be killed; it is killed in the middle of the payment anyway."""

PARTY: dict[str, Any] = {"who": "with a child", "beds": 2}
"""Who really travels."""


@dataclass(frozen=True, kw_only=True)
class Story:
    guest: str
    first: str
    """The town that the trip is to go to at first."""
    town: str
    """Where it goes in the end."""
    price_later: str
    """What the room costs there when it is paid."""
    kill_at: str

    @property
    def thread(self) -> str:
        return self.guest.split()[0].lower()

    @property
    def price(self) -> str:
        """What the room costs there when it is looked up first."""
        return str(PRICES[self.town])


def story_of(seed: int) -> Story:
    """The story of a seed."""
    draw = random.Random(seed)
    first, town = draw.sample(sorted(PRICES), 2)
    return Story(
        guest=draw.choice(GUESTS),
        first=first,
        town=town,
        price_later=str(PRICES[town] + draw.randrange(5, 40)),
        kill_at=draw.choice(KILLS),
    )
