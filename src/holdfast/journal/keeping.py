"""What a store does for those who keep it: take over whole journals, forget old runs, copy itself, say how it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from holdfast.core.state import Status

# From when on a run that is due and that nobody has is late, and how many of each kind of them are listed.
LATE_SECONDS = 60.0
LATE_MAX = 100


class StoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as it lies in the store: `count` events from number `first` on, as bytes, and its link of the hash chain (see
    `journal/codec.py`)."""

    first: int
    count: int
    fence: int
    at: float
    body: bytes
    link: bytes


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """A run that comes with its whole journal: a fork, or one that was exported elsewhere. batches: with links that hold under
    this run's id; contents: large values by digest, that the store may not have yet. fence: of the last entry; the next claim has
    a higher one. due_at: None where it is not to be advanced. imported: it is only looked at here: no worker takes it and no word
    reaches it, for it may go on where it came from. source: the run that it is a fork of. parent: the run that had started it,
    for those who look; nothing follows from it here. goal_digest and the rest: as in `NewRun`."""

    run_id: str
    agent: str
    goal_digest: str
    batches: tuple[StoredBatch, ...]
    status: Status
    fence: int
    created_at: float
    changed_at: float
    contents: dict[str, bytes] = {}
    due_at: float | None = None
    waits_for: str = ""
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    imported: bool = False
    source: str = ""
    parent: str = ""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a run that was pruned: that it was, and the end of its hash chain, so that an export of it can be told from
    a forged one, and its id is not taken again. link: hex."""

    run_id: str
    agent: str
    status: Status
    version: int
    link: str
    created_at: float
    ended_at: float
    pruned_at: float
    by: str


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of a store that was made: its size, and how many runs are in it."""

    bytes: int
    runs: int


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose time is over, by so many seconds. since: which time that was. worker: whose claim it is, where it has one."""

    run_id: str
    agent: str
    since: float
    seconds: float
    worker: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is. problems: what is broken in it, in words; empty where nothing is. form: the number of its last migration.
    bytes: of the file and what lies beside it. runs: by status, imported ones too.

    A late run is in one of three lists, each with at most LATE_MAX, the longest late first. expired: a worker has claimed it
    and its lease is over, so that worker died or hangs. unclaimed: it was begun, or given back in the middle, has been due for
    more than LATE_SECONDS, and no worker has it. parked: it waited for a time or a person (status waiting or blocked), that time
    came or somebody answered more than LATE_SECONDS ago, and no worker took it up. Imported runs are in none.

    oldest_owed: since when the oldest pending operation is owed; oldest_asked: since when the oldest question is open. letters:
    words in mailboxes of runs that go on, not taken yet. contents: large values kept. pruned: runs of which only the proof is
    left."""

    problems: tuple[str, ...]
    form: int
    bytes: int
    runs: dict[str, int]
    unclaimed: tuple[Late, ...]
    expired: tuple[Late, ...]
    parked: tuple[Late, ...]
    oldest_owed: float | None
    oldest_asked: float | None
    letters: int
    contents: int
    pruned: int


class Keeping(Protocol):
    """The part of a store that keepers use. What it does to a run is one durable commit, like everything else."""

    async def adopt(self, run: Adopted) -> bool:
        """Take over a run with its whole journal, after it was checked; False where the id is taken, or was pruned.
        JournalCorrupt, with nothing written, where the chain does not hold, an entry cannot be read, or a content is missing or
        is not what its digest says; JournalTooNew for an entry of a later release."""

    async def prune(self, run_ids: Iterable[str], by: str, at: float) -> list[Proof]:
        """Forget runs that have ended, with all that is kept of them: their entries, checkpoints, mail, rows about people, and
        the contents that no other run refers to. Their proofs stay, and what they learned for their threads. Passed over are a
        run that goes on, or is not there; one whose parent goes on; and one that holds a place beyond its end, by which others
        know that they are not to do what it did. by, at: who prunes, and when."""

    async def proofs(self, run_ids: Iterable[str] | None = None) -> list[Proof]:
        """What is left of pruned runs, the latest first; of all where none are named."""

    async def backup(self, path: str) -> Copied:
        """Copy the store as it is at one moment, while it is used; whether it is open here or not. The copy is looked through
        before it gets its name. UsageError where there is something at that path, or the store is none that can be copied;
        JournalUnavailable where it cannot be written, JournalCorrupt where what was read is damaged, and nothing is left at the
        path then."""

    async def health(self, now: float, *, deep: bool = False) -> Health:
        """How the store is. deep: read every page and check the chain of every run, which takes as long as reading it all.
        What cannot be read is a problem of the store, not an error of this."""
