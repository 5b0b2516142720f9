"""The lab `onboarding`, whole: its own processes, its own services, a real kill, and the ledger read a second time here."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.labs.onboarding import driver
from holdfast.labs.onboarding.check import SERVICES, Seen, check
from holdfast.labs.onboarding.story import KILLS, Story, story_of
from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.workshop import histories_in

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}
HIRES = Path(driver.__file__).with_name("hires.csv")
SEEDS = {
    next(seed for seed in range(100) if story_of(seed, HIRES).kill_at == service): service
    for service in KILLS
    if service != "orders"
}
"""A seed for each service in which the demo itself does not kill."""


def run_lab(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "onboarding", "--dir", str(directory), *words]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)


def ledger_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()]


def assert_each_hire_is_served_once(directory: Path, story: Story) -> None:
    """One row of each kind for each hire, and none for the laptop of the one flagged; each check but the silent one taken once,
    and refused the second time."""
    rows = ledger_of(directory)
    counted = Counter((row["service"], row["subject"].removesuffix("@corp.test")) for row in rows if row["service"] in SERVICES)
    expected = {(service, hire.user): 1 for service in SERVICES for hire in story.hires}
    del expected["orders", story.down.user]
    assert counted == expected
    brought = Counter((row["subject"], row["action"]) for row in rows if row["service"] == "callbacks")
    taken = {(hire.user, "delivered"): 1 for hire in story.hires if hire != story.silent}
    assert brought == taken | {(story.twice.user, "refused"): 1}


@pytest.mark.parametrize("seed", SEEDS, ids=SEEDS.get)
def test_each_hire_is_served_once_whichever_service_the_worker_is_killed_in(tmp_path: Path, seed: int) -> None:
    """Exit code 0, and the ledger, read here once more, bears it out."""
    directory = tmp_path / "lab"
    done = run_lab(directory, "--seed", str(seed))

    assert done.returncode == 0, done.stdout + done.stderr
    assert_each_hire_is_served_once(directory, story_of(seed, HIRES))


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    directory: Path
    page: str
    story: Story
    seen: Seen


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as `make demo` runs it."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    done = run_lab(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    histories = histories_in(directory / "runs.db")
    requests = json.loads((directory / "world" / "requests.json").read_text())
    ledger: Any = ledger_of(directory)
    seen = Seen(ledger=ledger, requests=requests, histories=histories, was_killed=True, was_late=True)
    return Left(directory, done.stdout, story_of(7, HIRES), seen)


@pytest.mark.xdist_group("onboarding")
def test_the_demo_serves_each_hire_once_and_shows_the_kill_and_the_doubts(left: Left) -> None:
    """The kill comes in the middle of an order; that call and the lost answer are settled by asking the shop."""
    story, page = left.story, left.page
    assert_each_hire_is_served_once(left.directory, story)
    assert story.kill_at == "orders"
    assert re.search(r"^\$ kill -9 \d+$", page, re.MULTILINE)
    assert f"{story.killed.name}, laptop: its worker was lost during the call" in page
    assert f"{story.lost.name}, laptop: POST /orders went out, and no answer came" in page
    assert page.count("its result is taken [reconcilable-happened]") >= 2
    assert [line for line in page.splitlines() if len(line) > 98 and str(left.directory) not in line] == []


@pytest.mark.xdist_group("onboarding")
def test_the_commands_that_the_demo_prints_last_end_the_two_runs_that_ask(left: Left, tmp_path: Path) -> None:
    """Pasted into a shell that stands somewhere else, the answers are taken and the runs complete."""
    pasted = [line.strip() for line in left.page.splitlines() if str(left.directory / "runs.db") in line]
    said = ""
    for command in pasted[-4:]:
        words = shlex.split(command.replace("YOUR NAME", "Ada"))
        run = subprocess.run(words, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        said += run.stdout
    assert f"{left.story.down.run_id}  completed" in said and "bought by hand" in said
    assert f"{left.story.silent.run_id}  completed" in said and "on paper" in said


@pytest.mark.xdist_group("onboarding")
def test_what_is_brought_back_is_taken_once_whenever_it_comes(left: Left) -> None:
    """Before the call had ended, while no worker was there, and twice: each run has its report, and the second was refused."""
    story = left.story
    for hire in story.hires:
        received = [entry for entry in left.seen.histories[hire.run_id] if isinstance(entry.event, e.CallbackReceived)]
        assert len(received) == (0 if hire == story.silent else 1), hire
    (silent,) = (entry.event for entry in left.seen.histories[story.silent.run_id] if isinstance(entry.event, e.Asked))
    assert (silent.about, silent.step) == ("owed", "background")


def test_a_tool_that_promises_too_much_fails_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With laptops declared idempotent, which they are not, the lost order is made twice, and the lab says so."""
    lying = tmp_path / "lying"
    lying.mkdir()
    for name in driver.FILES:
        (lying / name).write_text(HIRES.with_name(name).read_text(encoding="utf-8"), encoding="utf-8")
    tools = (lying / "tools.py").read_text(encoding="utf-8")
    assert tools.count('safety="reconcilable",\n    probe=find_order') == 1
    tools = tools.replace('safety="reconcilable",\n    probe=find_order', 'safety="idempotent",\n    probe=find_order')
    (lying / "tools.py").write_text(tools, encoding="utf-8")
    monkeypatch.setattr(driver, "_HERE", lying)

    assert driver.run(directory=tmp_path / "lab", seed=7, keep=False) == 1
    said = capsys.readouterr().out
    lost = story_of(7, HIRES).lost.name
    assert f"WRONG: {lost}: 2 rows of orders in the ledger, where 1 must be" in said


def test_a_seed_always_tells_the_same_story_and_three_different_hires_are_hit() -> None:
    """Who meets which fault follows from the seed alone; nobody is without a laptop and without a check."""
    for seed in range(50):
        story = story_of(seed, HIRES)
        assert story == story_of(seed, HIRES)
        assert len({story.lost, story.down, story.killed}) == 3
        assert len({story.early, story.late, story.twice, story.silent, story.down}) == 5


# --- the check itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def well(left: Left) -> tuple[Story, Seen]:
    """A story and a world in which all is well."""
    return left.story, left.seen


@pytest.mark.xdist_group("onboarding")
def test_the_check_is_content_with_a_world_that_is_as_it_must_be(well: tuple[Story, Seen]) -> None:
    """No problems are found where there are none."""
    assert check(*well) == []


@pytest.mark.xdist_group("onboarding")
@pytest.mark.parametrize("service", SERVICES)
def test_the_check_finds_an_effect_that_happened_twice_and_one_that_did_not_happen(
    well: tuple[Story, Seen], service: str
) -> None:
    """A row more and a row less are each told, with the hire."""
    story, seen = well
    hire = story.killed
    rows = [row for row in seen.ledger if row["service"] == service and row["subject"] in (hire.user, hire.address)]
    twice = replace(seen, ledger=[*seen.ledger, *rows])
    never = replace(seen, ledger=[row for row in seen.ledger if row not in rows])

    assert check(story, twice) == [f"{hire.name}: 2 rows of {service} in the ledger, where 1 must be"]
    assert check(story, never) == [f"{hire.name}: 0 rows of {service} in the ledger, where 1 must be"]


@pytest.mark.xdist_group("onboarding")
def test_the_check_finds_a_stranger_a_missing_kill_and_an_answer_that_was_not_lost(well: tuple[Story, Seen]) -> None:
    """What the story claims to show must have taken place."""
    story, seen = well
    stranger = replace(seen, ledger=[*seen.ledger, {**seen.ledger[0], "subject": "nobody"}])
    answered = replace(seen, requests=[{**row, "status": row["status"] or 201} for row in seen.requests])

    assert check(story, stranger) == ["the ledger has something for nobody, who is no hire"]
    assert check(story, replace(seen, was_killed=False)) == ["the worker was not killed between an effect and its answer"]
    assert check(story, replace(seen, was_late=False)) == [
        "the late background check was not brought back while no worker was there"
    ]
    assert check(story, answered) == [f"{story.lost.name}: the answer to the order was not lost, so nothing is shown about that"]


@pytest.mark.xdist_group("onboarding")
def test_the_check_finds_a_result_that_was_taken_twice_and_one_that_was_not_brought(well: tuple[Story, Seen]) -> None:
    """Deliveries and refusals are counted by the service that makes them."""
    story, seen = well
    refused = next(row for row in seen.ledger if row["action"] == "refused")
    taken = LedgerRow(**{**refused, "action": "delivered"})
    twice = replace(seen, ledger=[taken if row is refused else row for row in seen.ledger])
    never = replace(
        seen, ledger=[row for row in seen.ledger if row["service"] != "callbacks" or row["subject"] != story.late.user]
    )

    assert check(story, twice) == [
        f"{story.twice.name}: 2 background checks delivered, where 1 must be",
        f"{story.twice.name}: 0 background checks refused, where 1 must be",
    ]
    assert check(story, never) == [f"{story.late.name}: 0 background checks delivered, where 1 must be"]


@pytest.mark.xdist_group("onboarding")
def test_the_check_finds_runs_that_were_left_as_they_must_not_be(well: tuple[Story, Seen]) -> None:
    """A run that did not end, one that is not there, and a flagged one that is not flagged."""
    story, seen = well
    done, down = story.killed.run_id, story.down.run_id

    def problems_of(run_id: str, entries: Sequence[Any]) -> list[str]:
        return check(story, replace(seen, histories={**seen.histories, run_id: entries}))

    assert problems_of(done, seen.histories[done][:-1]) == [f"{done}: it is not ended, and must be completed"]
    assert problems_of(done, []) == [f"{done}: there is no such run"]
    unasked = problems_of(down, [entry for entry in seen.histories[down] if entry.sequence < 10])
    assert f"{down}: a person must be asked about the laptop; open is nothing" in unasked
    assert f"{down}: welcome is not done, although only the laptop is out of reach" in unasked
