"""The contract of a journal, kept by each of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from holdfast.journal.base import Journal
from holdfast.journal.sqlite import SqliteJournal
from holdfast.testing.journal_suite import JournalSuite
from holdfast.testing.memory import MemoryJournal, MemoryStore


class _InMemory:
    def __init__(self) -> None:
        self._store = MemoryStore()

    async def journal(self) -> Journal:
        return MemoryJournal(self._store)

    async def corrupt(self, run_id: str) -> bool:
        self._store.corrupt(run_id)
        return True

    async def contents(self) -> int:
        return len(self._store.contents)


class _InFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[SqliteJournal] = []

    async def journal(self) -> Journal:
        journal = SqliteJournal(self._path)
        await journal.open()
        self._opened.append(journal)
        return journal

    async def corrupt(self, run_id: str) -> bool:
        last = "select max(b.rowid) from batches b join runs r on r.id = b.run where r.run_id = ?"
        with apsw.Connection(str(self._path)) as connection:
            for (rowid,) in list(connection.execute(last, (run_id,))):
                ((body,),) = list(connection.execute("select body from batches where rowid = ?", (rowid,)))
                changed = body[:-3] + bytes([body[-3] ^ 1]) + body[-2:]
                connection.execute("update batches set body = ? where rowid = ?", (changed, rowid))
        connection.close()
        return True

    async def contents(self) -> int:
        connection = apsw.Connection(str(self._path))
        ((count,),) = list(connection.execute("select count(*) from contents"))
        connection.close()
        return int(count)

    async def close(self) -> None:
        for journal in self._opened:
            await journal.close()


class TestMemoryJournal(JournalSuite):
    @pytest.fixture
    async def store(self) -> _InMemory:
        return _InMemory()


class TestSqliteJournal(JournalSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[_InFile]:
        store = _InFile(tmp_path / "store.db")
        yield store
        await store.close()
