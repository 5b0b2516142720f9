"""`holdfast work`: advancing what is due."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from holdfast import Holdfast, loading
from tests.cli.kit import Cli, Process

World = Callable[[], list[str]]


def test_until_idle_advances_what_is_due_and_ends(cli: Cli, world: World) -> None:
    """Of all agents named; how each run was left is told, and the exit code is 0 whatever came of them."""
    cli("run", "pay.yaml", "--id", "p")
    cli("run", "asks.yaml", "--id", "a")
    cli("answer", "p", "approve")
    cli("cancel", "a")
    ended = cli("work", "pay.yaml", "asks.yaml", "--until-idle")
    assert (ended.code, ended.out) == (0, "")
    assert "p  completed" in ended.err and "a  cancelled" in ended.err
    assert world() == ["pay ann 2.5"]


def test_runs_of_other_agents_are_left_alone(cli: Cli) -> None:
    """They stay due and say so."""
    cli("run", "pay.yaml", "--id", "p")
    cli("answer", "p", "approve")
    assert cli("work", "quick.yaml", "--until-idle").code == 0
    (record,) = cli("runs", "--json").records
    assert record["note"] == "due, but no live worker has the agent pay"


def test_all_agents_of_a_file_are_loaded_and_json_tells_each_run(cli: Cli, folder: Path) -> None:
    """A file with several agents needs no choice here."""
    (folder / "both.py").write_text(
        "from holdfast import Agent, Finish\n"
        "one = Agent('one', reasoner=lambda b: Finish(1))\ntwo = Agent('two', reasoner=lambda b: Finish(2))\n"
    )

    async def start() -> None:
        async with Holdfast("holdfast.db") as app:
            for agent in loading.agents_of("both.py"):
                await app.start(agent, id=f"of-{agent.name}")

    asyncio.run(start())
    records = cli("work", "both.py", "--until-idle", "--json").records
    assert sorted((record["run_id"], record["status"]) for record in records) == [
        ("of-one", "completed"),
        ("of-two", "completed"),
    ]


def test_a_worker_takes_what_comes_and_sigterm_ends_it_with_zero(
    process: Callable[..., Process], cli: Cli, folder: Path, world: World
) -> None:
    """The effect at hand is finished and recorded, the run given back, and the worker is no longer counted on."""
    for name in ("p", "q"):
        cli("run", "pay.yaml", "--id", name)
    worker = process("work", "pay.yaml", "slow.yaml")
    worker.until(
        lambda: "works for pay, slow in holdfast.db" in worker.said and not cli("show", "p", "--json").records[0]["run"]["note"]
    )
    assert cli("answer", "p", "approve").err.startswith("a worker takes it from here: holdfast watch p")
    worker.until(lambda: "p  completed" in worker.said)
    assert world() == ["pay ann 2.5"]
    worker.send("SIGTERM")
    assert worker.end().code == 0
    assert cli("answer", "q", "approve").err.startswith("no live worker has the agent pay")


def test_a_damaged_run_with_an_answer_waiting_does_not_keep_a_worker_busy(cli: Cli) -> None:
    """It is tried once and set aside, and the others go on."""
    for name in ("p", "q"):
        cli("run", "pay.yaml", "--id", name)
        cli("answer", name, "approve")
    with sqlite3.connect("holdfast.db") as store:
        store.execute("update batches set body = cast(body || ' ' as blob) where run = 1 and first = 2")
    ended = cli("work", "pay.yaml", "--until-idle")
    assert ended.code == 0
    assert ended.err.count("holdfast: run p: entry 2 is not what was written") == 1
    shown = {record["run_id"]: record for record in cli("runs", "--json").records}
    assert shown["q"]["status"] == "completed"
    assert "entry 2 is not what was written" in shown["p"]["waits_for"]


def test_two_workers_share_a_store_and_do_nothing_twice(process: Callable[..., Process], cli: Cli, world: World) -> None:
    """Each run is advanced by one of them."""
    for number in range(12):
        cli("run", "pay.yaml", "--id", f"p{number}")
        cli("answer", f"p{number}", "approve")
    workers = [process("work", "pay.yaml", "--until-idle", "--json") for _ in range(2)]
    ended = [worker.end() for worker in workers]
    assert [one.code for one in ended] == [0, 0]
    told = [json.loads(line)["run_id"] for one in ended for line in one.out.splitlines()]
    assert sorted(told) == sorted(f"p{number}" for number in range(12))
    assert len(world()) == 12
