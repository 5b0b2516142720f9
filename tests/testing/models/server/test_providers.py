"""The provider library reads what the server says, in every format, whole and streamed: so its classes can be tested here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from holdfast.testing.models import FaultName, ModelServer, Said, call, refuse, think, used

SCHEMA = {"type": "object", "properties": {"seat": {"type": "string"}}, "required": ["seat"]}
PARAMETERS = ModelRequestParameters(function_tools=[ToolDefinition(name="book", parameters_json_schema=SCHEMA)])
SCRIPT: list[Said] = [
    [think("Let me see."), "Two at once.", call("book", seat="12A"), call("book", seat="12B")],
    used("All is done.", input_tokens=100, output_tokens=7, cache_read_tokens=40, cache_write_tokens=10),
    refuse("No more."),
]
FORMS = ("anthropic", "chat", "responses")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPT) as started:
        yield started
        assert started.refusals == []


def model_for(server: ModelServer, form: str, timeout: float) -> tuple[Model[Any], AsyncAnthropic | AsyncOpenAI]:
    if form == "anthropic":
        anthropic = AsyncAnthropic(api_key="k", base_url=server.url, max_retries=0, timeout=timeout)
        return AnthropicModel("claude-sonnet-5", provider=AnthropicProvider(anthropic_client=anthropic)), anthropic
    openai = AsyncOpenAI(api_key="k", base_url=server.openai_url, max_retries=0, timeout=timeout)
    provider = OpenAIProvider(openai_client=openai)
    return OpenAIChatModel("gpt-5", provider=provider) if form == "chat" else OpenAIResponsesModel(
        "gpt-5", provider=provider
    ), openai


async def ask(server: ModelServer, form: str, talk: list[ModelMessage], stream: bool, timeout: float = 20.0) -> ModelResponse:
    """One request of a client that is closed after it."""
    model, client = model_for(server, form, timeout)
    settings = ModelSettings(max_tokens=1000)
    async with client:
        if not stream:
            return await model_request(model, talk, model_request_parameters=PARAMETERS, model_settings=settings)
        async with model_request_stream(model, talk, model_request_parameters=PARAMETERS, model_settings=settings) as events:
            async for _ in events:
                pass
            return events.get()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", FORMS)
async def test_a_conversation_is_read_and_comes_back_whole(server: ModelServer, form: str, stream: bool) -> None:
    """Thoughts, texts, calls with their ids, usage with caches, a refusal; what comes back is refused nowhere."""
    talk: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("Book two.")], instructions="Be brief.")]
    first = await ask(server, form, talk, stream)
    assert [part.content for part in first.parts if isinstance(part, ThinkingPart)] == ["Let me see."]
    assert [part.content for part in first.parts if isinstance(part, TextPart)] == ["Two at once."]
    calls = [part for part in first.parts if isinstance(part, ToolCallPart)]
    assert [(part.tool_name, part.args_as_dict(), part.tool_call_id) for part in calls] == [
        ("book", {"seat": "12A"}, "call_0_2"), ("book", {"seat": "12B"}, "call_0_3"),
    ]  # fmt: skip
    results = [
        ToolReturnPart(tool_name="book", content=f"has {part.tool_call_id}", tool_call_id=part.tool_call_id) for part in calls
    ]
    talk += [first, ModelRequest(parts=results, instructions="Be brief.")]
    second = await ask(server, form, talk, stream)
    assert [(part.content) for part in second.parts if isinstance(part, TextPart)] == ["All is done."]
    usage = second.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (100, 7, 40, 10)
    talk += [second, ModelRequest(parts=[UserPromptPart("Again.")], instructions="Be brief.")]
    third = await ask(server, form, talk, stream)
    assert third.finish_reason == "content_filter" and third.provider_details is not None
    assert third.provider_details["refusal"] == "No more."
    requests = server.model.requests
    assert [request.system for request in requests] == ["Be brief."] * 3
    assert [[message.role for message in request.messages] for request in requests] == [
        ["user"],
        ["user", "assistant", "user"],
        ["user", "assistant", "user", "assistant", "user"],
    ]
    assert [part.text for part in requests[1].messages[2].parts] == ["has call_0_2", "has call_0_3"]


# What the library raises, by the name of its class; whole and as a stream.
RAISED: list[tuple[FaultName, str, str]] = [
    ("rate_limited", "ModelRateLimitError", "ModelRateLimitError"),
    ("overloaded", "ModelOverloadedError", "ModelOverloadedError"),
    ("unavailable", "ModelUnavailableError", "ModelUnavailableError"),
    ("server_error", "ModelServerError", "ModelServerError"),
    ("timeout", "ModelTimeoutError", "ModelTimeoutError"),
    ("reset", "ModelConnectionError", "ModelConnectionError"),
    ("reset_in_body", "ModelConnectionError", "ModelConnectionError"),
    ("closed_in_body", "ModelConnectionError", "ModelConnectionError"),
    ("error_in_stream", "ModelOverloadedError", "ModelOverloadedError"),
    ("context", "ModelContextWindowExceededError", "ModelContextWindowExceededError"),
    ("rejected", "ModelRequestRejectedError", "ModelRequestRejectedError"),
    ("quota", "ModelQuotaExceededError", "ModelQuotaExceededError"),
    ("bad_key", "ModelAuthenticationError", "ModelAuthenticationError"),
    ("forbidden", "ModelAuthenticationError", "ModelAuthenticationError"),
    ("unknown_model", "ModelNotFoundError", "ModelNotFoundError"),
    ("html", "ModelAPIError UnexpectedModelBehavior", "UnexpectedModelBehavior"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "whole", "streamed"), RAISED)
@pytest.mark.parametrize("form", FORMS)
async def test_faults_are_the_errors_of_the_library(
    server: ModelServer, form: str, name: FaultName, whole: str, streamed: str, stream: bool
) -> None:
    """The class tells them apart, so the wire says what the providers say."""
    server.queue(name)
    with pytest.raises(Exception) as caught:
        await ask(server, form, [ModelRequest(parts=[UserPromptPart("go")])], stream, 0.1 if name == "timeout" else 20.0)
    names = {base.__name__ for base in type(caught.value).__mro__}
    assert names & set((streamed if stream else whole).split())
    assert server.hits == {name: 1}
