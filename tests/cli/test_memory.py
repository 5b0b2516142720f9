"""`holdfast memory`: what is remembered between runs, corrected and forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.testing.journal_suite.memories import ended, memory
from tests.cli.kit import Cli

NEVER = 4_000_000_000.0


@pytest.fixture
def store(folder: Path) -> Path:
    """A store with two threads that remember something."""

    async def fill() -> None:
        async with Holdfast("holdfast.db") as app:
            await ended(
                app.journal, "r", memory("r", "departure_city", "Oslo", source="inferred", confidence=0.6, by="model"),
                memory("r", "preference:seat", {"side": "window"}, source="told", by="ann", valid_until=NEVER),
                memory("r", "price", 120, step="look", valid_until=1_700_000_001.0),
            )  # fmt: skip
            await ended(app.journal, "s", memory("s", "departure_city", "\x1b[31mLima", thread="bob"))

    asyncio.run(fill())
    return folder / "holdfast.db"


def id_of(cli: Cli, name: str, thread: str = "ann") -> str:
    """The id of what is remembered under a name."""
    return str(next(one["id"] for one in cli("memory", "list", "--thread", thread, "--json").records if one["name"] == name))


def test_what_is_remembered_is_listed(cli: Cli, store: Path) -> None:
    """As a table for people, and as records; foreign text steers no terminal."""
    ended = cli("memory", "list")
    assert ended.code == 0
    header, *lines = ended.out.splitlines()
    assert header.split() == ["id", "thread", "kind", "name", "value", "is", "source", "sure", "age", "until", "from", "by"]
    assert len(lines) == 4
    (guess,) = (line for line in lines if "Oslo" in line)
    assert "inferred" in guess and "60%" in guess and "in force" in guess and "ann" in guess
    (price,) = (line for line in lines if "price" in line)
    assert "expired" in price and "r look" in price
    assert "\x1b" not in ended.out and "Lima" in ended.out
    (bob,) = cli("memory", "list", "--thread", "bob", "--json").records
    assert (bob["name"], bob["value"], bob["thread"], bob["stands"], bob["run_id"]) == (
        "departure_city", "\x1b[31mLima", "bob", "in force", "s",
    )  # fmt: skip
    assert cli("memory", "list", "--tenant", "acme").err == "nothing is remembered in holdfast.db of tenant acme\n"
    assert "there is more than these 1; --limit 10 shows more" in cli("memory", "list", "--limit", "1").err


def test_a_thread_is_searched_by_words(cli: Cli, store: Path) -> None:
    """Whatever they look like to a machine."""
    assert [one["value"] for one in cli("memory", "search", "Departure CITY?", "--thread", "ann", "--json").records] == ["Oslo"]
    for words in ('"', "NEAR(", "a OR", "*", "--", "ünïcode"):
        ended = cli("memory", "search", "--thread", "ann", "--", words)
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == "nothing of that is remembered in thread ann\n"
    assert cli("memory", "search", "city").code == 2
    assert "no name for a thread" in cli("memory", "search", "city", "--thread", "").err


def test_a_wrong_memory_is_corrected(cli: Cli, store: Path) -> None:
    """With text or JSON; what it was stays to be seen, and who put it right."""
    wrong = id_of(cli, "departure_city")
    ended = cli("memory", "correct", wrong, "Bergen", "--by", "ann")
    assert (ended.code, ended.out.split("  ", 1)[1]) == (0, "departure_city = Bergen\n")
    assert "look further: holdfast memory list --thread ann --history" in ended.err
    (now,) = cli("memory", "search", "bergen", "--thread", "ann", "--json").records
    assert (now["value"], now["source"], now["corrected_by"]) == ("Bergen", "told", "ann")
    assert "corrected by ann" in cli("memory", "list", "--thread", "ann").out
    before = [one for one in cli("memory", "list", "--history", "--json").records if one["stands"] == "superseded"]
    assert [(one["id"], one["value"], one["superseded_by"]) for one in before] == [(wrong, "Oslo", now["id"])]
    (record,) = cli("memory", "correct", wrong, '{"name": "Bodø", "n": [1, null]}', "--json").records
    assert record["value"] == {"name": "Bodø", "n": [1, None]}
    (store.parent / "value.json").write_text('"Tromsø"')
    assert cli("memory", "correct", wrong, "@value.json", "--json").records[0]["value"] == "Tromsø"


def test_what_cannot_be_put_in_place_is_refused(cli: Cli, store: Path) -> None:
    """Secrets, what is not there, a file that is none."""
    wrong = id_of(cli, "departure_city")
    for words, why in (
        ((wrong, '{"password": "x"}'), "secrets are never remembered"), (("m-nothing", "x"), "nothing is remembered under m-nothing"),
        ((wrong, "@nothing.json"), "cannot be read"), ((wrong, "x" * 5000), "too large to be remembered"),
    ):  # fmt: skip
        ended = cli("memory", "correct", *words)
        assert (ended.code, ended.out) == (2, "")
        assert why in ended.err


def test_memories_are_forgotten(cli: Cli, store: Path) -> None:
    """One, a thread, or all; and it must be said which."""
    seat = id_of(cli, "preference:seat")
    assert cli("memory", "forget", seat, "--by", "ann").out == f"{seat}  1 memory forgotten\n"
    (gone,) = (one for one in cli("memory", "list", "--history", "--json").records if one["id"] == seat)
    assert (gone["stands"], gone["value"], gone["name"], gone["forgotten_by"]) == ("forgotten", None, "", "ann")
    assert seat in cli("memory", "list", "--history").out
    assert cli("memory", "forget", "--thread", "ann").out == "thread ann  2 memories forgotten\n"
    assert cli("memory", "forget", "--all", "--json").records == [{"forgotten": 1, "id": None, "thread": None, "tenant": ""}]
    assert cli("memory", "list").err == "nothing is remembered in holdfast.db\n"
    for words in (
        (),
        (seat, "--all"),
        ("--all", "--thread", "ann"),
        (seat, "--tenant", "acme"),
        ("m-nothing",),
        ("--thread", ""),
    ):
        ended = cli("memory", "forget", *words)
        assert (ended.code, ended.out) == (2, ""), words


def test_memory_alone_says_what_it_can_do(cli: Cli) -> None:
    """As the other groups do; a store that is not there is wrong."""
    ended = cli("memory")
    assert ended.code == 2
    assert "correct" in ended.err
    assert "there is no store" in cli("memory", "list").err


def test_a_run_belongs_to_a_thread(cli: Cli, folder: Path) -> None:
    """It is in its first event; what is no name is refused before it begins."""
    assert cli("run", "quick.yaml", "--id", "q", "--thread", "ann").code == 0

    async def thread() -> str:
        async with Holdfast("holdfast.db") as app:
            return (await app.state("q")).thread

    assert asyncio.run(thread()) == "ann"
    ended = cli("run", "quick.yaml", "--id", "other", "--thread", " ann")
    assert ended.code == 2
    assert "' ann' is no name for a thread" in ended.err
    assert cli("memory", "list").err == "nothing is remembered in holdfast.db\n", "a plan learns nothing"
