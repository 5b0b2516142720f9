"""The lab `forty_seven`, whole: its own processes, three real kills, 47 wake-ups, and the ledger read a second time here."""

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
from holdfast.labs.forty_seven import driver
from holdfast.labs.forty_seven.check import Seen, came_to, check, wake_ups
from holdfast.labs.forty_seven.story import WAKE_UPS, Story, run_id, story_of
from holdfast.labs.workshop import histories_in
from tests.thorough import ALL

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}
CUSTOMERS = Path(driver.__file__).with_name("customers.csv")


def run_lab(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "forty_seven", "--dir", str(directory), *words]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False)


def ledger_of(world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world / "ledger.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    directory: Path
    page: str
    story: Story
    seen: Seen


# One process tells the story for all of them.
pytestmark = pytest.mark.xdist_group("forty_seven")


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as it runs when nothing else is said."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    done = run_lab(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = Seen(
        ledger=ledger_of(directory / "world"),  # type: ignore[arg-type]
        naive=ledger_of(directory / "naive"),  # type: ignore[arg-type]
        requests=json.loads((directory / "world" / "requests.json").read_text()),
        histories=histories_in(directory / "runs.db"),
        were_killed=True,
    )
    return Left(directory, done.stdout, story_of(7, CUSTOMERS), seen)


def test_a_customer_gets_one_mail_in_forty_seven_wake_ups_and_a_second_one_only_on_purpose(left: Left) -> None:
    """Nobody who has answered; two to the one whose first mail never showed, under two keys."""
    story = left.story
    counted = Counter(row["subject"] for row in ledger_of(left.directory / "world"))
    expected = {customer.name: 1 for customer in story.everybody} | {story.unseen.name: 2}
    del expected[story.answered.name]
    assert counted == expected
    keys = [row["key"] for row in left.seen.ledger]
    assert len(set(keys)) == len(keys)


def test_a_plain_function_sends_forty_seven(left: Left) -> None:
    """The same services, the same customers, and no holdfast."""
    counted = Counter(row["subject"] for row in ledger_of(left.directory / "naive"))
    assert counted == {c.name: WAKE_UPS for c in left.story.customers if c != left.story.answered}


def test_every_wake_up_that_does_not_mail_says_why(left: Left) -> None:
    """It was suppressed, or there was nothing to do; together they are all that there were."""
    for customer in left.story.customers:
        counted = wake_ups(left.story, left.seen, customer)
        assert counted["unclear"] == 0
        assert sum(counted.values()) == WAKE_UPS
    assert wake_ups(left.story, left.seen, left.story.answered) == {"nothing to do": WAKE_UPS}


def test_the_page_shows_three_kills_a_suppression_and_the_second_follow_up(left: Left) -> None:
    """And no line is wider than the page."""
    assert len(re.findall(r"^\$ kill -9 \d+$", left.page, re.MULTILINE)) == 3
    assert "not made: it would repeat" in left.page
    assert "[late-repeat]" in left.page and "[late-ask]" in left.page
    assert [line for line in left.page.splitlines() if len(line) > 98 and str(left.directory) not in line] == []


def test_the_run_in_turns_mails_once_though_its_plan_has_forty_seven_mails(left: Left) -> None:
    """The second is suppressed while the first is not to be seen; when it is, it counts for all of them."""
    events = [entry.event for entry in left.seen.histories[f"turns-{left.story.in_turns.name}"]]
    sent = [event for event in events if isinstance(event, e.CallIntended) and event.step.startswith("mail")]
    held = [event.step for event in events if isinstance(event, e.FollowUpSuppressed)]
    assert len(sent) == 1
    assert held == ["mail_2"]
    assert sum(isinstance(event, e.ReuseRuled) for event in events) == WAKE_UPS - 1


def test_a_wake_up_after_the_deadline_is_suppressed_by_the_second_follow_up(left: Left) -> None:
    """The mail that was sent on purpose is owed in its turn; nobody takes the first one's place meanwhile."""
    late = left.seen.histories[run_id(WAKE_UPS, left.story.unseen)]
    again = left.seen.histories[run_id(1, left.story.unseen)]
    (repeated,) = (entry.at for entry in again if isinstance(entry.event, e.PendingRuled) and entry.event.action == "repeat")
    assert late[0].at > repeated
    assert came_to(late) in ("suppressed", "nothing to do")  # The latter where the machine was slow, and the CRM shows it.


@pytest.mark.skipif(not ALL, reason="make exhaustive plays another seed too")
def test_the_lab_ends_the_same_with_another_seed(tmp_path: Path) -> None:
    """Other customers in other parts."""
    directory = tmp_path / "lab"
    done = run_lab(directory, "--seed", "8")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_seed_always_tells_the_same_story_and_the_parts_go_to_different_customers() -> None:
    """Who has answered, whose mail never shows, and who is killed follows from the seed alone."""
    for seed in range(50):
        story = story_of(seed, CUSTOMERS)
        assert story == story_of(seed, CUSTOMERS)
        assert len({story.killed, story.answered, story.unseen, story.unseen_key}) == 4
        assert (story.unseen.tier, story.unseen_key.tier) == ("standard", "key")


# --- the check itself ---------------------------------------------------------------------------------------------


def test_the_check_is_content_with_a_world_that_is_as_it_must_be(left: Left) -> None:
    """No problems are found where there are none."""
    assert check(left.story, left.seen) == []


def test_the_check_finds_a_mail_too_many_and_one_too_few(left: Left) -> None:
    """With the customer; and that a repeat went out under the same key."""
    story, seen, name = left.story, left.seen, left.story.killed.name
    row = next(row for row in seen.ledger if row["subject"] == name)
    twice = check(story, replace(seen, ledger=[*seen.ledger, row]))
    never = check(story, replace(seen, ledger=[other for other in seen.ledger if other is not row]))

    assert twice == [
        f"{name}: 2 mails in the ledger, where 1 must be",
        f"{name}: two mails went out under one key, so that one of them was not intended",
    ]
    assert never == [f"{name}: 0 mails in the ledger, where 1 must be"]


def test_the_check_finds_a_kill_that_was_none_and_a_plain_function_that_was_careful(left: Left) -> None:
    """What the story claims to show must have taken place."""
    story, seen, name = left.story, left.seen, left.story.killed.name
    row = next(row for row in seen.naive if row["subject"] == name)
    careful = replace(seen, naive=[other for other in seen.naive if other is not row])

    assert check(story, replace(seen, were_killed=False)) == [
        "a worker was not killed in the middle of a mail, or while one was not to be seen"
    ]
    assert check(story, careful) == [
        f"{name}: the plain function sent {WAKE_UPS - 1} mails, where {WAKE_UPS} were to be expected"
    ]


def test_the_check_finds_wake_ups_and_questions_that_were_not_there(left: Left) -> None:
    """A wake-up without a run, and nobody asked about the key account."""
    story, seen = left.story, left.seen
    missing = run_id(5, story.killed)
    fewer = {name: entries for name, entries in seen.histories.items() if name != missing}
    unasked = {name: entries for name, entries in seen.histories.items() if name != run_id(1, story.unseen_key)}

    assert check(story, replace(seen, histories=fewer)) == [f"{story.killed.name}: 1 wake-ups came to nothing that is known"]
    assert any("a person must be asked once" in problem for problem in check(story, replace(seen, histories=unasked)))
