"""`pause`, `resume`, `instruct`, `handoff`, `done`; and that a word with an id is heard once."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.kit import Cli, stored
from tests.cli.shop import advance, opened

THINKER = """
from decimal import Decimal
from holdfast import Agent, Models, Price
from holdfast.testing.models import ScriptedModel, call

ask = call("ask_person", reason="it is not said", questions=[{"name": "nights", "question": "For how many nights?"}])
models = Models([ScriptedModel([ask, ask, ask], name="m")], prices={"scripted:m": Price(input_usd=Decimal(3), output_usd=Decimal(15))})
agent = Agent("thinker", model=models, tools=[], instructions="You book.")
"""


@pytest.fixture
def shop(cli: Cli, folder: Path) -> Path:
    """A store with a run that waits for finance, which is ann."""

    def make() -> None:
        assert advance(cli, 3) == 3
        cli("people", "add", "ann", "--role", "finance")

    opened(folder)
    stored("steering", folder, make)
    return folder


def test_a_run_that_is_paused_begins_nothing_until_it_is_resumed(cli: Cli, shop: Path) -> None:
    """What it asks can be answered meanwhile."""
    paused = cli("pause", "r-3", "--reason", "the shop moves", "--by", "ann")
    assert (paused.code, paused.out) == (0, "r-3  asked to pause\n")
    assert "let it go on: holdfast resume r-3" in paused.err
    assert "it is paused already" in cli("pause", "r-3", "--by", "ann").err
    cli("answer", "r-3", "approve", "--by", "ann")
    assert advance(cli, 3) == 4
    assert "the shop moves" in cli("show", "r-3").out
    assert cli("resume", "r-3", "--by", "ann").out == "r-3  asked to go on\n"
    assert advance(cli, 3) == 0
    assert cli("resume", "r-3").code == 2


def test_a_pause_may_end_by_itself(cli: Cli, shop: Path) -> None:
    """After a time, or at a moment, which with an id is the same word again."""
    assert "asked to pause until 20" in cli("pause", "r-3", "--for", "2h").out
    cli("resume", "r-3")
    words = ("pause", "r-3", "--until", "2050-01-01T00:00Z", "--id", "p-1", "--by", "ann")
    assert [cli(*words).out for _ in range(2)] == ["r-3  asked to pause until 2050-01-01T00:00:00.000Z\n"] * 2
    assert cli("resume", "r-3", "--json").records == [{"run_id": "r-3", "paused": False}]


def test_a_model_is_told_how_to_go_on(cli: Cli, folder: Path) -> None:
    """What it was told stands on the page of the run; one that follows a plan cannot be told."""
    (folder / "thinker.py").write_text(THINKER)
    assert cli("run", "thinker.py", "Fly", "--id", "t", "-q").code == 3
    assert cli("instruct", "t", "no night trains", "--by", "ann").out == "t  told how to go on\n"
    cli("run", "thinker.py", "--id", "t", "-q")
    assert "ann: no night trains" in cli("show", "t").out
    assert cli("instruct", "t", "be quick", "--json").records == [{"run_id": "t", "instruction": "be quick"}]
    cli("run", "quick.yaml", "--id", "q")
    assert "only a run that a model plans can be instructed" in cli("instruct", "q", "be quick").err


def test_a_run_is_handed_over_done_by_hand_and_given_back(cli: Cli, shop: Path) -> None:
    """The package says what to do, each command works as it stands, and the run goes on from there."""
    page = cli("handoff", "r-3")
    assert page.code == 0 and page.out.startswith("# Handoff of run `r-3`\n") and "\x1b" not in page.out
    assert "holdfast answer r-3 refund-1 DECISION" in page.out
    taken = cli("handoff", "r-3", "--take", "--by", "ann", "--reason", "the bank called")
    assert taken.code == 0 and "r-3: asked to be handed over" in taken.err
    assert advance(cli, 3) == 3
    assert cli("done", "r-3", "refund", '{"receipt": "R-9"}', "--note", "at the counter", "--by", "ann").out == (
        "r-3  refund: done by hand\n"
    )
    assert advance(cli, 3) == 3
    (package,) = cli("handoff", "r-3", "--json").records
    assert [step["how"] for step in package["done"]] == ["its call", "by hand"]
    assert cli("answer", "r-3", "approve", "--by", "ann").code == 0
    assert advance(cli, 3) == 0
    assert '"receipt":"R-9"' in cli("show", "r-3").out


def test_words_with_an_id_are_heard_once(cli: Cli, shop: Path) -> None:
    """The same again is nothing new, and another word under that id is refused."""
    said = {
        "signal": ("signal", "r-3", "paid", "1", "--id", "s"),
        "correct": ("correct", "r-3", "host=ann", "guests=2", "--id", "c"),
        "handoff": ("handoff", "r-3", "--take", "--json", "--id", "h"),
        "done": ("done", "r-3", "tell", '"told"', "--id", "d"),
        "comment": ("inbox", "comment", "r-3", "look", "--id", "m"),
    }
    for words in said.values():
        assert [cli(*words, "--by", "ann").code for _ in range(2)] == [0, 0], words
    (shown,) = cli("show", "r-3", "--json").records
    heard = [word["to"] for word in shown["run"]["unheard"]]
    assert sorted(heard) == ["comment", "correct", "correct", "done", "handoff", "signal"]
    other = cli("signal", "r-3", "paid", "2", "--id", "s", "--by", "ann")
    assert other.code == 2 and "the id 's' was used for something else" in other.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("pause r-3 --for soon", "--for 'soon' is no length of time"),
        ("pause r-3 --for 0s", "the pause would be over before it begins"),
        ("pause r-3 --until 2001-01-01T00:00Z", "is not to come"),
        ("pause r-3 --for 1h --until 2050-01-01T00:00Z", "both say when it goes on"),
        ("pause r-3 --for 1h --id p", "give --until with --id"),
        ("pause r-3 --by ''", "--by names nobody"),
        ("pause nobody", "run nobody"),
        ("resume r-3", "it is not paused"),
        ("instruct r-3 ''", "only a run that a model plans"),
        ("handoff r-3 --reason why", "--reason is said of a run that is taken over — add --take"),
        ("handoff nobody", "run nobody"),
        ("done r-3 find 1 --by ann", "the step is done already"),
        ("done r-3 nothing 1 --by ann", "it has no step 'nothing'"),
        ("done r-3 refund R-9 --by ann", "the result is not JSON"),
        ("done r-3 refund 7 --by ann", "this is no result of refund"),
        ("done r-3 refund @none.json --by ann", "none.json cannot be read"),
        ("done r-3 refund null --by eve", "eve is not among the people of this store"),
        ("done r-3 tell '\"x\"' --by ann --id ''", "'' is no id for a word"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(cli: Cli, shop: Path, words: str, why: str) -> None:
    """On stderr, with exit code 2, and nothing on stdout."""
    ended = cli(*shlex.split(words))
    assert (ended.code, ended.out) == (2, ""), ended
    assert why in ended.err and len(ended.err.splitlines()) == 1, ended
