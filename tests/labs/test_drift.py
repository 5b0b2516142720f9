"""The lab `drift`, whole: its own processes, two real kills, a guest with a mind of her own, and the ledger read once more here."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from holdfast import Holdfast
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.memory import Memory
from holdfast.labs.drift.check import Seen, asked_to_pay, check, drifts, invalidated
from holdfast.labs.drift.story import KILLS, PARTY, TRIP, Story, story_of
from holdfast.labs.workshop import histories_in

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    directory: Path
    page: str
    story: Story
    seen: Seen


def memories_in(store: Path, thread: str) -> list[Memory]:
    async def read() -> list[Memory]:
        async with Holdfast(store) as app:
            return await app.memories(thread, history=True)

    return asyncio.run(read())


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as it runs when nothing else is said."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "drift", "--dir", str(directory)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    story = story_of(7)
    seen = Seen(
        ledger=[json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()],
        requests=json.loads((directory / "world" / "requests.json").read_text()),
        histories=histories_in(directory / "runs.db"),
        memories=memories_in(directory / "runs.db", story.thread),
        deaths=2,
    )
    return Left(directory, done.stdout, story, seen)


@pytest.mark.xdist_group("drift")
def test_one_room_is_paid_at_the_price_of_the_moment_and_the_others_are_given_back(left: Left) -> None:
    """Where the guest wants to go in the end; and no payment was so much as tried at another price."""
    story, rows = left.story, [row for row in left.seen.ledger if row["service"] != "models"]
    assert {row["subject"] for row in rows} == {story.guest}
    assert Counter((row["service"], row["action"], row["detail"]["town"]) for row in rows) == {
        ("rooms", "held", story.first): 2,
        ("rooms", "given back", story.first): 2,
        ("trains", "booked", story.first): 1,
        ("trains", "booked", story.town): 1,
        ("rooms", "held", story.town): 1,
        ("payments", "paid", story.town): 1,
    }
    assert [row["detail"]["usd"] for row in rows if row["service"] == "payments"] == [story.price_later]
    tried = [row["status"] for row in left.seen.requests if row["path"] == "/payments"]
    assert tried == [None]  # The worker was killed before its answer went out; nobody tried again.


@pytest.mark.xdist_group("drift")
def test_the_price_is_seen_to_have_moved_and_the_approval_of_the_old_one_is_worth_nothing(left: Left) -> None:
    """The drift is an event, and the guest is asked again."""
    assert drifts(left.seen.entries)[-1:] == [f"price_{left.story.town}"]
    assert asked_to_pay(left.seen.entries)[-2:] == [left.story.price, left.story.price_later]


@pytest.mark.xdist_group("drift")
def test_what_falls_with_a_correction_and_with_a_goal_is_named_and_nothing_else(left: Left) -> None:
    """The ticket does not rest on who travels, and does on where to."""
    party, goal = invalidated(left.seen.entries)[:2]
    assert (party.dropped, party.outdated) == (("payment_1",), ("room_1",))
    payment = fold(left.seen.entries).steps["payment_2"]
    assert (payment.phase, payment.attempt) == ("skipped", 0)
    assert {"train_1", "room_2", "price_1"} <= set(goal.outdated)


@pytest.mark.xdist_group("drift")
def test_the_result_says_what_was_given_back_and_what_is_kept(left: Left) -> None:
    """By the ids that the ledger has."""
    end = left.seen.entries[-1].event
    assert isinstance(end, e.RunCompleted)
    back = [row["detail"]["id"] for row in left.seen.ledger if row["action"] == "given back"]
    ticket = next(row["detail"]["id"] for row in left.seen.ledger if row["service"] == "trains")
    assert all(any(room in said for said in end.result["given_back"]) for room in back)
    assert [ticket in said for said in end.result["kept"]] == [True]


@pytest.mark.xdist_group("drift")
def test_the_wrong_memory_is_corrected_and_still_to_be_seen(left: Left) -> None:
    """The one in force is what the guest said."""
    party = [memory for memory in left.seen.memories if memory.name == "party"]
    assert [(memory.value["beds"], memory.holds) for memory in party] == [(2, True), (1, False)]
    assert party[0].corrected_by == left.story.guest


@pytest.mark.xdist_group("drift")
def test_the_page_is_clean_and_names_who_thinks(left: Left) -> None:
    """No line is wider than the page, but for what is to be pasted."""
    assert left.page.splitlines()[0].endswith("scripted model, seed 7")
    assert len(re.findall(r"^\$ kill -9 \d+$", left.page, re.MULTILINE)) == 2
    wide = [line for line in left.page.splitlines() if len(line) > 98 and str(left.directory) not in line]
    assert [line for line in wide if not line.startswith("What thinks:")] == []


def test_a_seed_always_tells_the_same_story() -> None:
    """Who goes where, and what is killed, follows from the seed alone; the price always moves."""
    stories = [story_of(seed) for seed in range(50)]
    assert stories == [story_of(seed) for seed in range(50)]
    assert {story.kill_at for story in stories} == set(KILLS)
    assert all(story.first != story.town and story.price != story.price_later for story in stories)


# --- the check itself ---------------------------------------------------------------------------------------------


@pytest.mark.xdist_group("drift")
def test_the_check_is_content_with_a_world_that_is_as_it_must_be(left: Left) -> None:
    """No problems are found where there are none."""
    assert check(left.story, left.seen) == []


@pytest.mark.xdist_group("drift")
def test_the_check_finds_a_second_payment_and_one_at_another_price(left: Left) -> None:
    """And a refusal, which says that somebody tried."""
    paid = next(row for row in left.seen.ledger if row["service"] == "payments")
    twice = replace(left.seen, ledger=[*left.seen.ledger, paid])
    assert check(left.story, twice)[0] == "2 payments in the ledger, where 1 must be"
    dear = {**paid, "detail": {**paid["detail"], "usd": left.story.price}}
    other = replace(left.seen, ledger=[dear if row is paid else row for row in left.seen.ledger])
    assert check(left.story, other)[0].startswith(f"paid is ${left.story.price} in {left.story.town}")
    request = next(row for row in left.seen.requests if row["path"] == "/payments")
    refused = replace(left.seen, requests=[*left.seen.requests, {**request, "status": 409}])
    assert check(left.story, refused) == ["a payment was refused with 409"]


@pytest.mark.xdist_group("drift")
def test_the_check_finds_a_room_that_is_still_held(left: Left) -> None:
    """Neither paid nor given back."""
    back = next(row for row in left.seen.ledger if row["action"] == "given back")
    held = replace(left.seen, ledger=[row for row in left.seen.ledger if row is not back])
    assert check(left.story, held) == [f"the room {back['detail']['id']} is held, and neither paid nor given back"]


@pytest.mark.xdist_group("drift")
def test_the_check_finds_a_payment_that_rests_on_an_old_price(left: Left) -> None:
    """By the times in the journal."""
    entries = [
        msgspec.structs.replace(entry, at=entry.at + 5.0)
        if isinstance(entry.event, e.CallIntended) and entry.event.tool == "pay"
        else entry
        for entry in left.seen.entries
    ]
    late = replace(left.seen, histories={**left.seen.histories, TRIP: entries})
    assert check(left.story, late) == ["the payment rests on a price that was too old"]


@pytest.mark.xdist_group("drift")
def test_the_check_finds_a_memory_that_is_still_wrong_and_kills_that_did_not_come(left: Left) -> None:
    """What the story claims to show must have taken place."""
    wrong = [memory for memory in left.seen.memories if memory.value != PARTY]
    assert "what is remembered of who travels is not what the guest said" in check(left.story, replace(left.seen, memories=wrong))
    assert check(left.story, replace(left.seen, deaths=1)) == [
        "1 workers were killed in the middle of an effect, where 2 must be"
    ]
