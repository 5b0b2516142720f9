"""`fork`, and `answer … respond --recorded`: what is taken, what stops, what is asked twice."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.kit import SOURCE, Cli, Ended

TOOLS = '''
from pathlib import Path
from holdfast import Agent, Call, InvalidInput, tool

HERE = Path(__file__).parent

@tool(safety="keyed", key_ttl="24h", retry=1)
def pay(n: int, call: Call) -> dict[str, int]:
    """Pay."""
    if n == 3 and not (HERE / "fixed").exists():
        raise InvalidInput("no such account \\x1b[31m")
    with (HERE / "world.txt").open("a") as file:
        file.write(f"{n} {call.key}\\n")
    return {"n": n}

@tool(safety="irreversible")
def mail(to: str) -> str:
    """Mail."""
    (HERE / "mailed").touch()
    return "sent"

STEPS = {f"p{n}": {"tool": "pay", "args": {"n": n}, "after": [f"p{n - 1}"] if n > 1 else []} for n in (1, 2, 3)}
agent = Agent("payer", tools=[pay, mail], goal="pay", plan=STEPS)
mailing = Agent("mailer", tools=[pay, mail], goal="pay and mail", plan={"m": {"tool": "mail", "args": {"to": "ann"}}})
'''


@pytest.fixture
def night(cli: Cli, folder: Path) -> Path:
    """A folder with a run `night` that paid twice and failed."""
    (folder / "payer.py").write_text(TOOLS)
    assert cli("run", "payer.py:agent", "--id", "night", "-q").code == 1
    assert len(paid(folder)) == 2
    return folder


def paid(folder: Path) -> list[str]:
    """The numbers that were paid, in order."""
    return [line.split()[0] for line in (folder / "world.txt").read_text().splitlines()]


def test_a_fork_says_what_it_takes_and_stops_before_it_acts(cli: Cli, night: Path) -> None:
    """The way out of the night: fork, look, approve, go on."""
    (night / "fixed").touch()
    made = cli("fork", "night", "--agent", "payer.py:agent", "--id", "morning", "--reason", "fixed", "--by", "ann", "-q")
    assert made.code == 3
    assert re.search(r"^morning  a fork of night at its entry \d+$", made.out, re.MULTILINE)
    assert "  taken      2 effects of night, not done again: p1, p2" in made.out
    assert "  next       step p3 calls pay" in made.out
    assert "holdfast answer morning approve " in made.out
    page = cli("show", "morning").out
    assert re.search(r"fork of    night at its entry \d+, by ann: fixed", page) and "mode       blocked" in page
    assert cli("answer", "morning", "approve").code == 0
    assert cli("run", "payer.py:agent", "--id", "morning", "-q").code == 0
    assert paid(night) == ["1", "2", "3"]


def test_the_points_of_a_run_are_listed_as_options_to_paste(cli: Cli, night: Path) -> None:
    """Each of them makes a fork."""
    listed = cli("fork", "night", "--list")
    assert listed.code == 0
    options = [line.split("  ")[2:] for line in listed.out.splitlines()[1:]]
    words = [next(part for part in parts if part.strip().startswith("--")).split() for parts in options]
    assert ["--before", "p3"] in words and ["--start"] in words
    for number, option in enumerate(words):
        assert cli("fork", "night", "--agent", "payer.py:agent", *option, "--id", f"f{number}", "--no-run").code == 0, option
    records = cli("fork", "night", "--list", "--json").records
    assert [record["label"] for record in records][-1] == "before p3" and records[0]["label"] == "start"


def test_the_result_on_record_can_be_taken_in_place_of_a_call(cli: Cli, night: Path) -> None:
    """It is offered where the source made the same call; elsewhere it is refused."""
    made = cli("fork", "night", "--agent", "payer.py:agent", "--id", "again", "--before", "p2", "-q")
    assert "holdfast answer again respond --recorded " in made.out and "which made the same call" in made.out
    assert cli("answer", "again", "respond", "--recorded").code == 0
    left = cli("run", "payer.py:agent", "--id", "again", "-q")
    assert "respond --recorded" not in left.out, "the source has no result of the third"
    refused = cli("answer", "again", "respond", "--recorded")
    assert refused.code == 2 and "the record of night has no result" in refused.err
    assert json.loads(cli("show", "again", "--step", "p2", "--json").out) == {"n": 2}
    assert paid(night) == ["1", "2"]
    for words in (
        ["night", "respond", "--recorded"],
        ["again", "approve", "--recorded"],
        ["again", "respond", "1", "--recorded"],
    ):
        assert cli("answer", *words).code == 2


def test_a_simulation_calls_nothing_and_says_which_calls_had_no_answer(cli: Cli, night: Path) -> None:
    """Answers come from the record, then from a world; approvals are given by the simulation."""
    (night / "world.yaml").write_text("mail: {result: sent}\n")
    known = cli("fork", "night", "--agent", "payer.py:agent", "--start", "--simulate", "--id", "s1", "-q")
    assert known.code == 1 and "did not happen" in known.out and "had no answer" not in known.out
    words = ("fork", "night", "--agent", "payer.py:mailing", "--start", "--simulate", "-q")
    asked = cli(*words, "--id", "s2")
    assert asked.code == 3, "the tool is irreversible"
    without = cli(*words, "--id", "s3", "--yes")
    assert without.code == 1 and "1 calls had no answer" in without.out and 'mail(to="ann")' in without.out
    with_world = cli(*words, "--id", "s4", "--yes", "--world", "world.yaml")
    assert with_world.code == 0 and "had no answer" not in with_world.out
    assert (
        "by simulation" in "".join(str(entry) for entry in cli("show", "s4", "--events").out)
        or "simulation" in cli("show", "s4", "--events").out
    )
    assert not (night / "mailed").exists() and paid(night) == ["1", "2"]
    assert "simulated" in cli("show", "s4").out


def test_a_world_that_cannot_be_meant_is_refused_with_all_that_is_wrong(cli: Cli, night: Path) -> None:
    """Before anything is begun."""
    (night / "world.yaml").write_text(
        "pya: {result: 1}\npay:\n- {when: 'n ==', result: 1}\n- {result: 1, fails: denied}\n- {fails: never}\n- {times: 0}\n"
        "mail: [{result: 1}, {result: 2}]\n"
    )
    refused = cli("fork", "night", "--agent", "payer.py:agent", "--simulate", "--world", "world.yaml", "--id", "x")
    assert refused.code == 2
    for said in ("no tool 'pya'", "when is no condition", "either `result` or `fails`", "fails is 'never'", "times is a whole",
                 "mail, answer 2: it is never reached"):  # fmt: skip
        assert said in refused.err, refused.err
    assert cli("show", "x").code == 2


def test_a_live_fork_is_asked_twice(cli: Cli, night: Path) -> None:
    """Without a terminal it needs both words on the command line; and it asks before what its source did."""
    (night / "fixed").touch()
    words = ("fork", "night", "--agent", "payer.py:agent", "--before", "p2", "--live", "--id", "live", "-q")
    for given in ([], ["--yes"]):
        asked = cli(*words, *given)
        assert asked.code == 3 and "nothing was begun" in asked.err and "asks before it does the same" in asked.out, asked
        assert "p2" in asked.out and "pay" in asked.out
    assert cli("show", "live").code == 2, "nothing was begun"
    made = cli(*words, "--yes", "--yes")
    assert made.code == 3 and "which made the same call" in made.out
    assert cli("answer", "live", "respond", "--recorded").code == 0
    assert cli("run", "payer.py:agent", "--id", "live", "-q").code == 0
    assert paid(night) == ["1", "2", "3"], "what the source did not do is done unasked"


@pytest.mark.parametrize(("typed", "made"), [("yes\nother\n", False), ("yes\nlive\n", True)])
def test_on_a_terminal_a_live_fork_is_typed_out(cli: Cli, night: Path, typed: str, made: bool) -> None:
    """A yes, and then the id of the new run."""
    ended = on_a_terminal(night, typed, "fork", "night", "--agent", "payer.py:agent", "--live", "--id", "live", "--no-run")
    assert (ended.code == 0) is made, ended
    assert (cli("show", "live").code == 0) is made
    assert ("nothing was begun" in ended.out) is not made


def on_a_terminal(folder: Path, typed: str, *words: str) -> Ended:
    """A command whose stdin is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast.cli.main", *words], cwd=folder, env={**os.environ, "PYTHONPATH": SOURCE}, stdin=theirs,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, typed.encode())
    out, err = process.communicate(timeout=30)
    os.close(ours)
    return Ended(process.returncode, out, err)


WRONG = [
    ([], "name its file"),
    (["--agent", "payer.py:agent", "--simulate", "--live"], "two ways"),
    (["--agent", "payer.py:agent", "--world", "w.yaml"], "--world is for a simulation"),
    (["--agent", "payer.py:agent", "--yes"], "--yes is for"),
    (["--agent", "payer.py:agent", "--at", "3", "--start"], "one point"),
    (["--agent", "payer.py:agent", "--at", "99"], "points near it: "),
    (["--agent", "payer.py:agent", "--limit", "atempts=3"], "did you mean attempts"),
    (["--agent", "payer.py:agent", "--budget", "much"], "US dollars"),
]


def test_what_cannot_be_meant_is_refused(cli: Cli, night: Path) -> None:
    """In one line, before anything is begun."""
    for words, said in WRONG:
        refused = cli("fork", "night", *words)
        assert refused.code == 2 and said in refused.err, refused
    assert len(cli("runs", "--json").records) == 1


def test_a_fork_has_its_own_bounds_and_machines_are_told_in_json(cli: Cli, night: Path) -> None:
    """One object for the fork, one for how it was left."""
    words = (
        "fork",
        "night",
        "--agent",
        "payer.py:agent",
        "--id",
        "b",
        "--limit",
        "attempts=2",
        "--budget",
        "2.50",
        "--json",
        "-q",
    )
    (night / "fixed").touch()
    begun, left = cli(*words).records
    assert (begun["run_id"], begun["is_new"], begun["fork"]["taken"]) == ("b", True, ["p1", "p2"])
    assert left["status"] == "failed" and "attempts_max of 2" in left["reason"]
    assert left["fork"]["source"] == "night" and left["fork"]["mode"] == "blocked"


def test_foreign_text_steers_no_terminal(cli: Cli, night: Path) -> None:
    """A reason may hold anything, and so may what a tool said."""
    made = cli("fork", "night", "--agent", "payer.py:agent", "--id", "x", "--reason", "\x1b[31mred", "-q")
    assert "\x1b" not in made.out + made.err + cli("show", "x").out + cli("fork", "night", "--list").out
