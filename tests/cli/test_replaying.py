"""`replay`: nothing is called, and what would be ruled otherwise is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.core import diagnosis
from tests.cli.kit import Cli


@pytest.fixture
def store(cli: Cli) -> None:
    """A run that completed, one that asks, one that failed."""
    assert cli("run", "grant.yaml", "--id", "g-1", "--input", "name=ann", "-q").code == 0
    assert cli("run", "pay.yaml", "--id", "p-1", "-q").code == 3
    assert cli("run", "fails.yaml", "--id", "f-1", "-q").code == 1


@pytest.mark.usefixtures("store")
def test_runs_are_walked_and_nothing_is_called(cli: Cli, folder: Path) -> None:
    """One, several or all, and the world is as it was."""
    world = (folder / "world.txt").read_text()
    one = cli("replay", "g-1")
    assert (one.code, one.out) == (0, "g-1  8 entries, 4 rulings: as recorded\n")
    every = cli("replay", "--all")
    assert every.code == 0
    assert every.out.splitlines()[-1].startswith("3 runs, ") and every.out.endswith(": none differs\n")
    assert cli("replay", "--all", "--differing").out.count("\n") == 1
    assert cli("replay", "--all", "--of", "grant").out.startswith("g-1 ")
    assert "0 runs" in cli("replay", "--all", "--since", "2099-01-01T00:00Z").out
    assert (folder / "world.txt").read_text() == world
    (record,) = cli("replay", "g-1", "--json").records
    assert (record["agrees"], record["rulings"], record["divergence"]) == (True, 4, None)


@pytest.mark.usefixtures("store")
def test_a_ruling_that_would_be_another_one_is_shown_on_both_sides(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its entry, and how to find out why it was ruled then."""
    monkeypatch.setattr("holdfast.core.decide.failures.diagnose", _tried_again)
    ended = cli("replay", "--all", "--differing")
    assert ended.code == 1
    assert "f-1  differs at entry " in ended.out
    assert "then   bad: given up" in ended.out and "today  bad: " in ended.out
    assert "why it was ruled then: holdfast show f-1 --why bad" in ended.err
    assert "1 differ" in ended.out


def _tried_again(*given: object, **named: object) -> object:
    return diagnosis.Ruling(verb="retry", reason="tired", wait_seconds=5.0)


@pytest.mark.usefixtures("store")
def test_an_exported_file_is_walked_without_a_store(cli: Cli, folder: Path) -> None:
    """On any machine; one whose bytes were changed is not walked, and one that was redacted cannot be."""
    assert cli("export", "--all", "--out", "x.jsonl").code == 0
    (folder / "holdfast.db").rename(folder / "away.db")
    ended = cli("replay", "x.jsonl")
    assert ended.code == 0 and "3 runs, " in ended.out
    text = (folder / "x.jsonl").read_text()
    (folder / "y.jsonl").write_text(text.replace('"call_succeeded"', '"call_succeedet"', 1))
    assert cli("replay", "y.jsonl").code == 5
    assert cli("export", "g-1", "--redact-values", "--out", "z.jsonl", "--db", "away.db").code == 0
    redacted = cli("replay", "z.jsonl")
    assert redacted.code == 5 and "redacted" in redacted.out


@pytest.mark.usefixtures("store")
def test_what_another_agent_would_have_ruled_is_shown(cli: Cli, folder: Path) -> None:
    """The first ruling that would be another one under its tools."""
    tools = (folder / "tools.py").read_text()
    (folder / "strict.py").write_text(
        tools.replace('@tool(safety="keyed", key_ttl="24h", timeout="20s")', '@tool(safety="irreversible")')
    )
    (folder / "strict.yaml").write_text((folder / "grant.yaml").read_text().replace("tools.py", "strict.py"))
    assert cli("replay", "g-1", "--agent", "grant.yaml").code == 0
    ended = cli("replay", "g-1", "--agent", "strict.yaml")
    assert ended.code == 1
    assert "then   access: calls grant\n" in ended.out and "today  access-1: asks a person: may grant be called?" in ended.out


def test_what_cannot_be_meant_is_said(cli: Cli) -> None:
    """Nothing, everything and something at once, a run that is not there."""
    assert cli("replay").code == 2
    assert cli("replay", "--all", "x").code == 2
    assert cli("run", "quick.yaml", "--id", "q", "-q").code == 0
    assert cli("replay", "q", "--since", "1d").code == 2
    assert "no such run" in cli("replay", "nobody").err
