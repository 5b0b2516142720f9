"""The lab `flight`, whole: its own processes, two real kills, a traveller who corrects and thinks for too long, and the ledger read
once more here."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import Holdfast
from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.labs.flight.agents import TRAVELLER, booking, looking
from holdfast.labs.flight.check import Seen, approvals, check, corrections, lasting_problems, resting
from holdfast.labs.flight.person import CORRECT, Person
from holdfast.labs.flight.story import HABITS, ORDERS, TRAVELLERS, TRIP, Story, story_of
from holdfast.labs.http_call import WORLD
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.workshop import histories_in

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}
pytestmark = pytest.mark.xdist_group("flight")


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    directory: Path
    page: str
    story: Story
    seen: Seen


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as it runs when nothing else is said."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "flight", "--dir", str(directory)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = Seen(
        ledger=[json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()],
        requests=json.loads((directory / "world" / "requests.json").read_text()),
        histories=histories_in(directory / "runs.db"),
        deaths=2,
    )
    return Left(directory, done.stdout, story_of(7), seen)


def test_one_flight_is_booked_where_the_traveller_wanted_at_the_price_that_was_approved(left: Left) -> None:
    """And paid once; no seat is held any more, and the one for the wrong airport was given back first."""
    rows = [row for row in left.seen.ledger if row["service"] != "models"]
    assert {row["subject"] for row in rows} == {left.story.traveller}
    usd = str(left.story.booked["usd"])
    assert [(row["detail"]["airport"], row["detail"]["usd"]) for row in rows if row["service"] == "bookings"] == [("LGA", usd)]
    assert [row["detail"]["usd"] for row in rows if row["service"] == "payments"] == [usd]
    seats = [(row["action"], row["detail"]["airport"]) for row in rows if row["service"] == "seats"]
    assert Counter(seats) == {(action, to): 1 for action in ("held", "released") for to in ("JFK", "LGA")}
    assert seats.index(("released", "JFK")) < seats.index(("released", "LGA"))
    tried = [row["status"] for row in left.seen.requests if row["path"] == "/bookings"]
    assert tried == [409, None]  # The worker was killed before the second answer went out; nobody tried again.


def test_each_booking_went_out_on_a_yes_to_that_very_call(left: Left) -> None:
    """The policy asked for both, by their amounts; the yes to the first one was good for nothing else."""
    gone, booked = approvals(left.seen.entries)
    assert gone.asked is not None and booked.asked is not None and gone.asked.interrupt != booked.asked.interrupt
    assert [one.asked.args["usd"] for one in (gone, booked) if one.asked is not None] == [189, 201]
    assert gone.digest == gone.asked.digest != booked.asked.digest == booked.digest
    assert [one.asked.ruling.rule for one in (gone, booked) if one.asked and one.asked.ruling] == ["a fare"] * 2


def test_what_is_not_said_is_inferred_and_confirmed_before_money_goes(left: Left) -> None:
    """It is still marked as inferred at the end, with who said that it is so."""
    state = fold(left.seen.entries)
    origin, airport = state.facts["origin"], state.facts["airport"]
    assert (origin.source, origin.value, origin.confirmed_by) == ("inferred", "San Francisco", left.story.traveller)
    assert (airport.source, airport.value, airport.by) == ("told", "LGA", left.story.traveller)
    assert "origin" in left.page.partition("Seven things")[2]


def test_the_correction_takes_down_what_rests_on_the_airport_and_nothing_else(left: Left) -> None:
    """The search does not rest on it, and is not made again."""
    ((at, fell),) = corrections(left.seen.events)
    before = left.seen.events[:at]
    assert fell.outdated == ("shortlist_1", "seat_1") == tuple(resting(before, "airport"))
    assert (fell.facts, fell.dropped) == ((), ())
    called = [event.step for event in before if isinstance(event, e.CallIntended)]
    assert set(called) - set(fell.outdated) == {"calendar", "search_1"}
    searched = Counter(event.step for event in left.seen.events if isinstance(event, e.CallIntended))
    assert searched["search_1"] == 2 and "search_2" not in searched


def test_the_page_is_clean_and_names_who_thinks(left: Left) -> None:
    """All seven things are on it; no line is wider than the page, but for what is to be pasted."""
    assert left.page.splitlines()[0].endswith("scripted model, seed 7")
    assert re.findall(r"^  (\d) \w", left.page.partition("Seven things")[2], re.MULTILINE) == list("1234567")
    assert len(re.findall(r"^\$ kill -9 \d+$", left.page, re.MULTILINE)) == 2
    wide = [line for line in left.page.splitlines() if len(line) > 98 and str(left.directory) not in line]
    assert [line for line in wide if not line.lstrip().startswith("'{")] == []


def test_a_seed_always_tells_the_same_story() -> None:
    """Who travels follows from the seed alone; the next flight costs 12 dollars more."""
    stories = [story_of(seed) for seed in range(50)]
    assert stories == [story_of(seed) for seed in range(50)]
    assert {story.traveller for story in stories} == set(TRAVELLERS)
    assert {story.booked["usd"] - story.wanted["usd"] for story in stories} == {12}


# --- in another order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_it_ends_the_same_whenever_the_traveller_says_which_airport(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a correction of the list, when asked after taking none of it, or only when shown what is guessed before the booking."""
    monkeypatch.setenv(WORLD, str(tmp_path))
    story = Story(traveller=f"traveller-{order}", order=order)
    with start_services("flight", tmp_path) as services:
        seen = asyncio.run(_lived_through(story, services, tmp_path / "runs.db"))
    assert lasting_problems(story, seen) == []
    ((_, fell),) = corrections(seen.events)
    assert fell.outdated == ("shortlist_1", "seat_1")
    assert [one.call.args["usd"] for one in approvals(seen.entries)] == [189, 201]


async def _lived_through(story: Story, services: Services, store: Path) -> Seen:
    """Both runs, in this process, with nobody killed."""
    inputs = {"traveller": story.traveller}
    person = Person(story, lambda flight: services.sell_out(story.traveller, flight), services.ledger)
    async with Holdfast(store) as app:
        await app.inbox.put_person(story.traveller, [TRAVELLER])
        assert (await app.run(looking(), id=HABITS, inputs=inputs, thread=story.thread)).done
        for _ in range(10):
            run = await app.run(booking(), id=TRIP, inputs=inputs, thread=story.thread)
            for asked in run.questions:
                for decision, value in person.answer(asked, await app.state(TRIP)):
                    if decision == CORRECT:
                        await app.correct(TRIP, "airport", value, by=story.traveller)
                    else:
                        await app.answer(TRIP, decision, value=value, by=story.traveller, interrupt=asked.interrupt)
            if run.ended:
                break
        histories = {name: await app.history(name) for name in (HABITS, TRIP)}
    return Seen(ledger=services.ledger(), requests=services.requests(), histories=histories, deaths=0)


# --- the check itself ---------------------------------------------------------------------------------------------


def with_entries(seen: Seen, change: Callable[[Any], Any]) -> Seen:
    """The same, with each event of the trip put through `change`."""
    entries: Sequence[Entry] = [msgspec.structs.replace(entry, event=change(entry.event)) for entry in seen.entries]
    return replace(seen, histories={**seen.histories, TRIP: entries})


def with_detail(seen: Seen, row: LedgerRow, **other: str) -> Seen:
    """The same, with something else in a row of the ledger."""
    changed = {**row, "detail": {**row["detail"], **other}}
    return replace(seen, ledger=[changed if one is row else one for one in seen.ledger])


def row_of(seen: Seen, service: str, **detail: str) -> LedgerRow:
    """The first row of a service that has this."""
    return next(row for row in seen.ledger if row["service"] == service and detail.items() <= row["detail"].items())


def test_the_check_is_content_with_a_world_that_is_as_it_must_be(left: Left) -> None:
    """No problems are found where there are none."""
    assert check(left.story, left.seen) == []


def test_the_check_finds_a_second_booking_and_one_to_another_airport(left: Left) -> None:
    """A booking without its money too."""
    booked = row_of(left.seen, "bookings")
    twice = check(left.story, replace(left.seen, ledger=[*left.seen.ledger, booked]))
    assert twice == ["2 bookings in the ledger, where 1 must be", "booked is $201, $201, and captured $201"]
    assert check(left.story, with_detail(left.seen, booked, airport="JFK")) == ["a flight to JFK is booked"]


def test_the_check_finds_a_payment_that_is_not_what_was_approved(left: Left) -> None:
    """By as little as a dollar."""
    dearer = with_detail(left.seen, row_of(left.seen, "payments"), usd="202")
    assert check(left.story, dearer) == ["booked is $201, and captured $202", "paid is $202, and approved was $201"]


def test_the_check_finds_a_seat_that_is_still_held(left: Left) -> None:
    """At the airport that nobody wants."""
    back = next(row for row in left.seen.ledger if row["action"] == "released" and row["detail"]["airport"] == "JFK")
    held = replace(left.seen, ledger=[row for row in left.seen.ledger if row is not back])
    assert check(left.story, held) == [f"the seat {back['detail']['id']} to JFK is still held"]


def test_the_check_finds_a_booking_that_nobody_said_yes_to(left: Left) -> None:
    """A yes to something else is none: what was approved was a dollar less."""

    def cheaper(event: Any) -> Any:
        if isinstance(event, e.Asked) and event.about == "call" and event.args["usd"] == 201:
            return msgspec.structs.replace(event, digest="of another call")
        return event

    problems = check(left.story, with_entries(left.seen, cheaper))
    assert problems[0] == "booking_3 went out, and nobody had said yes to that call"
    assert "paid is $201, and approved was $189" in problems


def test_the_check_finds_a_correction_that_takes_down_too_much_and_one_that_takes_too_little(left: Left) -> None:
    """By what the plans refer to."""

    def falls(*names: str) -> Callable[[Any], Any]:
        return lambda event: msgspec.structs.replace(event, outdated=names) if isinstance(event, e.FactsInvalidated) else event

    for names in (("search_1", "shortlist_1", "seat_1"), ("seat_1",)):
        problems = check(left.story, with_entries(left.seen, falls(*names)))
        assert problems == [f"with the airport fell {', '.join(names)}, where shortlist_1, seat_1 rest on it"]


def test_the_check_finds_a_guess_that_nobody_was_asked_about(left: Left) -> None:
    """What is inferred must be confirmed before what cannot be taken back."""

    def silent(event: Any) -> Any:
        return msgspec.structs.replace(event, facts=()) if isinstance(event, e.Asked) and event.about == "fact" else event

    problems = check(left.story, with_entries(left.seen, silent))
    assert problems == ["nobody was asked whether what was inferred is so before the booking"]


def test_the_check_finds_what_of_the_story_did_not_come_about(left: Left) -> None:
    """What the lab claims to show must have taken place."""

    def denied(event: Any) -> Any:
        if isinstance(event, e.CallFailed) and event.failure.kind == "conflict":
            return msgspec.structs.replace(event, failure=msgspec.structs.replace(event.failure, kind="denied"))
        return event

    assert check(left.story, replace(with_entries(left.seen, denied), deaths=1)) == [
        "1 workers were killed in the middle of an effect, where 2 must be",
        "no booking was refused because the seat was gone",
    ]
