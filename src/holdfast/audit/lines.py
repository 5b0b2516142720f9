"""From a run's journal to the lines of an audit, and from the store to those of approvals given in advance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from holdfast.audit.records import STANDING_EVENTS, AuditLine, iso
from holdfast.audit.words import AUDITED, NAMES, said_of
from holdfast.core import events as e
from holdfast.errors import JournalCorrupt
from holdfast.journal import codec
from holdfast.journal.base import Journal, StoredBatch
from holdfast.journal.people import StandingApproval

FORKED = "run_forked"


def _raw_events(batch: StoredBatch) -> Iterator[tuple[int, dict[str, Any]]]:
    """The events of a batch as they are stored, with the sequence of each; JournalCorrupt where they are no such thing."""
    events = msgspec.json.decode(batch.body)
    if not isinstance(events, list) or len(events) != batch.count or not all(isinstance(event, dict) for event in events):
        raise JournalCorrupt(f"entry {batch.first} is no list of {batch.count} events", sequence=batch.first)
    yield from enumerate(events, batch.first)


def _is_audited(raw: dict[str, Any]) -> bool:
    return raw.get("event") in AUDITED or raw.get("event") in codec.UPCASTS


async def contents_of(journal: Journal, stored: list[StoredBatch]) -> dict[str, bytes]:
    """The large values that decisions refer to; nothing of what other events do."""
    found: dict[str, bytes] = {}
    values: list[Any] = [raw for batch in stored for _, raw in _raw_events(batch) if _is_audited(raw)]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            digest = value.get(codec.BLOB) if len(value) == 1 else None
            if isinstance(digest, str):
                content = found.get(digest) or await journal.content(digest)
                if content is None:
                    raise JournalCorrupt(f"the stored content {digest[:12]} is missing")
                if digest not in found:
                    found[digest] = content
                    values.append(msgspec.json.decode(content))
            else:
                values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
    return found


def lines_of(run_id: str, stored: list[StoredBatch], contents: Mapping[str, bytes]) -> Iterator[AuditLine]:
    """The decisions in a run's journal, in order. What a fork took over was decided in its source, and has its lines there."""
    agent, tenant, first = "", "", _first_own(stored)
    questions: dict[str, e.Asked] = {}
    for batch in stored:
        for sequence, raw in _raw_events(batch):
            if raw.get("event") == "run_started":
                agent, tenant = str(raw.get("agent", "")), str(raw.get("tenant", ""))
            elif raw.get("event") == FORKED:
                agent = str(raw.get("agent", ""))
            if sequence < first or not _is_audited(raw):
                continue
            (event,) = codec.decode(msgspec.json.encode([raw]), contents.__getitem__)
            if isinstance(event, e.Asked):
                questions[event.interrupt] = event
            said = said_of(event, questions)
            if said is not None:
                yield AuditLine(
                    event=NAMES[type(event)], run=run_id, sequence=sequence, at=batch.at, at_iso=iso(batch.at), agent=agent,
                    tenant=tenant, link=batch.link.hex(), **said,
                )  # fmt: skip


def _first_own(stored: list[StoredBatch]) -> int:
    """The first entry that is the run's own: of a fork the one by which it is one."""
    forks = (batch for batch in stored if FORKED.encode() in batch.body)
    return max((sequence for batch in forks for sequence, raw in _raw_events(batch) if raw.get("event") == FORKED), default=1)


def standing_lines(
    approvals: Iterable[StandingApproval], run_ids: list[str] | None, agent: str | None, tenant: str | None
) -> list[AuditLine]:
    """A line for each that was given, and one for each that was taken back; those that are about other runs are left out."""
    lines: list[AuditLine] = []
    for approval in approvals:
        if (
            (run_ids is None or approval.run_id in ("", *run_ids))
            and (agent is None or approval.agent in ("", agent))
            and (tenant is None or approval.tenant in (None, tenant))
        ):
            lines += _standing(approval)
    return sorted(lines, key=lambda line: (line.at, line.standing, line.event))


def _standing(approval: StandingApproval) -> Iterator[AuditLine]:
    granted, revoked = STANDING_EVENTS
    scope = {"until": approval.until, "run": approval.run_id, "amount_max": approval.amount_max, "uses_max": approval.uses_max}
    line = AuditLine(
        event=granted, at=approval.at, at_iso=iso(approval.at), agent=approval.agent, tenant=approval.tenant or "",
        who=approval.by, decision="approve", tool=approval.tool, digest=approval.contract, args=approval.args,
        note=approval.note, roles=approval.roles, standing=approval.id, detail=scope,
    )  # fmt: skip
    yield line
    if (at := approval.revoked_at) is not None:
        yield msgspec.structs.replace(
            line, event=revoked, at=at, at_iso=iso(at), who=approval.revoked_by, decision="revoke", note="", roles=()
        )
