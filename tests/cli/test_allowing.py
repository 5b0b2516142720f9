"""`allow`, `allowed`, `revoke`, and `answer --standing`: a yes in advance."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.kit import Cli, stored
from tests.cli.shop import advance, opened


@pytest.fixture
def shop(cli: Cli, folder: Path) -> Path:
    """A store whose finance is ann; eve has another role."""

    def make() -> None:
        cli("people", "add", "ann", "--role", "finance")
        cli("people", "add", "eve", "--role", "support")

    opened(folder)
    stored("allowing", folder, make)
    return folder


def given(cli: Cli, *words: str) -> str:
    """The id of an approval in advance."""
    return str(cli("allow", *words, "--json").records[0]["id"])


def test_what_is_allowed_is_not_asked_until_it_is_revoked(cli: Cli, shop: Path) -> None:
    """It answers in the name of who gave it, and its use is counted."""
    ended = cli(
        "allow", "refund", "--until", "7d", "--arg", "order=o-3", "--amount-max", "125", "--note", "regular", "--by", "ann"
    )
    assert ended.code == 0
    found = re.match(r'(yes-\w+)  refund with order="o-3", up to 125 until ', ended.out)
    assert found is not None
    assert f"take it back: holdfast revoke {found[1]}" in ended.err
    assert (advance(cli, 3), advance(cli, 4)) == (0, 3)
    (row,) = cli("allowed").out.splitlines()[1:]
    assert re.split(r"  +", row)[:5] == [found[1], "refund", 'with order="o-3", up to 125', "once", "in force"]
    assert re.split(r"  +", row)[6:] == ["ann", "regular"]
    revoked = cli("revoke", found[1], "--by", "ann")
    assert revoked.out == f"{found[1]}  refund: revoked by ann, used 1 times\n"
    assert cli("allowed").err == "nothing is approved in advance in holdfast.db\n"
    assert "revoked by ann" in cli("allowed", "--all").out
    assert advance(cli, 3, run="again") == 3


def test_a_use_that_was_the_last_ends_it(cli: Cli, shop: Path) -> None:
    """The list says so where those that ended are asked for."""
    given(cli, "refund", "--until", "1h", "--uses", "1", "--agent", "shop", "--by", "ann")
    advance(cli, 3)
    assert cli("allowed").out == ""
    assert "used up" in cli("allowed", "--all").out


def test_a_yes_with_standing_answers_this_and_what_is_like_it(cli: Cli, shop: Path) -> None:
    """With the arguments of the question, of its agent; another order is asked about."""
    advance(cli, 3)
    ended = cli("answer", "r-3", "approve", "--standing", "7d", "--same-args", "--uses", "5", "--by", "ann")
    first, second = ended.out.splitlines()
    assert (ended.code, first) == (0, "r-3  refund-1: approve")
    assert 'refund with amount=120.0, order="o-3", of agent shop, 5 times at most until ' in second
    assert "take it back: holdfast revoke yes-" in ended.err
    assert advance(cli, 3) == 0
    (used,) = cli("allowed", "--json").records
    assert used.get("uses", 0) == 0, "the yes that it was given with is an answer by itself"
    assert (advance(cli, 3, run="same"), advance(cli, 4)) == (0, 3)
    (record,) = cli("answer", "r-4", "approve", "--standing", "1h", "--by", "ann", "--json").records
    assert record["standing"].startswith("yes-")


def test_nothing_is_answered_where_it_cannot_be_approved_in_advance(cli: Cli, shop: Path) -> None:
    """It is looked at before; the question stays open."""
    advance(cli, 1)
    refused = cli("answer", "r-1", "approve", "--standing", "7d", "--by", "ann")
    assert refused.code == 2 and "refund-1: it needs several people" in refused.err
    assert "answered" not in cli("inbox", "show", "r-1").out
    assert cli("allowed").out == ""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("allow refund --by ann", "--until"),
        ("allow refund --until soon --by ann", "--until 'soon' is no time — write it as 30m, 2h, 7d, or as 2026-12-01T09:00Z"),
        ("allow refund --until 2001-01-01T00:00Z --by ann", "--until '2001-01-01T00:00Z' is not to come"),
        ("allow refund --until 2050-01-01T00:00 --by ann", "has no zone"),
        ("allow refund --until 900d --by ann", "ends after a year at the latest"),
        ("allow refund --until 7d --arg order --by ann", "--arg 'order' is not name=value"),
        ("allow refund --until 7d --arg a=1 --arg a=2 --by ann", "an argument is given twice"),
        ("allow refund --until 7d --amount-max inf --by ann", "--amount-max is no number"),
        ("allow refund --until 7d --uses 0 --by ann", "--uses"),
        ("allow '' --until 7d --by ann", "a standing approval is for one tool"),
        ("allow refund --until 7d --by zoe", "zoe is not among the people of this store"),
        ("revoke yes-0 --by ann", "there is no approval in advance 'yes-0' — holdfast allowed --all lists them"),
        ("answer r-3 reject no --standing 7d --by ann", "--standing is a yes, and reject is none"),
        ("answer r-3 approve --same-args --by ann", "--same-args is said of what is approved in advance"),
        ("answer r-3 approve --uses 2 --by ann", "add --standing 7d"),
        ("answer r-3 approve --standing soon --by ann", "--standing 'soon' is no time"),
        ("answer r-3 approve --standing 7d --by eve", "eve may not decide it"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(cli: Cli, shop: Path, words: str, why: str) -> None:
    """On stderr, with exit code 2, and nothing on stdout; nothing is answered."""
    advance(cli, 3)
    ended = cli(*shlex.split(words))
    assert (ended.code, ended.out) == (2, ""), ended
    assert why in ended.err and len(ended.err.splitlines()) == 1, ended
    assert "answered" not in cli("inbox", "show", "r-3").out
