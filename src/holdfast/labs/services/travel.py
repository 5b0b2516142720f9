"""What a weekend away is made of: towns, flights, trains, hotels and things to do, each a service with a promise of its own."""

import threading
from collections.abc import Sequence

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger, LedgerRow
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

# Hours by train, and what a night costs. The nearest comes first, which is the order in which `Towns` answers.
TOWNS = (("Brugge", 1.0, 140), ("Gent", 1.5, 120), ("Lille", 2.0, 95), ("Köln", 2.8, 110), ("Basel", 4.5, 170))


def travel_routes(ledger: Ledger, ids: Ids, faults: Faults) -> Sequence[Route]:
    hotels = Hotels(ledger, ids, faults)
    trains = Trains(ledger, ids)
    return [
        Route("GET", "/towns", find_towns),
        Route("POST", "/flights", refuse_flights),
        Route("POST", "/trains", trains.book),
        Route("POST", "/hotels", hotels.book),
        Route("GET", "/hotels", hotels.find),
        Route("DELETE", "/hotels/{booking}", hotels.cancel),
        Route("GET", "/activities", find_activities),
    ]


def find_towns(request: Request) -> Reply:
    """?hours=HOURS → the towns that are no farther, the nearest first: [{town, hours, night}]."""
    try:
        hours = float(request.require("hours"))
    except ValueError:
        raise Refusal(400, "hours must be a number") from None
    return Reply(body=[{"town": town, "hours": far, "night": night} for town, far, night in TOWNS if far <= hours])


def refuse_flights(request: Request) -> Reply:
    """503, always."""
    raise Refusal(503, "the flight system is down")


def find_activities(request: Request) -> Reply:
    """?town=TOWN → nothing, in any town: a good answer that is of no use."""
    request.require("town")
    return Reply(body=[])


class Trains:
    """Keyed: a repeat under the same key gets the first ticket again. A ticket cannot be given back."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._keys = Keys()

    def book(self, request: Request) -> Reply:
        """{guest, to} → 201 {id, to, by: "train"}."""
        body = request.json()
        guest, town = text(body, "guest"), text(body, "to")

        def act(key: str) -> Reply:
            ticket = self._ids.next("train", guest)
            row = self._ledger.append("trains", "booked", guest, key, id=ticket, town=town)
            return Reply(status=201, body={"id": ticket, "to": town, "by": "train"}, effect=row)

        return self._keys.once(request, (guest, town), act)


class Hotels:
    """Knows no keys, so that each booking that gets through is a room; but it can be asked which there are. A booking can be
    cancelled, once or often."""

    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._full = faults.full_towns
        self._lock = threading.Lock()
        self._bookings: dict[str, dict[str, str]] = {}

    def book(self, request: Request) -> Reply:
        """{guest, town} → 201 {id, guest, town}. 409 where the town is full."""
        body = request.json()
        guest, town = text(body, "guest"), text(body, "town")
        if town in self._full:
            raise Refusal(409, f"{town} is fully booked")
        with self._lock:
            booking = {"id": self._ids.next("hotel", guest), "guest": guest, "town": town}
            self._bookings[booking["id"]] = booking
            row = self._ledger.append("hotels", "booked", guest, request.key, id=booking["id"], town=town)
        return Reply(status=201, body=booking, effect=row)

    def find(self, request: Request) -> Reply:
        """?guest=GUEST&town=TOWN → the bookings there are, oldest first."""
        guest, town = request.require("guest"), request.require("town")
        with self._lock:
            return Reply(body=[found for found in self._bookings.values() if (found["guest"], found["town"]) == (guest, town)])

    def cancel(self, request: Request) -> Reply:
        """→ 200 {id, cancelled}; `cancelled` is false where there was nothing (left) to cancel."""
        booking_id = request.params["booking"]
        row: LedgerRow | None = None
        with self._lock:
            booking = self._bookings.pop(booking_id, None)
            if booking is not None:
                row = self._ledger.append(
                    "hotels", "cancelled", booking["guest"], request.key, id=booking_id, town=booking["town"]
                )
        return Reply(body={"id": booking_id, "cancelled": row is not None}, effect=row)
