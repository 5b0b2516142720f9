"""`holdfast run`: starting, going on, stopping, and what is said about it."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.kit import Cli, Process

World = Callable[[], list[str]]


def test_a_run_tells_what_happens_on_stderr_and_its_result_on_stdout(cli: Cli) -> None:
    """A line for each step's start and outcome, then the result, then how to look further."""
    ended = cli("run", "grant.yaml", "--id", "g", "--input", "name=ann")
    assert ended.code == 0
    assert ended.out == 'g  completed: {"who":{"name":"ann"},"access":"granted ann"}\n'
    told = [line.strip() for line in ended.err.splitlines()]
    assert told[0] == "started, agent grant"
    assert told.index("access: calls grant") < next(at for at, line in enumerate(told) if line.startswith("access: done in"))
    assert told[-1] == "look further: holdfast show g"


def test_a_run_without_an_id_is_given_one_and_says_it(cli: Cli) -> None:
    """Two of them are two runs."""
    first, second = cli("run", "quick.yaml").out.split()[0], cli("run", "quick.yaml").out.split()[0]
    assert first != second
    assert re.fullmatch(r"quick-[0-9a-f]{8}", first)


def test_the_same_command_again_does_nothing_twice(cli: Cli, world: World) -> None:
    """One verb starts and continues; a run that has ended tells its result again."""
    words = ("run", "grant.yaml", "--id", "g", "--input", "name=ann")
    first, second = cli(*words), cli(*words)
    assert (first.code, second.code) == (0, 0)
    assert first.out == second.out
    assert len(world()) == 1
    assert "calls" not in second.err


def test_a_question_ends_the_command_with_all_that_an_answer_needs(cli: Cli, world: World) -> None:
    """The question, the typed arguments, the options with their meaning, the deadline, commands to paste; exit code 3."""
    ended = cli("run", "pay.yaml", "--id", "p", "--db", "my runs.db")
    assert ended.code == 3
    assert world() == []
    for part in (
        "p  needs a person",
        "approval: may pay be called?",
        'to     = "ann"',
        "amount = 2.5",
        "in 7d",
        "holdfast answer p approve --db 'my runs.db'",
        "make this call, as shown",
        "holdfast answer p reject \"WHY\" --db 'my runs.db'",
        "cancel the whole run",
    ):
        assert part in ended.out, part
    assert "after the answer: holdfast run pay.yaml --id p --db 'my runs.db'" in ended.err


def test_json_gives_one_object_and_no_advice_on_stdout(cli: Cli) -> None:
    """With the questions in it."""
    (record,) = cli("run", "pay.yaml", "--id", "p", "--json").records
    assert record["run_id"] == "p" and record["status"] == "blocked" and record["waiting"] == ["money"]
    (question,) = record["questions"]
    assert question["args"] == {"to": "ann", "amount": 2.5}
    assert [choice["decision"] for choice in question["choices"]] == ["approve", "edit", "reject", "cancel"]


def test_quiet_says_nothing_while_it_goes_on(cli: Cli) -> None:
    """The result is told all the same."""
    ended = cli("run", "quick.yaml", "--id", "q", "--quiet")
    assert ended.out.startswith("q  completed")
    assert ended.err == "look further: holdfast show q\n"


def test_a_run_that_failed_says_why_and_exits_with_one(cli: Cli) -> None:
    """The reason stands in the result line, the step among those not done."""
    ended = cli("run", "fails.yaml", "--id", "f")
    assert ended.code == 1
    assert ended.out.splitlines()[0] == "f  failed: step bad: conflict: sold out"
    assert "not done: bad" in ended.out


def test_patience_ends_the_command_where_a_run_is_to_wait_longer(cli: Cli) -> None:
    """At once, for the wait is known; exit code 4, and how to go on."""
    before = time.monotonic()
    ended = cli("run", "later.yaml", "--id", "l", "--patience", "20s")
    assert ended.code == 4
    assert time.monotonic() - before < 10
    assert ended.out.startswith("l  waits")
    assert re.search(r"it waits until 20\d\d-.*Z; go on with: holdfast run later.yaml --id l", ended.err)


def test_the_store_is_named_by_the_environment_too(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not repeated in commands to paste then."""
    monkeypatch.setenv("HOLDFAST_DB", "other.db")
    ended = cli("run", "pay.yaml", "--id", "p")
    assert (folder / "other.db").exists() and not (folder / "holdfast.db").exists()
    assert "--db" not in ended.out + ended.err


def test_who_it_is_for_and_how_urgent_is_kept(cli: Cli) -> None:
    """Tenant, priority, labels."""
    words = ("--tenant", "acme", "--priority", "3", "--label", "team=sales", "--label", "why=a=b")
    assert cli("run", "quick.yaml", "--id", "q", *words).code == 0
    (record,) = cli("runs", "--json").records
    assert (record["tenant"], record["priority"], record["labels"]) == ("acme", 3, {"team": "sales", "why": "a=b"})


def test_another_goal_under_the_same_id_is_refused(cli: Cli) -> None:
    """So are other inputs, and another agent."""
    assert cli("run", "grant.yaml", "--id", "g", "--input", "name=ann").code == 0
    for words in (("grant.yaml", "--input", "name=bob"), ("grant.yaml", "another goal"), ("quick.yaml",)):
        ended = cli("run", *words, "--id", "g")
        assert ended.code == 2
        assert ended.err.startswith("holdfast: run g: the id belongs to a run ")
    assert cli("run", "grant.yaml", "--id", "g").code == 0


def test_an_id_without_a_file_says_which_file_is_missing(cli: Cli) -> None:
    """Whose run it is, and the command to paste."""
    cli("run", "pay.yaml", "--id", "p")
    ended = cli("run", "--id", "p")
    assert ended.code == 2
    assert "run p belongs to the agent pay" in ended.err and "holdfast run FILE --id p" in ended.err


def test_a_damaged_run_cannot_go_on_and_the_exit_code_is_five(cli: Cli) -> None:
    """What is wrong, in one line."""
    cli("run", "pay.yaml", "--id", "p")
    with sqlite3.connect("holdfast.db") as store:
        store.execute("update batches set body = cast(replace(body, 'turn', 'tern') as blob) where first = 2")
    ended = cli("run", "pay.yaml", "--id", "p")
    assert ended.code == 5
    assert ended.err.splitlines()[-1].startswith("holdfast: run p: entry 2 is not what was written")


@pytest.mark.parametrize("each", [(), ("--each", "rows.csv", "--id", "s-{n}")])
def test_a_store_that_takes_no_writes_ends_the_command_with_five(
    process: Callable[..., Process], folder: Path, world: World, each: tuple[str, ...]
) -> None:
    """The disk is full in the middle: what happened is told in one line, and the runs are whole for another day."""
    (folder / "rows.csv").write_text("n\n1\n2\n")
    (folder / "full.py").write_text(
        "import resource, signal\nfrom pathlib import Path\nfrom holdfast import Agent, tool\n"
        "@tool(safety='idempotent')\nasync def fill() -> str:\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "    return 'x' * 100\n"
        "agent = Agent('full', tools=[fill], plan={'a': {'tool': 'fill'}}, goal='fill it')\n"
    )
    ended = process("run", "full.py", "--lease", "300", *(each or ("--id", "s-1"))).end()
    assert ended.code == 5, ended
    assert re.search(r"^holdfast: holdfast\.db: (the disk is full|reading or writing the file failed)", ended.err, re.MULTILINE)
    assert "Traceback" not in ended.err
    assert process("verify", "s-1").end().code == 0


# --- as a process -------------------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_by_the_same_command_and_nothing_is_done_twice(
    process: Callable[..., Process], cli: Cli, folder: Path, world: World
) -> None:
    """SIGKILL in the middle of an effect; `show` calls it unknown until somebody takes the run on."""
    words = ("run", "slow.yaml", "--id", "s", "--lease", "1")
    process(*words).until(lambda: "began one" in world()).send("SIGKILL").end()
    assert cli("runs", "--json").records[0]["status"] == "running"
    (folder / "go").touch()
    again = process(*words).end()
    assert again.code == 0, again
    assert "it is taken over if nothing is heard from that worker until" in again.err
    assert "a: the other side drops repeats of this key; it is sent again under the same key [keyed-alive]" in again.err
    assert again.out == 's  completed: {"a":"one","b":{"name":"x"}}\n'
    assert world() == ["began one", "began one", "slow one"]
    (shown,) = cli("show", "s", "--json").records
    assert [row["row"] for row in shown["steps"][0]["recovery"]] == ["keyed-alive"]


def test_a_lost_call_is_unknown_as_soon_as_its_worker_is_dead(process: Callable[..., Process], cli: Cli, world: World) -> None:
    """Nobody has written that down yet, and it is shown all the same, with who could go on."""
    one = process("run", "slow.yaml", "--id", "s", "--lease", "1").until(lambda: "began one" in world())
    (alive,) = cli("show", "s", "--json").records
    assert (alive["run"]["live"], alive["run"]["waiting"], alive["run"]["unknown"]) == (True, ["a"], [])
    one.send("SIGKILL").end()
    dead = one
    while (dead_tree := cli("show", "s", "--json").records[0])["run"]["live"]:
        assert dead.popen.poll() is not None
    assert (dead_tree["run"]["waiting"], dead_tree["run"]["unknown"]) == ([], ["a"])
    assert dead_tree["run"]["note"] == "due, but no live worker has the agent slow"
    assert dead_tree["steps"][0]["phase"] == "unknown"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 4), ("SIGINT", 130)])
def test_a_signal_finishes_the_effect_at_hand_and_gives_the_run_back(
    process: Callable[..., Process], cli: Cli, folder: Path, world: World, name: str, code: int
) -> None:
    """The effect is recorded, the next one has not begun, and the lease is over at once."""
    one = process("run", "slow.yaml", "--id", "s").until(lambda: "began one" in world()).send(name)
    one.until(lambda: "stopping when the effect at hand has ended" in one.said)
    (folder / "go").touch()
    ended = one.end()
    assert ended.code == code, ended
    (shown,) = cli("show", "s", "--json").records
    assert (shown["run"]["done"], shown["run"]["not_done"], shown["run"]["live"]) == (["a"], ["b"], False)
    assert "run_resumed" not in cli("show", "s", "--events").out
    assert cli("run", "slow.yaml", "--id", "s").code == 0
    assert world() == ["began one", "slow one"]


def test_a_second_interrupt_leaves_at_once(process: Callable[..., Process], world: World) -> None:
    """As a crash would; the call that hangs is not waited for."""
    one = process("run", "slow.yaml", "--id", "s").until(lambda: "began one" in world()).send("SIGINT")
    ended = one.until(lambda: "stopping when" in one.said).send("SIGINT").end()
    assert ended.code == 130
    assert "left at once" in ended.err


def test_the_result_of_a_process_is_json_that_a_script_can_read(process: Callable[..., Process]) -> None:
    """stdout has the record and nothing else."""
    ended = process("run", "quick.yaml", "--id", "q", "--json").end()
    assert ended.code == 0
    assert json.loads(ended.out)["result"] == {"a": {"name": "ann"}}
