"""What SQLite does of its own with what is remembered: the form of the store, what is left in the file, and crashes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.memory import Memory
from holdfast.journal.base import Batch, Journal
from holdfast.journal.sqlite import SqliteJournal
from holdfast.journal.sqlite import memories as rows
from holdfast.journal.sqlite.file import migrations
from holdfast.testing.journal_suite import T0, batch, held, parked
from holdfast.testing.journal_suite.memories import ended, memory
from holdfast.testing.memory import MemoryJournal
from tests.journal.test_sqlite import environment, opened


def seen(path: Path, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """What another program sees in the file."""
    connection = apsw.Connection(str(path))
    try:
        return list(connection.execute(sql, values))
    finally:
        connection.close()


# --- the form of the store --------------------------------------------------------------------------------------------


def before_memories(path: Path) -> None:
    """A store of the third form, with a run in it, as the release that knew no memory left it."""
    connection = apsw.Connection(str(path))
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    for number, text, checksum in migrations()[:3]:
        connection.execute(text)
        connection.execute("insert into migrations values (?, ?)", (number, checksum))
    connection.pragma("user_version", 3)
    connection.execute("insert into secret values (1, ?)", (b"s" * 32,))
    connection.pragma("application_id", 0x486F6C64)
    connection.close()


async def test_a_store_from_before_memories_is_taken_over(tmp_path: Path) -> None:
    """It keeps what it has, its secret too, and remembers from now on."""
    path = tmp_path / "runs.db"
    before_memories(path)
    async with opened(path) as journal:
        assert await journal.secret() == b"s" * 32
        assert await journal.memories() == []
        await ended(journal, "r", memory("r", "city", "Oslo"))
        assert [one.value for one in await journal.memories("", "ann", query="oslo")] == ["Oslo"]
    assert seen(path, "pragma user_version") == [(len(migrations()),)]
    async with opened(path) as journal:
        assert [one.value for one in await journal.memories()] == ["Oslo"]


async def test_many_processes_take_such_a_store_over_at_once(tmp_path: Path) -> None:
    """One of them changes its form."""
    path = tmp_path / "runs.db"
    before_memories(path)
    journals = [SqliteJournal(path) for _ in range(4)]
    await asyncio.gather(*(journal.open() for journal in journals))
    assert [await journal.memories() for journal in journals] == [[]] * 4
    for journal in journals:
        await journal.close()
    assert seen(path, "pragma integrity_check") == [("ok",)]


# --- what is looked at ------------------------------------------------------------------------------------------------


async def test_memories_are_found_without_looking_at_those_of_others(tmp_path: Path) -> None:
    """A line, an owner and words are looked up in an index, however much is remembered in the store."""
    path = tmp_path / "runs.db"
    async with opened(path) as journal:
        await ended(journal, "r", memory("r", "city", "Oslo"))
    connection = apsw.Connection(str(path))
    plans: list[str] = []

    def note(_: object, statement: str, values: Any) -> bool:
        if statement.startswith(("select", "insert")) and "values" not in statement:
            plans.extend(str(row) for row in connection.execute(f"explain query plan {statement}", values))
        return True

    connection.exec_trace = note
    known = rows.MemoryRows(connection)
    known.line("x")
    known.owned("", "ann")
    known.owned("", None)
    known.resting_on("", "ann", "city")
    known.one("m-1")
    rows.listed(connection, "", "ann", "oslo", False, 10)
    connection.close()
    scans = [line for line in plans if "SCAN" in line and "VIRTUAL TABLE" not in line and "json_each" not in line]
    assert plans and not scans, plans
    assert any("memories_line" in line for line in plans) and any("memories_owner" in line for line in plans), plans


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_text_may_be_asked_for_and_both_stores_find_the_same(tmp_path: Path, texts: list[str]) -> None:
    """The words of what is remembered find it, and no query is an error."""

    async def go() -> None:
        path = Path(tempfile.mkdtemp(dir=tmp_path)) / "runs.db"
        async with opened(path) as file:
            stores: list[Journal] = [file, MemoryJournal()]
            for journal in stores:
                await ended(journal, "r", *(memory("r", f"n{number}", text) for number, text in enumerate(texts)))
            for query in texts:
                found = [{one.name for one in await journal.memories("", "ann", query=query)} for journal in stores]
                assert found[0] == found[1], query

    asyncio.run(go())


# --- what is left -----------------------------------------------------------------------------------------------------


async def test_what_was_forgotten_is_nowhere_in_the_file(tmp_path: Path) -> None:
    """Neither the value nor its words nor its name, once the log is moved into the file: superseded ones too."""
    path = tmp_path / "runs.db"
    async with opened(path) as journal:
        for number in range(30):
            await ended(journal, f"r{number}", memory(f"r{number}", "peculiarity", f"xylophonist{number}", at=T0 + number))
        await ended(journal, "kept", memory("kept", "city", "Ouagadougou"))
        (one,) = await journal.memories("", "ann", query="xylophonist29")
    held_before = path.read_bytes()
    assert b"xylophonist29" in held_before and b"peculiarity" in held_before
    async with opened(path) as journal:
        assert await journal.forget("ann", T0 + 99, memory_id=one.id) == 21
    held_now = path.read_bytes()
    for word in (b"xylophonist2", b"peculiarity", b"xylophonist10"):
        assert word not in held_now, word
    assert b"Ouagadougou" in held_now
    assert seen(path, "insert into memory_words (memory_words) values ('integrity-check')") == []
    assert seen(path, "select count(*) from memory_words") == [(1,)]


# --- crashes ----------------------------------------------------------------------------------------------------------

ENDING = """
import asyncio, sys
from holdfast.core import events as e
from holdfast.journal.sqlite import SqliteJournal
from holdfast.testing.journal_suite import batch, held, parked
from tests.journal.test_memories import leaves

async def main():
    journal = SqliteJournal(sys.argv[1])
    await journal.open()
    for number in range(10_000):
        claim, head = await held(journal, f"r{number}")
        print(number, flush=True)
        await journal.append(leaves(claim, head))

asyncio.run(main())
"""


def leaves(claim: Any, head: Any) -> Batch:
    """The end of a run, and the three things that it leaves behind."""
    learned: tuple[Memory, ...] = tuple(
        memory(claim.run_id, f"{name} of {claim.run_id}", "x" * size) for name, size in (("a", 10), ("b", 3000), ("c", 1))
    )
    return batch(claim, head, e.RunCompleted(), memories=learned, release=parked("completed"))


@pytest.mark.parametrize("moment", range(6))
async def test_a_killed_worker_left_a_memory_for_each_run_that_ended_and_for_no_other(tmp_path: Path, moment: int) -> None:
    """SIGKILL while runs end one after the other: the end and what is remembered are there together or not at all; whoever
    ends the last one again leaves nothing twice."""
    path = tmp_path / "runs.db"
    worker = subprocess.Popen(
        [sys.executable, "-c", ENDING, str(path)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert worker.stdout is not None
    draw = random.Random(moment)
    for _ in range(draw.randint(3, 40)):
        assert await asyncio.to_thread(worker.stdout.readline), worker.stderr and worker.stderr.read()
    for _ in range(draw.randint(0, 2_000)):
        os.getpid()  # A moment more, of a length that the seed says.
    worker.send_signal(signal.SIGKILL)
    worker.communicate()

    async with opened(path) as journal:
        for row in await journal.rows(limit=100_000):
            kept = [one for one in await journal.memories(history=True, limit=100_000) if one.run_id == row.run_id]
            assert len(kept) == (3 if row.status == "completed" else 0), row
        for row in await journal.rows(status="running"):
            claim = await journal.claim(row.run_id, "other", T0 + 1000, 10.0)
            assert claim is not None
            await journal.append(leaves(claim, (await journal.read(row.run_id)).head))
        count = len(await journal.rows(limit=100_000))
        kept = await journal.memories(history=True, limit=100_000)
        assert len(kept) == len({one.id for one in kept}) == 3 * count
        assert {row.status for row in await journal.rows(limit=100_000)} == {"completed"}


async def test_the_end_of_a_run_that_remembers_nothing_costs_nothing_more(tmp_path: Path) -> None:
    """No statement about memories is executed for it."""
    async with opened(tmp_path / "runs.db") as journal:
        claim, head = await held(journal, "r")
        executed: list[str] = []

        def watch(connection: apsw.Connection) -> None:
            connection.exec_trace = lambda _, sql, __: not executed.append(sql)

        await journal.file.write(watch)
        await journal.append(batch(claim, head, e.RunCompleted(), release=parked("completed")))
    assert not [sql for sql in executed if "memor" in sql], executed
