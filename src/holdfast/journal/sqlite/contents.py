"""Large values by their digest: kept once, and read once by each process."""

from __future__ import annotations

from functools import lru_cache

import apsw

from holdfast.errors import JournalCorrupt
from holdfast.journal.sqlite.file import File, all_rows, one_row

# What is remembered of the store, at most: how many contents are held in memory, and of how many it is known that they are there.
HELD_MAX = 1024
KNOWN_MAX = 100_000


class Contents:
    """The contents of an open store. Those that were seen need not be looked up again before they are referred to, as long as
    nothing was deleted since."""

    def __init__(self, file: File):
        self._file = file
        # By digest, how often something had been deleted when it was seen.
        self._seen: dict[str, int] = {}
        self.fetch = lru_cache(maxsize=HELD_MAX)(self._fetch)

    def _fetch(self, digest: str) -> bytes:
        """A content, in a reader's thread. JournalCorrupt where it is missing."""
        connection = self._file.reader()
        with connection:  # One moment: it is there, and so much was deleted before.
            body, number = content_of(connection, digest), prunings(connection)
        if body is None:
            raise JournalCorrupt(f"the stored content {digest[:12]} is missing")
        if len(self._seen) > KNOWN_MAX:
            self._seen.clear()
        self._seen[digest] = number
        return body

    def store(self, connection: apsw.Connection, contents: dict[str, bytes]) -> None:
        """Keep contents, in the writer's transaction."""
        number = prunings(connection) if any(digest in self._seen for digest in contents) else None
        for digest, content in contents.items():
            if number is None or self._seen.get(digest) != number:
                connection.execute("insert or ignore into contents values (?, ?)", (digest, content))


def content_of(connection: apsw.Connection, digest: str) -> bytes | None:
    """A content; None where it is not there."""
    row = one_row(connection, "select body from contents where digest = ?", (digest,))
    return bytes(row[0]) if row is not None else None


def prunings(connection: apsw.Connection) -> int:
    """How often runs or contents were deleted so far."""
    ((number,),) = all_rows(connection, "select number from prunings")
    return int(number)
