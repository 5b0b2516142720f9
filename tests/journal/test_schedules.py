"""What stores keep of schedules: the contract, kept by each of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from holdfast.journal.base import Journal
from holdfast.journal.sqlite import SqliteJournal
from holdfast.testing.memory import MemoryJournal, MemoryStore
from holdfast.testing.schedule_suite import T0, ScheduleSuite, put


class _InMemory:
    def __init__(self) -> None:
        self._store = MemoryStore()

    async def journal(self) -> Journal:
        return MemoryJournal(self._store)


class _InFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[SqliteJournal] = []

    async def journal(self) -> Journal:
        journal = SqliteJournal(self._path)
        await journal.open()
        self._opened.append(journal)
        return journal

    async def close(self) -> None:
        for journal in self._opened:
            await journal.close()


class TestMemorySchedules(ScheduleSuite):
    @pytest.fixture
    async def store(self) -> _InMemory:
        return _InMemory()


class TestSqliteSchedules(ScheduleSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[_InFile]:
        store = _InFile(tmp_path / "store.db")
        yield store
        await store.close()


async def test_the_due_ones_are_found_without_looking_at_the_others(tmp_path: Path) -> None:
    """In SQLite the look of a worker walks indices, however many schedules there are."""
    journal = SqliteJournal(tmp_path / "store.db")
    await journal.open()
    await put(journal)
    await journal.close()
    connection = apsw.Connection(str(tmp_path / "store.db"))
    plans: list[str] = []

    def note(_: object, statement: str, values: object) -> bool:
        if "next_at" in statement and not statement.startswith("explain"):
            plans.extend(str(row) for row in connection.execute(f"explain query plan {statement}", values))  # type: ignore[arg-type]
        return True

    connection.exec_trace = note
    from holdfast.journal.sqlite import schedules

    schedules.due(connection, ["clerk"], T0, 10)
    connection.close()
    assert sum("schedules_due" in line for line in plans) == 2, plans
    assert any("schedules_waiting" in line for line in plans), plans
    assert not any("SCAN s" in line and "USING INDEX" not in line for line in plans), plans
