"""What only the outbox in a SQLite file has: what it costs, its indices, and a store of an earlier form.

What every journal must do is in `holdfast.testing.journal_suite`, and runs in `test_contract.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from holdfast.errors import JournalCorrupt
from holdfast.journal.base import Claim, Head
from holdfast.journal.people import Notice, Person
from holdfast.journal.sqlite import SqliteJournal, notices
from holdfast.journal.sqlite.file import migrations
from holdfast.journal.telling import AHEAD_SECONDS, SWEPT_EVERY, SWEPT_MAX, is_due
from holdfast.testing.journal_suite import T0, appended, batch, held

DAY = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store will be."""
    return tmp_path / "runs.db"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteJournal]:
    """A store, open for a while."""
    journal = SqliteJournal(path)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


def rows(path: Path, query: str) -> list[Any]:
    """What lies in the file."""
    connection = apsw.Connection(str(path))
    found = list(connection.execute(query))
    connection.close()
    return found


def several(first: int, count: int, at: float = T0) -> tuple[Notice, ...]:
    """Notices, numbered."""
    return tuple(Notice(id=f"n-{number}", what="asked", run_id="r", at=at) for number in range(first, first + count))


async def tell(journal: SqliteJournal, holding: tuple[Claim, Head], told: tuple[Notice, ...]) -> None:
    """A commit of notices alone."""
    await appended(journal, batch(*holding, notices=told))


def test_when_a_notice_may_be_claimed_again() -> None:
    """From its time on, or where that is further ahead than any lease or time to try again is."""
    assert [is_due(due_at, 100.0) for due_at in (99.0, 100.0, 100.1, 100.0 + AHEAD_SECONDS)] == [True, True, False, False]
    assert is_due(100.1 + AHEAD_SECONDS, 100.0)
    assert not is_due(None, 100.0)


async def test_nothing_is_written_where_there_is_nothing_to_send(path: Path) -> None:
    """Workers ask every second; the store is not touched by that, nor is the writer waited for."""
    async with opened(path) as journal:
        holding = await held(journal, "r")
        await tell(journal, holding, several(0, 3))
        before = journal.file.commits
        assert await journal.claim_notices("mail", T0, 10.0, 9)
        assert journal.file.commits == before + 1
        for number in range(3):
            await journal.settle_notice(f"n-{number}", "mail", sent_at=T0)
        before = journal.file.commits
        for second in range(5):
            assert await journal.claim_notices("mail", T0 + second, 10.0, 9) == []
        assert journal.file.commits == before


async def test_a_channel_looks_at_what_is_too_old_once(path: Path) -> None:
    """It has no row for what it does not send, and passes over that for good."""
    async with opened(path) as journal:
        await tell(journal, await held(journal, "r"), several(0, 50))
        assert rows(path, "select count(*) from sendings") == [(0,)]
        assert await journal.claim_notices("mail", T0 + 2 * DAY, 10.0, 9) == []
        before = journal.file.commits
        assert await journal.claim_notices("mail", T0 + 2 * DAY, 10.0, 9) == []
        assert journal.file.commits == before
    assert rows(path, "select count(*) from sendings") == [(0,)]
    assert rows(path, "select name, looked_upto from channels") == [("mail", 50)]


async def test_what_was_sent_is_not_looked_at_again(path: Path) -> None:
    """However much it is: all that is asked for each second, and a claim, are found by an index or by number."""
    async with opened(path) as journal:
        await tell(journal, await held(journal, "r"), several(0, 3))
        await journal.claim_notices("mail", T0, 10.0, 9)
    connection = apsw.Connection(str(path))

    def plan_of(work: Callable[[], object]) -> list[str]:
        plan: list[str] = []

        def note(_: object, statement: str, values: Any) -> bool:
            if not statement.startswith("explain"):
                plan.extend(row[3] for row in connection.execute(f"explain query plan {statement}", values))
            return True

        connection.exec_trace = note
        work()
        connection.exec_trace = None
        return plan

    asked = plan_of(lambda: notices.is_waiting(connection, "mail", T0))
    claimed = plan_of(lambda: notices.claim(connection, "mail", T0, 10.0, 9))
    listed = plan_of(lambda: notices.listed(connection, None, 9)) + plan_of(lambda: notices.listed(connection, "r", 9))
    settled = plan_of(lambda: notices.settle(connection, "n-1", "mail", T0, None, ""))
    connection.close()
    assert sum("sendings_due (channel=? AND due_at" in line for line in asked) == 2, asked
    assert sum("sendings_due (channel=? AND due_at" in line for line in claimed) == 4, claimed
    assert any("SEARCH n USING INTEGER PRIMARY KEY (rowid>?)" in line for line in claimed), claimed
    assert any("SEARCH i USING COVERING INDEX" in line and "run_id=? AND interrupt=?" in line for line in claimed), claimed
    assert any("notices_at" in line for line in listed), listed
    assert any("notices_run (run_id=?)" in line for line in listed), listed
    scans = [line for line in asked + claimed + settled if line.startswith("SCAN") and line != "SCAN CONSTANT ROW"]
    assert scans == [], "nothing is walked from end to end"
    assert not [line for line in listed if line.startswith("USE TEMP B-TREE") and "LAST TERM" not in line], listed


async def test_old_notices_go_with_what_became_of_them_and_no_number_comes_back(path: Path) -> None:
    """So that a channel that has looked up to the last one misses none that comes after."""
    async with opened(path) as journal:
        holding = await held(journal, "r")
        await tell(journal, holding, several(0, SWEPT_EVERY - 1))
        assert len(await journal.claim_notices("mail", T0, 10.0, 1000)) == SWEPT_EVERY - 1
        await tell(journal, holding, several(1000, 1, at=T0 + 100 * DAY))
        assert rows(path, "select id from notices") == [("n-1000",)]
        assert rows(path, "select count(*) from sendings") == [(0,)]
        await journal.file.write(lambda connection: connection.execute("delete from notices"))
        await tell(journal, holding, several(2000, 1, at=T0 + 100 * DAY))
        assert rows(path, "select number from notices") == [(SWEPT_EVERY + 1,)]


async def test_so_many_old_notices_go_at_once(path: Path) -> None:
    """No commit waits for long; the others go with the next ones."""
    async with opened(path) as journal:
        holding = await held(journal, "r")
        await tell(journal, holding, several(0, SWEPT_MAX + 500))
        await tell(journal, holding, several(10_000, SWEPT_EVERY, at=T0 + 100 * DAY))
        assert rows(path, "select count(*) from notices where at < 1701000000") == [(500,)]
        await tell(journal, holding, several(20_000, SWEPT_EVERY, at=T0 + 100 * DAY))
        assert rows(path, "select count(*) from notices") == [(2 * SWEPT_EVERY,)]


async def test_a_notice_that_cannot_be_read_is_damage(path: Path) -> None:
    """It is said how it is written."""
    async with opened(path) as journal:
        await tell(journal, await held(journal, "r"), several(0, 1))
        await journal.file.write(lambda connection: connection.execute("update notices set body = '[1]'"))
        with pytest.raises(JournalCorrupt, match=r"\[1\]"):
            await journal.notices()


async def test_a_store_from_before_people_is_taken_over(path: Path) -> None:
    """It knows nobody and has told nothing, and does from now on."""
    connection = apsw.Connection(str(path))
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    for number, text, checksum in migrations()[:4]:
        connection.execute(text)
        connection.execute("insert into migrations values (?, ?)", (number, checksum))
    connection.pragma("user_version", 4)
    connection.pragma("application_id", 0x486F6C64)
    connection.close()
    async with opened(path) as journal:
        assert (await journal.people(), await journal.notices()) == ([], [])
        await journal.put_person(Person(name="ann"))
        await tell(journal, await held(journal, "r"), several(0, 1))
    async with opened(path) as journal:
        assert await journal.people() == [Person(name="ann")]
        assert len(await journal.claim_notices("mail", T0, 10.0, 9)) == 1
