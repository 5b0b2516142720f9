"""The journal in memory: what it has beyond the contract that every journal keeps (tests/journal/test_contract.py)."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.errors import JournalCorrupt
from holdfast.journal.base import Batch, Head
from holdfast.testing.journal_suite import T0, create, done, held
from holdfast.testing.memory import MemoryJournal, MemoryStore, WorkerKilled


async def test_handles_share_one_store() -> None:
    """As processes share a file."""
    journal = MemoryJournal()
    await create(journal, "r")
    assert len((await journal.handle().read("r")).entries) == 1
    assert journal.handle().store is journal.store


async def test_nothing_that_a_killed_handle_does_reaches_the_store() -> None:
    """Not even from a finally; and no `except Exception` takes the death for an error of the store."""
    journal = MemoryJournal()
    claim, head = await held(journal, "r")
    other = journal.handle()
    journal.kill()
    batch = Batch(run_id="r", fence=claim.fence, head=head, at=T0, events=(done("a"),))

    async def stubborn() -> None:
        try:
            await journal.append(batch)
        except Exception:  # noqa: BLE001 — what a worker would do at its border.
            pytest.fail("a death is no error")
        finally:
            with pytest.raises(WorkerKilled):
                await journal.append(batch)

    with pytest.raises(WorkerKilled):
        await stubborn()
    assert len((await other.read("r")).entries) == 1


async def test_what_is_read_was_written_as_bytes() -> None:
    """An event that the codec would lose is lost here too, and what was handed in can be changed afterwards."""
    journal = MemoryJournal()
    claim, head = await held(journal, "r")
    value: dict[str, Any] = {"n": [1, 2]}
    written = await journal.append(Batch(run_id="r", fence=claim.fence, head=head, at=T0, events=(done("a", value),)))
    assert isinstance(written, Head)
    value["n"].append(3)
    event = (await journal.read("r")).entries[-1].event
    assert isinstance(event, e.CallSucceeded)
    assert event.value == {"n": [1, 2]}


async def test_corruption_can_be_made_to_be_found() -> None:
    """For tests of those who must find it."""
    journal = MemoryJournal()
    await held(journal, "r")
    journal.store.corrupt("r")
    with pytest.raises(JournalCorrupt):
        await journal.read("r")


async def test_somebody_can_look_over_the_shoulder() -> None:
    """Each batch is told once it is written, with its place and its fence."""
    journal, told = MemoryJournal(), []
    journal.store.on_commit = lambda *what: told.append(what)
    claim, head = await held(journal, "r")
    await journal.append(Batch(run_id="r", fence=claim.fence, head=head, at=T0 + 1, events=(done("a"), done("b"))))
    assert [(run_id, first, fence, at, len(events)) for run_id, first, fence, at, events in told] == [
        ("r", 1, 1, T0, 1),
        ("r", 2, 1, T0 + 1, 2),
    ]


async def test_the_secret_of_a_store_can_be_given() -> None:
    """So that a simulation has the same tokens each time; otherwise each store has one that nobody knows."""
    secret = b"x" * 32
    assert await MemoryJournal(MemoryStore(secret)).secret() == secret
    assert await MemoryJournal().secret() != await MemoryJournal().secret()
