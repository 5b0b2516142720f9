"""Two evaluations side by side: what is said of them is no more than can be said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import UsageError
from holdfast.evaluation import Comparison, compare
from tests.evaluation.kit import case_run
from tests.evaluation.test_results import kept


def side(folder: Path, held: int, runs: int = 20, case: str = "one", **parts: Any) -> Any:
    """Results of one case, of which so many held."""
    every = [case_run(case, number, outcome="held" if number <= held else "failed") for number in range(1, runs + 1)]
    return kept(folder, *every, cases={case: runs}, **parts)


def compared(folder: Path, a: int, b: int, runs: int = 20) -> Comparison:
    return compare(side(folder / "a", a, runs), side(folder / "b", b, runs, agent_digest="other"))


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [(20, 20, "no difference can be told"), (12, 14, "no difference can be told"), (8, 19, "better"), (19, 8, "worse")],
)
def test_a_difference_is_told_where_its_interval_leaves_out_nothing(a: int, b: int, verdict: str, tmp_path: Path) -> None:
    """Not where it is large, but where it is sure."""
    found = compared(tmp_path, a, b)
    assert found.whole.verdict == found.cases[0].verdict == verdict
    assert found.worse == (verdict == "worse")
    assert (found.whole.repeats_needed is None) == (verdict in ("better", "worse"))


def test_it_is_said_how_often_each_case_would_have_to_be_run(tmp_path: Path) -> None:
    """To tell a difference like the one that was seen; where none was seen, one of ten points."""
    assert compared(tmp_path / "1", 12, 14).whole.repeats_needed == 356
    assert compared(tmp_path / "2", 20, 20).whole.repeats_needed == 74


def test_only_what_both_have_is_counted(tmp_path: Path) -> None:
    """The same cases and repeats; a broken-off side does not look better for the cases that it did not come to."""
    a = kept(tmp_path / "a", *[case_run("easy", n) for n in (1, 2)], *[case_run("hard", n, outcome="failed") for n in (1, 2)])
    b = kept(
        tmp_path / "b", *[case_run("easy", n) for n in (1, 2, 3)], case_run("hard", 2, outcome="unfinished"), agent_digest="x"
    )
    found = compare(a, b)
    assert [(one.case, one.a.runs, one.b.runs) for one in found.cases] == [("easy", 2, 2)]
    assert (found.whole.a.held, found.whole.b.held, found.left_out) == (2, 2, 3)
    with pytest.raises(UsageError, match="no run of a case in common"):
        compare(a, kept(tmp_path / "c", case_run("other", 1)))


def test_disagreements_alone_make_a_version_worse(tmp_path: Path) -> None:
    """One effect too many is not outweighed by what went well."""
    a = kept(tmp_path / "a", case_run("one", 1, outcome="failed"), case_run("one", 2))
    b = kept(tmp_path / "b", case_run("one", 1, outcome="wrong"), case_run("one", 2), agent_digest="x")
    assert compare(a, b).worse and not compare(b, a).worse


def test_what_is_spent_is_compared_pair_by_pair(tmp_path: Path) -> None:
    """Less is better; what neither side spends is left out."""
    prices = (1, 5, 2, 8, 3, 9)
    a, b = [
        kept(
            tmp_path / name, *[case_run("one", n, cost_usd=Decimal(p) * factor, calls=p) for n, p in enumerate(prices, 1)],
            cases={"one": 6}, agent_digest=name,
        )
        for name, factor in (("a", Decimal(2)), ("b", Decimal(1)))
    ]  # fmt: skip
    cost, calls = compare(a, b).whole.figures
    assert (cost.name, cost.a, cost.b, cost.difference.value, cost.verdict) == ("cost_usd", 8.0, 4.0, -4.0, "better")
    assert -9 <= cost.difference.low < cost.difference.high < 0
    assert (calls.name, calls.difference.value, calls.verdict) == ("calls", 0.0, "no difference can be told")
    assert compare(b, a).whole.figures[0].verdict == "worse"
    assert compare(a, b, seed=5) == compare(a, b, seed=5)


def test_what_should_be_the_same_and_is_not_is_said(tmp_path: Path) -> None:
    """The file, the seed, the release; and that it is the same agent after all."""
    a, b = side(tmp_path / "a", 3), side(tmp_path / "b", 3, file_digest="g", seed=4)
    assert compare(a, b).apart == (
        "the case file is not the same",
        "the seed is not the same (0 and 4)",
        "it is the same agent with the same model on both sides",
    )
