"""Runs that started one another: who is told when one of them ends."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core.state import Status
from holdfast.journal.base import Claim, Head, Journal, Message
from holdfast.testing.journal_suite.kit import AGENT, LEASE, T0, Store, appended, batch, create, done, held, parked


async def child(journal: Journal, run_id: str, parent: str = "r", ends_with_parent: bool = True) -> tuple[Claim, Head]:
    """A run that was started by another one's step."""
    return await held(journal, run_id, parent=parent, parent_step="brief", ends_with_parent=ends_with_parent)


async def ended(journal: Journal, claim: Claim, head: Head, status: Status = "completed", report: Any = None) -> None:
    """It ends, a while later."""
    await appended(journal, batch(claim, head, e.RunCompleted(), at=T0 + 5, release=parked(status, report=report)))


class FamilyChecks:
    """Runs that started one another: who is told when one of them ends."""

    async def test_the_runs_that_a_run_started_are_known_in_order(self, store: Store) -> None:
        """And each knows which one started it; a run of its own was started by none."""
        journal = await store.journal()
        await held(journal, "r")
        for run_id in ("z", "a", "m"):
            await child(journal, run_id)
        await child(journal, "below", "z")
        other = await store.journal()
        assert [(row.run_id, row.parent) for row in await other.children("r")] == [("z", "r"), ("a", "r"), ("m", "r")]
        assert [row.run_id for row in await other.children("z")] == ["below"]
        assert await other.children("below") == []
        assert await other.children("nothing") == await other.children("") == []
        row = await other.row("r")
        assert row is not None
        assert row.parent == ""

    async def test_a_parent_is_told_of_the_end_of_its_child_and_made_due(self, store: Store) -> None:
        """In the commit that ends it, with what the child reports."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, done("a"), release=parked()))
        await ended(journal, *await child(journal, "c"), report={"status": "completed", "result": [1], "child": "lies"})
        (message,) = await journal.messages("r")
        assert (message.kind, message.slot, message.at) == ("child", "child:c", T0 + 5)
        assert message.body == {"status": "completed", "result": [1], "child": "c", "step": "brief"}
        assert [claim.run_id for claim in await journal.claim_due("bob", [AGENT], T0 + 5, LEASE, 9)] == ["r"]

    async def test_a_child_that_only_waits_tells_nothing(self, store: Store) -> None:
        """Nor does the end of a run that nobody waits for."""
        journal = await store.journal()
        await held(journal, "r")
        await ended(journal, *await child(journal, "c"), "waiting")
        await ended(journal, *await held(journal, "alone"), report={"status": "completed"})
        await ended(journal, *await child(journal, "lost", "nothing"))
        assert await journal.messages("r") == []
        assert await journal.mailboxes() == set()

    async def test_a_child_that_ends_while_its_parent_is_being_parked_keeps_it_due(self, store: Store) -> None:
        """As every word from outside does; also a new one for a run that was set aside."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await ended(journal, *await child(journal, "c"))
        head = await appended(journal, batch(claim, head, done("a"), at=T0 + 6, release=parked("blocked")))
        (again,) = await journal.claim_due("bob", [AGENT], T0 + 6, LEASE, 9)
        await appended(journal, batch(again, head, done("b"), at=T0 + 7, release=parked("blocked", aside=True)))
        assert await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 9) == []
        await ended(journal, *await child(journal, "d"))
        assert len(await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 9)) == 1

    async def test_children_that_end_with_their_parent_are_asked_to(self, store: Store) -> None:
        """Those that go on are; those that do not end with it and those that ended before are left alone."""
        journal = await store.journal()
        parent = await held(journal, "r")
        going, asleep = await child(journal, "going"), await child(journal, "asleep")
        await appended(journal, batch(*asleep, done("a"), release=parked("blocked")))
        await child(journal, "free", ends_with_parent=False)
        await ended(journal, *await child(journal, "over"))
        await child(journal, "below", "going")
        await held(journal, "stranger")
        (word,) = await journal.messages("r")
        await appended(journal, batch(*parent, e.RunCompleted(), at=T0 + 9, taken=(word.id,), release=parked("cancelled")))
        assert await journal.mailboxes() == {"going", "asleep"}
        for run_id in ("going", "asleep"):
            (message,) = await journal.messages(run_id)
            assert (message.kind, message.slot, message.at) == ("cancel", "parent-ended", T0 + 9)
            assert message.body == {"by": "run r", "reason": "its parent run has ended", "decision": "cancel"}
        assert await journal.messages("over") == []
        assert await journal.holds(going[0])
        assert [claim.run_id for claim in await journal.claim_due("bob", [AGENT], T0 + 9, LEASE, 9)] == ["asleep"]

    async def test_a_parent_that_has_ended_is_told_nothing(self, store: Store) -> None:
        """It is over; the child ends for itself."""
        journal = await store.journal()
        parent, kept = await held(journal, "r"), await child(journal, "c", ends_with_parent=False)
        await ended(journal, *parent)
        await ended(journal, *kept, report={"status": "completed"})
        assert await journal.messages("r") == []
        row = await journal.row("r")
        assert row is not None
        assert row.due_at is None

    async def test_a_child_that_is_created_after_its_parent_ended_is_asked_to_end(self, store: Store) -> None:
        """By a worker that lost the parent without knowing; unless the child is to go on alone."""
        journal = await store.journal()
        await ended(journal, *await held(journal, "r"))
        await create(journal, "late", parent="r", parent_step="brief")
        await create(journal, "free", parent="r", parent_step="brief", ends_with_parent=False)
        assert await journal.mailboxes() == {"late"}
        assert [message.kind for message in await journal.messages("late")] == ["cancel"]

    async def test_a_refused_end_tells_nobody(self, store: Store) -> None:
        """Nor does a claim that was lost, given back."""
        journal = await store.journal()
        await held(journal, "r")
        claim, _ = await child(journal, "c")
        assert await journal.claim("c", "bob", T0 + LEASE, LEASE) is not None
        await journal.release(claim, parked("completed"))
        row = await journal.row("c")
        assert row is not None
        assert row.status == "running"
        assert await journal.mailboxes() == set()

    async def test_a_cancel_of_a_person_and_one_of_the_parent_do_not_stand_in_each_other_s_way(self, store: Store) -> None:
        """Each has a slot of its own."""
        journal = await store.journal()
        parent = await held(journal, "r")
        await child(journal, "c")
        await journal.send("c", Message(kind="cancel", slot="cancel", body={"by": "eve"}, at=T0 + 1))
        await ended(journal, *parent)
        assert [message.slot for message in await journal.messages("c")] == ["cancel", "parent-ended"]
