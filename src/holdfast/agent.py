"""An agent: a named bundle of tools, a reasoner and limits; and how an agent is a tool of another one.

A step may start a run of another agent. To the plan, and to whoever asks what may be called, that agent is a tool by its name,
with the arguments goal, inputs and limits; its contract names it (`Contract.agent`), and the runner starts the run itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from holdfast import datafile, policyfile
from holdfast.core.conditions import CALL_WORDS, PLAN_WORDS
from holdfast.core.events import OnStop
from holdfast.core.limits import Limits, wrong_limits
from holdfast.core.plan import Plan, Step, plain_plan
from holdfast.core.policy import Policy, policy_problems
from holdfast.core.soundness import problems, schema_problem
from holdfast.core.thinking import WHOLE_PLAN, Acceptance, Asking, Reassess, Thinking
from holdfast.core.values import SECRET_NAMES, plain
from holdfast.errors import DefinitionError, OutsideStore, PlanError, UsageError
from holdfast.mind import Mind, accepting, asking_of, recall_of
from holdfast.models import ModelName, Models, models_of
from holdfast.reasoners.base import Briefing, Reasoner
from holdfast.reasoners.function import FunctionReasoner
from holdfast.reasoners.planfile import PlanReasoner, limits_schema, step_of
from holdfast.tools.function import Tool, tool
from holdfast.tools.toolbox import Toolbox


class Agent:
    """What pursues a goal.

    name: runs belong to it by this name. plan: steps as a Plan, or a table of steps by id as in a plan file. reasoner: in
    place of a plan, a Reasoner or a function from Briefing to the next steps. goal: taken where a run names none.
    inputs: JSON Schema for each input by name; None takes any. limits: bounds of each run. secrets: names whose values are
    never written, wherever they stand in inputs, arguments or results; those of its agents are added. on_stop: what becomes of
    what was done when a run fails or is cancelled: it is kept, undone, or a person is asked. agents: those whose runs its
    steps may start; each is a tool by its name. policy: when a person is asked, as a Policy or the path of a policy file; the
    agents below keep their own. checks: functions that its rules name; each takes what is proposed as `proposed`, a table, or
    words of it by name (see `core/proposed.py`), and returns True or False, at once or awaited.

    With a model in place of a plan: model: what is asked, as `provider:name`, several in order, or `Models(…)`. instructions:
    how it is to go about its work. horizon: how many steps in a row it may plan at once; 1 acts and looks in turns, `"plan"`
    plans all. reassess: when a plan under way is looked at again: after every `step`, on `surprise`, `never`. interpret:
    whether the first turn says what is known, missing and assumed (None: where a declared input is not given). ask: whether a
    person is asked for what is missing, by name of the input or for all. confidence_min: a plan that the model trusts less is
    put to a person, call by call. memory: how many memories of its thread a run starts with; True for 20. result: the type, or
    JSON Schema, of the result. accept: what counts as done: a jmespath expression over `result` and `facts`, a function or tool
    that looks at the `result`.

    Raises DefinitionError, or PlanError with everything that is wrong in the plan.
    """

    def __init__(
        self,
        name: str,
        *,
        tools: Iterable[Tool[..., Any]] = (),
        plan: Plan | dict[str, Any] | None = None,
        reasoner: Reasoner | Callable[[Briefing], Any] | None = None,
        goal: str = "",
        version: str = "",
        inputs: dict[str, Any] | None = None,
        limits: Limits | None = None,
        secrets: Iterable[str] = (),
        on_stop: OnStop = "keep",
        agents: Iterable[Agent] = (),
        source: str | None = None,
        model: Models | ModelName | Iterable[ModelName] | None = None,
        instructions: str = "",
        horizon: int | Literal["plan"] = 1,
        reassess: Reassess = "surprise",
        interpret: bool | None = None,
        ask: Mapping[str, Asking] | Asking | None = None,
        confidence_min: float = 0.0,
        repairs_max: int = 3,
        failures_max: int = 3,
        memory: int | bool = False,
        result: Any = None,
        accept: Acceptance | Tool[..., Any] | Callable[..., Any] | str | None = None,
        policy: Policy | str | Path | None = None,
        checks: Iterable[Callable[..., Any]] = (),
    ):
        if not name or any(not (ch.isalnum() or ch in "-_.") for ch in name):
            raise DefinitionError(f"{name!r} is no name for an agent", hint="use letters, digits, - _ and .")
        if sum(given is not None for given in (plan, reasoner, model)) != 1:
            raise DefinitionError(f"agent {name} needs either a plan, a reasoner or a model")
        if on_stop not in get_args(OnStop):
            raise DefinitionError(
                f"agent {name}: on_stop is {on_stop!r}", hint=f"it is one of {', '.join(get_args(OnStop))}, or left out"
            )
        self.name = name
        self.on_stop: OnStop = on_stop
        self.agents = _by_name(name, agents)
        self.mind: Mind | None = None
        if model is None and (said := _for_a_model(instructions, horizon, interpret, ask, memory, result, confidence_min)):
            raise DefinitionError(f"agent {name}: {said} is for an agent with a model", hint="name its model, or leave it out")
        if model is not None:
            self.mind = Mind(
                models_of(model), instructions=instructions, horizon=WHOLE_PLAN if horizon == "plan" else horizon,
                reassess=reassess, interpret=interpret, asking=asking_of(ask), confidence_min=confidence_min,
                repairs_max=repairs_max, failures_max=failures_max, recall=recall_of(memory), result=result,
            )  # fmt: skip
        given_tools, self.accept = accepting(list(tools), accept)
        if self.mind is not None:
            given_tools = self.mind.with_own_tools(name, given_tools)
        self.toolbox = _toolbox(name, given_tools, self.agents)
        self.family()  # Whatever is wrong in it is said here.
        self.checks = _checks_by_name(name, checks)
        self.policy = _policy_of(name, policy, self.toolbox, self.checks)
        self.goal = goal
        self.version = version
        self.inputs = inputs
        if limits is not None and not isinstance(limits, Limits):
            raise DefinitionError(f"agent {name}: limits is {limits!r}", hint="give it as Limits(attempts_max=100)")
        self.limits = limits or Limits()
        if wrong := wrong_limits(self.limits):
            raise DefinitionError(f"agent {name}: the limit {wrong}")
        hidden = {secrets} if isinstance(secrets, str) else set(secrets)
        self.secrets: tuple[str, ...] = tuple(sorted(hidden.union(*(child.secrets for child in self.agents.values()))))
        self.secret_names = SECRET_NAMES | frozenset(self.secrets)
        self.source = source
        self.plan = plan_of(plan) if isinstance(plan, dict) else plan
        if self.plan is not None:
            source = source or f"the plan of {name}"
            try:
                self.plan = plain_plan(self.plan)
            except ValueError as error:
                raise PlanError([str(error)], source=source) from error
            self.reasoner: Reasoner = PlanReasoner(self.plan)
            known = dict.fromkeys(inputs) if inputs is not None else None
            found = problems(self.plan, self.toolbox.contracts, known, secrets=self.secret_names)
            never = [step.id for step in self.plan.steps if step.on_failure == "replan"]
            found += [f"step {name}: on_failure is replan, and nobody plans again" for name in never]
            if found:
                raise PlanError(found, source=source)
        elif self.mind is not None:
            self.reasoner = self.mind.reasoner
        else:
            self.reasoner = reasoner if hasattr(reasoner, "propose") else FunctionReasoner(reasoner)  # type: ignore[assignment,arg-type]

    def check_inputs(self, given: dict[str, Any]) -> None:
        """Raise UsageError with everything that is wrong with a run's inputs."""
        found: list[str] = []
        if self.inputs is not None:
            for name, schema in self.inputs.items():
                if name not in given:
                    if not schema.get("optional") and not self._finds_out():
                        found.append(f"the input {name} is missing")
                elif problem := schema_problem(given[name], {key: part for key, part in schema.items() if key != "optional"}):
                    found.append(f"the input {name}: {problem}")
            found.extend(f"there is no input {name}" for name in given if name not in self.inputs)
        if not found and self.plan is not None:
            found = [problem for problem in problems(self.plan, self.toolbox.contracts, given) if "names the input" in problem]
        if found:
            raise UsageError(
                f"agent {self.name}: " + "; ".join(found), hint="give inputs as --input name=value or --input @file.json"
            )

    def with_model(self, model: ModelName | Iterable[ModelName]) -> Agent:
        """The same agent, which asks this model in every phase, or these in order. Runs of both are runs of the same agent: what
        one of them began, the other goes on with. DefinitionError where it asks none."""
        if self.mind is None:
            raise DefinitionError(f"agent {self.name} asks no model", hint="its steps come from its plan, or from its reasoner")
        other = copy(self)
        other.mind = self.mind.asking_models(self.mind.models.instead(model))
        other.reasoner = other.mind.reasoner
        return other

    def _finds_out(self) -> bool:
        """Whether what the inputs leave open is read off the words of the goal, asked for or inferred."""
        return self.mind is not None and self.mind.interpret is not False

    def thinking(self, given: dict[str, Any] | None = None) -> Thinking | None:
        """How a run of this agent thinks; None where no model is asked. given: its inputs. DefinitionError for a model whose
        price nobody knows."""
        if self.mind is None:
            return None
        missing = any(name not in (given or {}) and not form.get("optional") for name, form in (self.inputs or {}).items())
        return self.mind.thinking(self.toolbox.contracts, self.inputs or {}, missing=missing)

    def family(self) -> dict[str, Agent]:
        """All agents below this one by name: those whose runs its steps may start, those whose runs these may start, and so on.
        Whoever works for this agent works for all of them. DefinitionError where two of them have one name: runs belong to an
        agent by it."""
        found: dict[str, Agent] = {}
        left = list(self.agents.values())[::-1]
        while left:
            child = left.pop()
            if child is self or child.name == self.name:
                itself = "is among the agents below itself" if child is self else "has another agent of that name below it"
                raise DefinitionError(f"agent {self.name} {itself}", hint="an agent does a part of the work, never the whole")
            if child.name not in found:
                found[child.name] = child
                left.extend(list(child.agents.values())[::-1])
            elif found[child.name] is not child:
                raise DefinitionError(
                    f"agent {self.name} has two different agents called {child.name} below it",
                    hint="use the same one in both places, or give one of them another name",
                )
        return found

    def __repr__(self) -> str:
        return f"<agent {self.name}, tools {', '.join(self.toolbox)}>"


def _for_a_model(
    instructions: str, horizon: Any, interpret: Any, ask: Any, memory: Any, result: Any, confidence_min: float
) -> str | None:
    """The first thing that is said of how a model is to think."""
    given = {
        "instructions": instructions, "horizon": horizon != 1, "interpret": interpret is not None, "ask": ask is not None,
        "memory": memory, "result": result is not None, "confidence_min": confidence_min,
    }  # fmt: skip
    return next((name for name, said in given.items() if said), None)


def plan_of(steps: dict[str, Any]) -> Plan:
    """A plan from a table of steps by id, each in the form that a plan file has; PlanError with all that is wrong."""
    found: list[str] = []
    plan = Plan(
        steps=tuple(
            step for name, form in steps.items() if (step := form if isinstance(form, Step) else step_of(name, form, found))
        )
    )
    if found:
        raise PlanError(found)
    return plan


# --- policies -----------------------------------------------------------------------------------------------------


def _policy_of(
    name: str, given: Policy | str | Path | None, toolbox: Toolbox, checks: dict[str, Callable[..., Any]]
) -> Policy | None:
    """The policy of an agent, fit for its tools and its functions; DefinitionError with all that is wrong."""
    if given is None:
        return None
    if isinstance(given, (str, Path)):
        policy = policyfile.load(Path(given))
    elif isinstance(given, Policy):
        policy = policyfile.converted(given)
    else:
        raise DefinitionError(f"agent {name}: policy is {given!r}", hint="give it as Policy(…), or as the path of a policy file")
    found = policy_problems(policy, tools=toolbox.contracts, checks=tuple(checks))
    for rule in policy.rules:
        if rule.on == "plan" and rule.check in checks:
            words = [word for word in inspect.signature(checks[rule.check]).parameters if word not in (*PLAN_WORDS, PROPOSED)]
            found += [f"rule {rule.name}: its check {rule.check} takes {word}, which a plan does not have" for word in words]
    if found:
        raise DefinitionError(datafile.told(f"agent {name}: the policy {policy.name}", found))
    return policy


# The parameter of a check that takes all that it may see.
PROPOSED = "proposed"


def _checks_by_name(name: str, checks: Iterable[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for check in [checks] if callable(checks) else checks:
        called = getattr(check, "__name__", "")
        if isinstance(check, (Tool, type)) or not called.isidentifier() or not inspect.isroutine(check):
            hint = "give `checks` a list of functions, each with a name of its own: def looks_odd(proposed): …"
            raise DefinitionError(f"agent {name}: {check!r} is no check", hint=hint)
        if found.setdefault(called, check) is not check:
            raise DefinitionError(f"agent {name}: two of its checks are called {called}", hint="give one another name")
        _check_parameters(f"agent {name}: the check {called}", check)
    return found


def _check_parameters(where: str, check: Callable[..., Any]) -> None:
    words = (PROPOSED, *dict.fromkeys((*CALL_WORDS, *PLAN_WORDS)))
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(check).parameters
    except ValueError as error:
        raise DefinitionError(f"{where} does not say what it takes", hint="write a function of Python around it") from error
    for word, parameter in parameters.items():
        if parameter.kind not in by_name or word not in words:
            raise DefinitionError(
                f"{where} takes {parameter.replace(annotation=parameter.empty)}, which nothing is given to by its name",
                hint=f"it takes what is proposed as `{PROPOSED}`, or words of it by name: {', '.join(words[1:])}",
            )


# --- an agent as a tool -------------------------------------------------------------------------------------------


def _by_name(name: str, agents: Iterable[Agent]) -> dict[str, Agent]:
    found: dict[str, Agent] = {}
    for child in [agents] if isinstance(agents, Agent) else agents:
        if not isinstance(child, Agent):
            raise DefinitionError(f"agent {name}: {child!r} is no agent", hint="give `agents` a list of Agent(…)")
        if found.setdefault(child.name, child) is not child:
            raise DefinitionError(f"agent {name}: two of its agents are called {child.name}", hint="give one another name")
    return found


def _toolbox(name: str, tools: Iterable[Tool[..., Any]], agents: dict[str, Agent]) -> Toolbox:
    given: list[Any] = list(tools)
    for one in given:
        if isinstance(one, Tool) and one.name in agents:
            raise DefinitionError(
                f"agent {name}: a tool and an agent of it are both called {one.name}", hint="give one of them another name"
            )
    return Toolbox([*given, *map(child_tool, agents.values())])


def child_tool(child: Agent) -> Tool[..., Any]:
    """What an agent is to one that may start runs of it. The limits are in the words of a plan file (`attempts`, `wall`, …); a
    run that is `detached` goes on when the one that started it has ended.

    A run is started once for a key, so the call is `keyed`. It is owed from then on for as long as the run may take; when it
    has not ended by then, a person is asked.
    """

    def start(
        goal: str = "", inputs: dict[str, Any] | None = None, limits: dict[str, Any] | None = None, detached: bool = False
    ) -> Any:
        raise OutsideStore(f"{child.name} is an agent: a step of a run starts a run of it", hint="app.run(agent) starts one too")

    made = tool(name=child.name, safety="keyed", key_ttl="forever", retry=1)(start)
    made.contract = msgspec.structs.replace(
        made.contract, agent=child.name, description=child.goal or f"A run of the agent {child.name}.", approve=None,
        untrusted=any(contract.untrusted for contract in child.toolbox.contracts.values()), input_schema=_child_schema(child),
        output_schema={}, owed_within_seconds=child.limits.wall_seconds, at_deadline="ask",
    )  # fmt: skip
    return made


def _child_schema(child: Agent) -> dict[str, Any]:
    """What may be said to a child: its goal, its declared inputs, its limits, and whether it outlives who started it."""
    inputs: dict[str, Any] = {"type": "object"}
    if child.inputs is not None:
        inputs["properties"] = {name: _input_schema(child, name, schema) for name, schema in child.inputs.items()}
        inputs["required"] = [name for name, schema in child.inputs.items() if not schema.get("optional")]
        inputs["additionalProperties"] = False
    return {
        "type": "object",
        "properties": {"goal": {"type": "string"}, "inputs": inputs, "limits": limits_schema(), "detached": {"type": "boolean"}},
        "required": ["inputs"] if inputs.get("required") else [],
        "additionalProperties": False,
    }


def _input_schema(child: Agent, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    try:
        form: dict[str, Any] = plain({key: part for key, part in schema.items() if key != "optional"})
    except ValueError as error:
        raise DefinitionError(f"agent {child.name}: the schema of the input {name} is not JSON: {error}") from error
    # A pointer would lead elsewhere from here. The child checks what it is given by the schema itself.
    return {} if "$ref" in msgspec.json.encode(form).decode() else form
