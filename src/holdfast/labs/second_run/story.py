"""Who comes back, what they answer, what a room costs by then, and in the middle of which run the worker is killed: drawn from
the seed."""

import random
from dataclasses import dataclass

from holdfast.labs.second_run.agents import BEDS, CENTRE
from holdfast.labs.services.trips import ADDRESSES, PRICES

FIRST, SECOND = "rooms-1", "rooms-2"
RUNS = (FIRST, SECOND)
LATER = "7d"
GUESTS = ("Ann Berg", "Omar Said", "Lea Roux", "Jan Novak")


@dataclass(frozen=True, kw_only=True)
class Story:
    guest: str
    town: str
    beds: int
    centre: str
    price_later: str
    """What a room costs a week later."""
    killed_run: str
    """In the middle of whose booking the worker is killed."""

    @property
    def thread(self) -> str:
        """The conversation that both runs belong to."""
        return self.guest.split()[0].lower()

    @property
    def price(self) -> str:
        """What a room costs at first."""
        return str(PRICES[self.town])

    @property
    def address(self) -> str:
        return ADDRESSES[self.town]

    @property
    def answers(self) -> dict[str, str | int]:
        """What the guest answers, by the name of the question."""
        return {BEDS: self.beds, CENTRE: self.centre}


def story_of(seed: int) -> Story:
    """The story of a seed."""
    draw = random.Random(seed)
    town = draw.choice(sorted(PRICES))
    return Story(
        guest=draw.choice(GUESTS),
        town=town,
        beds=draw.choice((1, 2)),
        centre=f"K-{draw.randrange(10, 100)}",
        price_later=str(PRICES[town] + draw.randrange(5, 60)),
        killed_run=draw.choice(RUNS),
    )
