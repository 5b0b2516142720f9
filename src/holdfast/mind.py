"""What an agent with a model is made of: its models, how it thinks, and the tools that come with that."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, get_args

import msgspec

from holdfast.core.contract import Contract, digest
from holdfast.core.references import condition_problem
from holdfast.core.thinking import Acceptance, Asking, AskPolicy, Reassess, Thinking
from holdfast.errors import DefinitionError, OutsideStore
from holdfast.models import Models, result_schema_of
from holdfast.reasoners.briefing import overhead_bytes
from holdfast.reasoners.mind import ModelReasoner
from holdfast.reasoners.verbs import READ_MORE, VERBS
from holdfast.tools.function import Tool, tool

ACCEPT_TOOL = "accept_result"
# How many memories a run starts with where its agent just says that it has a memory.
RECALL = 20


class Mind:
    """How an agent thinks; see `Agent` for what each part means. DefinitionError for a part that cannot be."""

    def __init__(
        self, models: Models, *, instructions: str, horizon: int, reassess: Reassess, interpret: bool | None,
        asking: dict[str, Asking], confidence_min: float, repairs_max: int, failures_max: int, recall: int, result: Any,
    ):  # fmt: skip
        if type(horizon) is not int or horizon < 0:
            raise DefinitionError(f"horizon is {horizon!r}", hint='it is a number of steps, or "plan" for all of them')
        if reassess not in get_args(Reassess):
            raise DefinitionError(f"reassess is {reassess!r}", hint=f"it is one of {', '.join(get_args(Reassess))}")
        if not 0 <= confidence_min <= 1:
            raise DefinitionError(f"confidence_min is {confidence_min!r}", hint="it lies between 0 and 1")
        if repairs_max < 1 or failures_max < 1:
            raise DefinitionError("repairs_max and failures_max are at least 1")
        self.models = models
        self.instructions = instructions
        self.horizon = horizon
        self.reassess: Reassess = reassess
        self.interpret = interpret
        self.asking = asking
        self.confidence_min = confidence_min
        self.repairs_max = repairs_max
        self.failures_max = failures_max
        self.recall = recall
        self.result_schema = result_schema_of(result)
        self.reasoner = ModelReasoner(models.models, instructions)
        self._known: dict[str, Thinking] = {}

    def asking_models(self, models: Models) -> Mind:
        """The same way of thinking, by other models."""
        other = copy(self)
        other.models, other._known = models, {}
        other.reasoner = ModelReasoner(models.models, self.instructions)
        return other

    def with_own_tools(self, agent: str, tools: list[Tool[..., Any]]) -> list[Tool[..., Any]]:
        """The tools of the agent, and those that every model is given beside them."""
        for one in tools:
            if getattr(one, "name", "") in {*VERBS, READ_MORE}:  # What is no tool at all is said by the toolbox.
                hint = f"these names are taken: {', '.join(sorted({*VERBS, READ_MORE}))}"
                raise DefinitionError(f"agent {agent}: a tool of it is called {one.name}", hint=hint)
        return [*tools, read_more]

    def thinking(self, contracts: Mapping[str, Contract], inputs: dict[str, Any], *, missing: bool) -> Thinking:
        """What is written down when a run starts. missing: a declared input is not given."""
        interpret = missing if self.interpret is None else self.interpret
        form = digest([interpret, list(contracts.values())])
        known = self._known.get(form)
        if known is None:
            known = self._known[form] = self._made(dict(contracts), inputs, interpret)
        return known

    def _made(self, contracts: dict[str, Contract], inputs: dict[str, Any], interpret: bool) -> Thinking:
        models = self.models
        thinking = Thinking(
            models=models.terms(),
            routes=models.routes,
            cheaper=models.cheaper,
            horizon=self.horizon,
            reassess=self.reassess,
            interpret=interpret,
            asking=self.asking,
            confidence_min=self.confidence_min,
            repairs_max=self.repairs_max,
            failures_max=self.failures_max,
            breaker=models.breaker,
            recall=self.recall,
            result_schema=self.result_schema,
            inputs=inputs,
            instructions=digest(self.instructions),
        )
        if models.retry is not None:
            thinking = msgspec.structs.replace(thinking, retry=models.retry)
        return msgspec.structs.replace(thinking, overhead_bytes=overhead_bytes(self.instructions, contracts, thinking))


def asking_of(given: Mapping[str, Asking] | Asking | None) -> dict[str, Asking]:
    """Policies by name; one alone holds for all."""
    policies: Any = {} if given is None else {"": given} if isinstance(given, Asking) else given
    if not isinstance(policies, Mapping):
        raise DefinitionError(f"ask is {given!r}", hint='ask=Asking(policy="always"), or a table of those by name')
    for name, asking in policies.items():
        if not isinstance(asking, Asking):
            raise DefinitionError(f"ask: {name} is {asking!r}", hint='give it as Asking(policy="always")')
        if asking.policy not in get_args(AskPolicy):
            hint = f"it is one of {', '.join(get_args(AskPolicy))}"
            raise DefinitionError(f"ask: the policy of {name or 'all'} is {asking.policy!r}", hint=hint)
        if not (asking.cost_of_asking >= 0 and asking.cost_of_wrong >= 0):
            raise DefinitionError(f"ask: the costs of {name or 'all'} are at least 0")
    return dict(policies)


def recall_of(given: int | bool) -> int:
    """How many memories a run starts with."""
    if isinstance(given, bool):
        return RECALL if given else 0
    if given < 0:
        raise DefinitionError(f"memory is {given}", hint="it is a number of memories, True or False")
    return given


def accepting(
    tools: list[Tool[..., Any]], accept: Acceptance | Tool[..., Any] | Callable[..., Any] | str | None
) -> tuple[list[Tool[..., Any]], Acceptance | None]:
    """What counts as done, and the tools with the one that looks."""
    if accept is None or isinstance(accept, Acceptance):
        return tools, _checked(accept, tools)
    if isinstance(accept, str):
        return tools, _checked(Acceptance(that=accept), tools)
    looker = accept if isinstance(accept, Tool) else tool(name=ACCEPT_TOOL, safety="read")(accept)
    if "result" not in inspect.signature(looker.function).parameters:
        raise DefinitionError(f"accept: {looker.name} takes no argument `result`", hint="def accepted(result): …")
    known = [one for one in tools if getattr(one, "name", "") == looker.name]
    if known and known[0] is not looker:
        raise DefinitionError(f"accept: there is another tool called {looker.name}")
    return (tools if known else [*tools, looker]), _checked(Acceptance(tool=looker.name), [*tools, looker])


def _checked(accept: Acceptance | None, tools: list[Tool[..., Any]]) -> Acceptance | None:
    if accept is None:
        return None
    if accept.that and (problem := condition_problem(accept.that)):
        raise DefinitionError(f"accept: {problem}")
    if accept.tool:
        looker = next((one for one in tools if getattr(one, "name", "") == accept.tool), None)
        if looker is None:
            raise DefinitionError(f"accept: there is no tool {accept.tool}")
        if looker.contract.safety != "read":
            raise DefinitionError(f"accept: {accept.tool} is {looker.contract.safety}", hint="what looks at a result is a `read`")
    if not accept.that and not accept.tool:
        raise DefinitionError("accept says nothing", hint="give an expression over `result`, or a tool")
    if accept.finishes_max < 1:
        raise DefinitionError("accept: finishes_max is at least 1")
    return accept


@tool(name=READ_MORE, safety="read")
def read_more(step: str, query: str = "", offset: int = 0) -> dict[str, Any]:
    """Read more of a result that was cut. step: whose result. query: a jmespath expression over it. offset: of the text, in
    characters, from where to read on."""
    raise OutsideStore("read_more reads the results of the run that it is called in")
