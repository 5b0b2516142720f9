"""`runs`, `show` and `verify`: what people and machines are shown."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.cli.kit import Cli

# --- runs ---------------------------------------------------------------------------------------------------------


def test_runs_are_listed_the_latest_changed_first(cli: Cli) -> None:
    """With what they wait for; columns that are empty for all are left out."""
    cli("run", "quick.yaml", "--id", "first")
    cli("run", "pay.yaml", "--id", "second")
    lines = cli("runs").out.splitlines()
    assert lines[0].split() == ["id", "agent", "status", "changed", "waits", "for"]
    assert [line.split()[0] for line in lines[1:]] == ["second", "first"]
    assert lines[1].endswith("approval: may pay be called?")


def test_runs_can_be_picked_by_status_agent_tenant_and_label(cli: Cli) -> None:
    """Each filter alone and together."""
    cli("run", "quick.yaml", "--id", "a", "--tenant", "acme", "--label", "team=sales")
    cli("run", "quick.yaml", "--id", "b", "--label", "team=ops")
    cli("run", "pay.yaml", "--id", "c", "--tenant", "acme")

    def ids(*words: str) -> list[str]:
        return sorted(record["run_id"] for record in cli("runs", "--json", *words).records)

    assert ids("--status", "completed") == ["a", "b"]
    assert ids("--agent", "pay") == ["c"]
    assert ids("--tenant", "acme") == ["a", "c"]
    assert ids("--label", "team=ops") == ["b"]
    assert ids("--tenant", "acme", "--status", "blocked") == ["c"]
    assert cli("runs", "--tenant", "nobody").err == "no run is like that\n"


def test_a_list_that_was_cut_says_so(cli: Cli) -> None:
    """And how to see more."""
    for name in ("a", "b", "c"):
        cli("run", "quick.yaml", "--id", name)
    ended = cli("runs", "--limit", "2", "--json")
    assert len(ended.records) == 2
    assert "there are more than these 2" in ended.err
    assert cli("runs", "--limit", "3").err == ""


def test_an_empty_store_says_so(cli: Cli, folder: Path) -> None:
    """That is no error."""
    (folder / "holdfast.db").touch()
    ended = cli("runs")
    assert (ended.code, ended.out, ended.err) == (0, "", "no run is in holdfast.db yet\n")


def test_a_due_run_whose_agent_no_live_worker_has_says_so(cli: Cli) -> None:
    """In the list and on its page; one that waits for a person has no such note in the list."""
    cli("run", "pay.yaml", "--id", "p")
    assert cli("runs", "--json").records[0]["note"] == ""
    cli("answer", "p", "approve")
    assert cli("runs").out.splitlines()[1].endswith("due, but no live worker has the agent pay")
    page = cli("show", "p").out
    assert "due, but no live worker has the agent pay" in page and "`holdfast work FILE`" in page


# --- show ---------------------------------------------------------------------------------------------------------


def test_the_page_of_a_run_has_everything_that_is_known(cli: Cli) -> None:
    """Goal, inputs, steps with their attempts, what is done and what is asked."""
    cli("run", "asks.yaml", "pay them", "--id", "a", "--input", "n=5")
    page = cli("show", "a").out
    for part in (
        r"^a  needs a person$",
        r"^  goal +pay them$",
        r'^  inputs +\{"n":5\}$',
        r"^  agent +asks$",
        r"^  changed +\S+Z, \d+ entries, 1 calls, plan 1$",
        r"^  until +\S+Z \(in 6d23h\)|\(in 7d\)$",
        r"^  bad +refuse\(\) +idempotent +asks a person +1\b",
        r'^  pay +pay\(to="bob"\) +irreversible +asks a person$',
        r"^  waiting +bad, pay$",
        r"^  escalation: refuse did not work: conflict: sold out   \[bad-\d\]$",
        r"^    holdfast answer a pay-\d approve +make this call, as shown$",
    ):
        assert re.search(part, page, re.MULTILINE), part + "\n" + page


def test_a_call_to_come_is_shown_as_the_plan_has_it(cli: Cli, folder: Path) -> None:
    """References by what they refer to."""
    (folder / "two.yaml").write_text(
        "tools: tools.py\nsteps: {a: {tool: later}, b: {tool: look, args: {name: {$ref: steps.a}}}}\n"
    )
    assert cli("run", "two.yaml", "--id", "t", "--patience", "0s").code == 4
    page = cli("show", "t").out
    assert re.search(
        r"^  a +later\(\) +idempotent +to be tried again +1 +in (29\.\d|30)s +transient: 503$", page, re.MULTILINE
    ), page
    assert re.search(r"^  b +look\(name=\$ref steps.a\) +read +waits for other steps +a$", page, re.MULTILINE), page


def test_the_journal_of_a_run_has_a_line_for_each_entry(cli: Cli) -> None:
    """Number, time in UTC, fence, name, and its fields shortened."""
    cli("run", "hostile.yaml", "--id", "h")
    lines = cli("show", "h", "--events").out.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    for line in lines:
        assert re.fullmatch(r" +\d+  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z +1  [a-z_]+ .*", line), line
    assert max(map(len, lines)) < 1000
    assert "… (5000 characters in all)" in "\n".join(lines)


def test_the_journal_for_machines_is_whole(cli: Cli) -> None:
    """Each entry as it is stored."""
    cli("run", "hostile.yaml", "--id", "h")
    entries = cli("show", "h", "--events", "--json").records
    values = [entry["event"]["value"] for entry in entries if entry["event"]["event"] == "call_succeeded"]
    assert "x" * 5000 in values
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))


def test_a_long_value_is_cut_and_says_so(cli: Cli) -> None:
    """For people and in the steps of the record; the result is whole in the record."""
    cli("run", "hostile.yaml", "--id", "h")
    assert "… (5002 characters in all)" in cli("show", "h").out
    (shown,) = cli("show", "h", "--json").records
    step = shown["steps"][1]
    assert step["value_characters"] == 5002 and len(step["value"]) == 400
    assert shown["run"]["result"]["long"] == "x" * 5000


@pytest.mark.parametrize("words", [("show", "h"), ("show", "h", "--events"), ("show", "h", "--json"), ("watch", "h"), ("runs",)])
def test_foreign_text_steers_no_terminal(cli: Cli, words: tuple[str, ...]) -> None:
    """Neither on the way nor afterwards; inside of values it stands as escapes. Brackets are no markup."""
    ran = cli("run", "hostile.yaml", "--id", "h")
    shown = cli(*words)
    for text in (ran.out, ran.err, shown.out, shown.err):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "owned" not in ran.err
    assert "[bold]b[/bold]" in ran.err


def test_a_damaged_run_says_so_and_the_others_are_shown(cli: Cli) -> None:
    """Exit code 5 for that one; the list and the others are as always."""
    cli("run", "quick.yaml", "--id", "good")
    cli("run", "quick.yaml", "--id", "bad")
    with sqlite3.connect("holdfast.db") as store:
        store.execute("update batches set body = cast(replace(body, 'ann', 'eve') as blob) where run = 2")
    ended = cli("show", "bad")
    assert ended.code == 5
    assert ended.out.startswith("bad  damaged: entry 1 is not what was written\n") or "bad  damaged: entry " in ended.out
    assert ended.err.startswith("holdfast: run bad: entry ") and "restore the store from a backup" in ended.err
    (record,) = cli("show", "bad", "--json").records
    assert record["damaged"].startswith("entry ")
    assert cli("show", "good").code == 0
    assert len(cli("runs", "--json").records) == 2


# --- verify -------------------------------------------------------------------------------------------------------


def test_a_whole_journal_is_verified(cli: Cli) -> None:
    """One run, several, all of them."""
    for name in ("a", "b"):
        cli("run", "quick.yaml", "--id", name)
    ended = cli("verify", "a")
    assert ended.code == 0
    assert re.fullmatch(r"a  whole: \d+ entries, last link [0-9a-f]{16}\n", ended.out)
    assert len(cli("verify", "a", "b", "--json").records) == 2
    assert len(cli("verify", "--all", "--json").records) == 2


def test_a_broken_chain_is_found_and_named(cli: Cli) -> None:
    """Its first bad entry; the exit code is 1."""
    for name in ("a", "b"):
        cli("run", "quick.yaml", "--id", name)
    with sqlite3.connect("holdfast.db") as store:
        store.execute("update batches set at = at + 1 where run = 1 and first = 2")
    ended = cli("verify", "--all", "--json")
    assert ended.code == 1
    problems = {record["run_id"]: (record["problem"], record["sequence"]) for record in ended.records}
    assert problems == {"a": ("entry 2 is not what was written", 2), "b": (None, None)}
    assert cli("verify", "a").out == "a  broken: entry 2 is not what was written\n"
