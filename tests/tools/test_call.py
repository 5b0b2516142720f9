"""What a tool is handed of its call, and what it may report while it is in it."""

from __future__ import annotations

import math
import threading
from decimal import Decimal
from typing import Any

import pytest

from holdfast.core.events import Change
from holdfast.tools.call import CHANGES_MAX, Call


def call() -> Call:
    """A call."""
    return Call(run_id="r", step="s", key="k")


def test_what_else_a_call_changed_is_added_up_by_name_and_note() -> None:
    """In the order in which it was first reported."""
    made = call()
    for name, amount, note in (("credit", 3, ""), ("mails", 1, ""), ("credit", 0.5, ""), ("credit", 1, "night rate")):
        made.changed(name, amount, note)
    made.changed("seen")
    assert made.reports.changes == (
        Change(name="credit", amount=3.5),
        Change(name="mails", amount=1),
        Change(name="credit", amount=1, note="night rate"),
        Change(name="seen", amount=1),
    )


@pytest.mark.parametrize(
    ("amount", "kept", "note"),
    [
        (Decimal("1.5"), 1.5, "n"),
        (-2, -2, "n"),
        (math.nan, 0, "float is no amount; n"),
        (math.inf, 0, "float is no amount; n"),
        (10**400, 0, "int is no amount; n"),
        ("3", 0, "str is no amount; n"),
        (True, 0, "bool is no amount; n"),
        (None, 0, "NoneType is no amount; n"),
    ],
)
def test_what_is_no_amount_counts_as_nothing_and_is_noted(amount: Any, kept: float, note: str) -> None:
    """The report is kept all the same: something was changed."""
    made = call()
    made.changed("credit", amount, "n")
    assert made.reports.changes == (Change(name="credit", amount=kept, note=note),)


def test_a_sum_that_is_no_number_any_more_stays_at_the_last_that_was() -> None:
    """Nothing that cannot be written is ever kept."""
    made = call()
    made.changed("credit", 1e308)
    made.changed("credit", 1e308)
    assert made.reports.changes == (Change(name="credit", amount=1e308),)


def test_what_is_reported_is_bounded() -> None:
    """A tool that reports each row under a note of its own does not fill the journal."""
    made = call()
    made.changed("rows", 1)
    for number in range(10 * CHANGES_MAX):
        made.changed("rows", 1, f"row {number}")
        made.changed(f"other {number}", 1)
    changes = made.reports.changes
    assert len(changes) == CHANGES_MAX
    assert changes[0].amount > 1, "those that have no place of their own are added to their name"


def test_reports_come_from_any_thread() -> None:
    """None is lost."""
    made = call()

    def report() -> None:
        for _ in range(1000):
            made.changed("rows")

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.reports.changes == (Change(name="rows", amount=4000),)


def test_progress_is_the_last_that_was_said_and_somebody_may_listen() -> None:
    """With or without words."""
    made, heard = call(), []
    made.progress("page 1")
    made.reports.on_progress = lambda: heard.append(made.reports.words)
    made.progress("page 2")
    made.progress()
    assert heard == ["page 2", ""]


def test_each_call_has_reports_of_its_own() -> None:
    """And knows no token and no handle unless it is given one."""
    one, other = call(), call()
    one.changed("credit")
    assert other.reports.changes == ()
    assert (one.token, one.handle) == ("", "")
