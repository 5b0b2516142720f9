"""What every journal must pass of schedules, for whoever writes one; used like `holdfast.testing.journal_suite`.

from holdfast.testing.schedule_suite import ScheduleSuite

class TestMySchedules(ScheduleSuite):
    @pytest.fixture
    async def store(self, tmp_path):
        async with MyStore(tmp_path) as store:      # a `holdfast.testing.journal_suite.Store`
            yield store
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from holdfast.core.schedule import Became, Firing, Schedule, Standing
from holdfast.errors import GoalMismatch
from holdfast.journal.base import FIRINGS_MAX, Journal, Message, NewRun, Turn
from holdfast.testing.journal_suite.kit import AGENT, LEASE, T0, Store, create, held, parked, refused, started

HOUR = 3600.0


def standing(name: str = "daily", agent: str = AGENT, **of: Any) -> Standing:
    """A schedule whose first time is an hour away."""
    schedule = Schedule(name=name, agent=agent, inputs={"to": "ann", "n": [1, 2]}, labels={"team": "a"}, cron="0 * * * *")
    return Standing(**{"schedule": schedule, "ruled_until": T0, "next_at": T0 + HOUR, **of})


def turn(new: Standing, *firings: Firing, at: float = T0, begins: str = "", agent: str = AGENT, **of: Any) -> Turn:
    """A commit; begins: the id of the run that it creates."""
    run = NewRun(run_id=begins, agent=agent, goal_digest="digest", tenant="t", priority=3, labels={"x": "y"})
    first = (run, (started(begins, agent),)) if begins else None
    return Turn(standing=new, at=at, firings=firings, begins=first, **of)


def firing(at: float = T0 + HOUR, became: Became = "begun", **of: Any) -> Firing:
    """What became of a time."""
    return Firing(planned_at=at, became=became, ruled_at=at + 1, **of)


async def put(journal: Journal, name: str = "daily", **of: Any) -> Standing:
    """A schedule in the store."""
    assert await journal.turn_schedule(turn(standing(name, **of)))
    (found,) = await journal.schedules(name)
    return found


def later(found: Standing, **of: Any) -> Standing:
    """The same schedule, changed."""
    return msgspec.structs.replace(found, **of)


class ScheduleSuite:
    """What every journal must pass of schedules."""

    async def test_a_schedule_is_read_as_it_was_written(self, store: Store) -> None:
        """By any process; its revision is the number of its changes."""
        journal = await store.journal()
        assert await journal.schedules() == []
        wanted = standing(paused=True, waiting=(T0 - 60, T0 - 30), current="gone")
        assert await journal.turn_schedule(turn(wanted))
        (found,) = await (await store.journal()).schedules()
        assert found == later(wanted, revision=1)
        assert await journal.turn_schedule(turn(later(found, paused=False, next_at=None, waiting=())))
        assert await journal.schedules("daily") == [later(wanted, revision=2, paused=False, next_at=None, waiting=())]
        assert await journal.schedules("weekly") == []

    async def test_of_two_who_know_the_same_revision_one_writes(self, store: Store) -> None:
        """Two workers that see the same time begin one run; the other writes nothing at all."""
        journals = [await store.journal() for _ in range(8)]
        found = await put(journals[0])
        wanted = [
            turn(later(found, next_at=T0 + 2 * HOUR, current=f"run-{n}"), firing(run_id=f"run-{n}"), begins=f"run-{n}")
            for n in range(len(journals))
        ]
        written = await asyncio.gather(*(journal.turn_schedule(one) for journal, one in zip(journals, wanted, strict=True)))
        assert sorted(written) == [False] * 7 + [True]
        (row,) = await journals[0].rows()
        (after,) = await journals[0].schedules()
        assert (after.current, after.revision, after.running) == (row.run_id, 2, True)
        assert [one.run_id for one in await journals[0].firings("daily")] == [row.run_id]

    async def test_of_two_who_put_the_same_name_one_does(self, store: Store) -> None:
        """Whoever thinks that it is new and is wrong is told so; and so is whoever thinks that it is there."""
        journal = await store.journal()
        await put(journal)
        assert not await journal.turn_schedule(turn(standing(agent="other")))
        assert not await journal.turn_schedule(turn(standing("weekly", revision=1)))
        assert [one.schedule.agent for one in await journal.schedules()] == [AGENT]

    async def test_the_run_that_begins_is_created_in_the_same_commit(self, store: Store) -> None:
        """It is due at once and nobody's; its journal can be read."""
        journal = await store.journal()
        found = await put(journal)
        assert await journal.turn_schedule(turn(later(found, current="r"), firing(run_id="r"), at=T0 + HOUR + 1, begins="r"))
        row = await journal.row("r")
        assert row is not None
        assert (row.agent, row.tenant, row.priority, row.labels, row.worker) == (AGENT, "t", 3, {"x": "y"}, "")
        assert (row.created_at, row.due_at, row.status) == (T0 + HOUR + 1, T0 + HOUR + 1, "running")
        assert (await journal.read("r")).entries[0].event == started("r")
        assert [claim.run_id for claim in await journal.claim_due("ann", [AGENT], T0 + HOUR + 1, LEASE, 5)] == ["r"]

    async def test_a_run_that_is_there_already_is_not_created_again(self, store: Store) -> None:
        """The same one is begun; with the id of another one nothing is written."""
        journal = await store.journal()
        found = await put(journal)
        await create(journal, "same")
        assert await journal.turn_schedule(turn(later(found, current="same"), firing(run_id="same"), begins="same"))
        assert len((await journal.read("same")).entries) == 1
        (found,) = await journal.schedules()
        await create(journal, "other", agent="somebody")
        wanted = turn(later(found, current="other"), firing(T0 + 2 * HOUR, run_id="other"), begins="other")
        error = await refused(GoalMismatch, journal.turn_schedule(wanted))
        assert error.run_id == "other"
        assert await journal.schedules() == [found]
        assert len(await journal.firings("daily")) == 1

    async def test_a_run_is_asked_to_end_once_and_only_where_it_goes_on(self, store: Store) -> None:
        """A second word finds the slot taken, an ended run hears none, and the turn is written all the same."""
        journal = await store.journal()
        claim, _ = await held(journal, "r")
        found = await put(journal, current="r")
        word = Message(kind="cancel", slot="cancel", body={"by": "schedule", "reason": "", "decision": "cancel"}, at=T0 + 5)
        for who in ("r", "r", "nobody"):
            assert await journal.turn_schedule(turn(found, asked=(who, word)))
            (found,) = await journal.schedules()
        assert len(await journal.messages("r")) == 1
        await journal.release(claim, parked("cancelled"))
        assert await journal.turn_schedule(turn(found, asked=("r", msgspec.structs.replace(word, slot="another"))))

    async def test_what_is_due_is_found_by_time_and_by_agent(self, store: Store) -> None:
        """The longest due first; what is paused, has no time more, or belongs to others is not; the next time is told."""
        journal = await store.journal()
        await put(journal, "b", next_at=T0 + 20)
        await put(journal, "a", next_at=T0 + 10)
        await put(journal, "c", next_at=T0 + 30)
        await put(journal, "paused", next_at=T0 + 1, paused=True)
        await put(journal, "over", next_at=None)
        await put(journal, "others", agent="other", next_at=T0 + 2)

        async def due(now: float, *agents: str, limit: int = 10) -> tuple[list[str], float | None]:
            found, coming = await journal.due_schedules(agents or (AGENT,), now, limit)
            return [one.schedule.name for one in found], coming

        assert await due(T0) == ([], T0 + 10)
        assert await due(T0 + 10) == (["a"], T0 + 20)
        assert await due(T0 + 25) == (["a", "b"], T0 + 30)
        assert await due(T0 + 30, limit=2) == (["a", "b"], None)
        assert await due(T0 + 30, AGENT, "other") == (["others", "a", "b", "c"], None)
        assert await due(T0 + 30, "nobody") == ([], None)

    async def test_what_waits_is_due_when_the_run_before_has_ended(self, store: Store) -> None:
        """Not before, and not while it is paused."""
        journal = await store.journal()
        claim, _ = await held(journal, "r")
        found = await put(journal, current="r", waiting=(T0 - 5,))
        assert found.running
        assert await journal.due_schedules([AGENT], T0 + 1, 10) == ([], T0 + HOUR)
        await journal.release(claim, parked("blocked"))
        assert (await journal.due_schedules([AGENT], T0 + 1, 10))[0] == []
        again = await journal.claim("r", "ann", T0 + 2, LEASE)
        assert again is not None
        await journal.release(again, parked("completed"))
        assert await journal.due_schedules([AGENT], T0 + 3, 10) == ([later(found, running=False)], T0 + HOUR)
        assert await journal.turn_schedule(turn(later(found, paused=True)))
        assert await journal.due_schedules([AGENT], T0 + 3, 10) == ([], None)

    async def test_what_became_of_a_time_is_written_over_by_what_becomes_of_it_later(self, store: Store) -> None:
        """One that waited begins, and is still known to be late."""
        journal = await store.journal()
        found = await put(journal)
        waits = firing(became="waiting", why="another one goes on", caught_up=True)
        missed = firing(T0 - HOUR, "missed", count=7, until=T0, why="nobody was there")
        assert await journal.turn_schedule(turn(found, missed, waits))
        assert await journal.firings("daily") == [waits, missed]
        (found,) = await journal.schedules()
        assert await journal.turn_schedule(turn(found, firing(run_id="r")))
        assert await journal.firings("daily") == [firing(run_id="r", caught_up=True), missed]
        assert await journal.firings("daily", 1) == [firing(run_id="r", caught_up=True)]
        assert await journal.firings("weekly") == []

    async def test_so_many_firings_are_remembered_and_all_that_wait(self, store: Store) -> None:
        """The oldest are forgotten."""
        journal = await store.journal()
        found = await put(journal)
        waits = firing(T0, "waiting")
        many = [firing(T0 + n, "skipped") for n in range(1, FIRINGS_MAX + 4)]
        assert await journal.turn_schedule(turn(found, waits, *many))
        kept = await journal.firings("daily", 10 * FIRINGS_MAX)
        assert kept == [*many[:2:-1], waits]

    async def test_a_schedule_that_is_removed_is_gone_and_its_runs_are_not(self, store: Store) -> None:
        """Another one of its name begins with nothing."""
        journal = await store.journal()
        found = await put(journal)
        assert await journal.turn_schedule(turn(later(found, current="r"), firing(run_id="r"), begins="r"))
        assert await journal.remove_schedule("daily")
        assert not await journal.remove_schedule("daily")
        assert await journal.schedules() == []
        assert await journal.firings("daily") == []
        assert await journal.row("r") is not None
        assert not await journal.turn_schedule(turn(later(found, revision=2)))
        assert (await put(journal)).revision == 1

    async def test_a_change_of_a_schedule_is_seen_by_pollers(self, store: Store) -> None:
        """Workers sleep until the stamp differs."""
        journal, other = await store.journal(), await store.journal()
        before = await other.stamp()
        await put(journal)
        assert await other.stamp() != before
