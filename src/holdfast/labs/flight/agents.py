"""The agents of the lab `flight`: one that looks at where somebody flew before, and one that books a flight from half a sentence.

By default scripts think (`planner.py`). With `--model` a real model does both.
"""

from dataclasses import dataclass

from holdfast import Agent, Asking, Ladder, Limits, Policy, Rule, Rung
from holdfast.labs.flight.planner import booker, habits
from holdfast.labs.flight.tools import (
    book_flight,
    hold_seat,
    read_calendar,
    read_past_flights,
    release_seat,
    search_flights,
    shortlist_flights,
)
from holdfast.labs.reasoning import models

LOOK = """\
Read where the traveller flew before. Note with note_facts, under the name airport, the code of the airport that they fly to, with
how sure you are. Then end the run with a sentence."""
BOOK = """\
Book the flight that the goal asks for. Interpret the goal first. From where the traveller starts is the fact origin: look in the
calendar in which city they are today, and say it with ask_person, with that as your guess; ask for the fact airport in the same
call, with the guess that is remembered. Then plan with make_plan, referring to the facts by $ref, so that they can be corrected:
search_flights, shortlist_flights on its result, hold_seat on the best one. Ask the traveller which of the best flights it is,
under the name choice_1 (choice_2, and so on, where you ask again), with these flights as options and as the enum of the answer.
Book it with book_flight, all arguments by $ref (facts.choice_1.flight, facts.choice_1.usd, facts.airport, facts.origin). Where a
seat is sold out, search again and list what is next to it with `near`, and ask again. Where the airport is corrected, release
with undo_step what was held for the other one, and list and ask anew, from the search that is done. In the end release every seat
that is still held, and end the run with the booking and its origin."""


# Roles, as the directory of the store has them.
TRAVELLER, DESK = "traveller", "travel desk"
TO_ANSWER = Ladder(rungs=(Rung(seconds=3600.0, remind_seconds=900.0), Rung(who=(DESK,), seconds=4 * 3600.0)))
"""Who says nothing is reminded every quarter of an hour; after an hour the travel desk is asked, and after five it is a no."""

TRAVEL = Policy(
    name="travel",
    version="3",
    rules=(
        Rule(name="too dear", then="block", tools=("book_flight",), when="amount > 2000"),
        Rule(name="a fare", tools=("book_flight",), when="amount > 20", who=(TRAVELLER,), ladder=TO_ANSWER),
        Rule(name="small change", then="never", tools=("book_flight",), when="amount <= 20"),
    ),
)
"""Whether a person is asked before money goes, by its amount, and who."""


@dataclass(frozen=True)
class Booked:
    booking: str
    flight: str
    airport: str
    departs: str
    usd: int
    origin: str


def looking(suffix: str = "") -> Agent:
    """suffix: of the name of the script, by which the provider knows whose bill it is."""
    return Agent(
        "habits",
        goal="Find out where the traveller flies to",
        instructions=LOOK,
        model=models(habits, name=f"habits{suffix}", output_tokens_max=2000),
        inputs={"traveller": {"type": "string", "minLength": 1}},
        tools=[read_past_flights],
        memory=True,
        limits=Limits(turns_max=10),
    )


def booking(suffix: str = "") -> Agent:
    return Agent(
        "flights",
        goal="Book me a flight to NYC tomorrow",
        instructions=BOOK,
        model=models(booker, name=f"booker{suffix}", output_tokens_max=2000),
        horizon="plan",
        interpret=True,
        ask=Asking(cost_of_asking=1.0, cost_of_wrong=5.0),
        inputs={"traveller": {"type": "string", "minLength": 1}},
        tools=[read_calendar, search_flights, shortlist_flights, hold_seat, release_seat, book_flight],
        memory=True,
        policy=TRAVEL,
        result=Booked,
        limits=Limits(turns_max=30),
    )


looks, books = looking(), booking()
