"""Runs of a store, written down as an archive."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from holdfast.archive import bounds
from holdfast.archive.records import (
    FORM,
    BatchLine,
    BytesLine,
    ContentLine,
    EndLine,
    Header,
    Original,
    Redaction,
    redaction_of,
)
from holdfast.archive.redacting import redacted_copy
from holdfast.archive.seals import digest_of, seal
from holdfast.errors import JournalCorrupt, JournalUnavailable, LoadError, RunNotFound, UsageError
from holdfast.journal.base import Journal, RunRow, StoredBatch
from holdfast.journal.retention import mentioned, needed, not_found
from holdfast.views.words import size

# How often a run that goes on meanwhile is read again, until its row and its entries are of the same moment.
READS_MAX = 100


class Writable(Protocol):
    """Where an archive is written to, in order."""

    def write(self, part: bytes, /) -> object:
        """Take some bytes."""


class ExportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was written. entries: how many; head: the last link of its chain, as hex: note it elsewhere, and a file that was
    forged as a whole is found by it. redacted: what was left out, in words; still: the first entries of commits in which some of
    it stands all the same, in a name that stays."""

    run_id: str
    entries: int
    head: str
    status: str
    contents: int
    redacted: str = ""
    still: tuple[int, ...] = ()


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: the runs in order, and how many lines and bytes that came to. sha256: over all but the last line.
    missing: runs that were named and were not there, where these were to be passed over."""

    runs: tuple[ExportedRun, ...]
    lines: int
    bytes: int
    sha256: str
    missing: tuple[str, ...] = ()


async def export(
    journal: Journal,
    run_ids: Iterable[str],
    write: Writable | str | os.PathLike[str],
    *,
    redaction: Redaction | None = None,
    passes_over_missing: bool = False,
) -> Exported:
    """Write runs, one after the other, to an open file or to a path. At a path there is the whole archive in the end, or what was
    there before. No more than one run is in memory, and of a whole run one large value.

    redaction: what is left out. passes_over_missing: a run that is not there, or not any more, is passed over; `Exported.missing`
    says which. RunNotFound, also where none is left; JournalCorrupt where a journal is not what was written; LoadError where the
    file cannot be written.
    """
    wanted = list(dict.fromkeys(run_ids))
    if not wanted:
        raise UsageError("no run is named, so there is nothing to export")
    if redaction is not None and not (redaction.names or redaction.values):
        raise UsageError("the redaction names nothing that is to be left out")
    if not isinstance(write, (str, os.PathLike)):
        return await _written(journal, wanted, write, redaction, passes_over_missing)
    try:
        with whole_file(Path(write)) as file:
            return await _written(journal, wanted, file, redaction, passes_over_missing)
    except OSError as error:
        raise LoadError(f"{os.fspath(write)} cannot be written: {error.strerror or error}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there as a whole, on the disk, or not at all. What is no file (a pipe, a device) is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # A link goes on pointing to where it did.
    number, name = _unfinished(path)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(number)
            if not name:
                name = _named(number, path)
        os.replace(name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        if name:
            with suppress(FileNotFoundError):
                os.unlink(name)


def _unfinished(path: Path) -> tuple[int, str]:
    """A file to write, beside the path: without a name where the system has such files, for whoever is killed leaves nothing of
    one; else with the name that comes with it."""
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
        with suppress(OSError):  # Not every file system has them.
            return os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600), ""
    return tempfile.mkstemp(prefix=_prefix(path), suffix=".part", dir=path.parent)


def _named(number: int, path: Path) -> str:
    """Give an open file without a name one, beside the path."""
    name = str(path.parent / f"{_prefix(path)}{secrets.token_hex(4)}.part")
    # Without a folder given, Python would link the entry in /proc itself.
    os.link(f"/proc/self/fd/{number}", name, src_dir_fd=number, follow_symlinks=True)
    return name


def _prefix(path: Path) -> str:
    return f".{path.name[:50]}."


async def _written(
    journal: Journal, run_ids: list[str], file: Writable, redaction: Redaction | None, passes_over_missing: bool
) -> Exported:
    lines = _Lines(file)
    runs, missing = [], []
    for run_id in run_ids:
        try:
            runs.append(await _write_run(journal, run_id, lines, redaction))
        except RunNotFound:
            if not passes_over_missing or (run_id == run_ids[-1] and not runs):
                raise
            missing.append(run_id)
    lines.put(EndLine(lines.count, sha256 := lines.digest))
    return Exported(runs=tuple(runs), lines=lines.count, bytes=lines.bytes, sha256=sha256, missing=tuple(missing))


class _Lines:
    """Lines that are written, counted and digested."""

    def __init__(self, file: Writable):
        self._file = file
        self._digest = hashlib.sha256()
        self.count = self.bytes = 0

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def put(self, record: msgspec.Struct) -> None:
        line = msgspec.json.encode(record) + b"\n"
        if len(line) > bounds.LINE_BYTES_MAX:
            raise UsageError(f"a value of {size(len(line))} has no room in an archive; a line has {size(bounds.LINE_BYTES_MAX)}")
        self._digest.update(line)
        self._file.write(line)
        self.count += 1
        self.bytes += len(line)


async def _write_run(journal: Journal, run_id: str, lines: _Lines, redaction: Redaction | None) -> ExportedRun:
    row, batches = await at_one_moment(journal, run_id)
    digests = await contents_of(journal, batches)
    await _check_there(journal, run_id, digests, batches)
    still: tuple[int, ...] = ()
    if redaction is None:
        header = _header(row, batches, len(digests), redaction_of(row.labels))
        lines.put(header)
        for digest in digests:
            lines.put(_content_line(digest, await _content(journal, run_id, digest)))
        for batch in batches:
            lines.put(_batch_line(batch))
    else:
        contents = {digest: await _content(journal, run_id, digest) for digest in digests}
        copy = redacted_copy(run_id, batches, contents, redaction)
        still = copy.still
        secret = await journal.secret()
        originals = [seal(secret, batch.link) for batch in batches]
        header = msgspec.structs.replace(
            _header(row, copy.batches, len(copy.contents), copy.redaction),
            labels=copy.labels(row.labels),
            waits_for=copy.text(row.waits_for),
            goal_digest="",  # Whoever has it can try what the inputs were.
            original=Original(head=originals[-1], links=digest_of(originals)),
        ).sealed()
        lines.put(header)
        for digest, content in copy.contents.items():
            lines.put(_content_line(digest, content))
        for batch, original in zip(copy.batches, originals, strict=True):
            lines.put(_batch_line(batch, original))
    return ExportedRun(
        run_id=run_id, entries=header.version, head=header.head, status=header.status, contents=header.contents,
        redacted=header.redacted.said if header.redacted is not None else "", still=still,
    )  # fmt: skip


async def at_one_moment(journal: Journal, run_id: str) -> tuple[RunRow, list[StoredBatch]]:
    """The row of a run and its journal, which agree; a worker may be at it."""
    for _ in range(READS_MAX):
        row = await journal.row(run_id)
        if row is None:
            raise not_found(run_id, next(iter(await journal.proofs([run_id])), None))
        batches = await journal.batches(run_id)
        if batches and batches[-1].first + batches[-1].count - 1 == row.version:
            return row, batches
    raise JournalUnavailable("it goes on faster than it can be read", run_id=run_id, hint="pause it, or try again")


async def contents_of(journal: Journal, batches: Iterable[StoredBatch]) -> list[str]:
    """The digests of all large values that a run refers to, and that the store has."""
    found: dict[str, bool] = {}
    waiting = sorted({digest for batch in batches for digest in mentioned(batch.body)}, reverse=True)
    while waiting:
        digest = waiting.pop()
        if digest not in found:
            content = await journal.content(digest)
            found[digest] = content is not None
            waiting.extend(sorted(mentioned(content or b""), reverse=True))
    return [digest for digest, is_there in found.items() if is_there]


async def _check_there(journal: Journal, run_id: str, digests: Iterable[str], batches: Iterable[StoredBatch]) -> None:
    """That what the entries need is in the store. RunNotFound where the run was pruned since they were read; JournalCorrupt."""
    lacking = sorted({digest for batch in batches for digest in needed(batch.body)}.difference(digests))
    if lacking and await journal.row(run_id) is None:
        raise not_found(run_id, next(iter(await journal.proofs([run_id])), None))
    if lacking:
        raise JournalCorrupt(f"the stored content {lacking[0][:12]} is missing", run_id=run_id)


async def _content(journal: Journal, run_id: str, digest: str) -> bytes:
    content = await journal.content(digest)
    if content is not None:
        return content
    if await journal.row(run_id) is None:
        raise JournalUnavailable("it was pruned while it was written", run_id=run_id, hint="begin again")
    raise JournalCorrupt(f"the stored content {digest[:12]} is missing", run_id=run_id)


def _header(row: RunRow, batches: Iterable[StoredBatch], contents: int, redacted: Redaction | None) -> Header:
    *_, last = batches
    return Header(
        run_id=row.run_id, form=FORM, release=_release(), agent=row.agent, status=row.status, waits_for=row.waits_for,
        tenant=row.tenant, priority=row.priority, labels=row.labels, goal_digest=row.goal_digest, parent=row.parent,
        source=row.source, created_at=row.created_at, changed_at=row.changed_at, version=last.first + last.count - 1,
        head=last.link.hex(), contents=contents, redacted=redacted,
    ).sealed()  # fmt: skip


def _content_line(digest: str, content: bytes) -> ContentLine | BytesLine:
    """A content as it is stored: JSON as JSON, so that it can be read with anything, and what else there may be as base64."""
    line = ContentLine(digest, msgspec.Raw(content))
    try:
        encoded = msgspec.json.encode(line)
        encoded.decode()
        if b"\n" not in encoded and bytes(msgspec.json.decode(encoded, type=ContentLine).value) == content:
            return line
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return BytesLine(digest, b64encode(content).decode())


def _batch_line(batch: StoredBatch, original: str = "") -> BatchLine:
    return BatchLine(
        batch=batch.first, count=batch.count, fence=batch.fence, at=batch.at, link=batch.link.hex(), original=original,
        events=msgspec.Raw(batch.body),
    )  # fmt: skip


def _release() -> str:
    try:
        return metadata.version("holdfast")
    except metadata.PackageNotFoundError:
        return ""
