"""What is remembered between runs: the user's verbs, what a run recalls, and the whole way from one run to the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import Holdfast, UsageError
from holdfast.core import events as e
from holdfast.core.commands import Recall
from holdfast.core.evolve import fold
from holdfast.core.facts import Fact
from holdfast.core.memory import VALUE_BYTES_MAX, Memory
from holdfast.core.plan import Goal, Plan, Step
from holdfast.errors import JournalUnavailable
from holdfast.journal.base import Journal
from holdfast.memory import CANDIDATES_MAX
from holdfast.runner.recollection import recall
from holdfast.testing.journal_suite.memories import ended, memory
from holdfast.testing.memory import MemoryJournal
from holdfast.views.memory import memory_line, recalled_views

T0 = 1_700_000_000.0
DAY = 86_400.0


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Holdfast]:
    """A store in a file, with one thread that remembers something."""
    async with Holdfast(tmp_path / "runs.db") as opened:
        await ended(
            opened.journal, "r", memory("r", "departure_city", "Oslo", source="inferred", confidence=0.6),
            memory("r", "preference:seat", "window", at=T0 - DAY, source="told"),
            memory("r", "price", 120, at=T0 + 1, valid_until=T0 + 60),
            memory("r", "lesson:fly:unavailable", "fly failed for good", at=T0 + 5),
        )  # fmt: skip
        await ended(opened.journal, "s", memory("s", "departure_city", "Lima", thread="bob"))
        yield opened


def names(memories: Sequence[Memory]) -> list[str]:
    """What these are called."""
    return [one.name for one in memories]


# --- look, search, recall ---------------------------------------------------------------------------------------------


async def test_memories_are_listed_and_searched(app: Holdfast) -> None:
    """Of all threads or of one, by words."""
    assert len(await app.memories()) == 5
    assert names(await app.memories("bob")) == ["departure_city"]
    assert names(await app.memories("ann", limit=1)) == ["lesson:fly:unavailable"]
    assert names(await app.memories("ann", query="which CITY?")) == ["departure_city"]
    assert await app.memories("ann", tenant="acme") == []
    with pytest.raises(UsageError, match="no name for a thread"):
        await app.memories(query="city")


async def test_a_run_starts_with_what_it_asks_for_and_then_with_the_rest(app: Holdfast) -> None:
    """Preferences before facts before lessons, and behind all what has expired."""
    found = await app.recall("ann", "from which city shall we go?")
    assert names(found) == ["departure_city", "preference:seat", "lesson:fly:unavailable", "price"]
    assert names(await app.recall("ann", "why did fly fail", count=2)) == ["lesson:fly:unavailable", "preference:seat"]
    assert names(await app.recall("ann", "price")) == ["preference:seat", "departure_city", "lesson:fly:unavailable", "price"]
    assert await app.recall("cleo", "city") == []
    assert await app.recall("ann", "city", count=0) == []
    with pytest.raises(UsageError):
        await app.recall("", "city")


class Nearest:
    """Chooses by how many pairs of letters are the same, and tries to slip something in."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def recall(self, query: str, memories: Sequence[Memory], count: int) -> list[Memory]:
        self.asked.append((query, len(memories)))

        def near(one: Memory) -> int:
            return len({one.text[at : at + 2] for at in range(len(one.text))} & {query[at : at + 2] for at in range(len(query))})

        invented = memory("evil", "departure_city", "Atlantis")
        best = sorted(memories, key=near, reverse=True)
        return [invented, best[0], *best]


async def test_whoever_is_given_chooses_and_can_invent_nothing(app: Holdfast, tmp_path: Path) -> None:
    """By meaning in place of words; each once, and no more than asked for."""
    chooser = Nearest()
    async with Holdfast(tmp_path / "runs.db", recaller=chooser) as other:
        found = await other.recall("ann", "departing citizens", count=3)
    assert chooser.asked == [("departing citizens", 4)]
    assert (found[0].name, found[0].value, len(found)) == ("departure_city", "Oslo", 3)
    assert len({one.id for one in found}) == 3


# --- correct, forget --------------------------------------------------------------------------------------------------


async def test_a_correction_is_checked_and_kept(app: Holdfast) -> None:
    """By whom it is, and never a secret or what is too large."""
    (wrong,) = await app.memories("ann", query="departure")
    right = await app.correct_memory(wrong.id, {"name": "Bergen"}, by="ann")
    assert (right.value, right.source, right.corrected_by, right.confidence) == ({"name": "Bergen"}, "told", "ann", 1.0)
    assert [one.value for one in await app.memories("ann", query="bergen")] == [{"name": "Bergen"}]
    assert await app.memories("ann", query="oslo") == []
    for value, why in (
        ({"password": "x"}, "secret"), (float("nan"), "JSON"), ({1, 2}, "JSON"), ("x" * VALUE_BYTES_MAX, "too large"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            await app.correct_memory(wrong.id, value, by="ann")
    with pytest.raises(UsageError, match="nothing is remembered under m-x"):
        await app.correct_memory("m-x", 1)


async def test_forgetting_is_of_one_of_a_thread_or_of_a_tenant(app: Holdfast) -> None:
    """And says how many; what it is of must be said."""
    (one,) = await app.memories("ann", query="departure")
    assert await app.forget(one.id, by="ann") == 1
    assert "departure_city" not in names(await app.memories("ann"))
    left = [memory for memory in await app.memories("ann", history=True) if memory.id == one.id]
    assert [(memory.name, memory.value, memory.forgotten_by) for memory in left] == [("", None, "ann")]
    assert await app.forget(one.id) == 0
    assert await app.forget(thread="ann") == 3
    assert await app.forget(tenant="acme") == 0
    assert names(await app.memories()) == ["departure_city"]
    assert await app.forget(tenant="") == 1
    for wrong in ({}, {"thread": ""}, {"id": "m-x"}, {"id": one.id, "thread": "ann"}, {"id": one.id, "tenant": "acme"}):
        with pytest.raises(UsageError):
            await app.forget(**wrong)


# --- what a run recalls -----------------------------------------------------------------------------------------------

COMMAND = Recall(query="which city", count=3, tenant="", thread="ann")


async def test_a_run_is_told_of_memories_as_remembered_facts(app: Holdfast) -> None:
    """With age, source and id; what has expired is stale."""
    told = await recall(changed(COMMAND, count=9), app.journal, T0 + DAY)
    assert told.failure == ""
    facts = dict(zip(told.ids, told.facts, strict=True))
    by_name = {fact.name: fact for fact in told.facts}
    assert {fact.source for fact in told.facts} == {"remembered"}
    assert (by_name["departure_city"].value, by_name["departure_city"].confidence) == ("Oslo", 0.6)
    assert (by_name["departure_city"].by, by_name["departure_city"].at) == ("run r", T0)
    assert [fact.name for fact in told.facts if fact.stale] == ["price"]
    for memory_id, fact in facts.items():
        found = await app.journal.memory(memory_id)
        assert found is not None and found.name == fact.name


def changed(command: Recall, **changes: Any) -> Recall:
    """The same command, changed."""
    return msgspec.structs.replace(command, **changes)


class Broken(MemoryJournal):
    """A store that cannot be reached, or does not answer."""

    async def memories(self, *_: Any, **__: Any) -> Any:
        raise JournalUnavailable("the disk is gone")


class Silent(MemoryJournal):
    async def memories(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()


@pytest.mark.parametrize(("journal", "why"), [(Broken(), "the disk is gone"), (Silent(), "did not answer within 0.01 s")])
async def test_a_run_goes_on_without_a_memory_that_cannot_be_reached(journal: Journal, why: str) -> None:
    """And says so."""
    told = await recall(changed(COMMAND, timeout_seconds=0.01), journal, T0)
    assert (told.facts, told.ids) == ((), ())
    assert why in told.failure


async def test_words_are_gone_by_where_whoever_chooses_fails(app: Holdfast) -> None:
    """That it was so is told."""

    class Fails:
        async def recall(self, query: str, memories: Sequence[Memory], count: int) -> list[Memory]:
            raise RuntimeError("no vectors today")

    told = await recall(COMMAND, app.journal, T0, Fails())
    assert told.facts[0].name == "departure_city"
    assert told.failure == "it was searched by words: RuntimeError: no vectors today"


async def test_the_latest_of_very_many_are_looked_at() -> None:
    """What the words find is found however old it is."""
    journal = MemoryJournal()
    many = [memory("r", f"n{number}", number, at=T0 + number) for number in range(CANDIDATES_MAX + 50)]
    await ended(journal, "r", *many)
    told = await recall(changed(COMMAND, query="n0", count=2), journal, T0)
    assert [fact.name for fact in told.facts] == ["n0", f"n{CANDIDATES_MAX + 49}"]


# --- what was used ----------------------------------------------------------------------------------------------------


def test_what_was_recalled_is_shown_with_the_steps_that_rested_on_it() -> None:
    """By themselves, by a reference, or through what was inferred from it; and what became of it."""

    def remembered(name: str, value: Any) -> Fact:
        return Fact(name=name, value=value, source="remembered", by="run old", at=T0 - DAY)

    recalled = e.MemoryRecalled(
        facts=(remembered("city", "Oslo"), remembered("seat", "window"), remembered("budget", 100), remembered("unused", 1)),
        ids=("m-1", "m-2", "m-3", "m-4"),
    )
    inferred = Fact(name="airport", value="OSL", source="inferred", rests_on=("city",), at=T0)
    seen = Fact(name="budget", value=90, source="observed", at=T0)
    same = Fact(name="seat", value="window", source="told", at=T0)
    plan = Plan(
        steps=(
            Step(id="a", tool="look", rests_on=("airport",)),
            Step(id="b", tool="look", args={"seat": {"$ref": "facts.seat"}}),
            Step(id="c", tool="look", rests_on=("unused",)),
        ),
        final=False,
    )
    happened: tuple[e.AnyEvent, ...] = (
        e.RunStarted(run_id="r", agent="a", goal=Goal(), contracts=(), thread="ann"),
        e.RecallIntended(query="x", count=5), recalled, e.FactsLearned(facts=(inferred, seen, same)),
        e.ProposalRequested(turn=1), e.PlanAdopted(turn=1, plan=plan, revision=1),
        e.CallIntended(step="a", attempt=1, tool="look", key="k", args={}),
        e.CallIntended(step="b", attempt=1, tool="look", key="l", args={}),
    )  # fmt: skip
    entries = [e.Entry(number, T0, 1, event) for number, event in enumerate(happened, 1)]
    views = {view.name: view for view in recalled_views(entries, fold(entries))}
    assert {name: (view.memory, view.used_by, view.became) for name, view in views.items()} == {
        "city": ("m-1", ("a",), "believed"), "seat": ("m-2", ("b",), "confirmed"), "budget": ("m-3", (), "changed"),
        "unused": ("m-4", (), "believed"),
    }  # fmt: skip
    assert (views["city"].value, views["city"].by, views["city"].at) == ("Oslo", "run old", T0 - DAY)
    assert recalled_views(entries[:1], fold(entries[:1])) == []


async def test_a_memory_in_one_line_says_how_it_stands(app: Holdfast) -> None:
    """In force, expired, superseded or forgotten."""
    (city,) = await app.memories("ann", query="departure")
    right = await app.correct_memory(city.id, "Bergen", by="ann")
    (seat,) = await app.memories("ann", query="seat")
    await app.forget(seat.id)
    lines = {one.id: memory_line(one, T0 + DAY) for one in await app.memories("ann", history=True)}
    assert (lines[city.id].stands, lines[city.id].superseded_by) == ("superseded", right.id)
    assert (lines[right.id].stands, lines[right.id].corrected_by) == ("in force", "ann")
    assert (lines[seat.id].stands, lines[seat.id].name, lines[seat.id].value, lines[seat.id].source) == (
        "forgotten",
        "",
        None,
        "",
    )
    assert {line.stands for line in lines.values() if line.name == "price"} == {"expired"}
    assert lines[city.id].age_seconds == DAY
