"""What an agent with a model is made of: how it thinks, its own tools, and what counts as done."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast import Acceptance, Agent, Asking, DefinitionError, OutsideStore, judge, tool
from holdfast.mind import ACCEPT_TOOL, RECALL, accepting, asking_of, read_more, recall_of
from holdfast.reasoners.verbs import READ_MORE, VERBS
from holdfast.testing.models import ScriptedModel


@tool(safety="read")
def look(result: Any) -> bool:
    """Look at a result."""
    return bool(result)


@tool
def send(result: str) -> None:
    """Send something."""


def agent(**fields: Any) -> Agent:
    """An agent that asks a model."""
    return Agent("a", model=ScriptedModel([]), **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"horizon": -1}, "horizon is -1"),
        ({"horizon": True}, "horizon is True"),
        ({"reassess": "daily"}, "reassess is 'daily'"),
        ({"confidence_min": 1.5}, "confidence_min"),
        ({"confidence_min": -0.1}, "confidence_min"),
        ({"confidence_min": float("nan")}, "confidence_min"),
        ({"repairs_max": 0}, "at least 1"),
        ({"failures_max": 0}, "at least 1"),
        ({"memory": -3}, "memory is -3"),
        ({"tools": [tool(name="finish_run")(lambda: None)]}, "a tool of it is called finish_run"),
        ({"tools": [tool(name=READ_MORE)(lambda: None)]}, f"a tool of it is called {READ_MORE}"),
    ],
)
def test_what_cannot_be_is_said_when_the_agent_is_made(fields: dict[str, Any], said: str) -> None:
    """With a word on what it may be."""
    with pytest.raises(DefinitionError, match=said):
        agent(**fields)


def test_every_model_may_read_on() -> None:
    """The tool is there with its contract, and is no function to be called by hand."""
    assert agent().toolbox.contracts[READ_MORE].safety == "read"
    assert READ_MORE not in VERBS
    with pytest.raises(OutsideStore):
        read_more.function(step="a")


def test_how_it_thinks_is_written_down() -> None:
    """Made once for the same tools, so that starting many runs costs nothing; another horizon is another thinking."""
    one = agent(horizon="plan", instructions="Be brief.", confidence_min=0.5, memory=True, ask=Asking(policy="always"))
    thinking = one.thinking()
    assert thinking is not None and thinking is one.thinking()
    assert (thinking.horizon, thinking.confidence_min, thinking.recall) == (0, 0.5, RECALL)
    assert thinking.asking == {"": Asking(policy="always")}
    assert thinking.overhead_bytes > len("Be brief.") and "Be brief." not in repr(thinking)
    other = agent(horizon="plan", instructions="Be very brief.").thinking()
    assert other is not None and other.instructions != thinking.instructions


def test_the_first_turn_interprets_where_an_input_is_missing() -> None:
    """Unless it is said that it always does, or never."""
    inputs = {"city": {"type": "string"}, "note": {"type": "string", "optional": True}}

    def interprets(given: dict[str, Any], **fields: Any) -> bool:
        thinking = agent(inputs=inputs, **fields).thinking(given)
        assert thinking is not None
        return thinking.interpret

    assert interprets({}) is True
    assert interprets({"city": "Oslo"}) is False
    assert interprets({"city": "Oslo"}, interpret=True) is True
    assert interprets({}, interpret=False) is False


def test_other_models_think_in_the_same_way() -> None:
    """And the agent that they were taken from asks its own."""
    one = agent(horizon=3)
    other = one.with_model(ScriptedModel([], name="other"))
    first, second = one.thinking(), other.thinking()
    assert first is not None and second is not None
    assert (second.horizon, second.routes) == (3, {"": ("scripted:other",)})
    assert first.routes == {"": ("scripted:script",)}
    assert other.reasoner is not one.reasoner


def test_policies_and_memories_may_be_given_in_short() -> None:
    """One policy for all, True for as many memories as usual."""
    asking = Asking(policy="never")
    assert asking_of(None) == {} and asking_of(asking) == {"": asking} and asking_of({"city": asking}) == {"city": asking}
    assert (recall_of(True), recall_of(False), recall_of(3), recall_of(0)) == (RECALL, 0, 3, 0)


# --- what counts as done ------------------------------------------------------------------------------------------


def accepted(result: Any) -> bool:
    """A plain function that looks."""
    return bool(result)


def test_what_looks_at_a_result_is_a_tool_of_the_agent() -> None:
    """A function becomes one; a tool that is there already is not put there twice."""
    tools, found = accepting([], accepted)
    assert [each.name for each in tools] == [ACCEPT_TOOL] and found == Acceptance(tool=ACCEPT_TOOL)
    assert tools[0].contract.safety == "read"
    assert accepting([look], look) == ([look], Acceptance(tool="look"))
    assert accepting([], look) == ([look], Acceptance(tool="look"))
    assert accepting([], None) == ([], None)
    assert accepting([], "result.ok")[1] == Acceptance(that="result.ok")
    assert accepting([look], Acceptance(tool="look", finishes_max=1))[1] == Acceptance(tool="look", finishes_max=1)


@pytest.mark.parametrize(
    ("tools", "accept", "said"),
    [
        ([], lambda: True, "takes no argument `result`"),
        ([], "result..", "is not a jmespath expression"),
        ([], "", "accept says nothing"),
        ([], Acceptance(), "accept says nothing"),
        ([], Acceptance(tool="none"), "there is no tool none"),
        ([send], Acceptance(tool="send"), "send is irreversible"),
        ([], send, "send is irreversible"),
        ([], Acceptance(that="result", finishes_max=0), "finishes_max is at least 1"),
        ([tool(name="look", safety="read")(lambda result: True)], look, "there is another tool called look"),
        ([], " | ".join(["result", *["[@,@]"] * 30]), "times as large"),
    ],
)
def test_what_cannot_look_is_refused(tools: list[Any], accept: Any, said: str) -> None:
    """When the agent is made."""
    with pytest.raises(DefinitionError, match=said):
        accepting(tools, accept)


def test_an_agent_with_a_plan_may_have_its_result_looked_at_too() -> None:
    """By a judge, for one."""
    checked = judge("checked", model=ScriptedModel([]), rubric="It is true.")
    made = Agent("a", tools=[look], plan={"s": {"tool": "look", "args": {"result": 1}}}, accept=checked)
    assert made.accept == Acceptance(tool="checked") and "checked" in made.toolbox
