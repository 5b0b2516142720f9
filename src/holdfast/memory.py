"""The user's verbs about what is remembered between runs: look, search, recall, correct, forget.

What is remembered is found by its words. `recalled` is what a run starts with: what its goal asks for, and where that leaves
room, what was learned last. A `Recaller` may choose in place of the words, by meaning; it is shown what there is and can invent
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from holdfast.core.memory import VALUE_BYTES_MAX, Memory, is_secret
from holdfast.core.values import SECRET_NAMES, plain
from holdfast.errors import UsageError
from holdfast.journal.base import Journal

# So many memories of a thread are looked at where its words do not say enough; the latest ones.
CANDIDATES_MAX = 500
NAME_MAX = 200


class Recaller(Protocol):
    """Chooses what is recalled, as by the distance of vectors."""

    async def recall(self, query: str, memories: Sequence[Memory], count: int) -> Sequence[Memory]:
        """The memories among these that a query asks for, the best first. They are the latest of the thread, expired ones too;
        more than `count` and any that were not given are left out. Where it raises, the words are gone by."""


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """What was recalled, the best first. trouble: why it was chosen by words and not by who was to choose."""

    memories: tuple[Memory, ...]
    trouble: str = ""


async def recalled(
    journal: Journal, tenant: str, thread: str, query: str, count: int, now: float, recaller: Recaller | None = None
) -> Recollection:
    """What a run of this thread starts with. What has expired comes behind what has not: it is shown, not believed."""
    if not thread or count < 1:
        return Recollection(memories=())
    latest = await journal.memories(tenant, thread, limit=CANDIDATES_MAX)
    trouble = ""
    if recaller is not None and latest:
        try:
            chosen = await recaller.recall(query, latest, count)
            return Recollection(memories=_among(chosen, latest, count))
        except Exception as error:  # noqa: BLE001 — the border to code of the user's; the words are there all the same.
            trouble = f"{type(error).__name__}: {error}"
    found = await journal.memories(tenant, thread, query=query, limit=CANDIDATES_MAX)
    known = {memory.id for memory in found}
    rest = sorted((memory for memory in latest if memory.id not in known), key=_interest)
    ordered = sorted((*found, *rest), key=lambda memory: memory.expired(now))
    return Recollection(memories=tuple(ordered[:count]), trouble=trouble)


def _among(chosen: Sequence[Memory], given: Sequence[Memory], count: int) -> tuple[Memory, ...]:
    known = {memory.id: memory for memory in given}
    return tuple(known[name] for name in list(dict.fromkeys(memory.id for memory in chosen)) if name in known)[:count]


def _interest(memory: Memory) -> tuple[int, float]:
    """What nobody asked for by its words: preferences hold for everything, lessons for little; the latest first."""
    return ("preference", "fact", "lesson").index(memory.kind), -memory.at


async def search(journal: Journal, query: str, tenant: str, thread: str, limit: int) -> list[Memory]:
    """What is remembered in a thread that has a word of the query, the best first."""
    check_thread(thread)
    return await journal.memories(tenant, thread, query=query, limit=limit)


async def correct(journal: Journal, memory_id: str, value: Any, by: str, now: float) -> Memory:
    """Put another value in place of a wrong one, and keep it there whatever later runs guess. UsageError where there is none, and
    for what cannot be remembered."""
    try:
        value = plain(value)
    except ValueError as error:
        raise UsageError(f"what is given cannot be written as JSON: {error}") from error
    if is_secret("", value, SECRET_NAMES):
        raise UsageError("a part of it is under the name of a secret, and secrets are never remembered", hint="leave it out")
    if (size := len(msgspec.json.encode(value))) > VALUE_BYTES_MAX:
        raise UsageError(f"it is too large to be remembered: {size} bytes", hint=f"at most {VALUE_BYTES_MAX}")
    if not by:
        raise UsageError("a correction needs the name of who gives it", hint="--by NAME")
    new = await journal.correct_memory(memory_id, value, by, now)
    if new is None:
        raise _nothing(memory_id)
    return new


async def forget(journal: Journal, by: str, now: float, *, memory_id: str | None, thread: str | None, tenant: str | None) -> int:
    """Erase one memory and all that was remembered under its name before; or all of a thread; or all of a tenant. How many."""
    if memory_id is not None:
        if thread is not None or tenant is not None:
            raise UsageError("a memory is named by its id alone", hint="give an id, or a thread, or a tenant")
        if await journal.memory(memory_id) is None:
            raise _nothing(memory_id)
        return await journal.forget(by, now, memory_id=memory_id)
    if thread is None and tenant is None:
        raise UsageError("it is not said what to forget", hint="give an id, a thread, or a tenant")
    if thread is not None:
        check_thread(thread)
    return await journal.forget(by, now, tenant=tenant or "", thread=thread)


def check_thread(thread: object) -> None:
    """UsageError for a text that names no thread."""
    if (
        not isinstance(thread, str)
        or not thread
        or len(thread) > NAME_MAX
        or not thread.isprintable()
        or thread != thread.strip()
    ):
        raise UsageError(f"{str(thread)[:40]!r} is no name for a thread", hint=f"use up to {NAME_MAX} printable characters")


def _nothing(memory_id: str) -> UsageError:
    return UsageError(f"nothing is remembered under {memory_id[:80]}", hint="`holdfast memory list` lists what is")
