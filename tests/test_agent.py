"""An agent: a named bundle of tools, a reasoner and limits; wrong ones are refused when they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from holdfast.agent import Agent, plan_of
from holdfast.core.contract import Contract
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback, Plan, Step
from holdfast.errors import DefinitionError, OutsideStore, PlanError, UsageError
from holdfast.models import Models
from holdfast.reasoners.base import Briefing, Finish
from holdfast.reasoners.function import FunctionReasoner
from holdfast.reasoners.planfile import PlanReasoner
from holdfast.testing.models import ScriptedModel
from holdfast.tools.function import Secret, tool


@tool(safety="idempotent")
def greet(name: str, times: int = 1) -> str:
    """Greet somebody."""
    return f"Hello, {name}" * times


@tool(safety="idempotent")
def sign_in(token: Secret) -> str:
    return "in"


def agent(steps: Any = None, **given: Any) -> Agent:
    """An agent that greets."""
    plan = {"hi": {"tool": "greet", "args": {"name": "Ada"}}} if steps is None else steps
    return Agent("greeter", **{"tools": [greet, sign_in], "plan": plan, **given})


def test_a_plan_is_a_table_of_steps_or_a_plan() -> None:
    """In the form of a plan file, of the core, or mixed."""
    hi = Step(id="hi", tool="greet", args={"name": "Ada"})
    assert agent().plan == agent(Plan(steps=(hi,))).plan == agent({"hi": hi}).plan == Plan(steps=(hi,))
    assert isinstance(agent().reasoner, PlanReasoner)
    assert plan_of({"hi": {"tool": "greet", "timeout": "5s"}}).steps[0].timeout_seconds == 5.0


class Thinker:
    """A reasoner that is an object."""

    async def propose(self, briefing: Briefing) -> Finish:
        return Finish()


def test_a_reasoner_is_an_object_or_a_function() -> None:
    """In place of a plan."""
    thinker = Thinker()
    assert agent(plan=None, reasoner=thinker).reasoner is thinker
    made = agent(plan=None, reasoner=lambda briefing: Finish())
    assert isinstance(made.reasoner, FunctionReasoner)
    assert made.plan is None


@pytest.mark.parametrize("both", [{"plan": None}, {"reasoner": Thinker()}])
def test_an_agent_has_either_a_plan_or_a_reasoner(both: dict[str, Any]) -> None:
    """Not none, not both."""
    with pytest.raises(DefinitionError, match="needs either a plan, a reasoner or a model"):
        agent(**both)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "a:b", "a\n", "\ud800", "a\x00"])
def test_a_name_can_be_written_on_a_command_line(name: str) -> None:
    """Letters, digits and a little more."""
    with pytest.raises(DefinitionError, match="no name for an agent"):
        Agent(name, tools=[greet], plan={"hi": {"tool": "greet", "args": {"name": "Ada"}}})


def test_names_of_other_languages_are_names() -> None:
    """Letters are letters."""
    assert Agent("grüßer-2.0_b", reasoner=Thinker()).name == "grüßer-2.0_b"


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ({"hi": {"tool": "greet"}}, "greet needs the argument name"),
        ({"hi": {"tool": "gret", "args": {}}}, "there is no tool gret (did you mean greet?)"),
        ({"hi": {"tool": "greet", "args": {"name": 5}}}, "argument name of greet"),
        ({"hi": {"tool": "greet", "args": {"name": "x"}, "retry": 0}}, "retry: needs"),
        ({"hi": "greet"}, "it is a text, not a table"),
        ({"hi": {"tool": "sign_in", "args": {"token": "hunter2"}}}, "token is a secret of sign_in"),
        (Plan(steps=(Step(id="hi", tool="greet", args={"name": math.nan}),)), "NaN"),
        (Plan(steps=(Step(id="hi", tool="greet", args={"name": object()}),)), "object"),
        (Plan(steps=(Step(id="hi", tool="greet", on_failure="cry"),)), "cry"),  # type: ignore[arg-type]
        ([Step(id="hi", tool="greet")], "Expected `object`, got `array`"),
        ({}, "there is no step in it"),
    ],
)
def test_a_plan_that_is_not_sound_is_refused_when_the_agent_is_made(steps: Any, problem: str) -> None:
    """Before any run."""
    with pytest.raises(PlanError) as caught:
        agent(steps)
    assert problem in str(caught.value)


def test_all_problems_of_a_plan_are_told_with_where_it_is_from() -> None:
    """At once."""
    with pytest.raises(PlanError) as caught:
        agent({"a": {"tool": "greet"}, "b": {"tool": "nothing"}}, source="hire.yaml")
    assert len(caught.value.problems) == 2
    assert str(caught.value).startswith("hire.yaml has 2 problems")


def test_what_an_author_changes_after_the_agent_was_made_changes_nothing() -> None:
    """The plan is what it was when it was checked."""
    args: dict[str, Any] = {"name": "Ada"}
    made = agent({"hi": {"tool": "greet", "args": args}})
    args["name"] = 5
    assert made.plan is not None and made.plan.steps[0].args == {"name": "Ada"}


@pytest.mark.parametrize(
    "limits",
    [{"parallel_max": 0}, {"attempts_max": -1}, {"turns_max": 0}, {"wall_seconds": 0}, {"person_seconds": math.nan}, {"lost_max": 1.5},
     {"wall_seconds": math.inf}, {"steps_max": "3"}],
)  # fmt: skip
def test_limits_under_which_nothing_could_run_are_refused(limits: dict[str, Any]) -> None:
    """A run that may have no call in parallel would wait for ever."""
    with pytest.raises(DefinitionError, match=f"the limit {next(iter(limits))} must be"):
        agent(limits=Limits(**limits))


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_an_agent_adds_names_that_are_never_written_down() -> None:
    """To those that never are; one name is a name, not letters."""
    assert {"pin", "password"} <= agent(secrets=["pin"]).secret_names
    assert agent(secrets="pin").secrets == ("pin",)
    assert "p" not in agent(secrets="pin").secret_names


@pytest.mark.parametrize("name", ["password", "name"])
def test_a_plan_must_not_hold_what_is_never_written_down(name: str) -> None:
    """It would be written with it."""

    @tool(safety="idempotent", name="enter")
    def enter(password: str = "", name: str = "") -> None: ...

    def made(value: Any) -> Agent:
        return Agent("a", tools=[enter], plan={"in": {"tool": "enter", "args": {name: value}}}, secrets=["name"])

    for value in ("hunter2", {"$ref": "inputs.x"}, {"$literal": "hunter2"}):
        with pytest.raises(PlanError, match=f"{name} is never written down, by its name"):
            made(value)
    assert made({"$secret": "NAME"}).plan is not None


# --- inputs -----------------------------------------------------------------------------------------------------------

SCHEMAS = {"user": {"type": "string", "minLength": 2}, "times": {"type": "integer", "optional": True}}


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({}, ["the input user is missing"]),
        ({"user": "A"}, ["the input user: "]),
        ({"user": "Ada", "times": "2"}, ["the input times: "]),
        ({"user": "Ada", "tmies": 2}, ["there is no input tmies"]),
        ({"tmies": 2, "times": None}, ["the input user is missing", "the input times: ", "there is no input tmies"]),
    ],
)
def test_inputs_are_checked_by_their_schemas(given: dict[str, Any], problems: list[str]) -> None:
    """All that is wrong, at once."""
    made = agent(inputs=SCHEMAS)
    with pytest.raises(UsageError) as caught:
        made.check_inputs(given)
    assert all(problem in str(caught.value) for problem in problems)
    made.check_inputs({"user": "Ada"})
    made.check_inputs({"user": "Ada", "times": 2})


def test_what_a_plan_reads_must_be_given() -> None:
    """Where the agent does not say what its inputs are; a default does without."""
    made = agent(
        {"hi": {"tool": "greet", "args": {"name": {"$ref": "inputs.user"}, "times": {"$ref": "inputs.times", "default": 1}}}}
    )
    made.check_inputs({"user": "Ada", "whatever": 1})
    with pytest.raises(UsageError, match="names the input usr|names the input user"):
        made.check_inputs({"usr": "Ada"})


def test_a_plan_that_reads_an_input_which_the_agent_does_not_have_is_not_sound() -> None:
    """Found when it is made."""
    with pytest.raises(PlanError, match="names the input usr, which is not given .did you mean user"):
        agent({"hi": {"tool": "greet", "args": {"name": {"$ref": "inputs.usr"}}}}, inputs=SCHEMAS)


def test_an_agent_says_what_it_is() -> None:
    """In a line."""
    assert repr(agent()) == "<agent greeter, tools greet, sign_in>"


# --- what becomes of what was done ------------------------------------------------------------------------------------


def test_what_is_done_is_kept_when_a_run_stops_unless_the_agent_says_otherwise() -> None:
    """Keep, undo or ask; nothing else."""
    assert agent().on_stop == "keep"
    assert [agent(on_stop=policy).on_stop for policy in ("undo", "ask")] == ["undo", "ask"]
    with pytest.raises(DefinitionError, match="on_stop is 'undoo' — it is one of keep, undo, ask"):
        agent(on_stop="undoo")


# --- an agent as a tool -----------------------------------------------------------------------------------------------


def child(name: str = "research", **given: Any) -> Agent:
    """An agent that does a part of the work."""
    return Agent(name, **{"reasoner": Thinker(), "goal": "Find out", "inputs": SCHEMAS, **given})


def parent(*children: Agent, **given: Any) -> Agent:
    """One that lets others do parts of it."""
    return Agent("trip", **{"agents": children, "reasoner": Thinker(), **given})


def test_an_agent_is_a_tool_of_one_that_may_start_runs_of_it() -> None:
    """Its goal, inputs, limits; started once for a key, owed for as long as it may take, and nobody is asked first."""
    below = child(limits=Limits(wall_seconds=500))
    made = parent(below, tools=[greet])
    assert (list(made.toolbox), made.agents) == (["greet", "research"], {"research": below})
    contract = made.toolbox.contracts["research"]
    assert contract == Contract(
        tool="research", agent="research", safety="keyed", description="Find out", at_deadline="ask", owed_within_seconds=500.0,
        retry=contract.retry, input_schema=contract.input_schema,
    )  # fmt: skip
    assert (contract.retry.attempts_max, contract.asks_first) == (1, False)
    assert contract.input_schema["properties"]["inputs"] == {
        "type": "object", "required": ["user"], "additionalProperties": False,
        "properties": {"user": {"type": "string", "minLength": 2}, "times": {"type": "integer"}},
    }  # fmt: skip
    with pytest.raises(OutsideStore, match="a step of a run starts a run of it"):
        made.toolbox["research"].function()


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ({"agent": "research", "inputs": {"user": "Ada"}, "goal": "x", "limits": {"attempts": 5, "wall": "2d"}}, None),
        ({"agent": "research", "inputs": {"user": {"$ref": "inputs.u"}}, "limits": {"attempts": {"$ref": "inputs.n"}}}, None),
        ({"tool": "research", "args": {"inputs": {"user": "Ada"}}}, None),
        ({"agent": "reserch"}, "there is no tool reserch (did you mean research?)"),
        ({"agent": "research"}, "research needs the argument inputs"),
        (
            {"agent": "research", "inputs": {"usr": {"$ref": "inputs.u"}}},
            "argument inputs of research: there is no usr (did you mean user?)",
        ),
        ({"agent": "research", "inputs": {"user": "A"}}, "argument inputs of research: user: "),
        ({"tool": "research", "args": {"inputs": {"user": "Ada"}, "limits": {"attemps": 5}}}, "argument limits of research: "),
        (
            {"tool": "research", "args": {"inputs": {"user": "Ada"}, "limits": {"wall": "soon"}}},
            "argument limits of research: wall: ",
        ),
    ],
)
def test_what_a_step_says_to_an_agent_is_checked_when_the_plan_is(step: dict[str, Any], problem: str | None) -> None:
    """By the inputs that the child declares."""
    if problem is None:
        assert parent(child(), plan={"a": step}, reasoner=None).plan is not None
        return
    with pytest.raises(PlanError) as caught:
        parent(child(), plan={"a": step}, reasoner=None)
    assert any(problem in line for line in caught.value.problems), caught.value.problems


def test_an_agent_without_declared_inputs_takes_any_and_needs_none() -> None:
    """A schema that points elsewhere is left to the child itself."""
    steps = {"a": {"agent": "research"}, "b": {"agent": "research", "inputs": {"x": 1}}}
    assert parent(child(inputs=None), plan=steps, reasoner=None).plan is not None
    pointed = {"user": {"$ref": "#/$defs/U", "$defs": {"U": {"type": "string"}}}}
    contract = parent(child(inputs=pointed)).toolbox.contracts["research"]
    assert contract.input_schema["properties"]["inputs"]["properties"] == {"user": {}}
    with pytest.raises(DefinitionError, match="the schema of the input user is not JSON"):
        parent(child(inputs={"user": {"const": math.nan}}))


def test_an_agent_may_be_a_fallback_and_may_undo() -> None:
    """Wherever a tool is named."""

    @tool(safety="idempotent", undo="research", fallback="research")
    def ask(inputs: dict[str, Any]) -> str:
        return "?"

    steps = {"a": {"tool": "ask", "args": {"inputs": {"user": "Ada"}}}, "b": {"tool": "greet", "args": {"name": "x"}, "fallback": {
        "tool": "research", "args": {"inputs": {"user": "Ada"}}}}}  # fmt: skip
    made = parent(child(), tools=[ask, greet], plan=steps, reasoner=None)
    assert made.plan is not None
    assert made.plan.steps[1].fallbacks == (Fallback(tool="research", args={"inputs": {"user": "Ada"}}),)


def test_names_of_agents_and_tools_are_told_apart() -> None:
    """Each error says which name it is about."""
    with pytest.raises(DefinitionError, match="agent trip: a tool and an agent of it are both called greet"):
        parent(child("greet"), tools=[greet])
    with pytest.raises(DefinitionError, match="agent trip: two of its agents are called research"):
        parent(child(), child())
    with pytest.raises(DefinitionError, match="agent trip: .* is no agent"):
        parent(greet)  # type: ignore[arg-type]
    same = child()
    assert list(parent(same, same).agents) == ["research"]


def test_an_agent_knows_all_agents_below_it() -> None:
    """However deep, each once; two of one name cannot be told apart, and none is below itself."""
    deep = child("deep")
    one, two = child("one", agents=[deep]), child("two", agents=[deep])
    assert list(parent(one, two).family()) == ["one", "deep", "two"]
    assert parent().family() == {}
    with pytest.raises(DefinitionError, match="two different agents called deep below it"):
        parent(one, child("two", agents=[child("deep")]))
    with pytest.raises(DefinitionError, match="agent trip has another agent of that name below it"):
        parent(child("one", agents=[child("trip")]))
    deep.agents["one"] = one
    with pytest.raises(DefinitionError, match="agent one is among the agents below itself"):
        one.family()
    assert list(parent(two).family()) == ["two", "deep", "one"], "a circle further down is walked once"


def test_what_a_child_never_writes_down_its_parent_does_not_either() -> None:
    """It passes through both."""
    made = parent(child("one", agents=[child("deep", secrets=["pin"])]), secrets=["code"])
    assert made.secrets == ("code", "pin")
    with pytest.raises(PlanError, match="pin is never written down"):
        parent(child(secrets="pin", inputs=None), plan={"a": {"agent": "research", "inputs": {"pin": "1234"}}}, reasoner=None)


def test_an_agent_may_ask_other_models_and_is_the_same_agent() -> None:
    """In every phase, in the order given; one of its own that is named is the same one. The agent itself is left as it was."""
    strong, cheap = ScriptedModel(["Ok."], name="strong"), ScriptedModel(["Ok."], name="cheap")
    agent = Agent("a", model=Models(strong, reflect=cheap, cheaper=cheap), instructions="Be brief.")
    other = agent.with_model(["scripted:cheap", "openai:gpt-4o"])
    assert agent.mind is not None and other.mind is not None
    thinking = other.thinking()
    assert thinking is not None
    assert (thinking.routes, thinking.cheaper) == ({"": ("scripted:cheap", "openai:gpt-4o")}, ())
    assert other.mind.models.models["scripted:cheap"] is cheap
    assert other.mind.reasoner.instructions == "Be brief."
    assert agent.thinking() is not None and agent.mind.models.routes["reflect"] == ("scripted:cheap",)
    with pytest.raises(DefinitionError, match="agent b asks no model"):
        Agent("b", reasoner=lambda briefing: Finish(result=1)).with_model("openai:gpt-4o")
