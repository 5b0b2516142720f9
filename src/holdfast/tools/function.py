"""`@tool`: a plain typed function becomes a tool with a contract.

    @tool(safety="keyed", key_ttl="24h", timeout="20s")
    async def refund(order: str, amount: Decimal, call: Call) -> Receipt:
        "Give the customer their money back."
        return await shop.refund(order, amount, idempotency_key=call.key)

The schema comes from the signature and is enforced going in and coming out. A parameter annotated `Call` is not an
argument: the call's key, attempt and deadline are handed in there. A parameter annotated `Secret` is put in at the moment
of the call and never written down. Async functions run on the loop, others in threads.
"""

from __future__ import annotations

import functools
import inspect
import operator
import threading
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, get_args, get_origin, get_type_hints, overload

import msgspec
import pydantic

from holdfast.core.contract import SAFETIES, Contract, Gate, Retry, Safety, duration, retry_of
from holdfast.core.events import Verdict
from holdfast.errors import DefinitionError, OutsideStore

P = ParamSpec("P")
R = TypeVar("R")

Secret = pydantic.SecretStr


class Cancelled(BaseException):
    """Raised inside a synchronous tool whose time is over. A BaseException, so that `except Exception` lets it through."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool may know about the call it is in.

    key: the idempotency key, the same on every attempt. occurrence: 1, or more for an intended repeat. attempt: from 1.
    deadline: seconds since the epoch; after it the call is cancelled. A long synchronous tool looks at `stopped` now and
    then and returns when it is set.
    """

    run_id: str
    step: str
    key: str
    attempt: int = 1
    occurrence: int = 1
    deadline: float = 0.0
    stopped: threading.Event = msgspec.field(default_factory=threading.Event)


class Partial(msgspec.Struct, frozen=True):
    """Returned by a tool that did a part. value: that part, fitting the output schema. left: what is not done, by item."""

    value: Any
    left: tuple[str, ...]


class Deferred(msgspec.Struct, frozen=True):
    """Returned by a tool whose call was taken and will be done later. until: seconds since the epoch, when it is due."""

    handle: str = ""
    until: float | None = None


class Happened(msgspec.Struct, frozen=True):
    """Returned by a probe that found the call done. value: its result."""

    value: Any = None


class Probed(msgspec.Struct, frozen=True):
    """The other answers of a probe; use the names below."""

    verdict: Verdict
    message: str = ""


NOT_HAPPENED = Probed("not_happened")
NOT_YET = Probed("not_yet")


def cannot_tell(why: str = "") -> Probed:
    """The answer of a probe that looked and still does not know; a person is asked."""
    return Probed("cannot_tell", why)


class Tool(Generic[P, R]):
    """A function with a contract. In a plan it is called by its name; `function` is what was decorated.

    Calling the object itself works for `read` tools only. Any other would touch the world where nothing records it, and
    raises OutsideStore.
    """

    def __init__(
        self,
        function: Callable[P, R],
        contract: Contract,
        arguments: type[pydantic.BaseModel],
        output: Any,
        probe: Callable[..., Any] | None,
    ):
        self.function = function
        self.contract = contract
        self.arguments = arguments
        self.output: pydantic.TypeAdapter[Any] = output
        self.probe = probe
        self.call_parameter = _call_parameter(function)
        self.probe_call_parameter = _call_parameter(probe) if probe else None
        self.is_async = inspect.iscoroutinefunction(function)
        self.probe_is_async = inspect.iscoroutinefunction(probe)
        self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """Its name in plans."""
        return self.contract.tool

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.contract.safety != "read":
            raise OutsideStore(
                f"{self.name} is {self.contract.safety} and was called as a plain function, where nothing would record it",
                hint="let a run call it (`await app.run(agent, …)`); in a unit test of the function itself, call `.function`",
            )
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name}, {self.contract.safety}>"


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    safety: Safety = ...,
    name: str | None = ...,
    timeout: str | float = ...,
    retry: Retry | int | dict[str, Any] | None = ...,
    probe: Callable[..., Any] | None = ...,
    probe_every: str | float = ...,
    probe_window: str | float = ...,
    settles_within: str | float = ...,
    key_ttl: str | float | None = ...,
    business_key: str | tuple[str, ...] = ...,
    fallback: str | Tool[..., Any] | None = ...,
    undo: str | Tool[..., Any] | None = ...,
    approve: Gate | None = ...,
    parallel: int | None = ...,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    safety: Safety = "irreversible",
    name: str | None = None,
    timeout: str | float = 60.0,
    retry: Retry | int | dict[str, Any] | None = None,
    probe: Callable[..., Any] | None = None,
    probe_every: str | float = 1.0,
    probe_window: str | float = "1h",
    settles_within: str | float = 0.0,
    key_ttl: str | float | None = None,
    business_key: str | tuple[str, ...] = (),
    fallback: str | Tool[..., Any] | None = None,
    undo: str | Tool[..., Any] | None = None,
    approve: Gate | None = None,
    parallel: int | None = None,
) -> Any:
    """Declare a tool. Times are seconds or words like `20s`, `5m`, `24h`.

    safety: what a repeated call does to the world; undeclared means `irreversible`, which asks a person before each call
    and after each crash. timeout: of one attempt. retry: attempts, or `{"attempts": 5, "backoff": "2s..60s"}`. probe: for
    `reconcilable`, a function with the same arguments that returns Happened(value), NOT_HAPPENED, NOT_YET or
    cannot_tell(why). settles_within: how long a lost request may still land. key_ttl: for `keyed`, how long the other side
    remembers a key, or "forever". business_key: arguments that make two calls the same call whatever step asks.
    approve: "always" or "never" ask a person first. parallel: calls at once, over all workers.

    Raises DefinitionError for a promise that cannot be kept.
    """

    def declare(function: Callable[..., Any]) -> Tool[..., Any]:
        called = name or function.__name__
        keys = (business_key,) if isinstance(business_key, str) else tuple(business_key)
        _check_promises(called, safety, probe, key_ttl, approve, parallel)
        arguments, secrets = _arguments(called, function)
        for key in keys:
            if f"a_{key}" not in arguments.model_fields:
                raise DefinitionError(f"tool {called}: business_key names {key}, which is no argument of it")
        returned = _hints(called, function).get("return", Any)
        try:
            output: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(_result_type(returned))
            input_schema, output_schema = arguments.model_json_schema(), output.json_schema(mode="serialization")
        except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
            raise DefinitionError(
                f"tool {called}: a type of its signature has no JSON form: {str(error).splitlines()[0]}"
            ) from error
        where = f"tool {called}"
        contract = Contract(
            tool=called,
            safety=safety,
            description=inspect.cleandoc(function.__doc__ or ""),
            input_schema=input_schema,
            output_schema=output_schema,
            timeout_seconds=_positive(duration(timeout, what=f"{where}: timeout"), where),
            retry=retry_of(retry, what=f"{where}: retry") if retry is not None else Retry(),
            probe=probe is not None,
            probe_seconds=_positive(duration(probe_every, what=f"{where}: probe_every"), where),
            probe_window_seconds=duration(probe_window, what=f"{where}: probe_window"),
            settles_within_seconds=duration(settles_within, what=f"{where}: settles_within"),
            key_ttl_seconds=None if key_ttl in (None, "forever") else duration(key_ttl, what=f"{where}: key_ttl"),
            business_key=keys,
            fallback=fallback.name if isinstance(fallback, Tool) else fallback,
            undo=undo.name if isinstance(undo, Tool) else undo,
            approve=approve,
            parallel_max=parallel,
            secrets=secrets,
        )
        return Tool(function, _written(contract), arguments, output, probe)

    return declare(function) if function is not None else declare


def _written(contract: Contract) -> Contract:
    """The contract as it will be read back from a journal; DefinitionError for a field that is not of its type."""
    try:
        return msgspec.convert(msgspec.json.decode(msgspec.json.encode(contract)), Contract)
    except (TypeError, ValueError, OverflowError, msgspec.ValidationError) as error:
        raise DefinitionError(f"tool {contract.tool}: {error}") from error


def _check_promises(called: Any, safety: str, probe: Any, key_ttl: Any, approve: Any, parallel: Any) -> None:
    if not isinstance(called, str) or not called or not called.isprintable():
        raise DefinitionError(f"tool {called}: a name is a text of printable characters")
    if safety not in SAFETIES:
        raise DefinitionError(f"tool {called}: there is no safety {safety!r}", hint=f"it is one of {', '.join(SAFETIES)}")
    if safety == "reconcilable" and probe is None:
        raise DefinitionError(
            f"tool {called}: reconcilable needs a probe",
            hint="name the function that looks whether a call happened: probe=…",
        )
    if safety == "keyed" and key_ttl is None:
        raise DefinitionError(
            f"tool {called}: keyed needs key_ttl",
            hint='say how long the other side remembers a key: key_ttl="24h", or "forever"',
        )
    if key_ttl is not None and safety != "keyed":
        raise DefinitionError(f"tool {called}: key_ttl says something about keyed tools only, and this one is {safety}")
    if approve not in (None, "always", "never"):
        raise DefinitionError(f"tool {called}: approve is {approve!r}", hint='it is "always" or "never", or left out')
    if parallel is not None and (not isinstance(parallel, int) or isinstance(parallel, bool) or parallel < 1):
        raise DefinitionError(f"tool {called}: parallel must be a whole number of at least 1")


def _positive(seconds: float, where: str) -> float:
    if seconds <= 0:
        raise DefinitionError(f"{where}: a time must be more than nothing")
    return seconds


def _hints(called: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise DefinitionError(f"tool {called}: its annotations cannot be read: {error}") from error


def _call_parameter(function: Callable[..., Any]) -> str | None:
    return next((name for name, hint in _hints(function.__name__, function).items() if hint is Call and name != "return"), None)


def _arguments(called: str, function: Callable[..., Any]) -> tuple[type[pydantic.BaseModel], tuple[str, ...]]:
    """The model of a function's arguments, and the names of those that are secrets."""
    hints = _hints(called, function)
    fields: dict[str, tuple[Any, Any]] = {}
    secrets = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if hint is Call:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DefinitionError(
                f"tool {called}: the parameter {parameter.name} has no name that a plan could give",
                hint="use plain named parameters",
            )
        fields[parameter.name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
        if hint is Secret or Secret in get_args(hint):
            secrets.append(parameter.name)
    try:
        # Aliases keep names apart from what a model has of its own (`copy`, `json`, `_private`).
        model = pydantic.create_model(
            called,
            __config__=pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=False, protected_namespaces=()),
            **{f"a_{n}": (hint, pydantic.Field(default, alias=n)) for n, (hint, default) in fields.items()},  # type: ignore[call-overload]
        )
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        raise DefinitionError(f"tool {called}: a type of its signature has no JSON form: {str(error).splitlines()[0]}") from error
    return model, tuple(secrets)


def _result_type(returned: Any) -> Any:
    """The type of the result proper: `Receipt | Deferred` gives Receipt."""
    if returned in (Partial, Deferred):
        return Any
    origin = get_origin(returned)
    if origin is not None and any(part in (Partial, Deferred) for part in get_args(returned)):
        rest = tuple(part for part in get_args(returned) if part not in (Partial, Deferred))
        return functools.reduce(operator.or_, rest) if rest else None
    return returned
