"""The narrow place between a run and a language model: one request in neutral form, one answer.

`llm.py` asks the real ones through the provider library; `holdfast.testing.models` has scripted ones. Nothing else here knows
what a provider is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from holdfast.core.events import FailureKind
from holdfast.core.models import Part, Usage

Role = Literal["user", "assistant"]
Finish = Literal["stop", "length", "tool", "refused", "other"]
# Hears what a model says while it says it: kind of the part (`text`, `thinking`, `call`), and the words that are new.
Listener = Callable[[str, str], None]


class ToolForm(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as a model is shown it."""

    name: str
    description: str
    input_schema: dict[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What one side said. Results of calls are parts of a `user` message, right after the `assistant` message with the calls;
    each call has exactly one."""

    role: Role
    parts: tuple[Part, ...]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request. model: as `provider:name`. system: the same in every request of a run, like `tools`, so that caches of
    providers hit. choice: whether the answer must hold a call (`required`)."""

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolForm, ...] = ()
    choice: Literal["auto", "required"] = "auto"
    output_tokens_max: int = 4096
    timeout_seconds: float = 120.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said. said: parts of the kinds text, thinking and call; the ids of calls differ from one another. The
    arguments of a call are whatever the model gave: a table, or a text where it was no JSON. usage: its cost is 0 here."""

    said: tuple[Part, ...]
    usage: Usage
    finish: Finish = "stop"


class Model(Protocol):
    """Something that answers requests. A request is made once: whoever asks again does so knowing why."""

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """The answer, or ModelFailure. Any other exception is an error of this code."""


class ModelFailure(Exception):
    """A request came to nothing. kind: as for tools; `invalid_input` with context=True where the request was longer than the
    model takes. retry_after_seconds: what the provider asked for. usage: what it counted all the same; charged: it may have
    answered, and counted that, though nothing of it arrived (a time-out, a broken connection)."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        context: bool = False,
        usage: Usage | None = None,
        charged: bool = False,
    ):
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.context = context
        self.usage = usage or Usage()
        self.charged = charged


def size(request: Request) -> int:
    """The bytes of a request that a model reads: an upper bound of its tokens, with room for what frames each part."""
    framing = 16
    total = len(request.system.encode()) + framing
    for tool in request.tools:
        total += len(msgspec.json.encode(tool)) + framing
    return total + sum(message_size(message) for message in request.messages)


def message_size(message: Message) -> int:
    """As `size`, of one message."""
    framing = 16
    total = framing
    for part in message.parts:
        total += framing + len(part.text.encode("utf-8", "replace")) + len(part.tool) + len(part.id) + len(part.signature)
        if part.args is not None:
            total += len(msgspec.json.encode(part.args))
        if part.details is not None:
            total += len(msgspec.json.encode(part.details))
    return total
