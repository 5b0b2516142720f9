"""What a trip is made of: prices that move, rooms that are held and given back, payments that are not; and offices to visit."""

import threading
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.travel import Trains
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

# What a room costs in US dollars, until the driver says otherwise.
PRICES = {"Bergen": Decimal(180), "Trondheim": Decimal(140)}
# What a guest wrote, the oldest letter first. Nobody who reads one of them alone knows how many beds it takes.
LETTERS = (
    "I will come by train, as always. Please no flights.",
    "One room will do for the two of us. My son has grown, so he needs a bed of his own by now.",
)
ADDRESSES = {"Bergen": "Strandgaten 9", "Trondheim": "Munkegata 4"}


def trip_routes(ledger: Ledger, ids: Ids) -> Sequence[Route]:
    trips = Trips(ledger, ids)
    trains = Trains(ledger, ids)
    return [
        Route("GET", "/prices", trips.price),
        Route("POST", "/prices", trips.change_price, is_control=True),
        Route("POST", "/rooms", trips.hold),
        Route("DELETE", "/rooms/{room}", trips.give_back),
        Route("POST", "/payments", trips.pay),
        Route("POST", "/bookings", trips.book),
        Route("POST", "/trains", trains.book),
        Route("GET", "/offices", find_office),
        Route("GET", "/letters", find_letters),
    ]


def find_office(request: Request) -> Reply:
    """?town=TOWN → {town, address}. 404 where there is none."""
    town = request.require("town")
    if town not in ADDRESSES:
        raise Refusal(404, f"there is no office in {town}")
    return Reply(body={"town": town, "address": ADDRESSES[town]})


def find_letters(request: Request) -> Reply:
    """?guest=GUEST → what that guest wrote, the oldest letter first."""
    request.require("guest")
    return Reply(body=list(LETTERS))


class Trips:
    """Prices are by guest and town, so that guests do not get into each other's way. Rooms are keyed; payments know no keys, and
    are taken at the price in force alone."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._lock = threading.Lock()
        self._keys = Keys()
        self._prices: dict[tuple[str, str], Decimal] = {}
        self._rooms: dict[str, tuple[str, str]] = {}

    def price(self, request: Request) -> Reply:
        """?guest=GUEST&town=TOWN → {town, usd}. 404 where nobody has rooms."""
        guest, town = request.require("guest"), request.require("town")
        return Reply(body={"town": town, "usd": str(self._price(guest, town))})

    def change_price(self, request: Request) -> Reply:
        """{guest, town, usd} → {usd}; from now on, for that guest."""
        body = request.json()
        guest, town = text(body, "guest"), text(body, "town")
        try:
            usd = Decimal(text(body, "usd"))
        except InvalidOperation:
            raise Refusal(400, "usd must be an amount") from None
        with self._lock:
            self._prices[guest, town] = usd
        return Reply(body={"usd": str(usd)})

    def hold(self, request: Request) -> Reply:
        """{guest, town, beds} → 201 {id, town, beds}. A room is held for nothing, until it is paid or given back."""
        body = request.json()
        guest, town, beds = text(body, "guest"), text(body, "town"), text(body, "beds")
        self._price(guest, town)

        def act(key: str) -> Reply:
            room = self._ids.next("room", guest)
            with self._lock:
                self._rooms[room] = (guest, town)
            row = self._ledger.append("rooms", "held", guest, key, id=room, town=town, beds=beds)
            return Reply(status=201, body={"id": room, "town": town, "beds": int(beds)}, effect=row)

        return self._keys.once(request, (guest, town, beds), act)

    def give_back(self, request: Request) -> Reply:
        """→ {given_back}: whether it was held."""
        room = request.params["room"]
        with self._lock:
            guest, town = self._rooms.pop(room, ("", ""))
        if not guest:
            return Reply(body={"given_back": False})
        row = self._ledger.append("rooms", "given back", guest, request.key, id=room, town=town)
        return Reply(body={"given_back": True}, effect=row)

    def pay(self, request: Request) -> Reply:
        """{guest, room, usd} → 201 {id, room, usd}. 404 for a room that is not held, 409 where that is not what it costs."""
        body = request.json()
        guest, room, usd = text(body, "guest"), text(body, "room"), text(body, "usd")
        with self._lock:
            held = self._rooms.get(room)
        if held is None or held[0] != guest:
            raise Refusal(404, "no such room is held")
        price = self._price(*held)
        if Decimal(usd) != price:
            raise Refusal(409, f"it costs {price}")
        payment = self._ids.next("payment", guest)
        row = self._ledger.append("payments", "paid", guest, request.key, id=payment, room=room, town=held[1], usd=usd)
        return Reply(status=201, body={"id": payment, "room": room, "usd": usd}, effect=row)

    def book(self, request: Request) -> Reply:
        """{guest, town, address, beds, usd, cost_centre} → 201 {id, town, usd, cost_centre}: a room near an address, paid by a
        cost centre. 409 where that is not what it costs."""
        body = request.json()
        guest, town, usd = text(body, "guest"), text(body, "town"), text(body, "usd")
        near, beds, centre = text(body, "address"), text(body, "beds"), text(body, "cost_centre")
        if Decimal(usd) != (price := self._price(guest, town)):
            raise Refusal(409, f"it costs {price}")

        def act(key: str) -> Reply:
            booking = self._ids.next("booking", guest)
            detail = {"id": booking, "town": town, "near": near, "beds": beds, "usd": usd, "cost_centre": centre}
            row = self._ledger.append("bookings", "booked", guest, key, **detail)
            made = {"id": booking, "town": town, "usd": usd, "cost_centre": centre}
            return Reply(status=201, body=made, effect=row)

        return self._keys.once(request, (guest, town, near, beds, usd, centre), act)

    def _price(self, guest: str, town: str) -> Decimal:
        with self._lock:
            price = self._prices.get((guest, town), PRICES.get(town))
        if price is None:
            raise Refusal(404, f"there are no rooms in {town}")
        return price
