"""An airline with 47 flights a day to a city of three airports, the calendar of whoever travels, and what takes the money.

All of it is by traveller, so that travellers do not get in each other's way: what is sold out for one is free for another.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

CITY, HOME = "NYC", "San Francisco"
# By airport: the carrier, how many flights, minutes from one to the next, and the fare of the first in US dollars.
LINES = {"JFK": ("B6", 18, 50, 214), "LGA": ("DL", 14, 60, 221), "EWR": ("UA", 15, 55, 209)}
# Fares in US dollars that are not like the others, by airport and departure.
FARES = {
    ("JFK", "10:10"): 168, ("JFK", "15:10"): 174, ("JFK", "19:20"): 181,
    ("LGA", "06:00"): 171, ("LGA", "08:00"): 189, ("LGA", "09:00"): 201, ("LGA", "14:00"): 179,
}  # fmt: skip
FIRST_MINUTE = 6 * 60
MEETINGS = (("15:00", "Quarterly review"), ("17:30", "Dinner with the Halden people"))
# Where somebody flew the last two times that they went to the city.
PAST = ("JFK", "JFK")


def flights_of_a_day() -> list[dict[str, Any]]:
    """All flights to the city: [{flight, airport, departs, usd}], as the airline lists them, by departure."""
    return sorted(_lines(), key=lambda one: (one["departs"], one["flight"]))


def _lines() -> Iterator[dict[str, Any]]:
    for airport, (carrier, count, minutes, usd) in LINES.items():
        for number in range(count):
            departs = "{:02}:{:02}".format(*divmod(FIRST_MINUTE + number * minutes, 60))
            fare = FARES.get((airport, departs), usd + 17 * number % 90)
            yield {"flight": f"{carrier} {100 + number}", "airport": airport, "departs": departs, "usd": fare}


def flight_routes(ledger: Ledger, ids: Ids, faults: Faults) -> Sequence[Route]:
    airline = Airline(ledger, ids, faults)
    return [
        Route("GET", "/calendar", find_meetings),
        Route("GET", "/past-flights", find_past_flights),
        Route("GET", "/flights", airline.search),
        Route("POST", "/flights/sold", airline.sell_out, is_control=True),
        Route("POST", "/seats", airline.hold),
        Route("DELETE", "/seats/{seat}", airline.release),
        Route("POST", "/bookings", airline.book),
    ]


def find_meetings(request: Request) -> Reply:
    """?traveller=NAME → today's meetings: [{at, what, city}]. Nobody says where the traveller lives."""
    request.require("traveller")
    return Reply(body=[{"at": at, "what": what, "city": HOME} for at, what in MEETINGS])


def find_past_flights(request: Request) -> Reply:
    """?traveller=NAME → where they flew, the last one last: [{to, airport}]."""
    request.require("traveller")
    return Reply(body=[{"to": CITY, "airport": airport} for airport in PAST])


class Airline:
    """The first search of each traveller is never answered. A seat is held for nothing, under a key, and released once or often.
    Bookings know no keys: each one that comes in is a seat and a payment, at the fare of the flight alone."""

    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._lost_after_seconds = faults.lost_after_seconds
        self._lock = threading.Lock()
        self._keys = Keys()
        self._searches: Counter[str] = Counter()
        self._sold: set[tuple[str, str]] = set()
        self._seats: dict[str, tuple[str, dict[str, Any]]] = {}
        self._flights = {one["flight"]: one for one in flights_of_a_day()}

    def search(self, request: Request) -> Reply:
        """?traveller=NAME&from=CITY&to=CITY → what is not sold out: [{flight, airport, departs, usd}]."""
        traveller, start, city = request.require("traveller"), request.require("from"), request.require("to")
        with self._lock:
            self._searches[traveller] += 1
            is_lost = self._searches[traveller] == 1
            found = [one for name, one in self._flights.items() if (traveller, name) not in self._sold]
        served = (start, city) == (HOME, CITY)
        return Reply(body=found if served else [], lost_after_seconds=self._lost_after_seconds if is_lost else None)

    def sell_out(self, request: Request) -> Reply:
        """{traveller, flight} → {flight}: from now on there is no seat on it for this traveller."""
        body = request.json()
        traveller, flight = text(body, "traveller"), self._flight(text(body, "flight"))["flight"]
        with self._lock:
            self._sold.add((traveller, flight))
        return Reply(body={"flight": flight})

    def hold(self, request: Request) -> Reply:
        """{traveller, flight} → 201 {id, flight, airport}. 409 where it is sold out."""
        body = request.json()
        traveller, flight = text(body, "traveller"), self._flight(text(body, "flight"))
        self._check_free(traveller, flight)

        def act(key: str) -> Reply:
            seat, shown = self._ids.next("seat", traveller), {name: flight[name] for name in ("flight", "airport")}
            with self._lock:
                self._seats[seat] = (traveller, flight)
            row = self._ledger.append("seats", "held", traveller, key, id=seat, **shown)
            return Reply(status=201, body={"id": seat, **shown}, effect=row)

        return self._keys.once(request, (traveller, flight["flight"]), act)

    def release(self, request: Request) -> Reply:
        """→ {released}: whether it was held."""
        seat = request.params["seat"]
        with self._lock:
            held = self._seats.pop(seat, None)
        if held is None:
            return Reply(body={"released": False})
        traveller, flight = held
        row = self._ledger.append(
            "seats", "released", traveller, request.key, id=seat, flight=flight["flight"], airport=flight["airport"]
        )
        return Reply(body={"released": True}, effect=row)

    def book(self, request: Request) -> Reply:
        """{traveller, flight, airport, usd} → 201 {booking, flight, airport, departs, usd}: a seat, and the money for it. 422
        where it does not fly there, 409 where it is sold out or costs something else."""
        body = request.json()
        traveller, flight = text(body, "traveller"), self._flight(text(body, "flight"))
        if text(body, "airport") != flight["airport"]:
            raise Refusal(422, f"{flight['flight']} flies to {flight['airport']}")
        self._check_free(traveller, flight)
        if body.get("usd") != flight["usd"]:
            raise Refusal(409, f"{flight['flight']} costs {flight['usd']}")
        booking = self._ids.next("booking", traveller)
        told = {"booking": booking, "flight": flight["flight"], "usd": str(flight["usd"])}
        # The money first: a hold on the booking keeps back an answer when all has happened.
        self._ledger.append("payments", "captured", traveller, request.key, **told)
        row = self._ledger.append("bookings", "booked", traveller, request.key, **told, airport=flight["airport"])
        return Reply(status=201, body={"booking": booking, **flight}, effect=row)

    def _flight(self, name: str) -> dict[str, Any]:
        if name not in self._flights:
            raise Refusal(404, f"there is no flight {name}")
        return self._flights[name]

    def _check_free(self, traveller: str, flight: dict[str, Any]) -> None:
        with self._lock:
            if (traveller, flight["flight"]) in self._sold:
                raise Refusal(409, f"{flight['flight']} is sold out")
