"""What is remembered between runs, in memory: what each method of `Journal` that is about it does to what is kept."""

from __future__ import annotations

import math
from typing import Any

from holdfast.core.memory import Memory, query_words
from holdfast.journal import remembering


class Memories:
    """The memories of a store, in the order in which they came; each method is one transaction."""

    def __init__(self) -> None:
        self._known: dict[str, Memory] = {}
        self._forgotten: dict[tuple[str, str], float] = {}

    def listed(self, tenant: str | None, thread: str | None, query: str | None, history: bool, limit: int) -> list[Memory]:
        if query is not None:
            return self._found(tenant or "", thread or "", query, limit)
        found = [
            memory
            for memory in reversed(self._known.values())
            if tenant in (None, memory.tenant) and thread in (None, memory.thread) and (history or memory.holds)
        ]
        return sorted(found, key=lambda memory: -memory.at)[:limit]

    def _found(self, tenant: str, thread: str, query: str, limit: int) -> list[Memory]:
        """By how many words of the query are in it; one that is in few memories counts for more."""
        words = set(query_words(query))
        all_of = self.listed(tenant, thread, None, False, len(self._known))
        held = {memory.id: words & set(memory.text.split()) for memory in all_of}
        weight = {word: math.log(1 + len(all_of) / max(sum(word in has for has in held.values()), 1)) for word in words}
        found = [memory for memory in all_of if held[memory.id]]
        return sorted(found, key=lambda memory: -sum(weight[word] for word in sorted(held[memory.id])))[:limit]

    def remember(self, memories: tuple[Memory, ...]) -> None:
        remembering.remember(memories, self)

    def correct(self, memory_id: str, value: Any, by: str, at: float) -> Memory | None:
        return remembering.correct(memory_id, value, by, at, self)

    def forget(self, by: str, at: float, memory_id: str | None, tenant: str, thread: str | None) -> int:
        return remembering.forget(by, at, memory_id, tenant, thread, self)

    # --- rows, see `remembering.Rows` -----------------------------------------------------------------------------

    def one(self, memory_id: str) -> Memory | None:
        return self._known.get(memory_id)

    def line(self, line: str) -> list[Memory]:
        return [memory for memory in self._known.values() if memory.line == line]

    def owned(self, tenant: str, thread: str | None) -> list[Memory]:
        return [
            memory
            for memory in self._known.values()
            if memory.tenant == tenant and thread in (None, memory.thread) and memory.forgotten_at is None
        ]

    def resting_on(self, tenant: str, thread: str, name: str) -> list[Memory]:
        return [memory for memory in self.owned(tenant, thread) if memory.holds and name in memory.rests_on]

    def put(self, memory: Memory) -> None:
        self._known[memory.id] = memory

    def drop(self, memory: Memory) -> None:
        del self._known[memory.id]

    def forgotten_at(self, tenant: str, thread: str) -> float | None:
        ends = [self._forgotten[owner] for owner in ((tenant, thread), (tenant, "")) if owner in self._forgotten]
        return max(ends, default=None)

    def forget_owner(self, tenant: str, thread: str | None, at: float) -> None:
        owner = (tenant, thread or "")
        self._forgotten[owner] = max(at, self._forgotten.get(owner, at))
