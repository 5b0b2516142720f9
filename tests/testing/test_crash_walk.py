"""Crash walks: every boundary, both sides, in this process and with real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent import Agent
from holdfast.errors import LoadError
from holdfast.testing.crash_walk import Site, Story, WalkFailed, crash_walk, crash_walk_simulated, table
from holdfast.testing.crash_walk.__main__ import main
from holdfast.testing.crash_walk.worker import load_factory
from holdfast.testing.world import World
from holdfast.tools.function import NOT_HAPPENED, Call, Happened, tool

PLAN: dict[str, Any] = {
    "seat": {"tool": "book", "args": {"item": "12A"}},
    "paid": {"tool": "pay", "args": {"item": {"$ref": "steps.seat.id"}}},
    "told": {"tool": "mail", "args": {"item": {"$ref": "steps.paid.id"}}},
}


def _story() -> Story:
    world = World()

    def answer(asked: Any) -> tuple[str, Any]:
        sent = world.effects(tool="mail")
        return ("respond", sent[0].receipt) if sent else ("approve", None)

    agent = Agent("traveller", tools=world.tools(), plan=PLAN)
    return Story(agent=agent, goal="away", ledger=lambda: [effect.tool for effect in world.ledger], answer=answer)


def test_a_right_agent_looks_the_same_after_every_walk() -> None:
    """Killed at each write, on either side of it, and started again: the world sees each effect once."""
    results = crash_walk_simulated(_story)
    assert [result.ledger for result in results] == [["book", "pay", "mail"]] * len(results)
    assert {result.statuses["walk"] for result in results} == {"completed"}
    walked = [result for result in results if result.killed]
    assert [(result.boundary, result.side) for result in walked] == [
        (boundary, side) for boundary in range(1, len(walked) // 2 + 1) for side in ("before", "after")
    ]
    assert {"create", "claim"} <= {result.what for result in walked}
    assert any("call_intended told" in result.what for result in walked)
    assert not results[-1].killed


def test_recovery_bears_a_crash_too() -> None:
    """The second start is killed as well, at each of its boundaries."""
    results = crash_walk_simulated(_story, twice=True)
    assert len(results) > 100
    assert all(result.ledger == ["book", "pay", "mail"] for result in results)


def test_a_wrong_agent_is_found() -> None:
    """A tool that says it is idempotent and is not does its effect twice in some walk."""

    def make() -> Story:
        world = World()

        @tool(safety="idempotent")
        async def book(item: str, call: Call) -> str:
            """Book, whatever was booked before."""
            await world.request("book", "irreversible", item, 1, call)
            return "booked"

        agent = Agent("careless", tools=[book], plan={"seat": {"tool": "book", "args": {"item": "12A"}}})
        return Story(agent=agent, goal="away", ledger=lambda: len(world.ledger))

    doubled = [result for result in crash_walk_simulated(make) if result.ledger != 1]
    assert [(result.side, result.what) for result in doubled] == [("before", "call_succeeded seat, run_completed, release")]


def test_a_walk_without_a_person_fails_where_one_is_asked() -> None:
    """It says what was asked."""
    world = World()
    agent = Agent("traveller", tools=world.tools(), plan={"told": {"tool": "mail", "args": {"item": "x"}}})
    with pytest.raises(WalkFailed, match="may mail be called"):
        crash_walk_simulated(lambda: Story(agent=agent, goal="away"))


# --- real processes -----------------------------------------------------------------------------------------------


def story(config: str) -> Story:
    """A small agent whose world is a file; child processes make it from the file's name."""
    book = Path(config)

    def seen(item: str, call: Call) -> Any:
        found = [line for line in _lines(book) if line["key"] == call.key]
        return Happened(found[0]["id"]) if found else NOT_HAPPENED

    @tool(safety="reconcilable", probe=seen)
    def reserve(item: str, call: Call) -> str:
        """Write a line."""
        return _write(book, "reserve", call)

    @tool
    def announce(item: str, call: Call) -> str:
        """Write another."""
        return _write(book, "announce", call)

    plan = {
        "seat": {"tool": "reserve", "args": {"item": "12A"}},
        "told": {"tool": "announce", "args": {"item": {"$ref": "steps.seat"}}},
    }
    return Story(agent=Agent("clerk", tools=[reserve, announce], plan=plan), goal="away", run_id="real")


def _lines(book: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []


def _write(book: Path, what: str, call: Call) -> str:
    with book.open("a") as file:
        file.write(json.dumps({"what": what, "id": f"{what}-1", "key": call.key}) + "\n")
    return f"{what}-1"


@pytest.fixture
def world(tmp_path: Path) -> Any:
    count = iter(range(1000))

    @contextmanager
    def world() -> Iterator[Site]:
        book = tmp_path / f"book-{next(count)}"

        def answer(asked: Any) -> tuple[str, Any]:
            told = [line for line in _lines(book) if line["what"] == "announce"]
            return ("respond", told[0]["id"]) if told else ("approve", None)

        yield Site(config=str(book), ledger=lambda: [line["what"] for line in _lines(book)], answer=answer)

    return world


@pytest.mark.slow
def test_real_processes_that_kill_themselves_walk_the_same_way(world: Any, tmp_path: Path) -> None:
    """SIGKILL at every boundary; what the file has at the end is what it should have."""
    told: list[str] = []
    results = crash_walk(
        f"{__name__}:story", world, folder=tmp_path, environment={"PYTHONPATH": _path()}, progress=lambda r: told.append(r.what)
    )
    assert [result.ledger for result in results] == [["reserve", "announce"]] * len(results)
    assert {result.statuses["real"] for result in results} == {"completed"}
    assert len(results) >= 13
    assert len(told) == len(results)
    assert "call_succeeded seat" in table(results)


@pytest.mark.slow
def test_a_worker_that_ends_otherwise_than_killed_fails_the_walk(world: Any) -> None:
    """With what it said."""
    with pytest.raises(WalkFailed, match="cannot be imported"):
        crash_walk(f"{__name__}:nothing", world, boundaries=[1], environment={"PYTHONPATH": _path()})


def test_a_factory_is_named_by_module_and_function(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is an error of whoever gave it."""
    assert load_factory(f"{__name__}:story").__name__ == "story"
    with pytest.raises(LoadError, match="module:function"):
        load_factory("nowhere:at_all")
    assert main(["child", "nowhere:at_all"]) == 2
    assert "cannot be imported" in capsys.readouterr().err


def _path() -> str:
    """Where child processes find this test and the package."""
    here = Path(__file__).resolve()
    return f"{here.parents[2]}:{here.parents[2] / 'src'}"
