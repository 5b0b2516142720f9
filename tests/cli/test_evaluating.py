"""`eval`: the example with its planted fault, exit codes, what is kept, and what is shown of it."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import __version__
from holdfast.evaluation import Terms, casefile, evaluate
from holdfast.loading import agent_of
from tests.cli.kit import Cli, Process

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "evals"


@pytest.fixture
def evals(cli: Cli, folder: Path) -> Path:
    """The folder, with the example in it."""
    for path in EXAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the example's two versions, made once."""
    folder, before, path = tmp_path_factory.mktemp("results"), set(sys.modules), list(sys.path)
    suite = casefile.load(EXAMPLES / "refunds.yaml")
    for version, out in ((1, "one"), (2, "two")):
        spec = str(EXAMPLES / f"refunds_{version}.py")
        terms = Terms(out=folder / out, file="refunds.yaml", agent_spec=spec, release=__version__)
        asyncio.run(evaluate(suite, agent_of(spec), terms))
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(EXAMPLES)):
            del sys.modules[name]
    return folder


@pytest.fixture
def both(cli: Cli, evals: Path, results: Path) -> Path:
    """The folder with the example, and the results of both versions as `one` and `two`."""
    for name in ("one", "two"):
        shutil.copytree(results / name, evals / name)
    return evals


# --- run ----------------------------------------------------------------------------------------------------------


def test_the_ledger_finds_the_refund_that_was_made_twice(cli: Cli, evals: Path) -> None:
    """The agent says that all is well, and so does its journal; the bank has booked it twice."""
    ended = cli("eval", "run", "refunds.yaml", "--out", "one", "--repeat", "2", "--json")
    assert ended.code == 1
    runs = [record["run"] for record in ended.records if "run" in record]
    lost = [run for run in runs if run["case"] == "lost_answer"]
    assert [(run["outcome"], run["status"]) for run in lost] == [("wrong", "completed")] * 2
    assert all([effect["tool"] for effect in run["effects"]].count("refund") == 2 for run in lost)
    assert all("the ledger has 2 effects under its key" in run["disagreements"][0] for run in lost)
    assert {run["outcome"] for run in runs if run["case"] in ("small", "large", "refused")} == {"held"}
    assert "lost_answer 1: wrong: refund: the journal says done" in ended.err


def test_the_version_that_looks_first_holds_and_is_better(cli: Cli, both: Path) -> None:
    """Both at once: run it, and hold it against the other one."""
    ended = cli("eval", "run", "refunds.yaml", "--agent", "refunds_2.py", "--out", "new", "--against", "one", "--quiet")
    assert ended.code == 0
    assert re.search(
        r"^  lost_answer +0 of 5: 0% \(0% to 43%\) +5 of 5: 100% \(57% to 100%\) .* better +5$", ended.out, re.MULTILINE
    )
    assert re.search(r"^  all +\d+ of 25.* better +\d+$", ended.out, re.MULTILINE)
    assert "no difference can be told at n = 5" in ended.out


def test_a_run_that_went_wrong_can_be_shown_and_verified(cli: Cli, both: Path) -> None:
    """By the command that stands below it."""
    shown = cli("eval", "show", "one")
    (command, *_) = re.findall(r"holdfast (show lost_answer\S+ --db \S+)", shown.out)
    run = cli(*shlex.split(command))
    assert run.code == 0 and "refund" in run.out
    db = command.split()[-1]
    assert cli("verify", command.split()[1], "--db", db).code == 0


def test_results_go_below_a_folder_of_their_own_and_are_listed(cli: Cli, evals: Path) -> None:
    """The latest first, whoever made them."""
    for _ in range(2):
        assert cli("eval", "run", "refunds.yaml", "--case", "small", "--repeat", "1", "--quiet").code == 0
    listed = cli("eval", "list")
    assert len(listed.out.splitlines()) == 3 and listed.out.count(".holdfast/evals/refunds/20") == 2
    records = cli("eval", "list", "--json").records
    assert [record["summary"]["held"] for record in records] == [1, 1]
    assert records[0]["eval"]["agent_version"] == "1" and Path(records[0]["folder"]).is_dir()
    assert "there are more than these 1" in cli("eval", "list", "--limit", "1").err
    assert cli("eval", "list", "nowhere").err == "no results are kept in nowhere\n"


@pytest.mark.parametrize(("share", "code"), [("0.5", 0), ("0.95", 1), (None, 1)])
def test_a_share_of_the_runs_may_fail_where_that_is_said(cli: Cli, evals: Path, share: str | None, code: int) -> None:
    """Without it every run must hold."""
    words = ("--fail-under", share) if share else ()
    cases = ("--case", "small", "--case", "lost_answer", "--repeat", "2")
    assert cli("eval", "run", "refunds.yaml", "--quiet", *cases, *words).code == code


def test_a_file_that_is_wrong_is_told_whole_and_nothing_is_run(cli: Cli, evals: Path) -> None:
    """Exit code 2, with every place."""
    text = (evals / "refunds.yaml").read_text().replace("times_out", "time_out").replace("asked: 0", "asked: none")
    (evals / "refunds.yaml").write_text(text)
    ended = cli("eval", "run", "refunds.yaml", "--out", "one")
    assert ended.code == 2 and "has 4 problems" in ended.err
    assert "case small: expect: asked is a number" in ended.err and "did you mean times_out?" in ended.err
    assert not (evals / "one").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run none.yaml", "none.yaml cannot be read"),
        ("run refunds.yaml --agent none.py", "there is no file none.py"),
        ("run refunds.yaml --model sonnet", "'sonnet' is no name of a model"),
        ("run refunds.yaml --model anthropic:claude-sonnet-5", "asks no model"),
        ("run refunds.yaml --budget much", "--budget 'much' is no amount"),
        ("run refunds.yaml --budget 0", "--budget '0' is no amount"),
        ("run refunds.yaml --limit soon", "--limit 'soon' is no length of time"),
        ("run refunds.yaml --out a --resume b", "--out is for a new one"),
        ("run refunds.yaml --resume none", "there are no results in none"),
        ("run refunds.yaml --against none", "there are no results in none"),
        ("run refunds.yaml --case large --case huge", "there is no case huge"),
        ("run refunds.yaml --fail-under 2", "--fail-under"),
        ("compare one none", "there are no results in"),
        ("compare one one --markdown --json", "two forms"),
        ("show none", "there are no results in none"),
        ("list one two", "unexpected extra argument"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(cli: Cli, evals: Path, words: str, said: str) -> None:
    """And says what is wrong."""
    ended = cli("eval", *words.split())
    assert ended.code == 2 and said in ended.err and ended.out == "", ended
    assert not (evals / ".holdfast").exists()


def test_a_case_file_without_an_agent_wants_one(cli: Cli, evals: Path) -> None:
    """In the file, or on the command line."""
    text = (evals / "refunds.yaml").read_text().replace("agent: refunds_1.py\n", "")
    (evals / "refunds.yaml").write_text(text)
    assert "it is not said which agent" in cli("eval", "run", "refunds.yaml").err
    assert cli("eval", "run", "refunds.yaml", "--agent", "refunds_2.py", "--case", "small", "--quiet").code == 0


def test_an_agent_is_found_from_the_folder_of_its_file(cli: Cli, evals: Path) -> None:
    """Wherever the command is typed."""
    (evals / "deep").mkdir()
    for path in [*evals.glob("refunds*"), evals / "bank.py"]:
        path.rename(evals / "deep" / path.name)
    assert cli("eval", "run", "deep/refunds.yaml", "--case", "small", "--quiet").code == 0


def test_what_was_broken_off_goes_on(cli: Cli, evals: Path) -> None:
    """With the same seed and agent; what is done is not done again. Until then the exit code says that it is not finished."""
    words = ("eval", "run", "refunds.yaml", "--agent", "refunds_2.py", "--seed", "3", "--repeat", "2", "--json", "--quiet")
    whole = [record["run"] for record in cli(*words, "--out", "whole").records if "run" in record]
    assert cli(*words, "--out", "part").code == 0
    path = evals / "part" / "results.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:30])
    shown = cli("eval", "show", "part")
    assert re.search(r"^  all +3 of 3.*  7 ", shown.out, re.MULTILINE), shown.out
    again = cli("eval", "run", "refunds.yaml", "--repeat", "2", "--resume", "part", "--json")
    assert again.code == 0
    assert len(again.err.splitlines()) == 8  # Seven runs, and where to look.
    runs = [record["run"] for record in again.records if "run" in record]
    assert [(run["run_id"], run["outcome"], run["calls"]) for run in runs] == [
        (run["run_id"], run["outcome"], run["calls"]) for run in whole
    ]
    refused = cli("eval", "run", "refunds.yaml", "--resume", "part", "--repeat", "3")
    assert refused.code == 2 and "the cases changed" in refused.err


def test_ctrl_c_keeps_what_is_done(process: Callable[..., Process], evals: Path) -> None:
    """And says how to go on."""
    (evals / "waits.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom holdfast import Agent, tool\n"
        "@tool(safety='read')\ndef wait(name: str) -> str:\n    'Wait.'\n    Path(f'began-{name}').touch()\n"
        "    while name != 'a' and not Path('go').exists():\n        time.sleep(0.01)\n    return name\n"
        "agent = Agent('waits', tools=[wait], plan={'w': {'tool': 'wait', 'args': {'name': {'$ref': 'inputs.name'}}}})\n"
    )
    cases = {name: {"inputs": {"name": name}} for name in "abc"}
    (evals / "waits.yaml").write_text(json.dumps({"agent": "waits.py", "cases": cases}))
    going = process("eval", "run", "waits.yaml", "--out", "out").until((evals / "began-b").exists)
    going.send("SIGINT").until(lambda: "stopping" in going.said)
    (evals / "go").touch()
    ended = going.end()
    assert ended.code == 130, ended
    assert "1 runs are not done; go on with: holdfast eval run waits.yaml --resume out" in ended.err
    done = process("eval", "run", "waits.yaml", "--resume", "out", "--json").end()
    assert done.code == 0 and [record["run"]["case"] for record in done.records if "run" in record] == ["a", "b", "c"]


# --- compare and show ---------------------------------------------------------------------------------------------


def test_the_worse_version_is_told_by_the_exit_code(cli: Cli, both: Path) -> None:
    """For whoever builds it into a pipeline."""
    better, worse = cli("eval", "compare", "one", "two"), cli("eval", "compare", "two", "one")
    assert (better.code, worse.code) == (0, 1)
    assert "the journal and the ledger disagree, and in none of A" in worse.out
    same = cli("eval", "compare", "two", "two")
    assert same.code == 0 and "caution: it is the same agent" in same.out
    assert "each case would have to be run about" in same.out


def test_a_comparison_is_a_page_and_a_record(cli: Cli, both: Path) -> None:
    """Markdown with tables that are tables, and one JSON object with every number."""
    page = cli("eval", "compare", "one", "two", "--markdown").out
    assert page.startswith("## refunds: better\n")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows if "(-" not in line}) == 2 and len(rows) > 10
    (record,) = cli("eval", "compare", "one", "two", "--json").records
    assert (record["whole"]["verdict"], record["whole"]["a"]["wrong"] > 0, record["whole"]["b"]["wrong"]) == ("better", True, 0)
    assert record["whole"]["difference"]["low"] > 0


def test_one_case_is_shown_run_by_run(cli: Cli, both: Path) -> None:
    """With what the ledger has, by tool."""
    shown = cli("eval", "show", "one", "lost_answer")
    assert len(re.findall(r"^  lost_answer-\d-\w+ +wrong +completed +refund × 2, send_mail", shown.out, re.MULTILINE)) == 5
    fine = cli("eval", "show", "two", "large")
    assert re.search(r"holdfast show large-1-\w+ --db two/large/1/holdfast.db", fine.out)
    records = cli("eval", "show", "two", "large", "--json").records
    assert [record["run"]["seconds"] for record in records if "run" in record] == [172800.0] * 5
    assert cli("eval", "show", "two", "small_one").code == 2


def test_what_a_world_says_cannot_steer_a_terminal(cli: Cli, evals: Path) -> None:
    """Reasons and effects come from tools and files of others."""
    data: dict[str, Any] = {
        "agent": "refunds_2.py",
        "services": {"look_up": {"answer": {"total": 1, "customer": "\x1b]0;owned\x07\x1b[31mred"}}, "refund": {"answer": 3}},
        "cases": {"odd": {"inputs": {"order": "\x1b[2J7"}, "expect": {"that": "inputs.order == 'x'"}}},
    }
    (evals / "odd.json").write_text(json.dumps(data))
    ended = cli("eval", "run", "odd.json", "--out", "odd")
    assert ended.code == 1
    for text in (ended.out, ended.err, cli("eval", "show", "odd", "odd").out, cli("eval", "show", "odd", "--json").out):
        assert "\x1b" not in text and "\x07" not in text


# --- help and schema ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run", "compare", "list", "show"])
def test_every_command_of_the_group_has_help_with_an_example(cli: Cli, name: str) -> None:
    """To paste."""
    page = cli("eval", name, "--help")
    assert page.code == 0 and re.search(rf"Examples:\n(.*\n)*? *\$ holdfast eval {name}\b", page.out)


def test_the_schema_of_case_files_is_printed(cli: Cli, folder: Path) -> None:
    """For editors."""
    schema = json.loads(cli("schema", "eval").out)
    assert schema["title"] == "Cases for holdfast eval" and schema["required"] == ["cases"]
