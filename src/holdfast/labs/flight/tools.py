"""The tools of the lab `flight`.

search_flights    its first answer never comes; it only reads, so it is asked again.
shortlist_flights takes what fits out of what was found, and counts; it asks nobody.
hold_seat         a seat is held for nothing, and can be released (`undo`).
book_flight       irreversible: it takes the money too. What it rests on must be no guess; `usd` is the amount that a policy
                  looks at.
"""

from dataclasses import dataclass

from holdfast import Call, tool
from holdfast.labs.http_call import look, send

SHOWN = 3
"""How many flights a person is shown."""
SEARCH_SECONDS = 0.8


@dataclass(frozen=True)
class PastFlight:
    to: str
    airport: str


@tool(safety="read", timeout="5s")
def read_past_flights(traveller: str) -> list[PastFlight]:
    """Where a traveller flew, the last flight last."""
    return [PastFlight(**one) for one in look("/past-flights", {"traveller": traveller})]


@dataclass(frozen=True)
class Meeting:
    at: str
    what: str
    city: str


@tool(safety="read", timeout="5s")
def read_calendar(traveller: str) -> list[Meeting]:
    """Today's meetings of a traveller, and the city that they are in."""
    return [Meeting(**one) for one in look("/calendar", {"traveller": traveller})]


@dataclass(frozen=True)
class Flight:
    """As a person is shown it: what they choose by comes first."""

    departs: str
    usd: int
    flight: str
    airport: str


@tool(safety="read", timeout="5s", retry={"attempts": 6, "backoff": "0.2s..1s"})
def search_flights(traveller: str, origin: str, to: str) -> list[Flight]:
    """All flights with a seat from a city to a city, to any of its airports. Fares are in US dollars."""
    query = {"traveller": traveller, "from": origin, "to": to}
    return [Flight(**one) for one in look("/flights", query, timeout_seconds=SEARCH_SECONDS)]


@dataclass(frozen=True)
class Shortlist:
    """found: how many there were; fitting: how many of them fly to the airport; best: the first of these."""

    found: int
    fitting: int
    best: list[Flight]


@tool(safety="read")
def shortlist_flights(flights: list[Flight], airport: str, near: str = "") -> Shortlist:
    """The best three flights to an airport: the cheapest, or where `near` is a departure (HH:MM), those next to it."""
    fitting = [one for one in flights if one.airport == airport]
    fitting.sort(key=lambda one: (abs(_minutes(one.departs) - _minutes(near)) if near else 0, one.usd, one.flight))
    return Shortlist(found=len(flights), fitting=len(fitting), best=fitting[:SHOWN])


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


@dataclass(frozen=True)
class Seat:
    id: str
    flight: str
    airport: str


@tool(safety="idempotent", timeout="20s")
def release_seat(id: str, call: Call) -> bool:
    """Release a seat that is held; whether it was."""
    released: bool = send("DELETE", f"/seats/{id}", key=call.key, timeout_seconds=15.0)["released"]
    return released


@tool(
    safety="keyed",
    key_ttl="forever",
    undo={"tool": release_seat, "args": {"id": {"$ref": "result.id"}}},
    timeout="20s",
)
def hold_seat(traveller: str, flight: str, call: Call) -> Seat:
    """Hold a seat on a flight for nothing, while somebody thinks it over."""
    return Seat(**send("POST", "/seats", {"traveller": traveller, "flight": flight}, key=call.key, timeout_seconds=15.0))


@dataclass(frozen=True)
class Booking:
    booking: str
    flight: str
    airport: str
    departs: str
    usd: int


@tool(safety="irreversible", amount="usd", timeout="20s")
def book_flight(traveller: str, origin: str, airport: str, flight: str, usd: int) -> Booking:
    """Book a flight from a city to an airport and pay for it, in US dollars. It must be what it costs now."""
    body = {"traveller": traveller, "flight": flight, "airport": airport, "usd": usd}
    return Booking(**send("POST", "/bookings", body, timeout_seconds=15.0))
