"""What the world owes to runs, who may deliver it, and large values."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from holdfast.core import events as e
from holdfast.errors import CallbackUnknown, HoldfastError
from holdfast.journal.base import REFUSALS_MAX, Delivery, Head, Journal, Owed, Token
from holdfast.testing.journal_suite.kit import AGENT, LEASE, T0, Store, appended, batch, done, held, parked, refused

GOOD_UNTIL = T0 + 1000


def owed(step: str, due_at: float, **of: Any) -> Owed:
    """Something that is owed to a step."""
    values = {"tool": "book", "about": "result", "by": "the hotel", "key": f"k-{step}", "since": T0, "until": GOOD_UNTIL}
    return Owed(step=step, due_at=due_at, **{**values, **of})


def token(step: str = "a", digest: str = "d-1", expires_at: float = GOOD_UNTIL) -> Token:
    """By which the result of a step may be delivered."""
    return Token(digest=digest, step=step, key=f"k-{step}", expires_at=expires_at)


class OwedChecks:
    """What the world owes to runs, who may deliver it, and large values."""

    async def test_what_is_owed_is_listed_the_soonest_due_first(self, store: Store) -> None:
        """Of one run or of all, of those due by a time, and no more than asked for."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        await appended(journal, batch(one, head_one, done("a"), owed=(owed("a", T0 + 30), owed("b", T0 + 10, about="rest"))))
        await appended(journal, batch(two, head_two, done("a"), owed=(owed("a", T0 + 20),)))
        other = await store.journal()
        assert [(one.run_id, one.step) for one in await other.owed()] == [("r", "b"), ("s", "a"), ("r", "a")]
        assert await other.owed("s") == [owed("a", T0 + 20, run_id="s")]
        assert [(one.run_id, one.step) for one in await other.owed(due_before=T0 + 20)] == [("r", "b"), ("s", "a")]
        assert [one.step for one in await other.owed("r", due_before=T0 + 20)] == ["b"]
        assert [one.step for one in await other.owed(limit=1)] == ["b"]
        assert await other.owed("nothing") == []

    async def test_what_is_owed_changes_and_is_paid(self, store: Store) -> None:
        """By step; what was never owed may be paid as well."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), owed=(owed("a", T0 + 30), owed("b", T0 + 40))))
        changed = owed("b", T0 + 5, by="the other hotel", until=T0 + 99)
        head = await appended(journal, batch(claim, head, done("b"), owed=(changed,), paid=("a", "never")))
        assert await journal.owed() == [owed("b", T0 + 5, by="the other hotel", until=T0 + 99, run_id="r")]
        head = await appended(journal, batch(claim, head, done("c"), owed=(owed("c", T0 + 1),), paid=("b",)))
        assert [one.step for one in await journal.owed()] == ["c"]

    async def test_a_run_that_ended_is_owed_nothing(self, store: Store) -> None:
        """The other runs are."""
        journal = await store.journal()
        for run_id, release in (("r", parked("failed")), ("s", parked("waiting", T0 + 30))):
            claim, head = await held(journal, run_id)
            head = await appended(journal, batch(claim, head, done("a"), owed=(owed("a", T0 + 30),)))
            await appended(journal, batch(claim, head, e.RunFailed(reason="x"), release=release))
        assert [one.run_id for one in await journal.owed()] == ["s"]

    # --- tokens -------------------------------------------------------------------------------------------------------

    async def test_what_is_delivered_by_token_lies_in_the_mailbox_and_makes_the_run_due(self, store: Store) -> None:
        """With the step and the key of the call, whatever the other side says these are."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, done("a"), tokens=(token(),), release=parked()))
        assert await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 1) == []
        body = {"value": {"ok": True}, "by": "hotel", "key": "another", "step": "z"}
        assert await (await store.journal()).deliver("d-1", body, T0 + 100) == Delivery(run_id="r", step="a")
        (message,) = await journal.messages("r")
        assert (message.kind, message.slot, message.at) == ("callback", "callback:d-1", T0 + 100)
        assert message.body == {"value": {"ok": True}, "by": "hotel", "key": "k-a", "step": "a"}
        assert len(await journal.claim_due("bob", [AGENT], T0 + 100, LEASE, 1)) == 1

    async def test_a_delivery_is_taken_also_while_the_run_is_held(self, store: Store) -> None:
        """The other side may be faster than the worker that called it."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), tokens=(token(),)))
        await (await store.journal()).deliver("d-1", {}, T0 + 1)
        await appended(journal, batch(claim, head, done("b"), at=T0 + 2, release=parked()))
        assert len(await journal.claim_due("bob", [AGENT], T0 + 2, LEASE, 1)) == 1

    async def test_of_many_deliveries_at_once_one_is_taken(self, store: Store) -> None:
        """Whichever process they come from; the others are refused and recorded."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, done("a"), tokens=(token(),)))
        handles = [await store.journal() for _ in range(4)]
        found = await asyncio.gather(*(handle.deliver("d-1", {"by": f"p{n}"}, T0 + 2) for n, handle in enumerate(handles)))
        assert sum(not delivery.refused for delivery in found) == 1
        assert {(delivery.run_id, delivery.step) for delivery in found} == {("r", "a")}
        messages = await journal.messages("r")
        assert sorted(message.kind for message in messages) == ["callback", "refused", "refused", "refused"]
        assert {message.body["by"] for message in messages} == {"p0", "p1", "p2", "p3"}

    async def test_a_second_delivery_is_refused_also_when_the_first_was_taken_long_ago(self, store: Store) -> None:
        """What it brings is not kept, but who it was; a run that goes on hears of it."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), tokens=(token(),)))
        await journal.deliver("d-1", {"value": 1}, T0 + 2)
        (first,) = await journal.messages("r")
        await appended(journal, batch(claim, head, done("b"), taken=(first.id,), release=parked()))
        second = await journal.deliver("d-1", {"value": 2, "by": "eve"}, T0 + 3)
        assert second.refused
        (message,) = await journal.messages("r")
        assert message.kind == "refused"
        assert message.body == {"by": "eve", "reason": second.refused, "step": "a", "key": "k-a"}
        assert len(await journal.claim_due("bob", [AGENT], T0 + 3, LEASE, 1)) == 1

    async def test_an_expired_token_is_refused(self, store: Store) -> None:
        """From that very moment on; one that is given more time is good for longer, unless it was used."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        tokens = (token(expires_at=T0 + 10), token("b", "d-2", T0 + 10), token("c", "d-3", T0 + 10))
        head = await appended(journal, batch(claim, head, done("a"), tokens=tokens))
        assert "expired" in (await journal.deliver("d-1", {}, T0 + 10)).refused
        assert not (await journal.deliver("d-2", {}, T0 + 9)).refused
        longer = (token("b", "d-2", T0 + 50), token("c", "d-3", T0 + 50))
        await appended(journal, batch(claim, head, done("b"), tokens=longer))
        assert (await journal.deliver("d-2", {}, T0 + 20)).refused
        assert not (await journal.deliver("d-3", {}, T0 + 20)).refused

    async def test_a_token_of_a_run_that_ended_is_refused_and_the_run_stays_ended(self, store: Store) -> None:
        """It is recorded there, and nobody is woken for it."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, e.RunCompleted(), tokens=(token(),), release=parked("completed")))
        assert "ended" in (await journal.deliver("d-1", {"by": "hotel"}, T0 + 5)).refused
        assert [message.kind for message in await journal.messages("r")] == ["refused"]
        row = await journal.row("r")
        assert row is not None
        assert (row.status, row.due_at) == ("completed", None)
        assert await journal.mailboxes() == set()
        assert await journal.next_due([AGENT], T0) is None
        assert await journal.claim_due("bob", [AGENT], T0 + 9, LEASE, 1) == []

    async def test_refusals_are_recorded_up_to_a_number(self, store: Store) -> None:
        """Whoever has a token must not be able to fill a store with it, nor to keep a run awake."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), tokens=(token(), token("b", "d-2"))))
        found = [await journal.deliver("d-1", {}, T0 + 2) for _ in range(REFUSALS_MAX + 5)]
        assert all(delivery.refused for delivery in found[1:])
        messages = await journal.messages("r")
        assert len(messages) == REFUSALS_MAX + 1
        await appended(journal, batch(claim, head, done("b"), taken=tuple(m.id for m in messages), release=parked()))
        await journal.deliver("d-1", {}, T0 + 3)
        assert await journal.claim_due("bob", [AGENT], T0 + 3, LEASE, 1) == []
        await journal.deliver("d-2", {}, T0 + 4)
        assert len(await journal.messages("r")) == 1, "each token has its own"

    async def test_a_token_that_nobody_was_given_is_unknown(self, store: Store) -> None:
        """Also one of a batch that was not written."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await refused(HoldfastError, journal.append(batch(claim, Head(9, b"x"), done("a"), tokens=(token(),))))
        refusal = await refused(CallbackUnknown, journal.deliver("d-1", {}, T0))
        assert refusal.hint
        assert await journal.token("d-1") is None
        await appended(journal, batch(claim, head, done("a"), tokens=(token(),)))
        assert await (await store.journal()).token("d-1") == ("r", "a")
        assert await journal.messages("r") == []

    async def test_the_secret_of_a_store_is_one_for_all(self, store: Store) -> None:
        """And long enough that nobody guesses it."""
        secrets = {await (await store.journal()).secret() for _ in range(3)}
        assert [len(secret) for secret in secrets] == [32]

    # --- large values -------------------------------------------------------------------------------------------------

    async def test_a_large_value_is_found_by_its_digest(self, store: Store) -> None:
        """As it was given, once its batch is written."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        whole = b'"' + b"x" * 100_000 + b'"'
        digest = hashlib.sha256(whole).hexdigest()
        await refused(HoldfastError, journal.append(batch(claim, Head(9, b"x"), done("a"), contents={digest: whole})))
        assert await self._content(store, digest) is None
        head = await appended(journal, batch(claim, head, done("a"), contents={digest: whole}))
        await appended(journal, batch(claim, head, done("b"), contents={digest: whole}))
        assert await self._content(store, digest) == whole

    async def _content(self, store: Store, digest: str) -> bytes | None:
        journal: Journal = await store.journal()
        return await journal.content(digest)
