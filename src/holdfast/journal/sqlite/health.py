"""How a store is, in SQL: a few counts and walks of indices, or, on demand, every page and every chain."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import apsw

from holdfast.errors import HoldfastError, JournalCorrupt
from holdfast.journal import codec, retention
from holdfast.journal.keeping import LATE_MAX, LATE_SECONDS, Health, Late, StoredBatch
from holdfast.journal.sqlite.file import File, all_rows, one_row
from holdfast.journal.sqlite.rows import ENDED

# How many problems of each kind are told, and what is read in one step of looking at everything.
PROBLEMS_MAX = 20
RUNS_STEP, CONTENTS_STEP = 200, 100

_EXPIRED = (
    "select run_id, agent, lease_until, worker from runs where status = 'running' and worker <> '' and lease_until <= ?1"
    " order by lease_until limit ?3"
)
_DUE = (
    "select run_id, agent, due_at, '' from runs where due_at < ?2 and worker = '' and status {} and not imported"
    " order by due_at limit ?3"
)
_UNCLAIMED, _PARKED = _DUE.format("= 'running'"), _DUE.format("in ('waiting', 'blocked')")
_LETTERS = (
    f"select count(*) from messages m cross join runs r on r.id = m.run where m.taken_at is null and r.status not in {ENDED}"
)


async def health(file: File, now: float, deep: bool) -> Health:
    """See `Keeping.health`."""
    found = await file.read(lambda c: _looked(c, file.path, now))
    if not deep:
        return found
    problems = [*found.problems, *await file.read(_integrity)]
    problems += await _all_of(file, _chains)
    problems += await _all_of(file, _contents)
    return Health(**{name: getattr(found, name) for name in found.__struct_fields__} | {"problems": tuple(problems)})


def _looked(connection: apsw.Connection, path: str, now: float) -> Health:
    problems: list[str] = []

    def ask(what: str, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return all_rows(connection, sql, values)
        except apsw.BusyError:
            raise
        except apsw.Error as error:
            problems.append(f"{what} cannot be read: {error}")
            return []

    def count(what: str, sql: str) -> int:
        return next((int(number) for (number,) in ask(what, sql)), 0)

    def oldest(what: str, sql: str) -> float | None:
        return next((at for (at,) in ask(what, sql)), None)

    def late(what: str, sql: str) -> tuple[Late, ...]:
        rows = ask(what, sql, (now, now - LATE_SECONDS, LATE_MAX))
        return tuple(
            Late(run_id=run_id, agent=agent, since=since, seconds=now - since, worker=worker)
            for run_id, agent, since, worker in rows
        )

    return Health(
        form=count("the store's form", "pragma user_version"),
        bytes=_bytes(path),
        runs=dict(ask("the runs", "select status, count(*) from runs group by status")),
        expired=late("the claims", _EXPIRED),
        unclaimed=late("the runs that are due", _UNCLAIMED),
        parked=late("the runs that wait", _PARKED),
        oldest_owed=oldest("what is owed", "select min(since) from owed"),
        oldest_asked=oldest("what is asked", "select min(asked_at) from inbox"),
        letters=count("the mailboxes", _LETTERS),
        contents=count("the contents", "select count(*) from contents"),
        pruned=count("the proofs", "select count(*) from proofs"),
        problems=tuple(problems),
    )


def _bytes(path: str) -> int:
    """Of the file and of what lies beside it while it is in use."""
    return sum(os.path.getsize(path + end) for end in ("", "-wal") if os.path.exists(path + end))


# --- everything -------------------------------------------------------------------------------------------------------


def _integrity(connection: apsw.Connection) -> list[str]:
    """What SQLite says of the file's pages and indices."""
    try:
        rows = all_rows(connection, f"pragma integrity_check({PROBLEMS_MAX})")
    except apsw.Error as error:
        return [f"the file cannot be read as a whole: {error}"]
    return [f"the file is damaged: {' '.join(str(said).split())}" for (said,) in rows if said != "ok"]


async def _all_of(file: File, look: Any) -> list[str]:
    """What is wrong with all things of a kind, looked at in steps, so that others can read in between."""
    problems: list[str] = []
    after: Any = None
    while True:
        found, after = await file.read(partial(_step, look=look, after=after))
        problems += found
        if after is None:
            more = len(problems) - PROBLEMS_MAX
            return [*problems[:PROBLEMS_MAX], f"and {more} more like these"] if more > 0 else problems


def _step(connection: apsw.Connection, look: Any, after: Any) -> tuple[list[str], Any]:
    try:
        problems, after = look(connection, after)
    except apsw.BusyError:
        raise
    except apsw.Error as error:
        return [f"the file cannot be read further: {error}"], None
    return problems, after


def _chains(connection: apsw.Connection, after: int | None) -> tuple[list[str], int | None]:
    """What is wrong with the journals of the next runs, and where to go on."""
    problems: list[str] = []
    rows = all_rows(connection, "select id from runs where id > ? order by id limit ?", (after or 0, RUNS_STEP))
    numbers = [number for (number,) in rows]
    for number in numbers:
        try:
            _check(connection, number)
        except HoldfastError as error:
            problems.append(str(error))
    return problems, numbers[-1] if numbers else None


def _check(connection: apsw.Connection, number: int) -> None:
    """That a run's chain holds, and that the contents that its entries need are there."""
    needed: set[str] = set()
    with connection:  # One moment; it may be written at the next.
        row = one_row(connection, "select run_id, version, head from runs where id = ?", (number,))
        if row is None:
            return  # It was pruned.
        run_id, version, head = row
        codec.check_chain(run_id, _batches(connection, number, needed), version, bytes(head))
        for digest in sorted(needed):
            if one_row(connection, "select 1 from contents where digest = ?", (digest,)) is None:
                raise JournalCorrupt(f"the content {digest[:12]} is missing", run_id=run_id)


def _batches(connection: apsw.Connection, number: int, needed: set[str]) -> Iterator[StoredBatch]:
    rows = "select first, count, fence, at, body, link from batches where run = ? order by first"
    for first, count, fence, at, body, link in connection.execute(rows, (number,)):
        needed |= retention.needed(body)
        yield StoredBatch(first=first, count=count, fence=fence, at=at, body=bytes(body), link=bytes(link))


def _contents(connection: apsw.Connection, after: str | None) -> tuple[list[str], str | None]:
    """What is wrong with the next contents, and where to go on."""
    problems: list[str] = []
    last: str | None = None
    rows: Iterable[tuple[Any, ...]] = connection.execute(
        "select digest, body from contents where digest > ? order by digest limit ?", (after or "", CONTENTS_STEP)
    )
    for digest, body in rows:
        last = digest
        if codec.blob_digest(body) != digest:
            problems.append(f"the content {digest[:12]} is not what was written")
    return problems, last
