"""An agent: a named bundle of tools, a reasoner and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from holdfast.core.limits import Limits, wrong_limits
from holdfast.core.plan import Plan, Step, plain_plan, problems, schema_problem
from holdfast.core.values import SECRET_NAMES
from holdfast.errors import DefinitionError, PlanError, UsageError
from holdfast.reasoners.base import Briefing, Reasoner
from holdfast.reasoners.function import FunctionReasoner
from holdfast.reasoners.planfile import PlanReasoner, step_of
from holdfast.tools.function import Tool
from holdfast.tools.toolbox import Toolbox


class Agent:
    """What pursues a goal.

    name: runs belong to it by this name. plan: steps as a Plan, or a table of steps by id as in a plan file. reasoner: in
    place of a plan, a Reasoner or a function from Briefing to the next steps. goal: taken where a run names none.
    inputs: JSON Schema for each input by name; None takes any. limits: bounds of each run. secrets: names whose values are
    never written, wherever they stand in inputs, arguments or results.

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
        source: str | None = None,
    ):
        if not name or any(not (ch.isalnum() or ch in "-_.") for ch in name):
            raise DefinitionError(f"{name!r} is no name for an agent", hint="use letters, digits, - _ and .")
        if (plan is None) == (reasoner is None):
            raise DefinitionError(f"agent {name} needs either a plan or a reasoner")
        self.name = name
        self.toolbox = Toolbox(tools)
        self.goal = goal
        self.version = version
        self.inputs = inputs
        self.limits = limits or Limits()
        if wrong := wrong_limits(self.limits):
            raise DefinitionError(f"agent {name}: the limit {wrong}")
        self.secrets = tuple(sorted({secrets} if isinstance(secrets, str) else set(secrets)))
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
            if found:
                raise PlanError(found, source=source)
        else:
            self.reasoner = reasoner if hasattr(reasoner, "propose") else FunctionReasoner(reasoner)  # type: ignore[assignment,arg-type]

    def check_inputs(self, given: dict[str, Any]) -> None:
        """Raise UsageError with everything that is wrong with a run's inputs."""
        found: list[str] = []
        if self.inputs is not None:
            for name, schema in self.inputs.items():
                if name not in given:
                    if not schema.get("optional"):
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

    def __repr__(self) -> str:
        return f"<agent {self.name}, tools {', '.join(self.toolbox)}>"


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
