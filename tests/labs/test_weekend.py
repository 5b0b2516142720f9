"""The lab `weekend`, whole: its own processes, two real kills, a cancelled run, and the ledger read a second time here."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.labs.weekend.check import Seen, check, check_planned
from holdfast.labs.weekend.story import KILLS, SCRIPT, Story, story_of
from holdfast.labs.workshop import histories_in

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}
OTHER_SEED = next(seed for seed in range(100) if story_of(seed).kill_at != story_of(7).kill_at)
"""A seed that kills in the service in which the lab itself does not."""


def run_lab(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "weekend", "--dir", str(directory), *words]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=90, check=False)


def ledger_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()]


def assert_one_room_and_one_ticket_each(directory: Path, story: Story) -> None:
    """And the last guest's room was given back."""
    counted = Counter((row["subject"], f"{row['service']} {row['action']}") for row in ledger_of(directory))
    expected = {(weekend.guest, effect): 1 for weekend in story.weekends for effect in ("hotels booked", "trains booked")}
    assert counted == expected | {(story.third.guest, "hotels cancelled"): 1}
    assert {row["detail"]["town"] for row in ledger_of(directory)} == {story.town}


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
    done = run_lab(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    story = story_of(7)
    requests = json.loads((directory / "world" / "requests.json").read_text())
    seen = Seen(
        ledger=ledger_of(directory),  # type: ignore[arg-type]
        requests=requests,
        histories=histories_in(directory / "runs.db"),
        flights_tried={weekend.run_id: 2 if weekend == story.first else 0 for weekend in story.weekends},
        were_killed=True,
    )
    return Left(directory, done.stdout, story, seen)


@pytest.mark.xdist_group("weekend")
def test_each_guest_has_one_room_and_one_ticket_for_the_town_that_had_room(left: Left) -> None:
    """Whatever was down, full or killed; and the cancelled one has no room any more."""
    assert_one_room_and_one_ticket_each(left.directory, left.story)
    assert len(re.findall(r"^\$ kill -9 \d+$", left.page, re.MULTILINE)) == 2
    assert [line for line in left.page.splitlines() if len(line) > 98 and str(left.directory) not in line] == []


@pytest.mark.xdist_group("weekend")
def test_the_page_names_what_was_replaced_skipped_and_kept(left: Left) -> None:
    """In the words of the runs' own ends."""
    assert left.page.count("completed (partial)") >= 2
    assert "replaced: hotel by book_hotel, flight by train" in left.page
    assert "taken back: hotel; stays done: train" in left.page


@pytest.mark.xdist_group("weekend")
def test_the_result_rests_on_what_was_really_booked(left: Left) -> None:
    """The recommendation has the ids that the ledger has, and says what is not as it was wanted."""
    end = left.seen.histories[left.story.first.run_id][-1].event
    assert isinstance(end, e.RunCompleted)
    booked = {row["service"]: row["detail"]["id"] for row in left.seen.ledger if row["subject"] == left.story.first.guest}
    assert {"trains": end.result["ticket"], "hotels": end.result["room"]} == booked
    assert end.result["town"] == left.story.town
    assert end.result["replaced"] == ["the flight by a train", f"{left.story.full}, which is full, by {left.story.town}"]
    assert end.result["skipped"] == ["activities: none were found"]


@pytest.mark.xdist_group("weekend")
def test_only_the_first_run_tries_to_fly(left: Left) -> None:
    """Two failures open the circuit, and it is open for all runs of the store."""
    flights = [row for row in left.seen.requests if row["path"] == "/flights"]
    assert [row["status"] for row in flights] == [503, 503]


def test_the_lab_ends_the_same_where_the_worker_is_killed_in_the_other_booking(tmp_path: Path) -> None:
    """Exit code 0, and the ledger, read here once more, bears it out."""
    directory = tmp_path / "lab"
    done = run_lab(directory, "--seed", str(OTHER_SEED))
    assert done.returncode == 0, done.stdout + done.stderr
    assert_one_room_and_one_ticket_each(directory, story_of(OTHER_SEED))


def test_a_seed_always_tells_the_same_story_and_three_different_guests_go_away() -> None:
    """Who goes, and where the kill comes, follows from the seed alone."""
    stories = [story_of(seed) for seed in range(50)]
    assert stories == [story_of(seed) for seed in range(50)]
    assert {story.kill_at for story in stories} == set(KILLS)
    assert all(len({weekend.guest for weekend in story.weekends}) == 3 for story in stories)


# --- the check itself ---------------------------------------------------------------------------------------------


@pytest.mark.xdist_group("weekend")
def test_the_check_is_content_with_a_world_that_is_as_it_must_be(left: Left) -> None:
    """No problems are found where there are none."""
    assert check(left.story, left.seen) == []


@pytest.mark.xdist_group("weekend")
@pytest.mark.parametrize("effect", ["hotels booked", "hotels cancelled", "trains booked"])
def test_the_check_finds_what_happened_twice_and_what_did_not_happen(left: Left, effect: str) -> None:
    """A row more and a row less are each told, with the guest."""
    guest = left.story.third.guest
    rows = [row for row in left.seen.ledger if f"{row['service']} {row['action']}" == effect and row["subject"] == guest]
    twice = replace(left.seen, ledger=[*left.seen.ledger, *rows])
    never = replace(left.seen, ledger=[row for row in left.seen.ledger if row not in rows])

    assert check(left.story, twice) == [f"{guest}: 2 rows of {effect} in the ledger, where 1 must be"]
    assert check(left.story, never) == [f"{guest}: 0 rows of {effect} in the ledger, where 1 must be"]


@pytest.mark.xdist_group("weekend")
def test_the_check_finds_strangers_missing_kills_and_flights_that_were_tried_again(left: Left) -> None:
    """What the story claims to show must have taken place."""
    story, seen = left.story, left.seen
    stranger = replace(seen, ledger=[*seen.ledger, {**seen.ledger[0], "subject": "nobody"}])
    tried = replace(seen, flights_tried={**seen.flights_tried, story.second.run_id: 1})

    assert check(story, stranger) == ["the ledger has something for nobody, who goes nowhere"]
    assert check(story, replace(seen, were_killed=False)) == ["a worker was not killed between an effect and its answer"]
    assert check(story, tried) == [
        f"{story.second.run_id}: 1 requests for a flight, though the first run found out that there is none"
    ]


@pytest.mark.xdist_group("weekend")
def test_the_check_finds_runs_that_were_left_as_they_must_not_be(left: Left) -> None:
    """One that did not end, and one whose recommendation rests on something else than what was booked."""
    story, seen = left.story, left.seen
    first, third = story.first.run_id, story.third.run_id
    short = {**seen.histories, first: seen.histories[first][:-1], third: seen.histories[third][:-1]}
    other = replace(seen, histories={**seen.histories, first: seen.histories[story.second.run_id]})

    assert check(story, replace(seen, histories=short)) == [f"{first}: it is not completed", f"{third}: it is not cancelled"]
    assert any("it recommends" in problem for problem in check(story, other))


# --- planned by a model -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab where a script plans."""
    directory = tmp_path_factory.mktemp("planned") / "lab"
    done = run_lab(directory, "--model", "scripted")
    assert done.returncode == 0, done.stdout + done.stderr
    story = story_of(7)
    requests = json.loads((directory / "world" / "requests.json").read_text())
    seen = Seen(
        ledger=ledger_of(directory),  # type: ignore[arg-type]
        requests=requests,
        histories=histories_in(directory / "runs.db"),
        flights_tried={story.planned.run_id: 2},
        were_killed=True,
    )
    return Left(directory, done.stdout, story, seen)


@pytest.mark.xdist_group("weekend_planned")
def test_a_planned_weekend_has_one_room_and_one_ticket(planned: Left) -> None:
    """By the ledger, read here once more, though two workers were killed."""
    guest, town = planned.story.planned.guest, planned.story.town
    rows = [row for row in planned.seen.ledger if row["subject"] == guest]
    assert Counter(f"{row['service']} {row['action']}" for row in rows) == {"hotels booked": 1, "trains booked": 1}
    assert {row["detail"]["town"] for row in rows} == {town}
    assert len(re.findall(r"^\$ kill -9 \d+$", planned.page, re.MULTILINE)) == 2
    assert [line for line in planned.page.splitlines() if len(line) > 98 and str(planned.directory) not in line] == []


@pytest.mark.xdist_group("weekend_planned")
def test_each_plan_rests_on_what_was_learned_from_the_one_before(planned: Left) -> None:
    """Three plans; each drops what has not begun, and refers to what was done."""
    events = [entry.event for entry in planned.seen.histories[planned.story.planned.run_id]]
    first, second, third = (event for event in events if isinstance(event, e.PlanAdopted))
    assert {step.id for step in first.plan.steps} >= {"towns", "hotel", "flight", "activities", "recommendation"}
    (room,) = (step for step in second.plan.steps if step.id == "hotel_2")
    assert room.args["town"] == {"$ref": "steps.towns[1].town"}
    assert {step.tool for step in third.plan.steps} == {"book_train", "recommend"}
    calls = Counter(event.tool for event in events if isinstance(event, e.CallIntended))
    assert calls["find_towns"] == 1, "what the first plan had done is not done again"


@pytest.mark.xdist_group("weekend_planned")
def test_the_page_says_who_planned_and_what_was_replaced(planned: Left) -> None:
    """The script by its name."""
    assert planned.page.splitlines()[0].endswith("scripted model, seed 7")
    assert f"replaced  the flight by a train; {planned.story.full}, which is full, by {planned.story.town}" in planned.page
    assert "skipped   activities: none were found" in planned.page


@pytest.mark.xdist_group("weekend_planned")
def test_the_check_of_a_planned_weekend_finds_what_is_wrong(planned: Left) -> None:
    """Another room, a bill over the count, an end that is none, a kill that was none."""
    story, seen, run_id = planned.story, planned.seen, planned.story.planned.run_id
    room = next(row for row in seen.ledger if row["service"] == "hotels")
    bill = next(row for row in seen.ledger if row["subject"] == SCRIPT)
    dear = {**bill, "detail": {**bill["detail"], "usd": "0.9"}}
    short = replace(seen, histories={run_id: seen.histories[run_id][:-1]})

    assert check_planned(story, seen, None) == []
    assert f"{story.planned.guest}: 2 rows of hotels booked in the ledger, where 1 must be" in check_planned(
        story, replace(seen, ledger=[*seen.ledger, room]), None
    )
    assert any(
        "and $1.00 is the limit" in each for each in check_planned(story, replace(seen, ledger=[*seen.ledger, dear]), None)
    )  # type: ignore[list-item]
    assert check_planned(story, short, None) == [f"{run_id}: it is not completed"]
    assert check_planned(story, replace(seen, were_killed=False), None) == [
        "a worker was not killed between an effect and its answer"
    ]
    assert check_planned(story, replace(seen, ledger=[*seen.ledger, room, room]), "anthropic:some")[0] == (
        f"{story.planned.guest}: 3 rooms, where one is enough"
    )


def test_a_planned_weekend_ends_the_same_where_the_worker_is_killed_in_the_other_booking(tmp_path: Path) -> None:
    """Exit code 0."""
    done = run_lab(tmp_path / "lab", "--model", "scripted", "--seed", str(OTHER_SEED))
    assert done.returncode == 0, done.stdout + done.stderr
