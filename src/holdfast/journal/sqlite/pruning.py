"""Runs that are forgotten, and the contents that nobody refers to any more, in SQL.

A run goes in one transaction: its rows, its proof, and a note of the contents that it referred to (`loose`). Which of these go as
well is found afterwards, beside the writer: every batch and content that is left is read once, in steps, for what it refers to.
The transaction that deletes them looks at the batches that were written since, and does nothing where somebody else deleted
anything meanwhile (`prunings`). So a crash, or a race that was lost, leaves contents that the next pruning finds in `loose`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import apsw

from holdfast.journal import retention
from holdfast.journal.base import ENDED
from holdfast.journal.keeping import Proof
from holdfast.journal.sqlite.contents import content_of, prunings
from holdfast.journal.sqlite.file import File, all_rows, one_row
from holdfast.journal.sqlite.rows import ENDED as ENDED_IN_SQL
from holdfast.journal.sqlite.rows import PROOF, proof_of, proof_row

# What one transaction deletes, so that nobody waits long: entries, beyond which no further run is taken; and bytes of contents.
ENTRIES_MAX = 1_000
BYTES_MAX = 2_000_000
# How long the store is left to others after each of these: a writer of another process that finds it taken asks again only now
# and then, and would mostly find the next one of these in its way.
PAUSE_SECONDS = 0.02
# What is read in one step, and how many contents are judged at once: their digests are held in memory.
BATCHES_READ, CONTENTS_READ = 2_000, 100
JUDGED_MAX = 20_000
# How often it is begun anew where others prune at the same time.
TRIES_MAX = 5

# The tables with rows of a run: by its number, and by its id. Others go with these rows.
_BY_NUMBER = ("slots", "checkpoints", "owed", "messages", "tokens", "batches")
_BY_ID = ("inbox", "inbox_left", "judged", "notices")


async def prune(file: File, run_ids: Iterable[str], by: str, at: float) -> list[Proof]:
    """See `Keeping.prune`."""
    found: list[Proof] = []
    waiting = list(dict.fromkeys(run_ids))
    while waiting:
        proofs, waiting = await file.write(partial(_forget, run_ids=waiting, by=by, at=at))
        found += proofs
        if waiting:
            await asyncio.sleep(PAUSE_SECONDS)
    for _ in range(TRIES_MAX):
        if await _sweep(file):
            break
    return found


def proofs(connection: apsw.Connection, run_ids: list[str] | None) -> list[Proof]:
    """See `Keeping.proofs`."""
    if run_ids is None:
        rows = all_rows(connection, f"select {PROOF} from proofs order by pruned_at desc, run_id desc")
        return [proof_row(row) for row in rows]
    found = (proof_of(connection, run_id) for run_id in set(run_ids))
    return sorted(
        (proof for proof in found if proof is not None), key=lambda proof: (proof.pruned_at, proof.run_id), reverse=True
    )


# --- runs -------------------------------------------------------------------------------------------------------------


def _forget(connection: apsw.Connection, run_ids: list[str], by: str, at: float) -> tuple[list[Proof], list[str]]:
    """Forget the first of these runs, and which of them are left to be forgotten."""
    found: list[Proof] = []
    entries = 0
    with _overwriting(connection):
        for place, run_id in enumerate(run_ids):
            if entries >= ENTRIES_MAX:
                return found, run_ids[place:]
            number = _may_go(connection, run_id, at)
            if number is not None:
                found.append(_forget_one(connection, run_id, number, by, at))
                entries += found[-1].version
    return found, []


def _may_go(connection: apsw.Connection, run_id: str, at: float) -> int | None:
    """The number of a run that may be forgotten. Not one that goes on or that somebody waits for, nor one that holds a place
    beyond its end: that place keeps others from doing what it did."""
    row = one_row(connection, "select id, status, parent from runs where run_id = ?", (run_id,))
    if row is None or row[1] not in ENDED:
        return None
    number, _, parent = row
    waits = f"select 1 from runs where run_id = ? and status not in {ENDED_IN_SQL} and not imported"
    if parent and one_row(connection, waits, (parent,)) is not None:
        return None
    if one_row(connection, "select 1 from slots where run = ? and until > ?", (number, at)) is not None:
        return None
    return int(number)


def _forget_one(connection: apsw.Connection, run_id: str, number: int, by: str, at: float) -> Proof:
    said: set[str] = set()
    for (body,) in connection.execute("select body from batches where run = ?", (number,)):
        said |= retention.mentioned(body)
    loose = retention.closure(said, lambda digest: content_of(connection, digest))
    connection.executemany("insert or ignore into loose values (?)", [(digest,) for digest in loose])
    connection.execute(
        f"insert into proofs ({PROOF}) select run_id, agent, status, version, head, created_at, changed_at, ?, ?"
        " from runs where id = ?",
        (at, by, number),
    )
    for table in _BY_NUMBER:
        connection.execute(f"delete from {table} where run = ?", (number,))
    for table in _BY_ID:
        connection.execute(f"delete from {table} where run_id = ?", (run_id,))
    connection.execute("delete from runs where id = ?", (number,))
    connection.execute("update prunings set number = number + 1")
    proof = proof_of(connection, run_id)
    assert proof is not None
    return proof


# --- contents ---------------------------------------------------------------------------------------------------------


async def _sweep(file: File) -> bool:
    """Delete the loose contents that nobody refers to; False where others deleted something meanwhile: it is to be done again."""
    while True:
        judged, known, upto = await file.read(_loose)
        if not judged:
            return True
        unknown = set(judged)
        below = upto + 1
        while below and unknown:
            below = await file.read(partial(_said_by_batches, unknown=unknown, below=below))
        after: str | None = ""
        while after is not None and unknown:
            after = await file.read(partial(_said_by_contents, unknown=unknown, judged=judged, after=after))
        waiting = frozenset(unknown)
        while waiting:
            went = await file.write(partial(_delete, waiting=waiting, known=known, upto=upto))
            if went is None:
                return False
            waiting, known, upto = went
            if waiting:
                await asyncio.sleep(PAUSE_SECONDS)
        if not await file.write(partial(_settle, judged=judged, known=known)):
            return False


def _loose(connection: apsw.Connection) -> tuple[frozenset[str], int, int]:
    """Contents to be judged, how often something was deleted by now, and the last batch."""
    with connection:
        rows = all_rows(connection, "select digest from loose limit ?", (JUDGED_MAX,))
        ((upto,),) = all_rows(connection, "select coalesce(max(rowid), 0) from batches")
        known = prunings(connection)
    return frozenset(digest for (digest,) in rows), known, int(upto)


def _keep(connection: apsw.Connection, unknown: set[str], body: bytes) -> None:
    """What this refers to is kept, and what that refers to."""
    if said := retention.mentioned(body) & unknown:
        unknown -= retention.closure(said, lambda digest: content_of(connection, digest))
        unknown -= said


def _said_by_batches(connection: apsw.Connection, unknown: set[str], below: int) -> int:
    """Look through some batches, the latest first: what many share is mostly found at once. Where to go on; 0 at the end."""
    rows = "select rowid, body from batches where rowid < ? order by rowid desc limit ?"
    last = 0
    for rowid, body in connection.execute(rows, (below, BATCHES_READ)):
        _keep(connection, unknown, body)
        last = rowid
    return last


def _said_by_contents(connection: apsw.Connection, unknown: set[str], judged: frozenset[str], after: str) -> str | None:
    """Look through some contents that are not judged themselves. Where to go on; None at the end."""
    last: str | None = None
    rows = "select digest, body from contents where digest > ? order by digest limit ?"
    for digest, body in connection.execute(rows, (after, CONTENTS_READ)):
        if digest not in judged:
            _keep(connection, unknown, body)
        last = digest
    return last


def _delete(
    connection: apsw.Connection, waiting: frozenset[str], known: int, upto: int
) -> tuple[frozenset[str], int, int] | None:
    """Delete some of these contents, but for those that were referred to since. What is left to be deleted, how often something
    was deleted by now, and the last batch; None where others deleted something."""
    if prunings(connection) != known:
        return None
    last, size = upto, 0
    said: set[str] = set()
    for rowid, body in connection.execute("select rowid, body from batches where rowid > ? order by rowid", (upto,)):
        said |= retention.mentioned(body)
        last = rowid
    # Contents that came with these batches were perhaps not there yet when contents were looked through.
    unknown = waiting - said - retention.closure(said, lambda digest: content_of(connection, digest))
    with _overwriting(connection):
        left = sorted(unknown)
        while left and size < BYTES_MAX:
            size += _delete_one(connection, left.pop())
    connection.execute("update prunings set number = number + 1")
    return frozenset(left), known + 1, last


def _delete_one(connection: apsw.Connection, digest: str) -> int:
    """Delete a content; how large it was. What only this one referred to is found in the next round, if not in this one."""
    size = 0
    for (body,) in connection.execute("delete from contents where digest = ? returning body", (digest,)):
        said = [(inside,) for inside in retention.mentioned(body) if content_of(connection, inside) is not None]
        connection.executemany("insert or ignore into loose values (?)", said)
        size += len(body)
    return size


def _settle(connection: apsw.Connection, judged: frozenset[str], known: int) -> bool:
    """These contents are judged; False where others deleted something, and perhaps let go of one of them again."""
    if prunings(connection) != known:
        return False
    connection.executemany("delete from loose where digest = ?", [(digest,) for digest in judged])
    return True


@contextmanager
def _overwriting(connection: apsw.Connection) -> Iterator[None]:
    """What is deleted is overwritten in the file and not just let go."""
    connection.pragma("secure_delete", True)
    try:
        yield
    finally:
        connection.pragma("secure_delete", False)
