"""Recall: look for what earlier runs of the thread learned, before the run plans anything."""

from __future__ import annotations

import asyncio

from holdfast.core.commands import Recall
from holdfast.core.events import MemoryRecalled
from holdfast.core.memory import believed
from holdfast.journal.base import Journal
from holdfast.memory import Recaller, recalled
from holdfast.runner.words import text, words


async def recall(command: Recall, journal: Journal, now: float, recaller: Recaller | None = None) -> MemoryRecalled:
    """What is remembered, as facts of the run. A memory that cannot be reached is said so, and the run goes on without."""
    try:
        async with asyncio.timeout(command.timeout_seconds):
            found = await recalled(journal, command.tenant, command.thread, command.query, command.count, now, recaller)
    except TimeoutError:
        return MemoryRecalled(failure=f"the memory did not answer within {command.timeout_seconds:g} s")
    except Exception as surprise:  # noqa: BLE001 — the border: no run stops because nothing is remembered.
        return MemoryRecalled(failure=f"{type(surprise).__name__}: {text(surprise, ())}")
    return MemoryRecalled(
        facts=tuple(believed(memory, now) for memory in found.memories),
        ids=tuple(memory.id for memory in found.memories),
        failure=words(f"it was searched by words: {found.trouble}") if found.trouble else "",
    )
