"""Runs that come from an archive into a store, and archives held against one."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.archive import ArchivedRun, Redaction, check_against, import_run
from holdfast.core import events as e
from holdfast.errors import AnswerRefused, ArchiveRefused, UsageError
from holdfast.journal import codec
from holdfast.journal.base import Batch, Head, Journal, Message
from tests.archive.kit import LARGE, T0, call, closed, exported, lines, read, resealed, store, written


async def one(journal: Journal, redaction: Redaction | None = None) -> ArchivedRun:
    """The run `one` of a store, as it is in an archive."""
    (run,) = read(await exported(journal, "one", redaction=redaction))
    return run


async def test_an_imported_run_is_as_it_was_and_is_only_looked_at(tmp_path: Path) -> None:
    """Its batches, its large values and its row; nobody claims it, and no word reaches it."""
    async with store(tmp_path / "a.db") as journal, store(tmp_path / "b.db") as other:
        await written(journal, "one", *call(LARGE)[:2], tenant="acme", labels={"team": "sales"}, parent="zero")
        run = await one(journal)
        assert await import_run(other, run)
        assert await other.batches("one") == await journal.batches("one")
        assert (await other.read("one")).entries == (await journal.read("one")).entries
        there, here = await journal.row("one"), await other.row("one")
        assert there is not None
        assert here is not None
        for name in (
            "agent",
            "goal_digest",
            "tenant",
            "labels",
            "status",
            "version",
            "created_at",
            "changed_at",
            "parent",
            "priority",
        ):
            assert getattr(here, name) == getattr(there, name)
        assert (here.imported, here.due_at, here.source) == (True, None, "")
        assert await other.claim("one", "w", T0 + 1e9, 60) is None
        assert await other.claim_due("w", ["shop"], T0 + 1e9, 60, 10) == []
        with pytest.raises(AnswerRefused, match="imported"):
            await other.send("one", Message(kind="cancel", body={"by": "ann"}))
        assert await exported(other, "one") == await exported(journal, "one"), "and it can be handed on"


async def test_the_same_run_is_taken_in_once(tmp_path: Path) -> None:
    """Also where it is the store's own."""
    async with store(tmp_path / "a.db") as journal, store(tmp_path / "b.db") as other:
        await written(journal, "one", *call())
        run = await one(journal)
        assert [await import_run(other, run), await import_run(other, run), await import_run(journal, run)] == [
            True,
            False,
            False,
        ]


async def test_another_run_of_the_same_id_is_refused_with_both_heads(tmp_path: Path) -> None:
    """And with what to do."""
    async with store(tmp_path / "a.db") as journal, store(tmp_path / "b.db") as other:
        await written(journal, "one", *call("paid"))
        await written(other, "one", *call("lost"))
        run, theirs = await one(journal), await one(other)
        with pytest.raises(UsageError, match=f"{run.header.head}.*{theirs.header.head} — look at it in a store of its own"):
            await import_run(other, run)
        found = await check_against(run, other)
        assert (found.verdict, found.said) == ("other", "the store has another run of this id, which differs from commit 4 on")
        assert (found.head, found.theirs) == (run.header.head, theirs.header.head)


async def test_an_archive_is_held_against_the_stores_own(tmp_path: Path) -> None:
    """The same, the beginning of it, more than it, one that was pruned, and one that it knows nothing of."""
    async with store(tmp_path / "a.db") as journal, store(tmp_path / "b.db") as other:
        await written(journal, "one", *call()[:2])
        early, early_copy = await one(journal), await one(journal, Redaction(values=True))
        assert (await check_against(early, other)).verdict == "unknown"
        assert early.header.head in (await check_against(early, other)).said
        await import_run(other, early)
        await _go_on(journal)
        late, copy = await one(journal), await one(journal, Redaction(names=("to",)))
        verdicts = [(await check_against(run, journal)).verdict for run in (early, early_copy, late, copy)]
        assert verdicts == ["earlier", "earlier", "same", "same"]
        assert (await check_against(late, other)).verdict == "later"
        (proof,) = await journal.prune(["one"], "ann", T0 + 99)
        assert [(await check_against(run, journal)).verdict for run in (late, copy, early)] == ["same", "same", "other"]
        assert proof.link == late.header.head
        with pytest.raises(UsageError, match=r"run one: it cannot be imported: it is the run that was pruned from the store"):
            await import_run(journal, late)


async def _go_on(journal: Journal) -> None:
    head = (await journal.read("one")).head
    row = await journal.row("one")
    assert row is not None
    (events,) = call()[2:]
    from holdfast.journal.base import Release

    release = Release(status="completed", due_at=None)
    wrote = await journal.append(Batch(run_id="one", fence=row.fence, head=head, at=T0 + 5, events=events, release=release))
    assert isinstance(wrote, Head)


async def test_an_archive_that_was_made_anew_is_found_by_the_store_that_it_names(tmp_path: Path) -> None:
    """Every digest in it is right; only the store, or a head that was noted, knows better."""
    async with store(tmp_path / "a.db") as journal:
        await written(journal, "one", *call())
        forged = read(_forged(await exported(journal, "one"), b"paid", b"lost"))
        assert (await check_against(forged[0], journal)).verdict == "other"
        assert (await check_against(await one(journal), journal)).verdict == "same"


async def test_a_redacted_copy_that_was_changed_is_found_by_its_store(tmp_path: Path) -> None:
    """Its sealed links are those of the store, for they can be copied; leaving out the same shows what should be there."""
    async with store(tmp_path / "a.db") as journal:
        await written(journal, "one", *call())
        archive = await exported(journal, "one", redaction=Redaction(names=("to",)))
        assert (await check_against(read(archive)[0], journal)).verdict == "same"
        found = await check_against(read(_forged(archive, b'"paid"', b'"lost"'))[0], journal)
        assert (found.verdict, "not what this release leaves" in found.said) == ("other", True)


def _forged(archive: bytes, old: bytes, new: bytes) -> bytes:
    """An archive of one run in which one text was put for another, with new links, seals and sums."""
    some, link = lines(archive)[:-1], b""
    for number, line in enumerate(some):
        if line.startswith(b'{"batch":'):
            head, _, body = line.rstrip(b"\n").partition(b',"events":')
            (batch,) = [one for one in read(archive)[0].batches if line.startswith(b'{"batch":%d,' % one.first)]
            body = body[:-1].replace(old, new)
            link = codec.link(link, "one", batch.first, batch.fence, batch.at, body)
            some[number] = head.replace(batch.link.hex().encode(), link.hex().encode()) + b',"events":' + body + b"}\n"
    some[0] = resealed(some[0], head=link.hex())
    return closed(some)


async def test_entries_that_make_no_run_are_not_taken_in(tmp_path: Path) -> None:
    """They would break whatever looks at them later."""
    async with store(tmp_path / "a.db") as journal, store(tmp_path / "b.db") as other:
        await written(journal, "one", (e.CallSucceeded(step="nowhere", attempt=1),))
        run = await one(journal)
        with pytest.raises(ArchiveRefused, match=r"line 3: run one: its entries make no run \(KeyError: 'nowhere'\)"):
            await import_run(other, run)
        assert await other.row("one") is None
