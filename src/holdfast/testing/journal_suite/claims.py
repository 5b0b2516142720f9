"""Who may advance a run, and how it is found."""

from __future__ import annotations

import asyncio

from holdfast.core import events as e
from holdfast.journal.base import (
    AGEING_SECONDS,
    Message,
    Worker,
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
)


class ClaimChecks:
    """Who may advance a run, and how it is found."""

    # --- claims -------------------------------------------------------------------------------------------------------

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
        await appended(journal, batch(first, head, done("a"), release=parked(due_at=T0)))
        second = await journal.claim("r", "ann", T0 + 1, LEASE)
        assert second is not None
        assert second.fence > first.fence
        assert second.version == 2

    async def test_an_ended_run_is_claimed_by_nobody(self, store: Store) -> None:
        """Neither by name nor as due; nor is one that is not there."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        await appended(journal, batch(claim, head, e.RunCompleted(), release=parked("completed")))
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
        await appended(journal, batch(claim, head, done("a"), release=parked(due_at=T0 + 50)))
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
        await appended(journal, batch(claim, head, done("a"), release=parked(due_at=T0 + 20)))
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

    # --- looking ------------------------------------------------------------------------------------------------------

    async def test_the_next_due_time_is_that_of_the_earliest_run_or_lease(self, store: Store) -> None:
        """Of the agents that were asked for; None where nothing is to come."""
        journal = await store.journal()
        assert await journal.next_due([AGENT], T0) is None
        for run_id, due_at in (("r", T0 + 70), ("s", T0 + 40), ("t", None)):
            claim, head = await held(journal, run_id)
            await appended(journal, batch(claim, head, done("a"), release=parked(due_at=due_at)))
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
        await appended(journal, batch(claim, head, e.RunCompleted(), at=T0 + 3, release=parked("completed")))
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
