"""When a person is asked first, what they may answer, and what an answer is bound to."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from holdfast.core.approval import OPTIONS, asks_first, shown_digest
from holdfast.core.contract import Contract
from holdfast.core.events import DecisionName, InterruptSubject
from holdfast.core.plan import Step

CONTRACT = Contract(tool="pay", safety="irreversible")


@pytest.mark.parametrize(
    ("tool", "plan", "asks"),
    [("always", None, True), ("always", "never", True), ("never", None, False), ("never", "always", True), ("never", "never", False),
     (None, None, True), (None, "never", True)],
)  # fmt: skip
def test_a_plan_can_ask_where_the_tool_does_not_and_never_the_other_way_round(tool: Any, plan: Any, asks: bool) -> None:
    """Approval is a property of the tool."""
    assert asks_first(msgspec.structs.replace(CONTRACT, approve=tool), Step(id="a", tool="pay", approve=plan)) is asks


def test_every_subject_has_its_options_and_each_says_what_follows() -> None:
    """A person can always refuse, and cancel what has not stopped yet; nothing is offered twice. What is owed is asked about
    in three ways: a result, a rest, and what nobody sees. A call of a fork may have a result: its source's."""
    assert OPTIONS.keys() == set(get_args(InterruptSubject)) | {"rest", "sight", "forked"}
    for subject, options in OPTIONS.items():
        names = [option.decision for option in options]
        assert len(names) == len(set(names))
        always = {"reject"} if subject == "stop" else {"reject", "cancel"}
        assert always <= set(names) <= set(get_args(DecisionName)), subject
        assert all(option.means for option in options)


def test_what_cannot_be_decided_is_not_offered() -> None:
    """A call that was made cannot be edited: that would be another call. What was not made has no result to give."""
    offered = {subject: {option.decision for option in options} for subject, options in OPTIONS.items()}
    owed = offered["owed"] | offered["rest"] | offered["sight"]
    assert "edit" not in offered["doubt"] | owed | offered["agent"] | offered["stop"]
    assert "respond" not in offered["call"] | offered["agent"] | offered["stop"]
    assert offered["stop"] == {"approve", "reject"}


def test_an_approval_is_bound_to_everything_that_was_shown() -> None:
    """Another tool, another argument, or any other promise of the tool is another digest."""
    shown = shown_digest("pay", {"amount": 5, "to": "x"}, CONTRACT)
    assert shown == shown_digest("pay", {"to": "x", "amount": 5}, CONTRACT)
    others = [
        shown_digest("pay2", {"amount": 5, "to": "x"}, CONTRACT),
        shown_digest("pay", {"amount": 6, "to": "x"}, CONTRACT),
        shown_digest("pay", {"amount": 5}, CONTRACT),
        shown_digest("pay", {"amount": 5, "to": "x", "note": None}, CONTRACT),
        *(
            shown_digest("pay", {"amount": 5, "to": "x"}, msgspec.structs.replace(CONTRACT, **change))
            for change in (
                {"timeout_seconds": 9.0},
                {"description": "x"},
                {"input_schema": {"a": 1}},
                {"safety": "keyed"},
                {"undo": "u"},
            )
        ),
    ]
    assert len({shown, *others}) == len(others) + 1
