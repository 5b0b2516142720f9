"""The labs `flight` and `approvals`, killed with SIGKILL at every boundary of their journals: the world looks the same each time. The
walk is that of `test_crash_walk`, whose hands are borrowed."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast import Holdfast
from holdfast.core.events import Asked
from holdfast.core.evolve import fold
from holdfast.core.policy import Policy
from holdfast.labs.approvals.check import is_asked
from holdfast.labs.approvals.story import APPROVER
from holdfast.labs.flight.agents import TRAVELLER, looking
from holdfast.labs.flight.check import Seen, corrections, lasting_problems, rows_of
from holdfast.labs.flight.person import CORRECT, Person
from holdfast.labs.flight.story import HABITS, TRIP, Story
from holdfast.labs.http_call import WORLD
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.payouts import Payout, payouts_of
from holdfast.labs.workshop import histories_in
from holdfast.policyfile import load
from holdfast.testing.crash_walk import Site
from tests.labs import test_crash_walk
from tests.labs.test_crash_walk import STRIDE, walk
from tests.labs.walked import LABS

WALKER = "the walk"
"""Who answers in a walk."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash_walk_people")]


def test_a_flight_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One booking at the airport that is wanted, at the price that was approved, its money captured once; each seat released; and
    with the airport falls what rests on it and nothing else. The traveller corrects the list, and a seat goes while they think."""
    monkeypatch.setenv(WORLD, str(tmp_path))  # For the run that comes before the walk, in this process.
    numbers = itertools.count(1)
    with start_services("flight", tmp_path) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            story = Story(traveller=f"traveller-{next(numbers)}")
            _run(_remember(store, story))
            yield Site(
                config={"world": str(tmp_path), "traveller": story.traveller},
                ledger=lambda: _came_to(services, store, story),
                answer=lambda asked: _answer(asked, services, store, story),
            )

        results = walk("one_flight", world, tmp_path)

    assert len(results) >= 60 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {
            "problems": [],
            "seats": [("held", "JFK"), ("held", "LGA"), ("released", "JFK"), ("released", "LGA")],
            "booked": [("LGA", "201")],
            "fell": [("seat_1", "shortlist_1")],
        }, result


async def _remember(store: Path, story: Story) -> None:
    """A run of the one who looks at past flights, in the thread of the traveller."""
    async with Holdfast(store) as app:
        await app.inbox.put_person(WALKER, [TRAVELLER])
        inputs = {"traveller": story.traveller}
        run = await app.run(looking(story.traveller), id=f"habits-{story.traveller}", inputs=inputs, thread=story.traveller)
        assert run.done


def _answer(asked: Asked, services: Services, store: Path, story: Story) -> tuple[str, Any]:
    run_id = f"trip-{story.traveller}"
    person = Person(story, lambda flight: services.sell_out(story.traveller, flight), lambda: _rows(services, story))
    *before, last = person.answer(asked, fold(_in_thread(store)[run_id]))

    async def correct(airport: str) -> None:
        async with Holdfast(store) as app:
            await app.correct(run_id, "airport", airport, by=story.traveller)

    for decision, value in before:
        assert decision == CORRECT
        _run(correct(value))
    return last


def _came_to(services: Services, store: Path, story: Story) -> dict[str, Any]:
    rows, histories = _rows(services, story), histories_in(store)
    named = {HABITS: histories[f"habits-{story.traveller}"], TRIP: histories[f"trip-{story.traveller}"]}
    seen = Seen(ledger=rows, requests=[], histories=named, deaths=0)
    seats = [(row["action"], row["detail"]["airport"]) for row in rows if row["service"] == "seats"]
    return {
        "problems": lasting_problems(story, seen),
        "seats": sorted(seats),
        "booked": [(row["detail"]["airport"], row["detail"]["usd"]) for row in rows_of(rows, "bookings", "booked")],
        "fell": [tuple(sorted(fell.outdated)) for _, fell in corrections(seen.events)],
    }


def _rows(services: Services, story: Story) -> list[Any]:
    return test_crash_walk.rows_of(services, story.traveller)


def _run(work: Any) -> None:
    """In a thread: a walk's person answers inside a loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def _in_thread(store: Path) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(histories_in, store).result()


def test_payouts_end_the_same_wherever_their_worker_is_killed(tmp_path: Path) -> None:
    """Of three payouts one is approved, one refused, and one nobody is asked about, at each boundary: what is approved and what is not
    asked is paid once, what is refused is never paid, and a draw is not made a second time with another outcome."""
    policy, payouts, numbers = load(LABS / "approvals" / "policy-2.yaml"), payouts_of(7), itertools.count(1)
    approved, refused, passed = _three(policy, payouts)
    with start_services("approvals", tmp_path, seed=7) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            book = f"book-{next(numbers)}"

            async def let_in() -> None:
                async with Holdfast(store) as app:
                    await app.inbox.put_person(WALKER, [APPROVER])

            _run(let_in())
            three = [payout.number for payout in (approved, refused, passed)]
            yield Site(
                config={"world": str(tmp_path), "book": book, "seed": 7, "numbers": three},
                ledger=lambda: sorted(row["subject"] for row in services.ledger() if row["subject"].startswith(f"{book}/")),
                answer=lambda asked: ("reject" if asked.args["payout"] == refused.name else "approve", None),
            )

        results = walk("some_payouts", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert result.statuses == {approved.name: "completed", refused.name: "failed", passed.name: "completed"}, result
        assert [subject.partition("/")[2] for subject in result.ledger] == sorted([approved.name, passed.name]), result
        assert sorted(result.asked) == ["call pay: approve", "call pay: reject"], result


def _three(policy: Policy, payouts: Sequence[Payout]) -> tuple[Payout, Payout, Payout]:
    """An honest payout about which a person is asked by a draw, a fraud that is large, and one that nobody is asked about."""
    asked = next(payout for payout in payouts if is_asked(policy, payout) and payout.usd <= 1000 and not payout.fraud)
    fraud = next(payout for payout in payouts if payout.fraud and payout.usd > 1000)
    return asked, fraud, next(payout for payout in payouts if not is_asked(policy, payout))
