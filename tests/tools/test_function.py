"""`@tool`: a plain typed function becomes a tool with a contract; promises that cannot be kept are refused when declared."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import math
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest

from holdfast.core.contract import Contract, Retry
from holdfast.errors import DefinitionError, OutsideStore
from holdfast.tools.function import (
    NOT_HAPPENED,
    NOT_YET,
    Call,
    Cancelled,
    Deferred,
    Happened,
    Partial,
    Secret,
    Tool,
    cannot_tell,
    tool,
)


def probe(**_: Any) -> Any:
    """Looks, and finds nothing."""
    return NOT_HAPPENED


class Receipt(pydantic.BaseModel):
    number: str
    amount: decimal.Decimal


class Colour(enum.Enum):
    RED = "red"


# --- the contract ---------------------------------------------------------------------------------------------------


def test_a_bare_decorator_makes_the_most_careful_tool() -> None:
    """Undeclared means irreversible: a person is asked first, and after each crash."""

    @tool
    def pay(order: str) -> str:
        """Pay an order.

        In full.
        """
        return order

    assert (pay.name, pay.contract.safety, pay.contract.asks_first) == ("pay", "irreversible", True)
    assert pay.contract.description == "Pay an order.\n\nIn full."
    assert pay.__doc__ == pay.function.__doc__
    assert repr(pay) == "<tool pay, irreversible>"


def test_everything_that_is_declared_is_in_the_contract() -> None:
    """In seconds, whatever words it was said with."""

    @tool(safety="idempotent")
    def other() -> None: ...

    @tool(
        safety="keyed", name="refund", timeout="20s", retry={"attempts": 5, "backoff": "2s..60s"}, probe=probe, probe_every="2s", probe_window="10m",
        settles_within="30s", key_ttl="24h", business_key="order", fallback=other, undo="take_back", approve="always", parallel=3,
    )  # fmt: skip
    def give(order: str, token: Secret) -> Receipt:
        raise AssertionError(order)

    contract = give.contract
    assert msgspec.structs.replace(contract, input_schema={}, output_schema={}) == Contract(
        tool="refund", safety="keyed", timeout_seconds=20.0, retry=Retry(attempts_max=5, backoff_seconds=2, backoff_seconds_max=60),
        probe=True, probe_seconds=2.0, probe_window_seconds=600.0, settles_within_seconds=30.0, key_ttl_seconds=86400.0,
        business_key=("order",), fallback="other", undo="take_back", approve="always", parallel_max=3, secrets=("token",),
    )  # fmt: skip
    assert set(contract.input_schema["properties"]) == {"order", "token"}
    assert set(contract.output_schema["properties"]) == {"number", "amount"}


def test_the_schema_comes_from_the_signature() -> None:
    """Types, defaults, and what is required; nothing else may be given; `Call` is no argument."""

    @tool
    def do(a: int, call: Call, b: list[str] | None = None, *, c: Annotated[str, pydantic.Field(max_length=3)] = "x") -> None: ...

    schema = do.contract.input_schema
    assert schema["required"] == ["a"]
    assert set(schema["properties"]) == {"a", "b", "c"}
    assert schema["properties"]["c"]["maxLength"] == 3
    assert schema["additionalProperties"] is False
    assert do.call_parameter == "call"


def test_arguments_may_have_any_name() -> None:
    """Also those that a model has of its own."""

    @tool
    def do(copy: int, json: str, model_config: int, schema: int, _private: int, self: int) -> None: ...

    assert set(do.contract.input_schema["properties"]) == {"copy", "json", "model_config", "schema", "_private", "self"}


@pytest.mark.parametrize(
    "hint",
    [int, str, float, bool, None, list[int], dict[str, Any], Any, Receipt, Colour, decimal.Decimal, datetime.datetime, datetime.timedelta,
     pathlib.Path, Literal["a", 1], int | None, tuple[int, str], set[int], bytes, Secret, Annotated[int, pydantic.Field(gt=0)]],
)  # fmt: skip
def test_a_contract_reads_back_as_it_was(hint: Any) -> None:
    """Or each resume would find the agent changed."""

    def do(given):  # type: ignore[no-untyped-def]
        ...

    do.__annotations__ = {"given": hint, "return": hint}
    contract = tool(do).contract
    assert msgspec.json.decode(msgspec.json.encode(contract), type=Contract) == contract


def test_a_default_that_is_no_json_does_not_make_the_agent_look_changed() -> None:
    """Infinity is a default of Python, and null in a schema."""

    @tool
    def do(most: float = math.inf, at: tuple[int, ...] = (1, 2), day: datetime.date = datetime.date(2026, 1, 1)) -> None: ...

    assert msgspec.json.decode(msgspec.json.encode(do.contract), type=Contract) == do.contract


def test_what_a_tool_returns_beside_its_result_is_no_part_of_its_schema() -> None:
    """Partial and Deferred are ways to come back, not results."""

    def schema(hint: Any) -> Any:
        def do():  # type: ignore[no-untyped-def]
            ...

        do.__annotations__ = {"return": hint}
        return tool(do).contract.output_schema

    assert schema(int | Deferred) == schema(int | Partial | Deferred) == {"type": "integer"}
    assert schema(Receipt | Deferred) == schema(Receipt)
    assert schema(Deferred) == schema(Partial) == schema(Any) == {}
    assert schema(Partial | Deferred) == schema(None) == {"type": "null"}


def test_secrets_are_found_in_the_signature() -> None:
    """Optional ones too."""

    @tool
    def do(a: Secret, b: str, c: Secret | None = None) -> None: ...

    assert do.contract.secrets == ("a", "c")


# --- promises that cannot be kept ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promise", "problem"),
    [
        ({"safety": "safe"}, "there is no safety 'safe'"),
        ({"safety": "reconcilable"}, "reconcilable needs a probe"),
        ({"safety": "keyed"}, "keyed needs key_ttl"),
        ({"safety": "read", "key_ttl": "1h"}, "key_ttl says something about keyed tools only"),
        ({"safety": "keyed", "key_ttl": "soon"}, "key_ttl: 'soon' is not a duration"),
        ({"timeout": 0}, "more than nothing"),
        ({"timeout": "-1s"}, "is not a duration"),
        ({"timeout": math.nan}, "is not a duration"),
        ({"probe_every": 0}, "more than nothing"),
        ({"retry": 0}, "retry: needs 1 to 1000 attempts"),
        ({"retry": {"tries": 3}}, "'tries' is not a part of retry"),
        ({"parallel": 0}, "parallel must be a whole number"),
        ({"parallel": 1.5}, "parallel must be a whole number"),
        ({"parallel": "3"}, "parallel must be a whole number"),
        ({"parallel": True}, "parallel must be a whole number"),
        ({"approve": "amount > 500"}, "'amount > 500' names amount"),
        ({"approve": True}, "approve is True"),
        ({"business_key": "ordr"}, "business_key names ordr, which is no argument"),
        ({"name": 5}, "tool 5: "),
        ({"undo": 5}, "tool do: "),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused(promise: dict[str, Any], problem: str) -> None:
    """When it is declared, with the name of the tool; never later, in a journal that cannot be read."""

    def do(order: str) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        tool(**promise)(do)
    assert problem in str(caught.value)
    assert "tool " in str(caught.value)


class Opaque:
    """Has no JSON form."""


def positional(order: str, /) -> None: ...
def starred(*orders: str) -> None: ...
def keywords(**orders: str) -> None: ...
def opaque_in(order: Opaque) -> None: ...
def opaque_out(order: str) -> Opaque:
    return Opaque()


def unknown_name(order: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (positional, "order has no name that a plan could give"),
        (starred, "orders has no name"),
        (keywords, "orders has no name"),
        (opaque_in, "has no JSON form"),
        (opaque_out, "has no JSON form"),
        (unknown_name, "its annotations cannot be read"),
    ],
)
def test_a_signature_that_no_plan_could_call_is_refused(function: Callable[..., Any], problem: str) -> None:
    """With a sentence, not a traceback of the library below."""
    with pytest.raises(DefinitionError, match=problem):
        tool(function)


# --- the object -----------------------------------------------------------------------------------------------------


def test_a_read_tool_may_be_called_as_a_function() -> None:
    """It changes nothing, so nothing has to be recorded."""

    @tool(safety="read")
    def look(x: int) -> int:
        return x + 1

    assert look(1) == 2


@pytest.mark.parametrize("safety", ["idempotent", "keyed", "reconcilable", "irreversible"])
def test_an_effect_tool_refuses_outside_a_store(safety: Any) -> None:
    """Durability cannot be half on. The function itself can be tested."""
    done = []

    @tool(safety=safety, key_ttl="forever" if safety == "keyed" else None, probe=probe if safety == "reconcilable" else None)
    def pay(x: int) -> int:
        done.append(x)
        return x

    with pytest.raises(OutsideStore, match=f"pay is {safety}"):
        pay(1)
    assert done == []
    assert pay.function(1) == 1


def test_functions_that_wait_are_told_from_those_that_do_not() -> None:
    """Also behind a wrapper, and for the probe by itself."""

    async def waits(call: Call) -> Any:
        return Happened(1)

    @functools.wraps(waits)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return waits(*args, **kwargs)

    @tool(safety="reconcilable", probe=waits)
    def does() -> None: ...

    assert does.probe is not None
    assert (does.is_async, does.probe.is_async, does.probe.call_parameter, does.call_parameter) == (False, True, "call", None)
    assert tool(waits).is_async


def test_the_words_of_probes_and_tools() -> None:
    """What they carry."""
    assert (NOT_HAPPENED.verdict, NOT_YET.verdict) == ("not_happened", "not_yet")
    assert (cannot_tell("two of them").verdict, cannot_tell("two of them").message) == ("cannot_tell", "two of them")
    assert Happened(5).value == 5
    assert Deferred() == Deferred(handle="", until=None)
    assert not issubclass(Cancelled, Exception), "a tool's `except Exception` must let it through"


def test_each_call_has_a_stop_sign_of_its_own() -> None:
    """Setting one sets no other."""
    one, other = (Call(run_id="r", step="a", key="k") for _ in range(2))
    one.stopped.set()
    assert not other.stopped.is_set()


def test_declaring_twice_makes_two_tools() -> None:
    """The function is left as it was."""

    def do() -> None: ...

    one, other = tool(do), tool(name="other")(do)
    assert isinstance(one, Tool)
    assert (one.name, other.name, one.function) == ("do", "other", do)
