"""Two runs of one thread, for a walk: the first learns something, the second begins with it."""

from __future__ import annotations

from typing import Any

from holdfast import Agent, NotFound, tool
from holdfast.reasoners.model import Request
from holdfast.testing.crash_walk import Story
from holdfast.testing.models import Said, ScriptedModel, call, called


@tool(safety="read", observes={"price": "price"}, valid_for="1h")
def look(city: str) -> dict[str, int]:
    """Look what a night costs."""
    return {"price": 120}


@tool(safety="read", retry=1)
def search(city: str) -> str:
    """Look for a room; there is none."""
    raise NotFound(f"no room in {city}")


def think(request: Request) -> Said:
    """Look, note what somebody seems to like, search in vain, and be done."""
    if not called(request, "look"):
        return call("look", city="Oslo")
    if not called(request, "search"):
        note = call("note_facts", facts=[{"name": "preference:room", "value": "quiet", "confidence": 0.7}])
        return [call("search", city="Oslo"), note]
    return "no room was to be had"


def stories(config: Any) -> list[Story]:
    """The first run is told where somebody lives; the second is not."""
    agent = Agent("traveller", tools=[look, search], model=ScriptedModel(think, name="traveller"), memory=True)
    return [
        Story(agent=agent, run_id="first", goal="Find a room", inputs={"home": "Oslo"}, thread="ann"),
        Story(agent=agent, run_id="second", goal="Find another room", thread="ann"),
    ]
