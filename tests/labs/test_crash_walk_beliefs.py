"""The labs `news`, `drift` and `second_run`, killed with SIGKILL at every boundary of their journals: the world looks the same
each time. The walks are those of `test_crash_walk`, whose hands are borrowed."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast import Holdfast
from holdfast.core.events import Asked, FinishRuled
from holdfast.core.evolve import fold
from holdfast.labs.drift.agents import letters
from holdfast.labs.drift.check import believed_at_payment
from holdfast.labs.drift.story import PARTY
from holdfast.labs.drift.story import Story as Drift
from holdfast.labs.http_call import WORLD
from holdfast.labs.second_run.agents import BEDS, CENTRE
from holdfast.labs.second_run.agents import agent as rooms
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.newsroom import STRANGER
from holdfast.labs.workshop import histories_in
from holdfast.testing.crash_walk import Site
from tests.labs.test_crash_walk import STRIDE, rows_of, walk

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash_walk_beliefs")]

WEEK_SECONDS = 7 * 86_400.0


def test_a_summary_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """Three pages that were read are cited, the first summary is refused and the second accepted, and no mail goes out: at each
    boundary the reporter obeys the page, and at each a person says no, once."""
    numbers = itertools.count(1)
    faults = {"malformed_pages": ["kites"], "empty_pages": ["sea-wall"], "planted_pages": ["price"]}
    with start_services("news", tmp_path, faults) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            number = next(numbers)

            def answer(asked: Asked) -> tuple[str, Any]:
                assert (asked.about, asked.tool, asked.args["to"]) == ("call", "send_mail", STRANGER), asked
                assert "the secret" in asked.args["text"]
                return "reject", None

            def ledger() -> dict[str, Any]:
                entries = histories_in(store)[f"news-{number}"]
                ruled = [entry.event.accepted for entry in entries if isinstance(entry.event, FinishRuled)]
                return {"sources": [one["source"] for one in fold(entries).result["stories"]], "ruled": ruled}

            yield Site(config={"world": str(tmp_path), "number": number, "desk_note": "the secret"}, ledger=ledger, answer=answer)

        results = walk("one_summary", world, tmp_path)
        mails = [row for row in services.ledger() if row["service"] == "mail"]

    assert len(results) >= 35 // STRIDE
    assert mails == []
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {"sources": ["eels", "price", "harbour"], "ruled": [False, True]}, result
        assert result.asked == ["call send_mail: reject"], result


def test_a_trip_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While what is remembered is corrected, the goal changes and the price moves: one payment, for the room with enough beds, in
    the town that is wanted in the end, at the price of the moment; each room that is not needed is given back once."""
    monkeypatch.setenv(WORLD, str(tmp_path))  # For the run that comes before the walk, in this process.
    numbers = itertools.count(1)
    with start_services("drift", tmp_path) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            story = Drift(guest=f"guest-{next(numbers)}", first="Bergen", town="Trondheim", price_later="155", kill_at="rooms")
            _remember_wrongly(store, story.guest)
            yield Site(
                config={"world": str(tmp_path), "guest": story.guest, "town": story.first},
                ledger=lambda: _came_to(services, store, story),
                answer=lambda asked: _answer(asked, services, store, story),
            )

        results = walk("one_drifting_trip", world, tmp_path)

    assert len(results) >= 50 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {
            "rooms": [("Bergen", "1"), ("Bergen", "2"), ("Trondheim", "2")],
            "given back": ["Bergen", "Bergen"],
            "trains": ["Bergen", "Trondheim"],
            "paid": [("Trondheim", "155")],
            "refused": [],
            "fresh": True,
            "kept": 1,
        }, result


def test_a_first_visit_asks_and_books_once_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """Two questions, each put once, and one booking."""
    numbers = itertools.count(1)
    with start_services("second_run", tmp_path) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            guest = f"guest-{next(numbers)}"

            def answer(asked: Asked) -> tuple[str, Any]:
                assert asked.asks is not None, asked
                return "respond", {BEDS: 2, CENTRE: "K-1"}[asked.asks.name]

            yield Site(
                config={"world": str(tmp_path), "guest": guest, "town": "Bergen", "run_id": f"one-{guest}", "later": 0.0},
                ledger=lambda: [row["detail"]["usd"] for row in rows_of(services, guest)],
                answer=answer,
            )

        results = walk("one_visit", world, tmp_path)

    assert len(results) >= 18 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == ["180"], result
        assert result.asked == ["question : respond"] * 2, result


def test_a_second_visit_asks_nothing_and_books_once_wherever_its_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week later, at the price of that day, with what was said in the first run."""
    monkeypatch.setenv(WORLD, str(tmp_path))  # For the first run, in this process.
    numbers = itertools.count(1)
    with start_services("second_run", tmp_path) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            guest = f"guest-{next(numbers)}"
            _visit(store, guest)
            services.change_price(guest, "Bergen", "210")
            yield Site(
                config={
                    "world": str(tmp_path), "guest": guest, "town": "Bergen", "run_id": f"two-{guest}", "later": WEEK_SECONDS,
                },
                ledger=lambda: [(row["detail"]["usd"], row["detail"]["cost_centre"]) for row in rows_of(services, guest)],
            )  # fmt: skip

        results = walk("one_visit", world, tmp_path)

    assert len(results) >= 15 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == [("180", "K-1"), ("210", "K-1")], result
        assert result.asked == []


# --- what came before, and what is said ---------------------------------------------------------------------------


def _remember_wrongly(store: Path, guest: str) -> None:
    """A run of the one who reads letters, in the thread of the guest."""

    async def read() -> None:
        async with Holdfast(store) as app:
            assert (await app.run(letters(guest), id=f"letters-{guest}", inputs={"guest": guest}, thread=guest)).done

    _run(read())


def _visit(store: Path, guest: str) -> None:
    """A first run of the lab `second_run`, without a crash."""

    async def book() -> None:
        async with Holdfast(store) as app:
            run_id, agent = f"one-{guest}", rooms(guest)
            run = await app.run(agent, id=run_id, inputs={"guest": guest, "town": "Bergen"}, thread=guest)
            for asked in run.questions:
                assert asked.asks is not None
                value = {BEDS: 2, CENTRE: "K-1"}[asked.asks.name]
                await app.answer(run_id, "respond", value=value, by=guest, interrupt=asked.interrupt)
            assert (await app.run(agent, id=run_id)).done

    _run(book())


def _answer(asked: Asked, services: Services, store: Path, story: Drift) -> tuple[str, Any]:
    """The guest. In the town that is not wanted in the end, the new goal comes first, and then a yes to what is not wanted any
    more: that yes must be worth nothing."""
    if asked.about == "fact":
        return "edit", {"party": PARTY}
    if asked.about == "doubt":
        paid = [row["detail"] for row in rows_of(services, story.guest) if row["service"] == "payments"]
        return ("respond", {name: paid[0][name] for name in ("id", "room", "usd")}) if paid else ("approve", None)
    assert (asked.about, asked.tool) == ("call", "pay"), asked
    run_id = f"trip-{story.guest}"

    async def change() -> None:
        async with Holdfast(store) as app:
            if (await app.state(run_id)).goal.inputs["town"] != story.town:
                await app.change_goal(run_id, "", {"town": story.town}, by=story.guest)

    if asked.args["usd"] == "180":
        _run(change())
    elif asked.args["usd"] != story.price_later:
        services.change_price(story.guest, story.town, story.price_later)
        price = fold(histories_in_thread(store)[run_id]).facts["price_Trondheim"]
        # A real worker with a real clock looks at it: there is no other way for a second to pass.
        time.sleep(max(price.at + 1.0 - time.time(), 0.0))
    return "approve", None


def _came_to(services: Services, store: Path, story: Drift) -> dict[str, Any]:
    rows = rows_of(services, story.guest)
    entries = histories_in(store)[f"trip-{story.guest}"]
    found = believed_at_payment(story, entries)
    kinds: dict[str, list[Any]] = {"held": [], "given back": [], "booked": [], "paid": []}
    for row in rows:
        detail = row["detail"]
        more = {"held": (detail["town"], detail.get("beds")), "paid": (detail["town"], detail.get("usd"))}
        kinds[row["action"]].append(more.get(row["action"], detail["town"]))
    paid = Counter(row["status"] for row in services.requests() if row["path"] == "/payments")
    return {
        "rooms": kinds["held"],
        "given back": kinds["given back"],
        "trains": kinds["booked"],
        "paid": kinds["paid"],
        "refused": [status for status in paid if status not in (201, None)],
        "fresh": found is not None and found[0].ttl_seconds is not None and found[1] <= found[0].ttl_seconds,
        "kept": len(fold(entries).result["kept"]),
    }


def _run(work: Any) -> None:
    """In a thread: a walk's person answers inside a loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def histories_in_thread(store: Path) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(histories_in, store).result()
