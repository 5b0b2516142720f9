"""Find a tool; check what goes in and what comes out."""

from __future__ import annotations

import datetime
import decimal
import math
import time
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from hypothesis import given

from holdfast.core.references import SECRET
from holdfast.errors import DefinitionError, InvalidInput, InvalidOutput, MissingSecret
from holdfast.tools.function import Secret, Tool, tool
from holdfast.tools.toolbox import Toolbox, arguments_in, scrubbed, scrubbed_value, value_out
from tests import strategies as s


def returning(hint: Any = Any) -> Tool[..., Any]:
    """A tool whose result has a type."""

    def do():  # type: ignore[no-untyped-def]
        ...

    do.__annotations__ = {"return": hint}
    return tool(do)


ANYTHING = returning()


# --- finding --------------------------------------------------------------------------------------------------------


def test_tools_are_found_by_name() -> None:
    """With their contracts; the same one twice is once."""
    one = returning()
    box = Toolbox([one, one])
    assert (dict(box), box.contracts, len(box), list(box)) == ({"do": one}, {"do": one.contract}, 1, ["do"])
    assert box.get("other") is None


def test_names_are_taken_once() -> None:
    """Another tool of the same name is a mistake."""
    with pytest.raises(DefinitionError, match="two tools are called do"):
        Toolbox([returning(), returning()])


@pytest.mark.parametrize("wrong", ["do", len, None, 5])
def test_what_is_no_tool_is_refused(wrong: Any) -> None:
    """With the way to make it one."""
    with pytest.raises(DefinitionError, match="decorate the function with @tool"):
        Toolbox([wrong])


@pytest.mark.parametrize("role", ["fallback", "undo"])
def test_a_tool_that_another_names_must_be_there(role: str) -> None:
    """Before a run needs it."""

    def pay() -> None: ...

    named: Any = {role: "gone"}
    with pytest.raises(DefinitionError, match=f"tool pay: its {role} gone is not among the agent's tools"):
        Toolbox([tool(**named)(pay)])


class Booking(pydantic.BaseModel):
    number: str
    price: int = 0


def undone_by(undo: Any, returns: Any = Booking, args: dict[str, Any] | None = None) -> Toolbox:
    """The tools of an agent, one of which takes the other back."""

    def book(room: str, nights: int = 1): ...  # type: ignore[no-untyped-def]

    book.__annotations__["return"] = returns
    back = tool(name="back")(undo)
    return Toolbox([tool(undo=back if args is None else {"tool": back, "args": args})(book), back])


def by_number(number: str) -> None: ...
def by_room_and_number(room: str, number: str, why: str = "") -> None: ...
def by_result(result: dict[str, Any]) -> None: ...
def by_receipt(receipt: str, room: str) -> None: ...


@pytest.mark.parametrize("undo", [by_number, by_room_and_number, by_result])
def test_an_undo_gets_what_it_needs_by_name(undo: Any) -> None:
    """From the arguments of the call, from the parts of its result, or the whole `result`."""
    assert undone_by(undo)["book"].contract.undo == "back"


@pytest.mark.parametrize("returns", [Any, dict[str, str], Booking | None])
def test_a_result_of_which_nothing_is_known_may_have_any_part(returns: Any) -> None:
    """It is found out when the call is taken back."""
    undone_by(by_receipt, returns)


@pytest.mark.parametrize("returns", [Booking, str, list[str], None])
def test_an_undo_that_needs_what_nobody_has_is_refused(returns: Any) -> None:
    """With where it could come from."""
    with pytest.raises(DefinitionError) as caught:
        undone_by(by_receipt, returns)
    assert caught.value.what == "tool book: its undo back needs receipt, which is neither an argument nor a part of the result"
    assert "{'tool': 'back', 'args': {'receipt': {'$ref': 'result.…'}}}" in str(caught.value.hint)


def test_an_undo_with_arguments_of_its_own_is_given_those() -> None:
    """All that it needs, and nothing that it has not."""
    args = {"receipt": {"$ref": "result.number"}, "room": {"$ref": "args.room"}}
    assert undone_by(by_receipt, args=args)["book"].contract.undo_args == args
    with pytest.raises(DefinitionError, match="tool book: its undo back needs room, which it is not given"):
        undone_by(by_receipt, args={"receipt": "x"})
    with pytest.raises(DefinitionError, match="tool book: its undo back has no argument rooom"):
        undone_by(by_receipt, args={"receipt": "x", "rooom": "y"})


# --- what goes in ---------------------------------------------------------------------------------------------------


class Guest(pydantic.BaseModel):
    name: str
    born: datetime.date | None = None


@tool(safety="idempotent")
def book(guest: Guest, nights: int = 1, price: decimal.Decimal = decimal.Decimal("80")) -> str:
    return guest.name


def no_secrets(name: str) -> str | None:
    """Nobody has any."""
    return None


def test_arguments_arrive_as_the_types_that_the_function_declares() -> None:
    """Models, dates and decimals out of JSON; defaults where nothing was given."""
    arguments, used = arguments_in(book, {"guest": {"name": "Ada", "born": "1815-12-10"}, "price": "99.50"}, no_secrets)
    assert arguments == {
        "guest": Guest(name="Ada", born=datetime.date(1815, 12, 10)),
        "nights": 1,
        "price": decimal.Decimal("99.50"),
    }
    assert used == ()


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({}, "guest: Field required"),
        ({"guest": "Ada"}, "guest"),
        ({"guest": {"name": "Ada"}, "nights": "many"}, "nights"),
        ({"guest": {"name": "Ada"}, "nigths": 2}, "nigths: Extra inputs are not permitted"),
        ({"guest": {"name": 5}}, "guest.name"),
    ],
)
def test_wrong_arguments_are_told_by_name_and_without_their_values(args: dict[str, Any], problem: str) -> None:
    """They may be secrets, and they may be large."""
    with pytest.raises(InvalidInput) as caught:
        arguments_in(book, args, no_secrets)
    assert problem in str(caught.value)
    assert "Ada" not in str(caught.value) + repr(caught.value.detail)


def shouting(value: pydantic.SecretStr) -> pydantic.SecretStr:
    """A validator that says what it was given."""
    raise ValueError(f"{value.get_secret_value()} is no good")


@tool(safety="idempotent")
def sign_in(token: Secret, parts: dict[str, Any] | None = None) -> None: ...


@tool(safety="idempotent")
def sign_in_shouting(token: Annotated[Secret, pydantic.AfterValidator(shouting)]) -> None: ...


def test_a_secret_is_put_in_at_the_moment_of_the_call() -> None:
    """Wherever it stands in the arguments; which ones were used is told, so that they can be kept out of what is written."""
    vault = {"A": "hunter2", "B": "hunter3"}
    args = {"token": {SECRET: "A"}, "parts": {"deep": [{SECRET: "B"}, 5]}}
    arguments, used = arguments_in(sign_in, args, vault.get)
    assert arguments["token"].get_secret_value() == "hunter2"
    assert arguments["parts"] == {"deep": ["hunter3", 5]}
    assert used == ("hunter2", "hunter3")
    assert args["token"] == {SECRET: "A"}, "what was recorded is left as it was"
    assert "hunter2" not in repr(arguments["token"])


def test_a_secret_that_nobody_has_is_named() -> None:
    """With what to do."""
    with pytest.raises(MissingSecret, match="set A in the environment"):
        arguments_in(sign_in, {"token": {SECRET: "A"}}, no_secrets)


def test_a_validator_that_repeats_a_secret_is_not_repeated() -> None:
    """Its words are cleaned like any others."""
    with pytest.raises(InvalidInput) as caught:
        arguments_in(sign_in_shouting, {"token": {SECRET: "A"}}, {"A": "hunter2"}.get)
    assert "hunter2" not in str(caught.value) + repr(caught.value.detail)
    assert "[redacted] is no good" in str(caught.value)


# --- what comes out -------------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def circle() -> Any:
    """A list in itself."""
    value: list[Any] = []
    value.append(value)
    return value


class Reading(pydantic.BaseModel):
    value: float
    note: str | None = None


@given(s.json_values)
def test_plain_json_comes_out_as_it_is(value: Any) -> None:
    """And reads back the same."""
    assert value_out(ANYTHING, value) == value == msgspec.json.decode(msgspec.json.encode(value_out(ANYTHING, value)))


@pytest.mark.parametrize(
    ("hint", "value", "read"),
    [
        (Any, b"abc", "YWJj"),
        (Any, {"a": [b"\xff\xfe"]}, {"a": ["__4="]}),
        (Any, (1, {2}), [1, [2]]),
        (Any, 2**63 - 1, 2**63 - 1),
        (Any, 2**64, 2**64),
        (Any, -(2**63) - 1, -(2**63) - 1),
        (Any, 10**30, 10**30),
        (Any, {1: 2}, {"1": 2}),
        (Any, datetime.date(2026, 11, 20), "2026-11-20"),
        (Any, Guest(name="Ada"), {"name": "Ada", "born": None}),
        (Any, "null NaN", "null NaN"),
        (Any, nested(100), nested(100)),
        (decimal.Decimal, decimal.Decimal("80.10"), "80.10"),
        (Reading, {"value": 1}, {"value": 1.0, "note": None}),
        (bytes, b"\xff\xfe", "__4="),
        (Secret, pydantic.SecretStr("hunter2"), "**********"),
        (None, None, None),
    ],
)
def test_what_has_a_json_form_takes_it(hint: Any, value: Any, read: Any) -> None:
    """What is believed is what will be read back."""
    found = value_out(returning(hint), value)
    assert found == read
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Any, math.nan),
        (Any, {"a": [math.inf]}),
        (Any, [None, -math.inf]),
        (Any, Reading(value=math.nan)),
        (float, math.nan),
        (list[float], [1.0, math.nan]),
        (Reading, {"value": math.inf}),
        (Any, "\ud800"),
        (Any, {"\udfff": 1}),
        (Any, {(1, 2): 3}),
        (Any, [{None: 1}]),
        (Any, {b"k": 1}),
        (Any, {True: 1}),
        (Any, {math.nan: 1}),
        (Any, {1: "a", "1": "b"}),
        (dict[int | str, str], {1: "a", "1": "b"}),
        (Any, object()),
        (Any, len),
        (Any, circle()),
        (Any, nested(101)),
        (Any, nested(100_000)),
        pytest.param(Any, 10**5000, id="a number of 5000 digits"),
        (int, "five"),
        (int, None),
        (None, 5),
        (Guest, {"nmae": "Ada"}),
        (list[int], {"0": 1}),
    ],
)
def test_what_has_no_json_form_or_breaks_the_schema_is_refused(hint: Any, value: Any) -> None:
    """As the tool's failure, in words; nothing is silently turned into something else."""
    with pytest.raises(InvalidOutput) as caught:
        value_out(returning(hint), value)
    assert 0 < len(str(caught.value)) < 1000


def test_a_large_result_is_taken_whole_and_in_good_time() -> None:
    """Ten megabytes, in many small parts."""
    value = [{"number": n, "text": "x" * 80, "none": None} for n in range(100_000)]
    began = time.process_time()
    assert value_out(ANYTHING, value) == value
    assert time.process_time() - began < 3


def test_a_result_that_breaks_its_schema_is_not_repeated_in_the_error() -> None:
    """It may hold what must not be written."""
    with pytest.raises(InvalidOutput) as caught:
        value_out(returning(Guest), {"name": ["hunter2"]})
    assert "hunter2" not in str(caught.value) + repr(caught.value.detail)
    assert "name" in str(caught.value)


def test_secrets_are_scrubbed_from_texts_and_values() -> None:
    """Keys, values and parts of texts; an empty secret scrubs nothing."""
    value = {"a hunter2 b": ["hunter2", {"x": "see hunter2hunter2"}, 5, None], "y": "fine"}
    assert scrubbed_value(value, ("hunter2", "")) == {
        "a [redacted] b": ["[redacted]", {"x": "see [redacted][redacted]"}, 5, None],
        "y": "fine",
    }
    assert scrubbed_value(value, ()) is value
    assert scrubbed("hunter2 and hunter3", ("hunter2", "hunter3", "")) == "[redacted] and [redacted]"
    assert scrubbed("hunter22", ("hunter2", "hunter22")) == "[redacted]", "one is the beginning of the other"
