"""`export` and `import`: a run leaves a store, is checked anywhere, and is looked at in another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.archive import read_archive
from tests.cli import shop
from tests.cli.kit import Cli


@pytest.fixture
def two(cli: Cli) -> None:
    """A store with a run that completed and one that asks."""
    assert cli("run", "grant.yaml", "--id", "g-1", "--input", "name=ann", "-q").code == 0
    assert cli("run", "pay.yaml", "--id", "p-1", "-q").code == 3


def head_of(cli: Cli, run_id: str) -> str:
    """As `verify` says it."""
    return str(cli("verify", run_id, "--json").records[0]["link"])


@pytest.mark.usefixtures("two")
def test_a_run_leaves_a_store_and_is_looked_at_in_another(cli: Cli) -> None:
    """The heads are those that `verify` says; what is shown is the same, and the run stays where it is."""
    ended = cli("export", "g-1", "p-1", "--out", "x.jsonl")
    assert (ended.code, ended.out.splitlines()) == (
        0,
        [
            f"g-1  completed, 8 entries; its chain ends in {head_of(cli, 'g-1')}",
            f"p-1  blocked, 4 entries; its chain ends in {head_of(cli, 'p-1')}",
        ],
    )
    assert "check it anywhere: holdfast import x.jsonl --check" in ended.err
    taken = cli("import", "x.jsonl", "--db", "b.db")
    assert taken.code == 0
    assert taken.out.startswith(f"g-1  imported: completed, 8 entries; its chain ends in {head_of(cli, 'g-1')}\n")
    assert "look at them: holdfast show g-1 --db b.db" in taken.err
    assert cli("show", "g-1", "--db", "b.db").out == cli("show", "g-1").out
    assert cli("import", "x.jsonl", "--db", "b.db").out.startswith("g-1  is here already, the very same")
    assert cli("answer", "p-1", "approve", "--db", "b.db").code == 2


@pytest.mark.usefixtures("two")
def test_what_is_in_a_file_is_said_without_a_store_and_held_against_one(cli: Cli, folder: Path) -> None:
    """Without a store the heads are to be compared by whoever noted them."""
    cli("export", "--all", "--out", "x.jsonl")
    alone = cli("import", "x.jsonl", "--check", "--db", "none.db")
    assert (alone.code, (folder / "none.db").exists()) == (0, False)
    assert alone.out.splitlines()[:2] == [
        "g-1  whole: completed, agent grant, 8 entries",
        f"  its chain ends in {head_of(cli, 'g-1')}; compare that with what was noted elsewhere",
    ]
    assert "  holdfast.db: it is the store's own, entry by entry\n" in cli("import", "x.jsonl", "--check").out
    (first, _) = cli("import", "x.jsonl", "--check", "--json").records
    assert (first["run_id"], first["whole"], first["store"]["verdict"]) == ("g-1", True, "same")


@pytest.mark.usefixtures("two")
def test_a_file_that_was_meddled_with_is_refused_with_its_line(cli: Cli, folder: Path) -> None:
    """Exit code 5, and nothing of it is taken in."""
    cli("export", "g-1", "--out", "x.jsonl")
    path = folder / "x.jsonl"
    path.write_bytes(path.read_bytes().replace(b"granted ann", b"granted bob"))
    for words in (("--check",), ("--db", "b.db")):
        ended = cli("import", "x.jsonl", *words)
        assert (ended.code, ended.out) == (5, "")
        assert "holdfast: line 8: run g-1: entry 7 is not what was written\n" in ended.err
    assert not (folder / "b.db").exists()


@pytest.mark.usefixtures("two")
def test_a_head_that_was_noted_finds_a_file_that_was_made_anew(cli: Cli) -> None:
    """As many digits as `verify` prints are enough; fewer are not taken."""
    cli("export", "g-1", "p-1", "--out", "x.jsonl")
    head = head_of(cli, "g-1")
    assert cli("import", "x.jsonl", "--check", "--head", f"g-1={head[:16]}").code == 0
    other = cli("import", "x.jsonl", "--check", "--head", f"p-1={head}")
    assert (other.code, other.out) == (5, "")
    assert f"its chain ends in {head_of(cli, 'p-1')}, not in {head}" in other.err
    for word, said in (
        (head, "is of no run: the file has 2"),
        (f"x={head}", "the file has no run x"),
        ("g-1=ab", "is too short"),
    ):
        wrong = cli("import", "x.jsonl", "--check", "--head", word)
        assert (wrong.code, said in wrong.err) == (2, True), wrong


@pytest.mark.usefixtures("two")
def test_another_run_of_that_id_is_refused_with_both_heads(cli: Cli) -> None:
    """It is not the file that is wrong: it belongs into another store."""
    cli("export", "g-1", "--out", "x.jsonl")
    cli("run", "grant.yaml", "--id", "g-1", "--input", "name=bob", "-q", "--db", "b.db")
    ended = cli("import", "x.jsonl", "--db", "b.db")
    assert (ended.code, ended.out) == (2, "")
    assert head_of(cli, "g-1") in ended.err
    assert "look at it in a store of its own: --db FILE" in ended.err


def test_a_file_goes_through_a_pipe(cli: Cli) -> None:
    """Out of one store and into another, with no file in between."""
    cli("run", "grant.yaml", "--id", "g-1", "--input", "name=ann", "-q")
    piped = cli("export", "g-1")
    assert piped.out == cli("export", "g-1", "--out", "-").out
    taken = cli("import", "-", "--db", "b.db", "--json", stdin=piped.out.encode())
    assert (taken.code, taken.records[0]["imported"], taken.records[0]["run_id"]) == (0, True, "g-1")


def test_a_copy_without_values_has_none_and_says_so(cli: Cli, folder: Path) -> None:
    """In the file, when it is taken in, and in what is shown of it."""
    shop.opened(folder)
    shop.advance(cli, 1)
    ended = cli("export", "r-1", "--redact-values", "--by", "ann", "--out", "x.jsonl")
    assert "r-1  blocked, 6 entries, without all values, by ann; its chain ends in" in ended.out, ended
    archive = (folder / "x.jsonl").read_bytes()
    assert b"812.5" not in archive
    assert b"o-1" not in archive
    taken = cli("import", "x.jsonl", "--db", "b.db")
    assert "  without all values, by ann: it can be shown, but not replayed or forked\n" in taken.out
    shown = cli("show", "r-1", "--db", "b.db")
    assert shown.code == 0
    assert 'refund(order={"$redacted"' in shown.out
    assert "it is the store's own" in cli("import", "x.jsonl", "--check").out


def test_a_name_that_is_left_out_and_still_stands_in_a_name_is_told(cli: Cli, folder: Path) -> None:
    """What stays is said, so that nobody believes it gone."""
    cli("run", "grant.yaml", "--id", "for-annabel", "--input", "name=annabel", "-q")
    ended = cli("export", "for-annabel", "--redact", "name", "--out", "x.jsonl")
    assert "something that was left out of it stands in names too, and these stay (entries 1)" in ended.err
    lines = (folder / "x.jsonl").read_bytes().splitlines()
    assert [number for number, line in enumerate(lines) if b"annabel" in line.replace(b'"for-annabel"', b"")] == []


def test_all_runs_of_a_time_are_written_and_none_is_no_mistake(cli: Cli, folder: Path) -> None:
    """The first created first."""
    cli("run", "grant.yaml", "--id", "g-2", "--input", "name=ann", "-q")
    cli("run", "grant.yaml", "--id", "g-1", "--input", "name=ann", "-q")
    told = cli("export", "--all", "--since", "1h", "--out", "x.jsonl", "--json").records
    assert [run["run_id"] for run in told[0]["runs"]] == ["g-2", "g-1"]
    assert (told[0]["file"], told[0]["bytes"]) == ("x.jsonl", (folder / "x.jsonl").stat().st_size)
    assert [run.run_id for run in read_archive(folder / "x.jsonl")] == ["g-2", "g-1"]
    none = cli("export", "--all", "--since", "0s", "--out", "y.jsonl")
    assert (none.code, none.out, (folder / "y.jsonl").exists()) == (0, "", False)
    assert "no run of holdfast.db changed since 0s; nothing was written" in none.err


FAMILY = '''
from holdfast import Agent, tool

@tool(safety="read")
def look() -> str:
    """Look."""
    return "seen"

child = Agent("child", goal="look", tools=[look], plan={"a": {"tool": "look"}})
parent = Agent("parent", goal="have looked", agents=[child], plan={"one": {"tool": "child"}})
'''


def test_a_run_is_written_with_those_that_it_started(cli: Cli, folder: Path) -> None:
    """And taken in with them; without --children it is alone."""
    (folder / "family.py").write_text(FAMILY)
    assert cli("run", "family.py:parent", "--id", "f", "-q").code == 0
    cli("export", "f", "--children", "--out", "x.jsonl")
    assert [run.run_id for run in read_archive(folder / "x.jsonl")] == ["f", "f.one"]
    assert [run["imported"] for run in cli("import", "x.jsonl", "--db", "b.db", "--json").records] == [True, True]
    assert cli("show", "f", "--db", "b.db").out == cli("show", "f").out
    cli("export", "f", "--out", "x.jsonl")
    assert [run.run_id for run in read_archive(folder / "x.jsonl")] == ["f"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export",), "name the runs to export, or --all"),
        (("export", "a", "--all"), "name the runs to export, or --all"),
        (("export", "a", "--since", "1d"), "--since goes with --all"),
        (("export", "a", "--json"), "--json says what was written to a file"),
        (("export", "a", "--out", "."), "it is a directory"),
        (("export", "a", "--out", "no/x.jsonl"), "there is no folder no"),
        (("export", "a", "--redact", ""), "--redact names nothing"),
        (("import", "none.jsonl", "--check"), "none.jsonl cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_wrong_use(cli: Cli, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, one line, and nothing on stdout."""
    cli("run", "quick.yaml", "--id", "a", "-q")
    ended = cli(*words)
    assert (ended.code, ended.out) == (2, ""), ended
    assert said in ended.err


def test_a_run_that_is_not_there_is_wrong_use(cli: Cli, folder: Path) -> None:
    """And no file is made."""
    cli("run", "quick.yaml", "--id", "a", "-q")
    assert cli("export", "none", "--out", "x.jsonl").code == 2
    assert not (folder / "x.jsonl").exists()
    assert json.loads(cli("export", "a").out.splitlines()[-1])["end"] > 3
