"""The user's verbs by which one looks back: replay, fork, export, keep. `Holdfast` has them all.

None of them advances a run. What is only read off a run's history needs no store, and is no verb here, so that nobody loads it
who does not look: `views.why.why`, `views.compare.compare` and `views.timeline.timeline` take the entries that `history`
gives; `monitors.look` takes the journal.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from typing import Any

from holdfast import archive, forking, replaying
from holdfast.agent import Agent
from holdfast.core.events import ForkMode, Scripted
from holdfast.core.limits import Limits
from holdfast.errors import UsageError
from holdfast.journal.base import Journal
from holdfast.journal.keeping import Copied, Health, Proof
from holdfast.replaying import Replayed
from holdfast.runner.clock import Clock
from holdfast.saying import user

ROWS_MAX = 1_000_000


class Looking:
    """The part of `Holdfast` that looks back."""

    journal: Journal
    _clock: Clock

    async def replay(self, run_id: str, *, agent: Agent | None = None) -> Replayed:
        """Walk a run again with today's rules, calling nothing; see `Replayed`. agent: rule by its tools, policy and bounds."""
        return await replaying.replay_run(self.journal, run_id, instead=replaying.as_ruled_by(agent) if agent else None)

    async def replay_all(
        self, *, since: float = 0.0, of: str | None = None, agent: Agent | None = None
    ) -> AsyncIterator[Replayed]:
        """Walk all runs that changed since then (seconds since the epoch), of one agent or of all."""
        rows = [row.run_id for row in await self.journal.rows(agent=of, limit=ROWS_MAX) if row.changed_at >= since]
        async for found in replaying.replay_all(self.journal, rows, instead=replaying.as_ruled_by(agent) if agent else None):
            yield found

    async def fork(
        self,
        run_id: str,
        agent: Agent,
        *,
        id: str,
        at: int | None = None,
        before: str | None = None,
        after: str | None = None,
        turn: int | None = None,
        mode: ForkMode = "blocked",
        script: Iterable[Scripted] = (),
        limits: Limits | None = None,
        by: str | None = None,
        reason: str = "",
    ) -> forking.Forked:
        """A new run from a point of this one; `run(agent, id=id)` goes on with it. See `forking.fork`.

        at: after this entry; before, after: a step; turn: before the model was asked for it; none of them: before what made the
        run fail. mode: `blocked` asks before each call that changes the world, `simulate` makes none, `live` makes those that
        the source did not. script: what simulated calls come to that the source did not make.
        """
        if sum(part is not None for part in (at, before, after, turn)) > 1:
            raise UsageError("a fork begins at one point", hint="give one of at, before, after and turn")
        where = forking.Where(entry=at, before=before, after=after, turn=turn)
        return await forking.fork(
            self.journal, run_id, agent, id=id, clock_now=self._clock.now(), by=by or user(), where=where, mode=mode,
            script=script, limits=limits, reason=reason,
        )  # fmt: skip

    async def export(
        self, *run_ids: str, to: Any, redact: Iterable[str] = (), redact_values: bool = False, by: str | None = None
    ) -> archive.Exported:
        """Write runs to a path or an open binary file. redact: names whose values are left out; redact_values: all values are."""
        names = tuple(redact)
        redaction = archive.Redaction(names=names, values=redact_values, by=by or user()) if names or redact_values else None
        return await archive.export(self.journal, run_ids, to, redaction=redaction)

    async def import_runs(self, path: str | os.PathLike[str]) -> list[str]:
        """Take runs from a file into this store, to be looked at; the ids of those that were not there yet. All of the file is
        checked first; ArchiveRefused, with line and entry, for one that is not whole."""
        archive.checked(path)
        return [run.run_id for run in archive.read_archive(path) if await archive.import_run(self.journal, run)]

    async def prune(self, *run_ids: str, by: str | None = None) -> list[Proof]:
        """Forget runs that have ended, and keep their proofs; what was passed over is not among them."""
        return await self.journal.prune(run_ids, by or user(), self._clock.now())

    async def backup(self, path: str | os.PathLike[str]) -> Copied:
        """Copy the store while it is used."""
        return await self.journal.backup(os.fspath(path))

    async def health(self, *, deep: bool = False) -> Health:
        """How the store is; deep: every page and every chain is read."""
        return await self.journal.health(self._clock.now(), deep=deep)
