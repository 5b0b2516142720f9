"""The rules of a store about runs that come whole and go whole; for any store. See `keeping.py`.

A content is referred to by its digest, in the bodies of batches and inside of other contents. Whether one may go is a question
that is never answered by counting: whoever asks looks at what is there, and takes every text that looks like its digest for a
reference, so that what is kept is at most too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import pairwise

from holdfast.errors import AnswerRefused, JournalCorrupt, JournalError, RunNotFound, RunPruned
from holdfast.journal import codec
from holdfast.journal.base import Head
from holdfast.journal.keeping import Adopted, Keeping, Proof

_DIGEST = re.compile(rb'"([0-9a-f]{64})"')
# A name of the user's that looks like the mark has one more `$` in front, see `codec.py`.
_NEEDED = re.compile(rb'\{"\$blob":"([0-9a-f]{64})"\}')


def check_adopted(run: Adopted, fetch: Callable[[str], bytes | None]) -> Head:
    """Where the journal of a run that is taken over ends, after all of it was checked: its chain, that each entry can be read,
    and each content, be it given or the store's (fetch). JournalCorrupt; JournalTooNew."""
    if not run.batches:
        raise JournalCorrupt("it has no entries", run_id=run.run_id)
    last = run.batches[-1]
    head = Head(last.first + last.count - 1, last.link)
    codec.check_chain(run.run_id, run.batches, head.version, head.link)
    if last.fence > run.fence or any(batch.fence > later.fence for batch, later in pairwise(run.batches)):
        raise JournalCorrupt(f"its fence {run.fence} is not the last of its entries", run_id=run.run_id)
    for digest, content in run.contents.items():
        if codec.blob_digest(content) != digest:
            raise JournalCorrupt(f"the content {digest[:12]} is not what its digest says", run_id=run.run_id)

    def content_of(digest: str) -> bytes:
        found = run.contents.get(digest)
        if found is None and (found := fetch(digest)) is None:
            raise JournalCorrupt(f"the content {digest[:12]} is missing")
        return found

    try:
        for batch in run.batches:
            entries = codec.entries(batch.body, batch.first, batch.fence, batch.at, content_of)
            if len(entries) != batch.count:
                raise JournalCorrupt(f"entry {batch.first} counts for {batch.count} and is {len(entries)}", sequence=batch.first)
    except JournalError as error:
        error.run_id = error.run_id or run.run_id
        raise
    return head


def mentioned(body: bytes) -> set[str]:
    """The digests that a batch or a content may refer to."""
    return {digest.decode() for digest in _DIGEST.findall(body)}


def needed(body: bytes) -> set[str]:
    """The digests of contents without which a batch cannot be read."""
    return {digest.decode() for digest in _NEEDED.findall(body)}


def closure(digests: Iterable[str], content_of: Callable[[str], bytes | None]) -> set[str]:
    """These contents, those that they refer to, and so on; only those that are there."""
    found: set[str] = set()
    waiting = list(digests)
    while waiting:
        digest = waiting.pop()
        if digest not in found and (content := content_of(digest)) is not None:
            found.add(digest)
            waiting.extend(mentioned(content))
    return found


async def missing(journal: Keeping, run_id: str, listing: str = "`holdfast runs`") -> RunNotFound:
    """For whoever asks for a run that is not there: RunPruned where it was. listing: what lists those that are."""
    return not_found(run_id, await _proof_of(journal, run_id), listing)


async def check_not_pruned(journal: Keeping, run_id: str) -> None:
    """That no run of this id was pruned; RunPruned, for what it did would be done twice."""
    if (proof := await _proof_of(journal, run_id)) is not None:
        raise id_pruned(run_id, proof)


async def _proof_of(journal: Keeping, run_id: str) -> Proof | None:
    return next(iter(await journal.proofs([run_id])), None)


# --- words --------------------------------------------------------------------------------------------------------


def not_found(run_id: str, proof: Proof | None, listing: str = "`holdfast runs`") -> RunNotFound:
    """For whoever asks for a run that is not there. proof: what is left of it, where it was pruned; listing: what lists runs."""
    if proof is None:
        return RunNotFound("there is no such run in this store", run_id=run_id, hint=f"{listing} lists them")
    return RunPruned(
        f"it was pruned on {_day(proof.pruned_at)} by {proof.by or 'somebody'}, {proof.status}, with {proof.version} entries",
        run_id=run_id,
        hint="`holdfast prune --proofs` lists what is left of such runs",
    )


def id_pruned(run_id: str, proof: Proof) -> RunPruned:
    """For whoever begins a run with the id of one that was pruned."""
    return RunPruned(
        f"a run of this id was pruned on {_day(proof.pruned_at)}; its id is not taken again, for what it did would be done twice",
        run_id=run_id,
        hint="give the run another id",
    )


def only_looked_at(run_id: str) -> AnswerRefused:
    """The refusal of a word to a run that was imported."""
    return AnswerRefused(
        "it was imported and is only looked at here; what goes on goes on in the store that it came from",
        run_id=run_id,
        hint=f"to go on with it here, fork it: holdfast fork {run_id}",
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
