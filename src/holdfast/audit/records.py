"""What an audit is made of: a line for each decision, the proof of each run, the end."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

# Approvals given in advance are the store's own, and stand in no journal.
STANDING_EVENTS = ("standing_granted", "standing_revoked")


class AuditLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One decision. run, sequence: of the event that it is, with its name in `event`; at, at_iso: when it was written, in
    seconds since the epoch and in UTC. link: of the batch that it stands in, as hex. Of an approval given in advance `event`
    is `standing_granted` or `standing_revoked`, and there is no sequence and no link.

    who: the person, empty where a policy or the clock decided. decision: what was decided (approve, …; `asked`, `passed`,
    `blocked`, `expired`, `withdrawn`, `voided`), empty for words that decide nothing. digest: of what it is good for. args:
    the arguments that it is about; value: what was given with it (edited arguments, a result, a fact). standing: the id of an
    approval given in advance. detail: what else the event says.
    """

    event: str
    at: float
    at_iso: str
    run: str = ""
    sequence: int = 0
    agent: str = ""
    tenant: str = ""
    who: str = ""
    decision: str = ""
    interrupt: str = ""
    step: str = ""
    tool: str = ""
    rule: str = ""
    policy: str = ""
    verdict: str = ""
    digest: str = ""
    args: dict[str, Any] = {}
    value: Any = None
    note: str = ""
    roles: tuple[str, ...] = ()
    seen_at: float | None = None
    said_at: float | None = None
    bulk: bool = False
    standing: str = ""
    detail: dict[str, Any] = {}
    link: str = ""


class ProofBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A commit as it is stored; link as hex, body as base64. The link is `journal.codec.link` of the link before and the
    rest."""

    first: int
    count: int
    fence: int
    at: float
    link: str
    body: str


class Proof(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """That the lines of a run are those of its journal. proof: the id of the run; entries: how many it has; head: the last
    link, as hex. since, until: which of its decisions are in the audit. contents: large values that decisions refer to, as
    base64, by their digest."""

    proof: str
    entries: int
    head: str
    batches: tuple[ProofBatch, ...]
    since: float | None = None
    until: float | None = None
    contents: dict[str, str] = {}


class AuditEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last record. end: how many there were before it; digest: over them, as JSON lines."""

    end: int
    digest: str


AuditRecord = AuditLine | Proof | AuditEnd


class Tally:
    """What the last record says of all before it."""

    def __init__(self) -> None:
        self._count = 0
        self._digest = hashlib.sha256()

    def counted(self, record: AuditRecord) -> AuditRecord:
        self._count += 1
        self._digest.update(msgspec.json.encode(record) + b"\n")
        return record

    def end(self) -> AuditEnd:
        return AuditEnd(end=self._count, digest=self._digest.hexdigest())


def is_within(at: float, since: float | None, until: float | None) -> bool:
    return (since is None or since <= at) and (until is None or at < until)


def iso(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return ""
