"""What is written is there, whole, in order, and nobody else's."""

from __future__ import annotations

import asyncio

from holdfast.errors import JournalCorrupt, RunNotFound, Superseded
from holdfast.journal import codec
from holdfast.journal.base import (
    EMPTY,
    Checkpoint,
    Claim,
    Head,
    Message,
    Slot,
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


class RecordChecks:
    """What is written is there, whole, in order, and nobody else's."""

    # --- create -------------------------------------------------------------------------------------------------------

    async def test_a_run_is_created_once(self, store: Store) -> None:
        """The second with the same id is told so, and changes nothing."""
        journal = await store.journal()
        assert await create(journal, "r", worker="ann") is not None
        assert await create(await store.journal(), "r", worker="bob", at=T0 + 5, priority=3) is None
        row = await journal.row("r")
        assert row is not None
        assert (row.worker, row.priority, row.version, row.created_at) == ("ann", 0, 1, T0)
        assert len((await journal.read("r")).entries) == 1

    async def test_a_run_created_at_once_by_many_is_created_by_one(self, store: Store) -> None:
        """Whoever is first has it; the others get nothing."""
        journals = [await store.journal() for _ in range(4)]
        claims = await asyncio.gather(*(create(journal, "r", worker=f"w{n}") for n, journal in enumerate(journals)))
        assert sum(claim is not None for claim in claims) == 1

    async def test_a_run_created_for_nobody_is_due_at_once(self, store: Store) -> None:
        """Any worker of its agent may take it."""
        journal = await store.journal()
        await create(journal, "r")
        row = await journal.row("r")
        assert row is not None
        assert (row.worker, row.due_at, row.status) == ("", T0, "running")
        assert [claim.run_id for claim in await journal.claim_due("ann", [AGENT], T0, LEASE, 10)] == ["r"]

    async def test_a_run_created_for_a_worker_is_claimed_by_it(self, store: Store) -> None:
        """The claim is the first one, and lasts as long as any lease."""
        journal = await store.journal()
        claim = await create(journal, "r", worker="ann")
        assert claim is not None
        assert (claim.run_id, claim.agent, claim.worker, claim.until) == ("r", AGENT, "ann", T0 + LEASE)
        assert await journal.holds(claim)
        assert await journal.claim("r", "bob", T0, LEASE) is None

    async def test_a_row_says_what_was_given(self, store: Store) -> None:
        """Tenant, priority, labels and the rest come back as they went in."""
        journal = await store.journal()
        await create(journal, "r", tenant="acme", priority=2, labels={"team": "blue", "über": "ß"})
        row = await (await store.journal()).row("r")
        assert row is not None
        assert (row.agent, row.goal_digest, row.tenant, row.priority) == (AGENT, "digest", "acme", 2)
        assert row.labels == {"team": "blue", "über": "ß"}

    # --- append and read ----------------------------------------------------------------------------------------------

    async def test_what_is_appended_is_read_back_in_order(self, store: Store) -> None:
        """Each entry with its number, its time and the fence it was written under, through any journal."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a", 1), done("b", [2]), at=T0 + 1.5))
        head = await appended(journal, batch(claim, head, done("c", {"x": None}), at=T0 + 2))
        history = await (await store.journal()).read("r")
        assert [entry.sequence for entry in history.entries] == [1, 2, 3, 4]
        assert [entry.event for entry in history.entries[1:]] == [done("a", 1), done("b", [2]), done("c", {"x": None})]
        assert [entry.at for entry in history.entries] == [T0, T0 + 1.5, T0 + 1.5, T0 + 2]
        assert {entry.fence for entry in history.entries} == {claim.fence}
        assert history.head == head

    async def test_reading_after_a_head_gives_the_rest(self, store: Store) -> None:
        """And nothing of what is known already; at the end, nothing."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        middle = await appended(journal, batch(claim, head, done("a")))
        end = await appended(journal, batch(claim, middle, done("b"), done("c")))
        rest = await journal.read("r", middle)
        assert [entry.sequence for entry in rest.entries] == [3, 4]
        assert rest.head == end
        assert await journal.read("r", end) == type(rest)([], end)

    async def test_batches_are_given_as_they_are_stored(self, store: Store) -> None:
        """Each commit with its bytes and its link; from them alone anybody can compute the chain to the head."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a", 1), done("b", [2]), at=T0 + 1.5))
        head = await appended(journal, batch(claim, head, done("c"), at=T0 + 2))
        batches = await (await store.journal()).batches("r")
        assert [(stored.first, stored.count, stored.at) for stored in batches] == [(1, 1, T0), (2, 2, T0 + 1.5), (4, 1, T0 + 2)]
        link = b""
        for stored in batches:
            link = codec.link(link, "r", stored.first, stored.fence, stored.at, stored.body)
            assert link == stored.link
        assert link == head.link
        await refused(RunNotFound, journal.batches("nothing"))

    async def test_a_run_that_is_not_there_cannot_be_read_or_written(self, store: Store) -> None:
        """It is an error of the caller, and says so."""
        journal = await store.journal()
        await refused(RunNotFound, journal.read("nothing"))
        claim = Claim(run_id="nothing", agent=AGENT, fence=1, worker="ann", until=T0)
        await refused(RunNotFound, journal.append(batch(claim, EMPTY, done("a"))))
        assert await journal.row("nothing") is None

    async def test_an_append_at_an_old_version_is_refused_whole(self, store: Store) -> None:
        """Nothing of it is written: no event, no slot, no message taken, no release."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await journal.send("r", Message(kind="answer", body={"by": "eve"}, at=T0))
        (message,) = await journal.messages("r")
        await appended(journal, batch(claim, head, done("a")))
        stale = batch(
            claim, head, done("b"), done("c"), taken=(message.id,), slots=(Slot(name="pump", step="b", capacity=1),),
            release=parked("completed"),
        )  # fmt: skip
        await refused(Superseded, journal.append(stale))
        row = await journal.row("r")
        assert row is not None
        assert (row.version, row.status, row.worker) == (2, "running", "ann")
        assert [kept.id for kept in await journal.messages("r")] == [message.id]
        other, other_head = await held(journal, "s")
        taking = batch(other, other_head, done("b"), slots=(Slot(name="pump", step="b", capacity=1),))
        assert isinstance(await journal.append(taking), Head)

    async def test_an_append_under_an_old_fence_is_refused(self, store: Store) -> None:
        """A worker whose run was claimed by another can write nothing, even where the other has not written yet."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        late = await journal.claim("r", "bob", T0 + LEASE, LEASE)
        assert late is not None
        await refused(Superseded, journal.append(batch(claim, head, done("a"))))
        await appended(await store.journal(), batch(late, head, done("b")))
        assert [entry.event for entry in (await journal.read("r")).entries[1:]] == [done("b")]

    async def test_of_two_appends_at_one_head_one_is_written(self, store: Store) -> None:
        """The other is refused, whichever process it comes from."""
        one, two = await store.journal(), await store.journal()
        claim, head = await held(one, "r")
        both = await asyncio.gather(
            one.append(batch(claim, head, done("a"))), two.append(batch(claim, head, done("b"))), return_exceptions=True
        )
        assert sorted(type(answer).__name__ for answer in both) == ["Head", "Superseded"]
        assert len((await one.read("r")).entries) == 2

    async def test_a_refused_append_does_not_touch_its_neighbours(self, store: Store) -> None:
        """Writes of many runs at once, some of them stale: each is judged for itself."""
        journal = await store.journal()
        claims = [await held(journal, f"r{n}") for n in range(20)]
        wrong = Head(7, b"elsewhere")
        answers = await asyncio.gather(
            *(journal.append(batch(claim, wrong if n % 3 == 0 else head, done("a"))) for n, (claim, head) in enumerate(claims)),
            return_exceptions=True,
        )
        for number, answer in enumerate(answers):
            assert isinstance(answer, Superseded if number % 3 == 0 else Head)
            assert len((await journal.read(f"r{number}")).entries) == (1 if number % 3 == 0 else 2)

    async def test_an_empty_batch_changes_nothing(self, store: Store) -> None:
        """The head stays where it is."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        assert await journal.append(batch(claim, head)) == head
        assert len((await journal.read("r")).entries) == 1

    async def test_what_was_appended_is_there_for_whoever_opens_the_store_later(self, store: Store) -> None:
        """Closing a journal takes nothing back."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a", "kept")))
        await journal.close()
        assert (await (await store.journal()).read("r")).head == head

    # --- the chain ----------------------------------------------------------------------------------------------------

    async def test_the_chain_depends_on_everything_before(self, store: Store) -> None:
        """The same last batch after another past, at another time or with other content, ends in another link."""
        journal = await store.journal()
        links = set()
        for run_id, first, at, last in (("r", 1, 1, 1), ("s", 2, 1, 1), ("t", 1, 2, 1), ("u", 1, 1, 2), ("v", 1, 1, 1)):
            claim, head = await held(journal, run_id)
            head = await appended(journal, batch(claim, head, done("a", first)))
            head = await appended(journal, batch(claim, head, done("b", last), at=T0 + at))
            links.add(head.link)
        assert len(links) == 5

    async def test_what_was_changed_behind_its_back_is_found(self, store: Store) -> None:
        """Reading says which run and where; the other runs go on."""
        journal = await store.journal()
        for run_id in ("r", "s"):
            claim, head = await held(journal, run_id)
            await appended(journal, batch(claim, head, done("a", "a value of some length")))
        if not await store.corrupt("r"):
            return
        reader = await store.journal()
        found = await refused(JournalCorrupt, reader.read("r"))
        assert found.run_id == "r"
        assert isinstance(found, JournalCorrupt)
        assert found.sequence == 2
        assert len((await reader.read("s")).entries) == 2
        await refused(JournalCorrupt, reader.batches("r"))

    # --- large values -------------------------------------------------------------------------------------------------

    async def test_large_values_come_back_whole_and_are_stored_once(self, store: Store) -> None:
        """However many events carry the same one."""
        journal = await store.journal()
        before = await store.contents()
        large = {"text": "x" * 50_000, "list": list(range(100))}
        for run_id in ("r", "s", "t"):
            claim, head = await held(journal, run_id)
            head = await appended(journal, batch(claim, head, done("a", large)))
            await appended(journal, batch(claim, head, done("b", large)))
            values = [entry.event.value for entry in (await (await store.journal()).read(run_id)).entries[1:]]  # type: ignore[union-attr]
            assert values == [large, large]
        after = await store.contents()
        if before is not None and after is not None:
            assert 1 <= after - before <= 4

    async def test_values_that_look_like_the_store_s_own_marks_are_kept(self, store: Store) -> None:
        """Whatever a tool returns comes back as it was."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        odd = [
            {"$blob": "x"},
            {"$$blob": 1},
            {"$blob": {"$blob": "y" * 20_000}},
            "$blob",
            {"event": "run_started"},
            "ß\U0001f600\u0000",
        ]
        await appended(journal, batch(claim, head, *(done(f"s{n}", value) for n, value in enumerate(odd))))
        values = [entry.event.value for entry in (await (await store.journal()).read("r")).entries[1:]]  # type: ignore[union-attr]
        assert values == odd

    # --- checkpoints --------------------------------------------------------------------------------------------------

    async def test_a_checkpoint_is_kept_in_place_of_the_last_and_may_be_gone(self, store: Store) -> None:
        """It is derived: a journal that keeps none is right as well, one that keeps it gives back what it was given."""
        journal = await store.journal()
        _, head = await held(journal, "r")
        assert await journal.checkpoint("r") is None
        for form in ("one", "two"):
            await journal.keep("r", Checkpoint(head=head, form=form, body=b"\x00" + form.encode()))
        kept = await (await store.journal()).checkpoint("r")
        assert kept in (None, Checkpoint(head=head, form="two", body=b"\x00two"))
        await journal.keep("nothing", Checkpoint(head=head, form="one", body=b""))
        assert await journal.checkpoint("nothing") is None
