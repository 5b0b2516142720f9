"""Replays of what a store has: each run is walked again with today's rules, and nothing is called.

A run is as good as its record: a chain that does not hold is found before anything is ruled, and a checkpoint that is not what
the events come to is named. Many runs are walked by several processes, for it is all arithmetic.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from holdfast.agent import Agent
from holdfast.archive import redaction_of
from holdfast.core import checkpoint
from holdfast.core.events import Entry
from holdfast.core.replay import Instead, Walk
from holdfast.core.state import State
from holdfast.errors import HoldfastError, JournalCorrupt
from holdfast.journal import codec
from holdfast.journal.base import Checkpoint, Journal
from holdfast.journal.keeping import StoredBatch
from holdfast.journal.sqlite import SqliteJournal
from holdfast.views.replays import DivergenceView, divergence_view

# Contents that many runs share (contracts, plans, policies) are kept while runs are walked, up to so many bytes.
SHARED_BYTES_MAX = 64_000_000
RUNS_MAX = 1_000_000
# Why a run cannot be walked whose values were taken out.
REDACTED = "it was redacted when it was exported, and rulings rest on values"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What the replay of a run found. entries, batches: walked; rulings: compared; supposed: commits of an older release of
    which it was supposed what was not written down then. divergence: the first; divergences: how many commits differ. checkpoint:
    how the kept snapshot compares: `agrees`, `differs`, `older` (of another form, and not believed), or `none`. problem: why it
    cannot be walked to its end."""

    run_id: str
    entries: int = 0
    batches: int = 0
    rulings: int = 0
    supposed: int = 0
    divergence: DivergenceView | None = None
    divergences: int = 0
    checkpoint: str = "none"
    problem: str = ""
    simulated: bool = False

    @property
    def agrees(self) -> bool:
        """Whether today's rules come to what is recorded, and the snapshot too."""
        return self.divergence is None and not self.problem and self.checkpoint != "differs"


class _Missing(LookupError):
    """A content that is not at hand yet."""


class Contents:
    """Large values by digest, as they are needed."""

    def __init__(self, journal: Journal):
        self._journal = journal
        self._kept: dict[str, bytes] = {}
        self._bytes = 0

    async def entries(self, batch: StoredBatch) -> list[Entry]:
        """The entries of a batch. JournalCorrupt where a content that it refers to is not in the store."""
        while True:
            try:
                return codec.entries(batch.body, batch.first, batch.fence, batch.at, self._fetch)
            except _Missing as missing:
                digest = str(missing)
                content = await self._journal.content(digest)
                if content is None:
                    raise JournalCorrupt(f"the stored content {digest[:12]} is missing", sequence=batch.first) from None
                self._keep(digest, content)

    def _fetch(self, digest: str) -> bytes:
        content = self._kept.get(digest)
        if content is None:
            raise _Missing(digest)
        return content

    def _keep(self, digest: str, content: bytes) -> None:
        if self._bytes > SHARED_BYTES_MAX:
            self._kept.clear()
            self._bytes = 0
        self._kept[digest] = content
        self._bytes += len(content)


async def replay_run(
    journal: Journal, run_id: str, *, instead: Instead | None = None, contents: Contents | None = None
) -> Replayed:
    """Walk a run of a store. instead: see `core.replay`. RunNotFound; that a journal is damaged stands in what comes back."""
    contents = contents or Contents(journal)
    row = await journal.row(run_id)
    if row is not None and row.imported and redaction_of(row.labels) is not None:
        return Replayed(run_id=run_id, problem=REDACTED)
    walk, kept, compared = Walk(instead), None, "none"
    try:
        kept = await journal.checkpoint(run_id)  # First, for the run may go on meanwhile, and is then met on the way.
        batches = await journal.batches(run_id)
        if kept is not None and kept.form != checkpoint.FORM:
            kept, compared = None, "older"
        elif kept is not None:
            compared = "differs"  # Until it was met, and found to be what the events come to.
        with _without_collecting():
            for batch in batches:
                walk.feed(await contents.entries(batch))
                compared = _compared(kept, walk, compared)
            walk.end()
        compared = _compared(kept, walk, compared)
    except JournalCorrupt as damaged:
        return _replayed(run_id, walk, compared, problem=damaged.what)
    except HoldfastError:
        raise
    except Exception as surprise:  # noqa: BLE001 — the border: rules of today that break on a record are a finding, too.
        return _replayed(run_id, walk, compared, problem=_broken(walk, surprise))
    return _replayed(run_id, walk, compared)


def replay_batches(run_id: str, batches: Iterable[Sequence[Entry]], *, instead: Instead | None = None) -> Replayed:
    """Walk a run that is at hand, such as one that was exported."""
    walk = Walk(instead)
    try:
        for batch in batches:
            walk.feed(batch)
        walk.end()
    except HoldfastError:
        raise
    except Exception as surprise:  # noqa: BLE001 — as above.
        return _replayed(run_id, walk, "none", problem=_broken(walk, surprise))
    return _replayed(run_id, walk, "none")


async def replay_all(journal: Journal, run_ids: Iterable[str], *, instead: Instead | None = None) -> AsyncIterator[Replayed]:
    """Walk runs of a store, one after the other. One that cannot be walked is no reason to leave out the others."""
    contents = Contents(journal)
    for run_id in run_ids:
        try:
            yield await replay_run(journal, run_id, instead=instead, contents=contents)
        except HoldfastError as error:
            yield Replayed(run_id=run_id, problem=error.what)


def as_ruled_by(agent: Agent) -> Instead:
    """What would be ruled if the run had been one of this agent from its beginning: by its tools' promises, policy and bounds."""
    contracts = dict(agent.toolbox.contracts)

    def instead(state: State) -> State:
        held = state.contracts | contracts
        return msgspec.structs.replace(state, contracts=held, policy=agent.policy, limits=agent.limits)

    return instead


def _compared(kept: Checkpoint | None, walk: Walk, before: str) -> str:
    """How the snapshot compares with the fold, once the walk is where it was made."""
    if kept is None or walk.state is None or walk.state.version != kept.head.version:
        return before
    with suppress(ValueError):
        if checkpoint.from_bytes(kept.body) == walk.state:
            return "agrees"
    return "differs"


def _broken(walk: Walk, surprise: Exception) -> str:
    known = walk.state.version if walk.state is not None else 0
    return f"today's rules break on what follows entry {known}: {type(surprise).__name__}: {surprise}"


def _replayed(run_id: str, walk: Walk, compared: str, problem: str = "") -> Replayed:
    fork = walk.state.fork if walk.state is not None else None
    return Replayed(
        run_id=run_id,
        entries=walk.entries,
        batches=walk.batches,
        rulings=walk.rulings,
        supposed=walk.supposed,
        divergence=divergence_view(walk.divergences[0]) if walk.divergences else None,
        divergences=len(walk.divergences),
        checkpoint=compared,
        problem=problem,
        simulated=fork is not None and fork.mode == "simulate",
    )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """What a walk makes has no cycles, and looking for them costs a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def replay_part(db: str, run_ids: list[str] | None = None) -> list[Replayed]:
    """Walk some runs of a store, or all of them, where no loop runs: in a process of their own, or at the end of a program."""
    return asyncio.run(_part(db, run_ids))


async def _part(db: str, run_ids: list[str] | None) -> list[Replayed]:
    journal = SqliteJournal(db)
    await journal.open()
    try:
        ids = [row.run_id for row in await journal.rows(limit=RUNS_MAX)] if run_ids is None else run_ids
        return [found async for found in replay_all(journal, ids)]
    finally:
        await journal.close()
