"""Reading a store: which runs, how many, and what is said of the rest."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from holdfast.core import events as e
from holdfast.core.plan import Goal
from holdfast.journal.base import Journal, NewRun
from holdfast.journal.keeping import Adopted
from holdfast.journal.sqlite import SqliteJournal
from holdfast.monitors import Settings, Watch, findings, for_doctor, look, notices, tripped
from holdfast.monitors.catalog import NAMES
from holdfast.monitors.looking import _chosen
from holdfast.monitors.settings import Own
from holdfast.testing.memory import MemoryJournal
from tests.monitors.fleet import DAY, EARLIER, NOW, RECENT, WINDOW
from tests.monitors.stored import CONTRACT, ended
from tests.thorough import ALL


@pytest.fixture(params=["memory", "file"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """Both stores."""
    made: Journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "runs.db")
    await made.open()
    yield made
    await made.close()


async def test_what_changed_in_the_window_and_the_past_is_read(journal: Journal) -> None:
    """What is older is not; of the rest, an agent's alone where one is named."""
    await ended(journal, "new", RECENT, result=None)
    await ended(journal, "old", EARLIER)
    await ended(journal, "ancient", NOW - 90 * DAY)
    await ended(journal, "other", RECENT, agent="other", result=None)
    seen = await Watch(journal).see(NOW)
    assert {run.run_id for run in seen.runs} == {"new", "old", "other"} and seen.changed == 3 and not seen.cut
    assert [one.about for one in await findings(journal, NOW)] == ["new", "other"]
    assert [one.about for one in (await look(journal, NOW, agent="other")).findings] == ["other"]


async def test_a_check_gets_the_result_to_look_at(journal: Journal) -> None:
    """Only of agents that have one is it kept."""
    await ended(journal, "r", RECENT, result={"total": 0})
    settings = Settings(agents={"invoices": Own(check="result.total > 0")})
    (found,) = (await look(journal, NOW, settings)).findings
    assert found.monitor == "goal_check_fails"
    assert (await Watch(journal).see(NOW)).runs[0].document is None


async def test_a_run_that_is_due_and_taken_by_nobody_is_found(journal: Journal) -> None:
    """As the store says it; not within the grace, and not of another agent."""
    begun = e.RunStarted(run_id="r", agent="invoices", goal=Goal(text="do"), contracts=(CONTRACT,))
    await journal.create(NewRun(run_id="r", agent="invoices", goal_digest="g"), (begun,), NOW - 7200)
    (found,) = await findings(journal, NOW)
    assert (found.monitor, found.about, found.level) == ("parked_past_deadline", "r", "broken")
    assert "no worker has taken it, 2h ago" in found.what
    assert await findings(journal, NOW - 7000) == ()
    assert (await look(journal, NOW, agent="other")).findings == ()


async def test_more_runs_than_the_limit_are_cut_and_said_so(journal: Journal) -> None:
    """Half of the limit goes to the window, and half to the past."""
    for number in range(6):
        await ended(journal, f"n{number}", RECENT + number, steps=1)
        await ended(journal, f"o{number}", EARLIER + number, steps=1)
    report = await look(journal, NOW, limit=4)
    assert (report.runs, report.of, report.cut) == (4, 12, True)
    seen = await Watch(journal).see(NOW, limit=4)
    assert {run.run_id for run in seen.runs} == {"n5", "n4", "o5", "o2"}
    assert not (await look(journal, NOW, limit=12)).cut


@pytest.mark.parametrize(
    ("now", "past", "limit", "taken"),
    [(10, 10, 8, (4, 4)), (2, 10, 8, (2, 6)), (10, 2, 8, (6, 2)), (3, 3, 8, (3, 3)), (5, 0, 1, (1, 0))],
)
def test_what_one_does_not_need_the_other_has(now: int, past: int, limit: int, taken: tuple[int, int]) -> None:
    """The newest of the window; of the past, some of all of it."""

    class Row:
        def __init__(self, at: float) -> None:
            self.changed_at = at

    rows: list[Any] = [*(Row(NOW - n) for n in range(now)), *(Row(EARLIER - n) for n in range(past))]
    chosen = _chosen(rows, WINDOW, limit)
    assert (sum(row.changed_at > EARLIER for row in chosen), sum(row.changed_at <= EARLIER for row in chosen)) == taken
    assert len(set(map(id, chosen))) == len(chosen)


async def test_what_came_from_another_store_is_left_out(journal: Journal) -> None:
    """An imported run is only looked at here."""
    other = MemoryJournal()
    await ended(other, "theirs", RECENT, result=None)
    batches = tuple(await other.batches("theirs"))
    taken = Adopted(
        run_id="theirs", agent="invoices", goal_digest="g", batches=batches, status="completed", fence=1, created_at=RECENT,
        changed_at=RECENT, imported=True, contents=dict(other.store.contents),
    )  # fmt: skip
    assert await journal.adopt(taken)
    assert (await look(journal, NOW)).runs == 0


async def test_a_run_that_has_ended_is_read_once(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks again and again reads what is new; one that goes on is read each time it changed."""
    await ended(journal, "r", RECENT)
    read: list[str] = []
    whole = journal.read

    async def noted(run_id: str, *more: Any) -> Any:
        read.append(run_id)
        return await whole(run_id, *more)

    monkeypatch.setattr(journal, "read", noted)
    watch = Watch(journal)
    for _ in range(3):
        await watch.look(NOW)
    assert read == ["r"]
    await ended(journal, "s", RECENT)
    read.clear()
    await watch.look(NOW)
    assert read.count("r") == 0 and "s" in read


async def test_a_broken_journal_stops_nobody(tmp_path: Path) -> None:
    """It is named, and the others are judged."""
    journal = SqliteJournal(tmp_path / "runs.db")
    await journal.open()
    await ended(journal, "bad", RECENT)
    await ended(journal, "good", RECENT, result=None)
    apsw.Connection(str(tmp_path / "runs.db")).execute(
        "update batches set body = zeroblob(9) where run = (select id from runs where run_id = 'bad')"
    )
    report = await look(journal, NOW)
    assert (report.unreadable, [one.about for one in report.findings]) == (("bad",), ["good"])
    await journal.close()


async def test_a_finding_is_told_once(journal: Journal) -> None:
    """Its notice has its id, so a store that knows it keeps the first."""
    await ended(journal, "r", RECENT, result=None)
    found = await findings(journal, NOW)
    await journal.tell(notices(found, NOW))
    await journal.tell(notices(found, NOW + 60))
    (sending,) = await journal.claim_notices("hook", NOW + 61, 60.0, 10)
    notice = sending.notice
    assert (notice.id, notice.what, notice.run_id, notice.at) == ("monitor/empty_result/r", "found", "r", NOW)
    assert notice.body["level"] == "broken" and notice.body["evidence"][0] == {
        "what": "the result is empty",
        "run": "r",
        "step": "",
        "entry": 9,
    }
    assert notice.body["reason"].startswith("r: it completed with an empty result")


async def test_a_gauge_goes_back_to_nothing() -> None:
    """Each monitor has its number, also where it is quiet."""
    journal = MemoryJournal()
    await ended(journal, "r", RECENT, result=None)
    counts = tripped(await findings(journal, NOW))
    assert counts == dict.fromkeys(NAMES, 0) | {"empty_result": 1}


async def test_doctor_hears_of_a_monitor_once() -> None:
    """However many runs it is about; what waits too long it says itself."""
    journal = MemoryJournal()
    for name in ("a", "b", "c"):
        await ended(journal, name, RECENT, result=None)
    begun = e.RunStarted(run_id="r", agent="invoices", goal=Goal(text="do"), contracts=(CONTRACT,))
    await journal.create(NewRun(run_id="r", agent="invoices", goal_digest="g"), (begun,), NOW - 7200)
    (found,) = for_doctor(await findings(journal, NOW))
    assert (found.level, found.name, found.hint) == ("broken", "empty_result", "holdfast monitors")
    assert found.what.startswith("a: it completed") and found.what.endswith("(and 2 more like it)")


async def test_a_thousand_runs_are_read_in_time(tmp_path: Path) -> None:
    """1,000 ended runs of 30 entries: well under two seconds on two cores (0.5 s when this was written)."""
    count = 1000 if ALL else 30
    journal = SqliteJournal(tmp_path / "runs.db")
    await journal.open()
    for number in range(count):
        await ended(journal, f"r{number}", RECENT + number / 1000, steps=14)
    began = time.perf_counter()
    report = await look(journal, NOW)
    assert report.runs == count
    assert time.perf_counter() - began < 4.0 * count / 1000 + 0.5
    await journal.close()
