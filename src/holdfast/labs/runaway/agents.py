"""The agents of the lab `runaway`: four reasoners that would never stop by themselves, each with a bound that stops it.

repeats    makes a call that was refused for its arguments, with the same arguments, again and again.
searches   has what it needs after one search, and goes on searching in other words.
replans    looks at its plan after each step, and makes a better one.
spends     orders ten pictures at once, and then the next ten, as if nobody had to pay for them.

Each does something that is of use first; that stays done. By default a script thinks, and does all this without fail. A real
model (`--model`) is told to do it, and may or may not; the bounds are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from holdfast import Agent, Call, Limits, Tool, tool
from holdfast.labs.http_call import look, send
from holdfast.labs.reasoning import models
from holdfast.reasoners.model import Request
from holdfast.testing.models import Said, asked, call, think

BUDGET_USD = Decimal("0.50")
IDLE_TURNS = 4
REVISIONS = 6
AT_ONCE = 10
OUTPUT_TOKENS = 2000
# What a picture may cost at most: the office charges less for most of them.
PICTURE_USD = Decimal("0.04")

# --- tools --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refund:
    id: str
    order: str


@tool(safety="keyed", key_ttl="forever", timeout="20s", business_key="order")
def refund(order: str, call: Call) -> Refund:
    """Refund an order by its number."""
    return Refund(**send("POST", "/refunds", {"by": call.run_id, "order": order}, key=call.key, timeout_seconds=15.0))


@dataclass(frozen=True)
class Passage:
    page: int
    text: str


@tool(safety="read", timeout="5s")
def search(words: str) -> list[Passage]:
    """Search the manual of the machine for words."""
    return [Passage(**found) for found in look("/library", {"words": words})]


@dataclass(frozen=True)
class Note:
    id: str
    text: str


@tool(safety="keyed", key_ttl="forever", timeout="20s")
def note(text: str, call: Call) -> Note:
    """Write a note into the file of the customer."""
    return Note(**send("POST", "/notes", {"by": call.run_id, "text": text}, key=call.key, timeout_seconds=15.0))


@dataclass(frozen=True)
class Table:
    id: str
    guests: str


@tool(safety="keyed", key_ttl="forever", timeout="20s", business_key="guests")
def reserve_table(guests: int, call: Call) -> Table:
    """Reserve a table for so many guests."""
    body = {"by": call.run_id, "guests": str(guests)}
    return Table(**send("POST", "/tables", body, key=call.key, timeout_seconds=15.0))


@dataclass(frozen=True)
class Menu:
    style: str
    usd_per_guest: int


@tool(safety="read", timeout="5s")
def price_menu(style: str) -> Menu:
    """What a menu of some style costs a guest."""
    return Menu(**look("/menus", {"style": style}))


@dataclass(frozen=True)
class Picture:
    id: str
    subject: str
    size: str
    usd: str


@tool(safety="keyed", key_ttl="forever", timeout="20s", retry=2, business_key="subject", cost=PICTURE_USD)
def draw(subject: str, size: str, call: Call) -> Picture:
    """Have a picture drawn: small, medium or large. It costs up to 4 cents, the larger the more."""
    body = {"by": call.run_id, "subject": subject, "size": size}
    picture = Picture(**send("POST", "/pictures", body, key=call.key, timeout_seconds=15.0))
    call.spent(picture.usd)
    return picture


# --- what is thought ----------------------------------------------------------------------------------------------


def repeat(request: Request) -> Said:
    """One refund that works, and then for ever one that cannot."""
    if asked(request) == 0:
        return [think("The first order is plain enough."), call("refund", order="100217")]
    return [think("It must have been a hiccup. Once more."), call("refund", order="17")]


TERMS = ("warranty", "guarantee", "coverage", "motor warranty", "what is covered", "repairs free of charge")


def search_on(request: Request) -> Said:
    """One search and a note of what it found; then the same question in other words, for ever."""
    turn = asked(request)
    if turn == 1:
        return call("note", text="The warranty covers the motor for five years (page 12).")
    wording = TERMS[turn % len(TERMS)] + (f", part {turn}" if turn >= len(TERMS) else "")
    return [think("There may be something better."), call("search", words=wording)]


STYLES = ("garden", "harbour", "farmhouse", "winter", "midsummer", "riverside")


def plan_anew(request: Request) -> Said:
    """A table, and then a plan for the menu, of which only the first step is ever taken."""
    turn = asked(request)
    style = STYLES[turn % len(STYLES)] + (f" {turn}" if turn >= len(STYLES) else "")
    steps = {
        f"menu_{turn}": {"tool": "price_menu", "args": {"style": style}},
        f"again_{turn}": {"tool": "price_menu", "args": {"style": f"{style}, vegetarian"}, "after": [f"menu_{turn}"]},
    }
    if turn == 0:
        steps = {"table": {"tool": "reserve_table", "args": {"guests": 12}}, **steps}
        steps["menu_0"]["after"] = ["table"]
        return call("make_plan", steps=steps, reason="first the table, then the menu")
    dropped = [f"again_{turn - 1}"] + (["menu_0"] if turn == 1 else [])
    return call("make_plan", steps=steps, dropped=dropped, reason=f"{style} may be nicer")


# Of ten pictures one is small, and done at once; the others take their time.
SIZES = ("large", "medium", "large", "small", "large", "medium", "large", "large", "medium", "large")


def spend(request: Request) -> Said:
    """Ten pictures at once, each time."""
    first = asked(request) * AT_ONCE
    subjects = range(first + 1, first + AT_ONCE + 1)
    return [call("draw", subject=f"page {number}", size=SIZES[number % len(SIZES)]) for number in subjects]


# --- agents -------------------------------------------------------------------------------------------------------

GOALS = {
    "repeats": "Refund the orders 100217 and 17",
    "searches": "Find out what the warranty covers, and note it",
    "replans": "Reserve a table for twelve, and settle on a menu",
    "spends": "Illustrate every page of the catalogue, which has 400",
}
# For a real model, which would do better of its own accord.
TOLD = {
    "repeats": "Refund the first order alone, then the second. Whenever a refund is refused, make the same call again; never end "
    "the run.",
    "searches": "Search once and note what you found. Then search on in other words, one search at a time; never end the run.",
    "replans": "First plan the table and two menus that are priced one after the other. Whenever you are asked, drop what has "
    "not begun and plan two other menus. Never end the run.",
    "spends": "Order ten pictures in each answer, of pages 1 to 10, then 11 to 20 and so on, most of them large. Never end the "
    "run.",
}


SCRIPTS: dict[str, Callable[[Request], Said]] = {
    "repeats": repeat,
    "searches": search_on,
    "replans": plan_anew,
    "spends": spend,
}
TOOLS: dict[str, list[Tool[..., Any]]] = {
    "repeats": [refund],
    "searches": [search, note],
    "replans": [reserve_table, price_menu],
    "spends": [draw],
}
LIMITS = Limits(cost_usd_max=BUDGET_USD, idle_turns_max=IDLE_TURNS, revisions_max=REVISIONS, parallel_max=AT_ONCE, turns_max=40)


def agent(name: str, suffix: str = "") -> Agent:
    """One of the four. suffix: of the name of its script, by which the provider knows whose bill it is."""
    plans = name == "replans"
    return Agent(
        name,
        goal=GOALS[name],
        instructions=TOLD[name],
        model=models(SCRIPTS[name], name=f"{name}{suffix}", output_tokens_max=OUTPUT_TOKENS),
        tools=TOOLS[name],
        limits=LIMITS,
        horizon="plan" if plans else 1,
        reassess="step" if plans else "surprise",
    )


repeats, searches, replans, spends = map(agent, GOALS)
