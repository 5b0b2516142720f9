"""Offices: what their rules mean is written twice, and both must say the same; and each seed has its own, or none."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.conditions import compile_condition
from holdfast.core.policy import policy_problems
from holdfast.testing.simulation.office import CHECKS, CONDITIONS, draw_office, functions, has_office

DOCUMENTS: list[dict[str, Any]] = [
    {
        "args": {"amount": amount, "item": "x"}, "amount": amount, "safety": safety, "facts": facts, "inferred": tainted,
        "tainted": tainted, "revision": revision,
    }
    for amount in (None, 0, 4, 7, 51)
    for safety in ("read", "irreversible")
    for facts in ({}, {"budget": 5}, {"budget": "4"}, {"budget": None})
    for tainted in (True, False)
    for revision in (1, 2)
]  # fmt: skip


@pytest.mark.parametrize("text", [text for text in CONDITIONS if text])
def test_a_condition_means_what_the_laws_hold_it_to_mean(text: str) -> None:
    """For every call: yes, no, or that it cannot be worked out."""
    condition = compile_condition(text)
    assert [condition.holds(document).holds for document in DOCUMENTS] == [CONDITIONS[text](one) for one in DOCUMENTS]


def test_a_share_of_the_seeds_has_an_office_and_the_others_play_without_one() -> None:
    """Its policies are sound for any tools; most of them name functions that there are."""
    tools = ("pay", "look", "mail")
    offices = [draw_office(seed, tools) for seed in (*range(1, 400), *range(-400, 0))]
    assert [office is not None for office in offices] == [has_office(seed) for seed in (*range(1, 400), *range(-400, 0))]
    found = [policy for office in offices if office is not None for policy in office.policies if policy is not None]
    assert len(found) > 200
    assert not [problem for policy in found for problem in policy_problems(policy, checks=CHECKS)]


def test_an_office_leaves_out_rules_for_tools_that_an_agent_does_not_have() -> None:
    """A policy that names them would not load."""
    for seed in range(1, 200):
        office = draw_office(seed, ("pay", "look"))
        policy = office.policy(0, ("pay",)) if office is not None else None
        assert policy is None or all(set(rule.tools) <= {"pay"} for rule in policy.rules)


def test_all_functions_that_rules_name_are_there() -> None:
    """By their names."""
    assert tuple(function.__name__ for function in functions(None)) == CHECKS  # type: ignore[arg-type]
