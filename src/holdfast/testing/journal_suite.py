"""What every journal must pass, for whoever writes one.

    from holdfast.testing.journal_suite import JournalSuite

    class TestMyJournal(JournalSuite):
        @pytest.fixture
        async def store(self, tmp_path):
            async with MyStore(tmp_path) as store:      # see `Store`: hands out opened journals to one and the same store
                yield store

The tests are async methods; run them with pytest-asyncio (`asyncio_mode = auto`) or call them yourself. They speak to the
journal through its protocol alone, with as many handles as there would be processes. Times are made up: a journal reads
no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from holdfast.core import events as e
from holdfast.core.plan import Goal
from holdfast.core.state import Status
from holdfast.errors import AnswerRefused, HoldfastError, JournalCorrupt, RunNotFound, Superseded
from holdfast.journal.base import (
    AGEING_SECONDS,
    EMPTY,
    Batch,
    Checkpoint,
    Claim,
    Full,
    Head,
    Journal,
    Message,
    NewRun,
    Release,
    Slot,
    Worker,
)

T0 = 1_700_000_000.0
LEASE = 10.0
AGENT = "clerk"


class Store(Protocol):
    """One store, as the suite needs it. `journal` is asked for often: each is another process's way to the same store."""

    async def journal(self) -> Journal:
        """A new journal to it, opened."""

    async def corrupt(self, run_id: str) -> bool:
        """Change a byte of what a run's last batch says, behind everybody's back; False where that cannot be done."""

    async def contents(self) -> int | None:
        """How many large values are stored apart, by their content; None where that cannot be seen."""


def started(run_id: str, agent: str = AGENT, **inputs: Any) -> e.RunStarted:
    """The first event of a run."""
    return e.RunStarted(run_id=run_id, agent=agent, goal=Goal(text="tidy up", inputs=inputs), contracts=())


def done(step: str, value: Any = None) -> e.CallSucceeded:
    """Some event with a value."""
    return e.CallSucceeded(step=step, attempt=1, value=value)


async def create(
    journal: Journal, run_id: str, *, worker: str = "", at: float = T0, agent: str = AGENT, **of: Any
) -> Claim | None:
    """A run with its start."""
    new = NewRun(run_id=run_id, agent=agent, goal_digest="digest", **of)
    return await journal.create(new, (started(run_id, agent),), at, worker=worker, lease_seconds=LEASE)


async def held(journal: Journal, run_id: str, worker: str = "ann", **of: Any) -> tuple[Claim, Head]:
    """A run that a worker holds, and where it ends."""
    claim = await create(journal, run_id, worker=worker, **of)
    assert claim is not None
    return claim, (await journal.read(run_id)).head


def batch(claim: Claim, head: Head, *events: e.AnyEvent, at: float = T0 + 1, **more: Any) -> Batch:
    """What a worker writes."""
    return Batch(run_id=claim.run_id, fence=claim.fence, head=head, at=at, events=events, **more)


async def refused(error: type[HoldfastError], doing: Awaitable[Any]) -> HoldfastError:
    """That this is refused, and how."""
    try:
        found = await doing
    except error as refusal:
        return refusal
    raise AssertionError(f"{error.__name__} was due, and {found!r} came")


def parked(status: Status = "waiting", due_at: float | None = None, **more: Any) -> Release:
    """A claim given back."""
    return Release(status=status, due_at=due_at, **more)


class JournalSuite:
    """See the module's text."""

    # --- create ---------------------------------------------------------------------------------------------------

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

    # --- append and read ------------------------------------------------------------------------------------------

    async def test_what_is_appended_is_read_back_in_order(self, store: Store) -> None:
        """Each entry with its number, its time and the fence it was written under, through any journal."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await self._appended(journal, batch(claim, head, done("a", 1), done("b", [2]), at=T0 + 1.5))
        head = await self._appended(journal, batch(claim, head, done("c", {"x": None}), at=T0 + 2))
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
        middle = await self._appended(journal, batch(claim, head, done("a")))
        end = await self._appended(journal, batch(claim, middle, done("b"), done("c")))
        rest = await journal.read("r", middle)
        assert [entry.sequence for entry in rest.entries] == [3, 4]
        assert rest.head == end
        assert await journal.read("r", end) == type(rest)([], end)

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
        await self._appended(journal, batch(claim, head, done("a")))
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
        await self._appended(await store.journal(), batch(late, head, done("b")))
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
        head = await self._appended(journal, batch(claim, head, done("a", "kept")))
        await journal.close()
        assert (await (await store.journal()).read("r")).head == head

    # --- the chain ------------------------------------------------------------------------------------------------

    async def test_the_chain_depends_on_everything_before(self, store: Store) -> None:
        """The same last batch after another past, at another time or with other content, ends in another link."""
        journal = await store.journal()
        links = set()
        for run_id, first, at, last in (("r", 1, 1, 1), ("s", 2, 1, 1), ("t", 1, 2, 1), ("u", 1, 1, 2), ("v", 1, 1, 1)):
            claim, head = await held(journal, run_id)
            head = await self._appended(journal, batch(claim, head, done("a", first)))
            head = await self._appended(journal, batch(claim, head, done("b", last), at=T0 + at))
            links.add(head.link)
        assert len(links) == 5

    async def test_what_was_changed_behind_its_back_is_found(self, store: Store) -> None:
        """Reading says which run and where; the other runs go on."""
        journal = await store.journal()
        for run_id in ("r", "s"):
            claim, head = await held(journal, run_id)
            await self._appended(journal, batch(claim, head, done("a", "a value of some length")))
        if not await store.corrupt("r"):
            return
        reader = await store.journal()
        found = await refused(JournalCorrupt, reader.read("r"))
        assert found.run_id == "r"
        assert isinstance(found, JournalCorrupt)
        assert found.sequence == 2
        assert len((await reader.read("s")).entries) == 2

    # --- large values ---------------------------------------------------------------------------------------------

    async def test_large_values_come_back_whole_and_are_stored_once(self, store: Store) -> None:
        """However many events carry the same one."""
        journal = await store.journal()
        before = await store.contents()
        large = {"text": "x" * 50_000, "list": list(range(100))}
        for run_id in ("r", "s", "t"):
            claim, head = await held(journal, run_id)
            head = await self._appended(journal, batch(claim, head, done("a", large)))
            await self._appended(journal, batch(claim, head, done("b", large)))
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
        await self._appended(journal, batch(claim, head, *(done(f"s{n}", value) for n, value in enumerate(odd))))
        values = [entry.event.value for entry in (await (await store.journal()).read("r")).entries[1:]]  # type: ignore[union-attr]
        assert values == odd

    # --- claims ---------------------------------------------------------------------------------------------------

    async def test_a_claim_is_given_to_one_worker_at_a_time(self, store: Store) -> None:
        """As long as its lease lasts, nobody else gets the run."""
        journal = await store.journal()
        await create(journal, "r")
        handles = [await store.journal() for _ in range(4)]
        claims = await asyncio.gather(*(handle.claim("r", f"w{n}", T0, LEASE) for n, handle in enumerate(handles)))
        assert sum(claim is not None for claim in claims) == 1
        assert await journal.claim("r", "late", T0 + LEASE - 0.1, LEASE) is None

    async def test_a_lease_that_ended_lets_another_worker_in_under_a_higher_fence(self, store: Store) -> None:
        """And the fence only ever grows."""
        journal = await store.journal()
        first, _ = await held(journal, "r")
        fences = [first.fence]
        for number in range(1, 4):
            claim = await journal.claim("r", f"w{number}", T0 + number * LEASE, LEASE)
            assert claim is not None
            fences.append(claim.fence)
        assert fences == sorted(set(fences))

    async def test_a_fence_grows_also_after_a_claim_that_was_given_back(self, store: Store) -> None:
        """Two claims never have the same one."""
        journal = await store.journal()
        first, head = await held(journal, "r")
        await self._appended(journal, batch(first, head, done("a"), release=parked(due_at=T0)))
        second = await journal.claim("r", "ann", T0 + 1, LEASE)
        assert second is not None
        assert second.fence > first.fence
        assert second.version == 2

    async def test_an_ended_run_is_claimed_by_nobody(self, store: Store) -> None:
        """Neither by name nor as due; nor is one that is not there."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await self._appended(journal, batch(claim, head, e.RunCompleted(), release=parked("completed")))
        assert await journal.claim("r", "bob", T0 + 100, LEASE) is None
        assert await journal.claim_due("bob", [AGENT], T0 + 100, LEASE, 10) == []
        assert await journal.claim("nothing", "bob", T0, LEASE) is None

    async def test_due_runs_are_those_of_known_agents_whose_time_has_come_and_nobody_has(self, store: Store) -> None:
        """The others are left alone."""
        journal = await store.journal()
        await create(journal, "mine")
        await create(journal, "foreign", agent="stranger")
        await create(journal, "taken", worker="bob")
        claim, head = await held(journal, "later")
        await self._appended(journal, batch(claim, head, done("a"), release=parked(due_at=T0 + 50)))
        assert [claim.run_id for claim in await journal.claim_due("ann", [AGENT], T0 + 1, LEASE, 10)] == ["mine"]
        later = await journal.claim_due("ann", [AGENT, "other"], T0 + 60, LEASE, 10)
        assert {claim.run_id for claim in later} == {"mine", "taken", "later"}
        assert all(claim.worker == "ann" and claim.until == T0 + 60 + LEASE for claim in later)

    async def test_no_more_runs_are_claimed_than_asked_for(self, store: Store) -> None:
        """The rest stay for others, each for one."""
        journal = await store.journal()
        for number in range(9):
            await create(journal, f"r{number}")
        handles = [await store.journal() for _ in range(3)]
        found = await asyncio.gather(*(handle.claim_due(f"w{n}", [AGENT], T0, LEASE, 3) for n, handle in enumerate(handles)))
        assert [len(claims) for claims in found] == [3, 3, 3]
        assert len({claim.run_id for claims in found for claim in claims}) == 9

    async def test_urgent_runs_come_first_and_nothing_starves(self, store: Store) -> None:
        """A level of priority is worth a minute of waiting: enough of them outweigh any priority."""
        journal = await store.journal()
        await create(journal, "plain", at=T0)
        await create(journal, "older", at=T0 - 1)
        await create(journal, "urgent", at=T0, priority=1)
        await create(journal, "starving", at=T0 - AGEING_SECONDS - 1)
        claims = await journal.claim_due("ann", [AGENT], T0, LEASE, 10)
        assert [claim.run_id for claim in claims] == ["starving", "urgent", "older", "plain"]

    async def test_a_run_that_waited_and_came_due_stands_in_line_by_that_time(self, store: Store) -> None:
        """Not by when it was created."""
        journal = await store.journal()
        claim, head = await held(journal, "old")
        await self._appended(journal, batch(claim, head, done("a"), release=parked(due_at=T0 + 20)))
        await create(journal, "new", at=T0 + 10)
        claims = await journal.claim_due("ann", [AGENT], T0 + 30, LEASE, 10)
        assert [claim.run_id for claim in claims] == ["new", "old"]

    async def test_a_heartbeat_makes_held_leases_last_and_names_them(self, store: Store) -> None:
        """What was lost is not among them."""
        journal = await store.journal()
        mine, _ = await held(journal, "mine")
        lost, _ = await held(journal, "lost")
        assert await (await store.journal()).claim("lost", "bob", T0 + LEASE, LEASE) is not None
        kept = await journal.extend([mine, lost], T0 + 3 * LEASE)
        assert [(claim.run_id, claim.fence, claim.until) for claim in kept] == [("mine", mine.fence, T0 + 3 * LEASE)]
        assert await journal.claim("mine", "bob", T0 + 2 * LEASE, LEASE) is None
        row = await journal.row("lost")
        assert row is not None
        assert (row.worker, row.lease_until) == ("bob", T0 + 2 * LEASE)

    async def test_a_claim_holds_until_somebody_else_has_the_run(self, store: Store) -> None:
        """A lease that ended is no loss as long as nobody came."""
        journal = await store.journal()
        claim, _ = await held(journal, "r")
        assert await (await store.journal()).holds(claim)
        assert await journal.claim("r", "bob", T0 + LEASE, LEASE) is not None
        assert not await journal.holds(claim)

    async def test_a_claim_given_back_lets_the_next_worker_in(self, store: Store) -> None:
        """At its time; and a claim that is lost gives nothing back."""
        journal = await store.journal()
        claim, _ = await held(journal, "r")
        await journal.release(claim, parked(due_at=T0 + 5, waits_for="rain"))
        row = await journal.row("r")
        assert row is not None
        assert (row.worker, row.status, row.waits_for, row.due_at) == ("", "waiting", "rain", T0 + 5)
        assert await journal.claim_due("bob", [AGENT], T0 + 4, LEASE, 1) == []
        (next_claim,) = await journal.claim_due("bob", [AGENT], T0 + 5, LEASE, 1)
        await journal.release(claim, parked("blocked"))
        assert await journal.holds(next_claim)

    # --- words from outside ---------------------------------------------------------------------------------------

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
        head = await self._appended(journal, batch(claim, head, done("a"), taken=tuple(sent[:2])))
        assert [message.id for message in await journal.messages("r")] == sent[2:]
        await self._appended(journal, batch(claim, head, done("b"), taken=tuple(sent[2:])))
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
            head = await self._appended(journal, batch(claim, head, done("a"), taken=(identifier,)))
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
        await self._appended(journal, batch(claim, head, done("a"), release=parked("blocked")))
        assert await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 1) == []
        await journal.send("r", Message(kind="cancel", body={}, at=T0 + 100))
        assert len(await journal.claim_due("bob", [AGENT], T0 + 100, LEASE, 1)) == 1

    async def test_a_message_that_came_while_the_run_was_parked_keeps_it_due(self, store: Store) -> None:
        """Whoever parks it has not seen that word; unless the run is set aside."""
        journal = await store.journal()
        for run_id, aside in (("r", False), ("s", True)):
            claim, head = await held(journal, run_id)
            await (await store.journal()).send(run_id, Message(kind="answer", body={}, at=T0 + 1))
            await self._appended(journal, batch(claim, head, done("a"), at=T0 + 2, release=parked("blocked", aside=aside)))
        assert [claim.run_id for claim in await journal.claim_due("bob", [AGENT], T0 + 2, LEASE, 9)] == ["r"]

    async def test_a_message_that_was_taken_keeps_nothing_due(self, store: Store) -> None:
        """It was seen."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        identifier = await journal.send("r", Message(kind="answer", body={}, at=T0 + 1))
        await self._appended(journal, batch(claim, head, done("a"), taken=(identifier,), release=parked("blocked")))
        assert await journal.claim_due("bob", [AGENT], T0 + 99, LEASE, 1) == []

    async def test_nothing_can_be_said_to_a_run_that_ended_or_is_not_there(self, store: Store) -> None:
        """And it says which of the two it is."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await self._appended(journal, batch(claim, head, e.RunCompleted(), release=parked("completed")))
        await refused(AnswerRefused, journal.send("r", Message(kind="answer", body={}, at=T0)))
        await refused(RunNotFound, journal.send("nothing", Message(kind="answer", body={}, at=T0)))

    # --- slots ----------------------------------------------------------------------------------------------------

    async def test_places_are_shared_by_all_runs_and_counted(self, store: Store) -> None:
        """A batch that finds none writes nothing, and is told how many there are."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await self._appended(journal, batch(one, head_one, done("a"), slots=(self._slot("a"), self._slot("b"))))
        wanting = batch(two, head_two, done("x"), done("y"), slots=(self._slot("x"), self._slot("y")))
        assert await (await store.journal()).append(wanting) == Full(("pump",), (1,))
        assert len((await journal.read("s")).entries) == 1
        head_two = await self._appended(journal, batch(two, head_two, done("x"), slots=(self._slot("x"),)))
        assert isinstance(await journal.append(batch(two, head_two, done("y"), slots=(self._slot("y"),))), Full)
        await self._appended(journal, batch(one, head_one, done("b"), freed=("b",)))
        await self._appended(journal, batch(two, head_two, done("y"), slots=(self._slot("y"),)))

    async def test_a_place_that_a_batch_frees_can_be_taken_by_the_same_batch(self, store: Store) -> None:
        """One commit carries the outcome of a call and the intent of the next."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await self._appended(journal, batch(claim, head, done("a"), slots=(self._slot("a", 1),)))
        head = await self._appended(journal, batch(claim, head, done("b"), freed=("a",), slots=(self._slot("b", 1),)))
        assert isinstance(await journal.append(batch(claim, head, done("c"), slots=(self._slot("c", 1),))), Full)

    async def test_every_full_name_is_told(self, store: Store) -> None:
        """And those with room are not taken either."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        await self._appended(journal, batch(one, head_one, done("a"), slots=(self._slot("a", 1), self._slot("a", 1, "van"))))
        wanting = tuple(self._slot("x", 1, name) for name in ("pump", "crane", "van"))
        assert await journal.append(batch(two, head_two, done("x"), slots=wanting)) == Full(("pump", "van"), (0, 0))
        await self._appended(journal, batch(two, head_two, done("x"), slots=wanting[1:2]))

    async def test_a_run_that_ends_gives_its_places_back(self, store: Store) -> None:
        """Whatever it still held."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await self._appended(journal, batch(one, head_one, done("a"), slots=(self._slot("a", 1),)))
        await self._appended(journal, batch(one, head_one, e.RunCompleted(), release=parked("completed")))
        await self._appended(journal, batch(two, head_two, done("x"), slots=(self._slot("x", 1),)))

    # --- looking --------------------------------------------------------------------------------------------------

    async def test_the_next_due_time_is_that_of_the_earliest_run_or_lease(self, store: Store) -> None:
        """Of the agents that were asked for; None where nothing is to come."""
        journal = await store.journal()
        assert await journal.next_due([AGENT], T0) is None
        for run_id, due_at in (("r", T0 + 70), ("s", T0 + 40), ("t", None)):
            claim, head = await held(journal, run_id)
            await self._appended(journal, batch(claim, head, done("a"), release=parked(due_at=due_at)))
        await create(journal, "foreign", agent="stranger")
        assert await journal.next_due([AGENT], T0) == T0 + 40
        await held(journal, "leased")
        assert await journal.next_due([AGENT], T0 + 1) == T0 + LEASE
        await create(journal, "free", at=T0 + 2)
        due = await journal.next_due([AGENT], T0 + 3)
        assert due is not None
        assert due <= T0 + 3

    async def test_rows_are_filtered_and_the_latest_changed_comes_first(self, store: Store) -> None:
        """By status, agent and tenant, and no more than asked for."""
        journal = await store.journal()
        await create(journal, "a", at=T0, tenant="acme")
        await create(journal, "b", at=T0 + 1, agent="stranger")
        claim, head = await held(journal, "c", at=T0 + 2)
        assert [row.run_id for row in await journal.rows()] == ["c", "b", "a"]
        await self._appended(journal, batch(claim, head, e.RunCompleted(), at=T0 + 3, release=parked("completed")))
        assert [row.run_id for row in await journal.rows(status="completed")] == ["c"]
        assert [row.run_id for row in await journal.rows(agent=AGENT)] == ["c", "a"]
        assert [row.run_id for row in await journal.rows(tenant="acme")] == ["a"]
        assert [row.run_id for row in await journal.rows(limit=2)] == ["c", "b"]
        assert await journal.rows(status="failed") == []

    async def test_workers_are_known_by_when_they_were_seen_last(self, store: Store) -> None:
        """One row each, with the agents that it has loaded."""
        journal = await store.journal()
        await journal.seen(Worker(name="bob", agents=("x",), seen_at=T0))
        await journal.seen(Worker(name="ann", agents=("x", "y"), seen_at=T0 + 1))
        await journal.seen(Worker(name="bob", agents=("z",), seen_at=T0 + 5))
        found = await (await store.journal()).workers(T0 + 1)
        assert found == [
            Worker(name="ann", agents=("x", "y"), seen_at=T0 + 1),
            Worker(name="bob", agents=("z",), seen_at=T0 + 5),
        ]
        assert [worker.name for worker in await journal.workers(T0 + 2)] == ["bob"]

    async def test_the_stamp_changes_when_somebody_else_wrote(self, store: Store) -> None:
        """And is one of a few known ones where nobody did; it is what pollers look at."""
        journal, other = await store.journal(), await store.journal()
        await create(journal, "r")
        before = {await journal.stamp() for _ in range(20)}
        assert len(before) < 5
        await other.send("r", Message(kind="answer", body={}, at=T0))
        assert await journal.stamp() not in before

    # --- checkpoints ----------------------------------------------------------------------------------------------

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

    # --- helpers --------------------------------------------------------------------------------------------------

    async def _appended(self, journal: Journal, wanted: Batch) -> Head:
        written = await journal.append(wanted)
        assert isinstance(written, Head), written
        return written

    def _slot(self, step: str, capacity: int = 3, name: str = "pump") -> Slot:
        return Slot(name=name, step=step, capacity=capacity)
