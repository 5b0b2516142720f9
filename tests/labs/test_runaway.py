"""The lab `runaway`, whole: four processes that would never stop, two real kills, and the ledger read a second time here."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.labs.runaway.agents import BUDGET_USD, PICTURE_USD, spends
from holdfast.labs.runaway.check import Seen, charged, check
from holdfast.labs.runaway.story import AT_ONCE, BUDGET, KILLS, NAMES, story_of
from holdfast.labs.services.office import PICTURES
from holdfast.labs.workshop import histories_in
from holdfast.testing.models import ModelServer, call
from tests.thorough import ALL

pytestmark = pytest.mark.xdist_group("runaway")

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}
OTHER_SEED = next(seed for seed in range(100) if story_of(seed).kills != story_of(7).kills)
"""A seed that kills in the other order."""


def run_lab(directory: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "runaway", "--dir", str(directory), *words]
    return subprocess.run(command, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=120, check=False)


def ledger_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()]


def assert_within_the_budget_and_once(directory: Path) -> None:
    """By the ledger, read here once more: what each paid, and that nothing was done twice."""
    rows = ledger_of(directory)
    for name in NAMES:
        paid = sum(Decimal(row["detail"].get("usd", "0")) for row in rows if row["subject"] in (name, f"scripted:{name}"))
        assert 0 < paid <= Decimal(BUDGET)
    done = Counter((row["subject"], row["key"]) for row in rows if row["service"] != "models")
    assert set(done.values()) == {1}


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    directory: Path
    page: str
    seen: Seen


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as it runs when nothing else is said."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    done = run_lab(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = Seen(
        ledger=ledger_of(directory),  # type: ignore[arg-type]
        histories=histories_in(directory / "runs.db"),
        in_flight=AT_ONCE,
        were_killed=True,
    )
    return Left(directory, done.stdout, seen)


def test_each_stops_within_its_budget_with_what_it_did_done_once(left: Left) -> None:
    """And the page says that scripts thought, and fits."""
    assert_within_the_budget_and_once(left.directory)
    assert len(re.findall(r"^\$ kill -9 \d+$", left.page, re.MULTILINE)) == 2
    assert re.match(r"holdfast lab runaway +scripted model, seed 7$", left.page.splitlines()[0])
    assert [line for line in left.page.splitlines() if len(line) > 98 and str(left.directory) not in line] == []


def test_each_says_why_it_stopped_in_words(left: Left) -> None:
    """What was going on, and not the name of a bound alone."""
    reasons = {name: left.seen.histories[name][-1].event for name in NAMES}
    assert all(isinstance(end, e.RunFailed) for end in reasons.values())
    words = " ".join(left.page.split())
    assert "4 turns of the reasoner in a row taught nothing new; the last one called refund" in words
    assert "and nothing has changed since: 422 an order has six digits" in words
    assert "taught nothing new; the last one called search: the result was known already" in words
    assert "6 plans were made, which is the limit (revisions_max), and none was seen through" in words
    assert re.search(r"the budget of \$0.50 is used up: \$0\.\d+ are spent", words)


def test_the_bill_and_the_count_are_the_same_where_nothing_was_lost(left: Left) -> None:
    """To the last place; and where an answer was lost, the count is no less."""
    for name in NAMES:
        paid, counted = charged(left.seen.ledger, name), fold(left.seen.histories[name]).spent.cost_usd
        assert paid == counted if name != "spends" else paid < counted <= BUDGET_USD


def test_the_one_that_repeats_called_twice_and_was_refused_from_then_on(left: Left) -> None:
    """The call that cannot work is made once, and never again."""
    events = [entry.event for entry in left.seen.histories["repeats"]]
    assert sum(isinstance(event, e.CallIntended) for event in events) == 2
    assert sum(isinstance(event, e.CallRefused) for event in events) == 5


def test_the_lab_ends_the_same_where_the_worker_is_killed_in_the_other_order(tmp_path: Path) -> None:
    """Exit code 0, and the ledger, read here once more, bears it out."""
    done = run_lab(tmp_path / "lab", "--seed", str(OTHER_SEED))
    assert done.returncode == 0, done.stdout + done.stderr
    assert_within_the_budget_and_once(tmp_path / "lab")


@pytest.mark.skipif(not ALL, reason="half a minute; make exhaustive does it, and test_reasoning a shorter one")
def test_a_model_of_a_provider_is_held_to_the_same_bounds(tmp_path: Path) -> None:
    """Over a socket: one that only ever orders pictures stops at its budget, the others at what they cannot do."""
    with ModelServer(lambda request: [call("draw", subject=f"page {len(request.messages)}", size="large")]) as server:
        done = run_lab(tmp_path / "lab", "--model", "anthropic:claude-sonnet-4-5", **server.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "anthropic:claude-sonnet-4-5, seed 7" in done.stdout.splitlines()[0]
    state = fold(histories_in(tmp_path / "lab" / "runs.db")["spends"])
    assert "the budget of $0.50 is used up" in state.reason and state.spent.cost_usd <= BUDGET_USD


def test_no_picture_costs_more_than_its_tool_says() -> None:
    """Else what is reserved for it would be too little."""
    assert max(PICTURES.values()) <= PICTURE_USD == spends.toolbox.contracts["draw"].cost_usd
    assert Decimal(BUDGET) == BUDGET_USD


def test_a_seed_always_tells_the_same_story() -> None:
    """In which order the kills come follows from the seed alone."""
    stories = [story_of(seed) for seed in range(50)]
    assert stories == [story_of(seed) for seed in range(50)]
    assert {story.kills for story in stories} == {KILLS, KILLS[::-1]}


# --- the check itself ---------------------------------------------------------------------------------------------


def test_the_check_is_content_with_a_world_that_is_as_it_must_be(left: Left) -> None:
    """No problems are found where there are none."""
    assert check(left.seen) == []


def test_the_check_finds_what_was_done_twice_and_what_nobody_knows_of(left: Left) -> None:
    """A row more is told with what it was, and a row less with its id."""
    row = next(row for row in left.seen.ledger if row["service"] == "refunds")
    again = {**row, "detail": {**row["detail"], "id": "refunds-other"}}
    twice = check(replace(left.seen, ledger=[*left.seen.ledger, again]))  # type: ignore[list-item]
    never = check(replace(left.seen, ledger=[other for other in left.seen.ledger if other is not row]))

    assert "repeats: refunds paid (100217) was done twice" in twice
    assert "repeats: refunds-other is in the ledger, and the run does not know of it" in twice
    assert f"repeats: {row['detail']['id']} is said to be done, and is not in the ledger" in never


def test_the_check_finds_a_bill_over_the_limit_and_one_over_the_count(left: Left) -> None:
    """A hundredth of a cent is enough."""
    row = next(row for row in left.seen.ledger if row["subject"] == "scripted:repeats")
    missing = fold(left.seen.histories["repeats"]).spent.cost_usd
    over = {**row, "detail": {**row["detail"], "usd": str(Decimal(BUDGET) - missing + Decimal("0.0001"))}}
    little = {**row, "detail": {**row["detail"], "usd": "0.0001"}}

    assert any("and the limit is $0.50" in each for each in check(replace(left.seen, ledger=[*left.seen.ledger, over])))  # type: ignore[list-item]
    problems = check(replace(left.seen, ledger=[*left.seen.ledger, little]))  # type: ignore[list-item]
    assert f"repeats: ${missing + Decimal('0.0001')} were charged, and only ${missing} counted" in problems


def test_the_check_finds_strangers_missing_kills_and_runs_that_did_not_end(left: Left) -> None:
    """What the story claims to show must have taken place."""
    seen = left.seen
    stranger = replace(seen, ledger=[*seen.ledger, {**seen.ledger[0], "subject": "nobody"}])
    short = replace(seen, histories={**seen.histories, "replans": seen.histories["replans"][:-1]})

    assert check(stranger) == ["the ledger has something for nobody, who is none of them"]
    assert check(short) == ["replans: it did not end"]
    assert check(replace(seen, were_killed=False, in_flight=9)) == [
        "a worker was not killed between what was reserved and what was settled",
        "9 calls were in flight, where 10 must be",
    ]
