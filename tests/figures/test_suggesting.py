"""What is suggested from the record, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.figures import Suggestion, Tolerance, suggestions, wilson
from holdfast.figures.suggesting import cuts, sampling_rate
from holdfast.journal.people import Judged
from tests.figures.rows import asked, odd_rows, ruled


def of_kind(kind: str, rows: list[Judged], **bear: Any) -> list[Suggestion]:
    """The suggestions of one kind."""
    return [suggested for suggested in suggestions(rows, Tolerance(**bear)) if suggested.kind == kind]


def split(below: int, above: int, every: int = 2) -> list[Judged]:
    """Amounts from 1 up; of those above, one of so many is rejected."""
    calm = [asked(n, "approve", amount=float(n)) for n in range(1, below + 1)]
    return calm + [asked(n, "approve" if n % every else "reject", amount=float(n)) for n in range(below + 1, below + above + 1)]


# --- thresholds ---------------------------------------------------------------------------------------------------


def test_where_only_large_amounts_are_overridden_a_threshold_is_suggested() -> None:
    """With what it would have asked, what it would have let through, and how sure that is."""
    (found,) = of_kind("threshold", split(41, 20))
    assert (found.threshold, found.fewer, found.let_through, found.let_through_amount) == (41.0, 41.0, 0.0, 0.0)
    assert (found.decided, found.overridden) == (61, 10)
    interval = wilson(0, 41)
    assert interval is not None
    assert found.cuts[0].rate_max == interval.high
    assert f"{interval.high * 100:.3g} %" in found.sure
    assert found.what == "ask only above 41: 41 fewer of 61, 0 overridden let through"


def test_the_table_has_what_a_few_more_let_through_would_save() -> None:
    """For each number of them the highest threshold, with what they are about."""
    (found,) = of_kind("threshold", split(41, 20))
    assert [(cut.threshold, cut.asked, cut.let_through, cut.let_through_amount) for cut in found.cuts] == [
        (41.0, 20, 0, 0.0), (43.0, 18, 1, 42.0), (45.0, 16, 2, 86.0), (47.0, 14, 3, 132.0),
    ]  # fmt: skip
    assert all(cut.asked + cut.fewer == 61 for cut in found.cuts)


def test_an_override_among_the_smallest_is_let_through_by_name() -> None:
    """Where no threshold lets none through, the one that lets the fewest is suggested."""
    rows = [asked(999, "reject", amount=0.5), *split(60, 30)]
    (found,) = of_kind("threshold", rows)
    assert (found.threshold, found.let_through, found.let_through_amount) == (61.0, 1.0, 0.5)
    assert "1 overridden over 0.5 together let through" in found.what


@pytest.mark.parametrize("below", [10, 28])
def test_too_few_below_are_no_evidence(below: int) -> None:
    """Thirty decided below it, or no threshold; 29 are below the first one that is rejected here."""
    assert all(cut.fewer >= 30 for cut in cuts(split(below, 20)))
    assert not [cut for cut in cuts(split(below, 20)) if cut.let_through == 0]
    assert [cut.fewer for cut in cuts(split(30, 20)) if cut.let_through == 0] == [31]


def test_overrides_that_have_nothing_to_do_with_the_amount_suggest_no_threshold() -> None:
    """That the lowest of a few comes late is chance."""
    rows = [asked(n, "reject" if n == 70 else "approve", amount=float(n)) for n in range(1, 101)]
    assert [cut.chance for cut in cuts(rows)] == [pytest.approx(0.31)]
    assert of_kind("threshold", rows) == []


def test_equal_amounts_are_not_torn_apart() -> None:
    """A threshold lies between amounts."""
    rows = [asked(n, "approve" if n < 39 else "reject", amount=100.0) for n in range(40)]
    rows += [asked(n, "approve", amount=50.0) for n in range(40, 75)]
    (cut,) = cuts(rows)
    assert (cut.threshold, cut.fewer, cut.asked) == (50.0, 35, 40)


# --- rates --------------------------------------------------------------------------------------------------------


def test_a_rule_that_is_hardly_overruled_gets_a_sampling_rate() -> None:
    """So low that at worst ten of a thousand are let through that would be overridden."""
    rows = [asked(n, "reject" if n < 3 else "approve", amount=10.0) for n in range(300)]
    (found,) = of_kind("rate", rows)
    worst = wilson(3, 300)
    assert worst is not None
    assert found.rate is not None
    assert (1 - found.rate) * worst.high * 1000 <= 10 < (1 - found.rate + 0.01) * worst.high * 1000
    assert found.let_through == pytest.approx((1 - found.rate) * 3)
    assert found.let_through_amount == pytest.approx((1 - found.rate) * 30)
    assert found.fewer == pytest.approx((1 - found.rate) * 300)


def test_nothing_is_looked_at_never() -> None:
    """However safe it seems, a part is looked at; what is not looked at teaches nothing."""
    assert sampling_rate(0.0) == sampling_rate(0.01) == 0.05
    assert sampling_rate(0.5) == 0.98
    assert sampling_rate(0.02) == 0.5


def test_what_is_often_overruled_gets_no_lower_rate() -> None:
    """Nor does what is sampled at that rate already."""
    assert of_kind("rate", [asked(n, "reject" if n % 3 else "approve") for n in range(90)]) == []
    sampled = [asked(n, "approve", verdict="sample", rate=0.05, draw=0.01) for n in range(2000)]
    assert of_kind("rate", sampled) == []


def test_a_sample_that_is_lowered_lets_through_only_the_difference() -> None:
    """What was sampled at a half and is sampled at a quarter loses half of what was asked."""
    rows = [asked(n, "reject" if n < 2 else "approve", verdict="sample", rate=0.5, draw=0.1) for n in range(400)]
    (found,) = of_kind("rate", rows)
    assert found.rate is not None
    assert found.let_through == pytest.approx((1 - found.rate / 0.5) * 2)


# --- ask more -----------------------------------------------------------------------------------------------------


def test_a_sample_that_is_often_overruled_should_ask_more() -> None:
    """With what went through unseen, as far as it can be told."""
    rows = [asked(n, "approve" if n % 4 else "reject", verdict="sample", rate=0.2, draw=0.1) for n in range(100)]
    rows += [ruled(n, verdict="sample", rate=0.2, draw=0.9, amount=10.0) for n in range(100, 500)]
    (found,) = of_kind("ask_more", rows)
    assert (found.rate, found.fewer, found.let_through, found.let_through_amount) == (1.0, -400.0, 100.0, 1000.0)
    low, share, high = found.rate_low, 0.25, found.rate_high
    assert 0.1 < low < share < high
    assert of_kind("ask_more", rows, ask_more_above=(low + share) / 2) == []
    assert of_kind("ask_more", rows, ask_more_above=low - 0.01) != []
    assert of_kind("ask_more", [asked(n, "reject") for n in range(100)]) == []


# --- all ----------------------------------------------------------------------------------------------------------


def test_fewer_than_thirty_decisions_suggest_nothing() -> None:
    """However clear they look; standing approvals and silence are none."""
    rows = [asked(n, "approve", amount=1.0) for n in range(29)]
    more = [asked(n, "approve", standing="s") for n in range(50)] + [asked(n, "expired") for n in range(50)]
    questions = [asked(n, "respond", kind="question") for n in range(50)]
    assert suggestions(rows + more + questions) == []
    assert suggestions([*rows, asked(30, "approve")]) != []


def test_decisions_that_nobody_thought_about_come_with_a_caution() -> None:
    """That nobody objected says little where nobody looked."""
    hasty = [asked(n, "approve", seen_at=None, decided_at=None, bulk=True) for n in range(40)]
    (found,) = suggestions(hasty)
    assert found.caution.startswith("40 of 40 were decided in under five seconds or in bulk")
    (found,) = suggestions([asked(n, "approve") for n in range(40)])
    assert found.caution == ""


def test_rules_of_one_name_in_two_policies_are_two() -> None:
    """And versions of one policy are one."""
    rows = [asked(n, "approve", policy=f"p@{n % 3}") for n in range(40)] + [asked(n, "approve", policy="q@1") for n in range(40)]
    assert [(found.rule, found.policy, found.decided) for found in suggestions(rows)] == [("large", "p", 40), ("large", "q", 40)]


@given(st.lists(odd_rows, max_size=40))
def test_odd_rows_raise_nothing(rows: list[Judged]) -> None:
    """And what is suggested is never more than what was asked."""
    for found in suggestions(rows, Tolerance(decisions_min=3)):
        assert found.decided >= 3
        assert found.let_through <= max(found.overridden, len(rows))
        assert all(cut.fewer >= 3 and cut.let_through <= 3 and 0 <= cut.chance <= 1 for cut in found.cuts)
