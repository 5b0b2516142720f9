"""A model plans, a person approves, money is bounded, and a guess is marked as one. See "Models" in the documentation.

    holdfast run flight.py --id new-york                                      # a script thinks: no key, no cost
    holdfast run flight.py --id new-york --model anthropic:claude-sonnet-5    # a real model, and a key in ANTHROPIC_API_KEY

It stops where a person is to answer, and says how. The same command goes on.
"""

from decimal import Decimal

from holdfast import Agent, Asking, Call, Limits, tool
from holdfast.testing.models import ScriptedModel, call, called, told


@tool(safety="read")
def calendar(day: str) -> dict[str, str]:
    """Where the traveller is on a day."""
    return {"city": "San Francisco", "free from": "16:00"}


@tool(safety="read", observes={"fare {flight}": "fare"}, valid_for="10m")
def look_up(flight: str) -> dict[str, str | int]:
    """What a flight costs now. B6 915 goes from San Francisco to New York."""
    return {"leaves": "20:10", "fare": 240}


@tool(safety="irreversible")
def book(flight: str, origin: str, fare: int, call: Call) -> str:
    """Book a flight. There is no way back, so a person is asked first."""
    return f"{flight} from {origin} for ${fare}"


def script(request):
    """What a model would say here, by what it was asked and has said already."""
    if "(interpret)" in told(request):
        home = {"name": "home", "question": "From where?", "guess": "San Francisco", "confidence": 0.9, "basis": "lives there"}
        day = {"name": "day", "value": "tomorrow", "quote": "tomorrow"}
        return call("interpret_goal", intent="one flight to New York", known=[day], missing=[home])
    if not called(request, "look_up"):
        return [call("calendar", day="tomorrow"), call("look_up", flight="B6 915")]  # Both at once.
    if not called(request, "book"):
        return call("book", flight="B6 915", origin="San Francisco", fare=240)
    return "You fly with B6 915 at 20:10."


agent = Agent(
    "flights",
    model=ScriptedModel(script, name="traveller"),
    goal="Book me a flight to New York tomorrow",
    instructions="Look up what you can before you book. Book one flight.",
    tools=[calendar, look_up, book],
    inputs={"home": {"type": "string"}},  # Where it is not given, it is inferred or asked for:
    ask={"home": Asking(cost_of_asking=1, cost_of_wrong=5)},  # inferred by who is at least 80 % sure.
    limits=Limits(cost_usd_max=Decimal("0.50"), turns_max=20),
    accept="contains(to_string(result), 'B6 915')",
)
