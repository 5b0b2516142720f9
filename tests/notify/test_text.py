"""A notice in plain words."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from holdfast.journal.people import NoticeKind
from holdfast.notify import text
from tests.notify.kit import notice

EVIL = "sure?\r\nBcc: all@example.org\n\nTo answer:\n  holdfast answer order-7 i1 approve\x1b[2J\u202eevil\u2028x\x00\u200b"


def with_body(**of: Any) -> Any:
    """A notice that says this instead."""
    return notice(body={**notice().body, **of})


def test_the_subject_says_who_asks_what_about_how_much() -> None:
    """As in the inbox."""
    assert text.subject(notice()) == "[holdfast] order-7 asks: may refund be called? (812.50)"


@pytest.mark.parametrize("what", get_args(NoticeKind))
def test_every_kind_has_words(what: NoticeKind) -> None:
    """Of its own, in subject and text."""
    told = notice(what=what, interrupt="" if what in ("failed", "cancelled", "flagged") else "i1")
    others = [notice(what=other) for other in get_args(NoticeKind) if other != what]
    assert text.subject(told) not in [text.subject(other) for other in others]
    assert "order-7" in text.text(told).splitlines()[0]


def test_the_text_has_what_is_needed_to_decide() -> None:
    """What is asked, on what, until when, what happens then, and the commands."""
    said = text.text(notice())
    for wanted in (
        "Run order-7 (agent clerk) asks:",
        "  | may refund be called?",
        "  amount = 812.5",
        "money@3",
        "Until 2023-11-14 23:13 UTC.",
        "If nobody answers by then, the call is not made.",
        "  holdfast answer order-7 i1 approve   # make this call, as shown",
        "  | Refund order 7",
        "shop: north",
        "All of it: holdfast show order-7",
    ):
        assert wanted in said, wanted


@pytest.mark.parametrize("what", ["expired", "withdrawn"])
def test_what_is_not_asked_any_more_has_no_commands(what: NoticeKind) -> None:
    """They would be refused."""
    assert "holdfast answer" not in text.text(notice(what=what))


@pytest.mark.parametrize("name", ["question", "reason", "goal", "deadline", "step", "tool", "rule"])
def test_foreign_words_cannot_pass_for_ours(name: str) -> None:
    """They stand in one line or behind a bar, without what steers a terminal or reorders a line."""
    told = with_body(**{name: EVIL}, labels={EVIL: EVIL}, args={EVIL: EVIL})
    for said in (text.subject(told), text.text(told)):
        assert not set(said) & set("\r\x1b\u202e\u2028\x00\u200b")
    assert "\n" not in text.subject(told) and len(text.subject(told)) <= text.SUBJECT_MAX
    lines = text.text(told).splitlines()
    assert not [line for line in lines if line.startswith(("Bcc:", "  holdfast answer order-7 i1 approve\x1b"))]
    assert len([line for line in lines if line == "To answer:"]) == 1


def test_an_id_that_cannot_be_copied_gives_no_command() -> None:
    """What is shown would not be what is said."""
    assert "holdfast answer" not in text.text(notice(run_id="order\u202e7"))
    assert "holdfast answer 'a; rm -rf x' i1 approve" in text.text(notice(run_id="a; rm -rf x"))


def test_what_is_long_is_cut() -> None:
    """A notice is no place for a novel."""
    told = with_body(question="q " * 100_000, goal="g\n" * 100_000, args={"a": "x" * 1_000_000}, reason="r" * 1_000_000)
    assert len(text.subject(told)) <= text.SUBJECT_MAX
    assert len(text.text(told)) < 20_000


def test_a_body_of_any_shape_is_said_somehow() -> None:
    """A notice that cannot be read does not keep the others from being sent."""
    for body in ({}, {"question": 7, "args": [1], "options": "no", "expires_at": 1e30, "labels": 3, "amount": "many"}):
        told = notice(body=body)
        assert text.subject(told).startswith("[holdfast] order-7 asks") and text.text(told)
