"""`diff` and `timeline`: two runs side by side, and one as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.kit import Cli

pytestmark = pytest.mark.usefixtures("folder")

# Two runs of one agent: the one is paid, the other refused.
GRANTED = ("run", "grant.yaml", "--input", "name=ann", "--id", "one")


def test_two_runs_are_compared_with_the_parting_first(cli: Cli) -> None:
    """The sentence, both sides, what differs in each step; and nothing of what is the same."""
    assert cli(*GRANTED).code == 0
    assert cli("run", "grant.yaml", "--input", "name=bob", "--id", "two").code == 0
    ended = cli("diff", "one", "two")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "begun with different inputs; they differ in inputs, result; both completed"
    assert lines[2].startswith("  A  one  completed, ")
    assert lines[3].startswith("  B  two  completed, ")
    assert any(line.split() == ["inputs.name", "ann", "│", "bob"] for line in lines)
    assert any(line.split() == ["args.name", "ann", "│", "bob"] for line in lines)
    assert "~ access  grant  done" in lines
    assert all("\x1b" not in line and len(line) <= 140 for line in lines)


def test_the_exit_code_says_whether_anything_differs_only_where_it_is_asked(cli: Cli) -> None:
    """Like git diff: 0 unless --exit-code; and 0 with it for what is the same."""
    cli(*GRANTED)
    cli("run", "grant.yaml", "--input", "name=bob", "--id", "two")
    assert cli("diff", "one", "two", "--exit-code").code == 1
    assert cli("diff", "one", "one", "--exit-code").code == 0
    assert cli("diff", "one", "one").out.splitlines()[0] == "they are the same"


def test_a_run_is_compared_with_what_it_was(cli: Cli) -> None:
    """After an entry, before a step, and as a plan."""
    cli(*GRANTED)
    assert cli("diff", "one@3", "one").out.startswith("the same up to entry 3, where A ends; B goes on")
    before = cli("diff", "one@access", "one", "--json").records[0]
    assert before["a"]["entries"] < before["b"]["entries"]
    assert [pair["kind"] for pair in before["steps"]] == ["same", "changed"]
    plans = cli("diff", "one#1", "grant.yaml", "--all")
    assert plans.out.splitlines()[0] == "they are the same"
    assert "= access  grant  planned" in plans.out


def test_two_plan_files_are_compared_without_a_store(cli: Cli, folder: Path) -> None:
    """By the steps that they name."""
    (folder / "after.yaml").write_text(
        (folder / "grant.yaml").read_text().replace("tool: grant,", "tool: grant, on_failure: ask,")
    )
    ended = cli("diff", "grant.yaml", "after.yaml", "--exit-code")
    assert ended.code == 1
    assert ended.out.splitlines()[0] == "1 step changed (access), differs: agent"
    assert not (folder / "holdfast.db").exists()


def test_a_comparison_is_printed_as_json_and_as_markdown(cli: Cli) -> None:
    """One record with everything; a page with tables."""
    cli(*GRANTED)
    cli("run", "grant.yaml", "--input", "name=bob", "--id", "two")
    (record,) = cli("diff", "one", "two", "--json").records
    assert (record["a"]["run_id"], record["b"]["run_id"], record["same"]) == ("one", "two", False)
    assert record["counts"]["changed"] == 2
    page = cli("diff", "one", "two", "--markdown").out
    assert page.startswith("**begun with different inputs;")
    assert "| args.name | ann | bob |" in page
    wrong = cli("diff", "one", "two", "--json", "--markdown")
    assert (wrong.code, wrong.err) == (2, "holdfast: --json and --markdown are two forms — ask for one of them\n")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nobody", "there is no such run in this store"),
        ("one@99", "it has no entry 99"),
        ("one@0", "it has no entry 0"),
        ("one@lunch", "nothing is known of a step lunch"),
        ("one#7", "it has no plan 7 — its plans are 1 to 1"),
        ("one#x", "it has no plan x"),
        ("missing.yaml", "there is no file missing.yaml"),
    ],
)
def test_what_cannot_be_compared_says_what_there_is(cli: Cli, word: str, said: str) -> None:
    """Each with what could be meant."""
    cli(*GRANTED)
    ended = cli("diff", "one", word)
    assert ended.code == 2
    assert said in ended.err


def test_foreign_words_in_a_comparison_are_harmless(cli: Cli) -> None:
    """What a tool said is cut and cannot steer the terminal."""
    cli("run", "hostile.yaml", "--id", "h")
    ended = cli("diff", "h@3", "h", "--all")
    assert ended.code == 0
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(ended.out)
    assert "(5000 characters" in ended.out
    assert all(len(line) <= 410 for line in ended.out.splitlines())


# --- timeline -----------------------------------------------------------------------------------------------------


def test_a_picture_of_a_run_is_written_beside_it(cli: Cli, folder: Path) -> None:
    """Under the run's id, or where it is said; the name of the file is the result."""
    cli(*GRANTED)
    ended = cli("timeline", "one")
    assert (ended.code, ended.out) == (0, "one.svg\n")
    root = ET.parse(folder / "one.svg").getroot()
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "Timeline of run one"
    assert cli("timeline", "one", "--out", "why.svg").out == "why.svg\n"
    assert (folder / "why.svg").read_bytes() == (folder / "one.svg").read_bytes()
    assert cli("timeline", "one", "--out", "-").out == (folder / "one.svg").read_text()


def test_the_record_of_a_picture_is_printed_as_json(cli: Cli) -> None:
    """Lanes, bars and all."""
    cli(*GRANTED)
    (record,) = cli("timeline", "one", "--json").records
    assert [lane["name"] for lane in record["lanes"]] == ["who", "access"]
    assert record["lanes"][1]["bars"][0]["outcome"] == "ok"
    assert cli("timeline", "one", "--json", "--out", "x.svg").code == 2


def test_the_file_of_a_run_with_a_wild_name_is_in_this_folder(cli: Cli, folder: Path) -> None:
    """No slash and no dot leads out of it."""
    assert cli("run", "quick.yaml", "--id", "../up/one two").code == 0
    assert cli("timeline", "../up/one two").out == "up-one-two.svg\n"
    assert (folder / "up-one-two.svg").exists()


def test_a_picture_that_cannot_be_made_says_why(cli: Cli) -> None:
    """No such run, no such folder, no such way to fold."""
    cli(*GRANTED)
    assert "there is no such run in this store" in cli("timeline", "nobody").err
    ended = cli("timeline", "one", "--out", "no/where.svg")
    assert (ended.code, "no/where.svg cannot be written" in ended.err) == (2, True)
    assert cli("timeline", "one", "--fold", "sometimes").code == 2


def test_a_run_that_asks_a_person_is_drawn_as_it_stands_now(cli: Cli) -> None:
    """The question is still open."""
    assert cli("run", "pay.yaml", "--id", "p").code == 3
    (record,) = cli("timeline", "p", "--json").records
    (lane,) = [lane for lane in record["lanes"] if lane["name"] == "money"]
    assert [(wait["why"], wait["is_open"]) for wait in lane["waits"]] == [("person", True)]
    assert record["status"] == "blocked"
