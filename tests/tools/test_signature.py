"""From a signature to what goes in and what comes out: binary values have one text form, in both directions."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

from holdfast.errors import InvalidInput, InvalidOutput
from holdfast.tools.function import Secret, Tool, tool
from holdfast.tools.signature import wrong_key
from holdfast.tools.toolbox import arguments_in, value_out

BINARY = bytes(range(256))
TEXT = base64.urlsafe_b64encode(BINARY).decode()


class Scan(pydantic.BaseModel):
    """A model with bytes at any depth."""

    data: bytes
    pages: list[bytes] = []
    more: dict[str, bytes | None] = {}
    other: Any = None
    inner: Scan | None = None


class Hexed(pydantic.BaseModel):
    """A model that says how its bytes are written."""

    model_config = pydantic.ConfigDict(ser_json_bytes="hex")
    data: bytes


class Own(pydantic.BaseModel):
    """Types with a form of their own."""

    data: pydantic.Base64Bytes
    token: pydantic.SecretBytes = pydantic.SecretBytes(b"hunter2")
    shouted: Annotated[bytes, pydantic.PlainSerializer(lambda data: data.decode().upper())] = b"abc"


@dataclasses.dataclass
class Box:
    """A dataclass."""

    data: bytes


class Table(TypedDict):
    """A typed table."""

    data: bytes


class Colour(enum.Enum):
    RED = "red"


def returning(hint: Any) -> Tool[..., Any]:
    """A tool whose result has a type."""

    def do():  # type: ignore[no-untyped-def]
        ...

    do.__annotations__ = {"return": hint}
    return tool(do)


def taking(hint: Any) -> Tool[..., Any]:
    """A tool with one argument of a type."""

    def do(given):  # type: ignore[no-untyped-def]
        ...

    do.__annotations__ = {"given": hint}
    return tool(do)


def taken(hint: Any, given: Any) -> Any:
    """What arrives of an argument."""
    return arguments_in(taking(hint), {"given": given}, lambda name: None)[0]["given"]


# --- binary results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "value", "written"),
    [
        (bytes, BINARY, TEXT),
        (bytes, b"", ""),
        (bytes | None, None, None),
        (list[bytes], [b"a", BINARY], ["YQ==", TEXT]),
        (dict[str, bytes], {"a": BINARY}, {"a": TEXT}),
        (Any, {"a": (BINARY, 1)}, {"a": [TEXT, 1]}),
        (Annotated[bytes, pydantic.Field(max_length=1000)], BINARY, TEXT),
        (Box, Box(BINARY), {"data": TEXT}),
        (Table, {"data": BINARY}, {"data": TEXT}),
        (list[Box | Scan], [Box(BINARY)], [{"data": TEXT}]),
        (Hexed, Hexed(data=b"\xff"), {"data": "ff"}),
        (list[Hexed | bytes], [Hexed(data=b"\xff"), b"\xff"], [{"data": "ff"}, "_w=="]),
    ],
)
def test_bytes_come_out_as_base64url_text(hint: Any, value: Any, written: Any) -> None:
    """Whatever is in them, also what happens to be text, and wherever they are; a model that says otherwise is obeyed."""
    assert value_out(returning(hint), value) == written


def test_bytes_in_models_come_out_as_base64url_text() -> None:
    """In fields, lists, tables, untyped parts and models inside models."""
    scan = Scan(data=BINARY, pages=[b"a"], more={"x": BINARY, "y": None}, other=[BINARY], inner=Scan(data=b"\xfe"))
    inner = {"data": "_g==", "pages": [], "more": {}, "other": None, "inner": None}
    assert value_out(returning(Scan), scan) == {
        "data": TEXT, "pages": ["YQ=="], "more": {"x": TEXT, "y": None}, "other": [TEXT], "inner": inner,
    }  # fmt: skip
    assert scan.model_dump()["data"] == BINARY, "the class itself is as it was"
    assert Scan(data=b"abc").model_dump(mode="json")["data"] == "abc"


def test_a_form_of_its_own_is_kept() -> None:
    """What a type says of how it is written."""
    own = Own(data=base64.b64encode(b"hey"))  # type: ignore[arg-type]
    assert value_out(returning(Own), own) == {"data": "aGV5", "token": "**********", "shouted": "ABC"}


@pytest.mark.parametrize("hint", [bytes, list[bytes], Scan, Box])
def test_the_schema_says_how_bytes_are_written(hint: Any) -> None:
    """In results and arguments."""
    for schema in (returning(hint).contract.output_schema, taking(hint).contract.input_schema):
        assert '"format":"base64url"' in msgspec.json.encode(schema).decode()
        assert "binary" not in msgspec.json.encode(schema).decode()


# --- binary arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [TEXT, TEXT.rstrip("="), base64.b64encode(BINARY).decode()])
def test_bytes_go_in_as_base64url_text(given: str) -> None:
    """With or without padding; the other alphabet of base64 is understood too."""
    assert taken(bytes, given) == BINARY


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (bytes, BINARY),
        (bytes | None, None),
        (list[bytes], [b"", BINARY]),
        (Scan, Scan(data=BINARY, inner=Scan(data=b"x"))),
        (Box, Box(BINARY)),
    ],
)
def test_what_one_tool_returns_another_takes(hint: Any, value: Any) -> None:
    """The same bytes, through the journal."""
    assert taken(hint, value_out(returning(hint), value)) == value


@pytest.mark.parametrize("given", ["a", "hello world", "ä", "ab=c", "a\n", 5, None, ["a"]])
def test_what_is_no_base64_is_refused(given: Any) -> None:
    """In a sentence; it is never taken for the text's own bytes."""
    with pytest.raises(InvalidInput) as caught:
        taken(bytes, given)
    assert "base64url text" in str(caught.value) or not isinstance(given, str)
    assert "hello" not in str(caught.value)


def test_arguments_with_a_form_of_their_own_keep_it() -> None:
    """What a type says of how it is read."""
    assert taken(pydantic.Base64Bytes, "aGV5") == b"hey"
    assert taken(pydantic.SecretBytes, "hunter2").get_secret_value() == b"hunter2"
    assert taken(Secret, "hunter2").get_secret_value() == "hunter2"


def test_defaults_and_checks_of_binary_arguments_hold() -> None:
    """They are about the bytes, not about the text."""
    assert arguments_in(tool(defaulted), {}, lambda name: None)[0] == {"data": b"\xff"}
    assert taken(Annotated[bytes, pydantic.Field(max_length=3)], "YWJj") == b"abc"
    with pytest.raises(InvalidInput, match="at most 2 bytes"):
        taken(Annotated[bytes, pydantic.Field(max_length=2)], "YWJj")


def defaulted(data: bytes = b"\xff") -> None: ...


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({1: "a", "b": 2}, {"1": "a", "b": 2}),
        ({1.5: 1}, {"1.5": 1}),
        ({datetime.date(2026, 11, 20): 1}, {"2026-11-20": 1}),
        ({decimal.Decimal("1.50"): 1}, {"1.50": 1}),
        ({uuid.UUID(int=7): 1}, {"00000000-0000-0000-0000-000000000007": 1}),
        ({Colour.RED: 1}, {"red": 1}),
    ],
)
def test_keys_that_have_a_text_take_it(value: Any, written: Any) -> None:
    """Where there is no doubt about it."""
    assert value_out(returning(Any), value) == written


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({None: 1}, "a key of it is None, which is no text"),
        ({True: 1}, "a key of it is True, which is no text"),
        ({(1, 2): 3}, "a key of it is a tuple, which is no text"),
        ({b"k": 1}, "a key of it is a bytes, which is no text"),
        ({float("nan"): 1}, "a key of it is nan, which is no text"),
        ({1: "a", "1": "b"}, "two of its keys have the same text"),
        ({Colour.RED: 1, "red": 2}, "two of its keys have the same text"),
        ([{"a": ({None: 1},)}], "a key of it is None, which is no text"),
        (Scan(data=b"", other={None: 1}), "a key of it is None, which is no text"),
    ],
)
def test_keys_that_are_no_text_are_refused_by_name(value: Any, wrong: str) -> None:
    """They would be turned into something else, or get lost."""
    assert wrong_key(value) == wrong
    for hint in (Any, Scan) if isinstance(value, Scan) else (Any,):
        with pytest.raises(InvalidOutput, match=f"cannot be written as JSON: {wrong}"):
            value_out(returning(hint), value)


def test_keys_are_looked_at_only_where_they_may_be_no_text() -> None:
    """A declared result costs nothing for it."""
    assert [returning(hint).free_keys for hint in (str, Colour, Box, dict[str, list[int]], list[dict[str, bytes]])] == [False] * 5
    assert [returning(hint).free_keys for hint in (Any, Scan, dict[int, str], list[Any], dict[str, Any])] == [True] * 5
