"""The tools of the lab `weekend`: what a weekend away is made of, and what each service promises.

flight   down for everybody. Its breaker is shared by the runs of a store: after two failures nobody tries it for a while.
train    keyed: a repeat under the same key gets the first ticket again. A ticket cannot be given back.
hotel    reconcilable: knows no keys, but can be asked which rooms a guest has; a room can be given back.
"""

from dataclasses import dataclass, field

from holdfast import NOT_HAPPENED, Call, Happened, tool
from holdfast.labs.http_call import look, send
from holdfast.tools.function import Probed


@dataclass(frozen=True)
class Town:
    town: str
    hours: float
    night: int


@tool(safety="read", timeout="5s")
def find_towns(hours: float) -> list[Town]:
    """Towns that are no farther than so many hours, the nearest first."""
    return [Town(**found) for found in look("/towns", {"hours": str(hours)})]


@dataclass(frozen=True)
class Room:
    id: str
    town: str


@tool(safety="idempotent", timeout="20s", retry={"attempts": 4, "backoff": "150ms..1s"})
def cancel_hotel(id: str, call: Call) -> bool:
    """Give a room back; whether there was one. Doing it twice is doing it once."""
    cancelled: bool = send("DELETE", f"/hotels/{id}", key=call.key, timeout_seconds=15.0)["cancelled"]
    return cancelled


def find_room(guest: str, town: str) -> Happened | Probed:
    """Whether this guest has a room in this town."""
    rooms = look("/hotels", {"guest": guest, "town": town})
    return Happened(Room(id=rooms[0]["id"], town=rooms[0]["town"])) if rooms else NOT_HAPPENED


@tool(
    safety="reconcilable",
    probe=find_room,
    settles_within="300ms",
    probe_every="200ms",
    business_key=("guest", "town"),
    undo={"tool": cancel_hotel, "args": {"id": {"$ref": "result.id"}}},
    timeout="20s",
)
def book_hotel(guest: str, town: str, call: Call) -> Room:
    """Book a room. Where the town is full, the answer is a conflict."""
    room = send("POST", "/hotels", {"guest": guest, "town": town}, key=call.key, timeout_seconds=15.0)
    return Room(id=room["id"], town=room["town"])


@dataclass(frozen=True)
class Ticket:
    id: str
    to: str
    by: str


@tool(
    safety="keyed",
    key_ttl="forever",
    timeout="20s",
    retry={"attempts": 2, "backoff": "100ms"},
    breaker={"failures": 2, "within": "1m", "open": "10m"},
)
def book_flight(guest: str, to: str, call: Call) -> Ticket:
    """Book a flight."""
    ticket = send("POST", "/flights", {"guest": guest, "to": to}, key=call.key, timeout_seconds=15.0)
    return Ticket(id=ticket["id"], to=ticket["to"], by=ticket["by"])


@tool(safety="keyed", key_ttl="forever", timeout="20s")
def book_train(guest: str, to: str, call: Call) -> Ticket:
    """Book a train. There is no `undo`: a ticket cannot be given back."""
    ticket = send("POST", "/trains", {"guest": guest, "to": to}, key=call.key, timeout_seconds=15.0)
    return Ticket(id=ticket["id"], to=ticket["to"], by=ticket["by"])


@dataclass(frozen=True)
class Found:
    town: str
    activities: list[str]


@tool(safety="read", timeout="5s", sufficient="length(activities) > `0`")
def find_activities(town: str) -> Found:
    """What there is to do. Nothing at all is a sound answer, and is not enough."""
    return Found(town=town, activities=look("/activities", {"town": town}))


@dataclass(frozen=True)
class Recommendation:
    text: str
    town: str
    ticket: str
    room: str
    replaced: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@tool(safety="read")
def recommend(wanted: Town, ticket: Ticket, room: Room, activities: list[str] | None) -> Recommendation:
    """Say what was booked, and what is not as it was wanted."""
    replaced = [] if ticket.by == "plane" else [f"the flight by a {ticket.by}"]
    replaced += [] if room.town == wanted.town else [f"{wanted.town}, which is full, by {room.town}"]
    skipped = [] if activities else ["activities: none were found"]
    text = f"A weekend in {room.town}: by {ticket.by}, ticket {ticket.id}, room {room.id}."
    return Recommendation(text=text, town=room.town, ticket=ticket.id, room=room.id, replaced=replaced, skipped=skipped)
