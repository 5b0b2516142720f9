"""What the two formats of OpenAI share: the key, errors, the checks of functions.

Errors after https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.core.models import Usage
from holdfast.reasoners.model import ToolForm
from holdfast.testing.models.faults import Fault, FaultName
from holdfast.testing.models.server.wire import TOOL_NAME, Body, Refused, Reply, retry_after, schema_problem, strict_problem

# Status, type, code, message, as the provider sends them.
_ERRORS: dict[FaultName, tuple[int, str, str | None, str]] = {
    "rate_limited": (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for {model} on requests per min (RPM): Limit 500, Used 500, Requested 1.",
    ),
    "overloaded": (503, "server_error", "server_is_overloaded", "The server is currently overloaded with other requests."),
    "error_in_stream": (503, "server_error", "server_is_overloaded", "The server is currently overloaded with other requests."),
    "unavailable": (503, "server_error", None, "The server is temporarily unable to handle your request."),
    "server_error": (500, "server_error", None, "The server had an error while processing your request. Sorry about that!"),
    "context": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is {most} tokens. However, your messages resulted in {tokens} tokens. Please reduce "
        "the length of the messages.",
    ),
    "rejected": (400, "invalid_request_error", "invalid_value", "Invalid value: 'this'. Supported values are: 'that'."),
    "quota": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "bad_key": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "forbidden": (403, "invalid_request_error", None, "You have insufficient permissions for this operation."),
    "unknown_model": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
}


class OpenAI:
    """The part of a `Format` that both have."""

    def key(self, headers: Mapping[str, str]) -> str:
        given = headers.get("authorization", "")
        key = given.removeprefix("Bearer ")
        if not key or key == given:
            raise Refused(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
                status=401,
            )
        return key

    def refusal(self, refused: Refused) -> Reply:
        return Reply(
            status=refused.status, body=error(refused.kind, refused.code or None, refused.message, refused.param or None)
        )

    def failure(self, fault: Fault, model: str, tokens: int) -> Reply:
        status, kind, code, message = _ERRORS[fault.name]
        said = fault.message or message.format(model=model, tokens=tokens, most=max(tokens - 1, 0))
        return Reply(status=status, body=error(kind, code, said), headers=retry_after(fault))


def in_stream() -> tuple[str, str | None, str]:
    """Type, code and message of an error in the middle of a stream."""
    _, kind, code, message = _ERRORS["error_in_stream"]
    return kind, code, message


def error(kind: str, code: str | None, message: str, param: str | None = None) -> Body:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def usage(counted: Usage, names: tuple[str, str], reasoning_tokens: int) -> Body:
    """names: of the input and the output; they are the whole of it here, caches included."""
    into, out = names
    return {
        f"{into}_tokens": counted.input_tokens,
        f"{into}_tokens_details": {"cached_tokens": counted.cache_read_tokens, "cache_write_tokens": counted.cache_write_tokens},
        f"{out}_tokens": counted.output_tokens,
        f"{out}_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": counted.tokens,
    }


def must(body: Body, name: str) -> object:
    """A field that has to be there."""
    if name not in body:
        raise Refused(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    value: object = body[name]
    return value


def check_array(value: object, name: str, *, empty: bool = False) -> list[Body]:
    """A list of objects."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refused(f"Invalid type for '{name}': expected an array of objects.", param=name, code="invalid_type")
    if not value and not empty:
        raise Refused(
            f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param=name,
            code="empty_array",
        )
    return value


def check_text(value: object, name: str, *, most: int | None = None) -> str:
    """A text, and not too long a one."""
    if not isinstance(value, str):
        found = "null" if value is None else type(value).__name__
        raise Refused(f"Invalid type for '{name}': expected a string, but got {found} instead.", param=name, code="invalid_type")
    if most is not None and len(value) > most:
        raise Refused(
            f"Invalid '{name}': string too long. Expected a string with maximum length {most}, but got a string with length "
            f"{len(value)} instead.",
            param=name,
            code="string_above_max_length",
        )
    return value


def check_name(value: object, name: str) -> str:
    """The name of a function."""
    found = check_text(value, name, most=64)
    if not TOOL_NAME.fullmatch(found):
        raise Refused(
            f"Invalid '{name}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=name,
            code="invalid_value",
        )
    return found


def check_function(function: Body, where: str) -> ToolForm:
    """A function as a tool; where: of it in the request."""
    name = check_name(function.get("name"), f"{where}.name")
    schema = function.get("parameters", {"type": "object", "properties": {}})
    wrong = schema_problem(schema)
    if not wrong and function.get("strict"):
        wrong = strict_problem(schema)
    if wrong:
        raise Refused(
            f"Invalid schema for function '{name}': {wrong}", param=f"{where}.parameters", code="invalid_function_parameters"
        )
    return ToolForm(name=name, description=function.get("description") or "", input_schema=schema)


def check_choice(body: Body, tools: tuple[ToolForm, ...]) -> bool:
    """Whether the answer must hold a call."""
    for name in ("tool_choice", "parallel_tool_calls"):
        if not tools and body.get(name) not in (None, "none"):
            raise Refused(f"'{name}' is only allowed when 'tools' are specified.", param=name)
    choice = body.get("tool_choice")
    return choice == "required" or isinstance(choice, dict)
