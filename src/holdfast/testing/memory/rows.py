"""What lies in a store in memory."""

from __future__ import annotations

import msgspec

from holdfast.core.state import Status
from holdfast.journal.base import Checkpoint, Message, NewRun, Token


class Stored(msgspec.Struct):
    """A batch as it lies in the store."""

    first: int
    count: int
    fence: int
    at: float
    body: bytes
    link: bytes


class Letter(msgspec.Struct):
    """A message as it lies in the store."""

    message: Message
    body: str
    taken: bool = False


class Known(msgspec.Struct):
    """A token as it lies in the store."""

    run_id: str
    token: Token
    used_at: float | None = None
    refusals: int = 0


class Row(msgspec.Struct):
    """A run's row, its batches and its mailbox."""

    number: int
    new: NewRun
    status: Status
    due_at: float | None
    rank: float
    version: int
    link: bytes
    fence: int
    worker: str
    lease_until: float
    created_at: float
    changed_at: float
    waits_for: str = ""
    batches: list[Stored] = []
    letters: list[Letter] = []
    checkpoint: Checkpoint | None = None
    imported: bool = False
    source: str = ""
