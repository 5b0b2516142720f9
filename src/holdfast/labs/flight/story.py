"""Who travels, which flight they want, and what becomes of it while they think: drawn from the seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.labs.services.flights import HOME, flights_of_a_day

HABITS, TRIP = "habits-1", "trip-1"
TRAVELLERS = ("Maya Castell", "Tom Brandt", "Ayumi Sato", "Luis Ferrer")
ORDERS = ("correct", "reject", "approval")
"""When the traveller says that it is another airport: as a correction, where a list is shown; by taking none of it, and when
asked then; or only when asked whether what is guessed is so, before the booking."""

COLLEAGUE = "Sam Okoye"
"""Is known in the house too, and has no say in what others pay."""

GUESSED, WANTED = "JFK", "LGA"
DEPARTS, NEXT = "08:00", "09:00"


@dataclass(frozen=True, kw_only=True)
class Story:
    traveller: str
    order: str = "correct"

    @property
    def thread(self) -> str:
        return self.traveller.split()[0].lower()

    @property
    def origin(self) -> str:
        """Where the traveller really starts; nobody has said so."""
        return HOME

    @property
    def wanted(self) -> Mapping[str, Any]:
        """The flight that the traveller chooses, and that is sold out before they say yes to it."""
        return flight_at(DEPARTS)

    @property
    def booked(self) -> Mapping[str, Any]:
        """The one that they fly with in the end."""
        return flight_at(NEXT)


def flight_at(departs: str, airport: str = WANTED) -> Mapping[str, Any]:
    """The flight to an airport at that time."""
    return next(one for one in flights_of_a_day() if (one["departs"], one["airport"]) == (departs, airport))


def story_of(seed: int) -> Story:
    """The story of a seed. The lab as it is run has the traveller correct the list that is shown."""
    return Story(traveller=random.Random(seed).choice(TRAVELLERS))
