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

import inspect
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, ParamSpec, TypeVar, overload

import pydantic

from holdfast.core.contract import AtDeadline, Breaker, Contract, Gate, Oversize, Rate, Retry, Safety, Scope
from holdfast.errors import DefinitionError, OutsideStore
from holdfast.tools.answers import NOT_HAPPENED as NOT_HAPPENED
from holdfast.tools.answers import NOT_YET as NOT_YET
from holdfast.tools.answers import Deferred as Deferred
from holdfast.tools.answers import Happened as Happened
from holdfast.tools.answers import Partial as Partial
from holdfast.tools.answers import Probed as Probed
from holdfast.tools.answers import cannot_tell as cannot_tell
from holdfast.tools.call import Call as Call
from holdfast.tools.call import Cancelled as Cancelled
from holdfast.tools.declare import contract_of
from holdfast.tools.signature import (
    Inquiry,
    arguments_of,
    call_parameter,
    has_free_keys,
    inquiry,
    output_of,
    reader_of,
    schemas_of,
    writer_of,
)
from holdfast.tools.signature import Secret as Secret

_NOTHING: dict[str, str] = {}

P = ParamSpec("P")
R = TypeVar("R")


class Tool(Generic[P, R]):
    """A function with a contract. In a plan it is called by its name; `function` is what was decorated.

    Calling the object itself works for `read` tools only. Any other would touch the world where nothing records it, and
    raises OutsideStore. probe, poll, check: who is asked about its calls. sufficient: an expression over the result, or who is
    asked.
    """

    def __init__(
        self,
        function: Callable[P, R],
        contract: Contract,
        arguments: type[pydantic.BaseModel],
        output: pydantic.TypeAdapter[Any],
        probe: Callable[..., Any] | None = None,
        *,
        poll: Callable[..., Any] | None = None,
        check: Callable[..., Any] | None = None,
        sufficient: str | Callable[[Any], Any] | None = None,
    ):
        self.function = function
        self.contract = contract
        self.arguments = arguments
        self.output = output
        self.read_arguments = reader_of(arguments)
        self.write_output = writer_of(output)
        self.free_keys = has_free_keys(output)
        names = self.argument_names
        self.probe = _asked(self.name, "probe", probe, names)
        self.poll = _asked(self.name, "poll", poll, names)
        self.check = _asked(self.name, "check", check, names | {"result"})
        self.sufficient = sufficient
        self.call_parameter = call_parameter(function)
        self.is_async = inspect.iscoroutinefunction(function)
        self.is_judged = check is not None or sufficient is not None
        self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """Its name in plans."""
        return self.contract.tool

    @property
    def argument_names(self) -> frozenset[str]:
        """What may be given to it."""
        return frozenset(str(field.alias) for field in self.arguments.model_fields.values())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.contract.safety != "read":
            raise OutsideStore(
                f"{self.name} is {self.contract.safety} and was called as a plain function, where nothing would record it",
                hint="let a run call it (`await app.run(agent, …)`); in a unit test of the function itself, call `.function`",
            )
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name}, {self.contract.safety}>"


def _asked(called: str, role: str, function: Callable[..., Any] | None, names: frozenset[str]) -> Inquiry | None:
    return None if function is None else inquiry(called, role, function, names)


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
    scope: Scope = ...,
    fallback: str | Tool[..., Any] | None = ...,
    undo: str | Tool[..., Any] | dict[str, Any] | None = ...,
    approve: Gate | str | None = ...,
    approvers: str | list[str] | tuple[str, ...] = ...,
    amount: str = ...,
    untrusted: bool = ...,
    parallel: int | None = ...,
    callback: bool | None = ...,
    poll: Callable[..., Any] | None = ...,
    poll_every: str | float = ...,
    owed_within: str | float = ...,
    at_deadline: AtDeadline = ...,
    repeats: int = ...,
    visible_within: str | float | None = ...,
    sufficient: str | Callable[[Any], Any] | None = ...,
    check: Callable[..., Any] | None = ...,
    result_max: str | int = ...,
    oversize: Oversize = ...,
    changes: str | tuple[str, ...] = ...,
    rate: str | Rate | None = ...,
    breaker: str | dict[str, Any] | Breaker | None = ...,
    heartbeat: str | float | None = ...,
    observes: dict[str, str] = ...,
    valid_for: str | float | None = ...,
    cost: str | int | float | Decimal | None = ...,
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
    scope: Scope = "run",
    fallback: str | Tool[..., Any] | None = None,
    undo: str | Tool[..., Any] | dict[str, Any] | None = None,
    approve: Gate | str | None = None,
    approvers: str | list[str] | tuple[str, ...] = (),
    amount: str = "",
    untrusted: bool = False,
    parallel: int | None = None,
    callback: bool | None = None,
    poll: Callable[..., Any] | None = None,
    poll_every: str | float = "30s..10m",
    owed_within: str | float = "24h",
    at_deadline: AtDeadline = "ask",
    repeats: int = 1,
    visible_within: str | float | None = None,
    sufficient: str | Callable[[Any], Any] | None = None,
    check: Callable[..., Any] | None = None,
    result_max: str | int = "16MB",
    oversize: Oversize = "store",
    changes: str | tuple[str, ...] = (),
    rate: str | Rate | None = None,
    breaker: str | dict[str, Any] | Breaker | None = None,
    heartbeat: str | float | None = None,
    observes: dict[str, str] = _NOTHING,
    valid_for: str | float | None = None,
    cost: str | int | float | Decimal | None = None,
) -> Any:
    """Declare a tool. Times are seconds or words like `20s`, `5m`, `24h`.

    safety: what a repeated call does to the world; undeclared means `irreversible`, which asks a person before each call
    and after each crash. timeout: of one attempt. retry: attempts, or `{"attempts": 5, "backoff": "2s..60s"}`. probe: for
    `reconcilable`, a function with the same arguments that returns Happened(value), NOT_HAPPENED, NOT_YET or
    cannot_tell(why). settles_within: how long a lost request may still land. key_ttl: for `keyed`, how long the other side
    remembers a key, or "forever". business_key: arguments that make two calls the same call whatever step asks; scope: in one
    run, or in all runs of the "store". parallel: calls at once, over all workers; rate: calls in a time, "10/1m"; breaker:
    left alone after so many failures in a time and for how long, "5/1m/30s"; both over all runs of the store. fallback: another
    tool. undo: the tool that takes a call back, by name or as `{"tool": …, "args": {…}}` with references to `args` and `result`.

    approve: whether a person is asked first: "always", "never", or a condition over the arguments, such as `amount > 500`; where
    it cannot be worked out they are asked too. approvers: roles or names of those who may decide; by default anybody, or whom
    the policy names. amount: the argument that says how much a call is about, for rules over `amount`. untrusted: its results
    come from outside; what rests on them is `tainted` to rules.

    callback: the other side may deliver the result by `call.token`; by default where the result may be Partial or Deferred.
    poll: a function with the same arguments that looks for what is owed and answers like a probe (NOT_HAPPENED: it will not
    come; a ToolFailure: the other side says that it failed); poll_every: its first wait and the longest. owed_within: the
    deadline of what is owed where the call names none; at_deadline: "ask" a person, count it as failed ("fail"), make the call
    again under a new key ("repeat", so many times as `repeats`), or "give_up" and flag it. visible_within: how long a call
    that succeeded may not be seen yet.

    sufficient: what must be true of a result: a jmespath expression, or a function of the result that returns True, or why
    not. check: a function that reads the world back after each call, with its arguments, and with the `result` where it takes
    that; it returns True, or why not, or NOT_YET. Both count within the timeout. result_max: of the result as JSON; oversize:
    "store" the whole beside and keep what fits, only "cut" it, or "fail". What is cut has its longest texts and lists
    shortened, so it may break the result's schema. changes: what else a call may change, reported by `call.changed()`.
    heartbeat: a call that reports no `call.progress()` for so long is given up.

    observes: facts that a call reports: by name, a jmespath expression over the result; `{argument}` in a name stands for the
    value of one. valid_for: how long they stay true. cost: US dollars that a call costs at most; they are held of the run's
    budget while it is under way.

    Raises DefinitionError for a promise that cannot be kept.
    """
    given: dict[str, Any] = {option: value for option, value in locals().items() if option not in ("function", "name")}

    def declare(function: Callable[..., Any]) -> Tool[..., Any]:
        called: Any = name or function.__name__
        if not isinstance(called, str) or not called.isprintable():
            raise DefinitionError(f"tool {called}: a name is a text of printable characters")
        arguments, secrets = arguments_of(called, function)
        output, may_owe = output_of(called, function)
        input_schema, output_schema = schemas_of(called, arguments, output)
        known = {
            "input_schema": input_schema,
            "output_schema": output_schema,
            "arguments": frozenset(str(field.alias) for field in arguments.model_fields.values()),
            "secrets": secrets,
            "call_parameter": call_parameter(function),
            "may_owe": may_owe,
        }
        contract = contract_of(called, function, given, known)
        return Tool(function, contract, arguments, output, probe, poll=poll, check=check, sufficient=sufficient)

    return declare(function) if function is not None else declare
