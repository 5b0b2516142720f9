"""The weekend away as a model plans it: the whole plan at once, and again where the world is not as it was thought to be.

The tools are those of the plan files. By default a script thinks: it plans as somebody would who knows of no trouble, and mends
what fails by what it is told. With `--model` a real model does.
"""

from typing import Any

from holdfast import Agent, Limits, tool
from holdfast.labs.http_call import look
from holdfast.labs.reasoning import came, models
from holdfast.labs.weekend.story import BUDGET_USD
from holdfast.labs.weekend.tools import (
    Recommendation,
    book_flight,
    book_hotel,
    book_train,
    cancel_hotel,
    find_activities,
    find_towns,
    recommend,
)
from holdfast.reasoners.model import Request
from holdfast.testing.models import Said, asked, call, told

INSTRUCTIONS = """\
You plan weekends away. Plan the whole weekend with make_plan: find the towns that are no farther than three hours, book a room \
in the nearest one, then a flight to the town that was really booked, look for something to do there, and call recommend last, \
with what the other steps returned. Let steps read each other's results by references.
The room decides the town. Things to do are optional. Where the room or the flight cannot be had, plan the next town, or a \
train, and under new ids what rests on it; drop the steps that it replaces. Book nothing twice.
When the recommendation is there, end the run with exactly that as its result."""


def _ref(expression: str, **default: Any) -> dict[str, Any]:
    return {"$ref": expression, **default}


GUEST = _ref("inputs.guest")
TOWNS: dict[str, Any] = {"towns": {"tool": "find_towns", "args": {"hours": 3}}}


def _stay(mark: str, town: int) -> dict[str, Any]:
    """A room in one of the towns, and what rests on it."""
    there = _ref(f"steps.hotel{mark}.town")
    return {
        f"hotel{mark}": {"tool": "book_hotel", "args": {"guest": GUEST, "town": _ref(f"steps.towns[{town}].town")}},
        f"flight{mark}": {"tool": "book_flight", "args": {"guest": GUEST, "to": there}},
        f"activities{mark}": {"tool": "find_activities", "args": {"town": there}, "optional": True},
        f"recommendation{mark}": _recommendation(mark, f"steps.flight{mark}"),
    }


def _recommendation(mark: str, ticket: str) -> dict[str, Any]:
    args = {
        "wanted": _ref("steps.towns[0]"),
        "ticket": _ref(ticket),
        "room": _ref(f"steps.hotel{mark}"),
        "activities": _ref(f"steps.activities{mark}.activities", default=None),
    }
    return {"tool": "recommend", "args": args}


BY_TRAIN: dict[str, Any] = {
    "train": {"tool": "book_train", "args": {"guest": GUEST, "to": _ref("steps.hotel_2.town")}},
    "recommendation_3": _recommendation("_2", "steps.train"),
}


def planner(request: Request) -> Said:
    """The plan; the next town with what rests on it; the train; the end. It looks at what it is told, as a model does."""
    said, results = told(request), came(request)
    if asked(request) == 0:
        return call("make_plan", steps={**TOWNS, **_stay("", 0)}, reason="the room first, for it decides the town")
    if "recommendation_3" in results:
        return call("finish_run", result=results["recommendation_3"])
    if "step hotel failed" in said:
        rest = ["flight", "activities", "recommendation"]
        return call("make_plan", steps=_stay("_2", 1), dropped=rest, reason="the nearest town is full: the next one")
    if "step flight_2 failed" in said:
        return call("make_plan", steps=BY_TRAIN, dropped=["recommendation_2"], reason="nobody can fly: the train goes there too")
    return call("give_up_run", reason="the weekend cannot be planned like this")


@tool(safety="read", timeout="5s")
def is_booked(result: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Whether the room that is recommended is the guest's: by those who let it."""
    rooms = [room["id"] for room in look("/hotels", {"guest": facts["guest"], "town": result["town"]})]
    return {"accepted": result["room"] in rooms, "reason": f"rooms of the guest in {result['town']}: {rooms}"}


def agent(suffix: str = "") -> Agent:
    """suffix: of the name of the script, by which the provider knows whose bill it is."""
    return Agent(
        "weekend-model",
        goal="Plan a weekend away, no farther than three hours",
        instructions=INSTRUCTIONS,
        model=models(planner, name=f"planner{suffix}", output_tokens_max=2000),
        horizon="plan",
        inputs={"guest": {"type": "string", "minLength": 1}},
        tools=[find_towns, book_hotel, cancel_hotel, book_flight, book_train, find_activities, recommend],
        result=Recommendation,
        accept=is_booked,
        on_stop="undo",
        limits=Limits(turns_max=20, cost_usd_max=BUDGET_USD),
    )


planned = agent()
