"""Forks at every point of the runs of the labs `payment` and `flight`: what was done before the point is never done again.

The runs and their forks are advanced in this process; the services and their ledgers are in one of their own. Nothing is
approved at first, and the ledger gains nothing; then everything is, and it gains what the source did after the point at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Holdfast, UsageError
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.forking import Forked, Where, fork, points
from holdfast.journal.keeping import Adopted
from holdfast.journal.retention import mentioned
from holdfast.labs.flight.agents import TRAVELLER, booking
from holdfast.labs.flight.person import CORRECT, Person
from holdfast.labs.flight.story import Story
from holdfast.labs.http_call import WORLD
from holdfast.labs.payment.agents import keyed, lookup, plain
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.ledger import LedgerRow
from holdfast.runner.clock import SystemClock
from tests.thorough import ALL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("forks")]

PERSON = "Ada"
GATEWAYS = {"keyed": keyed, "lookup": lookup, "plain": plain}
FLIGHT_STRIDE = 1 if ALL else 12

Answers = Callable[[e.Asked, State], Awaitable[list[tuple[str, Any]]]]


@asynccontextmanager
async def store(path: Path) -> AsyncIterator[Holdfast]:
    async with Holdfast(path, lease_seconds=60.0, poll_seconds=0.02) as app:
        yield app


async def forked_at(app: Holdfast, source: str, agent: Agent, entry: int, **options: Any) -> Forked | None:
    """A fork there; None where there can be none, which is said in one sentence with points near it."""
    try:
        return await fork(
            app.journal, source, agent, id=f"{source}-at-{entry}", where=Where(entry=entry), by=PERSON,
            clock_now=SystemClock().now(), **options,
        )  # fmt: skip
    except UsageError as error:
        assert error.hint is not None and "points near it" in error.hint, error
        return None


async def see_through(app: Holdfast, agent: Agent, run_id: str, answers: Answers, by: str = PERSON) -> State:
    """Go on, and answer what is asked, until it has ended."""
    for _ in range(60):
        left = await app.run(agent, id=run_id)
        if left.ended:
            return await app.state(run_id)
        state = await app.state(run_id)
        asked = next(iter(state.interrupts.values()))
        for decision, value in await answers(asked, state):
            if decision == CORRECT:
                await app.correct(run_id, "airport", value, by=by)
            else:
                note = value if decision == "reject" else ""
                given = None if decision == "reject" else value
                await app.answer(run_id, decision, by=by, interrupt=asked.interrupt, value=given, note=note or "")
    raise AssertionError(f"{run_id} does not come to its end")


def done_before(entries: list[e.Entry], entry: int) -> tuple[set[str], set[str]]:
    """The steps that were done then, and the keys under which calls that change the world had been begun."""
    state = fold(entries[:entry])
    done = {name for name in state.order if state.steps[name].phase == "done"}
    began = [one.event for one in entries[:entry] if isinstance(one.event, e.CallIntended)]
    return done, {call.key for call in began if state.contracts[call.tool].safety != "read"}


def calls_after(entries: list[e.Entry], fork_id: str) -> list[e.CallIntended]:
    """The calls that change the world which a fork began itself."""
    at = next(one.sequence for one in entries if isinstance(one.event, e.RunForked) and one.event.run_id == fork_id)
    contracts = fold(entries).contracts
    after = [one.event for one in entries[at:] if isinstance(one.event, e.CallIntended)]
    return [call for call in after if contracts[call.tool].safety != "read"]


# --- payment ------------------------------------------------------------------------------------------------------


@pytest.fixture
def gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setenv(WORLD, str(tmp_path / "world"))
    with start_services("payment", tmp_path / "world") as services:
        yield services


def transfers(services: Services, account: str) -> list[LedgerRow]:
    return [row for row in services.ledger() if row["subject"] == account]


def of_the_ledger(services: Services, account: str) -> Answers:
    """Who says yes to every call, and of one that nobody knows of what the ledger says."""

    async def answers(asked: e.Asked, state: State) -> list[tuple[str, Any]]:
        if asked.about != "doubt":
            return [("approve", None)]
        landed = transfers(services, account)
        # A gateway that knows keys is sent the same key again by a yes, so that yes is harmless whatever happened.
        if not landed or asked.tool == "transfer_keyed":
            return [("approve", None)]
        return [("respond", {**landed[0]["detail"], "account": account})]

    return answers


async def cut_off(app: Holdfast, run_id: str, new: Path) -> None:
    """In another store, the same run as a worker leaves it that is killed between the effect and its record."""
    batches, row = await app.journal.batches(run_id), await app.journal.row(run_id)
    entries = await app.history(run_id)
    intent = next(one.sequence for one in entries if isinstance(one.event, e.CallIntended))
    left = tuple(batch for batch in batches if batch.first <= intent)
    assert row is not None and left[-1].first + left[-1].count - 1 == intent
    fence, at = left[-1].fence, left[-1].at
    contents = {}
    for batch in left:
        for digest in mentioned(batch.body):
            if (content := await app.journal.content(digest)) is not None:
                contents[digest] = content
    run = Adopted(
        run_id=run_id, agent=row.agent, goal_digest=row.goal_digest, batches=left, status="running", fence=fence, created_at=at,
        changed_at=at, contents=contents, due_at=at,
    )  # fmt: skip
    async with store(new) as other:
        assert await other.journal.adopt(run)


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("story", ["whole", "left", "recovered"])
async def test_no_transfer_is_made_again_by_a_fork_at_any_point(
    tmp_path: Path, gateways: Services, gateway: str, story: str
) -> None:
    """Of a run that went well; of one that a kill left in the middle of its transfer, of which nobody knows; and of one that went
    on after that, by its key, its look-up or a person's word."""
    agent, run_id, account = GATEWAYS[gateway], f"pay-{gateway}", f"acc-{gateway}"
    answers = of_the_ledger(gateways, account)
    path = tmp_path / "runs.db"
    async with store(path) as app:
        inputs = {"account": account, "amount": "12.50", "reference": f"invoice-{gateway}"}
        await app.start(agent, id=run_id, inputs=inputs)
        await see_through(app, agent, run_id, answers)
        if story != "whole":
            path = tmp_path / "left.db"
            await cut_off(app, run_id, path)
    async with store(path) as app:
        if story == "recovered":
            state = await see_through(app, agent, run_id, answers)
            assert state.ended == "completed" and len(transfers(gateways, account)) == 1
        entries, made = await app.history(run_id), 0
        intent = next(one.sequence for one in entries if isinstance(one.event, e.CallIntended))
        for entry in range(1, len(entries) + 1):
            if await forked_at(app, run_id, agent, entry) is None:
                continue
            made += 1
            new, before = f"{run_id}-at-{entry}", transfers(gateways, account)
            await app.run(agent, id=new)
            assert transfers(gateways, account) == before, f"{entry}: nobody has said yes to anything"
            done, keys = done_before(entries, entry)
            state = await see_through(app, agent, new, answers)
            gained = transfers(gateways, account)[len(before) :]
            began = calls_after(await app.history(new), new)
            assert state.ended == "completed", entry
            assert len(gained) == (0 if entry >= intent else 1), entry
            assert not {row["key"] for row in gained} & keys and not {call.step for call in began} & done, entry
            assert {call.key for call in began} & keys <= {call.key for call in began if call.attempt > 1}, entry
        assert made == len([one for one in entries if one.sequence < _stops(entries)]), "every point before its end can be had"


def _stops(entries: list[e.Entry]) -> int:
    return next((one.sequence for one in entries if isinstance(one.event, e.RunCompleted)), len(entries) + 1)


# --- flight -------------------------------------------------------------------------------------------------------


@pytest.fixture
def airline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setenv(WORLD, str(tmp_path / "world"))
    with start_services("flight", tmp_path / "world", {"lost_after_seconds": 1.0}) as services:
        yield services


def effects(services: Services) -> list[LedgerRow]:
    return [row for row in services.ledger() if row["service"] != "models"]


def _traveller(story: Story, services: Services) -> Answers:
    person = Person(story, lambda flight: services.sell_out(story.traveller, flight), services.ledger)

    async def answers(asked: e.Asked, state: State) -> list[tuple[str, Any]]:
        # In a fork each seat is asked about too, and a seat is no price that one thinks about for too long.
        return [("approve", None)] if asked.about == "call" and asked.tool != "book_flight" else person.answer(asked, state)

    return answers


async def test_no_seat_and_no_booking_is_made_again_by_a_fork_at_any_point(tmp_path: Path, airline: Services) -> None:
    """Whatever the model, the airline and the traveller are asked anew after the point. A booking that had been begun is none of
    the fork's; one that was not is made once at most, when the traveller said yes to it."""
    story = Story(traveller="Maya Castell")
    agent = booking()
    answers = _traveller(story, airline)
    async with store(tmp_path / "runs.db") as app:
        await app.inbox.put_person(story.traveller, [TRAVELLER])
        await app.start(agent, id="trip", inputs={"traveller": story.traveller}, thread=story.thread)
        state = await see_through(app, agent, "trip", answers, by=story.traveller)
        assert state.ended == "completed", state.reason
        entries = await app.history("trip")
        booked = [one.sequence for one in entries if isinstance(one.event, e.CallIntended) and one.event.tool == "book_flight"]
        seen = Counter[str]()
        asked = [one.sequence for one in entries if isinstance(one.event, e.Asked)]
        for entry in sorted({*range(1, len(entries) + 1, FLIGHT_STRIDE), *booked, *asked}):
            if await forked_at(app, "trip", agent, entry) is None:
                continue
            new, before = f"trip-at-{entry}", effects(airline)
            await app.run(agent, id=new)
            assert effects(airline) == before, f"{entry}: nobody has said yes to anything"
            done, keys = done_before(entries, entry)
            state = await see_through(app, agent, new, answers, by=story.traveller)
            assert state.ended == "completed", (entry, state.reason)
            gained, began = effects(airline)[len(before) :], calls_after(await app.history(new), new)
            bookings = [row for row in gained if row["service"] == "bookings"]
            assert len(bookings) == (0 if entry >= booked[-1] else 1), entry
            assert not {call.step for call in began} & done, entry
            assert not {row["key"] for row in gained if row["key"]} & keys, entry
            assert not {call.key for call in began if call.attempt == 1} & keys, entry
            seen["forks"] += 1
        assert seen["forks"] >= 60 // FLIGHT_STRIDE


async def test_the_points_that_are_listed_are_points(tmp_path: Path, gateways: Services) -> None:
    """Each of them can be forked at."""
    async with store(tmp_path / "runs.db") as app:
        inputs = {"account": "acc", "amount": "12.50", "reference": "invoice-1"}
        await app.run(keyed, id="pay", inputs=inputs)
        for point in points(await app.history("pay")):
            assert await forked_at(app, "pay", keyed, point.entry) is not None, point
