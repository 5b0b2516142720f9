"""What the formats share: events, merged sides, arguments, and what is wrong with a schema."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.models import Part
from holdfast.reasoners.model import Role
from holdfast.testing.models.server.wire import arguments, merged, schema_problem, sse, strict_problem


def test_an_event_is_framed() -> None:
    """With its name where it has one."""
    assert sse({"a": "é"}, "named") == 'event: named\ndata: {"a": "é"}\n\n'.encode()
    assert sse("[DONE]") == b"data: [DONE]\n\n"


def test_what_one_side_says_is_one_message() -> None:
    """So that places in a conversation are the same in every format."""
    roles: tuple[Role, ...] = ("user", "user", "assistant", "user")
    texts = [(role, [Part(kind="text", text=f"{role}{number}")]) for number, role in enumerate(roles)]
    found = merged(texts)
    assert [message.role for message in found] == ["user", "assistant", "user"]
    assert [part.text for part in found[0].parts] == ["user0", "user1"]


@pytest.mark.parametrize(("text", "found"), [('{"a": 1}', {"a": 1}), ('{"a":', '{"a":'), ("[1]", "[1]"), ("", "")])
def test_arguments_are_a_table_or_the_text(text: str, found: Any) -> None:
    """As the neutral form has them."""
    assert arguments(text) == found


OBJECT = {"type": "object"}


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (OBJECT, ""),
        ({**OBJECT, "properties": {"a": {"type": "array", "items": {"type": "string"}}}}, ""),
        ([], "schema must be an object"),
        ({}, "got 'type: \"None\"'"),
        ({"type": "string"}, "got 'type: \"string\"'"),
        ({**OBJECT, "properties": {"a": {"type": "array"}}}, "In context=('properties', 'a'), array schema missing items."),
        ({**OBJECT, "$defs": {"A": {"type": "array"}}}, "In context=('$defs', 'A'), array schema missing items."),
        ({**OBJECT, "properties": {"a": {"type": "array", "items": {"type": "array"}}}}, "('properties', 'a', 'items'), array schema missing"),
    ],
)  # fmt: skip
def test_schemas_of_functions_are_objects_with_whole_arrays(schema: Any, wrong: str) -> None:
    """What is wrong is found wherever it is."""
    found = schema_problem(schema)
    assert wrong in found and bool(wrong) == bool(found)


STRICT = {**OBJECT, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (OBJECT, ""),
        ({**STRICT, "properties": {"a": OBJECT}, "required": ["a"]}, ""),
        ({**OBJECT, "properties": {"a": OBJECT}, "required": ["a"]}, "'additionalProperties' is required to be supplied and to be false"),
        ({**STRICT, "properties": {"a": OBJECT, "b": OBJECT}, "required": ["a"]}, "Missing 'b'"),
        ({**STRICT, "properties": {"a": {"type": "array", "items": {**STRICT, "properties": {"c": OBJECT}}}}, "required": ["a"]}, "Missing 'c'"),
    ],
)  # fmt: skip
def test_strict_schemas_leave_nothing_open(schema: dict[str, Any], wrong: str) -> None:
    """Every property is required, and there are no others."""
    found = strict_problem(schema)
    assert wrong in found and bool(wrong) == bool(found)
