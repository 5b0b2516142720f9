"""An agent with a policy: where it comes from, that it fits, and that each run begins with it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, DefinitionError, Hours, Ladder, Policy, Rule, Rung, tool
from holdfast.errors import LoadError
from holdfast.starting import started

FILE = """
who: finance
rules:
  - {name: small, then: never, when: "amount <= 50", tools: refund}
  - {name: large, then: always, people: 2}
"""
POLICY = Policy(
    name="refunds",
    who=("finance",),
    rules=(
        Rule(name="small", then="never", when="amount <= 50", tools=("refund",)),
        Rule(name="large", people=2),
    ),
)


@tool
def refund(order: str, amount: float) -> str:
    """Give money back."""
    return order


def nobody(briefing: Any) -> None:
    """A reasoner that is never asked."""


def agent(**options: Any) -> Agent:
    """An agent with one tool."""
    return Agent("shop", tools=[refund], reasoner=nobody, **options)


def looks_odd(proposed: dict[str, Any]) -> bool:
    """A check over all of it."""
    return True


async def is_blocked(args: dict[str, Any], tenant: str, facts: dict[str, Any]) -> bool:
    """A check over some of it."""
    return False


# --- policies -----------------------------------------------------------------------------------------------------


def test_a_policy_is_given_or_read_from_a_file(tmp_path: Path) -> None:
    """By its path, as a text or a Path; it is called as the file."""
    path = tmp_path / "refunds.yaml"
    path.write_text(FILE)
    assert agent(policy=POLICY).policy == agent(policy=path).policy == agent(policy=str(path)).policy == POLICY
    assert agent().policy is None


def test_each_run_begins_with_the_policy() -> None:
    """It is written down, so that it holds for the run whatever becomes of the agent."""
    _, first = started(agent(policy=POLICY), "r1", "go")
    assert first.policy == POLICY
    assert started(agent(), "r1", "go")[1].policy is None


def test_an_agent_below_keeps_its_own() -> None:
    """What the one above says is not said of its calls."""
    child = Agent("child", tools=[refund], reasoner=nobody, policy=POLICY)
    other = Agent("other", tools=[refund], reasoner=nobody)
    parent = Agent("parent", reasoner=nobody, agents=[child, other], policy=Policy(name="mine", rules=(Rule(name="all"),)))
    assert parent.agents["child"].policy == POLICY
    assert parent.agents["other"].policy is None


def test_a_rule_may_name_an_agent_as_a_tool() -> None:
    """It is one to the plan."""
    child = Agent("child", tools=[refund], reasoner=nobody)
    policy = Policy(name="p", rules=(Rule(name="children", tools=("child",)),))
    assert Agent("parent", reasoner=nobody, agents=[child], policy=policy).policy == policy


def test_lists_become_what_is_read_back() -> None:
    """Who writes Python writes lists."""
    policy = Policy(name="p", rules=[Rule(name="r", tools=["refund"], who=["ann"])])  # type: ignore[arg-type]
    assert agent(policy=policy).policy == Policy(name="p", rules=(Rule(name="r", tools=("refund",), who=("ann",)),))


def test_all_that_is_wrong_is_told_at_once() -> None:
    """With the agent, the policy and the rule."""
    ladder = Ladder(rungs=(Rung(seconds=0),), hours=Hours(timezone="Europe/Atlantis"))
    policy = Policy(
        name="refunds",
        ladder=ladder,
        rules=(
            Rule(name="a", tools=("refnd",)),
            Rule(name="b", when="amount >"),
            Rule(name="c", check="looks_odd"),
            Rule(name="d", then="sample", rate=float("nan")),
            Rule(name="e", people=0),
        ),
    )
    with pytest.raises(DefinitionError) as caught:
        agent(policy=policy)
    said = str(caught.value)
    assert said.startswith("agent shop: the policy refunds has ")
    for part in ("refnd", "amount >", "looks_odd", "rule d", "rule e", "Atlantis"):
        assert part in said
    assert len(said.splitlines()) >= 7


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (7, "policy is 7"),
        ({"name": "p"}, "policy is {'name': 'p'}"),
        (Policy(name=7), "not of its form"),  # type: ignore[arg-type]
        (Policy(name="p", rules=("a",)), "not of its form"),  # type: ignore[arg-type]
        (Policy(name="p", rules=(Rule(name="r", then="sometimes"),)), "not of its form"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_policy_is_refused(given: Any, problem: str) -> None:
    """With what it should be."""
    with pytest.raises(DefinitionError) as caught:
        agent(policy=given)
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(LoadError, match=r"gone\.yaml cannot be read"):
        agent(policy=tmp_path / "gone.yaml")


# --- checks -------------------------------------------------------------------------------------------------------


def test_checks_are_functions_by_their_names() -> None:
    """Sync and async, over the whole or over words of it."""
    assert agent(checks=[looks_odd, is_blocked]).checks == {"looks_odd": looks_odd, "is_blocked": is_blocked}
    assert agent(checks=looks_odd).checks == {"looks_odd": looks_odd}
    assert agent().checks == {}


def test_a_rule_needs_the_function_that_it_names() -> None:
    """Else it would ask a person each time."""
    policy = Policy(name="p", rules=(Rule(name="odd", check="looks_odd"),))
    assert agent(policy=policy, checks=[looks_odd]).policy == policy
    with pytest.raises(DefinitionError, match="looks_odd"):
        agent(policy=policy, checks=[is_blocked])


def test_a_check_of_plans_takes_what_a_plan_has() -> None:
    """There is no `args` there, and it would be nothing."""
    policy = Policy(name="p", rules=(Rule(name="odd", on="plan", check="is_blocked"),))
    with pytest.raises(DefinitionError, match="rule odd: its check is_blocked takes args, which a plan does not have"):
        agent(policy=policy, checks=[is_blocked])
    sound = Policy(name="p", rules=(Rule(name="odd", on="plan", check="looks_odd"),))
    assert agent(policy=sound, checks=[looks_odd]).policy == sound


def takes_more(amount: float, total: float) -> bool:
    """A word that there is not."""
    return True


def takes_any(*proposed: Any) -> bool:
    """Nothing by name."""
    return True


def takes_all(**words: Any) -> bool:
    """Everything by name."""
    return True


def takes_first(proposed: Any, /) -> bool:
    """By its place alone."""
    return True


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (takes_more, "the check takes_more takes total, which nothing is given to"),
        (takes_any, "takes *proposed"),
        (takes_all, "takes **words"),
        (takes_first, "takes proposed"),
        (lambda proposed: True, "is no check"),
        (functools.partial(looks_odd), "is no check"),
        ("looks_odd", "is no check"),
        (refund, "is no check"),
        (Policy, "is no check"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__) if not isinstance(value, str) else value[:30],
)
def test_what_is_no_check_is_refused(check: Any, problem: str) -> None:
    """With what it may take."""
    with pytest.raises(DefinitionError) as caught:
        agent(checks=[check])
    assert problem in str(caught.value)


def test_two_checks_do_not_share_a_name() -> None:
    """A rule could not say which."""

    def other() -> Any:
        def looks_odd(proposed: dict[str, Any]) -> bool:
            return False

        return looks_odd

    with pytest.raises(DefinitionError, match="two of its checks are called looks_odd"):
        agent(checks=[looks_odd, other()])
    assert agent(checks=[looks_odd, looks_odd]).checks == {"looks_odd": looks_odd}
