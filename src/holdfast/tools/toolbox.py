"""Find a tool; check what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import pydantic
import pydantic_core

from holdfast.core import values
from holdfast.core.contract import Contract
from holdfast.core.references import LITERAL, SECRET
from holdfast.errors import DefinitionError, InvalidInput, InvalidOutput, MissingSecret, Unavailable
from holdfast.tools.function import Tool
from holdfast.tools.signature import wrong_key

SecretProvider = Callable[[str], str | None]
_decode = msgspec.json.decode


class Toolbox(Mapping[str, Tool[..., Any]]):
    """The tools of an agent by name."""

    def __init__(self, tools: Iterable[Tool[..., Any]]):
        self._tools: dict[str, Tool[..., Any]] = {}
        for tool in tools:
            if not isinstance(tool, Tool):
                raise DefinitionError(f"{tool!r} is not a tool", hint="decorate the function with @tool")
            if tool.name in self._tools and self._tools[tool.name] is not tool:
                raise DefinitionError(f"two tools are called {tool.name}", hint="give one of them another name: @tool(name=…)")
            self._tools[tool.name] = tool
        for tool in self._tools.values():
            for role, other in (("fallback", tool.contract.fallback), ("undo", tool.contract.undo)):
                if other is not None and other not in self._tools:
                    raise DefinitionError(f"tool {tool.name}: its {role} {other} is not among the agent's tools")
            if tool.contract.undo is not None:
                _check_undo(tool, self._tools[tool.contract.undo])

    def __getitem__(self, name: str) -> Tool[..., Any]:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def contracts(self) -> dict[str, Contract]:
        """What each tool promises, by name."""
        return {name: tool.contract for name, tool in self._tools.items()}


def _check_undo(tool: Tool[..., Any], undo: Tool[..., Any]) -> None:
    """DefinitionError where the tool that takes a call back could not be called with what is known of the call."""
    given, schema = tool.contract.undo_args, undo.contract.input_schema
    names, required = undo.argument_names, tuple(schema.get("required", ()))
    if given is not None:
        if unknown := sorted(set(given) - names):
            raise DefinitionError(f"tool {tool.name}: its undo {undo.name} has no argument {unknown[0]}")
        known: Collection[str] = given
    else:
        output = _object_of(tool.contract.output_schema)
        known = tool.argument_names | set(output.get("properties", ())) | {"result"}
        if output.get("additionalProperties") or not output.keys() & {"type", "properties"}:
            return  # The result may have any parts.
    if missing := [name for name in required if name not in known]:
        raise DefinitionError(
            f"tool {tool.name}: its undo {undo.name} needs {missing[0]}, which is neither an argument nor a part of the result"
            if given is None
            else f"tool {tool.name}: its undo {undo.name} needs {missing[0]}, which it is not given",
            hint=f"say where it comes from: undo={{'tool': {undo.name!r}, 'args': {{{missing[0]!r}: {{'$ref': 'result.…'}}}}}}",
        )


def _object_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a result, through a reference at its root."""
    return schema.get("$defs", {}).get(str(schema.get("$ref", "")).rpartition("/")[2], schema)  # type: ignore[no-any-return]


def arguments_in(tool: Tool[..., Any], args: dict[str, Any], secrets: SecretProvider) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arguments as the function wants them, and the plain secrets among them (to be kept out of all that is written).

    InvalidInput where they break the schema; MissingSecret where a secret is not to be had, Unavailable where not now.
    """
    used: list[str] = []
    if _has_form(args):
        args = _put_secrets(args, secrets, used)
    try:
        model = tool.read_arguments(args)
    except pydantic.ValidationError as error:
        # A validator's own words may repeat what it was given.
        raise InvalidInput(scrubbed(_in_words(error), tuple(used)), detail=_details(error)) from None
    except Exception as error:  # noqa: BLE001 — types may run code of the user's; whatever it raised, there was no call.
        raise InvalidInput(scrubbed(_surprise(error), tuple(used))) from None
    # The fields are named `a_…` and known by their alias; see signature.arguments_of.
    return {name[2:]: value for name, value in model.__dict__.items()}, tuple(used)


def value_out(tool: Tool[..., Any], value: Any) -> Any:
    """A result as plain JSON, the same that will be read back from the journal. InvalidOutput where it breaks the
    schema or cannot be written (NaN, lone surrogates, cycles)."""
    return result_out(tool, value)[1]


def result_out(tool: Tool[..., Any], value: Any) -> tuple[Any, Any, int]:
    """A result in the type that was declared, as plain JSON, and how many bytes that has. InvalidOutput as in `value_out`."""
    try:
        checked = tool.output.validate_python(value)
        encoded = pydantic_core.to_json(tool.write_output(checked, mode="json", warnings=False), inf_nan_mode="constants")
        plain = _decode(encoded)
        # The dump writes NaN as null, without a word; where there is a null, the parts are looked at.
        parts = tool.write_output(checked, mode="python", warnings=False) if b"null" in encoded else plain
        values.check(encoded, plain, parts)
        if tool.free_keys and (wrong := wrong_key(checked)):
            raise ValueError(wrong)
        return checked, plain, len(encoded)
    except pydantic.ValidationError as error:
        raise InvalidOutput(_in_words(error), detail=_details(error)) from None
    except (ValueError, TypeError, RecursionError, msgspec.DecodeError) as error:
        raise InvalidOutput(f"the result cannot be written as JSON: {str(error).splitlines()[0]}") from None
    except Exception as error:  # noqa: BLE001 — types may run code of the user's; whatever it raised, the tool has answered.
        raise InvalidOutput(f"the result cannot be checked: {_surprise(error)}") from None


def scrubbed(text: str, secrets: tuple[str, ...]) -> str:
    """A text without these secrets in it."""
    # The longest first: one may be the beginning of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, values.REDACTED)
    return text


def scrubbed_value(value: Any, secrets: tuple[str, ...]) -> Any:
    """A JSON value without these secrets in any of its texts."""
    if not secrets:
        return value
    if isinstance(value, str):
        return scrubbed(value, secrets)
    if isinstance(value, dict):
        return {scrubbed(key, secrets): scrubbed_value(part, secrets) for key, part in value.items()}
    return [scrubbed_value(part, secrets) for part in value] if isinstance(value, list) else value


def _has_form(value: Any) -> bool:
    if isinstance(value, dict):
        return SECRET in value or LITERAL in value or any(map(_has_form, value.values()))
    return isinstance(value, list) and any(map(_has_form, value))


def _put_secrets(value: Any, secrets: SecretProvider, used: list[str]) -> Any:
    if isinstance(value, dict):
        if LITERAL in value:
            return value[LITERAL]
        if SECRET in value:
            name = value[SECRET]
            try:
                plain = secrets(name)
            except Exception as error:
                # A provider is code of the user's; whatever it raised, there was no call.
                raise Unavailable(f"the secret {name} cannot be had now: {_surprise(error)}") from error
            if plain is None:
                raise MissingSecret(f"the secret {name} is not to be had", hint=f"set {name} in the environment of the worker")
            used.append(plain)
            return plain
        return {key: _put_secrets(part, secrets, used) for key, part in value.items()}
    if isinstance(value, list):
        return [_put_secrets(part, secrets, used) for part in value]
    return value


def _surprise(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _in_words(error: pydantic.ValidationError) -> str:
    shown = [
        f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)[:5]
    ]
    more = error.error_count() - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _details(error: pydantic.ValidationError) -> Any:
    # Without the inputs: they may be secrets, and they may be large.
    return [
        {"at": list(map(str, p["loc"])), "kind": p["type"]} for p in error.errors(include_url=False, include_input=False)[:20]
    ]
