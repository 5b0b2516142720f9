"""`gates`: which tools are held back, and how to let them go."""

from __future__ import annotations

import re

import pytest

from tests.cli.kit import Cli

pytestmark = pytest.mark.usefixtures("messy")


def test_gates_tell_circuits_and_rates_in_words(cli: Cli) -> None:
    """Open until when and why; how many calls are remembered."""
    assert cli("run", "down.yaml", "--id", "d").code == 0
    lines = cli("gates").out.splitlines()
    assert lines[0].split() == ["tool", "circuit", "what", "is", "known"]
    assert re.match(r"counted +closed +1 call remembered, the last \S+ ago$", lines[1]), lines
    assert re.match(r"flaky +open +nobody calls it until \S+Z \(in (59m\d\ds|1h)\) after 1 failure$", lines[2]), lines
    records = {record["tool"]: record for record in cli("gates", "--json").records}
    assert (records["flaky"]["circuit"], records["flaky"]["failures"]) == ("open", 1)
    assert (records["counted"]["circuit"], records["counted"]["calls"]) == ("closed", 1)


def test_a_call_behind_an_open_circuit_says_so(cli: Cli) -> None:
    """While it is held back, and when it is tried again."""
    cli("run", "down.yaml", "--id", "d")
    held = cli("run", "after.yaml", "--id", "a", "--patience", "0s")
    assert held.code == 4
    assert "a: not called yet: the circuit of flaky is open; tried again at" in held.err
    assert re.search(r"^  a +flaky\(\) +idempotent +held back +in .*the circuit of flaky is open", cli("show", "a").out, re.M)


def test_a_gate_can_be_reset(cli: Cli) -> None:
    """Then nothing is known of it; a second time there is nothing to forget."""
    cli("run", "down.yaml", "--id", "d")
    assert cli("gates", "reset", "flaky").out == "flaky  its gate is forgotten; it may be called\n"
    assert [record["tool"] for record in cli("gates", "--json").records] == ["counted"]
    again = cli("gates", "reset", "flaky")
    assert again.code == 2 and "nothing is known of a gate of flaky — there are gates of: counted" in again.err
    assert cli("gates", "reset", "counted", "--json").records == [{"tool": "counted", "reset": True}]


def test_where_no_gate_is_known_it_says_so(cli: Cli) -> None:
    """That is no error."""
    cli("run", "quick.yaml", "--id", "q")
    ended = cli("gates")
    assert (ended.code, ended.out) == (0, "") and "no tool with a circuit or a rate was called" in ended.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("open", "flaky"), "'open flaky' is nothing that gates can do — gates, or gates reset TOOL"),
        (("reset",), "reset needs one tool — gates reset TOOL"),
        (("reset", "a", "b"), "reset needs one tool — gates reset TOOL"),
    ],
)
def test_other_words_are_one_clear_error(cli: Cli, words: tuple[str, ...], message: str) -> None:
    """Exit code 2."""
    cli("run", "quick.yaml", "--id", "q")
    refused = cli("gates", *words)
    assert (refused.code, refused.out) == (2, "") and message in refused.err
