"""A copy of a run from which something was left out. What is kept stays as it was, so that the copy can be shown; it has a chain
of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from holdfast.archive.bounds import Growth
from holdfast.archive.fields import Kind, parts_of
from holdfast.archive.marks import ByName, Everything
from holdfast.archive.records import REDACTED_LABEL, Redaction, redaction_of
from holdfast.core import events as e
from holdfast.errors import JournalCorrupt
from holdfast.journal import codec
from holdfast.journal.base import StoredBatch


class Treatment(Protocol):
    """What becomes of each kind of part (see `fields.py`)."""

    def value(self, value: Any) -> Any: ...
    def table(self, value: dict[str, Any]) -> dict[str, Any]: ...
    def form(self, value: Any) -> Any: ...
    def text(self, value: str) -> str: ...
    def fact(self, value: str) -> str: ...
    def item(self, value: str) -> str: ...
    def labels(self, value: dict[str, str]) -> dict[str, str]: ...
    def covers(self, name: str) -> bool:
        """Whether all that is said under this name is left out."""

    def covered(self, value: Any) -> Any:
        """What becomes of what is said under such a name."""


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A redacted run: its batches with links of their own, the contents that they refer to, and what was left out in all. still:
    the first entries of batches in which something of it stands in a name."""

    batches: tuple[StoredBatch, ...]
    contents: dict[str, bytes]
    redaction: Redaction
    treatments: tuple[ByName | Everything, ...]
    still: tuple[int, ...] = ()

    def text(self, value: str) -> str:
        """A text of the run's row, without what was left out."""
        for treatment in self.treatments:
            value = treatment.text(value)
        return value

    def labels(self, value: dict[str, str]) -> dict[str, str]:
        """The labels of the run's row, and that something was left out."""
        for treatment in self.treatments:
            value = treatment.labels(value)
        return value | {REDACTED_LABEL: msgspec.json.encode(self.redaction).decode()}


def redacted_copy(run_id: str, batches: list[StoredBatch], contents: Mapping[str, bytes], redaction: Redaction) -> Copy:
    """A run without what is to be left out. JournalCorrupt where it cannot be read."""
    growth = Growth(dict(contents))
    commits = [codec.decode(batch.body, growth.of(batch.body)) for batch in batches]
    first = commits[0][0] if commits and commits[0] else None
    if not isinstance(first, e.RunStarted):
        raise JournalCorrupt("it does not begin with its start, so nothing can be left out of it", run_id=run_id, sequence=1)
    treatments = _treatments(commits, contents, redaction)
    before = redaction_of(first.labels) or Redaction()
    names = tuple(sorted({*before.names, *redaction.names}))
    whole = Redaction(names=names, values=before.values or redaction.values, by=redaction.by or before.by)
    copier = _Copier(contents, treatments)
    copied: list[StoredBatch] = []
    kept: dict[str, bytes] = {}
    link = b""
    for batch, events in zip(batches, commits, strict=True):
        changed = tuple(copier.event(event) for event in events)
        if not copied:
            start = cast(e.RunStarted, changed[0])
            labels = start.labels | {REDACTED_LABEL: msgspec.json.encode(whole).decode()}
            changed = (msgspec.structs.replace(start, labels=labels), *changed[1:])
        body, blobs = codec.encode(changed)
        kept |= blobs
        link = codec.link(link, run_id, batch.first, batch.fence, batch.at, body)
        copied.append(msgspec.structs.replace(batch, body=body, link=link))
    still = tuple(batch.first for batch in copied if any(one.stands_in(batch.body.decode()) for one in treatments))
    contents = kept | copier.contents
    return Copy(batches=tuple(copied), contents=contents, redaction=whole, treatments=treatments, still=still)


def _treatments(
    commits: list[tuple[e.AnyEvent, ...]], contents: Mapping[str, bytes], redaction: Redaction
) -> tuple[ByName | Everything, ...]:
    found: list[ByName | Everything] = []
    if redaction.names:
        by_name = ByName(frozenset(redaction.names))
        look = _Copier(contents, (by_name,))
        for events in commits:
            for event in events:
                look.event(event)
        by_name.settle()
        found.append(by_name)
    if redaction.values:
        observed = [contract for events in commits for event in events for contract in getattr(event, "contracts", ())]
        found.append(Everything(tuple(pattern for contract in observed for pattern in contract.observes)))
    return tuple(found)


class _Copier:
    """Walks through events and treats what may be left out of them."""

    def __init__(self, contents: Mapping[str, bytes], treatments: tuple[Treatment, ...]):
        self._stored = contents
        self._treatments = treatments
        self.contents: dict[str, bytes] = {}

    def event(self, event: e.AnyEvent) -> e.AnyEvent:
        """The same event without what is left out; the very same object where that is nothing."""
        for treatment in self._treatments:
            event = self._record(event, treatment)
        return event

    def _record(self, record: Any, treatment: Treatment) -> Any:
        covered = isinstance(name := getattr(record, "name", None), str) and treatment.covers(name)
        changes: dict[str, Any] = {}
        for part, kind in parts_of(type(record)):
            old = getattr(record, part)
            if covered and kind in ("value", "table"):
                new = treatment.covered(old)
            else:
                new = self._part(old, kind, treatment)
            if new is not old:
                changes[part] = new
        if isinstance(record, e.Cut) and record.digest:
            changes["digest"] = self._cut(record.digest, treatment)
        if isinstance(record, e.RunForked):
            changes["link"] = ""  # It is a digest over what is left out here; see `seals.py`.
        if isinstance(record, e.Asked) and isinstance(treatment, Everything):
            changes["amount"] = None  # It is the value of an argument.
        return msgspec.structs.replace(record, **changes) if changes else record

    def _part(self, value: Any, kind: Kind, treatment: Treatment) -> Any:
        if value is None:
            return None
        if isinstance(value, tuple):
            return tuple(self._part(part, kind, treatment) for part in value)
        if kind == "parts":
            if isinstance(value, dict):
                return {name: self._part(part, kind, treatment) for name, part in value.items()}
            return self._record(value, treatment) if isinstance(value, msgspec.Struct) else value
        treated: Callable[[Any], Any] = getattr(treatment, kind)
        return treated(value)

    def _cut(self, digest: str, treatment: Treatment) -> str:
        """The digest of a result that was kept whole, beside its event, after it was treated."""
        content = self.contents.pop(digest, None) or self._stored.get(digest)
        if content is None:
            return ""
        try:
            new = msgspec.json.encode(treatment.value(msgspec.json.decode(content)))
        except (msgspec.MsgspecError, RecursionError):
            new = b"null"
        changed = codec.blob_digest(new)
        self.contents[changed] = new
        return changed
