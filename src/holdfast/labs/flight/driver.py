"""The driver of the lab `flight`: half a sentence, and a flight that is booked once, where the person wanted it, at the price
that they said yes to.

`check` decides how it ended. Seats, bookings and payments are counted in the services' own ledger.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from holdfast import Holdfast
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.labs.flight.agents import TRAVELLER
from holdfast.labs.flight.check import (
    Seen,
    approvals,
    check,
    confirmed_before_booking,
    corrections,
    rows_of,
    shortlists,
)
from holdfast.labs.flight.person import CORRECT, Person
from holdfast.labs.flight.story import COLLEAGUE, GUESSED, HABITS, TRIP, Story, story_of
from holdfast.labs.persisting import Kill, see_through
from holdfast.labs.reasoning import model_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.telling import timeline
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import listed

FILES = ("agents.py",)

_HERE = Path(__file__).parent
_TURNS = (e.ProposalRequested, e.ModelAnswered)
_HELD = {"seats": "the seat is held", "bookings": "the flight is booked and paid"}


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. model: what thinks in place of the scripts.
    UsageError for one that cannot be asked here."""
    thinks, story = model_of(model), story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep, model=thinks) as shop:
        shop.title("flight", seed, thinks=True)
        _introduce(shop, story)
        _let_in(shop, story)
        with start_services("flight", shop.world, seed=seed) as services:
            shop.heading(f"{HABITS}: where {story.traveller} flew before, which is remembered")
            see_through(shop, services, _command(story, "looks", HABITS), kills=(), answer=lambda: None)
            deaths = _book(shop, story, services)
            seen = Seen(
                ledger=services.ledger(),
                requests=shop.requests_of(services),
                histories=shop.histories(),
                deaths=deaths,
                model=thinks,
            )
        shop.heading(f"{TRIP}, entry by entry, without what the model was asked")
        timeline(shop, [entry for entry in seen.entries if not isinstance(entry.event, _TURNS)])
        _seven_things(shop, story, seen)
        _world(shop, seen)
        problems = check(story, seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS if thinks is None else _CLAIMS_OF_A_MODEL, problems)


_CLAIMS = (
    "Read from the ledger: one booking, to the airport that the traveller wanted, and one payment, of what the traveller said "
    "yes to for that very flight; the yes to the flight that was gone bought nothing. No seat is held any more. Read from the "
    "journal: with the airport fell the steps that rest on it, and no other; the city was inferred, is marked as that, and the "
    "traveller said that it is so before any money went. Two workers were killed with SIGKILL between an effect and its record.",
)
_CLAIMS_OF_A_MODEL = (
    "Read from the ledger: one booking, to the airport that the traveller wanted, and one payment, of what the traveller said "
    "yes to for that very flight; no seat is held any more.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: a calendar and an airline on loopback, in a process of their own; and who thinks")
    thinks = "scripts" if shop.model is None else shop.model
    shop.say(
        '  goal      "Book me a flight to NYC tomorrow"; from where is not said, and NYC is three airports',
        "  calendar  has today's meetings, and the city that they are in",
        "  airline   47 flights a day; the first search is never answered; a seat is held for nothing",
        "            a booking takes the money; it knows no keys, and takes the fare of the moment alone",
        f"  traveller {story.traveller}: flew to {GUESSED} twice, and wants the 8 am flight to LaGuardia",
        "",
        f"What thinks: {thinks}. Both runs are in the thread `{story.thread}`.",
        f"agents.py and the store are in {shop.directory}",
    )


def _let_in(shop: Workshop, story: Story) -> None:
    """Who is known, and what their word counts for."""

    async def put() -> None:
        async with Holdfast(shop.db) as app:
            await app.inbox.put_person(story.traveller, [TRAVELLER])
            await app.inbox.put_person(COLLEAGUE)

    asyncio.run(put())


def _command(story: Story, agent: str, run_id: str) -> tuple[str, ...]:
    given = ("--input", f"traveller={story.traveller}")
    return ("run", f"agents.py:{agent}", *given, "--thread", story.thread, "--id", run_id, "--db", STORE, "--lease", "1")


def _book(shop: Workshop, story: Story, services: Services) -> int:
    """The trip, from its start to its end; how many workers were killed."""
    shop.heading(f'{TRIP}: "Book me a flight to NYC tomorrow"')
    person = Person(story, lambda flight: _sell_out(shop, story, services, flight), services.ledger)
    kills = [
        Kill(service=service, subject=story.traveller, words=f"{words}; the answer has not left the service")
        for service, words in _HELD.items()
    ]
    return see_through(
        shop,
        services,
        _command(story, "books", TRIP),
        kills=kills if shop.model is None else (),
        answer=lambda: _answer(shop, story, person),
    )


def _sell_out(shop: Workshop, story: Story, services: Services, flight: str) -> None:
    services.sell_out(story.traveller, flight)
    shop.note(f"while {story.traveller} looks at the price, the last seat on {flight} is sold to somebody else")


def _answer(shop: Workshop, story: Story, person: Person) -> None:
    """The traveller. In this lab it is the driver, and the journal says so."""
    state = fold(shop.histories()[TRIP])
    by = ("--by", story.traveller, "--db", STORE)
    for asked in state.interrupts.values():
        if asked.about == "call" and asked.args["flight"] == story.wanted["flight"]:
            shop.note(f"{COLLEAGUE} wants to be helpful, and is no traveller here")
            shop.run("answer", TRIP, asked.interrupt, "approve", "--by", COLLEAGUE, "--db", STORE)
        for decision, value in person.answer(asked, state):
            said: tuple[str, ...] = ()
            if decision == CORRECT:
                shop.run("correct", TRIP, f"airport={value}", *by)
                continue
            if decision == "edit":
                said = tuple(f"{name}={json.dumps(part)}" for name, part in value.items())
            elif decision == "respond" and asked.asks is not None and value in asked.asks.options:
                said = ("--option", str(asked.asks.options.index(value) + 1))
            elif decision == "respond":
                said = (json.dumps(value),)
            elif decision == "reject":
                said = (value or "decide that by yourself",)
            if asked.about == "doubt":
                shop.note("the traveller looks at the mail: there is a confirmation" if said else "there is no confirmation")
            shop.run("answer", TRIP, asked.interrupt, decision, *said, *by)


# --- what is shown of it ------------------------------------------------------------------------------------------


def _seven_things(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("Seven things that are in no diagram of a loop, as the journal has them")
    events = seen.events
    guesses = {event.question.name: event for event in events if isinstance(event, e.Inferred)}
    for number, (name, head) in enumerate((("origin", "not said   "), ("airport", "ambiguous  ")), 1):
        if (guess := guesses.get(name)) is not None:
            asked = guess.question
            confirmed = confirmed_before_booking(events, name)
            after = f"; {confirmed} was asked whether it is so before any money went" if confirmed else ""
            one_of = f" (of {listed(asked.options)})" if asked.options else ""
            words = f"{name} = {asked.guess}{one_of}, guessed, {asked.confidence:.0%} sure: {asked.basis}{after}"
            shop.paragraph(f"{number} {head}", words)
    lost = next((event for event in events if isinstance(event, e.CallFailed) and event.step.startswith("search")), None)
    if lost is not None:
        calls = sum(isinstance(event, e.CallIntended) and event.step == lost.step for event in events)
        shop.paragraph("3 time-out   ", f"{lost.step}: no answer came; it only reads, and was called {calls} times")
    if lists := shortlists(events):
        shown = lists[0]
        words = f"{shown['found']} flights, of which {shown['fitting']} fit; the best {len(shown['best'])} are shown as options"
        shop.paragraph("4 too many   ", words)
    for at, fell in corrections(events):
        done = [event.step for event in events[:at] if isinstance(event, e.CallSucceeded)]
        kept = listed(step for step in done if step not in fell.outdated)
        words = f"{fell.because}: {listed(fell.outdated)} rest on it and fall; {kept} do not, and stay"
        shop.paragraph("5 correction ", words)
    _gone_and_paid(shop, seen)


def _gone_and_paid(shop: Workshop, seen: Seen) -> None:
    gone = [event for event in seen.events if isinstance(event, e.CallFailed) and event.failure.kind == "conflict"]
    sent = {one.call.step: one for one in approvals(seen.entries)}
    for event in gone:
        if (one := sent.get(event.step)) is not None and one.answered is not None:
            flight, usd = one.call.args["flight"], one.call.args["usd"]
            words = f"{one.answered.by} said yes to {flight} for ${usd}: {event.failure.message}; nothing is booked"
            shop.paragraph("6 gone       ", f"{words}, and the yes is good for nothing else")
    paid = rows_of(seen.ledger, "payments", "captured")
    if sent and paid and (last := list(sent.values())[-1]).asked is not None:
        flight, usd, ruling = last.asked.args["flight"], last.asked.args["usd"], last.asked.ruling
        rule = f"the rule `{ruling.rule}` of {ruling.policy} asks; " if ruling is not None else ""
        words = f"{rule}yes to {flight} for ${usd}, bound to the digest {last.digest[:12]}"
        shop.paragraph("7 payment    ", f"{words}; captured is ${paid[-1]['detail']['usd']}")


def _world(shop: Workshop, seen: Seen) -> None:
    shop.heading("The world: the services' own ledger")
    rows: list[Sequence[object]] = [("what", "happened", "flight", "to", "usd")]
    for row in seen.ledger:
        detail = row["detail"]
        if row["service"] != "models":
            name = detail["id"] if row["service"] == "seats" else f"{row['service'][:-1]} {detail['booking']}"
            rows.append((name, row["action"], detail["flight"], detail.get("airport", ""), detail.get("usd", "")))
    shop.table(rows)
