"""`holdfast people`: who may decide what people are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.kit import Cli


def test_people_are_added_listed_and_removed(cli: Cli, folder: Path) -> None:
    """The first one makes a difference, and so does the last; both are said."""
    first = cli("people", "add", "ann", "--role", "finance", "--role", "heads", "--mail", "ann@shop.test")
    assert (first.code, first.out) == (0, "ann  roles finance, heads  ann@shop.test\n")
    assert first.err == "from now on only people of this store decide what people are asked\n"
    assert cli("people", "add", "bob", "--tenant", "acme").out == "bob  no role  only for acme\n"
    header, *rows = cli("people").out.splitlines()
    assert header.split() == ["name", "roles", "mail", "only", "for"]
    assert [row.split() for row in rows] == [["ann", "finance,", "heads", "ann@shop.test"], ["bob", "acme"]]
    assert cli("people", "--json").records == [
        {"name": "ann", "roles": ["finance", "heads"], "mail": "ann@shop.test"}, {"name": "bob", "tenants": ["acme"]},
    ]  # fmt: skip
    assert cli("people", "remove", "bob", "--json").records == [{"removed": "bob"}]
    last = cli("people", "remove", "ann")
    assert last.out == "ann  is known no more\n"
    assert "anybody may decide what names nobody" in last.err
    assert "holdfast people add NAME --role ROLE" in cli("people").err


def test_who_is_replaced_is_told(cli: Cli, folder: Path) -> None:
    """All that was said of them is gone, so it is shown; the same once more is nothing to tell."""
    cli("people", "add", "ann", "--role", "finance")
    changed = cli("people", "add", "ann", "--role", "heads")
    assert (changed.out, changed.err) == ("ann  roles heads\n", "in place of: ann  roles finance\n")
    assert cli("people", "add", "ann", "--role", "heads").err == ""


def test_what_somebody_approved_in_advance_is_named_when_they_go(cli: Cli, folder: Path) -> None:
    """For it goes on to hold."""
    cli("people", "add", "ann", "--role", "finance")
    cli("allow", "pay", "--until", "7d", "--by", "ann")
    assert "1 that they approved in advance still hold: holdfast allowed" in cli("people", "remove", "ann").err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", ""), "'' is no name of a person, a role or a tenant"),
        (("add", " ann"), "no name of a person"),
        (("add", "ann", "--role", ""), "no name of a person, a role or a tenant"),
        (("add", "finance"), "finance is a role, and cannot be somebody's name"),
        (("add", "zoe", "--role", "bob"), "bob is a person, and cannot be a role"),
        (("add", "ann", "--mail", "ann"), "--mail 'ann' is no address"),
        (("remove", "zoe"), "nobody is known as zoe — holdfast people lists who is"),
        (("--db", "other.db"), "there is no store other.db"),
        (("--db", "holdfast.db", "remove", "bob"), "--db stands before remove"),
        (("nonsense",), "nonsense"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(cli: Cli, folder: Path, words: tuple[str, ...], why: str) -> None:
    """On stderr, with exit code 2, and nothing on stdout."""
    cli("people", "add", "bob", "--role", "finance")
    ended = cli("people", *words)
    assert (ended.code, ended.out) == (2, ""), ended
    assert why in ended.err and len(ended.err.splitlines()) == 1, ended
