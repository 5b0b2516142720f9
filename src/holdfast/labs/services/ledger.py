"""What really happened: the ledger of effects and the log of requests.

The ledger is the lab's only witness. A row means that the world has changed, whether or not anyone ever heard of it.
The request log is the other half: it also shows what was refused, repeated or never answered.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from holdfast.labs.services.notices import timestamp


class LedgerRow(TypedDict):
    """One effect on the world. Rows are never changed or removed."""

    n: int
    """Starts at 1; no gaps."""
    at: str
    service: str
    action: str
    subject: str
    """Whom it befell: a user, a mail address or an account."""
    key: str | None
    """The key the caller sent, honoured or not; None when it sent none."""
    detail: Mapping[str, str]


class RequestRow(TypedDict):
    """One request to a service. The control routes (/ledger, /requests, /hold, /release) leave no rows."""

    n: int
    at: str
    method: str
    """The HTTP method, or SMTP for a mail that came in whole (one row for each recipient)."""
    path: str
    """With the query string; for SMTP the recipient."""
    key: str | None
    status: int | None
    """The status sent back. None as long as, or because, the caller has got no answer."""
    effect: int | None
    """The `n` of the ledger row that this request caused; None when it changed nothing, as a dropped repeat."""


class Ledger:
    """Append-only, and on disk before anyone can read it from memory. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._rows: list[LedgerRow] = []
        # A new process is a new world: rows of an older one in the same directory would be counted as ours.
        self._file = path.open("w", encoding="utf-8")

    # Positional only, so that a detail may have a name of ours: a mail has a subject too.
    def append(self, service: str, action: str, subject: str, key: str | None, /, **detail: str) -> LedgerRow:
        with self._lock:
            row = LedgerRow(
                n=len(self._rows) + 1,
                at=timestamp(),
                service=service,
                action=action,
                subject=subject,
                key=key,
                detail=detail,
            )
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            self._rows.append(row)
            return row

    def rows(self) -> list[LedgerRow]:
        with self._lock:
            return list(self._rows)


class RequestLog:
    """Every request in the order of arrival. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[RequestRow] = []

    def arrive(self, method: str, path: str, key: str | None) -> int:
        """Note a request that has come in; returns its number for the two calls below."""
        with self._lock:
            number = len(self._rows) + 1
            self._rows.append(RequestRow(n=number, at=timestamp(), method=method, path=path, key=key, status=None, effect=None))
            return number

    def cause(self, number: int, row: LedgerRow) -> None:
        with self._lock:
            self._rows[number - 1]["effect"] = row["n"]

    def answer(self, number: int, status: int | None) -> None:
        with self._lock:
            self._rows[number - 1]["status"] = status

    def rows(self) -> list[RequestRow]:
        with self._lock:
            return [row.copy() for row in self._rows]
