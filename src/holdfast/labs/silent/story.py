"""What happens at the travel desk: two healthy weeks, and then one day, with one thing wrong at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HOUR, DAY = 3600.0, 86_400.0
BEGAN = 1_772_438_400.0
"""A Monday in March 2026, 8:00 UTC; any time will do."""
DAYS = 14
"""Healthy ones, before the day that is looked at."""
TRIPS_A_DAY, TRIPS_THAT_DAY, READINGS_A_DAY, READINGS_THAT_DAY = 5, 24, 2, 4
TOWN, PRICE_USD, MOST_USD = "Bergen", 180, 200
TRIPS, READINGS = "trips", "readings"


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How the line between the desk and the services is. seconds: what a request takes, the median; slower: times that, by tool.
    breaks: the share of requests that are lost before they are sent, by tool, and "" for all others; refuses: the share that the
    other side refuses."""

    seconds: float = 0.2
    slower: Mapping[str, float] = field(default_factory=dict)
    breaks: Mapping[str, float] = field(default_factory=lambda: {"": 0.02})
    refuses: Mapping[str, float] = field(default_factory=lambda: {"make_picture": 0.04})


HEALTHY = Weather()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong on the last day, and the monitor that is to see it.

    name: the runs of that day end with it. weather: of the line. reads_nothing: a new release of the reader finds nothing.
    price_usd: of a room on that day. moves: the price of a room changes right after it was booked, for so many. size: of
    pictures. pictures: that one of the trips has made. absent: for so many hours before the end of the day no worker is there.
    """

    name: str
    monitor: str
    what: str
    weather: Weather = HEALTHY
    reads_nothing: bool = False
    price_usd: int = PRICE_USD
    moves: int = 0
    size: str = ""
    pictures: int = 1
    absent: float = 0.0


NOTHING = Fault(name="healthy", monitor="", what="nothing is wrong")
FAULTS: Sequence[Fault] = (
    Fault(
        name="empty",
        monitor="empty_result",
        what="a new release of the reader finds no passages, and says so",
        reads_nothing=True,
    ),
    Fault(
        name="over",
        monitor="goal_check_fails",
        what=f"rooms cost more than the ${MOST_USD} that was asked for, and are booked",
        price_usd=240,
    ),
    Fault(
        name="closed",
        monitor="skipped_too_much",
        what="letters, trains and pictures are refused, and left out",
        weather=Weather(refuses={"read_letters": 1.0, "book_train": 1.0, "make_picture": 1.0}),
    ),
    Fault(
        name="refused",
        monitor="tool_success_drift",
        what="three of five pictures are refused, and left out",
        weather=Weather(refuses={"make_picture": 0.6}),
    ),
    Fault(
        name="slow",
        monitor="tool_latency_drift",
        what="holding a room takes four times as long",
        weather=Weather(slower={"hold_room": 4.0}),
    ),
    Fault(name="large", monitor="tool_cost_drift", what="somebody made large pictures the default", size="large"),
    Fault(
        name="lossy",
        monitor="retried_too_often",
        what="three of five requests for trains are lost, and made again",
        weather=Weather(breaks={"": 0.02, "book_train": 0.6}),
    ),
    Fault(
        name="absent", monitor="parked_past_deadline", what="no worker is there for three hours, and nobody notices", absent=3.0
    ),
    Fault(name="moving", monitor="belief_and_world_apart", what="the price moves right after two rooms were booked", moves=2),
    Fault(
        name="thirty",
        monitor="cost_runaway",
        what="one trip has thirty pictures made",
        weather=Weather(refuses={}),
        pictures=30,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Trip:
    """One run of the desk. at: when it is asked for, in seconds since the epoch. size: of its pictures."""

    id: str
    at: float
    size: str
    pictures: int = 1
    moves: bool = False


@dataclass(frozen=True, kw_only=True)
class Day:
    """What is asked for on one day, in order; readings: when, with an id each."""

    began: float
    trips: Sequence[Trip]
    readings: Sequence[tuple[str, float]]


def day_of(seed: int, number: int, fault: Fault = NOTHING) -> Day:
    """A day of a seed, from 0; the one numbered DAYS is the last. With a fault everything is as without it, but for the fault."""
    draw = random.Random(f"day {number} of {seed}")
    is_last = number == DAYS
    count, readings = (TRIPS_THAT_DAY, READINGS_THAT_DAY) if is_last else (TRIPS_A_DAY, READINGS_A_DAY)
    began, ending = BEGAN + number * DAY, f".{fault.name}" if is_last else ""
    times = sorted(draw.uniform(0.0, 10 * HOUR) for _ in range(count))
    sizes = [draw.choices(("small", "medium"), (1, 4))[0] for _ in range(count)]
    odd = draw.sample(range(count), count)
    trips = [
        Trip(
            id=f"trip-{number:02}-{place:02}{ending}",
            at=began + at,
            size=fault.size or sizes[place],
            pictures=fault.pictures if place == odd[0] else 1,
            moves=place in odd[: fault.moves],
        )
        for place, at in enumerate(times)
    ]
    looked_up = sorted(draw.uniform(0.0, 10 * HOUR) for _ in range(readings))
    return Day(
        began=began,
        trips=trips,
        readings=[(f"reading-{number:02}-{place}{ending}", began + at) for place, at in enumerate(looked_up)],
    )


def evening(number: int) -> float:
    """When a day is looked at."""
    return BEGAN + number * DAY + 11 * HOUR
