"""The policy of a plan file: a table in it, or the name of a file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from holdfast import loading
from holdfast.cli.schema import plan_schema
from holdfast.core.policy import Policy, Rule
from holdfast.errors import DefinitionError, LoadError, PlanError
from holdfast.reasoners.planfile import parse

TOOLS = "from holdfast import tool\n@tool\ndef refund(order: str, amount: float) -> str: return order\n"
PLAN = "agent: shop\ntools: shop_tools.py\nsteps: {a: {tool: refund, args: {order: o1, amount: 5}}}\n"
RULES = "rules: [{name: small, then: never, when: amount <= 50, tools: refund}]"
STEPS = {"a": {"tool": "refund", "args": {}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tool in it."""
    (tmp_path / "shop_tools.py").write_text(TOOLS)
    return tmp_path


def test_a_plan_has_its_policy_in_it(folder: Path) -> None:
    """It is called as the agent where it says no name."""
    path = folder / "plan.yaml"
    path.write_text(f"{PLAN}policy: {{{RULES}}}\n")
    rule = Rule(name="small", then="never", when="amount <= 50", tools=("refund",))
    assert loading.agent_of(str(path)).policy == Policy(name="shop", rules=(rule,))


def test_a_plan_names_a_policy_file_beside_it(folder: Path) -> None:
    """Wherever the plan is run from; several plans may have the same."""
    path = folder / "plan.yaml"
    path.write_text(f"{PLAN}policy: refunds.yaml\n")
    with pytest.raises(LoadError, match=r"refunds\.yaml cannot be read"):
        loading.agent_of(str(path))
    (folder / "refunds.yaml").write_text(RULES)
    policy = loading.agent_of(str(path)).policy
    assert policy is not None
    assert policy.name == "refunds"


def test_a_plan_without_one_has_none(folder: Path) -> None:
    """And an empty key is none."""
    path = folder / "plan.yaml"
    for text in (PLAN, f"{PLAN}policy:\n"):
        path.write_text(text)
        assert loading.agent_of(str(path)).policy is None


def test_what_is_wrong_with_it_is_told_with_all_else() -> None:
    """In one list, with its place."""
    data = {
        "steps": {**STEPS, "b": {"tool": 7}},
        "policy": {"rules": [{"name": "x", "then": "allways"}], "whoo": "ann"},
    }
    with pytest.raises(PlanError) as caught:
        parse(data)
    assert len(caught.value.problems) == 3
    assert any(problem.startswith("step b: ") for problem in caught.value.problems)
    assert "policy: 'whoo' is not a part of a policy (did you mean who?)" in caught.value.problems
    assert "policy: rule x: then is 'allways' (did you mean always?)" in caught.value.problems


@pytest.mark.parametrize("given", ["", 7, True, [], ["refunds.yaml"]])
def test_what_is_no_policy_is_refused(given: Any) -> None:
    """It is a table, or a name."""
    with pytest.raises(PlanError, match="policy: it is"):
        parse({"steps": STEPS, "policy": given})


def test_a_rule_for_a_tool_that_the_agent_does_not_have_is_a_mistake(folder: Path) -> None:
    """Told with the file."""
    path = folder / "plan.yaml"
    path.write_text(f"{PLAN}policy: {{rules: [{{name: r, then: never, tools: refnd}}]}}\n")
    with pytest.raises(DefinitionError, match=r"(?s)plan\.yaml: agent shop: the policy shop has 1 problem.*refnd"):
        loading.agent_of(str(path))


def test_the_schema_of_plans_takes_both() -> None:
    """A table, or a name; and no other thing."""
    fits = jsonschema_rs.validator_for(plan_schema()).is_valid
    assert fits({"steps": STEPS, "policy": "refunds.yaml"})
    assert fits({"steps": STEPS, "policy": {"rules": [{"name": "r", "then": "never"}]}})
    assert not fits({"steps": STEPS, "policy": {"rules": [{"name": "r"}]}})
    assert not fits({"steps": STEPS, "policy": 7})
