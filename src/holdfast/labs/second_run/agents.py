"""The agent of the lab `second_run`: it books a room near an office, for somebody who was here before, or was not.

find_office      reports a fact that holds for thirty days.
look_up_price    reports a fact that holds for two hours.
book_room        keyed; the hotel takes the price of the day alone.

By default a script thinks. It asks for what nobody has said, looks up what nobody has seen, and believes whatever it is told
of: that a price of last week is worth nothing is not its merit. With `--model` a real model does it.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from holdfast import Agent, Call, Limits, tool
from holdfast.labs.http_call import look, send
from holdfast.labs.reasoning import models
from holdfast.reasoners.model import Request
from holdfast.testing.models import Said, call, results, told

# --- tools --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Office:
    town: str
    address: str


@tool(safety="read", timeout="5s", observes={"office_{town}": "address"}, valid_for="30d")
def find_office(town: str) -> Office:
    """Where the office in a town is. It becomes the fact office_TOWN."""
    return Office(**look("/offices", {"town": town}))


@dataclass(frozen=True)
class Price:
    town: str
    usd: str


@tool(safety="read", timeout="5s", observes={"price_{town}": "usd"}, valid_for="2h")
def look_up_price(guest: str, town: str) -> Price:
    """What a room in a town costs today, in US dollars. It becomes the fact price_TOWN."""
    return Price(**look("/prices", {"guest": guest, "town": town}))


@dataclass(frozen=True)
class Booking:
    id: str
    town: str
    usd: str
    cost_centre: str


@tool(safety="keyed", key_ttl="forever", timeout="20s")
def book_room(guest: str, town: str, address: str, beds: int, usd: str, cost_centre: str, call: Call) -> Booking:
    """Book a room near an address, at the price of the day, for a cost centre."""
    body = {
        "guest": guest,
        "town": town,
        "address": address,
        "beds": str(beds),
        "usd": usd,
        "cost_centre": cost_centre,
    }
    return Booking(**send("POST", "/bookings", body, key=call.key, timeout_seconds=15.0))


# --- what is thought ----------------------------------------------------------------------------------------------

BEDS, CENTRE = "preference:beds", "cost_centre"
QUESTIONS: dict[str, dict[str, Any]] = {
    BEDS: {"question": "How many beds do you want in a room, as a rule?", "answer_schema": {"type": "integer", "minimum": 1}},
    CENTRE: {"question": "Which cost centre pays for your trips?", "answer_schema": {"type": "string", "minLength": 1}},
}
_FACT = re.compile(r"^- (\S+) = .*\)$", re.MULTILINE)


def planner(request: Request) -> Said:
    """Ask what is not known, look up what is not known, book."""
    town, known = _inputs(request)["town"], _known(request)
    if unasked := [name for name in QUESTIONS if name not in known]:
        return call("ask_person", questions=[{"name": name, **QUESTIONS[name]} for name in unasked], reason="nobody has said so")
    plans = [json.loads(text).get("plan", {}) for tool, text in results(request) if tool == "make_plan"]
    booked = next(
        (said for plan in plans for name, said in plan.items() if name.startswith("booking") and "done: " in said), None
    )
    if booked is not None:
        return call("finish_run", result=json.loads(booked.removeprefix("done: ")))
    # What it was refused for: the price that it is told of is too old.
    again = bool(plans)
    steps: dict[str, Any] = {}
    if f"office_{town}" not in known:
        steps["office"] = {"tool": "find_office", "args": {"town": _ref("inputs.town")}}
    if again or f"price_{town}" not in known:
        steps["price"] = {"tool": "look_up_price", "args": {"guest": _ref("inputs.guest"), "town": town}}
    booking = {
        "guest": _ref("inputs.guest"),
        "town": _ref("inputs.town"),
        "address": _ref(f"facts.office_{town}"),
        "beds": _ref(f'facts."{BEDS}"'),
        "usd": _ref(f"facts.price_{town}"),
        "cost_centre": _ref(f"facts.{CENTRE}"),
    }
    name = f"booking_{len(plans) + 1}"
    return call("make_plan", steps={**steps, name: {"tool": "book_room", "args": booking, "after": list(steps)}})


def _ref(expression: str) -> dict[str, Any]:
    return {"$ref": expression}


def _inputs(request: Request) -> dict[str, str]:
    said = request.messages[0].parts[0].text
    inputs: dict[str, str] = json.JSONDecoder().raw_decode(said, said.index("{"))[0]
    return inputs


def _known(request: Request) -> set[str]:
    """The names of the facts that it is told of, however old they are."""
    _, _, said = told(request).partition("Facts, the newest first:\n")
    return set(_FACT.findall(said))


# --- agent --------------------------------------------------------------------------------------------------------

INSTRUCTIONS = f"""\
Book a room near the office in the town. You need the address of the office, the price of the day, how many beds the guest wants
as a rule (ask under the name {BEDS}) and which cost centre pays (ask under the name {CENTRE}). Ask, in one go, for what no fact
says, and look up what no fact says or what is stale; never ask for what is known. Then book the room with make_plan, referring to
the facts: facts.office_TOWN, facts.price_TOWN, facts."{BEDS}", facts.{CENTRE}. End the run with the booking."""


def agent(suffix: str = "") -> Agent:
    """suffix: of the name of the script, by which the provider knows whose bill it is."""
    return Agent(
        "rooms",
        goal="Book a room near the office",
        instructions=INSTRUCTIONS,
        model=models(planner, name=f"planner{suffix}", output_tokens_max=2000),
        horizon="plan",
        inputs={"guest": {"type": "string", "minLength": 1}, "town": {"type": "string", "minLength": 1}},
        tools=[find_office, look_up_price, book_room],
        memory=True,
        result=Booking,
        limits=Limits(turns_max=20),
    )


rooms = agent()
