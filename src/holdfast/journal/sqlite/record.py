"""What a run's journal is in the file: its batches, read and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from holdfast.core.events import Entry
from holdfast.errors import JournalCorrupt, JournalError
from holdfast.journal import codec
from holdfast.journal.base import Head, History, StoredBatch
from holdfast.journal.sqlite.file import all_rows
from holdfast.journal.sqlite.rows import row_of


def history(connection: apsw.Connection, run_id: str, after: Head, fetch: Callable[[str], bytes]) -> History:
    """See `Journal.read`. fetch: the content of a digest."""
    batches, expected, head = _stored_batches(connection, run_id, after.version)
    found: list[Entry] = []
    version, previous = after.version, after.link
    for first, count, fence, at, body, stored in batches:
        if first != version + 1 or not count:
            raise JournalCorrupt(f"entry {version + 1} is missing", run_id=run_id, sequence=version + 1)
        previous = codec.link(previous, run_id, first, fence, at, body)
        if previous != stored:
            raise JournalCorrupt(f"entry {first} is not what was written", run_id=run_id, sequence=first)
        try:
            found.extend(codec.entries(body, first, fence, at, fetch))
        except JournalError as error:
            error.run_id = error.run_id or run_id
            raise
        version = found[-1].sequence if found else version
    if version != expected or previous != head:
        raise JournalCorrupt(f"the journal ends at entry {version} instead of {expected}", run_id=run_id, sequence=version + 1)
    return History(found, Head(version, previous))


def whole(connection: apsw.Connection, run_id: str) -> list[StoredBatch]:
    """See `Journal.batches`."""
    rows, version, head = _stored_batches(connection, run_id, 0)
    found = [
        StoredBatch(first=first, count=count, fence=fence, at=at, body=bytes(body), link=bytes(stored))
        for first, count, fence, at, body, stored in rows
    ]
    codec.check_chain(run_id, found, version, bytes(head))
    return found


def _stored_batches(connection: apsw.Connection, run_id: str, after: int) -> tuple[list[Any], int, bytes]:
    """The rows of a run's batches after an entry, and its version and last link."""
    with connection:  # One read transaction: the row and the batches of the same moment.
        number, version, head = row_of(connection, run_id, "id, version, head")
        rows = all_rows(
            connection,
            "select first, count, fence, at, body, link from batches where run = ? and first > ? order by first",
            (number, after),
        )
    return rows, version, head
