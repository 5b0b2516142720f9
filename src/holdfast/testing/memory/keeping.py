"""What a store in memory does for its keepers: take over whole journals, forget runs, say how it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from holdfast.errors import JournalCorrupt, JournalError
from holdfast.journal import codec, retention
from holdfast.journal.base import ENDED, Message, NewRun, Owed
from holdfast.journal.keeping import LATE_MAX, LATE_SECONDS, Adopted, Health, Late, Proof, StoredBatch
from holdfast.testing.memory.rows import Row


class _Open(Protocol):
    """What is asked."""

    def oldest(self) -> float | None: ...


class _Runs(Protocol):
    """What is needed of the store that has the runs."""

    runs: dict[str, Row]
    contents: dict[str, bytes]
    debts: dict[tuple[str, str], Owed]
    writes: int

    @property
    def inbox(self) -> _Open: ...

    def put_whole(self, new: NewRun, run: Adopted, version: int, link: bytes) -> None: ...
    def drop(self, run_id: str) -> None: ...
    def holds_place(self, run_id: str, at: float) -> bool: ...
    def messages(self, run_id: str) -> list[Message]: ...


class Keeper:
    """The proofs of a store, and what is done to whole runs; each method is one transaction."""

    def __init__(self, store: _Runs):
        self._store = store
        self._proofs: dict[str, Proof] = {}

    def proof(self, run_id: str) -> Proof | None:
        """What is left of a run that was pruned; None where it was not."""
        return self._proofs.get(run_id)

    def proofs(self, run_ids: Iterable[str] | None) -> list[Proof]:
        wanted = None if run_ids is None else set(run_ids)
        found = [proof for proof in self._proofs.values() if wanted is None or proof.run_id in wanted]
        return sorted(found, key=lambda proof: (proof.pruned_at, proof.run_id), reverse=True)

    def adopt(self, run: Adopted) -> bool:
        if run.run_id in self._store.runs or run.run_id in self._proofs:
            return False
        head = retention.check_adopted(run, self._store.contents.get)
        new = NewRun(
            run_id=run.run_id, agent=run.agent, goal_digest=run.goal_digest, tenant=run.tenant, priority=run.priority,
            labels=run.labels, parent=run.parent, ends_with_parent=False,
        )  # fmt: skip
        self._store.put_whole(new, run, head.version, head.link)
        self._store.contents.update(run.contents)
        self._store.writes += 1
        return True

    def prune(self, run_ids: Iterable[str], by: str, at: float) -> list[Proof]:
        found: list[Proof] = []
        for run_id in run_ids:
            run = self._store.runs.get(run_id)
            if run is None or not self._may_go(run, at):
                continue
            proof = self._proofs[run_id] = Proof(
                run_id=run_id, agent=run.new.agent, status=run.status, version=run.version, link=run.link.hex(),
                created_at=run.created_at, ended_at=run.changed_at, pruned_at=at, by=by,
            )  # fmt: skip
            found.append(proof)
            self._store.drop(run_id)
        if found:
            self._sweep()
            self._store.writes += 1
        return found

    def _may_go(self, run: Row, at: float) -> bool:
        above = self._store.runs.get(run.new.parent)
        waits = above is not None and above.status not in ENDED and not above.imported
        return run.status in ENDED and not waits and not self._store.holds_place(run.new.run_id, at)

    def _sweep(self) -> None:
        bodies = [stored.body for run in self._store.runs.values() for stored in run.batches]
        said = {digest for body in bodies for digest in retention.mentioned(body)}
        kept = retention.closure(said, self._store.contents.get)
        for digest in self._store.contents.keys() - kept:
            del self._store.contents[digest]

    # --- how it is ------------------------------------------------------------------------------------------------

    def health(self, now: float, deep: bool) -> Health:
        runs = self._store.runs.values()
        due = [run for run in runs if run.due_at is not None and run.due_at < now - LATE_SECONDS and not run.worker]
        words = [len(self._store.messages(run_id)) for run_id, run in self._store.runs.items() if run.status not in ENDED]
        return Health(
            problems=tuple(self._problems()) if deep else (),
            form=0,
            bytes=sum(len(stored.body) for run in runs for stored in run.batches) + sum(map(len, self._store.contents.values())),
            runs=dict(Counter(run.status for run in runs)),
            expired=_late([run for run in runs if run.worker and run.lease_until <= now], now),
            unclaimed=_late([run for run in due if run.status == "running"], now),
            parked=_late([run for run in due if run.status in ("waiting", "blocked")], now),
            oldest_owed=min((owed.since for owed in self._store.debts.values()), default=None),
            oldest_asked=self._store.inbox.oldest(),
            letters=sum(words),
            contents=len(self._store.contents),
            pruned=len(self._proofs),
        )

    def _problems(self) -> Iterator[str]:
        for run_id, run in self._store.runs.items():
            try:
                batches = [StoredBatch(**msgspec.structs.asdict(stored)) for stored in run.batches]
                codec.check_chain(run_id, batches, run.version, run.link)
                for digest in {digest for stored in run.batches for digest in retention.needed(stored.body)}:
                    if digest not in self._store.contents:
                        raise JournalCorrupt(f"the content {digest[:12]} is missing", run_id=run_id)
            except JournalError as error:
                yield str(error)
        for digest, content in self._store.contents.items():
            if codec.blob_digest(content) != digest:
                yield f"the content {digest[:12]} is not what was written"


def _late(runs: list[Row], now: float) -> tuple[Late, ...]:
    def since(run: Row) -> float:
        return run.lease_until if run.worker or run.due_at is None else run.due_at

    return tuple(
        Late(run_id=run.new.run_id, agent=run.new.agent, since=since(run), seconds=now - since(run), worker=run.worker)
        for run in sorted(runs, key=since)[:LATE_MAX]
    )
