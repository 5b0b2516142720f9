"""What is remembered between runs: kept once, in force by what it is and not by when it came, corrected, forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.memory import Memory, kind_of, line_of, memory_id, words_of
from holdfast.errors import HoldfastError
from holdfast.journal.base import Head, Journal
from holdfast.testing.journal_suite.kit import T0, Store, appended, batch, done, held, parked, refused

DAY = 86_400.0
QUERIES = (
    '"', "'", "city AND", "NEAR(", "*", "a:b", "owner:city", "^", "-", "()", "{}", "\0", "\\", "", " ", "💥", "%_", "x" * 10_000,
    "city " * 500, "NOT", "city OR NOT",
)  # fmt: skip


def memory(run_id: str, name: str, value: Any, at: float = T0, thread: str = "ann", **of: Any) -> Memory:
    """What a run learned under a name."""
    tenant = of.pop("tenant", "")
    kind = kind_of(name)
    return Memory(
        id=memory_id(run_id, kind, name), tenant=tenant, thread=thread, kind=kind, name=name, value=value, run_id=run_id,
        text=words_of(name, value), at=at, agent="clerk", line=line_of(tenant, thread, kind, name), **of,
    )  # fmt: skip


async def ended(journal: Journal, run_id: str, *memories: Memory) -> None:
    """A run that ends and leaves something behind."""
    claim, head = await held(journal, run_id)
    await appended(journal, batch(claim, head, e.RunCompleted(), memories=memories, release=parked("completed")))


def values(memories: Iterable[Memory]) -> dict[str, Any]:
    """What is remembered, by name."""
    return {memory.name: memory.value for memory in memories}


class MemoryChecks:
    """What is remembered between runs."""

    async def test_what_a_run_learned_is_kept_with_its_end(self, store: Store) -> None:
        """Whole, with whose it is, where it comes from and until when it holds; by any process."""
        journal = await store.journal()
        learned = memory(
            "r", "seat", {"row": 12, "side": None}, source="observed", by="step book", step="book", confidence=0.5,
            valid_until=T0 + DAY, rests_on=("flight",), tenant="acme",
        )  # fmt: skip
        await ended(journal, "r", learned)
        other = await store.journal()
        assert await other.memories("acme", "ann") == [learned]
        assert await other.memory(learned.id) == learned
        assert await other.memory("m-nothing") is None

    async def test_a_batch_that_is_not_written_leaves_no_memory(self, store: Store) -> None:
        """It is kept in the commit that ends the run, or not at all."""
        journal = await store.journal()
        claim, _ = await held(journal, "r")
        wrong = batch(claim, Head(9, b"x"), done("a"), memories=(memory("r", "city", "Oslo"),), release=parked("completed"))
        await refused(HoldfastError, journal.append(wrong))
        assert await journal.memories() == []

    async def test_the_same_memory_twice_is_kept_once(self, store: Store) -> None:
        """The first stays as it was."""
        journal = await store.journal()
        claim, head = await held(journal, "r")
        head = await appended(journal, batch(claim, head, done("a"), memories=(memory("r", "city", "Oslo"),)))
        await appended(journal, batch(claim, head, done("b"), memories=(memory("r", "city", "Bergen", at=T0 + 9),)))
        assert values(await journal.memories(history=True)) == {"city": "Oslo"}

    async def test_memories_are_listed_by_owner_the_latest_first(self, store: Store) -> None:
        """A thread of one tenant is not that of another; no more than asked for."""
        journal = await store.journal()
        await ended(journal, "r", memory("r", "a", 1), memory("r", "b", 2, at=T0 + 2), memory("r", "c", 3, at=T0 + 1))
        await ended(journal, "s", memory("s", "a", 4, thread="bob"))
        await ended(journal, "t", memory("t", "a", 5, tenant="acme"))
        assert [one.value for one in await journal.memories("", "ann")] == [2, 3, 1]
        assert [one.value for one in await journal.memories("", "ann", limit=2)] == [2, 3]
        assert {one.value for one in await journal.memories("")} == {1, 2, 3, 4}
        assert values(await journal.memories("acme", "ann")) == {"a": 5}
        assert await journal.memories("acme", "bob") == []
        assert len(await journal.memories()) == 5

    async def test_a_memory_is_found_by_its_words(self, store: Store) -> None:
        """The one with most of them first, without accents, whatever the case; never that of another thread."""
        journal = await store.journal()
        await ended(
            journal, "r", memory("r", "departureCity", "Zürich"), memory("r", "home_city", {"name": "New York City"}),
            memory("r", "hotel", "Baur au Lac"), memory("r", "food", "駅弁"),
        )  # fmt: skip
        await ended(journal, "s", memory("s", "departure_city", "Oslo", thread="bob"))

        async def found(query: str, thread: str = "ann", limit: int = 9) -> list[str]:
            return [one.name for one in await journal.memories("", thread, query=query, limit=limit)]

        assert await found("ZURICH, please!") == ["departureCity"]
        assert await found("what is the home city") == ["home_city", "departureCity"]
        assert await found("home city", limit=1) == ["home_city"]
        assert await found("departure", "bob") == ["departure_city"]
        assert await found("弁当") == ["food"]
        assert await found("nothing of it") == []

    async def test_no_text_is_an_error_in_a_query(self, store: Store) -> None:
        """Operators of whatever searches are words like others, or none."""
        journal = await store.journal()
        await ended(journal, "r", memory("r", "city", "and Oslo or not near"))
        for query in QUERIES:
            found = await journal.memories("", "ann", query=query)
            assert [one.name for one in found] in ([], ["city"])
            assert found or "city" not in query, query

    # --- which one is in force ----------------------------------------------------------------------------------------

    async def test_the_newest_takes_over_and_what_was_stays_as_history(self, store: Store) -> None:
        """Only the one in force is found."""
        journal = await store.journal()
        old, new = memory("r", "city", "Oslo"), memory("s", "city", "Bergen", at=T0 + 9)
        await ended(journal, "r", old)
        await ended(journal, "s", new)
        assert await journal.memories("", "ann") == [new]
        assert await journal.memories("", "ann", query="oslo") == []
        assert await journal.memories("", "ann", query="bergen") == [new]
        assert await journal.memories("", "ann", history=True) == [new, msgspec.structs.replace(old, superseded_by=new.id)]

    async def test_a_run_that_ends_late_does_not_bring_back_what_is_older(self, store: Store) -> None:
        """What counts is when something was so, not when it was written."""
        journal = await store.journal()
        await ended(journal, "s", memory("s", "city", "Bergen", at=T0 + 9))
        await ended(journal, "r", memory("r", "city", "Oslo", at=T0))
        assert values(await journal.memories("", "ann")) == {"city": "Bergen"}
        assert values(await journal.memories("", "ann", query="oslo bergen")) == {"city": "Bergen"}

    async def test_a_guess_takes_over_from_nothing_that_was_seen_or_said(self, store: Store) -> None:
        """As long as that has not expired; and what was seen takes over from a newer guess."""
        journal = await store.journal()
        await ended(journal, "r", memory("r", "city", "Oslo", valid_until=T0 + DAY))
        await ended(journal, "s", memory("s", "city", "Bergen", at=T0 + 9, source="inferred"))
        assert values(await journal.memories()) == {"city": "Oslo"}
        await ended(journal, "t", memory("t", "city", "Bodø", at=T0 + DAY, source="inferred"))
        assert values(await journal.memories()) == {"city": "Bodø"}
        await ended(journal, "u", memory("u", "city", "Vardø", at=T0 + DAY + 1, source="told"))
        assert values(await journal.memories()) == {"city": "Vardø"}

    async def test_a_wrong_memory_corrected_once_stays_corrected(self, store: Store) -> None:
        """Whatever later runs guess, and whatever runs that were under way had learned before; until somebody says otherwise,
        or sees it."""
        journal = await store.journal()
        wrong = memory("r", "city", "Oslo")
        await ended(journal, "r", wrong)
        right = await journal.correct_memory(wrong.id, "Bergen", "ann", T0 + 50)
        assert right is not None
        assert (right.value, right.source, right.by, right.corrected_by, right.at) == ("Bergen", "told", "ann", "ann", T0 + 50)
        assert (right.run_id, right.tenant, right.thread, right.name) == ("r", "", "ann", "city")
        for run_id, at, source in (("s", T0 + 99, "inferred"), ("t", T0 + 49, "observed"), ("u", T0 + 49, "told")):
            await ended(journal, run_id, memory(run_id, "city", "Oslo", at=at, source=source))
            assert await journal.memories("", "ann", query="oslo bergen") == [right]
        seen = memory("v", "city", "Tromsø", at=T0 + 60, valid_until=T0 + 70)
        await ended(journal, "v", seen)
        assert values(await journal.memories()) == {"city": "Tromsø"}
        await ended(journal, "w", memory("w", "city", "Oslo", at=T0 + 80, source="inferred"))
        assert values(await journal.memories()) == {"city": "Tromsø"}, "the wrong value is no guess any more"
        await ended(journal, "x", memory("x", "city", "Oslo", at=T0 + 90, source="told"))
        assert values(await journal.memories()) == {"city": "Oslo"}

    async def test_a_correction_is_for_the_one_in_force(self, store: Store) -> None:
        """Whoever names one that was superseded means the same thing; the same word twice is once."""
        journal = await store.journal()
        old = memory("r", "city", "Oslo")
        await ended(journal, "r", old)
        await ended(journal, "s", memory("s", "city", "Bodø", at=T0 + 9))
        first = await journal.correct_memory(old.id, "Bergen", "ann", T0 + 50)
        assert first is not None
        assert await journal.correct_memory(old.id, "Bergen", "bob", T0 + 60) == first
        second = await journal.correct_memory(old.id, ["Bergen", None], "bob", T0 + 40)
        assert second is not None
        assert (second.value, second.at) == (["Bergen", None], T0 + 50), "after the one that it is in place of"
        assert await journal.memories() == [second]
        assert await journal.correct_memory("m-nothing", "x", "ann", T0) is None

    async def test_what_was_inferred_from_a_wrong_memory_is_believed_no_more(self, store: Store) -> None:
        """Nor what was inferred from that; what was seen stays, and so does what was inferred later."""
        journal = await store.journal()
        city = memory("r", "city", "Oslo")
        await ended(
            journal, "r", city, memory("r", "airport", "OSL", source="inferred", rests_on=("city",)),
            memory("r", "train", "Flytoget", source="inferred", rests_on=("airport",)),
            memory("r", "weather", "rain", rests_on=("city",)),
            memory("r", "hotel", "Grand", at=T0 + 99, source="inferred", rests_on=("city",)),
        )  # fmt: skip
        await journal.correct_memory(city.id, "Bergen", "ann", T0 + 50)
        ends = {one.name: one.valid_until for one in await journal.memories()}
        assert ends == {"city": None, "airport": T0 + 50, "train": T0 + 50, "weather": None, "hotel": None}

    async def test_a_line_does_not_grow_for_ever(self, store: Store) -> None:
        """What a person put right, and what they put it in place of, are kept."""
        journal = await store.journal()
        wrong = memory("r", "n", -1)
        await ended(journal, "r", wrong)
        await journal.correct_memory(wrong.id, 0, "ann", T0 + 1)
        for number in range(40):
            await ended(journal, f"r{number}", memory(f"r{number}", "n", number + 1, at=T0 + 2 + number))
        kept = [one.value for one in await journal.memories("", "ann", history=True)]
        assert kept == [*range(40, 19, -1), 0, -1]

    # --- forgetting ---------------------------------------------------------------------------------------------------

    async def test_a_memory_is_forgotten_with_all_of_its_line(self, store: Store) -> None:
        """Nothing of what it said is left, under any id; that there was one is."""
        journal = await store.journal()
        old, new = memory("r", "illness", "flu"), memory("s", "illness", "cold", at=T0 + 9)
        await ended(journal, "r", old, memory("r", "city", "Oslo"))
        await ended(journal, "s", new)
        assert await journal.forget("ann", T0 + 50, memory_id=new.id) == 2
        assert values(await journal.memories("", "ann")) == {"city": "Oslo"}
        assert await journal.memories("", "ann", query="illness flu cold") == []
        for one in (old, new):
            left = await journal.memory(one.id)
            assert left == Memory(
                id=one.id, tenant="", thread="ann", at=one.at, line=one.line, forgotten_at=T0 + 50, forgotten_by="ann"
            )  # fmt: skip
        assert await journal.correct_memory(new.id, "fever", "ann", T0 + 60) is None
        assert await journal.forget("ann", T0 + 60, memory_id=new.id) == 0
        assert await journal.forget("ann", T0 + 60, memory_id="m-nothing") == 0

    async def test_what_was_forgotten_does_not_come_back_late(self, store: Store) -> None:
        """Not by its id, and not by a run that had learned it before; what is said anew is kept."""
        journal = await store.journal()
        gone = memory("r", "city", "Oslo")
        await ended(journal, "r", gone)
        await journal.forget("ann", T0 + 50, memory_id=gone.id)
        claim, head = await held(journal, "r2")
        await appended(journal, batch(claim, head, done("a"), memories=(gone, memory("r2", "city", "Bergen", at=T0 + 50))))
        assert await journal.memories() == []
        await ended(journal, "s", memory("s", "city", "Bodø", at=T0 + 51))
        assert values(await journal.memories()) == {"city": "Bodø"}

    async def test_a_thread_or_a_tenant_is_forgotten_whole(self, store: Store) -> None:
        """Others are not; and what a run knew of them by then is not kept when it ends."""
        journal = await store.journal()
        await ended(journal, "r", memory("r", "a", 1), memory("r", "b", 2))
        await ended(journal, "s", memory("s", "a", 3, thread="bob"))
        await ended(journal, "v", memory("v", "a", 4, tenant="acme"))
        await ended(journal, "w", memory("w", "a", 5, tenant="acme", thread="bob"))
        assert await journal.forget("ann", T0 + 50, thread="ann") == 2
        assert {one.value for one in await journal.memories()} == {3, 4, 5}
        await ended(journal, "t", memory("t", "new", 6, at=T0 + 40), memory("t", "newer", 7, at=T0 + 60))
        assert values(await journal.memories("", "ann")) == {"newer": 7}
        assert await journal.forget("boss", T0 + 50, tenant="acme") == 2
        await ended(journal, "u", memory("u", "new", 8, tenant="acme", thread="cleo"))
        assert await journal.memories("acme") == []
        assert {one.value for one in await journal.memories()} == {3, 7}

    async def test_pollers_see_that_a_memory_was_changed(self, store: Store) -> None:
        """By a correction and by forgetting."""
        journal, other = await store.journal(), await store.journal()
        wrong = memory("r", "city", "Oslo")
        await ended(journal, "r", wrong)
        before = await other.stamp()
        await journal.correct_memory(wrong.id, "Bergen", "ann", T0 + 50)
        between = await other.stamp()
        await journal.forget("ann", T0 + 60, memory_id=wrong.id)
        assert len({before, between, await other.stamp()}) == 3
