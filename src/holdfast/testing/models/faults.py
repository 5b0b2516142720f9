"""What may become of one request to a model: the faults by name, what a scripted model says of each, and which a server plays.

| fault | over the wire | a `ScriptedModel` |
| --- | --- | --- |
| `rate_limited` | 429 with a time | `rate_limited` |
| `overloaded` | 529 at Anthropic, 503 at OpenAI | `unavailable` |
| `unavailable`, `server_error` | 503, 500 | `unavailable`, `transient` |
| `timeout` | no answer until somebody hangs up | `transient`, after the time of the request |
| `reset`, `reset_in_body`, `closed_in_body` | the connection breaks: at once, or in the middle of the answer | `transient` |
| `error_in_stream` | status 200, half an answer, then an error; as `overloaded` where nothing is streamed | `unavailable` |
| `truncated`, `wrong_shape`, `html` | half a JSON body; JSON that is no answer; a page of some proxy | `invalid_output` |
| `context` | 400: longer than the model takes | `invalid_input`, with context |
| `rejected` | 400: not taken for another reason | `invalid_input` |
| `quota` | the money with the provider is used up | `too_expensive` |
| `bad_key`, `forbidden`, `unknown_model` | 401, 403, 404 | `denied`, `denied`, `not_found` |
| `refusal`, `content_filter`, `cut`, `nothing` | an answer that is none, or half of one | the same answer |
| `malformed_arguments`, `wrong_arguments`, `duplicate_ids` | an answer with calls that will not do | the same answer |
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from holdfast.core.events import FailureKind
from holdfast.core.models import Usage

FaultName = Literal[
    "rate_limited", "overloaded", "unavailable", "server_error", "timeout", "reset", "reset_in_body", "closed_in_body",
    "error_in_stream", "truncated", "wrong_shape", "html", "context", "rejected", "quota", "bad_key", "forbidden",
    "unknown_model", "refusal", "content_filter", "cut", "malformed_arguments", "wrong_arguments", "duplicate_ids", "nothing",
]  # fmt: skip
FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)

# Faults of an answer that comes: they are played upon what the script says.
OF_THE_ANSWER: frozenset[FaultName] = frozenset(
    {"refusal", "content_filter", "cut", "malformed_arguments", "wrong_arguments", "duplicate_ids", "nothing"}
)
# Faults of its way: a whole answer is made, and half of it arrives, or none of it as it was.
OF_THE_WAY: frozenset[FaultName] = frozenset(
    {"reset_in_body", "closed_in_body", "truncated", "wrong_shape", "html", "error_in_stream"}
)

# What a scripted model says where the request comes to nothing; as the model reasoner is to read the same from a provider.
MEANT: dict[FaultName, tuple[FailureKind, str]] = {
    "rate_limited": ("rate_limited", "too many requests"),
    "overloaded": ("unavailable", "the provider is overloaded"),
    "unavailable": ("unavailable", "the provider is down"),
    "server_error": ("transient", "the provider failed"),
    "timeout": ("transient", "no answer came in time"),
    "reset": ("transient", "the connection broke"),
    "reset_in_body": ("transient", "the connection broke in the middle of the answer"),
    "closed_in_body": ("transient", "the connection was closed in the middle of the answer"),
    "error_in_stream": ("unavailable", "the provider stopped in the middle of the answer: overloaded"),
    "truncated": ("invalid_output", "the answer is cut off"),
    "wrong_shape": ("invalid_output", "the answer is JSON of another shape"),
    "html": ("invalid_output", "the answer is no JSON"),
    "context": ("invalid_input", "the request is longer than the model takes"),
    "rejected": ("invalid_input", "the provider does not take the request"),
    "quota": ("too_expensive", "the quota is used up"),
    "bad_key": ("denied", "the key is not valid"),
    "forbidden": ("denied", "the key may not use this model"),
    "unknown_model": ("not_found", "there is no such model"),
}
# Where the provider may have answered, and counted that, though nothing of it arrived.
CHARGED: frozenset[FaultName] = frozenset({"timeout", "reset", "reset_in_body", "closed_in_body", "error_in_stream"})
# How a server plays a failure of which only the kind is given.
OF_KIND: dict[FailureKind, FaultName] = {
    "rate_limited": "rate_limited",
    "unavailable": "overloaded",
    "transient": "server_error",
    "crashed": "server_error",
    "invalid_output": "wrong_shape",
    "invalid_input": "rejected",
    "too_expensive": "quota",
    "denied": "forbidden",
    "not_found": "unknown_model",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. retry_after_seconds: what the provider asks for. message: in place of the usual one. kind: what a scripted
    model says, where it is not the one of the table. usage: what the provider counted all the same; only a scripted model
    can say so."""

    name: FaultName
    retry_after_seconds: float | None = None
    message: str = ""
    kind: FailureKind | None = None
    usage: Usage | None = None

    def __post_init__(self) -> None:
        if self.name not in FAULT_NAMES:
            raise ValueError(f"{self.name!r} is no fault of a model; there are {', '.join(FAULT_NAMES)}")
