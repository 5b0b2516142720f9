"""`holdfast run --each`: a run for each row of a table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.cli.kit import Cli, Process

World = Callable[[], list[str]]
EACH = ("--each", "hires.csv", "--as", "hire", "--id", "hire-{user}")


def write(folder: Path, *rows: str) -> None:
    """The table of hires."""
    (folder / "hires.csv").write_text("\n".join(("user,name,desk", *rows)) + "\n")


def test_each_row_becomes_a_run_with_the_row_as_its_input(cli: Cli, folder: Path, world: World) -> None:
    """Values are text, whatever they look like; the table at the end has them in the order of the rows."""
    write(folder, "ann,Ann,7", "bob,Bob,007")
    ended = cli("run", "hire.yaml", *EACH)
    assert ended.code == 0, ended
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["id", "status"],
        ["hire-ann", "completed"],
        ["hire-bob", "completed"],
    ]
    assert cli("show", "hire-bob", "--json").records[0]["run"]["inputs"] == {
        "hire": {"user": "bob", "name": "Bob", "desk": "007"}
    }
    assert sorted(line.split()[1] for line in world()) == ["ann", "bob"]


def test_rows_share_the_inputs_that_are_given_beside_them(cli: Cli, folder: Path) -> None:
    """Those are typed as always."""
    (folder / "plan.yaml").write_text("tools: tools.py\nsteps: {a: {tool: look, args: {name: {$ref: inputs.row.user}}}}\n")
    write(folder, "ann,Ann,7")
    assert cli("run", "plan.yaml", "--each", "hires.csv", "--id", "{user}", "--input", "n=5").code == 0
    (shown,) = cli("show", "ann", "--json").records
    assert shown["run"]["inputs"] == {"n": 5, "row": {"user": "ann", "name": "Ann", "desk": "7"}}


def test_the_same_command_again_goes_on_with_the_same_runs(cli: Cli, folder: Path, world: World) -> None:
    """And starts those whose rows are new."""
    write(folder, "ann,Ann,7")
    assert cli("run", "hire.yaml", *EACH).code == 0
    write(folder, "ann,Ann,7", "bob,Bob,8")
    assert cli("run", "hire.yaml", *EACH).code == 0
    assert len(world()) == 2


def test_a_row_that_changed_under_its_id_is_found_before_anything_starts(cli: Cli, folder: Path, world: World) -> None:
    """Its line is named; the new row beside it is not started."""
    write(folder, "ann,Ann,7")
    assert cli("run", "hire.yaml", *EACH).code == 0
    write(folder, "bob,Bob,8", "ann,Anne,7")
    ended = cli("run", "hire.yaml", *EACH)
    assert ended.code == 2
    assert "hires.csv line 3: run hire-ann: the id belongs to a run with another goal or other inputs" in ended.err
    assert ended.err.strip().endswith("nothing was started")
    assert len(world()) == 1


def test_the_exit_code_is_the_worst_of_the_runs(cli: Cli, folder: Path) -> None:
    """A failed one counts more than one that waits for a person, that more than one that waits."""
    (folder / "mixed.yaml").write_text(
        "tools: tools.py\nsteps:\n"
        "  one: {tool: refuse, on_failure: ask}\n"
        "  two: {tool: later, after: [one]}\n"
    )  # fmt: skip
    write(folder, "ann,Ann,7")
    each = ("--each", "hires.csv", "--patience", "0s")
    assert cli("run", "later.yaml", *each, "--id", "later-{user}").code == 4
    ended = cli("run", "mixed.yaml", *each, "--id", "mixed-{user}")
    assert ended.code == 3
    assert "mixed-ann asks a person: holdfast show mixed-ann" in ended.err
    assert cli("run", "fails.yaml", *each, "--id", "fails-{user}").code == 1


def test_json_gives_a_line_for_each_run(cli: Cli, folder: Path) -> None:
    """As it comes to rest."""
    write(folder, "ann,Ann,7", "bob,Bob,8", "cy,Cy,9")
    records = cli("run", "hire.yaml", *EACH, "--json", "--parallel", "1").records
    assert sorted(record["run_id"] for record in records) == ["hire-ann", "hire-bob", "hire-cy"]


def test_one_damaged_run_does_not_keep_the_others_from_going_on(cli: Cli, folder: Path) -> None:
    """It is named, the exit code is 5, the others are completed."""
    write(folder, "ann,Ann,7", "bob,Bob,8")
    (folder / "hire.yaml").write_text(
        (folder / "hire.yaml").read_text() + "  money: {tool: pay, args: {to: x}, after: [access]}\n"
    )
    assert cli("run", "hire.yaml", *EACH).code == 3
    for user in ("ann", "bob"):
        assert cli("answer", f"hire-{user}", "approve").code == 0
    with sqlite3.connect("holdfast.db") as store:
        store.execute("update batches set body = cast(body || ' ' as blob) where run = 1 and first = 2")
    ended = cli("run", "hire.yaml", *EACH)
    assert ended.code == 5
    assert "entry 2 is not what was written" in ended.err
    assert sum("completed" in line for line in ended.out.splitlines()) == 1


def test_killed_in_the_middle_all_rows_go_on_by_the_same_command(
    process: Callable[..., Process], folder: Path, world: World
) -> None:
    """SIGKILL while both are in a call: nothing lost, nothing done twice."""
    (folder / "slow.yaml").write_text("tools: tools.py\nsteps: {a: {tool: slow, args: {name: {$ref: inputs.row.user}}}}\n")
    write(folder, "ann,Ann,7", "bob,Bob,8")
    words = ("run", "slow.yaml", "--each", "hires.csv", "--id", "{user}", "--lease", "1", "--json")
    process(*words).until(lambda: len(world()) == 2).send("SIGKILL").end()
    (folder / "go").touch()
    ended = process(*words).end()
    assert ended.code == 0, ended
    assert sorted(json.loads(line)["status"] for line in ended.out.splitlines()) == ["completed", "completed"]
    assert sorted(line for line in world() if line.startswith("slow")) == ["slow ann", "slow bob"]
