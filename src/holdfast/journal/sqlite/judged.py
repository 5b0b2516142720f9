"""Rulings and what came of them, in SQL: a row each, which is completed when its question is decided."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import msgspec

from holdfast.journal import inbox as rules
from holdfast.journal.base import Batch
from holdfast.journal.people import Decided, Judged, JudgedFilter
from holdfast.journal.sqlite.file import all_rows, one_row

_EQUAL = ("policy", "rule", "tool", "agent", "tenant", "run_id")
_body = msgspec.json.Decoder(Judged)


def follow(connection: apsw.Connection, batch: Batch) -> None:
    """Write what a batch says of it. A ruling that is there already, by its entry, is left as it is."""
    for ruling in batch.judged:
        connection.execute(
            "insert or ignore into judged (run_id, entry, at, policy, rule, tool, agent, tenant, interrupt, body)"
            " values (?,?,?,?,?,?,?,?,?,?)",
            (
                batch.run_id,
                ruling.entry,
                ruling.at,
                ruling.policy,
                ruling.rule,
                ruling.tool,
                ruling.agent,
                ruling.tenant,
                ruling.interrupt,
                _json(msgspec.structs.replace(ruling, run_id=batch.run_id)),
            ),
        )
    for decided in batch.decided:
        _decide(connection, batch.run_id, decided)


def _decide(connection: apsw.Connection, run_id: str, decided: Decided) -> None:
    row = one_row(
        connection,
        "select entry, body from judged where run_id = ? and interrupt = ? and interrupt <> '' order by entry desc limit 1",
        (run_id, decided.interrupt),
    )
    if row is not None:
        connection.execute(
            "update judged set body = ? where run_id = ? and entry = ?",
            (_json(rules.decided(_body.decode(row[1]), decided)), run_id, row[0]),
        )


def listed(connection: apsw.Connection, wanted: JudgedFilter) -> list[Judged]:
    """See `PeopleStore.judged`."""
    given = [(f"{name} = ?", value) for name in _EQUAL if (value := getattr(wanted, name)) is not None]
    given += [
        (condition, value) for condition, value in (("at >= ?", wanted.since), ("at < ?", wanted.until)) if value is not None
    ]
    where = f"where {' and '.join(condition for condition, _ in given)}" if given else ""
    query = f"select body from judged {where} order by at, run_id, entry limit ?"
    with _no_collection():
        rows = all_rows(connection, query, (*(value for _, value in given), max(wanted.limit, 0)))
        return [_body.decode(body) for (body,) in rows]


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage while many records are made. None of them is any, and Python would look through all of them again and
    again: for 100,000 rulings that takes three times as long as reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _json(ruling: Judged) -> str:
    return msgspec.json.encode(ruling).decode()
