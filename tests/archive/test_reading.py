"""Archives that are not what was written: each is refused, and the place is named."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.archive import ArchivedRun, Redaction, bounds, checked, entries_of, read_archive
from holdfast.core import events as e
from holdfast.errors import ArchiveRefused, JournalTooNew, LoadError, UsageError
from holdfast.journal import codec
from tests.archive.kit import LARGE, call, closed, exported, lines, read, resealed, store, written
from tests.thorough import ALL

Lines = list[bytes]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of two runs: `one` has the lines 1 to 7, `two` 8 to 14, of which the second and third are contents."""

    async def made() -> bytes:
        async with store(tmp_path_factory.mktemp("archive") / "runs.db") as journal:
            await written(journal, "one", *call(), tenant="acme", labels={"team": "sales"})
            await written(journal, "two", *call({"b": [1, 2.5, "é\u2028"]}), parent="one")
            return await exported(journal, "one", "two")

    return asyncio.run(made())


@pytest.fixture(scope="module")
def redacted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive of a run without its values."""

    async def made() -> bytes:
        async with store(tmp_path_factory.mktemp("archive") / "runs.db") as journal:
            await written(journal, "one", *call())
            return await exported(journal, "one", redaction=Redaction(values=True))

    return asyncio.run(made())


def refused(archive: bytes) -> ArchiveRefused:
    """How an archive is refused, when all of it is read."""
    with pytest.raises(ArchiveRefused) as found:
        [list(run.entries()) for run in read_archive(io.BytesIO(archive))]
    assert str(found.value).startswith(f"line {found.value.line}: ")
    return found.value


# --- any byte -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["archive", "redacted"])
def test_each_changed_byte_is_refused_with_its_line(request: pytest.FixtureRequest, kind: str) -> None:
    """Also one that changes nothing for who reads it: what stands in a file is what was written, or it is refused."""
    whole: bytes = request.getfixturevalue(kind)
    line = 1
    for place, byte in enumerate(whole):
        at = line
        line += byte == 10
        for bit in range(8) if ALL else (place % 7,):
            change = 1 << bit
            changed = whole[:place] + bytes([byte ^ change]) + whole[place + 1 :]
            where = f"{change} at {place} of {whole[max(place - 20, 0) : place + 20]!r}"
            with pytest.raises((ArchiveRefused, JournalTooNew)) as found:
                read(changed)
            said = int(str(found.value).partition("line ")[2].partition(":")[0])
            if b'"original":"' in whole.splitlines()[at - 1] and "to the store" in str(found.value):
                assert said <= at, where  # Of these links only the lines of the run are said.
            else:
                assert said == at, f"{where}: {found.value}"


def test_a_cut_off_file_is_refused_wherever_it_was_cut(archive: bytes) -> None:
    """In the middle of a line, after one, and before the first."""
    ends = [place for place, byte in enumerate(archive[:-1], 1) if byte == 10]
    for end in sorted({*range(0, len(archive), 1 if ALL else 37), *ends, len(archive) - 1}):
        error = refused(archive[:end])
        line = archive[:end].count(b"\n")
        what = "closing line is missing" if end in ends else "cut off in the middle" if end else "empty"
        assert what in error.what
        assert error.line == max(line + (end not in ends), 1)


# --- whole lines --------------------------------------------------------------------------------------------------


def left_out(some: Lines) -> None:
    """A commit is gone."""
    del some[4]


def swapped(some: Lines) -> None:
    """Two commits in another order."""
    some[4], some[5] = some[5], some[4]


def doubled(some: Lines) -> None:
    """A commit twice."""
    some.insert(5, some[4])


def mixed(some: Lines) -> None:
    """A commit of another run in place of this one's."""
    some[5] = some[12]


def without_content(some: Lines) -> None:
    """A large value is gone."""
    del some[1]


def with_another_content(some: Lines) -> None:
    """One more than there were."""
    some.insert(1, b'{"content":"' + codec.blob_digest(b"7").encode() + b'","value":7}\n')


def doubled_content(some: Lines) -> None:
    """A large value twice."""
    some.insert(1, some[1])


def late_content(some: Lines) -> None:
    """A large value after the commits."""
    some.insert(6, some.pop(1))


def without_last(some: Lines) -> None:
    """The last commit is gone."""
    del some[6]


def without_header(some: Lines) -> None:
    """The second run has no header."""
    del some[7]


def first_without_header(some: Lines) -> None:
    """It begins with something else."""
    del some[0]


def run_twice(some: Lines) -> None:
    """A run comes twice."""
    some.extend(some[:7])


def no_line(some: Lines) -> None:
    """Something else."""
    some.insert(3, b'{"note":"hello"}\n')


def spaced(some: Lines) -> None:
    """The same for who reads it, and not what was written."""
    some[3] = some[3].replace(b'"fence":', b'"fence": ')


def twice_said(some: Lines) -> None:
    """A name twice, of which one reader takes the first and another the last."""
    some[3] = some[3].replace(b'"fence":', b'"fence":9,"fence":')


def no_utf8(some: Lines) -> None:
    """Bytes that are no text."""
    some[6] = some[6].replace(b"paid", b"pa\xff\xfe")


def deep(some: Lines) -> None:
    """A nested bomb."""
    some[1] = b'{"content":"' + b"0" * 64 + b'","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"


def windows(some: Lines) -> None:
    """Other line breaks."""
    some[:] = [line.replace(b"\n", b"\r\n") for line in some]


TAMPERED: list[tuple[Callable[[Lines], None], int, str, int | None, str]] = [
    (left_out, 5, "one", 2, "entry 3 comes where entry 2 should"),
    (swapped, 5, "one", 2, "entry 3 comes where entry 2 should"),
    (doubled, 6, "one", 2, "entry 2 comes again, or too late"),
    (mixed, 6, "one", 3, "entry 3 is not what was written"),
    (without_content, 3, "one", None, "there are 1 contents before it instead of 2"),
    (with_another_content, 5, "one", None, "there are 3 contents before it instead of 2"),
    (doubled_content, 3, "one", None, "comes a second time"),
    (late_content, 3, "one", None, "there are 1 contents"),
    (without_last, 7, "one", 5, "ends at entry 4 instead of 6"),
    (without_header, 8, "one", None, "comes after the batches"),
    (first_without_header, 1, "", None, "does not begin with a run"),
    (run_twice, 15, "one", None, "it comes a second time"),
    (no_line, 4, "one", None, "no line of an archive"),
    (spaced, 4, "one", None, "not what was written"),
    (twice_said, 4, "one", None, "not what was written"),
    (no_utf8, 7, "one", None, "not UTF-8"),
    (deep, 2, "one", None, "nested deeper than 200 levels"),
    (windows, 1, "", None, "not what was written"),
]


@pytest.mark.parametrize(
    ("tamper", "line", "run_id", "sequence", "said"), TAMPERED, ids=lambda part: getattr(part, "__name__", "")
)
def test_lines_that_were_meddled_with_are_refused_with_line_run_and_entry(
    archive: bytes, tamper: Callable[[Lines], None], line: int, run_id: str, sequence: int | None, said: str
) -> None:
    """Also by somebody who made a new closing line."""
    some = lines(archive)[:-1]
    tamper(some)
    error = refused(closed(some))
    assert (error.line, error.run_id or "", error.sequence) == (line, run_id, sequence)
    assert said in error.what


def test_a_whole_run_that_was_left_out_added_or_moved_is_refused(archive: bytes) -> None:
    """Its own lines are all right; the closing line has another sum."""
    some = lines(archive)
    assert refused(b"".join([*some[:7], some[-1]])).what.startswith("there are 7 lines before it instead of 14")
    assert "whole runs" in refused(b"".join([*some[7:14], *some[:7], some[-1]])).what
    assert refused(archive + some[0]).what == "the archive had ended before this line"
    assert "whole runs" in refused(b'{"end":0,"sha256":"' + b"0" * 64 + b'"}\n').what


def test_a_later_form_is_said_to_be_one(archive: bytes) -> None:
    """With the release that wrote it, whatever else it has in it."""
    first = lines(archive)[0].replace(b'"form":1,"release":"', b'"form":2,"news":[1],"release":"9.')
    with pytest.raises(
        JournalTooNew, match=r"run one: line 1: the archive has the form 2, and this release reads up to 1 — .* 9\."
    ):
        read(first + b"".join(lines(archive)[1:]))


def test_a_line_that_is_too_long_is_not_read_to_its_end(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of a file nor of lines that somebody gives."""
    monkeypatch.setattr(bounds, "LINE_BYTES_MAX", 10_000)

    class Endless(io.RawIOBase):
        taken = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size <= 10_001
            self.taken += 1
            return b"[" * size

    source = Endless()
    with pytest.raises(ArchiveRefused, match=r"line 1: it is longer than 10 kB, which no line of an archive is"):
        list(read_archive(source))
    assert source.taken == 1
    with pytest.raises(ArchiveRefused, match="longer than 10 kB"):
        list(read_archive([b"x" * 20_000 + b"\n"]))


# --- by somebody who knows how it is made -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agent": "other"}, "its header says agent 'other', its entries 'shop'"),
        ({"tenant": "evil"}, "its header says tenant 'evil', its entries 'acme'"),
        ({"labels": {}}, "its header says labels {}, its entries {'team': 'sales'}"),
        ({"parent": "p"}, "its header says parent 'p', its entries ''"),
        ({"source": "p"}, "its header says source 'p', its entries ''"),
        ({"status": "failed"}, "its header says failed, its entries completed"),
        ({"status": "running"}, "its header says running, its entries completed"),
        ({"version": 4}, "entry 5 is more than the 4 of the header"),
        ({"version": 9}, "its journal ends at entry 6 instead of 9"),
        ({"head": "00" * 32}, "its chain does not end as its header says"),
        ({"redacted": {"values": True}}, "do not agree on what was left out"),
        ({"original": {"head": "0", "links": "0"}}, "are not what was written"),
        ({"run": "other"}, "entry 1 is not what was written"),
        ({"form": 0}, "its header is not what was written"),
    ],
)
def test_a_header_with_a_new_seal_must_say_what_the_entries_say(archive: bytes, changes: dict[str, object], said: str) -> None:
    """Whoever can compute a seal can write any header."""
    some = lines(archive)[:-1]
    assert said in refused(closed([resealed(some[0], **changes), *some[1:]])).what


async def test_a_value_that_looks_like_the_end_of_a_run_is_none(tmp_path: Path) -> None:
    """What a tool says is not what became of the run."""
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *call({"event": "run_failed"}))
        await written(
            journal,
            "two",
            *call({"event": "run_forked"})[:2],
            (e.CallSucceeded(step="a", attempt=1, value={"event": "run_failed"}),),
        )
        assert [run.header.status for run in read(await exported(journal, "one", "two"))] == ["completed", "running"]


def test_contents_that_come_to_more_than_a_machine_has_are_refused(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents that each refer ten times to the next: a file of some kilobytes, and as many values as somebody likes."""
    monkeypatch.setattr(bounds, "GROWN_BYTES_MAX", 100_000)
    content, made = b'["x"]', {}
    for _ in range(5):
        digest = codec.blob_digest(content)
        made[digest] = content
        content = b"[" + b",".join([b'{"$blob":"' + digest.encode() + b'"}'] * 10) + b"]"
    made[codec.blob_digest(content)] = content
    (one, _) = read(archive)
    body = b'[{"event":"finish_proposed","turn":1,"result":{"$blob":"' + codec.blob_digest(content).encode() + b'"}}]'
    last = one.batches[-1]
    batch = type(last)(first=7, count=1, fence=1, at=1.0, body=body, link=b"")
    bomb = ArchivedRun(header=one.header, batches=(batch,), contents=made, lines=(4,))
    with pytest.raises(ArchiveRefused, match=r"line 4: run one: entry 7 cannot be read: .* more than 100 kB"):
        list(bomb.entries())


def test_contents_that_are_deep_together_are_refused(archive: bytes) -> None:
    """Each of them is not."""
    content, made = b'"x"', {}
    for _ in range(4):
        made[digest := codec.blob_digest(content)] = content
        content = b"[" * 80 + b'{"$blob":"' + digest.encode() + b'"}' + b"]" * 80
    made[codec.blob_digest(content)] = content
    (one, _) = read(archive)
    body = b'[{"event":"finish_proposed","turn":1,"result":{"$blob":"' + codec.blob_digest(content).encode() + b'"}}]'
    batch = type(one.batches[0])(first=7, count=1, fence=1, at=1.0, body=body, link=b"")
    with pytest.raises(ArchiveRefused, match="nested deeper"):
        list(ArchivedRun(header=one.header, batches=(batch,), contents=made, lines=(4,)).entries())


def test_an_event_of_a_later_release_is_named_with_its_line(archive: bytes) -> None:
    """It is no damage: it is to be read with that release."""
    (one, _) = read(archive)
    batch = type(one.batches[0])(first=1, count=1, fence=1, at=1.0, body=b'[{"event":"dreamt"}]', link=b"")
    with pytest.raises(JournalTooNew, match=r"run one: line 4: an event of a later release: dreamt"):
        list(ArchivedRun(header=one.header, batches=(batch,), contents={}, lines=(4,)).entries())


def test_references_and_contents_belong_together(archive: bytes) -> None:
    """What is referred to is there, and what is there is referred to."""
    some = lines(archive)[:-1]
    stray = b'{"content":"' + codec.blob_digest(b"7").encode() + b'","value":7}\n'
    header = resealed(some[0], contents=3)
    error = refused(closed([header, stray, *some[1:]]))
    assert (error.line, error.what) == (2, f"nothing of this run refers to the content {codec.blob_digest(b'7')[:12]}")
    header = resealed(some[0], contents=1)
    error = refused(closed([header, *some[2:]]))
    assert "which is missing" in error.what
    assert error.line in (3, 4)


# --- one run ------------------------------------------------------------------------------------------------------


def test_a_run_of_a_file_is_found_by_its_id_or_because_the_others_are_its_children(archive: bytes, tmp_path: Path) -> None:
    """All of the file is checked before."""
    path = tmp_path / "two.jsonl"
    path.write_bytes(archive)
    assert entries_of(path).run_id == "one"
    assert [header.run_id for header in checked(path)] == ["one", "two"]
    two = entries_of(path, "two")
    assert [entry.sequence for batch in two.entries() for entry in batch] == [1, 2, 3, 4, 5, 6]
    assert isinstance([*two.entries()][-1][-1].event, e.RunCompleted)
    with pytest.raises(UsageError, match="run three: there is no such run in the archive — it has one, two"):
        entries_of(path, "three")
    path.write_bytes(archive[:-1])
    with pytest.raises(ArchiveRefused, match="cut off"):
        entries_of(path, "one")
    with pytest.raises(LoadError, match="cannot be read"):
        entries_of(tmp_path / "none.jsonl")


async def test_of_several_runs_that_are_no_family_one_must_be_named(tmp_path: Path) -> None:
    """Nobody guesses which."""
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *call(LARGE))
        await written(journal, "two", *call())
        path = tmp_path / "two.jsonl"
        path.write_bytes(await exported(journal, "one", "two"))
    with pytest.raises(UsageError, match="the archive has 2 runs — name one of one, two"):
        entries_of(path)
    assert json.loads(path.read_bytes().splitlines()[0])["run"] == "one"
