"""From a function's signature to what goes in and what comes out.

Binary values have a text form, the same in both directions: bytes are base64url text in arguments and in results (RFC 4648,
section 5), so that what one tool returns as bytes another takes as the same bytes. A type with a form of its own
(`pydantic.Base64Bytes`, a model that sets `ser_json_bytes`, a serializer) keeps it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import enum
import functools
import inspect
import math
import operator
import pathlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

import pydantic
import pydantic_core
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from holdfast.errors import DefinitionError
from holdfast.tools.answers import Deferred, Partial
from holdfast.tools.call import Call

Secret = pydantic.SecretStr
# Keys of a table that have one text form; the others (None, pairs, bytes) would be turned into something else.
_KEYS = (
    str,
    int,
    float,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    enum.Enum,
    pathlib.PurePath,
)
# Parts of a pydantic-core schema that are data of the user's, not schemas.
_NO_SCHEMAS = frozenset({"cls", "config", "metadata", "default", "expected", "serialization", "members"})


class Inquiry:
    """A function that is asked on behalf of a call (a probe, a poll, a check), with the arguments of the call that it names."""

    __slots__ = ("call_parameter", "function", "is_async", "takes")

    def __init__(self, function: Callable[..., Any], takes: frozenset[str] | None):
        self.function = function
        self.call_parameter = call_parameter(function)
        self.is_async = inspect.iscoroutinefunction(function)
        self.takes = takes

    def given(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Those of the arguments that it takes."""
        return arguments if self.takes is None else {name: part for name, part in arguments.items() if name in self.takes}


def inquiry(called: str, role: str, function: Any, known: Iterable[str]) -> Inquiry:
    """A function that is asked with these arguments; DefinitionError where it wants others. None of its own means all."""
    if not callable(function):
        raise DefinitionError(f"tool {called}: its {role} is {function!r}, which is no function")
    known, takes, any_names = frozenset(known), set[str](), False
    hints = hints_of(called, function)
    for parameter in inspect.signature(function).parameters.values():
        if hints.get(parameter.name) is Call or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            any_names = True
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            raise DefinitionError(f"tool {called}: the parameter {parameter.name} of its {role} has no name")
        elif parameter.name in known:
            takes.add(parameter.name)
        elif parameter.default is parameter.empty:
            raise DefinitionError(
                f"tool {called}: its {role} wants {parameter.name}, which is no argument of the tool",
                hint=f"a {role} gets the tool's own arguments by their names, and what it annotates `Call`",
            )
    return Inquiry(function, None if any_names else frozenset(takes))


def hints_of(called: str, function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, read; DefinitionError where they cannot be."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise DefinitionError(f"tool {called}: its annotations cannot be read: {error}") from error


def call_parameter(function: Callable[..., Any]) -> str | None:
    """The name of the parameter that is annotated `Call`."""
    called = getattr(function, "__name__", repr(function))
    return next((name for name, hint in hints_of(called, function).items() if hint is Call and name != "return"), None)


def arguments_of(called: str, function: Callable[..., Any]) -> tuple[type[pydantic.BaseModel], tuple[str, ...]]:
    """The model of a function's arguments, and the names of those that are secrets. An argument `x` is the field `a_x`."""
    hints = hints_of(called, function)
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
        raise _no_form(called, error) from error
    return model, tuple(secrets)


def output_of(called: str, function: Callable[..., Any]) -> tuple[pydantic.TypeAdapter[Any], bool]:
    """The type of a function's result, and whether it may also be partial or deferred."""
    returned = hints_of(called, function).get("return", Any)
    proper = result_type(returned)
    try:
        return pydantic.TypeAdapter(proper), proper is not returned
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        raise _no_form(called, error) from error


def schemas_of(
    called: str, arguments: type[pydantic.BaseModel], output: pydantic.TypeAdapter[Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schemas of what goes in and what comes out."""
    try:
        return (
            arguments.model_json_schema(schema_generator=_Schemas),
            output.json_schema(mode="serialization", schema_generator=_Schemas),
        )
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        raise _no_form(called, error) from error


def result_type(returned: Any) -> Any:
    """The type of the result proper: `Receipt | Deferred` gives Receipt."""
    if returned in (Partial, Deferred):
        return Any
    origin = get_origin(returned)
    if origin is not None and any(part in (Partial, Deferred) for part in get_args(returned)):
        rest = tuple(part for part in get_args(returned) if part not in (Partial, Deferred))
        return functools.reduce(operator.or_, rest) if rest else None
    return returned


def _no_form(called: str, error: Exception) -> DefinitionError:
    return DefinitionError(f"tool {called}: a type of its signature has no JSON form: {str(error).splitlines()[0]}")


# --- binary values --------------------------------------------------------------------------------------------------


class _Schemas(GenerateJsonSchema):
    """Says of bytes how they are written."""

    def bytes_schema(self, schema: core_schema.BytesSchema) -> dict[str, Any]:
        made = super().bytes_schema(schema)
        return {**made, "format": "base64url"} if made.get("format") == "binary" else made

    def encode_default(self, dft: Any) -> Any:
        return base64.urlsafe_b64encode(dft).decode() if isinstance(dft, bytes) else super().encode_default(dft)


def reader_of(arguments: type[pydantic.BaseModel]) -> Callable[[dict[str, Any]], Any]:
    """What makes the model of its arguments out of JSON."""
    schema = arguments.__pydantic_core_schema__
    if not _holds(schema, "bytes"):
        return arguments.model_validate
    read: Callable[[dict[str, Any]], Any] = _built(pydantic_core.SchemaValidator, _with_bytes_read(schema)).validate_python
    return read


def writer_of(output: pydantic.TypeAdapter[Any]) -> Callable[..., Any]:
    """What takes a checked result apart, to Python's own types or to those of JSON (`mode`)."""
    schema = output.core_schema
    if not (_holds(schema, "bytes") or _holds(schema, "any")):
        return output.serializer.to_python
    write: Callable[..., Any] = _built(pydantic_core.SchemaSerializer, _with_bytes_written(schema)).to_python
    return write


def has_free_keys(output: pydantic.TypeAdapter[Any]) -> bool:
    """Whether there may be tables in a result whose keys are not declared as texts."""
    return _holds(output.core_schema, "any") or _holds_keys(output.core_schema)


def wrong_key(value: Any) -> str | None:
    """The first key of a table that is no text and has no text of its own, as a sentence; also two keys with the same text."""
    if isinstance(value, Mapping):
        texts: set[str] = set()
        for key, part in value.items():
            if type(key) is not str and (wrong := _no_text(key)):
                return wrong
            texts.add(key if isinstance(key, str) else str(key.value if isinstance(key, enum.Enum) else key))
            if found := wrong_key(part):
                return found
        return "two of its keys have the same text" if len(texts) < len(value) else None
    if isinstance(value, (list, tuple, set, frozenset)):
        return next((found for part in value if (found := wrong_key(part))), None)
    if isinstance(value, pydantic.BaseModel):
        return wrong_key(list(value.__dict__.values()))
    return None


def _no_text(key: Any) -> str | None:
    if isinstance(key, bool) or not isinstance(key, _KEYS) or (isinstance(key, float) and not math.isfinite(key)):
        return f"a key of it is {_short(key)}, which is no text"
    return None


def _short(value: Any) -> str:
    if value is None or isinstance(value, (bool, float)):
        return repr(value)
    return f"a {type(value).__name__}"


def _built(kind: Any, schema: Any) -> Any:
    # With a prebuilt one, a model in it would go on as its class alone says. The word for that is the library's own affair.
    config = {"ser_json_bytes": "base64"}
    try:
        return kind(schema, config, _use_prebuilt=False)
    except TypeError:
        return kind(schema, config)


def _with_bytes_written(node: Any) -> Any:
    """A schema whose bytes are written as base64url, also in models that do not say how."""
    if isinstance(node, dict):
        made = {key: part if key in _NO_SCHEMAS else _with_bytes_written(part) for key, part in node.items()}
        own = node.get("serialization") or {}
        if "function" in own and "return_schema" not in own:
            made["serialization"] = {**own, "function": _texted(own["function"])}
        if node.get("type") in ("model", "dataclass", "typed-dict"):
            made["config"] = {"ser_json_bytes": "base64", **(node.get("config") or {})}
        return made
    if isinstance(node, (list, tuple)):
        return type(node)(map(_with_bytes_written, node))
    return node


def _texted(serializer: Callable[..., Any]) -> Callable[..., Any]:
    """A serializer whose bytes are text already, as it would have it (`Base64Bytes` is one)."""

    def text(*given: Any) -> Any:
        made = serializer(*given)
        return made.decode() if isinstance(made, bytes) else made

    return text


def _with_bytes_read(node: Any) -> Any:
    """A schema whose bytes are read from base64url text. What has a form of its own is left to it."""
    if isinstance(node, dict):
        if "serialization" in node:
            return node
        made = {key: part if key in _NO_SCHEMAS else _with_bytes_read(part) for key, part in node.items()}
        if node.get("type") == "bytes":
            return core_schema.no_info_before_validator_function(_bytes_of, made)
        return made
    if isinstance(node, (list, tuple)):
        return type(node)(map(_with_bytes_read, node))
    return node


def _bytes_of(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        # Both alphabets, and with or without padding: what is meant is never in doubt.
        plain = text.rstrip("=").replace("+", "-").replace("/", "_").encode("ascii")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise pydantic_core.PydanticCustomError("base64url", "bytes are given as base64url text") from None


def _holds(node: Any, kind: str) -> bool:
    if isinstance(node, dict):
        return node.get("type") == kind or any(_holds(part, kind) for key, part in node.items() if key not in _NO_SCHEMAS)
    return isinstance(node, (list, tuple)) and any(_holds(part, kind) for part in node)


def _holds_keys(node: Any) -> bool:
    if isinstance(node, dict):
        if node.get("type") == "dict" and node.get("keys_schema", {}).get("type", "any") != "str":
            return True
        return any(_holds_keys(part) for key, part in node.items() if key not in _NO_SCHEMAS)
    return isinstance(node, (list, tuple)) and any(map(_holds_keys, node))
