"""Intent without outcome: the recovery table, walked in whole, and held against the words of the design."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from holdfast.core.contract import SAFETIES
from holdfast.core.recovery import TABLE, Action, Doubt, Look, rule

VERDICTS = ("none", "happened", "not_happened", "not_yet", "cannot_tell")
DOUBTS = [
    Doubt(safety=safety, key=key, probe=probe, verdict=verdict, settled=settled, window=window, repeats=repeats)  # type: ignore[arg-type]
    for safety, key, probe, verdict, settled, window, repeats in itertools.product(
        SAFETIES, ("alive", "expired"), (True, False), VERDICTS, (True, False), (True, False), (True, False)
    )
]


def test_the_columns_walked_here_are_all_that_there_are() -> None:
    """A column or a value that is added to a doubt must be added to the walk."""
    assert set(Doubt.__struct_fields__) == {"safety", "key", "probe", "verdict", "settled", "window", "repeats"}
    assert set(VERDICTS) == {name for part in get_args(Look) for name in get_args(part)}
    assert len(DOUBTS) == 5 * 2 * 2 * 5 * 2 * 2 * 2


def test_every_doubt_meets_exactly_one_row() -> None:
    """Nothing falls through the table, and no two rows compete."""
    for doubt in DOUBTS:
        matching = [row.label for row in TABLE if row.matches(doubt)]
        assert len(matching) == 1, f"{doubt}: {matching}"


def test_every_row_is_met_by_some_doubt() -> None:
    """No row is dead, labels are unique, and every action is one that the machine knows."""
    met = {rule(doubt).label for doubt in DOUBTS}
    assert met == {row.label for row in TABLE}
    assert len(met) == len(TABLE)
    assert {row.action for row in TABLE} == set(get_args(Action))
    assert all(row.reason for row in TABLE)


def test_a_doubt_without_a_row_is_a_bug_that_is_seen() -> None:
    """The table asserts its own totality each time that it is asked."""
    stray = Doubt(safety="read", key="alive", probe=False, verdict="none", settled=False, window=True, repeats=None)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="meets"):
        rule(stray)


def intended(doubt: Doubt) -> Action:
    """Section 5 of the design, said again in other words; not derived from the table."""
    if doubt.safety == "read":
        return "repeat" if doubt.repeats else "fail"  # "changes nothing: do it again"; bounded, as everything is
    if doubt.safety == "idempotent":
        return "repeat" if doubt.repeats else "ask"  # "do it again"; at the bound nobody may claim that it did not happen
    if doubt.safety == "irreversible":
        return "ask"  # "ask a person", whatever else is the case
    if doubt.safety == "keyed" and doubt.key == "alive":
        return "repeat" if doubt.repeats else "ask"  # "do it again with the same key"
    if not doubt.probe:
        return "ask"  # past its key's life a keyed call "counts as reconcilable if it has a probe, else a person is asked"
    return asked_probe(doubt)


def asked_probe(doubt: Doubt) -> Action:
    """The row of `reconcilable`: happened → take its result; did not → do it again; not visible yet → probe again later;
    cannot tell → ask a person. "Did not happen" is final only after `settles_within`."""
    match doubt.verdict:
        case "none":
            return "probe"
        case "happened":
            return "take"
        case "not_happened":
            if not doubt.settled:
                return "probe"
            return "repeat" if doubt.repeats else "fail"
        case "not_yet":
            return "probe" if doubt.window else "ask"
        case "cannot_tell":
            return "ask"


@pytest.mark.parametrize("safety", SAFETIES)
def test_the_table_says_what_the_design_says(safety: str) -> None:
    """Each combination is ruled on as section 5 of the design has it."""
    for doubt in (doubt for doubt in DOUBTS if doubt.safety == safety):
        assert rule(doubt).action == intended(doubt), f"{doubt}: {rule(doubt).label}"


@pytest.mark.parametrize(
    ("what", "doubt", "action"),
    [
        ("a read is done again", {"safety": "read"}, "repeat"),
        ("an idempotent call is done again", {"safety": "idempotent"}, "repeat"),
        ("an idempotent call that keeps being lost goes to a person", {"safety": "idempotent", "repeats": False}, "ask"),
        ("a key that lives is used again", {"safety": "keyed"}, "repeat"),
        ("a probe of a keyed tool is not needed while its key lives", {"safety": "keyed", "probe": True}, "repeat"),
        ("a key that may be forgotten is never resent blindly", {"safety": "keyed", "key": "expired"}, "ask"),
        ("a forgotten key and a probe: look first", {"safety": "keyed", "key": "expired", "probe": True}, "probe"),
        ("reconcilable: look first", {"safety": "reconcilable", "probe": True}, "probe"),
        ("it happened: take its result", {"safety": "reconcilable", "probe": True, "verdict": "happened"}, "take"),
        (
            "it happened, and no attempt is left: take it all the same",
            {"safety": "reconcilable", "probe": True, "verdict": "happened", "repeats": False},
            "take",
        ),
        (
            "a no before the settle time is not yet",
            {"safety": "reconcilable", "probe": True, "verdict": "not_happened", "settled": False},
            "probe",
        ),
        (
            "a no before the settle time is not yet, even with no attempt left",
            {"safety": "reconcilable", "probe": True, "verdict": "not_happened", "settled": False, "repeats": False},
            "probe",
        ),
        ("a no after it is final", {"safety": "reconcilable", "probe": True, "verdict": "not_happened"}, "repeat"),
        (
            "a final no with no attempt left is a failure, not a question",
            {"safety": "reconcilable", "probe": True, "verdict": "not_happened", "repeats": False},
            "fail",
        ),
        ("not visible yet: look again later", {"safety": "reconcilable", "probe": True, "verdict": "not_yet"}, "probe"),
        (
            "not visible in all its time: a person",
            {"safety": "reconcilable", "probe": True, "verdict": "not_yet", "window": False},
            "ask",
        ),
        ("the probe cannot tell: a person", {"safety": "reconcilable", "probe": True, "verdict": "cannot_tell"}, "ask"),
        ("a reconcilable tool that lost its probe: a person", {"safety": "reconcilable"}, "ask"),
        ("irreversible: a person, always", {"safety": "irreversible", "probe": True, "verdict": "not_happened"}, "ask"),
    ],
)
def test_what_follows_from_a_doubt(what: str, doubt: dict[str, Any], action: str) -> None:
    """The cases that people ask about, each in its own words."""
    whole = {"key": "alive", "probe": False, "verdict": "none", "settled": True, "window": True, "repeats": True, **doubt}
    assert rule(Doubt(**whole)).action == action, what


def test_nothing_that_may_have_happened_is_ever_failed_or_repeated_on_a_guess() -> None:
    """Whatever the columns: `fail` and `repeat` of a call that is not safe to repeat need a settled no from its probe."""
    for doubt in DOUBTS:
        action = rule(doubt).action
        harmless = doubt.safety in ("read", "idempotent") or (doubt.safety == "keyed" and doubt.key == "alive")
        known_undone = doubt.probe and doubt.verdict == "not_happened" and doubt.settled
        if action == "repeat":
            assert harmless or known_undone, doubt
        if action == "fail":
            assert doubt.safety == "read" or known_undone, doubt
        if action == "take":
            assert doubt.probe and doubt.verdict == "happened", doubt
        if action == "probe":
            assert doubt.probe, doubt
