"""The agents of the lab `silent`: one that arranges trips, and one that reads up on things. What they lack they leave out."""

from __future__ import annotations

from typing import Any

from holdfast import Agent, Call, Tool, tool
from holdfast.labs.silent.line import Line
from holdfast.labs.silent.story import MOST_USD, READINGS, TOWN, TRIPS

_INPUTS = {"guest": {"type": "string"}, "size": {"type": "string"}, "pictures": {"type": "integer"}}
AGAIN = {"attempts": 8, "backoff": "2m", "jitter": 0}
CHECK = f"result.booking.usd <= {MOST_USD}"
"""What must hold of a trip, as the settings of the monitors have it."""


def _ref(expression: str, **more: Any) -> dict[str, Any]:
    return {"$ref": expression, **more}


def trips(line: Line) -> Agent:
    """Arranges a trip: letters, price, room, train, pictures, booking; and looks at the price once more."""

    @tool(safety="read", retry=AGAIN)
    def read_letters(guest: str, call: Call) -> list[str]:
        """What a guest wrote."""
        return list(line.ask_trips(call, "read_letters", "GET", f"/letters?guest={guest}"))

    @tool(safety="read", retry=AGAIN, observes={"price": "usd"})
    def look_up_price(guest: str, town: str, call: Call) -> dict[str, str]:
        """What a room costs now."""
        return dict(line.ask_trips(call, "look_up_price", "GET", f"/prices?guest={guest}&town={town}"))

    @tool(safety="keyed", key_ttl="forever", retry=AGAIN)
    def hold_room(guest: str, town: str, call: Call) -> dict[str, Any]:
        """Hold a room, for nothing."""
        return dict(line.ask_trips(call, "hold_room", "POST", "/rooms", {"guest": guest, "town": town, "beds": "1"}))

    @tool(safety="keyed", key_ttl="forever", retry=AGAIN)
    def book_train(guest: str, to: str, call: Call) -> dict[str, str]:
        """Book a train."""
        return dict(line.ask_trips(call, "book_train", "POST", "/trains", {"guest": guest, "to": to}))

    @tool(safety="keyed", key_ttl="forever", retry=AGAIN)
    def make_picture(guest: str, size: str, count: int, call: Call) -> list[str]:
        """Have pictures made; each costs money."""
        made = []
        for number in range(count):
            body = {"by": f"{guest}/{number}", "subject": TOWN, "size": size}
            picture = line.ask_office(call, "make_picture", "POST", "/pictures", body)
            call.spent(picture["usd"])
            made.append(str(picture["id"]))
            call = Call(
                run_id=call.run_id, step=call.step, key=f"{call.key}-{number + 1}", attempt=call.attempt, reports=call.reports
            )
        return made

    @tool(safety="keyed", key_ttl="forever", retry=AGAIN)
    def book_room(guest: str, usd: str, call: Call) -> dict[str, str]:
        """Book a room at its price."""
        order = {"guest": guest, "town": TOWN, "address": "Strandgaten 9", "beds": "1", "usd": usd, "cost_centre": "17"}
        booked = line.ask_trips(call, "book_room", "POST", "/bookings", order)
        line.booked(guest)
        return dict(booked)

    guest = _ref("inputs.guest")
    plan = {
        "letters": {"tool": "read_letters", "args": {"guest": guest}, "optional": True},
        "price": {"tool": "look_up_price", "args": {"guest": guest, "town": TOWN}, "after": ["letters"]},
        "room": {"tool": "hold_room", "args": {"guest": guest, "town": TOWN}, "after": ["price"]},
        "train": {"tool": "book_train", "args": {"guest": guest, "to": TOWN}, "after": ["room"], "optional": True},
        "picture": {
            "tool": "make_picture",
            "args": {"guest": guest, "size": _ref("inputs.size"), "count": _ref("inputs.pictures")},
            "after": ["train"],
            "optional": True,
        },
        "booking": {"tool": "book_room", "args": {"guest": guest, "usd": _ref("facts.price")}, "after": ["picture"]},
        "confirm": {"tool": "look_up_price", "args": {"guest": guest, "town": TOWN}, "after": ["booking"]},
    }
    tools: list[Tool[..., Any]] = [read_letters, look_up_price, hold_room, book_train, make_picture, book_room]
    return Agent(TRIPS, goal="Arrange a trip", tools=tools, inputs=_INPUTS, plan=plan)


def readings(line: Line) -> Agent:
    """Reads up on something; its result is what it found."""

    @tool(safety="read", retry=AGAIN)
    def find_passages(words: str, call: Call) -> list[dict[str, Any]]:
        """Passages of the library."""
        found = line.ask_office(call, "find_passages", "GET", f"/library?words={words}")
        return [] if line.reads_nothing else list(found)

    plan = {"found": {"tool": "find_passages", "args": {"words": _ref("inputs.words")}}}
    return Agent(READINGS, goal="Read up", tools=[find_passages], inputs={"words": {"type": "string"}}, plan=plan)
