"""What a store does with memories that come, are corrected and are forgotten, for any store: the store keeps rows and finds them
by their line, their owner and what they rest on; what becomes of them is ruled here and in `core/memory.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from holdfast.core.memory import Memory, corrected, forgotten, in_force, is_outdated

# So many of a line are kept behind the one in force. What a person refused is kept, however old: it is not to come back.
HISTORY_MAX = 20


class Rows(Protocol):
    """The memories of a store, inside one transaction."""

    def one(self, memory_id: str) -> Memory | None:
        """A memory, or what is left of it."""

    def line(self, line: str) -> list[Memory]:
        """All of a line, and what is left of forgotten ones."""

    def owned(self, tenant: str, thread: str | None) -> list[Memory]:
        """All of a thread, or of a tenant, that are not forgotten."""

    def resting_on(self, tenant: str, thread: str, name: str) -> list[Memory]:
        """Those in force that rest on a name."""

    def put(self, memory: Memory) -> None:
        """Write one, in place of what is there under its id; only one that holds is found by its words."""

    def drop(self, memory: Memory) -> None:
        """Remove one wholly."""

    def forgotten_at(self, tenant: str, thread: str) -> float | None:
        """When a thread, or all of its tenant, was last forgotten."""

    def forget_owner(self, tenant: str, thread: str | None, at: float) -> None:
        """Note that a thread, or a whole tenant, was forgotten."""


def remember(memories: Iterable[Memory], rows: Rows) -> None:
    """Keep what a run learned. What is there by its id, or was learned before its owner wanted it forgotten, is not kept."""
    for memory in memories:
        line = rows.line(memory.line)
        ends = [known.forgotten_at for known in line if known.forgotten_at is not None]
        if (owner := rows.forgotten_at(memory.tenant, memory.thread)) is not None:
            ends.append(owner)
        if any(known.id == memory.id for known in line) or any(memory.at <= end for end in ends):
            continue
        _settle(line, memory, rows)


def correct(memory_id: str, value: Any, by: str, at: float, rows: Rows) -> Memory | None:
    """See `Journal.correct_memory`."""
    found = rows.one(memory_id)
    if found is None or found.forgotten_at is not None:
        return None
    line = rows.line(found.line)
    stands = next(memory for memory in line if memory.holds)
    if stands.corrected_by and stands.value == value:
        return stands
    new = corrected(stands, value, by, at)
    _settle(line, new, rows)
    return rows.one(new.id)


def forget(by: str, at: float, memory_id: str | None, tenant: str, thread: str | None, rows: Rows) -> int:
    """See `Journal.forget`."""
    if memory_id is None:
        gone = rows.owned(tenant, thread)
        rows.forget_owner(tenant, thread, at)
    else:
        found = rows.one(memory_id)
        gone = [] if found is None else [memory for memory in rows.line(found.line) if memory.forgotten_at is None]
    for memory in gone:
        rows.put(forgotten(memory, by, max(at, memory.at)))
    return len(gone)


def _settle(line: list[Memory], new: Memory, rows: Rows) -> None:
    """Write a new one and what it changes: its line, and what rests on a value that is no more."""
    before = {memory.id: memory for memory in line}
    stood = next((memory for memory in line if memory.holds), None)
    settled = in_force([*line, new])
    for memory in settled:
        if before.get(memory.id) != memory:
            rows.put(memory)
    for memory in _too_old(settled):
        rows.drop(memory)
    stands = next(memory for memory in settled if memory.holds)
    if stands.id == new.id and stood is not None and stood.value != new.value:
        _outdate(new, rows)


def _too_old(settled: list[Memory]) -> list[Memory]:
    """The oldest of a line that is too long, but what a person put right and what they put it in place of."""
    by_person = {memory.id for memory in settled if memory.corrected_by}
    history = [
        memory
        for memory in settled
        if not memory.holds and memory.id not in by_person and memory.superseded_by not in by_person
    ]  # fmt: skip
    return history[: max(len(history) - HISTORY_MAX, 0)]


def _outdate(changed: Memory, rows: Rows) -> None:
    """What was inferred from a value that is no more is believed no more, and nor is what was inferred from that."""
    left = [changed.name]
    while left:
        for memory in rows.resting_on(changed.tenant, changed.thread, left.pop()):
            if is_outdated(memory, changed):
                rows.put(msgspec.structs.replace(memory, valid_until=changed.at))  # It is expired from now on, and not met again.
                left.append(memory.name)
