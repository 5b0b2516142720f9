"""An audit, checked by whoever has it and nothing else."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from holdfast.audit.lines import lines_of
from holdfast.audit.records import STANDING_EVENTS, AuditEnd, AuditLine, AuditRecord, Proof, ProofBatch, Tally, is_within
from holdfast.errors import HoldfastError, JournalCorrupt
from holdfast.journal import codec
from holdfast.journal.base import StoredBatch


def verify_audit(records: Iterable[AuditRecord | str | bytes], heads: Mapping[str, str] | None = None) -> list[str]:
    """Everything that is wrong with an audit, a sentence each that begins with its place; empty where all holds.

    records: as `audit` gives them, or the lines of `json_lines`. heads: of runs, as hex, noted elsewhere: an audit that is as
    good as any other but not of that journal is found by them. Approvals given in advance stand in no journal; only the
    digest at the end covers them.
    """
    check = _Check(dict(heads or {}))
    for number, given in enumerate(records, 1):
        record = _record(given)
        if record is None:
            check.problems.append(f"line {number}: it is no record of an audit")
        else:
            check.take(number, record)
    check.finish()
    return check.problems


def _record(given: AuditRecord | str | bytes) -> AuditRecord | None:
    if not isinstance(given, (str, bytes)):
        return given
    try:
        raw = msgspec.json.decode(given)
        if not isinstance(raw, dict):
            return None
        form: Any = Proof if "proof" in raw else AuditEnd if "end" in raw else AuditLine
        record: AuditRecord = msgspec.convert(raw, form)
        return record
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


class _Check:
    """Takes the records in order. Lines are kept until the proof of their run comes."""

    def __init__(self, heads: dict[str, str]) -> None:
        self.problems: list[str] = []
        self._heads = heads
        self._lines: list[tuple[int, AuditLine]] = []
        self._proven: set[str] = set()
        self._tally = Tally()
        self._ended = False

    def take(self, number: int, record: AuditRecord) -> None:
        if self._ended:
            self.problems.append(f"line {number}: the audit had ended before it")
        if isinstance(record, AuditEnd):
            self._ended = True
            self._check_end(number, record)
            return
        self._tally.counted(record)
        if isinstance(record, Proof):
            self._check_proof(number, record)
        elif record.run:
            self._lines.append((number, record))
        elif self._lines or self._proven:
            self.problems.append(f"line {number}: what belongs to no run comes before all runs")
        elif record.event not in STANDING_EVENTS or record.sequence or record.link:
            self.problems.append(f"line {number}: it names no run, and is no approval given in advance")

    def finish(self) -> None:
        for number, line in self._lines:
            self.problems.append(f"line {number} (run {line.run}, entry {line.sequence}): nothing proves it")
        if not self._ended:
            self.problems.append("the end is missing: something was cut off")
        for run_id in sorted(self._heads.keys() - self._proven):
            self.problems.append(f"run {run_id}: its head was noted, and it is not there")

    def _check_end(self, number: int, end: AuditEnd) -> None:
        seen = self._tally.end()
        if end.end != seen.end:
            self.problems.append(f"line {number}: there are {seen.end} records before it instead of {end.end}")
        elif end.digest != seen.digest:
            self.problems.append(f"line {number}: the records before it are not the ones that were written")

    def _check_proof(self, number: int, proof: Proof) -> None:
        run_id = proof.proof
        where = f"line {number} (run {run_id})"
        given = [(place, line) for place, line in self._lines if line.run == run_id]
        for place, line in self._lines:
            if line.run != run_id:
                self.problems.append(f"line {place} (run {line.run}, entry {line.sequence}): it stands among those of {run_id}")
        self._lines = []
        if run_id in self._proven:
            self.problems.append(f"{where}: the run was proven before")
        self._proven.add(run_id)
        if self._heads.get(run_id, proof.head) != proof.head:
            self.problems.append(f"{where}: its head is not the one that was noted")
        try:
            stored = [_stored(batch) for batch in proof.batches]
            codec.check_chain(run_id, stored, proof.entries, bytes.fromhex(proof.head))
            contents = {digest: b64decode(body, validate=True) for digest, body in proof.contents.items()}
            lines = [line for line in lines_of(run_id, stored, contents) if is_within(line.at, proof.since, proof.until)]
        except JournalCorrupt as error:
            self.problems.append(f"{where}: {error.what}")
        except (ValueError, KeyError, RecursionError, HoldfastError, msgspec.MsgspecError) as error:
            self.problems.append(f"{where}: it cannot be read: {error}")
        else:
            self.problems += _differences(run_id, given, lines, number)


def _stored(batch: ProofBatch) -> StoredBatch:
    return StoredBatch(
        first=batch.first, count=batch.count, fence=batch.fence, at=batch.at, body=b64decode(batch.body, validate=True),
        link=bytes.fromhex(batch.link),
    )  # fmt: skip


def _differences(run_id: str, given: list[tuple[int, AuditLine]], true: list[AuditLine], end: int) -> Iterator[str]:
    """What is wrong with the lines of a run, held against those that its journal gives."""
    left = {line.sequence: line for line in true}
    seen: set[int] = set()
    last = 0
    for number, line in given:
        where = f"line {number} (run {run_id}, entry {line.sequence})"
        expected = left.pop(line.sequence, None)
        if line.sequence in seen:
            yield f"{where}: it is there twice"
        elif expected is None:
            yield f"{where}: the journal has no such decision there"
        else:
            if line.sequence < last:
                yield f"{where}: it is out of order"
            if changed := _changed(line, expected):
                yield f"{where}: not what was written: {', '.join(changed)}"
        last = max(last, line.sequence)
        seen.add(line.sequence)
    for sequence, line in sorted(left.items()):
        yield f"before line {end} (run {run_id}, entry {sequence}): the line of this {line.event} is missing"


def _changed(line: AuditLine, expected: AuditLine) -> list[str]:
    """The fields that differ; as JSON, in which 1 and 1.0 and true are three things."""
    return [
        name
        for name in AuditLine.__struct_fields__
        if msgspec.json.encode(getattr(line, name)) != msgspec.json.encode(getattr(expected, name))
    ]  # fmt: skip
