"""The driver of the lab `drift`: a trip whose ground moves while it is booked.

`check` decides how it ended. Rooms, tickets and payments are counted in the services' own ledger.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from holdfast import Holdfast
from holdfast.core.evolve import fold
from holdfast.core.memory import Memory
from holdfast.labs.drift.check import Seen, asked_to_pay, believed_at_payment, check, invalidated, rows_of
from holdfast.labs.drift.person import Person
from holdfast.labs.drift.story import LETTERS, TRIP, Story, story_of
from holdfast.labs.persisting import Kill, see_through
from holdfast.labs.reasoning import model_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.telling import timeline
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import listed

FILES = ("agents.py",)

_HERE = Path(__file__).parent
_EFFECTS = {"rooms": "the room is held", "trains": "the ticket is sold", "payments": "the room is paid"}


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. model: what thinks in place of the scripts.
    UsageError for one that cannot be asked here."""
    thinks, story = model_of(model), story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep, model=thinks) as shop:
        shop.title("drift", seed, thinks=True)
        _introduce(shop, story)
        with start_services("drift", shop.world, seed=seed) as services:
            _read(shop, story, services)
            deaths = _book(shop, story, services)
            shop.run("memory", "list", "--thread", story.thread, "--history", "--db", STORE)
            seen = Seen(
                ledger=services.ledger(),
                requests=shop.requests_of(services),
                histories=shop.histories(),
                memories=_memories(shop, story),
                deaths=deaths,
                model=thinks,
            )
        shop.heading(f"{TRIP}, entry by entry")
        timeline(shop, seen.entries)
        _world(shop, story, seen)
        problems = check(story, seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS if thinks is None else _CLAIMS_OF_A_MODEL, problems)


_CLAIMS = (
    "Read from the ledger: one room is paid, once, where the guest wants to go in the end, with as many beds as it takes, at the "
    "price of the moment. No payment was tried at another price: the price that was approved was too old by then, was looked up "
    "again, and was another; the guest was asked again. What was booked on what is not so any more is given back, once, and what "
    "cannot be given back is kept, and said so. What was remembered wrongly is corrected, and stays corrected. Two workers were "
    "killed with SIGKILL between an effect and its record.",
)
_CLAIMS_OF_A_MODEL = (
    "Read from the ledger: one room is paid, once, where the guest wants to go in the end, with as many beds as it takes, at the "
    "price of the moment; all other rooms are given back. What was remembered wrongly is corrected.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: rooms, trains and payments on loopback, in a process of their own; and who thinks")
    thinks = "scripts; the one that reads letters stops reading too early" if shop.model is None else shop.model
    shop.say(
        "  letters   two; the second one says that a child comes along",
        "  prices    move; the tool says that one holds for a second",
        "  rooms     are held for nothing, and can be given back",
        "  trains    a ticket cannot be given back",
        "  payments  know no keys, cannot be asked for, and are taken at the price of the moment alone",
        f"  guest     {story.guest}: wants to go to {story.first}, and then to {story.town}",
        "",
        f"What thinks: {thinks}. Both runs are in the thread `{story.thread}`.",
        f"agents.py and the store are in {shop.directory}",
    )


def _command(story: Story, agent: str, run_id: str, *inputs: str) -> tuple[str, ...]:
    given = [word for one in (f"guest={story.guest}", *inputs) for word in ("--input", one)]
    return ("run", f"agents.py:{agent}", *given, "--thread", story.thread, "--id", run_id, "--db", STORE, "--lease", "1")


def _read(shop: Workshop, story: Story, services: Services) -> None:
    shop.heading(f"{LETTERS}: what is learned of the guest, and remembered")
    see_through(shop, services, _command(story, "reads", LETTERS), kills=(), answer=lambda: None)


def _book(shop: Workshop, story: Story, services: Services) -> int:
    """The trip, from its start to its end; how many workers were killed."""
    shop.heading(f"{TRIP}: a trip to {story.first}, which ends in {story.town}")
    person = Person(story, lambda: _move_the_price(shop, story, services), services.ledger)
    kills = [
        Kill(service=service, subject=story.guest, words=f"{_EFFECTS[service]}; the answer has not left the service")
        for service in (story.kill_at, "payments")
    ]
    command = _command(story, "books", TRIP, f"town={story.first}")
    return see_through(
        shop, services, command, kills=kills if shop.model is None else (), answer=lambda: _answer(shop, story, person)
    )


def _move_the_price(shop: Workshop, story: Story, services: Services) -> None:
    services.change_price(story.guest, story.town, story.price_later)
    shop.note(f"while {story.guest} thinks it over, the price in {story.town} becomes ${story.price_later}")


def _answer(shop: Workshop, story: Story, person: Person) -> None:
    """The guest. In this lab it is the driver, and the journal says so."""
    state = fold(shop.histories()[TRIP])
    by = ("--by", story.guest, "--db", STORE)
    for asked in state.interrupts.values():
        decision, value = person.answer(asked, state)
        if decision == "goal":
            shop.note("the guest does not answer that, and wants something else")
            shop.run("goal", TRIP, f"Book a trip to {story.town}", "--input", f"town={story.town}", *by)
            return
        if decision == "edit":
            said: tuple[str, ...] = tuple(f"{name}={json.dumps(part)}" for name, part in value.items())
        elif decision == "respond":
            shop.note("the guest looks at the account: it is paid")
            said = (json.dumps(value),)
        else:
            said = ("decide that by yourself",) if decision == "reject" else ()
        shop.run("answer", TRIP, asked.interrupt, decision, *said, *by)


def _memories(shop: Workshop, story: Story) -> Sequence[Memory]:
    async def read() -> list[Memory]:
        async with Holdfast(shop.db) as app:
            return await app.memories(story.thread, history=True)

    return asyncio.run(read())


# --- what is shown of it ------------------------------------------------------------------------------------------


def _world(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("The world: the services' own ledger")
    back = [row["detail"]["id"] for row in rows_of(seen.ledger, "rooms", "given back")]
    paid = {row["detail"]["room"]: row["detail"]["usd"] for row in rows_of(seen.ledger, "payments", "paid")}
    rows: list[Sequence[object]] = [("what", "town", "beds", "paid", "what became of it")]
    for row in seen.ledger:
        detail = row["detail"]
        if row["service"] == "rooms" and row["action"] == "held":
            became = "given back" if detail["id"] in back else "stays" if detail["id"] in paid else "still held"
            rows.append((f"the room {detail['id']}", detail["town"], detail["beds"], paid.get(detail["id"], ""), became))
        elif row["service"] == "trains":
            became = "stays" if detail["town"] == story.town else "cannot be given back: kept, and said so"
            rows.append((f"the ticket {detail['id']}", detail["town"], "", "", became))
    shop.table(rows)
    shop.heading("What the payment rests on")
    if (found := believed_at_payment(story, seen.entries)) is not None:
        fact, age = found
        shop.line(f"{fact.name} = {fact.value}, {age:.2f} s old when the payment went out; it holds for {fact.ttl_seconds:g} s")
    shop.line(f"approvals were asked for {listed(f'${usd}' for usd in asked_to_pay(seen.entries))}")
    shop.heading("What fell, and with what")
    for event in invalidated(seen.entries):
        parts = {"believed no more": event.facts, "not begun, given up": event.dropped, "done already": event.outdated}
        fell = "; ".join(f"{word}: {listed(names)}" for word, names in parts.items() if names)
        shop.paragraph("", f"{event.because}: {fell or 'nothing but what has not begun, and takes what holds then'}")
