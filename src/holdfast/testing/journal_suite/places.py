"""What calls of all workers share."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core.contract import Breaker, Rate
from holdfast.core.gates import TRIAL_SECONDS, GateState
from holdfast.errors import Superseded
from holdfast.journal.base import Full, Gated, Head, Heard, Journal
from holdfast.testing.journal_suite.kit import T0, Store, appended, batch, done, held, parked, refused, slot

BREAKER = Breaker(failures_max=2, within_seconds=60.0, open_seconds=30.0)
RATE = Rate(calls=2, per_seconds=60.0)


def gated(
    calls: int = 1, tool: str = "mail", rate: Rate | None = RATE, breaker: Breaker | None = None, turn: float | None = None
) -> dict[str, Any]:
    """A part of a batch: calls that must pass a gate."""
    return {"gated": (Gated(tool=tool, calls=calls, rate=rate, breaker=breaker, turn=turn),)}


def broken(calls: int = 1) -> dict[str, Any]:
    """The same for a tool with a breaker."""
    return gated(calls, rate=None, breaker=BREAKER)


def heard(*outcomes: Any, retry_after: float | None = None, breaker: Breaker | None = BREAKER) -> dict[str, Any]:
    """A part of a batch: how calls of the tool ended."""
    told = (Heard(tool="mail", outcome=one, breaker=breaker, retry_after_seconds=retry_after) for one in outcomes)
    return {"heard": tuple(told)}


class PlaceChecks:
    """What calls of all workers share."""

    async def test_places_are_shared_by_all_runs_and_counted(self, store: Store) -> None:
        """A batch that finds none writes nothing, and is told how many there are."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await appended(journal, batch(one, head_one, done("a"), slots=(slot("a"), slot("b"))))
        wanting = batch(two, head_two, done("x"), done("y"), slots=(slot("x"), slot("y")))
        assert await (await store.journal()).append(wanting) == Full(("pump",), (1,), ("r",))
        assert len((await journal.read("s")).entries) == 1
        head_two = await appended(journal, batch(two, head_two, done("x"), slots=(slot("x"),)))
        assert isinstance(await journal.append(batch(two, head_two, done("y"), slots=(slot("y"),))), Full)
        await appended(journal, batch(one, head_one, done("b"), freed=("b",)))
        await appended(journal, batch(two, head_two, done("y"), slots=(slot("y"),)))

    async def test_a_place_that_a_batch_frees_can_be_taken_by_the_same_batch(self, store: Store) -> None:
        """One commit carries the outcome of a call and the intent of the next."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), slots=(slot("a", 1),)))
        head = await appended(journal, batch(claim, head, done("b"), freed=("a",), slots=(slot("b", 1),)))
        assert isinstance(await journal.append(batch(claim, head, done("c"), slots=(slot("c", 1),))), Full)

    async def test_every_full_name_is_told(self, store: Store) -> None:
        """And those with room are not taken either."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        await appended(journal, batch(one, head_one, done("a"), slots=(slot("a", 1), slot("a", 1, "van"))))
        wanting = tuple(slot("x", 1, name) for name in ("pump", "crane", "van"))
        assert await journal.append(batch(two, head_two, done("x"), slots=wanting)) == Full(("pump", "van"), (0, 0), ("r", "r"))
        await appended(journal, batch(two, head_two, done("x"), slots=wanting[1:2]))

    async def test_a_run_that_ends_gives_its_places_back(self, store: Store) -> None:
        """Whatever it still held."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await appended(journal, batch(one, head_one, done("a"), slots=(slot("a", 1),)))
        await appended(journal, batch(one, head_one, e.RunCompleted(), release=parked("completed")))
        await appended(journal, batch(two, head_two, done("x"), slots=(slot("x", 1),)))

    async def test_a_place_that_lasts_outlives_its_call_and_its_run(self, store: Store) -> None:
        """Until its time is over; whoever asks meanwhile is told which run has it."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await appended(
            journal, batch(one, head_one, done("a"), slots=(slot("a", 1, until=T0 + 50), slot("a", 1, "van")))
        )
        head_one = await appended(journal, batch(one, head_one, done("b"), freed=("a",)))
        head_two = await appended(journal, batch(two, head_two, done("v"), slots=(slot("v", 1, "van"),)))
        await appended(journal, batch(one, head_one, e.RunCompleted(), release=parked("completed")))
        late = slot("x", 1)
        assert await journal.append(batch(two, head_two, done("x"), at=T0 + 49, slots=(late,))) == Full(("pump",), (0,), ("r",))
        await appended(journal, batch(two, head_two, done("x"), at=T0 + 50, slots=(late,)))

    async def test_a_place_that_lasts_is_given_back_when_its_step_is_settled(self, store: Store) -> None:
        """Also in the batch that ends the run; those of other steps stay."""
        journal = await store.journal()
        two, head_two = await held(journal, "other")
        for run_id, release in (("goes on", None), ("ends", parked("completed"))):
            one, head_one = await held(journal, run_id)
            names = tuple(f"{name} of {run_id}" for name in "abc")
            taken = (slot("a", 1, names[0], T0 + 50), slot("b", 1, names[1], T0 + 50), slot("a", 1, names[2]))
            head_one = await appended(journal, batch(one, head_one, done("a"), slots=taken))
            await appended(journal, batch(one, head_one, done("c"), settled=("a",), release=release))
            wanted = tuple(slot("x", 1, name) for name in names)
            assert await journal.append(batch(two, head_two, done("x"), slots=wanted)) == Full((names[1],), (0,), (run_id,))
            head_two = await appended(journal, batch(two, head_two, done("x"), slots=(wanted[0], wanted[2])))

    async def test_a_step_keeps_the_place_that_it_has_with_its_new_time(self, store: Store) -> None:
        """A second attempt needs no second place; what it gives back in the same batch it has again."""
        journal = await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await appended(journal, batch(one, head_one, done("a"), slots=(slot("a", 1, until=T0 + 20),)))
        again = batch(one, head_one, done("a"), freed=("a",), slots=(slot("a", 1, until=T0 + 40),))
        head_one = await appended(journal, again)
        wanting = batch(two, head_two, done("x"), at=T0 + 30, slots=(slot("x", 1),))
        assert isinstance(await journal.append(wanting), Full)
        head_one = await appended(journal, batch(one, head_one, done("b"), slots=(slot("a", 1),)))
        await appended(journal, batch(one, head_one, done("c"), freed=("a",)))
        await appended(journal, wanting)

    async def test_a_batch_that_settles_a_step_may_take_its_place_at_once(self, store: Store) -> None:
        """One that only frees it may not: the place lasts."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), slots=(slot("a", 1, until=T0 + 50),)))
        assert isinstance(await journal.append(batch(claim, head, done("b"), freed=("a",), slots=(slot("b", 1),))), Full)
        await appended(journal, batch(claim, head, done("b"), settled=("a",), slots=(slot("b", 1),)))

    # --- gates --------------------------------------------------------------------------------------------------------

    async def test_a_rate_holds_over_all_runs_and_processes(self, store: Store) -> None:
        """Whoever finds it used up writes nothing and is told when to ask again, one behind the other."""
        journal = await store.journal()
        runs = [await held(journal, f"r{n}") for n in range(4)]
        heads = [await appended(await store.journal(), batch(*runs[n], done("a"), at=T0 + n, **gated())) for n in range(2)]
        late = [await (await store.journal()).append(batch(*runs[n], done("a"), at=T0 + 3, **gated())) for n in (2, 3)]
        assert late == [Full(held={"mail": (at, "rate")}) for at in (T0 + 60, T0 + 90)]
        assert len((await journal.read("r2")).entries) == 1
        early = await journal.append(batch(runs[0][0], heads[0], done("b"), at=T0 + 60, **gated()))
        assert early == Full(held={"mail": (T0 + 120, "rate")}), "there is room, and others stand in line for it"
        await appended(journal, batch(*runs[2], done("a"), at=T0 + 60, **gated(turn=T0 + 60)))
        refusal = await journal.append(batch(runs[0][0], heads[0], done("b"), at=T0 + 60, **gated()))
        assert refusal == Full(held={"mail": (T0 + 150, "rate")}), "one behind the one that was told 120"
        await appended(journal, batch(runs[0][0], heads[0], done("b"), at=T0 + 60, **gated(tool="other")))

    async def test_a_batch_with_more_calls_than_a_rate_has_room_for_is_told_how_many(self, store: Store) -> None:
        """As for slots, and with the lesser of both; one that asks for no more is taken."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        assert await journal.append(batch(claim, head, done("a"), **gated(5))) == Full(("tool:mail",), (2,), ("",))
        slots = tuple(slot(step, 1, "tool:mail") for step in "abc")
        assert await journal.append(batch(claim, head, done("a"), slots=slots, **gated(3))) == Full(("tool:mail",), (1,), ("",))
        head = await appended(journal, batch(claim, head, done("a"), **gated(1)))
        assert await journal.append(batch(claim, head, done("a"), **gated(2))) == Full(("tool:mail",), (1,), ("",))
        await appended(journal, batch(claim, head, done("a"), **gated(1)))

    async def test_what_is_refused_uses_nothing_up(self, store: Store) -> None:
        """One gate that is closed, or one slot that is taken, and the other gates of the batch know nothing of it."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), slots=(slot("a", 1),), **gated(2)))
        both = (*gated(1)["gated"], *gated(2, "fax")["gated"])
        assert await journal.append(batch(claim, head, done("b"), gated=both)) == Full(held={"mail": (T0 + 61, "rate")})
        assert isinstance(await journal.append(batch(claim, head, done("b"), slots=(slot("b", 1),), **gated(2, "fax"))), Full)
        await appended(journal, batch(claim, head, done("b"), **gated(2, "fax")))

    async def test_a_circuit_opens_for_all_and_lets_one_through_to_find_out(self, store: Store) -> None:
        """Its outcome closes it, or opens it again."""
        journal, other = await store.journal(), await store.journal()
        (one, head_one), (two, head_two) = await held(journal, "r"), await held(journal, "s")
        head_one = await appended(journal, batch(one, head_one, done("a"), **heard("failed", "failed")))
        open_until = T0 + 1 + BREAKER.open_seconds
        assert await other.append(batch(two, head_two, done("x"), **broken())) == Full(held={"mail": (open_until, "circuit")})
        crowd = batch(two, head_two, done("x"), at=open_until, **broken(3))
        assert await other.append(crowd) == Full(("tool:mail",), (1,), ("",))
        head_two = await appended(other, batch(two, head_two, done("x"), at=open_until, **broken(1)))
        waiting = await journal.append(batch(one, head_one, done("b"), at=open_until + 1, **broken()))
        assert isinstance(waiting, Full)
        assert waiting.held["mail"][1] == "circuit"
        assert open_until + 1 < waiting.held["mail"][0] <= open_until + TRIAL_SECONDS
        head_two = await appended(other, batch(two, head_two, done("y"), at=open_until + 2, **heard("failed")))
        again = await journal.append(batch(one, head_one, done("b"), at=open_until + 2, **broken()))
        assert isinstance(again, Full)
        assert again.held["mail"][0] >= open_until + 2 + BREAKER.open_seconds
        later = open_until + 100
        head_two = await appended(other, batch(two, head_two, done("z"), at=later, **broken(1)))
        await appended(other, batch(two, head_two, done("z"), at=later + 1, **heard("ok")))
        await appended(journal, batch(one, head_one, done("b"), at=later + 1, **broken(9)))

    async def test_a_call_that_ended_is_heard_before_the_next_one_is_let_through(self, store: Store) -> None:
        """One commit carries both."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), **heard("failed")))
        refusal = await journal.append(batch(claim, head, done("b"), **heard("failed"), **broken()))
        assert refusal == Full(held={"mail": (T0 + 1 + BREAKER.open_seconds, "circuit")})
        head = await appended(journal, batch(claim, head, done("b"), **heard("failed")))
        head = await appended(journal, batch(claim, head, done("c"), at=T0 + 90, **broken(1)))
        await appended(journal, batch(claim, head, done("d"), at=T0 + 91, **heard("ok"), **broken(5)))

    async def test_what_is_heard_in_a_batch_that_is_refused_counts_once_when_it_comes_again(self, store: Store) -> None:
        """However often it was refused."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), **gated(2)))
        wanting = batch(claim, head, done("b"), **heard("failed"), **gated(1, breaker=BREAKER))
        assert [await self._held(journal, wanting) for _ in range(3)] == [T0 + 61, T0 + 91, T0 + 121]
        await appended(journal, batch(claim, head, done("b"), **heard("failed")))
        assert len((await journal.gates())["mail"].failures) == 1

    async def test_a_time_that_the_other_side_named_holds_for_all(self, store: Store) -> None:
        """Also where the tool has a rate only."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        limited = heard("limited", retry_after=20.0, breaker=None)
        head = await appended(journal, batch(claim, head, done("a"), **limited))
        assert await journal.append(batch(claim, head, done("b"), **gated())) == Full(held={"mail": (T0 + 21, "circuit")})
        await appended(journal, batch(claim, head, done("b"), at=T0 + 21, **gated(2)))

    async def test_gates_can_be_looked_at_and_reset(self, store: Store) -> None:
        """A tool of which nothing is known has no entry."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        assert await journal.gates() == {}
        assert not await journal.reset_gate("mail")
        head = await appended(journal, batch(claim, head, done("a"), **heard("ok"), **broken(4)))
        assert await journal.gates() == {}, "a tool that is well leaves nothing behind"
        head = await appended(journal, batch(claim, head, done("b"), **gated(2)))
        assert await (await store.journal()).gates() == {"mail": GateState(sent=(T0 + 1, T0 + 1))}
        assert await (await store.journal()).reset_gate("mail")
        await appended(journal, batch(claim, head, done("c"), **gated(2)))

    async def test_a_worker_that_lost_the_run_is_told_that_and_stands_in_no_line(self, store: Store) -> None:
        """However full it is."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        later = await appended(journal, batch(claim, head, done("a"), slots=(slot("a", 1),), **gated(2)))
        before = await journal.gates()
        await refused(Superseded, journal.append(batch(claim, head, done("b"), slots=(slot("b", 1),))))
        await refused(Superseded, journal.append(batch(claim, head, done("b"), **gated(1))))
        assert await journal.gates() == before
        assert await self._held(journal, batch(claim, later, done("b"), **gated(1))) == T0 + 60 + 1

    async def _held(self, journal: Journal, wanted: Any) -> float:
        found = await journal.append(wanted)
        assert isinstance(found, Full) and not isinstance(found, Head)
        return found.held["mail"][0]
