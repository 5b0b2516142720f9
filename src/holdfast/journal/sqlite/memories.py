"""What is remembered between runs: rows, found by line, owner and words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import apsw
import msgspec

from holdfast.core.memory import Memory, query_words
from holdfast.journal import remembering
from holdfast.journal.sqlite.file import all_rows, one_row

_FIELDS = {"text": "words", "by": "told_by"}
_NAMES = tuple(name for name in Memory.__struct_fields__)
_COLUMNS = ", ".join(_FIELDS.get(name, name) for name in _NAMES)
_SQL_OF_M = ", ".join(f"m.{_FIELDS.get(name, name)}" for name in _NAMES)
_PUT = (
    f"insert into memories ({_COLUMNS}) values ({', '.join('?' * len(_NAMES))}) on conflict (id) do update set "
    + ", ".join(f"{column} = excluded.{column}" for name in _NAMES if (column := _FIELDS.get(name, name)) != "id")
    + " returning number"
)
_json = msgspec.json.Encoder(order="deterministic").encode


class MemoryRows:
    """See `remembering.Rows`. connection: inside a transaction."""

    def __init__(self, connection: apsw.Connection):
        self._connection = connection

    def one(self, memory_id: str) -> Memory | None:
        return one(self._connection, memory_id)

    def line(self, line: str) -> list[Memory]:
        return self._where("line = ?", line)

    def owned(self, tenant: str, thread: str | None) -> list[Memory]:
        if thread is None:
            return self._where("tenant = ? and forgotten_at is null", tenant)
        return self._where("tenant = ? and thread = ? and forgotten_at is null", tenant, thread)

    def resting_on(self, tenant: str, thread: str, name: str) -> list[Memory]:
        return self._where(
            "tenant = ? and thread = ? and superseded_by = '' and forgotten_at is null and rests_on <> '[]'"
            " and exists (select 1 from json_each(rests_on) where value = ?)",
            tenant,
            thread,
            name,
        )

    def _where(self, condition: str, *values: Any) -> list[Memory]:
        rows = all_rows(self._connection, f"select {_COLUMNS} from memories where {condition} order by at, number", values)
        return [_memory(row) for row in rows]

    def put(self, memory: Memory) -> None:
        row = one_row(self._connection, _PUT, tuple(_written(name, getattr(memory, name)) for name in _NAMES))
        assert row is not None
        self._connection.execute("delete from memory_words where rowid = ?", row)
        if memory.holds:
            self._connection.execute(
                "insert into memory_words (rowid, owner, words) values (?, ?, ?)",
                (row[0], _owner(memory.tenant, memory.thread), memory.text),
            )

    def drop(self, memory: Memory) -> None:
        for row in all_rows(self._connection, "delete from memories where id = ? returning number", (memory.id,)):
            self._connection.execute("delete from memory_words where rowid = ?", row)

    def forgotten_at(self, tenant: str, thread: str) -> float | None:
        row = one_row(self._connection, "select max(at) from forgotten where tenant = ? and thread in (?, '')", (tenant, thread))
        return row[0] if row is not None else None

    def forget_owner(self, tenant: str, thread: str | None, at: float) -> None:
        self._connection.execute(
            "insert into forgotten values (?, ?, ?) on conflict (tenant, thread) do update set at = max(at, excluded.at)",
            (tenant, thread or "", at),
        )


def one(connection: apsw.Connection, memory_id: str) -> Memory | None:
    """See `Journal.memory`."""
    row = one_row(connection, f"select {_COLUMNS} from memories where id = ?", (memory_id,))
    return _memory(row) if row is not None else None


def listed(
    connection: apsw.Connection, tenant: str | None, thread: str | None, query: str | None, history: bool, limit: int
) -> list[Memory]:
    """See `Journal.memories`."""
    if query is not None:
        return _found(connection, tenant or "", thread or "", query, limit)
    rows = all_rows(
        connection,
        f"select {_COLUMNS} from memories where (?1 is null or tenant = ?1) and (?2 is null or thread = ?2)"
        " and (?3 or (superseded_by = '' and forgotten_at is null)) order by at desc, number desc limit ?4",
        (tenant, thread, history, limit),
    )
    return [_memory(row) for row in rows]


def _found(connection: apsw.Connection, tenant: str, thread: str, query: str, limit: int) -> list[Memory]:
    words = query_words(query)
    if not words:
        return []
    # Each word is quoted, so nothing of what somebody wrote is an operator; the owner's is looked up like a word.
    any_of = " OR ".join(f'"{word}"' for word in words)
    wanted = f'owner:"{_owner(tenant, thread)}" AND words:({any_of})'
    rows = all_rows(
        connection,
        f"select {_SQL_OF_M} from memory_words w join memories m on m.number = w.rowid where memory_words match ?"
        " order by bm25(memory_words, 0.0, 1.0), m.at desc, m.number desc limit ?",
        (wanted, limit),
    )
    return [_memory(row) for row in rows]


@contextmanager
def changing(connection: apsw.Connection) -> Iterator[MemoryRows]:
    """The memories of a store, to be written. What is deleted or moved is overwritten in the file and not just let go, or what
    is forgotten later would still lie where it once was."""
    connection.pragma("secure_delete", True)
    try:
        yield MemoryRows(connection)
        # The index writes what it was told at a savepoint, and otherwise at the commit, when nothing is overwritten any more.
        connection.execute("savepoint remembered; release remembered")
    finally:
        connection.pragma("secure_delete", False)


def remember(connection: apsw.Connection, memories: Iterable[Memory]) -> None:
    """Keep what a run learned."""
    with changing(connection) as rows:
        remembering.remember(memories, rows)


def correct(connection: apsw.Connection, memory_id: str, value: Any, by: str, at: float) -> Memory | None:
    """See `Journal.correct_memory`."""
    with changing(connection) as rows:
        return remembering.correct(memory_id, value, by, at, rows)


def forget(connection: apsw.Connection, by: str, at: float, memory_id: str | None, tenant: str, thread: str | None) -> int:
    """See `Journal.forget`."""
    with changing(connection) as rows:
        return remembering.forget(by, at, memory_id, tenant, thread, rows)


def _owner(tenant: str, thread: str) -> str:
    return "o" + hashlib.sha256(msgspec.json.encode([tenant, thread])).hexdigest()[:32]


def _written(name: str, value: Any) -> Any:
    return _json(value).decode() if name in ("value", "rests_on") else value


def _memory(row: tuple[Any, ...]) -> Memory:
    values = dict(zip(_NAMES, row, strict=True))
    values["value"] = msgspec.json.decode(values["value"])
    values["rests_on"] = tuple(msgspec.json.decode(values["rests_on"]))
    return Memory(**values)
