"""The side of `llm.py` that knows the provider library: clients, and messages in its words and back.

It is the only module that imports the library, and `llm.py` imports it late and in a thread: that takes a second or two.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

import msgspec
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from holdfast.core import values
from holdfast.core.models import Part, Usage
from holdfast.reasoners.llm_failures import BROKEN_OFF, SILENT, failure_of
from holdfast.reasoners.model import Answer, Finish, Listener, ModelFailure, Request, size

FINISHES: Mapping[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "refused", "tool_call": "tool"}


class Wire:
    """The clients of one event loop: one for each provider and address, kept until `close`."""

    def __init__(self, base_urls: Mapping[str, str], api_keys: Mapping[str, str]):
        self._base_urls = base_urls
        self._api_keys = api_keys
        self._providers: dict[tuple[str, str | None, str | None], Provider[Any]] = {}
        self._models: dict[str, Model[Any]] = {}
        # Made, and not held open yet: whoever made them may have been cancelled in the meantime.
        self._new: list[Provider[Any]] = []
        self._open = AsyncExitStack()

    def knows(self, name: str) -> bool:
        """Whether a request to this model can be made as it is."""
        return name in self._models and not self._new

    def connect(self, name: str) -> None:
        """Make what a request to this model needs; `enter` comes next. Blocks: the library for the provider is imported, and
        certificates are read. ModelFailure where there is no such provider, or no key."""
        try:
            self._models[name] = infer_model(name, self._provider)
        except Exception as error:
            raise failure_of(error, self._api_keys.values()) from error

    def _provider(self, name: str) -> Provider[Any]:
        url, key = (_for(name, given) for given in (self._base_urls, self._api_keys))
        given = {field: value for field, value in (("base_url", url), ("api_key", key)) if value is not None}
        try:
            kind = infer_provider_class(name)
        except ValueError as error:
            raise UserError(f"Unknown model: there is no provider {name}") from error
        # What `openai` and `openai-chat` need is the same; each road of a gateway has an address of its own.
        known = (name if name.startswith("gateway/") else kind.__qualname__, url, key)
        if known not in self._providers:
            self._providers[known] = kind(**given) if given else infer_provider(name)
            self._new.append(self._providers[known])
        return self._providers[known]

    async def enter(self) -> None:
        """Hold the clients that are new open until `close`."""
        while self._new:
            await self._open.enter_async_context(self._new[-1])
            self._new.pop()

    async def close(self) -> None:
        """Close every connection."""
        self._models.clear()
        self._providers.clear()
        await self._open.aclose()

    async def ask(self, request: Request, listener: Listener | None) -> Answer:
        """One request, one answer, or ModelFailure."""
        model = self._models[request.model]
        messages = messages_of(request, model.system)
        parameters = _parameters(request)
        settings = _settings(request)
        ended = True
        try:
            if listener is None:
                response = await model_request(model, messages, model_settings=settings, model_request_parameters=parameters)
            else:
                async with model_request_stream(
                    model, messages, model_settings=settings, model_request_parameters=parameters
                ) as stream:
                    hear = _Hearing(listener)
                    async for event in stream:
                        hear(event)
                    response = stream.get()
                    ended = _ended(stream, response)
            # In here, because an answer of a wrong shape is not always seen as one before it is walked.
            answer = answer_of(response, request)
        except Exception as error:
            raise failure_of(error, self._secrets(model)) from error
        if not ended:
            # What is counted for the output stands at the end of a stream; what was seen of it is less.
            raise ModelFailure(BROKEN_OFF.kind, BROKEN_OFF.when, charged=BROKEN_OFF.charged)
        if not answer.said and response.finish_reason is None and response.state == "complete":
            raise ModelFailure(SILENT.kind, SILENT.when, usage=answer.usage)
        return answer

    def _secrets(self, model: Model[Any]) -> list[str]:
        client = getattr(model, "client", None)
        held = (getattr(client, name, None) for name in ("api_key", "auth_token"))
        return [*self._api_keys.values(), *(secret for secret in held if isinstance(secret, str))]


def _for(provider: str, given: Mapping[str, str]) -> str | None:
    """What was given for a provider; what holds for `openai` holds for `openai-chat` and `openai-responses` too."""
    return given.get(provider, given.get("openai") if provider in ("openai-chat", "openai-responses") else None)


# --- to the provider ----------------------------------------------------------------------------------------------


def _settings(request: Request) -> ModelSettings:
    settings = ModelSettings(
        # Without it some requests would be sent in another way, and none could be reserved for.
        max_tokens=request.output_tokens_max,
        # The first bounds the silence on the connection, the second the whole request.
        timeout=request.timeout_seconds,
        request_timeout=request.timeout_seconds,
        # Whoever asks again does so knowing why, and writes it down first.
        max_retries=0,
        cache=True,
    )
    if request.tools and request.choice == "required":
        settings["tool_choice"] = "required"
    return settings


def _parameters(request: Request) -> ModelRequestParameters:
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.input_schema)
            for tool in request.tools
        ],
        instruction_parts=[InstructionPart(content=request.system)] if request.system else None,
    )


def messages_of(request: Request, system: str) -> list[ModelMessage]:
    """The messages of a request in the library's form. system: the provider that will read them, by the name that parts of
    its own answers carry; thinking of others is left out, and nobody is shown what another signed."""
    messages: list[ModelMessage] = []
    tools: dict[str, str] = {}
    for message in request.messages:
        if message.role == "user":
            asked = [form for part in message.parts for form in _asked(part, tools)]
            if asked:
                messages.append(ModelRequest(parts=asked, instructions=request.system or None))
            continue
        tools |= {part.id: part.tool for part in message.parts if part.kind == "call"}
        said = [form for part in message.parts for form in _said(part, system)]
        if said:
            own = any(part.provider == system for part in message.parts)
            messages.append(ModelResponse(parts=said, provider_name=system if own else None))
    return messages


def _asked(part: Part, tools: Mapping[str, str]) -> list[ModelRequestPart]:
    if part.kind == "result":
        return [
            ToolReturnPart(
                tool_name=part.tool or tools.get(part.id, ""),
                content=part.text or part.problem,
                tool_call_id=part.id,
                outcome="failed" if part.problem else "success",
            )
        ]
    return [UserPromptPart(content=part.text)] if part.text else []


def _said(part: Part, system: str) -> list[ModelResponsePart]:
    own = part.provider == system
    provider = system if own else None
    match part.kind:
        case "text":
            if not part.text:
                return []
            name = part.id or None if own else None
            return [TextPart(part.text, id=name, provider_name=provider, provider_details=_own(part, own))]
        case "thinking":
            if not own:
                return []
            return [
                ThinkingPart(
                    part.text,
                    id=part.id or None,
                    signature=part.signature or None,
                    provider_name=provider,
                    provider_details=_own(part, own),
                )
            ]
        case "call":
            kept = _own(part, own) or {}
            args = part.args if isinstance(part.args, (dict, str)) else msgspec.json.encode(part.args).decode()
            return [
                ToolCallPart(
                    part.tool,
                    args if part.args is not None else {},
                    part.id,
                    id=kept.get("id"),
                    provider_name=provider,
                    provider_details=kept.get("details"),
                )
            ]
        case "result":
            return []


def _own(part: Part, own: bool) -> dict[str, Any] | None:
    return cast("dict[str, Any]", part.details) if own and isinstance(part.details, dict) else None


# --- from the provider --------------------------------------------------------------------------------------------


def answer_of(response: ModelResponse, request: Request) -> Answer:
    """What was said, in neutral form. An id that a call of this request had already, or none, is made a new one."""
    taken = {part.id for message in request.messages for part in message.parts if part.kind == "call"}
    said: list[Part] = []
    for part in response.parts:
        match part:
            case TextPart():
                if part.content:
                    said.append(_text(part, response))
            case ThinkingPart():
                if part.content or part.signature or part.provider_details:
                    said.append(_thinking(part, response))
            case ToolCallPart():
                said.append(_call(part, response, taken))
            case _:
                pass  # Tools that providers run themselves are not offered, so nothing comes of them.
    finish = FINISHES.get(response.finish_reason or "", "other")
    if finish == "refused" and not any(part.kind == "text" for part in said):
        # Why it refused stands apart in some formats.
        refusal = (response.provider_details or {}).get("refusal")
        said += [Part(kind="text", text=_utf8(refusal))] if isinstance(refusal, str) and refusal else []
    if finish in ("stop", "other") and any(part.kind == "call" for part in said):
        # Not every provider that calls says that it stopped for it.
        finish = "tool"
    parts = tuple(said)
    return Answer(said=parts, usage=_usage(response, request, parts), finish=finish)


def _text(part: TextPart, response: ModelResponse) -> Part:
    return Part(kind="text", text=_utf8(part.content), **_kept(part, response, _plain(part.provider_details)))


def _thinking(part: ThinkingPart, response: ModelResponse) -> Part:
    kept = _kept(part, response, _plain(part.provider_details), signature=part.signature or "")
    # Thoughts are shown to nobody else, so whose they are is kept also where nothing is signed.
    return Part(
        kind="thinking", text=_utf8(part.content), **{**kept, "provider": part.provider_name or response.provider_name or ""}
    )


def _call(part: ToolCallPart, response: ModelResponse, taken: set[str]) -> Part:
    given = _utf8(part.tool_call_id) or "call"
    name, number = given, 1
    while name in taken:
        number += 1
        name = f"{given}-{number}"
    taken.add(name)
    details = {"id": part.id, "details": _plain(part.provider_details)}
    kept = _kept(part, response, {key: value for key, value in details.items() if value is not None} or None)
    return Part(kind="call", tool=_utf8(part.tool_name), args=_args(part.args), **{**kept, "id": name})


def _kept(
    part: TextPart | ThinkingPart | ToolCallPart, response: ModelResponse, details: Any, signature: str = ""
) -> dict[str, Any]:
    """What the provider wants to see again, with its name; nothing where there is nothing of the kind."""
    kept = {"id": part.id or "", "signature": signature, "details": details}
    kept = {key: value for key, value in kept.items() if value}
    return {**kept, "provider": part.provider_name or response.provider_name or ""} if kept else {}


def _args(args: str | dict[str, Any] | None) -> Any:
    """A table, or the text where it is none that can be written down."""
    if not args:
        return {}
    if isinstance(args, str):
        try:
            read = msgspec.json.decode(args)
            return values.plain(read) if isinstance(read, dict) else _utf8(args)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return _utf8(args)
    try:
        return values.plain(args)
    except ValueError:
        return _utf8(repr(args))


def _plain(details: Any) -> Any:
    """Details as JSON; what has no such form is not sent back either."""
    if not details:
        return None
    try:
        return values.plain(details)
    except ValueError:
        return None


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _usage(response: ModelResponse, request: Request, said: tuple[Part, ...]) -> Usage:
    """What it used. Where the provider does not say, the most that it can have been: a token has at least one byte."""
    usage = response.usage
    if usage.unmeasured_requests or (usage.input_tokens <= 0 and usage.output_tokens <= 0):
        spoken = sum(len(part.text.encode()) + len(msgspec.json.encode(part.args)) for part in said)
        return Usage(input_tokens=size(request), output_tokens=min(spoken, request.output_tokens_max), requests=1)
    return Usage(
        input_tokens=max(usage.input_tokens, 0),
        output_tokens=max(usage.output_tokens, 0),
        cache_read_tokens=max(usage.cache_read_tokens, 0),
        cache_write_tokens=max(usage.cache_write_tokens, 0),
        requests=1,
    )


def _ended(stream: StreamedResponse, response: ModelResponse) -> bool:
    """Whether a stream came to its end. One that was cut off in good order looks like one that has nothing more to say, and
    half of the arguments of a call like all of them."""
    if response.state == "suspended":
        return True
    if response.state != "complete" or response.finish_reason is None:
        return False
    details = response.provider_details or {}
    # Where a stream of the Chat format does not say why it ends, the library supplies `stop`.
    return "finish_reason" in details or "refusal" in details or not hasattr(stream, "_missing_finish_reason")


class _Hearing:
    """Tells the listener what is new in each event of a stream. One that fails is told nothing more: whoever only listens
    must not cost the run its answer."""

    def __init__(self, listener: Listener):
        self._listener: Listener | None = listener

    def __call__(self, event: ModelResponseStreamEvent) -> None:
        kind, words = _news(event)
        if not words or self._listener is None:
            return
        try:
            self._listener(kind, _utf8(words))
        except Exception:  # noqa: BLE001 - see the class
            self._listener = None


def _news(event: ModelResponseStreamEvent) -> tuple[str, str]:
    match event:
        case PartStartEvent(part=TextPart(content=words)) | PartDeltaEvent(delta=TextPartDelta(content_delta=words)):
            return "text", words
        case PartStartEvent(part=ThinkingPart(content=words)):
            return "thinking", words
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=words)):
            return "thinking", words or ""
        case PartStartEvent(part=ToolCallPart(tool_name=words)):
            return "call", words
        case PartDeltaEvent(delta=ToolCallPartDelta(args_delta=words)):
            return "call", words if isinstance(words, str) else ""
        case _:
            return "", ""
