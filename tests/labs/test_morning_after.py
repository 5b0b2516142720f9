"""The lab `morning_after`, whole: the ledger read a second time here, the check itself, and kills at the boundaries of the fork."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import Holdfast
from holdfast.core import events as e
from holdfast.forking import Where, fork
from holdfast.labs.http_call import WORLD
from holdfast.labs.morning_after.agents import morning, night
from holdfast.labs.morning_after.check import Seen, check, payments, wrong_step
from holdfast.labs.morning_after.story import MORNING, NIGHT, WRONG, Story, story_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.bank import owed_of
from holdfast.labs.workshop import histories_in
from holdfast.replaying import as_ruled_by, replay_run
from holdfast.runner.clock import SystemClock
from holdfast.testing.crash_walk import SIDES, Side, Site, WalkResult, crash_walk
from tests.thorough import ALL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("morning_after")]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    page: str
    story: Story
    seen: Seen


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as it runs when nothing else is said."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "morning_after", "--dir", str(directory)]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()]

    async def walk() -> Any:
        async with Holdfast(directory / "runs.db") as app:
            return await replay_run(app.journal, NIGHT), await replay_run(app.journal, NIGHT, instead=as_ruled_by(morning))

    recorded, today = asyncio.run(walk())
    requests = json.loads((directory / "world" / "requests.json").read_text())
    seen = Seen(
        ledger=rows, requests=requests, histories=histories_in(directory / "runs.db"), as_recorded=recorded, as_of_today=today,
        asked_meanwhile=0, paid_at_night=2, deaths=2,
    )  # fmt: skip
    return Left(done.stdout, story_of(7), seen)


def test_the_night_is_understood_and_nobody_is_paid_twice(left: Left) -> None:
    """By the ledger, read here once more; what thinks is named as the script that it is."""
    paid = {row["subject"].rpartition("/")[2]: row["detail"]["eur"] for row in payments(left.seen.ledger)}
    assert paid == owed_of(7) and len(payments(left.seen.ledger)) == 4
    assert "scripted model, seed 7" in left.page and left.page.count("$ kill -9") == 2


def test_the_page_names_the_decision_shows_the_fork_and_puts_both_side_by_side(left: Left) -> None:
    """Each of the four commands, in the order in which a person needs them."""
    told = ["$ holdfast show settlement-night --why", 'eur = "848822.93" — from the result of convert_kyoto', "as recorded"]
    told += ["$ holdfast replay settlement-night --agent agents.py:morning", "step pay_kyoto was ready"]
    told += ["$ holdfast fork settlement-night --agent", "2 effects of settlement-night, not done again"]
    told += ["$ holdfast diff settlement-night settlement-morning", "result.eur"]
    places = [left.page.find(words) for words in told]
    assert -1 not in places and places == sorted(places), dict(zip(told, places, strict=True))


def test_by_the_agent_of_the_morning_only_the_wrong_payment_is_ruled_otherwise(left: Left) -> None:
    """One divergence: then it was called, today somebody is asked."""
    assert left.seen.as_recorded is not None and left.seen.as_recorded.agrees
    today = left.seen.as_of_today
    assert today is not None and today.divergences == 1 and today.divergence is not None
    assert today.divergence.step == wrong_step(left.seen.histories[NIGHT], "pay") == "pay_kyoto"
    assert today.divergence.recorded is not None and today.divergence.recorded.event == "call_intended"
    assert today.divergence.ruled is not None and today.divergence.ruled.event == "asked"


def test_the_check_is_content_with_a_world_that_is_as_it_must_be(left: Left) -> None:
    """No problems are found where there are none."""
    assert check(left.story, left.seen) == []


def test_the_check_finds_what_is_not_as_it_must_be(left: Left) -> None:
    """A second payment, a missing one, another amount, a request meanwhile, a key of the night, a payment that nobody approved."""
    story, seen = left.story, left.seen
    ledger, first = list(seen.ledger), payments(seen.ledger)[0]

    def said(**changes: Any) -> str:
        return "\n".join(check(story, replace(seen, **changes)))

    assert "was paid 2 times" in said(ledger=[*ledger, first])
    assert "was paid nothing" in said(ledger=[row for row in ledger if row is not first])
    wrong = {**first, "detail": {**first["detail"], "eur": "1.00"}}
    assert "was paid 1.00, where" in said(ledger=[wrong if row is first else row for row in ledger])
    assert "the day was not closed" in said(ledger=payments(ledger))
    assert "3 requests were made" in said(asked_meanwhile=3)
    assert "1 workers were killed" in said(deaths=1)
    assert "3 payments were made at night" in said(paid_at_night=3)
    assert "goes another way at no step" in said(as_of_today=seen.as_recorded)
    assert "did not fail" in said(histories={**seen.histories, NIGHT: seen.histories[NIGHT][:-1]})
    entries = seen.histories[MORNING]
    assert "no fork that completed" in said(histories={**seen.histories, MORNING: entries[:-1]})
    key = next(entry.event.key for entry in seen.histories[NIGHT] if isinstance(entry.event, e.CallIntended))
    assert "went out under a key of the night" in said(histories={**seen.histories, MORNING: _with_key(entries, key)})
    unasked = [_of_another_step(entry) for entry in entries]
    assert "nobody was asked" in said(histories={**seen.histories, MORNING: unasked})


def _with_key(entries: Any, key: str) -> list[e.Entry]:
    """The same, but the fork's last call has this key."""
    last = next(entry for entry in reversed(entries) if isinstance(entry.event, e.CallIntended))
    changed = msgspec.structs.replace(last, event=msgspec.structs.replace(last.event, key=key))
    return [changed if entry is last else entry for entry in entries]


def _of_another_step(entry: e.Entry) -> e.Entry:
    """The same, but what was asked was about something that was never called."""
    if not isinstance(entry.event, e.Asked) or entry.event.step != "close":
        return entry
    return msgspec.structs.replace(entry, event=msgspec.structs.replace(entry.event, step="convert_kyoto"))


# --- kills --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setenv(WORLD, str(tmp_path / "world"))
    with start_services("morning_after", tmp_path / "world") as services:
        yield services


def paid_on(services: Services, day: str) -> Counter[str]:
    """How often each partner was paid on a day, and how often it was closed."""
    rows = [row for row in services.ledger() if row["subject"] == day or row["subject"].startswith(f"{day}/")]
    return Counter(row["subject"].rpartition("/")[2] for row in rows)


@pytest.mark.skipif(not ALL, reason="the night is like the runs of other labs")
def test_the_night_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path, bank: Services) -> None:
    """Two payments, and the refusal; where the refused one was lost before, a person says that it did not happen."""
    days = (f"night-{number}" for number in itertools.count(1))

    @contextmanager
    def world(store: Path) -> Iterator[Site]:
        day = next(days)

        def answer(asked: e.Asked) -> tuple[str, Any]:
            # The refusal of a repeat says nothing of the call that was lost; the ledger does.
            assert (asked.about, asked.step) == ("doubt", "pay_kyoto") and WRONG not in paid_on(bank, day)
            return "reject", None

        yield Site(config={"world": str(tmp_path / "world"), "day": day}, ledger=lambda: paid_on(bank, day), answer=answer)

    results = walk("one_night", world, tmp_path, 1)
    for result in results:
        assert list(result.statuses.values()) == ["failed"], result
        assert sorted(result.ledger) == ["Carter", "Lindqvist"] and set(result.ledger.values()) == {1}, result


def test_the_morning_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path, bank: Services) -> None:
    """Four payments and one closing in all, at each boundary of the fork; a doubt is answered with a yes, which is harmless."""
    days = (f"morning-{number}" for number in itertools.count(1))

    @contextmanager
    def world(store: Path) -> Iterator[Site]:
        day = next(days)
        asyncio.run(prepare(store, day))
        config = {"world": str(tmp_path / "world"), "day": day}
        yield Site(config=config, ledger=lambda: paid_on(bank, day), answer=lambda asked: ("approve", None))

    results = walk("one_morning", world, tmp_path, 1 if ALL else 9)
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert len(result.ledger) == 5 and set(result.ledger.values()) == {1}, result


async def prepare(store: Path, day: str) -> None:
    """In a store, the run that failed at night, and its fork, which nobody has taken on. The day is part of the ids: the keys of
    calls are made from them, and all walks share one bank."""
    async with Holdfast(store) as app:
        source = f"{NIGHT}-{day}"
        failed = await app.run(night, id=source, inputs={"day": day})
        step = wrong_step(await app.history(source))
        assert failed.status == "failed" and step is not None
        await fork(
            app.journal,
            source,
            morning,
            id=f"{MORNING}-{day}",
            where=Where(before=step),
            by="Ines",
            clock_now=SystemClock().now(),
        )


def walk(factory: str, world: Callable[[Path], AbstractContextManager[Site]], stores: Path, stride: int) -> list[WalkResult]:
    """Every boundary, or some of them, on both sides."""

    def one_side(side: Side) -> list[WalkResult]:
        numbers, folder = itertools.count(1, stride), stores / side
        folder.mkdir()
        return crash_walk(
            f"tests.labs.walked:{factory}",
            lambda: world(folder / f"{next(numbers)}-{side}.db"),
            sides=[side],
            stride=stride,
            environment=ENVIRONMENT,
            folder=folder,
        )

    results = [result for side in SIDES for result in one_side(side)]
    assert len(results) >= (20 if stride == 1 else 4)
    return results


def test_who_is_paid_in_yen_is_told_by_the_arguments_and_not_by_a_name() -> None:
    """A model gives its steps names of its own."""
    intended = e.CallIntended(step="x7", attempt=1, tool="convert", key="k", args={"amount": 1, "currency": "JPY"})
    paying = e.CallIntended(step="x8", attempt=1, tool="pay", key="k", args={"partner": WRONG})
    entries = [e.Entry(1, 0.0, 1, intended), e.Entry(2, 0.0, 1, paying)]
    assert (wrong_step(entries), wrong_step(entries, "pay"), wrong_step(entries[1:])) == ("x7", "x8", None)
