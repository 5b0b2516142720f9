"""What people are asked, in SQLite: one commit or nothing, indices, and stores of earlier releases."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from holdfast.core import events as e
from holdfast.errors import JournalUnavailable
from holdfast.journal.base import Release
from holdfast.journal.people import Decided, InboxFilter, JudgedFilter
from holdfast.journal.sqlite import SqliteJournal, inbox
from holdfast.journal.sqlite.file import migrations
from holdfast.testing.journal_suite import AGENT, LEASE, T0, appended, batch, create, done, held, parked
from holdfast.testing.journal_suite.inbox import asked, judged, opened
from holdfast.testing.journal_suite.standing import approval, open_call


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
async def journal(path: str) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(path)
    await journal.open()
    yield journal
    await journal.close()


def _run(path: str, sql: str) -> list[tuple[Any, ...]]:
    connection = apsw.Connection(path)
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


@pytest.mark.parametrize(
    "where",
    [
        "insert on inbox", "insert on inbox_bodies", "update on inbox", "insert on inbox_left", "delete on inbox",
        "insert on judged", "update on judged", "update on standing_approvals", "insert on messages",
    ],
)  # fmt: skip
async def test_a_commit_that_fails_anywhere_leaves_nothing_of_it(journal: SqliteJournal, path: str, where: str) -> None:
    """Whichever of its statements it is; and the same batch is written whole when it is sent again."""
    claim, head = await opened(journal, asked("q-1"), asked("q-2"))
    await journal.grant(approval())
    before = _dump(path)
    whole = batch(
        claim, head, done("b"), opened=(open_call("q-3"),), closed=("q-1",), commented=("q-2",), judged=(judged(3, interrupt="q-3"),),
        decided=(Decided(interrupt="q-3", decision="approve", at=T0),), release=parked(),
    )  # fmt: skip
    _run(path, f"create trigger broken before {where} begin select raise(abort, 'the plug was pulled'); end")
    with pytest.raises(JournalUnavailable, match="the plug was pulled"):
        await journal.append(whole)
    assert _dump(path) == before
    _run(path, "drop trigger broken")
    await appended(journal, whole)
    assert [row.interrupt for row in await journal.inbox(InboxFilter(answered=None), T0)] == ["q-2", "q-3"]
    assert [word.slot for word in await journal.messages("r")] == ["q-3"]
    assert len(await journal.claim_due("bob", [AGENT], T0 + 1, LEASE, 9)) == 1


def _dump(path: str) -> dict[str, list[tuple[Any, ...]]]:
    tables = [name for (name,) in _run(path, "select name from sqlite_master where type = 'table' and name not like '%words%'")]
    return {table: _run(path, f"select * from {table}") for table in tables}


async def test_the_lists_are_walked_by_the_index_of_their_order(journal: SqliteJournal, path: str) -> None:
    """Whatever is looked for, and on every page: nothing is sorted, and nothing is read whole."""
    await opened(journal, asked("q-1"))
    connection = apsw.Connection(path)
    plans: list[str] = []

    def note(_: object, statement: str, values: object) -> bool:
        if "order by" in statement and not statement.startswith("explain"):
            plans.append("\n".join(str(row) for row in connection.execute(f"explain query plan {statement}", values)))  # type: ignore[arg-type]
        return True

    connection.exec_trace = note
    wanted: dict[str, Any] = {
        "kind": "approval", "who": ("boss",), "search": "x", "amount_min": 1.0, "claimed": False, "person": "ann",
    }  # fmt: skip
    for order, index in (("due", "inbox_due"), ("oldest", "inbox_oldest"), ("amount", "inbox_amount")):
        for more in ({}, wanted, {"after": ("r", "q-1")}, {**wanted, "after": ("r", "q-1")}):
            plans.clear()
            inbox.listed(connection, InboxFilter(order=order, **more), T0)  # type: ignore[arg-type]
            assert f"USING INDEX {index}" in plans[-1], plans
            assert "TEMP B-TREE" not in plans[-1], plans
            waiting = [line for line in plans[-1].splitlines() if "SEARCH m " in line]
            assert len(waiting) >= 4 and all("INDEX messages_slot (run=? AND slot" in line for line in waiting), plans
    connection.close()


async def test_a_batch_that_asks_nothing_touches_no_table_of_the_inbox(journal: SqliteJournal) -> None:
    """A commit costs what it says; only a run that ends looks whether something of it is open."""
    claim, head = await held(journal, "r")
    statements: list[str] = []
    (writer, *_) = journal.file._connections

    def note(_: object, statement: str, values: object) -> bool:
        statements.append(statement)
        return True

    writer.exec_trace = note
    head = await appended(journal, batch(claim, head, done("a"), release=parked("waiting", T0 + 9)))
    ours = ("inbox", "sights", "judged", "standing_approvals")
    assert statements
    assert [one for one in statements if any(name in one for name in ours)] == []
    await appended(journal, batch(claim, head, e.RunCompleted(), release=Release(status="completed", due_at=None)))
    assert sum(any(name in one for name in ours) for one in statements) == 1


async def test_where_closed_interrupts_stood_is_known_for_a_day(journal: SqliteJournal, path: str) -> None:
    """A store that is used for years does not remember each question of it twice."""
    claim, head = await opened(journal, *(asked(f"q-{n}") for n in range(3)))
    head = await appended(journal, batch(claim, head, done("b"), at=T0, closed=("q-0",)))
    head = await appended(journal, batch(claim, head, done("c"), at=T0 + 86_400, closed=("q-1",)))
    assert _run(path, "select interrupt from inbox_left") == [("q-0",), ("q-1",)]
    await appended(journal, batch(claim, head, done("d"), at=T0 + 86_401, closed=("q-2",)))
    assert _run(path, "select interrupt from inbox_left") == [("q-1",), ("q-2",)]
    assert _run(path, "select count(*) from inbox_bodies") == [(0,)]


async def test_two_processes_use_an_approval_no_more_often_than_it_may_be(journal: SqliteJournal, path: str) -> None:
    """Runs that ask at the same moment are answered one after the other."""
    other = SqliteJournal(path)
    await other.open()
    await journal.grant(approval(uses_max=5))
    claims = [await held(journal, f"r-{n}") for n in range(20)]
    await asyncio.gather(
        *(
            (journal, other)[n % 2].append(
                batch(claim, head, done("a"), opened=(open_call(run_id=claim.run_id),), release=parked())
            )
            for n, (claim, head) in enumerate(claims)
        )
    )
    await other.close()
    assert len(await journal.mailboxes()) == 5
    assert [one.uses for one in await journal.standing_approvals()] == [5]


async def test_a_store_of_an_earlier_release_has_an_empty_inbox_and_fills_it(path: str) -> None:
    """What was asked before is in the journals of its runs; the store lists it when it is opened again."""
    connection = apsw.Connection(path)
    connection.execute("create table migrations (number integer primary key, checksum text not null) strict")
    for number, text, checksum in migrations()[:4]:
        connection.execute(text)
        connection.execute("insert into migrations values (?, ?)", (number, checksum))
        connection.pragma("user_version", number)
    connection.pragma("application_id", 0x486F6C64)
    connection.execute("insert into runs values (1,'old','clerk','d','',0,'{}','waiting','',null,0,0,x'00',1,'',0,1,1,'','',1)")
    connection.close()
    journal = SqliteJournal(path)
    await journal.open()
    assert await journal.inbox(InboxFilter(), T0) == []
    assert await journal.judged(JudgedFilter()) == []
    assert await journal.standing_approvals() == []
    await opened(journal, asked("q-1"))
    assert await journal.inbox(InboxFilter(), T0) == [asked("q-1")]
    row = await journal.row("old")
    assert row is not None
    await journal.close()


async def test_reading_rulings_leaves_the_collection_of_garbage_as_it_was(journal: SqliteJournal) -> None:
    """It is put off while they are read, and on again afterwards; where it was off it stays off."""
    await create(journal, "r")
    assert gc.isenabled()
    await journal.judged(JudgedFilter())
    assert gc.isenabled()
    gc.disable()
    try:
        await journal.judged(JudgedFilter())
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_the_first_sight_is_kept_where_two_are_noted_at_once(journal: SqliteJournal) -> None:
    """Both had looked before and found none."""
    await opened(journal, asked("q-1"))
    for at in (T0 + 5, T0 + 9):
        await journal.file.write(lambda c, at=at: inbox.saw(c, "r", "q-1", "ann", at))  # type: ignore[misc]
    assert await journal.seen_at("r", "q-1", "ann") == T0 + 5
