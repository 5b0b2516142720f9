"""The agents of the lab `drift`: one that reads a guest's letters, and one that books a trip on what the first has learned.

look_up_price    reports a fact (`observes`) that holds for a second (`valid_for`): after that it is looked up again before
                 anything rests on it.
hold_room        a room is held for nothing, and can be given back (`undo`).
book_train       a ticket cannot be given back.
pay              irreversible: what it is called with must be fresh, may be no guess, and is approved by a person.

By default scripts think. The one that reads letters concludes something wrong, which is remembered. With `--model` a real model
does both.
"""

import json
from dataclasses import dataclass
from typing import Any

from holdfast import Agent, Call, Limits, tool
from holdfast.labs.http_call import look, send
from holdfast.labs.reasoning import models
from holdfast.reasoners.model import Request
from holdfast.testing.models import Said, call, called, results, think, told

# How long a price holds. A person thinks longer than that before they say yes.
VALID_FOR = "1s"

# --- tools --------------------------------------------------------------------------------------------------------


@tool(safety="read", timeout="5s")
def read_letters(guest: str) -> list[str]:
    """What a guest wrote, the oldest letter first."""
    return [str(letter) for letter in look("/letters", {"guest": guest})]


@dataclass(frozen=True)
class Price:
    town: str
    usd: str


@tool(safety="read", timeout="5s", observes={"price_{town}": "usd"}, valid_for=VALID_FOR)
def look_up_price(guest: str, town: str) -> Price:
    """What a room in a town costs now, in US dollars. It becomes the fact price_TOWN."""
    return Price(**look("/prices", {"guest": guest, "town": town}))


@dataclass(frozen=True)
class Room:
    id: str
    town: str
    beds: int


@tool(safety="idempotent", timeout="20s")
def give_room_back(id: str, call: Call) -> bool:
    """Give a room back that is held; whether it was."""
    given_back: bool = send("DELETE", f"/rooms/{id}", key=call.key, timeout_seconds=15.0)["given_back"]
    return given_back


@tool(
    safety="keyed",
    key_ttl="forever",
    undo={"tool": give_room_back, "args": {"id": {"$ref": "result.id"}}},
    timeout="20s",
)
def hold_room(guest: str, town: str, beds: int, call: Call) -> Room:
    """Hold a room in a town, for nothing."""
    body = {"guest": guest, "town": town, "beds": str(beds)}
    return Room(**send("POST", "/rooms", body, key=call.key, timeout_seconds=15.0))


@dataclass(frozen=True)
class Ticket:
    id: str
    to: str
    by: str


@tool(safety="keyed", key_ttl="forever", timeout="20s")
def book_train(guest: str, to: str, call: Call) -> Ticket:
    """Book a train to a town. A ticket cannot be given back."""
    return Ticket(**send("POST", "/trains", {"guest": guest, "to": to}, key=call.key, timeout_seconds=15.0))


@dataclass(frozen=True)
class Payment:
    id: str
    room: str
    usd: str


@tool(safety="irreversible", timeout="20s")
def pay(guest: str, room: str, usd: str) -> Payment:
    """Pay for a room that is held. It must be what it costs now."""
    return Payment(**send("POST", "/payments", {"guest": guest, "room": room, "usd": usd}, timeout_seconds=15.0))


# --- what is thought ----------------------------------------------------------------------------------------------


def reader(request: Request) -> Said:
    """It has made up its mind after the first letter."""
    if not called(request, "read_letters"):
        return call("read_letters", guest=_inputs(request)["guest"])
    name = json.loads(results(request)[0][1])["step"]
    party = {
        "name": "party",
        "value": {"who": "travels alone", "beds": 1},
        "confidence": 0.7,
        "basis": "the letter says I",
        "rests_on": [f"steps.{name}"],
    }
    return [call("note_facts", facts=[party]), call("finish_run", result="Takes the train, and travels alone.")]


def _ref(expression: str) -> dict[str, Any]:
    return {"$ref": expression}


def _plan(number: int, town: str, *, train: bool, price: bool) -> dict[str, Any]:
    """Steps for a town: `train` and `price` where they are not done yet."""
    guest = _ref("inputs.guest")
    steps: dict[str, Any] = {
        f"room_{number}": {
            "tool": "hold_room",
            "args": {"guest": guest, "town": _ref("facts.town"), "beds": _ref("facts.party.beds")},
        }
    }
    if train:
        steps[f"train_{number}"] = {"tool": "book_train", "args": {"guest": guest, "to": _ref("facts.town")}}
    if price:
        steps[f"price_{number}"] = {"tool": "look_up_price", "args": {"guest": guest, "town": town}}
    payment = {"guest": guest, "room": _ref(f"steps.room_{number}.id"), "usd": _ref(f"facts.price_{town}")}
    return {**steps, f"payment_{number}": {"tool": "pay", "args": payment, "after": list(steps)}}


def planner(request: Request) -> Said:
    """Plan the trip; where something is not so any more, take back what can be taken back, and plan anew what rests on it."""
    town, done, undone = _inputs(request)["town"], _done(request), _undone(request)
    rooms = [name for name, value in done.items() if "beds" in value]
    plans = sum(tool == "make_plan" for tool, _ in results(request))
    if not plans:
        return call("make_plan", steps=_plan(1, town, train=True, price=True), reason="all of it", confidence=0.9)
    outdated = _outdated(request)
    if wrong := [name for name in rooms if name in outdated and name not in undone]:
        return [think("This is not so any more."), call("undo_step", step=wrong[0], reason="it rests on what is not so any more")]
    if not _waits_for_payment(request) and not any("room" in value for value in done.values()):
        train = not any(value.get("to") == town for value in done.values())
        price = not any(value.get("town") == town and "usd" in value for value in done.values())
        return call("make_plan", steps=_plan(plans + 1, town, train=train, price=price), reason="with what is so now")
    if not any("room" in value for value in done.values()):
        return call("keep_plan", reason="it takes what is so when it begins")
    return call("finish_run", result=_booked(town, done, undone))


def _booked(town: str, done: dict[str, dict[str, Any]], undone: set[str]) -> dict[str, Any]:
    payment = next(value for value in done.values() if "room" in value)
    tickets = [value for value in done.values() if "to" in value]
    kept = [
        f"the train ticket {value['id']} to {value['to']}, which cannot be given back" for value in tickets if value["to"] != town
    ]
    back = [f"the room {done[name]['id']} in {done[name]['town']}" for name in done if name in undone]
    ticket = next(value["id"] for value in tickets if value["to"] == town)
    return {"town": town, "room": payment["room"], "usd": payment["usd"], "train": ticket, "given_back": back, "kept": kept}


def _inputs(request: Request) -> dict[str, str]:
    said = request.messages[0].parts[0].text
    inputs: dict[str, str] = json.JSONDecoder().raw_decode(said, said.index("{"))[0]
    return inputs


def _done(request: Request) -> dict[str, dict[str, Any]]:
    """The results of the steps of all plans that are done, by step."""
    plans = [json.loads(text).get("plan", {}) for tool, text in results(request) if tool == "make_plan"]
    return {
        name: json.loads(said.removeprefix("done: "))
        for plan in plans
        for name, said in plan.items()
        if said.startswith("done: ")
    }


def _undone(request: Request) -> set[str]:
    parts = [part for message in request.messages for part in message.parts]
    return {
        part.args["step"] for part in parts if part.kind == "call" and part.tool == "undo_step" and isinstance(part.args, dict)
    }


def _outdated(request: Request) -> set[str]:
    """The steps that were made already, and rest on what is not so any more, as the situation says."""
    _, _, said = told(request).partition("Made once already, and rest on what is not so any more:\n")
    names = set()
    for line in said.splitlines():
        if not line.startswith("- "):
            break
        names.add(line.removeprefix("- "))
    return names


def _waits_for_payment(request: Request) -> bool:
    _, _, said = told(request).partition("Steps that have not ended:\n")
    return any(line.startswith("- payment_") for line in said.splitlines())


# --- agents -------------------------------------------------------------------------------------------------------

READ = """\
Read the guest's letters. Note with note_facts, under the name party, who travels and how many beds that takes, as a table with \
`who` and `beds`. Then end the run with a sentence."""
BOOK = """\
Book a trip with make_plan: a train to the town, a room with as many beds as the fact party says, the price of the room, and then
its payment. Refer to what may change: the town by facts.town, the beds by facts.party.beds, the price by facts.price_TOWN. Where
something that is done rests on what is not so any more, take back what can be taken back with undo_step, and plan anew what is
missing; book nothing twice. End the run with what was booked, what was given back, and what stays though it is not needed."""


@dataclass(frozen=True)
class Trip:
    town: str
    room: str
    usd: str
    train: str
    given_back: list[str]
    kept: list[str]


def letters(suffix: str = "") -> Agent:
    """suffix: of the name of the script, by which the provider knows whose bill it is."""
    return Agent(
        "letters",
        goal="Find out who travels",
        instructions=READ,
        model=models(reader, name=f"reader{suffix}", output_tokens_max=2000),
        inputs={"guest": {"type": "string", "minLength": 1}},
        tools=[read_letters],
        memory=True,
        limits=Limits(turns_max=20),
    )


def trip(suffix: str = "") -> Agent:
    return Agent(
        "trip",
        goal="Book a trip to the fair",
        instructions=BOOK,
        model=models(planner, name=f"planner{suffix}", output_tokens_max=2000),
        horizon="plan",
        inputs={"guest": {"type": "string", "minLength": 1}, "town": {"type": "string", "minLength": 1}},
        tools=[look_up_price, hold_room, give_room_back, book_train, pay],
        memory=True,
        result=Trip,
        limits=Limits(turns_max=30),
    )


reads, books = letters(), trip()
