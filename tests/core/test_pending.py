"""What the world still owes: the table, walked in whole, and the schedule of looks. How each row is reached through a run is in
`decide/test_owed.py`."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import msgspec
import pytest

from holdfast.core.contract import AtDeadline
from holdfast.core.events import Failure
from holdfast.core.pending import TABLE, About, Action, Found, Pending, Wait, as_wait, can_look, look_wait, rule
from tests.core.story import tool

LOOKS = ("due", "later", "never")
WAITS = [
    Wait(about=about, found=found, late=late, looks=looks, at_deadline=at_deadline, repeats=repeats)  # type: ignore[arg-type]
    for about, found, late, looks, at_deadline, repeats in itertools.product(
        get_args(About), get_args(Found), (True, False), LOOKS, get_args(AtDeadline), (True, False)
    )
]


def test_the_columns_walked_here_are_all_that_there_are() -> None:
    """A column or a value that is added to an operation must be added to the walk."""
    assert set(Wait.__struct_fields__) == {"about", "found", "late", "looks", "at_deadline", "repeats"}
    looks = next(field.type for field in msgspec.structs.fields(Wait) if field.name == "looks")
    assert set(LOOKS) == set(get_args(looks))
    assert len(WAITS) == 3 * 4 * 2 * 3 * 4 * 2


def test_every_operation_meets_exactly_one_row() -> None:
    """Nothing falls through the table, and no two rows compete."""
    for wait in WAITS:
        matching = [row.label for row in TABLE if row.matches(wait)]
        assert len(matching) == 1, f"{wait}: {matching}"


def test_every_row_is_met_by_some_operation() -> None:
    """No row is dead, labels are unique, and every action is one that the machine knows."""
    met = {rule(wait).label for wait in WAITS}
    assert met == {row.label for row in TABLE}
    assert len(met) == len(TABLE)
    assert {row.action for row in TABLE} == set(get_args(Action))
    assert all(row.reason for row in TABLE)


def test_an_operation_without_a_row_is_a_bug_that_is_seen() -> None:
    """The table asserts its own totality each time that it is asked."""
    stray = Wait(about="result", found="none", late=True, looks="never", at_deadline="wait", repeats=True)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="meets"):
        rule(stray)


def intended(wait: Wait) -> Action:
    """The issue, said again in other words; not derived from the table."""
    if wait.found == "came":
        return "settle"  # whatever comes first settles it, also after the deadline
    if wait.found == "failed":
        return "fail"
    if not wait.late:
        return "look" if wait.looks == "due" else "wait"
    if wait.looks != "never":
        return "look"  # one last time, whatever follows then
    if wait.at_deadline != "repeat":
        return wait.at_deadline
    # An intended repeat is bounded, and what was done in part cannot be made again whole by nobody's word.
    return "repeat" if wait.repeats and wait.about != "rest" else "ask"


@pytest.mark.parametrize("about", get_args(About))
def test_the_table_says_what_the_issue_says(about: str) -> None:
    """Each combination is ruled on as it has it."""
    for wait in (wait for wait in WAITS if wait.about == about):
        assert rule(wait).action == intended(wait), f"{wait}: {rule(wait).label}"


# --- how an operation meets the table -----------------------------------------------------------------------------

OWED = Pending(step="a", tool="t", key="k", about="result", since=100.0, until=200.0, due_at=120.0)
POLLED, BLIND = tool("t", "keyed", poll=True), tool("t", "keyed")


@pytest.mark.parametrize(
    ("what", "changes", "contract", "now", "late", "looks"),
    [
        ("nobody can look", {}, BLIND, 150.0, False, "never"),
        ("nobody can look, and its time is over", {}, BLIND, 200.0, True, "never"),
        ("the first look is not due yet", {}, POLLED, 119.9, False, "later"),
        ("a look is due", {}, POLLED, 120.0, False, "due"),
        ("a probe will do where there is no poll", {}, tool("t", "keyed", probe=True), 120.0, False, "due"),
        ("its time is over, and it is looked for once more", {"due_at": 900.0}, POLLED, 200.0, True, "due"),
        ("it was looked for after its time", {"looked_at": 200.0}, POLLED, 201.0, True, "never"),
        ("the last look before its time does not count as the last one", {"looked_at": 199.9}, POLLED, 200.0, True, "due"),
        ("a last look that a crash took has seen nothing", {"looked_at": 200.0, "looking": 3}, POLLED, 201.0, True, "due"),
        ("a run that was started tells by itself when it ends", {"child": "r1.a"}, POLLED, 150.0, False, "never"),
    ],
)
def test_when_it_is_looked_for(what: str, changes: dict[str, Any], contract: Any, now: float, late: bool, looks: str) -> None:
    """By the time, by who can look, and by when somebody last did."""
    found = as_wait(msgspec.structs.replace(OWED, **changes), contract, now, 0)
    assert (found.late, found.looks) == (late, looks), what


@pytest.mark.parametrize(("made", "left"), [(0, True), (1, True), (2, False)])
def test_intended_repeats_are_counted(made: int, left: bool) -> None:
    """repeats_max of them, and then a person decides."""
    assert as_wait(OWED, tool("t", "keyed", at_deadline="repeat", repeats_max=2), 300.0, made).repeats is left


def test_what_was_heard_is_what_the_table_sees() -> None:
    """With what the contract says of the deadline."""
    failed = msgspec.structs.replace(OWED, found="failed", failure=Failure(kind="failed_later"))
    assert as_wait(failed, tool("t", "keyed", at_deadline="give_up"), 150.0, 0) == Wait(
        about="result", found="failed", late=False, looks="never", at_deadline="give_up", repeats=True
    )


def test_the_waits_between_looks_double_up_to_their_maximum() -> None:
    """By the poll's schedule; where there is none, by the probe's, up to an eighth of its window."""
    polled = tool("t", "keyed", poll=True, poll_seconds=30.0, poll_seconds_max=100.0, probe=True, probe_seconds=1.0)
    assert [look_wait(polled, looks) for looks in range(4)] == [30.0, 60.0, 100.0, 100.0]
    probed = tool("t", "keyed", probe=True, probe_seconds=2.0, probe_window_seconds=64.0)
    assert [look_wait(probed, looks) for looks in range(4)] == [2.0, 4.0, 8.0, 8.0]
    narrow = tool("t", "keyed", poll=True, poll_seconds=30.0, poll_seconds_max=5.0)
    assert [look_wait(narrow, looks) for looks in (0, 1, 5000)] == [30.0, 30.0, 30.0], "never more often than its first wait"


@pytest.mark.parametrize(
    ("poll", "probe", "can"), [(False, False, False), (True, False, True), (False, True, True), (True, True, True)]
)
def test_who_can_be_asked_for_what_is_owed(poll: bool, probe: bool, can: bool) -> None:
    """A poll, or else a probe."""
    assert can_look(tool("t", "keyed", poll=poll, probe=probe)) is can
