"""Runs written to a file: whole, byte for byte, and there as a whole or not at all."""

from __future__ import annotations

import asyncio
import io
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.archive import Redaction, bounds, export, read_archive
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.plan import Goal
from holdfast.core.state import status
from holdfast.errors import LoadError, RunNotFound, UsageError
from holdfast.journal import codec
from holdfast.journal.base import StoredBatch
from holdfast.journal.keeping import Adopted
from holdfast.testing.memory import MemoryJournal
from tests import strategies as s
from tests.archive.kit import LARGE, T0, call, exported, lines, read, store, written
from tests.histories.test_histories import FILES, Recorded
from tests.thorough import ALL


async def test_what_is_read_is_what_was_stored_to_the_byte(tmp_path: Path) -> None:
    """Large values, values that look like references to them, and a result that was kept whole beside its cut one."""
    kept = b'"' + b"w" * 30_000 + b'"'
    cut = e.Cut(bytes=30_002, digest=codec.blob_digest(kept))
    async with store(tmp_path / "runs.db") as journal:
        value = {"$blob": "no", "large": LARGE, "list": [LARGE, {"$$blob": 1}]}
        await written(journal, "one", *call(value, cut=cut), contents={cut.digest: kept}, labels={"é": "\u2028"})
        (run,) = read(archive := await exported(journal, "one"))
        stored, entries, row = await journal.batches("one"), (await journal.read("one")).entries, await journal.row("one")
    assert row is not None
    assert list(run.batches) == stored
    assert [entry for batch in run.entries() for entry in batch] == entries
    assert run.contents[cut.digest] == kept
    assert (run.header.head, run.header.version) == (stored[-1].link.hex(), row.version)
    for name in ("agent", "status", "tenant", "labels", "goal_digest", "created_at", "changed_at", "priority"):
        assert getattr(run.header, name) == getattr(row, name)
    assert all(json.loads(line) for line in lines(archive)), "and anything that reads JSON lines can read it"


async def test_contents_that_are_no_json_are_carried_all_the_same(tmp_path: Path) -> None:
    """Bytes that are no text, JSON on several lines, and JSON with white space around it."""
    odd = [b"\xff\x00", b'{"a":\n1}', b' "padded" ', b"", b"[" * 5000]
    digests = [codec.blob_digest(content) for content in odd]
    async with store(tmp_path / "runs.db") as journal:
        contents = dict(zip(digests, odd, strict=True))
        await written(journal, "one", *call([{"of": digest} for digest in digests]), contents=contents)
        (run,) = read(await exported(journal, "one"))
    assert {digest: run.contents[digest] for digest in digests} == contents


async def test_a_run_that_is_not_there_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """What was at that path stays, and no part of a file is left."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"before")
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *call())
        with pytest.raises(RunNotFound):
            await export(journal, ["one", "none"], path)
        assert (path.read_bytes(), sorted(os.listdir(tmp_path))[0]) == (b"before", "out.jsonl")
        with pytest.raises(UsageError, match="no run is named"):
            await export(journal, [], path)
        with pytest.raises(UsageError, match="names nothing"):
            await export(journal, ["one"], path, redaction=Redaction())
        with pytest.raises(LoadError, match="cannot be written"):
            await export(journal, ["one"], tmp_path / "no" / "out.jsonl")
        told = await export(journal, ["one", "one"], path)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]
    (run,) = read_archive(path)
    assert [(one.run_id, one.head, one.entries) for one in told.runs] == [("one", run.header.head, 6)]
    assert (told.bytes, told.lines) == (path.stat().st_size, len(path.read_bytes().splitlines()))


async def test_a_link_and_a_device_stay_what_they_are(tmp_path: Path) -> None:
    """A link goes on pointing to its file, and a pipe is written to."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *call())
        await export(journal, ["one"], tmp_path / "link")
        await export(journal, ["one"], tmp_path / "pipe")
    assert os.read(pipe, 1_000_000) == (tmp_path / "file").read_bytes()
    os.close(pipe)
    assert (tmp_path / "link").is_symlink()


async def test_a_value_that_no_reader_would_take_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of a line holds for both sides."""
    monkeypatch.setattr(bounds, "LINE_BYTES_MAX", 20_000)
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *call(LARGE))
        with pytest.raises(UsageError, match="has no room in an archive; a line has 20 kB"):
            await exported(journal, "one")


class Busy(MemoryJournal):
    """A store in which a run goes on between any two looks at it, three times."""

    left = 3

    async def batches(self, run_id: str) -> list[StoredBatch]:
        found = await super().batches(run_id)
        if self.left:
            self.left -= 1
            return found[:-1]
        return found


async def test_a_run_that_goes_on_meanwhile_is_written_as_it_was_at_one_moment() -> None:
    """Its row and its entries agree."""
    journal = Busy()
    await journal.open()
    await written(journal, "one", *call())
    (run,) = read(await exported(journal, "one"))
    assert (run.header.status, run.header.version, journal.left) == ("completed", 6, 0)


@settings(max_examples=200 if ALL else 25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(s.events, min_size=1, max_size=3).map(tuple), max_size=3))
def test_whatever_is_recorded_is_carried_to_the_byte(batches: list[tuple[Any, ...]]) -> None:
    """Events of every kind, with every value that JSON has."""

    async def there_and_back() -> None:
        journal = MemoryJournal()
        await journal.open()
        await written(journal, "one", *(without_ends(batch) for batch in batches if without_ends(batch)))
        (run,) = read(await exported(journal, "one"))
        assert list(run.batches) == await journal.batches("one")
        assert [entry for batch in run.entries() for entry in batch] == (await journal.read("one")).entries

    asyncio.run(there_and_back())


def without_ends(batch: tuple[e.AnyEvent, ...]) -> tuple[e.AnyEvent, ...]:
    """What begins, forks and ends a run does so in its row, too."""
    ends = (e.RunStarted, e.RunForked, e.RunCompleted, e.RunFailed, e.RunCancelled)
    return tuple(event for event in batch if not isinstance(event, ends))


async def adopted(journal: MemoryJournal, path: Path) -> list[str]:
    """The runs of a file of golden journals, taken into a store; forks too."""
    golden = Recorded(path)
    for run_id, batches in golden.batches.items():
        state = fold(golden.entries(run_id))
        stored = tuple(
            StoredBatch(
                first=batch["first"], count=len(msgspec.json.decode(batch["body"])), fence=batch["fence"], at=batch["at"],
                body=batch["body"].encode(), link=bytes.fromhex(batch["link"]),
            )
            for batch in batches
        )  # fmt: skip
        run = Adopted(
            run_id=run_id, agent=state.agent, goal_digest="g", batches=stored, contents=golden.contents, status=status(state, T0),
            fence=stored[-1].fence, created_at=stored[0].at, changed_at=stored[-1].at, tenant=state.tenant, labels=state.labels,
            parent=state.parent, source=state.fork.source if state.fork is not None else "",
        )  # fmt: skip
        assert await journal.adopt(run)
    return list(golden.batches)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "redaction", [None, Redaction(values=True), Redaction(names=("to", "name"))], ids=["whole", "values", "names"]
)
async def test_journals_of_every_release_are_carried_and_their_copies_can_be_shown(
    path: Path, redaction: Redaction | None
) -> None:
    """Every run of the golden histories: what became of it can be seen in a redacted copy, too."""
    journal = MemoryJournal()
    await journal.open()
    names = await adopted(journal, path)
    archive = await exported(journal, *names, redaction=redaction)
    runs = list(read_archive(io.BytesIO(archive)))
    assert [run.run_id for run in runs] == names
    for run in runs:
        before = fold((await journal.read(run.run_id)).entries)
        after = fold([entry for batch in run.entries() for entry in batch])
        assert [(name, after.steps[name].phase, after.steps[name].attempt) for name in after.order] == [
            (name, before.steps[name].phase, before.steps[name].attempt) for name in before.order
        ]
        assert (status(after, T0), after.version, after.interrupts.keys()) == (
            status(before, T0),
            before.version,
            before.interrupts.keys(),
        )
        assert after.goal == (before.goal if redaction is None else after.goal) != Goal(text="never")
