"""Words from outside."""

from __future__ import annotations

import asyncio

from holdfast.core import events as e
from holdfast.errors import AnswerRefused, RunNotFound
from holdfast.journal.base import (
    Message,
)
from holdfast.testing.journal_suite.kit import (
    AGENT,
    LEASE,
    T0,
    Store,
    appended,
    batch,
    create,
    done,
    held,
    parked,
    refused,
)


class MailChecks:
    """Words from outside."""

    async def test_messages_are_kept_in_order_until_they_are_taken(self, store: Store) -> None:
        """Taken in the same commit as the events that answer for them."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await create(journal, "other")
        sent = [await journal.send("r", Message(kind="answer", body={"n": n, "by": "eve"}, at=T0 + n)) for n in range(3)]
        found = await (await store.journal()).messages("r")
        assert [(message.id, message.body["n"], message.kind, message.at) for message in found] == [
            (sent[n], n, "answer", T0 + n) for n in range(3)
        ]
        assert await journal.mailboxes() == {"r"}
        head = await appended(journal, batch(claim, head, done("a"), taken=tuple(sent[:2])))
        assert [message.id for message in await journal.messages("r")] == sent[2:]
        await appended(journal, batch(claim, head, done("b"), taken=tuple(sent[2:])))
        assert await journal.messages("r") == []
        assert await journal.mailboxes() == set()

    async def test_a_slot_takes_one_message_and_says_who_was_first(self, store: Store) -> None:
        """Also when the first one was taken long ago; other slots and other runs are free."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await held(journal, "s")
        first = Message(kind="answer", slot="q-1", body={"decision": "approve", "by": "ann"}, at=T0)
        second = Message(kind="answer", slot="q-1", body={"decision": "reject", "by": "bob"}, at=T0 + 1)
        identifier = await journal.send("r", first)
        for _ in range(2):
            refusal = await refused(AnswerRefused, (await store.journal()).send("r", second))
            assert "ann" in str(refusal)
            assert "approve" in str(refusal)
            head = await appended(journal, batch(claim, head, done("a"), taken=(identifier,)))
        await journal.send("r", Message(kind="answer", slot="q-2", body={}, at=T0))
        await journal.send("s", second)

    async def test_of_two_answers_at_once_one_is_taken(self, store: Store) -> None:
        """Whichever process they come from."""
        journal = await store.journal()
        await held(journal, "r")
        handles = [await store.journal() for _ in range(3)]
        answers = await asyncio.gather(
            *(
                handle.send("r", Message(kind="answer", slot="q-1", body={"decision": "approve", "by": f"p{n}"}, at=T0))
                for n, handle in enumerate(handles)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, int) for answer in answers) == 1
        assert sum(isinstance(answer, AnswerRefused) for answer in answers) == 2
        assert len(await journal.messages("r")) == 1

    async def test_a_message_makes_a_parked_run_due(self, store: Store) -> None:
        """From the moment it was sent."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, done("a"), release=parked("blocked")))
        assert await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 1) == []
        await journal.send("r", Message(kind="cancel", body={}, at=T0 + 100))
        assert len(await journal.claim_due("bob", [AGENT], T0 + 100, LEASE, 1)) == 1

    async def test_a_message_that_came_while_the_run_was_parked_keeps_it_due(self, store: Store) -> None:
        """Whoever parks it has not seen that word; unless the run is set aside."""
        journal = await store.journal()
        for run_id, aside in (("r", False), ("s", True)):
            claim, head = await held(journal, run_id)
            await (await store.journal()).send(run_id, Message(kind="answer", body={}, at=T0 + 1))
            await appended(journal, batch(claim, head, done("a"), at=T0 + 2, release=parked("blocked", aside=aside)))
        assert [claim.run_id for claim in await journal.claim_due("bob", [AGENT], T0 + 2, LEASE, 9)] == ["r"]

    async def test_a_message_that_was_taken_keeps_nothing_due(self, store: Store) -> None:
        """It was seen."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        identifier = await journal.send("r", Message(kind="answer", body={}, at=T0 + 1))
        await appended(journal, batch(claim, head, done("a"), taken=(identifier,), release=parked("blocked")))
        assert await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 1) == []

    async def test_nothing_can_be_said_to_a_run_that_ended_or_is_not_there(self, store: Store) -> None:
        """And it says which of the two it is."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, e.RunCompleted(), release=parked("completed")))
        await refused(AnswerRefused, journal.send("r", Message(kind="answer", body={}, at=T0)))
        await refused(RunNotFound, journal.send("nothing", Message(kind="answer", body={}, at=T0)))
