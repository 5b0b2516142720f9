"""An archive, read by whoever has it and nothing else; each line is checked, and the first that is wrong is named."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from holdfast.archive import bounds
from holdfast.archive.records import FORM, ArchivedRun, BatchLine, BytesLine, ContentLine, EndLine, Header, redaction_of
from holdfast.archive.seals import digest_of
from holdfast.core import events as e
from holdfast.errors import ArchiveRefused, JournalTooNew, LoadError, UsageError
from holdfast.journal import codec
from holdfast.journal.base import ENDED, StoredBatch
from holdfast.journal.retention import mentioned
from holdfast.views.words import listed, size

Source = str | os.PathLike[str] | BinaryIO | Iterable[bytes]

_REFERRED = re.compile(rb'"\$blob"\s*:\s*"([0-9a-f]{64})"')
_BASE64 = len('{"content":"') + 64 + len('",')
_FORKED = re.compile(rb'"event":"run_forked"')
# Where a run is forked after its end, it goes on.
_ENDED = re.compile(rb'"event":"run_(?:forked|completed|failed|cancelled)"')
_ENDS: dict[type, str] = {e.RunCompleted: "completed", e.RunFailed: "failed", e.RunCancelled: "cancelled"}
NO_ARCHIVE = "this is no line of an archive of holdfast"


def read_archive(source: Source) -> Iterator[ArchivedRun]:
    """The runs of an archive, one after the other, each after it was checked as a whole. Only when the iterator has come to its
    end is it known that nothing of the *file* is missing: whoever acts on a run goes through all of it first (`checked`).

    source: a path, an open binary file, or its lines with their line breaks. ArchiveRefused, with the line, for everything that
    is not as it was written; JournalTooNew for a form of a later release; LoadError where there is no such file. What nobody can
    see in a file alone is that all of it was made anew: compare the head with one that was noted elsewhere, or `check_against`.
    """
    with _opened(source) as lines:
        yield from _Reader().runs(lines)


def checked(source: str | os.PathLike[str]) -> list[Header]:
    """The headers of an archive, after all of it was read and checked, each entry of it too. No more than a run is in memory."""
    found = []
    for run in read_archive(source):
        for _ in run.entries():
            pass
        found.append(run.header)
    return found


def entries_of(source: str | os.PathLike[str], run_id: str | None = None) -> ArchivedRun:
    """One run of an archive, after all of the file was checked; its `entries()` are the batches, decoded. run_id: which; where it
    is not said, the one that there is, or the one that the others are children of. UsageError where that is not clear."""
    headers = {run.run_id: run.header for run in read_archive(source)}
    if run_id is None:
        roots = [name for name, header in headers.items() if header.parent not in headers]
        if len(roots) != 1:
            raise UsageError(f"the archive has {len(headers)} runs", hint=f"name one of {listed(roots or headers)}")
        run_id = roots[0]
    if run_id not in headers:
        raise UsageError("there is no such run in the archive", run_id=run_id, hint=f"it has {listed(headers)}")
    return next(run for run in read_archive(source) if run.run_id == run_id)


@contextmanager
def _opened(source: Source) -> Iterator[Iterator[bytes]]:
    if not isinstance(source, (str, os.PathLike)):
        yield _lines(source) if hasattr(source, "readline") else iter(source)
        return
    try:
        with Path(source).open("rb") as file:
            yield _lines(file)
    except OSError as error:
        raise LoadError(f"{os.fspath(source)} cannot be read: {error.strerror or error}") from error


def _lines(file: Any) -> Iterator[bytes]:
    """The lines of a file; of one that is too long only so much that this can be seen."""
    while line := file.readline(bounds.LINE_BYTES_MAX + 1):
        yield line


class _Reader:
    """Takes the lines in order, and knows where it is."""

    def __init__(self) -> None:
        self._number = 0
        self._digest = hashlib.sha256()
        self._run: _Run | None = None
        self._seen: set[str] = set()
        self._ended = False

    def runs(self, lines: Iterable[bytes]) -> Iterator[ArchivedRun]:
        for line in lines:
            self._number += 1
            self._check_line(line)
            if line.startswith((b'{"run":', b'{"end":')) and self._run is not None:
                run, self._run = self._run, None
                yield run.whole(self._number)
            self._take(line[:-1])
            self._digest.update(line)
        if self._number == 0:
            raise ArchiveRefused("the file is empty", line=1)
        if not self._ended:
            raise self._refused("the closing line is missing after this one: the file was cut off")

    def _refused(self, what: str, hint: str | None = None) -> ArchiveRefused:
        return ArchiveRefused(what, line=self._number, run_id=self._run.id if self._run is not None else None, hint=hint)

    def _check_line(self, line: bytes) -> None:
        if len(line) > bounds.LINE_BYTES_MAX:
            raise self._refused(f"it is longer than {size(bounds.LINE_BYTES_MAX)}, which no line of an archive is")
        if self._ended:
            raise self._refused("the archive had ended before this line")
        if not line.endswith(b"\n"):
            raise self._refused("the file was cut off in the middle of this line")
        try:
            line.decode()
            bounds.check_depth(line)
        except UnicodeDecodeError as error:
            raise self._refused(f"it is not UTF-8 (byte {error.start + 1})") from error
        except ValueError as error:
            raise self._refused(str(error)) from error

    def _take(self, line: bytes) -> None:
        if line.startswith(b'{"run":'):
            self._run = self._begun(line)
        elif line.startswith(b'{"end":'):
            self._check_end(self._read(line, EndLine))
        elif self._run is None:
            raise self._refused("it does not begin with a run" if self._number == 1 else NO_ARCHIVE)
        elif line.startswith(b'{"content":'):
            kind: Any = BytesLine if line[_BASE64:].startswith(b'"base64"') else ContentLine
            self._run.take_content(self._number, self._read(line, kind))
        elif line.startswith(b'{"batch":'):
            self._run.take_batch(self._number, self._read(line, BatchLine))
        else:
            raise self._refused(NO_ARCHIVE)

    def _read(self, line: bytes, kind: type[Any]) -> Any:
        """A line as a record, that would be written down as it stands there, to the byte."""
        try:
            record = msgspec.json.decode(line, type=kind)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._refused(f"it is not what was written: {error}") from error
        if msgspec.json.encode(record) != line:
            raise self._refused("it is not what was written")
        return record

    def _begun(self, line: bytes) -> _Run:
        try:
            form = msgspec.json.decode(line, type=_Form)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._refused(f"it is not what was written: {error}") from error
        if form.form > FORM:
            raise JournalTooNew(
                f"line {self._number}: the archive has the form {form.form}, and this release reads up to {FORM}",
                run_id=form.run,
                hint=f"read it with holdfast {form.release or 'of that form'} or later",
            )
        self._run = None
        header = self._read(line, Header)
        if header.sealed() != header or header.form < 1:
            raise ArchiveRefused("its header is not what was written", line=self._number, run_id=header.run_id)
        if header.run_id in self._seen:
            raise ArchiveRefused("it comes a second time", line=self._number, run_id=header.run_id)
        self._seen.add(header.run_id)
        return _Run(self._number, header)

    def _check_end(self, end: EndLine) -> None:
        self._ended = True
        if end.end != self._number - 1:
            raise self._refused(f"there are {self._number - 1} lines before it instead of {end.end}")
        if not self._seen or end.sha256 != self._digest.hexdigest():
            raise self._refused("the closing line is not of these lines: whole runs were changed or moved, or it was")


class _Form(msgspec.Struct):
    run: str
    form: int
    release: str = ""


class _Run:
    """Takes the lines of one run."""

    def __init__(self, line: int, header: Header):
        self.id = header.run_id
        self._line, self._header = line, header
        self._contents: dict[str, bytes] = {}
        self._content_lines: dict[str, int] = {}
        self._batches: list[StoredBatch] = []
        self._lines: list[int] = []
        self._originals: list[str] = []
        self._known = 0
        self._link = b""

    def _refused(self, what: str, line: int, sequence: int | None = None) -> ArchiveRefused:
        return ArchiveRefused(what, line=line, run_id=self.id, sequence=sequence)

    def take_content(self, line: int, record: ContentLine | BytesLine) -> None:
        digest = record.content
        if self._batches:
            raise self._refused(f"the content {digest[:12]} comes after the batches", line)
        if digest in self._contents:
            raise self._refused(f"the content {digest[:12]} comes a second time", line)
        try:
            content = bytes(record.value) if isinstance(record, ContentLine) else b64decode(record.base64, validate=True)
        except ValueError as error:
            raise self._refused(f"the content {digest[:12]} is no base64", line) from error
        if codec.blob_digest(content) != digest:
            raise self._refused(f"the content {digest[:12]} is not what was written", line)
        self._contents[digest] = content
        self._content_lines[digest] = line

    def take_batch(self, line: int, record: BatchLine) -> None:
        if not self._batches:
            self._check_contents(line)
        first, expected = record.batch, self._known + 1
        if first != expected:
            what = "comes again, or too late" if first < expected else f"comes where entry {expected} should"
            raise self._refused(f"entry {first} {what}", line, min(first, expected))
        body = bytes(record.events)
        try:
            stored = StoredBatch(
                first=first, count=record.count, fence=record.fence, at=record.at, body=body, link=bytes.fromhex(record.link)
            )
            count = len(msgspec.json.decode(body, type=list[msgspec.Raw]))
            if count != record.count:
                raise self._refused(f"entry {first} counts for {record.count} and is {count}", line, first)
            # One by one, so that the line is known.
            self._link = codec.link(self._link, self.id, first, stored.fence, stored.at, body)
            if self._link.hex() != record.link or not count:
                raise self._refused(f"entry {first} is not what was written", line, first)
        except (ValueError, RecursionError) as error:
            raise self._refused(f"entry {first} is not what was written: {error}", line, first) from error
        self._known += count
        if self._known > self._header.version:
            raise self._refused(f"entry {first} is more than the {self._header.version} of the header", line, first)
        self._batches.append(stored)
        self._lines.append(line)
        self._originals.append(record.original)

    def _check_contents(self, line: int) -> None:
        found = len(self._contents)
        if found != self._header.contents:
            raise self._refused(f"there are {found} contents before it instead of {self._header.contents}", line)

    def whole(self, line: int) -> ArchivedRun:
        """The run, after its last line; `line` is the one that follows."""
        header = self._header
        if self._known != header.version or not self._batches:
            what = f"its journal ends at entry {self._known} instead of {header.version}"
            raise self._refused(f"{what} before this line", line, self._known + 1)
        if self._link.hex() != header.head:
            raise self._refused("its chain does not end as its header says", self._line)
        self._check_references()
        self._check_header()
        self._check_original()
        return ArchivedRun(
            header=header, batches=tuple(self._batches), contents=self._contents, lines=tuple(self._lines),
            originals=tuple(self._originals) if header.original is not None else (),
        )  # fmt: skip

    def _check_references(self) -> None:
        """Each content that is referred to is there, and no other is."""
        said: set[str] = set()
        for line, body in (
            *zip(self._lines, (batch.body for batch in self._batches), strict=True),
            *((self._content_lines[digest], content) for digest, content in self._contents.items()),
        ):
            for digest in map(bytes.decode, _REFERRED.findall(body)):
                if digest not in self._contents:
                    raise self._refused(f"it refers to the content {digest[:12]}, which is missing", line)
            said |= mentioned(body)
        for digest, line in self._content_lines.items():
            if digest not in said:
                raise self._refused(f"nothing of this run refers to the content {digest[:12]}", line)

    def _check_header(self) -> None:
        """That the header says of the run what its entries say."""
        header = self._header
        first, *_ = self._events(0)
        if not isinstance(first, e.RunStarted):
            raise self._refused("the run does not begin with its start", self._lines[0], 1)
        said: dict[str, Any] = {
            "run_id": first.run_id, "agent": first.agent, "tenant": first.tenant, "labels": first.labels, "parent": first.parent,
            "source": "",
        }  # fmt: skip
        fork = self._last(_FORKED, (e.RunForked,))
        if isinstance(fork, e.RunForked):
            said = {"run_id": fork.run_id, "agent": fork.agent, "source": fork.source}
        for name, value in said.items():
            if getattr(header, name) != value:
                raise self._refused(f"its header says {name} {getattr(header, name)!r}, its entries {value!r}", self._line)
        end = _ENDS.get(type(self._last(_ENDED, (e.RunForked, *_ENDS))))
        if end != (header.status if header.status in ENDED else None):
            raise self._refused(f"its header says {header.status}, its entries {end or 'that it has not ended'}", self._line)
        if not (redaction_of(header.labels) == redaction_of(first.labels) == header.redacted):
            raise self._refused("its header and its first entry do not agree on what was left out", self._line)

    def _events(self, number: int) -> tuple[e.AnyEvent, ...]:
        """The events of the batch of that place."""
        run = ArchivedRun(
            header=self._header, batches=(self._batches[number],), contents=self._contents, lines=(self._lines[number],)
        )
        return tuple(entry.event for entries in run.entries() for entry in entries)

    def _last(self, named: re.Pattern[bytes], kinds: tuple[type, ...]) -> e.AnyEvent | None:
        """The last event of these kinds, whose names are like this; None where there is none."""
        for number in range(len(self._batches) - 1, -1, -1):
            if named.search(self._batches[number].body):
                for event in reversed(self._events(number)):
                    if isinstance(event, kinds):
                        return event
        return None

    def _check_original(self) -> None:
        original = self._header.original
        if original is None:
            if any(self._originals):
                raise self._refused("a run of which nothing was left out has no other chain", self._lines[0])
        elif digest_of(self._originals) != original.links or self._originals[-1] != original.head:
            where = f"of the lines {self._lines[0]} to {self._lines[-1]}"
            raise self._refused(f"the links {where} to the store that it comes from are not what was written", self._lines[0])
