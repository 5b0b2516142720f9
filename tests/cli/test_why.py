"""`show --why`: in the terminal, as JSON and as Markdown; and what cannot be asked."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.cli.kit import Cli, stored


@pytest.fixture
def refused(cli: Cli, folder: Path) -> Cli:
    """A run that somebody refused to let pay."""

    def make() -> None:
        cli("run", "pay.yaml", "--id", "p")
        cli("answer", "p", "reject", "too dear", "--by", "bob")
        cli("run", "pay.yaml", "--id", "p")

    stored("refused", folder, make)
    return cli


def test_the_first_line_says_why_a_run_failed(refused: Cli) -> None:
    """Who refused it, with which words, and what they were asked; then how it came to that, and the step."""
    page = refused("show", "p", "--why").out
    first = page.splitlines()[0]
    assert re.match(
        r"p  failed: step money was given up, and the run with it ← bob rejected it after \S+: “too dear” ← a person was asked "
        r"whether pay may be called, by its safety: what is irreversible is asked about \(money-1\)$",
        first,
    ), first
    for part in (
        r"^from the last entry back$", r"^ +\d+  \S+Z  the run failed: ", r"^money  pay  failed ← bob rejected it after",
        r'^  argument  to = "ann" — as the plan has it$', r"^  asked     \S+Z money-1: may pay be called\? — by its safety",
        r"^  ended     \S+Z step money was given up",
    ):  # fmt: skip
        assert re.search(part, page, re.MULTILINE), part + "\n" + page


def test_a_step_an_entry_and_the_run_are_asked_about_alike(refused: Cli) -> None:
    """A name, a number, or nothing behind it."""
    (run,) = refused("show", "p", "--why", "--json").records
    (step,) = refused("show", "p", "--why", "money", "--json").records
    asked = step["steps"][0]["asks"][0]
    (entry,) = refused("show", "p", "--why", str(asked["entry"]), "--json").records
    assert run["first"] == step["first"] and [one["step"] for one in run["steps"]] == ["money"]
    assert asked["decision"] == "reject" and asked["shown"] == {"to": "ann", "amount": 2.5}
    assert entry["entry"]["event"] == "asked" and entry["entry"]["step"] == "money" and "steps" not in entry
    page = refused("show", "p", "--why", str(asked["entry"])).out
    assert re.search(r"^  because +\d+  plan 1: money$", page, re.MULTILINE)
    assert re.search(r"^  step      holdfast show p --why money$", page, re.MULTILINE)


def test_a_page_for_a_ticket(refused: Cli) -> None:
    """Markdown, with the same first line."""
    page = refused("show", "p", "--why", "--markdown").out
    assert page.startswith("# Why run `p` is as it is\n\n**failed: step money was given up")
    assert "## Step `money` — `pay`" in page and "- **Asked:** " in page


def test_every_step_in_full_where_that_is_wanted(cli: Cli) -> None:
    """Otherwise those that went as planned have a line each."""
    cli("run", "grant.yaml", "--id", "g", "--input", "name=ann")
    brief, whole = cli("show", "g", "--why").out, cli("show", "g", "--why", "--all").out
    assert brief.startswith("g  completed: 2 of 2 steps are done")
    assert re.search(r'^  who     done at its first call: \{"name":"ann"\}$', brief, re.MULTILINE), brief
    assert re.search(r'^  argument  name = "ann" — from the result of who \(steps.who.name\)$', whole, re.MULTILINE), whole


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--why", "mony"), "there is no step mony — did you mean money? it has 1 steps, and the entries 1 to "),
        (("--why", "9999"), "there is no step 9999 — it has 1 steps, and the entries 1 to "),
        (("money",), "money is of --why — holdfast show p --why money"),
        (("--markdown",), "--markdown is of --why"),
        (("--why", "--events"), "--why and --events are two questions"),
        (("--why", "--json", "--markdown"), "--json and --markdown are two forms"),
        (("--why", "money", "--all"), "--all is of the whole run"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_says_so(refused: Cli, words: tuple[str, ...], said: str) -> None:
    """With what to do instead."""
    ended = refused("show", "p", *words)
    assert ended.code == 2 and said in ended.err, ended


def test_a_run_that_is_not_there_and_one_that_is_damaged(refused: Cli) -> None:
    """As without --why."""
    missing = refused("show", "nobody", "--why")
    assert missing.code == 2 and "there is no such run in this store" in missing.err
    with sqlite3.connect("holdfast.db") as store:
        store.execute("update batches set body = cast(replace(cast(body as text), 'too dear', 'too easy') as blob)")
    damaged = refused("show", "p", "--why")
    assert damaged.code == 5 and damaged.out.startswith("p  damaged: ") and "restore the store from a backup" in damaged.err
    assert refused("show", "p", "--why", "--json").records[0]["damaged"]
    assert refused("show", "p", "--why", "--db", "no.db").code == 2


@pytest.mark.parametrize("words", [("--why", "--all"), ("--why", "bad"), ("--why", "--markdown"), ("--why", "--all", "--json")])
def test_foreign_text_steers_no_terminal(cli: Cli, words: tuple[str, ...]) -> None:
    """Nor does it become anything on a page."""
    cli("run", "hostile.yaml", "--id", "h")
    shown = cli("show", "h", *words)
    assert shown.code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown.out)


def test_nothing_is_asked_of_a_store_but_its_journal(folder: Path, cli: Cli) -> None:
    """A run that goes on, one that waits, and one without a step can be asked about; looking writes nothing."""
    cli("run", "later.yaml", "--id", "l", "--patience", "0s")
    before = (folder / "holdfast.db").read_bytes()
    assert re.match(
        r"l  waits: soon is to be called again at \S+Z ← later \(soon\) failed: transient: 503$",
        cli("show", "l", "--why").out.splitlines()[0],
    )
    assert (folder / "holdfast.db").read_bytes() == before
