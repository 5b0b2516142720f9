"""Who goes away, and in the middle of which booking the worker is killed: drawn from the seed."""

import random
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from holdfast.labs.services.travel import TOWNS

KILLS = ("hotels", "trains")
"""The services in the middle of whose bookings the worker may be killed."""

HOURS_MAX = 3
BUDGET_USD = Decimal("1.00")
"""For the weekend that a model plans."""

SCRIPT = "scripted:planner"
"""What the provider calls the script that plans it."""
GUESTS = ("Nora Lind", "Paul Okoro", "Ines Duarte", "Yusuf Kaya", "Elin Berg", "Marco Riva")


@dataclass(frozen=True, kw_only=True)
class Weekend:
    """One run. plan: its file."""

    guest: str
    run_id: str
    plan: str


@dataclass(frozen=True, kw_only=True)
class Story:
    first: Weekend
    """Killed in the middle of a booking, and seen through."""
    second: Weekend
    """After the first: nobody tries to fly any more."""
    third: Weekend
    """Cancelled when all is booked; killed while the room is being given back."""
    kill_at: str
    """The service that has made the first weekend's booking then, and has not answered."""

    @property
    def weekends(self) -> tuple[Weekend, ...]:
        return (self.first, self.second, self.third)

    @property
    def planned(self) -> Weekend:
        """The first guest's weekend, where a model plans it."""
        return replace(self.first, plan="agents.py")

    @property
    def full(self) -> str:
        """The nearest town, in which there is no room."""
        return TOWNS[0][0]

    @property
    def town(self) -> str:
        """The next one, where they really go."""
        return TOWNS[1][0]

    @property
    def faults(self) -> dict[str, Any]:
        """What the services are told."""
        return {"full_towns": [self.full]}


def story_of(seed: int) -> Story:
    """The story of a seed: three guests, and a service."""
    draw = random.Random(seed)
    guests = draw.sample(GUESTS, 3)
    plans = ("plan.yaml", "fallback.yaml", "plan.yaml")
    ids = (f"weekend-{guest.split()[0].lower()}" for guest in guests)
    weekends = [Weekend(guest=guest, run_id=run_id, plan=plan) for guest, run_id, plan in zip(guests, ids, plans, strict=True)]
    return Story(first=weekends[0], second=weekends[1], third=weekends[2], kill_at=draw.choice(KILLS))
