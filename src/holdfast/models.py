"""Which models an agent asks: for each phase, on failure, and when the money runs short.

    Models("anthropic:claude-sonnet-5", reflect="anthropic:claude-haiku-4-5", fallback=["openai:gpt-5"])

A model is named as `provider:name`, or given as an object that answers requests (see `holdfast.reasoners.model.Model`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from decimal import Decimal
from typing import Any

import msgspec
from pydantic import PydanticUserError, TypeAdapter

from holdfast.core.contract import Breaker, Retry, duration, retry_of
from holdfast.core.models import ModelTerms, Price
from holdfast.core.thinking import PHASES, Phase
from holdfast.errors import DefinitionError
from holdfast.pricing import terms_of
from holdfast.reasoners.llm import ProviderModel
from holdfast.reasoners.model import Model

ModelName = str | Model
# What a scripted model costs, where nobody says something else.
FREE = Price(input_usd=Decimal(0), output_usd=Decimal(0))
SCRIPTED = "scripted:"
# Of a request, where nobody says something else: about 80,000 tokens. Models take more, and each turn would pay for it.
CONTEXT_BYTES_MAX = 240_000


class Models:
    """See the module's text.

    model: asked in every phase, or several in order. interpret, plan, reflect, diagnose, complete: in place of it in that
    phase. fallback: asked in every phase where all before them fail. cheaper: asked where the budget does not reach for those,
    the cheapest last. prices: by name, for models that the price list does not know. output_tokens_max, context_bytes_max: of
    one request; 240,000 or what the model takes, where nothing is said. timeout: of one request. retry, breaker: of requests to
    a provider. base_urls: by provider, for gateways. DefinitionError for a name that is none.
    """

    def __init__(
        self,
        model: ModelName | Iterable[ModelName],
        *,
        interpret: ModelName | Iterable[ModelName] | None = None,
        plan: ModelName | Iterable[ModelName] | None = None,
        reflect: ModelName | Iterable[ModelName] | None = None,
        diagnose: ModelName | Iterable[ModelName] | None = None,
        complete: ModelName | Iterable[ModelName] | None = None,
        fallback: ModelName | Iterable[ModelName] = (),
        cheaper: ModelName | Iterable[ModelName] = (),
        prices: Mapping[str, Price] | None = None,
        output_tokens_max: int = 4096,
        context_bytes_max: int | None = None,
        timeout: float | str = 120.0,
        retry: Any = None,
        breaker: Breaker | None = None,
        base_urls: Mapping[str, str] | None = None,
    ):
        self.models: dict[str, Model] = {}
        self._prices = dict(prices or {})
        self._provider = ProviderModel(base_urls=base_urls)
        self._output_tokens_max = output_tokens_max
        self._context_bytes_max = context_bytes_max
        self._timeout_seconds = duration(timeout, what="timeout")
        self.retry: Retry | None = None if retry is None else retry_of(retry, what="retry")
        self.breaker = breaker if breaker is not None else Breaker()
        last = self._names(fallback)
        by_phase: dict[Phase, Any] = dict(zip(PHASES, (interpret, plan, reflect, diagnose, complete), strict=True))
        self.routes: dict[str, tuple[str, ...]] = {"": _distinct(self._names(model), last)}
        self.routes |= {phase: _distinct(self._names(own), last) for phase, own in by_phase.items() if own is not None}
        self.cheaper = self._names(cheaper)
        if not self.routes[""]:
            raise DefinitionError("no model is named", hint='Models("anthropic:claude-sonnet-5")')

    def _names(self, given: ModelName | Iterable[ModelName]) -> tuple[str, ...]:
        if isinstance(given, str) or hasattr(given, "answer"):
            return (self._name(given),)
        if not isinstance(given, Iterable):
            raise DefinitionError(f"{given!r} is no model", hint="name it as provider:name, such as anthropic:claude-sonnet-5")
        return tuple(map(self._name, given))

    def _name(self, given: Any) -> str:
        if isinstance(given, str):
            if ":" not in given.strip(":"):
                hint = "name it as provider:name, such as anthropic:claude-sonnet-5"
                raise DefinitionError(f"{given!r} is no name of a model", hint=hint)
            self.models.setdefault(given, self._provider)
            return given
        name = getattr(given, "name", None)
        if not isinstance(name, str) or not name or not hasattr(given, "answer"):
            raise DefinitionError(f"{given!r} is no model", hint="it needs a name, and an async method answer(request)")
        if self.models.setdefault(name, given) is not given:
            raise DefinitionError(f"two models are called {name}", hint="give one of them another name")
        return name

    def instead(self, model: ModelName | Iterable[ModelName]) -> Models:
        """The same terms for other models, which are asked in every phase. One that is named here already is the same one."""
        other = copy(self)
        other.models = {}
        for given in [model] if isinstance(model, str) or hasattr(model, "answer") else list(model):
            known = self.models.get(given) if isinstance(given, str) else None
            other._name(given if known is None or known is self._provider else known)
        other.routes, other.cheaper = {"": tuple(other.models)}, ()
        return other

    def terms(self) -> dict[str, ModelTerms]:
        """What holds for each model; DefinitionError for one whose price nobody knows."""
        return {name: self._terms(name) for name in self.models}

    def _terms(self, name: str) -> ModelTerms:
        price = self._prices.get(name, FREE if name.startswith(SCRIPTED) else None)
        terms = terms_of(
            name,
            price=price,
            output_tokens_max=self._output_tokens_max,
            context_bytes_max=self._context_bytes_max,
            timeout_seconds=self._timeout_seconds,
        )
        if self._context_bytes_max is None:
            return msgspec.structs.replace(terms, context_bytes_max=min(terms.context_bytes_max, CONTEXT_BYTES_MAX))
        return terms


def models_of(given: Models | ModelName | Iterable[ModelName]) -> Models:
    """What an agent is given as its model."""
    return given if isinstance(given, Models) else Models(given)


def _distinct(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for several in names for name in several))


def result_schema_of(result: Any) -> dict[str, Any]:
    """The JSON Schema of a result: as it is given, or that of a type. DefinitionError where it is none."""
    if result is None:
        return {}
    if isinstance(result, dict):
        return dict(result)
    try:
        schema: dict[str, Any] = TypeAdapter(result).json_schema()
    except (PydanticUserError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DefinitionError(f"{result!r} is no form of a result: {reason}", hint="give a type, or a JSON Schema") from error
    return dict(msgspec.to_builtins(schema))
