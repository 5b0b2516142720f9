"""What an archive is made of: a line for each run, content and commit, the end; and a run as it was read from one."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from holdfast.archive.bounds import Growth
from holdfast.core.events import Entry
from holdfast.core.state import Status
from holdfast.errors import ArchiveRefused, HoldfastError, JournalTooNew
from holdfast.journal import codec
from holdfast.journal.base import StoredBatch

# Raised whenever a release before cannot read what is written now.
FORM = 1
# The label of a run of which a redacted copy was made. It stands in the run's own first entry too, so its chain covers it.
REDACTED_LABEL = "$redacted"


class Redaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is left out of a copy. names: every value under one of these names. values: every value, and every text that a person,
    a model or a tool wrote. by: who left it out."""

    names: tuple[str, ...] = ()
    values: bool = False
    by: str = ""

    @property
    def said(self) -> str:
        """In words."""
        what = ["all values"] if self.values else []
        what += [", ".join(self.names)] if self.names else []
        return (" and ".join(what) or "something") + (f", by {self.by}" if self.by else "")


def redaction_of(labels: dict[str, str]) -> Redaction | None:
    """What was left out of a run, by its labels (`State.labels`, `RunRow.labels`); None for a whole one. Rulings rest on values,
    so a redacted run can be shown and compared, but neither replayed nor forked."""
    said = labels.get(REDACTED_LABEL)
    if said is None:
        return None
    try:
        return msgspec.json.decode(said, type=Redaction)
    except msgspec.MsgspecError:
        return Redaction()


class Original(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a redacted run comes from, for whoever has that store. head: the last link of its chain there; links: a digest over
    those of all commits. All are sealed with the secret of the store: the link itself would let anybody try what was left out."""

    head: str
    links: str


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a run. release: that wrote it. version: the number of entries; head: the last link of the chain, as hex;
    contents: how many lines of them follow. redacted, original: of a copy from which something was left out; its chain is one of
    its own then. seal: a digest over the line itself, without it. The rest is as in the row of the run (`RunRow`)."""

    run_id: str = msgspec.field(name="run")
    form: int
    release: str
    agent: str
    status: Status
    waits_for: str
    tenant: str
    priority: int
    labels: dict[str, str]
    goal_digest: str
    parent: str
    source: str
    created_at: float
    changed_at: float
    version: int
    head: str
    contents: int
    redacted: Redaction | None = None
    original: Original | None = None
    seal: str = ""

    def sealed(self) -> Header:
        """The same with its seal."""
        bare = msgspec.structs.replace(self, seal="")
        return msgspec.structs.replace(self, seal=codec.blob_digest(msgspec.json.encode(bare)))


class ContentLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A large value by its digest, as it is stored."""

    content: str
    value: msgspec.Raw


class BytesLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same, of one that is no JSON."""

    content: str
    base64: str


class BatchLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A commit as it is stored: `count` events from number `batch` on. link: of the chain (`journal.codec.link`), as hex;
    original: of a redacted one, that which it has in the store that it comes from, sealed. events: the stored bytes."""

    batch: int
    count: int
    fence: int
    at: float
    link: str
    original: str = ""
    events: msgspec.Raw


class EndLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line. end: how many there were before it; sha256: over all their bytes, as hex."""

    end: int
    sha256: str


class ArchivedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of an archive, whose chain, numbers and contents were checked. lines: where in the file each batch stands. originals:
    of a redacted run, the sealed link of each batch."""

    header: Header
    batches: tuple[StoredBatch, ...]
    contents: dict[str, bytes]
    lines: tuple[int, ...]
    originals: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.header.run_id

    @property
    def redacted(self) -> Redaction | None:
        """What was left out; None for a whole one. It can neither be replayed nor forked then."""
        return self.header.redacted

    def entries(self) -> Iterator[list[Entry]]:
        """The entries, batch by batch. ArchiveRefused where a batch cannot be read, and JournalTooNew where it is of a later
        release; both say which line it is."""
        growth = Growth(self.contents)
        for batch, line in zip(self.batches, self.lines, strict=True):
            try:
                found = codec.entries(batch.body, batch.first, batch.fence, batch.at, growth.of(batch.body))
                growth.check_depth(found)
            except JournalTooNew as error:
                raise JournalTooNew(f"line {line}: {error.what}", run_id=self.run_id, hint=error.hint) from error
            except (HoldfastError, ValueError, RecursionError) as error:
                said = error.what if isinstance(error, HoldfastError) else str(error)
                raise ArchiveRefused(
                    f"entry {batch.first} cannot be read: {said}", line=line, run_id=self.run_id, sequence=batch.first
                ) from error
            yield found
