"""What is counted of rulings, questions and decisions."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.figures import By, Figure, figures, wilson
from tests.figures.rows import T0, asked, odd_rows, ruled, waiting


def only(*rows: object, by: By = "rule", open_ones: tuple[object, ...] = (), now: float = T0 + 100) -> Figure:
    """The figures of what is about one rule."""
    (figure,) = figures(rows, open_ones, now, by)  # type: ignore[arg-type]
    return figure


def test_the_known_record_is_counted() -> None:
    """Each row in its place, and rates of what a person could have said yes to."""
    figure = only(
        ruled(1), ruled(2, verdict="sample", draw=0.9, rate=0.5), ruled(3, verdict="block"),
        asked(4, "approve"), asked(5, "approve", verdict="sample"), asked(6, "reject"), asked(7, "edit"), asked(8, "respond"),
        asked(9, "cancel"), asked(10, "approve", standing="s1"), asked(11, "expired", by=()), asked(12, "withdrawn", by=()), asked(13),
        asked(14, "respond", kind="question"),
    )  # fmt: skip
    assert (figure.rulings, figure.asked, figure.passed, figure.blocked, figure.sampled) == (14, 11, 2, 1, 1)
    assert (figure.decided, figure.approved, figure.edited, figure.rejected, figure.responded, figure.cancelled) == (
        7,
        2,
        1,
        1,
        2,
        1,
    )
    assert (figure.standing, figure.expired, figure.withdrawn, figure.undecided) == (1, 1, 1, 1)
    assert (figure.weighed, figure.overridden, figure.override_rate) == (6, 4, 4 / 6)
    assert figure.override_interval == wilson(4, 6)
    assert (figure.by, figure.name, figure.policy) == ("rule", "large", "refunds")


def test_of_nothing_there_is_no_rate_and_no_time() -> None:
    """None, and not 0 %."""
    figure = only(ruled())
    assert figure.override_rate is figure.override_interval is figure.decide_seconds_median is figure.decide_seconds_p90 is None
    assert figure.open_seconds_median is figure.open_seconds_max is None
    assert figures([], [], T0) == []


def test_standing_approvals_and_silence_are_no_override() -> None:
    """Neither for nor against: the rate is of what people decided."""
    assert only(asked(1, "approve", standing="s"), asked(2, "expired"), asked(3)).override_rate is None
    assert only(asked(1, "approve", standing="s"), asked(2, "expired"), asked(3, "reject")).override_rate == 1.0


def test_the_time_to_decide_counts_from_when_it_was_seen() -> None:
    """Else from when it was asked; how many are of which kind is said."""
    rows = [asked(n, "approve", at=T0, seen_at=T0 + 100, decided_at=T0 + 100 + n) for n in range(1, 11)]
    figure = only(*rows)
    assert (figure.decide_seconds_median, figure.decide_seconds_p90) == (5.5, 9.0)
    assert (figure.from_seen, figure.from_asked) == (10, 0)
    figure = only(asked(1, "approve", at=T0, seen_at=None, decided_at=T0 + 30))
    assert (figure.decide_seconds_median, figure.from_seen, figure.from_asked) == (30.0, 0, 1)


@pytest.mark.parametrize(
    ("seen_at", "decided_at", "median", "start"),
    [
        (T0 + 50, T0 + 20, 20.0, (0, 1)),  # seen after it was decided
        (T0 - 50, T0 + 20, 20.0, (0, 1)),  # seen before it was asked
        (T0 + 1, T0 - 5, None, (0, 0)),  # decided before it was asked
        (None, None, None, (0, 0)),
    ],
)
def test_odd_times_are_left_out_and_the_rest_counted(
    seen_at: float | None, decided_at: float | None, median: float | None, start: tuple[int, int]
) -> None:
    """A time that cannot be is not one; the decision is."""
    figure = only(asked(1, "reject", at=T0, seen_at=seen_at, decided_at=decided_at))
    assert (figure.decided, figure.decide_seconds_median) == (1, median)
    assert (figure.from_seen, figure.from_asked) == start


def test_quick_is_only_what_is_known_to_be() -> None:
    """Seen and decided within five seconds, or asked and decided within five; of others nobody knows."""
    figure = only(
        asked(1, "approve", at=T0, seen_at=T0 + 90, decided_at=T0 + 94.9),
        asked(2, "approve", at=T0, seen_at=T0 + 90, decided_at=T0 + 95),
        asked(3, "approve", at=T0, seen_at=None, decided_at=T0 + 3),
        asked(4, "approve", at=T0, seen_at=None, decided_at=T0 + 60, bulk=True),
    )
    assert (figure.quick, figure.quick_of, figure.bulk) == (2, 3, 1)


def test_what_is_open_is_counted_with_its_age() -> None:
    """Median and oldest; a clock that went back makes no negative age."""
    figure = only(open_ones=(waiting(0), waiting(90), waiting(100), waiting(500)), now=T0 + 100)
    assert (figure.open, figure.open_seconds_median, figure.open_seconds_max) == (4, 5.0, 100.0)
    assert figure.rulings == 0


def test_by_tool_and_policy_the_same_rows_are_counted_otherwise() -> None:
    """Versions of a policy are one when rules are counted, and several when policies are."""
    rows = [asked(1, "approve"), asked(2, "reject", policy="refunds@2"), asked(3, "reject", tool="mail", rule="mails")]
    assert [(f.name, f.policy, f.asked, f.overridden) for f in figures(rows, [], T0)] == [
        ("large", "refunds", 2, 1), ("mails", "refunds", 1, 1),
    ]  # fmt: skip
    assert [(f.name, f.asked) for f in figures(rows, [], T0, "tool")] == [("refund", 2), ("mail", 1)]
    assert [(f.name, f.asked) for f in figures(rows, [], T0, "policy")] == [("refunds@1", 2), ("refunds@2", 1)]


def test_a_person_has_what_that_person_decided() -> None:
    """A yes of two is of both, with the time of the last; a no is of who said it, whoever had approved before."""
    rows = [
        asked(1, "approve", by=("ann", "bob")),
        asked(2, "reject", by=("ann", "bob")),
        asked(3, "approve", by=("bob",)),
        asked(4),
        ruled(5),
    ]
    found = {figure.name: figure for figure in figures(rows, [waiting(4)], T0 + 50, "person")}
    assert found.keys() == {"ann", "bob"}
    assert (found["ann"].decided, found["ann"].overridden, found["ann"].from_seen, found["ann"].open) == (1, 0, 0, 0)
    assert (found["bob"].decided, found["bob"].overridden, found["bob"].from_seen) == (3, 1, 3)


@given(st.lists(odd_rows, max_size=30), st.sampled_from(get_args(By)))
def test_counts_add_up(rows: list[object], by: By) -> None:
    """Whatever the rows say: each is in exactly one place, nothing is negative, and nothing raises."""
    found = figures(rows, [waiting(n, rule="one", tool="t") for n in range(3)], T0, by)  # type: ignore[arg-type]
    for figure in found:
        assert figure.rulings == figure.asked + figure.passed + figure.blocked
        assert figure.decided == figure.approved + figure.edited + figure.rejected + figure.responded + figure.cancelled
        assert figure.asked == figure.decided + figure.standing + figure.expired + figure.withdrawn + figure.undecided
        assert figure.overridden <= figure.weighed <= figure.decided
        assert figure.from_seen + figure.from_asked <= figure.decided
        assert figure.quick <= figure.quick_of
        assert (figure.override_rate is None) == (figure.weighed == 0)
        assert all(value >= 0 for name in figure.__struct_fields__ if isinstance(value := getattr(figure, name), (int, float)))
    if by != "person":
        assert sum(figure.rulings for figure in found) == len(rows)
        assert sum(figure.open for figure in found) == 3
