"""From an archive into a store, and held against one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from holdfast.archive.records import ArchivedRun, Redaction
from holdfast.archive.redacting import redacted_copy
from holdfast.archive.seals import seal
from holdfast.archive.writing import at_one_moment, contents_of
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.errors import ArchiveRefused, UsageError
from holdfast.journal.base import Journal, RunRow, StoredBatch
from holdfast.journal.keeping import Adopted, Proof
from holdfast.views.words import cut

Verdict = Literal["same", "earlier", "later", "other", "unknown"]
SAID_MAX = 200
ANOTHER_STORE = "look at it in a store of its own: --db FILE"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a store says of an archived run. `same`: it is the store's own, or what was pruned from it, entry by entry; `earlier`:
    it is the beginning of the store's own, which went on since; `later`: the store has the beginning of it; `other`: the store
    has, or had, another one under this id; `unknown`: it knows nothing of it, and only a head that was noted elsewhere can tell
    whether the archive was made anew as a whole. said: in words; head: of the archive, theirs: of the store, as hex."""

    verdict: Verdict
    said: str
    head: str
    theirs: str = ""


async def check_against(archived: ArchivedRun, journal: Journal) -> Comparison:
    """Hold an archived run against the run of that id in a store, or against what is left of it there after it was pruned."""
    row = await journal.row(archived.run_id)
    if row is not None:
        return await _against_run(archived, journal)
    proofs = await journal.proofs([archived.run_id])
    if proofs:
        return await _against_proof(archived, journal, proofs[0])
    said = f"the store knows nothing of it; its chain ends in {archived.header.head}: compare that with what was noted elsewhere"
    return Comparison(verdict="unknown", said=said, head=archived.header.head)


async def import_run(journal: Journal, archived: ArchivedRun) -> bool:
    """Take an archived run into a store, where it is only looked at: no worker advances it and no word reaches it. False where it
    is there already, the very same; then nothing is done. UsageError, with both heads, where the id belongs to another run, or to
    one that was pruned. ArchiveRefused where its entries make no run."""
    check_entries(archived)
    row = await journal.row(archived.run_id)
    if row is None and await journal.adopt(_adopted(archived)):
        return True
    found = await check_against(archived, journal)
    if found.head == found.theirs and await journal.row(archived.run_id) is not None:
        return False
    here = "a redacted copy of the run that is here" if found.verdict == "same" and archived.redacted is not None else found.said
    raise UsageError(
        f"it cannot be imported: {here}; this one ends in {found.head}, the one of the store in {found.theirs}",
        run_id=archived.run_id,
        hint=ANOTHER_STORE,
    )


def check_entries(archived: ArchivedRun) -> None:
    """ArchiveRefused where the entries of an archived run cannot be read, or make no run."""
    entries: list[Entry] = []
    for batch in archived.entries():
        entries += batch
    try:
        fold(entries)
    except Exception as error:  # the border: in a file that was forged as a whole, anything may follow anything.
        said = f"its entries make no run ({type(error).__name__}: {cut(str(error), SAID_MAX)})"
        raise ArchiveRefused(said, line=archived.lines[0], run_id=archived.run_id) from error


def _adopted(archived: ArchivedRun) -> Adopted:
    header = archived.header
    return Adopted(
        run_id=header.run_id, agent=header.agent, goal_digest=header.goal_digest, batches=archived.batches, status=header.status,
        fence=archived.batches[-1].fence, created_at=header.created_at, changed_at=header.changed_at, contents=archived.contents,
        waits_for=header.waits_for, tenant=header.tenant, priority=header.priority, labels=header.labels, imported=True,
        source=header.source, parent=header.parent,
    )  # fmt: skip


# --- comparing ----------------------------------------------------------------------------------------------------


async def _against_run(archived: ArchivedRun, journal: Journal) -> Comparison:
    row, batches = await at_one_moment(journal, archived.run_id)
    theirs = batches[-1].link.hex()
    if archived.header.original is not None and archived.header.head != theirs:
        return await _redacted(archived, journal, row, batches)
    links = [batch.link for batch in archived.batches]
    return _compared(archived.header.head, theirs, links, [batch.link for batch in batches])


async def _redacted(archived: ArchivedRun, journal: Journal, row: RunRow, batches: list[StoredBatch]) -> Comparison:
    """A redacted run holds its own where leaving out the same of the store's gives the same: what it says of where it comes from
    is not proven by it, for whoever has one redacted copy can make another."""
    head, theirs = archived.header.head, batches[-1].link.hex()
    secret = await journal.secret()
    seals = [seal(secret, batch.link) for batch in batches]
    found = _compared(head, theirs, list(archived.originals), seals)
    if found.verdict == "other":
        return found
    count = min(len(batches), len(archived.batches))
    contents = {digest: await journal.content(digest) or b"" for digest in await contents_of(journal, batches)}
    left_out = archived.redacted or Redaction()
    copy = redacted_copy(row.run_id, batches, contents, left_out)
    if copy.batches[count - 1].link == archived.batches[count - 1].link:
        return found
    said = "its commits are those of the store, but what is left in them is not what this release leaves in them"
    return Comparison(verdict="other", said=said, head=head, theirs=theirs)


async def _against_proof(archived: ArchivedRun, journal: Journal, proof: Proof) -> Comparison:
    original = archived.header.original
    head = archived.header.head
    sealed = seal(await journal.secret(), bytes.fromhex(proof.link))
    if head == proof.link or (original is not None and original.head == sealed):
        said = "it is the run that was pruned from the store"
        said += ", as far as can be known of a redacted one" if original is not None else ""
        return Comparison(verdict="same", said=said, head=head, theirs=proof.link)
    said = f"another run of this id was pruned from the store; it had {proof.version} entries"
    return Comparison(verdict="other", said=said, head=head, theirs=proof.link)


def _compared(head: str, theirs: str, links: Sequence[object], others: Sequence[object]) -> Comparison:
    count = min(len(links), len(others))
    if links[count - 1] != others[count - 1]:
        agree = sum(1 for one, other in zip(links, others, strict=False) if one == other)
        said = f"the store has another run of this id, which differs from commit {agree + 1} on"
        return Comparison(verdict="other", said=said, head=head, theirs=theirs)
    if len(links) == len(others):
        return Comparison(verdict="same", said="it is the store's own, entry by entry", head=head, theirs=theirs)
    if len(links) < len(others):
        said = "it is the beginning of the store's own, which went on since"
        return Comparison(verdict="earlier", said=said, head=head, theirs=theirs)
    return Comparison(verdict="later", said="the store has only the beginning of it", head=head, theirs=theirs)
