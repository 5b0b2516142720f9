"""The real providers, over a socket: what is sent, what is read, and what becomes of everything that goes wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx2
import msgspec
import pydantic_ai.exceptions as library
import pytest
import pytest_asyncio
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.usage import RequestUsage

import holdfast
from holdfast.core.models import Part, Usage
from holdfast.reasoners.llm import EXTRA, ProviderModel
from holdfast.reasoners.llm_failures import HIDDEN, MESSAGE_CHARACTERS_MAX, TABLE, failure_of, told
from holdfast.reasoners.llm_wire import Wire, answer_of, messages_of
from holdfast.reasoners.model import Answer, Message, ModelFailure, Request, ToolForm, size
from holdfast.testing.models.faults import CHARGED, FAULT_NAMES, MEANT, OF_THE_ANSWER, Fault, FaultName
from holdfast.testing.models.script import signature
from holdfast.testing.models.server import ModelServer
from holdfast.testing.models.turns import call, call_with, cut, say, think, used

SRC = Path(holdfast.__file__).parents[1]
ANTHROPIC, CHAT, RESPONSES = "anthropic:claude-opus-5", "openai-chat:gpt-5", "openai:gpt-5"
NAMES = (ANTHROPIC, CHAT, RESPONSES)
KEY = "sk-very-secret-0123456789"
LOOK = ToolForm(
    name="look",
    description="Looks.",
    input_schema={"type": "object", "properties": {"q": {"type": "integer"}}, "required": ["q"]},
)
SAID = [think("Two at once."), say("I look."), call("look", q=1), call("look", q=2)]


def user(*texts: str) -> Message:
    return Message(role="user", parts=tuple(Part(kind="text", text=text) for text in texts))


def request(model: str, *messages: Message, **fields: Any) -> Request:
    fields = {"tools": (LOOK,), "timeout_seconds": 20.0, **fields}
    return Request(model=model, system="You are careful.", messages=messages or (user("Look twice."),), **fields)


def results(answer: Answer, *texts: str) -> Message:
    """What came of the calls of an answer."""
    calls = [part for part in answer.said if part.kind == "call"]
    return Message(
        role="user", parts=tuple(Part(kind="result", id=part.id, text=text) for part, text in zip(calls, texts, strict=True))
    )


def provider_of(server: ModelServer) -> ProviderModel:
    return ProviderModel(
        base_urls={"anthropic": server.url, "openai": server.openai_url}, api_keys={"anthropic": KEY, "openai": KEY}
    )


def shown(answer: Answer) -> list[tuple[str, str, Any]]:
    """An answer without what providers put to it."""
    return [(part.kind, part.text or part.tool, part.args) for part in answer.said]


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    """A provider that always says SAID."""
    with ModelServer(lambda _: SAID) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(server: ModelServer) -> AsyncIterator[ProviderModel]:
    async with provider_of(server) as model:
        yield model


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def listener(request: pytest.FixtureRequest) -> Any:
    """None, or one that hears and forgets."""
    return (lambda kind, words: None) if request.param else None


# --- fault × provider ---------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [fault for fault in FAULT_NAMES if fault in MEANT])
async def test_each_fault_becomes_its_failure(
    server: ModelServer, model: ProviderModel, name: str, fault: FaultName, listener: Any
) -> None:
    """As the table of the documentation says, after exactly one request, and with no key in what is said."""
    server.queue(Fault(name=fault, retry_after_seconds=7.0 if fault == "rate_limited" else None))
    before = len(server.seen)
    with pytest.raises(ModelFailure) as caught:
        await model.answer(request(name, timeout_seconds=0.3 if fault == "timeout" else 20.0), listener)
    failure = caught.value
    assert (failure.kind, failure.context) == (MEANT[fault][0], fault == "context")
    assert failure.retry_after_seconds == (7.0 if fault == "rate_limited" else None)
    assert failure.message and KEY not in failure.message and len(failure.message) <= MESSAGE_CHARACTERS_MAX
    assert [seen.outcome for seen in server.seen[before:]] == [fault]
    if fault in CHARGED - {"error_in_stream"} or failure.kind == "invalid_output" or (fault == "error_in_stream" and listener):
        assert failure.charged or failure.usage.tokens > 0
    else:
        assert not failure.charged


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_a_stream_that_ends_early_counts_in_full(server: ModelServer, model: ProviderModel, name: str) -> None:
    """What was counted of the output stands at its end: what was seen of it is less than what is to be paid."""
    server.queue("truncated")
    with pytest.raises(ModelFailure) as caught:
        await model.answer(request(name), lambda kind, words: None)
    assert caught.value.charged and caught.value.usage == Usage()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [0.25, 7.0])
async def test_a_time_that_the_provider_names_is_kept(
    server: ModelServer, model: ProviderModel, name: str, seconds: float
) -> None:
    """Also one of less than a second, which comes in another header."""
    server.queue(Fault(name="rate_limited", retry_after_seconds=seconds))
    with pytest.raises(ModelFailure) as caught:
        await model.answer(request(name))
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", sorted(OF_THE_ANSWER))
async def test_an_answer_that_will_not_do_is_an_answer(
    server: ModelServer, model: ProviderModel, name: str, fault: FaultName, listener: Any
) -> None:
    """Refusals, cut ones and calls that make no sense are for the run to judge, and were paid for."""
    server.queue(fault)
    before = len(server.seen)
    answer = await model.answer(request(name), listener)
    assert len(server.seen) == before + 1
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0 and answer.usage.requests == 1
    calls = [part for part in answer.said if part.kind == "call"]
    assert len({part.id for part in calls}) == len(calls)
    match fault:
        case "refusal":
            assert answer.finish == "refused" and "I cannot help with that." in [part.text for part in answer.said]
        case "content_filter":
            assert answer.finish == "refused" and not calls
        case "nothing":
            assert answer.said == () and answer.finish == "stop"
        case "cut":
            assert answer.finish == "length" and calls[-1].args == '{"q'
        case "malformed_arguments":
            assert answer.finish == "tool" and [part.args for part in calls] == ['{"q', '{"q']
        case "wrong_arguments":
            assert answer.finish == "tool" and calls[0].args == {"q": {"wrong": 1}}
        case "duplicate_ids":
            assert answer.finish == "tool" and calls[0].id == "call_twice" != calls[1].id
        case _:
            pytest.fail(f"{fault} is new here")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_nobody_there(name: str) -> None:
    """A port where nothing listens: nothing was sent, so nothing is spent."""
    urls = dict.fromkeys(("anthropic", "openai"), "http://127.0.0.1:9/v1")
    async with ProviderModel(base_urls=urls, api_keys=dict.fromkeys(urls, KEY)) as model:
        with pytest.raises(ModelFailure) as caught:
            await model.answer(request(name))
    assert (caught.value.kind, caught.value.charged) == ("transient", False)


# --- what is sent and read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
async def test_a_conversation_goes_there_and_back(name: str, listener: Any) -> None:
    """Thoughts with their signatures, two calls of one turn and their results, in what the provider takes without complaint."""
    with ModelServer([SAID, call("look", q=3), "Done."]) as server:
        async with provider_of(server) as model:
            first = await model.answer(request(name), listener)
            talk = [user("Look twice."), Message(role="assistant", parts=first.said), results(first, "one", "")]
            second = await model.answer(request(name, *talk), listener)
            talk += [Message(role="assistant", parts=second.said), results(second, "three")]
            third = await model.answer(request(name, *talk), listener)
        assert server.refusals == [] and server.hits == {"answered": 3}
    assert shown(first) == [
        ("thinking", "Two at once.", None),
        ("text", "I look.", None),
        ("call", "look", {"q": 1}),
        ("call", "look", {"q": 2}),
    ]
    assert (first.finish, second.finish, third.finish) == ("tool", "tool", "stop")
    assert shown(third) == [("text", "Done.", None)]
    read = server.seen[-1].request
    assert read is not None and (read.system, read.tools[0].name) == ("You are careful.", "look")
    parts = [part for message in talk for part in message.parts]
    again = [part for message in read.messages for part in message.parts]
    assert [(part.kind, part.text, part.args) for part in again] == [(part.kind, part.text, part.args) for part in parts]
    assert [part.id for part in again if part.kind in ("call", "result")] == [
        part.id for part in parts if part.kind in ("call", "result")
    ]
    # The Chat format has no signatures; whoever thinks in it gets the thought back in the field that it came in.
    assert (again[1].signature == signature("Two at once.")) is (name != CHAT)


@pytest.mark.parametrize("name", NAMES)
async def test_a_listener_hears_what_is_said_while_it_is_said(name: str) -> None:
    """All of it, in pieces; of a call the name, then the arguments. What comes of it is the same."""
    heard: list[tuple[str, str]] = []
    with ModelServer([SAID]) as server:
        async with provider_of(server) as model:
            whole = await model.answer(request(name))
            streamed = await model.answer(request(name), lambda kind, words: heard.append((kind, words)))
        assert [seen.stream for seen in server.seen] == [False, True]
    assert shown(streamed) == shown(whole) and streamed.finish == whole.finish and streamed.usage == whole.usage
    assert "".join(words for kind, words in heard if kind == "text") == "I look."
    assert "".join(words for kind, words in heard if kind == "call").replace(" ", "") == 'look{"q":1}look{"q":2}'
    assert len(heard) > 4


async def test_a_listener_that_fails_costs_nothing() -> None:
    """Whoever only listens is told nothing more, and the run has its answer."""
    heard: list[str] = []

    def fail(kind: str, words: str) -> None:
        heard.append(words)
        raise OSError("the terminal is gone")

    with ModelServer([SAID]) as server:
        async with provider_of(server) as model:
            answer = await model.answer(request(ANTHROPIC), fail)
    assert answer.finish == "tool" and len(heard) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_every_request_is_bounded_and_cached(name: str) -> None:
    """The most tokens of an answer go with it, the time is ours, and the prefix is marked where the provider wants it marked."""
    with ModelServer(["Yes."] * 2) as server:
        async with provider_of(server) as model:
            await model.answer(request(name, output_tokens_max=321))
            await model.answer(request(name, choice="required"))
        first, second = (seen.body for seen in server.seen)
        headers = server.seen[0].headers
    assert 321 in (first.get("max_tokens"), first.get("max_completion_tokens"), first.get("max_output_tokens"))
    assert headers["x-stainless-read-timeout"] == "20.0"
    if name == ANTHROPIC:
        assert "cache_control" in first["system"][-1] and "cache_control" in first["tools"][-1]
        assert second["tool_choice"]["type"] == "any"
    else:
        assert second["tool_choice"] == "required"
    assert first["stream"] is False


@pytest.mark.parametrize("name", NAMES)
async def test_a_long_answer_may_be_asked_for_whole(name: str) -> None:
    """No client insists on a stream because an answer may be long."""
    with ModelServer(["Yes."]) as server:
        async with provider_of(server) as model:
            answer = await model.answer(request(name, output_tokens_max=60_000, timeout_seconds=3600.0))
        assert [seen.stream for seen in server.seen] == [False]
    assert shown(answer) == [("text", "Yes.", None)]


@pytest.mark.parametrize("name", NAMES)
async def test_what_a_cache_did_is_counted(name: str, listener: Any) -> None:
    """All tokens of the request are input, those read from a cache and written to it are told apart as well."""
    writes = 200 if name == ANTHROPIC else 0
    with ModelServer(
        [used("Yes.", input_tokens=1000, output_tokens=9, cache_read_tokens=700, cache_write_tokens=writes)]
    ) as server:
        async with provider_of(server) as model:
            answer = await model.answer(request(name), listener)
    assert answer.usage == Usage(input_tokens=1000, output_tokens=9, cache_read_tokens=700, cache_write_tokens=writes, requests=1)


async def test_a_thought_goes_back_to_its_provider_only() -> None:
    """Another one is shown the words and the calls, not the thoughts, and no id or signature that is not its own."""
    with ModelServer(lambda _: SAID) as server:
        async with provider_of(server) as model:
            first = await model.answer(request(RESPONSES))
            talk = (user("Look twice."), Message(role="assistant", parts=first.said), results(first, "one", "two"))
            await model.answer(request(ANTHROPIC, *talk))
            await model.answer(request(RESPONSES, *talk))
        assert server.refusals == []
        other, own = (msgspec.json.encode(seen.body).decode() for seen in server.seen[1:])
    thought = next(part for part in first.said if part.kind == "thinking")
    assert thought.provider == "openai" and thought.signature and thought.id
    assert thought.signature in own and thought.id in own
    assert thought.signature not in other and thought.id not in other and "Two at once." not in other and "I look." in other


async def test_a_call_never_has_the_id_of_an_earlier_one() -> None:
    """Some providers number their calls anew in each turn, and none takes the same id twice in one conversation."""
    with ModelServer([call_with("look", {"q": 1}, id="call_0"), call_with("look", {"q": 2}, id="call_0")]) as server:
        async with provider_of(server) as model:
            first = await model.answer(request(ANTHROPIC))
            talk = (user("Look."), Message(role="assistant", parts=first.said), results(first, "one"))
            second = await model.answer(request(ANTHROPIC, *talk))
        assert server.refusals == []
    assert (first.said[0].id, second.said[0].id) == ("call_0", "call_0-2")


def response(*parts: Any, **fields: Any) -> ModelResponse:
    fields = {"usage": RequestUsage(input_tokens=5, output_tokens=2), "finish_reason": "stop", "provider_name": "p", **fields}
    return ModelResponse(parts=list(parts), **fields)


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (None, {}),
        ("", {}),
        ({}, {}),
        ("{}", {}),
        ('{"q": 1}', {"q": 1}),
        ({"q": [1, None]}, {"q": [1, None]}),
        ('{"q": 1', '{"q": 1'),
        ("[1, 2]", "[1, 2]"),
        ('"text"', '"text"'),
        ("null", "null"),
        ('{"q": NaN}', '{"q": NaN}'),
        ('{"q": "\\ud800"}', '{"q": "\\ud800"}'),
        ({"q": "\ud800"}, "{'q': '\\ud800'}"),
        ({"q": float("nan")}, "{'q': nan}"),
        (deep(101), deep(101)),
        (deep(100_000), deep(100_000)),
        ('{"$ref": "steps.x"}', {"$ref": "steps.x"}),
    ],
)  # fmt: skip
def test_arguments_are_a_table_or_a_text(given: Any, taken: Any) -> None:
    """What is no JSON, no table, or cannot be written down stays a text."""
    answer = answer_of(response(ToolCallPart("look", given, "c1")), request(ANTHROPIC))
    assert answer.said[0].args == taken
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer


def test_what_a_provider_wants_again_is_kept_with_its_name() -> None:
    """And only where there is something; details that are no JSON are not kept."""
    said = answer_of(
        response(
            TextPart("plain"),
            TextPart("mine", id="t1", provider_details={"phase": "draft"}),
            ThinkingPart("", signature="s", provider_name="q"),
            ThinkingPart(""),
            TextPart(""),
            ToolCallPart("look", {}, "c", id="f1", provider_details={"at": object()}),
        ),
        request(ANTHROPIC),
    ).said
    assert said == (
        Part(kind="text", text="plain"),
        Part(kind="text", text="mine", id="t1", provider="p", details={"phase": "draft"}),
        Part(kind="thinking", signature="s", provider="q"),
        Part(kind="call", tool="look", args={}, id="c", provider="p", details={"id": "f1"}),
    )


def test_a_provider_that_does_not_count_is_counted_by_bytes() -> None:
    """The most that it can have been, and never more than the answer could have had."""
    asked = request(ANTHROPIC, output_tokens_max=4)
    for usage in (RequestUsage(), RequestUsage(unmeasured_requests=1), RequestUsage(input_tokens=-3)):
        answer = answer_of(response(TextPart("twelve bytes"), usage=usage), asked)
        assert answer.usage == Usage(input_tokens=size(asked), output_tokens=4, requests=1)


@pytest.mark.parametrize(
    ("reason", "parts", "finish"),
    [
        ("stop", [TextPart("x")], "stop"),
        ("stop", [ToolCallPart("look", {}, "c")], "tool"),
        (None, [ToolCallPart("look", {}, "c")], "tool"),
        ("length", [ToolCallPart("look", "{", "c")], "length"),
        ("content_filter", [], "refused"),
        ("tool_call", [ToolCallPart("look", {}, "c")], "tool"),
        ("error", [TextPart("x")], "other"),
        (None, [TextPart("x")], "other"),
    ],
)
def test_why_an_answer_ends(reason: Any, parts: list[Any], finish: str) -> None:
    """In our words; an answer with calls ends for them, whatever the provider says, unless it was cut or refused."""
    assert answer_of(response(*parts, finish_reason=reason), request(ANTHROPIC)).finish == finish


def test_a_conversation_in_the_words_of_the_library() -> None:
    """What was not taken is a failed result, what is empty is left out, and arguments that were a text stay one."""
    said = Message(role="assistant", parts=(Part(kind="call", id="c", tool="look", args="{"), Part(kind="text")))
    back = Message(role="user", parts=(Part(kind="result", id="c", problem="no JSON"), Part(kind="text", text="Again.")))
    silent = Message(role="assistant", parts=())
    _, called, returned = messages_of(request(ANTHROPIC, user("Look.", ""), said, back, silent), "anthropic")
    assert [(part.tool_name, part.args) for part in called.parts] == [("look", "{")]
    result, text = returned.parts
    assert (result.tool_name, result.content, result.outcome, text.content) == ("look", "no JSON", "failed", "Again.")


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_row_names_a_class_that_is_there() -> None:
    """A class that a later release renames is noticed."""
    for row in TABLE:
        homes = (library, httpx2, __builtins__ if isinstance(__builtins__, dict) else vars(__builtins__))
        assert not row.raised or any(row.raised in (home if isinstance(home, dict) else vars(home)) for home in homes), row.raised


def test_every_failure_of_a_request_has_a_row_of_its_own() -> None:
    """A class that a later release adds is noticed; what agents of the library raise has nothing to do with us."""
    of_requests = (library.ModelAPIError, library.UnexpectedModelBehavior, library.UserError)
    rows = {row.raised for row in TABLE}
    for name in library.__all__:
        found = getattr(library, name)
        if isinstance(found, type) and issubclass(found, of_requests):
            assert name in rows or not rows.isdisjoint(base.__name__ for base in found.__mro__[1:-4]), name


def http(status: int, message: str = "no", category: Any = None, **fields: Any) -> library.ModelHTTPError:
    body = {"error": {"message": message}}
    return library.ModelHTTPError.for_category(category, status_code=status, model_name="m", body=body, **fields)


@pytest.mark.parametrize(
    ("error", "kind", "context", "charged"),
    [
        (http(413), "invalid_input", True, False),
        (http(408), "transient", False, False),
        (http(418), "invalid_input", False, False),
        (http(302), "transient", False, False),
        (http(504, category=library.ModelServerError), "transient", False, True),
        (http(500, category=library.ModelServerError), "transient", False, False),
        (http(529, category=library.ModelOverloadedError, in_stream=True), "unavailable", False, True),
        (http(400, category=library.ModelRequestRejectedError, provider_error_code="content_filter"), "denied", False, False),
        (http(400, "Output blocked by content filtering policy", library.ModelRequestRejectedError), "denied", False, False),
        (http(422, category=library.ModelRequestRejectedError), "invalid_input", False, False),
        (library.ModelRequestTimeout("m", 3.0), "transient", False, True),
        (library.ModelTimeoutError("m", "late", phase="connect"), "transient", False, False),
        (library.ModelTimeoutError("m", "late", phase="read"), "transient", False, True),
        (library.ModelAPIError("m", "odd", provider_error_code="odd"), "transient", False, False),
        (library.ModelAPIError("m", "no JSON"), "invalid_output", False, True),
        (library.ContentFilterError("no"), "denied", False, False),
        (library.IncompleteToolCall("half"), "invalid_output", False, True),
        (library.UserError("Unknown model: x:y"), "not_found", False, False),
        (library.UserError("this model has no such thing"), "invalid_input", False, False),
        (ImportError("no groq"), "not_found", False, False),
        (httpx2.ReadError("gone"), "transient", False, True),
        (TimeoutError(), "transient", False, True),
        (TypeError("'NoneType' object is not iterable"), "invalid_output", False, True),
        (ValueError("9 validation errors for Message"), "invalid_output", False, True),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}"[:50] if isinstance(value, Exception) else None,
)  # fmt: skip
def test_what_no_server_of_ours_plays_has_its_kind_too(error: Exception, kind: str, context: bool, charged: bool) -> None:
    """Each kind of exception, whether it may be answered by a shorter request, and whether it may have cost something."""
    failure = failure_of(error)
    assert (failure.kind, failure.context, failure.charged) == (kind, context, charged)
    assert failure.message


@pytest.mark.parametrize(
    ("given", "taken"),
    [("7", 7.0), ("-1", None), ("soon", None), ("0", 0.0), ("99999999999", 7 * 86_400.0), ("", None), (None, None)],
)
def test_the_time_that_a_provider_names_is_bounded(given: str | None, taken: float | None) -> None:
    """A week at most; what is no time is none."""
    headers = {} if given is None else {"Retry-After": given}
    assert failure_of(http(429, category=library.ModelRateLimitError, headers=headers)).retry_after_seconds == taken


@pytest.mark.parametrize(
    "text",
    [
        f"the key {KEY} is wrong",
        "you sent Bearer abc.def.ghi",
        "sk-ant-api03-AAAA_bbbb is wrong",
        f"Incorrect API key provided: {KEY[:8]}*****{KEY[-4:]}",
    ],
)
def test_no_key_gets_into_what_is_said(text: str) -> None:
    """Neither ours, whatever it looks like, nor anything that looks like one."""
    message = failure_of(http(401, text, library.ModelAuthenticationError), [KEY]).message
    assert HIDDEN in message and KEY[3:12] not in message and "def" not in message and "AAAA" not in message
    assert HIDDEN in told("an odd one: hunter22", ["hunter22"])


async def test_a_provider_that_quotes_the_key_is_not_quoted() -> None:
    """Also where the key is nothing that looks like one."""
    odd = "opensesame"
    with ModelServer(["Yes."]) as server:
        server.queue(Fault(name="bad_key", message=f"Incorrect API key provided: {odd}"))
        async with ProviderModel(base_urls={"anthropic": server.url}, api_keys={"anthropic": odd}) as model:
            with pytest.raises(ModelFailure) as caught:
                await model.answer(request(ANTHROPIC))
    assert odd not in caught.value.message and HIDDEN in caught.value.message


def test_foreign_words_are_cut_and_cleaned() -> None:
    """They are written down and shown in terminals."""
    assert told("a\x1b[31mb\n\tc\ud800") == "a�[31mb c?"
    assert len(told("x " * 1000)) == MESSAGE_CHARACTERS_MAX


# --- clients ------------------------------------------------------------------------------------------------------


async def test_the_environment_of_the_vendors_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and addresses as their own clients read them."""
    with ModelServer(["Yes."] * 3, key=KEY) as server:
        for name, value in {"ANTHROPIC_BASE_URL": server.url, "OPENAI_BASE_URL": server.openai_url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        async with ProviderModel() as model:
            for name in NAMES:
                assert shown(await model.answer(request(name))) == [("text", "Yes.", None)]


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("anthropic:claude-opus-5", "denied", "ANTHROPIC_API_KEY"),
        ("openai:gpt-5", "denied", "OPENAI_API_KEY"),
        ("nobody:model", "not_found", "nobody"),
        ("gpt-5", "not_found", "gpt-5"),
        ("groq:llama", "not_found", "groq"),
    ],
)
async def test_what_is_not_set_up_says_so(monkeypatch: pytest.MonkeyPatch, name: str, kind: str, word: str) -> None:
    """A key that is missing, a provider that nobody knows, or one whose client is not installed."""
    for variable in [variable for variable in os.environ if variable.startswith(("ANTHROPIC_", "OPENAI_"))]:
        monkeypatch.delenv(variable)
    async with ProviderModel() as model:
        with pytest.raises(ModelFailure) as caught:
            await model.answer(request(name))
    assert caught.value.kind == kind and word in caught.value.message


async def test_a_model_can_be_made_ready_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a key that is missing is told before anything has begun."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with ModelServer(["Yes."]) as server:
        async with provider_of(server) as model, ProviderModel() as keyless:
            await model.connect(ANTHROPIC)
            with pytest.raises(ModelFailure, match="ANTHROPIC_API_KEY"):
                await keyless.connect(ANTHROPIC)
        assert server.seen == []


async def test_many_at_once_share_one_client() -> None:
    """Also the first ones, which come before there is any; both formats of one provider share it too."""
    with ModelServer(["Yes."]) as server:
        model = provider_of(server)
        await asyncio.gather(*(model.answer(request(name)) for name in NAMES * 4))
        session = model._sessions[asyncio.get_running_loop()]
        assert session._wire is not None and len(session._wire._providers) == 2
        assert server.hits == {"answered": 12}
        await model.aclose()
        await model.aclose()
        assert shown(await model.answer(request(ANTHROPIC))) == [("text", "Yes.", None)]
        await model.aclose()


async def test_a_client_that_is_not_held_open_yet_is_not_used() -> None:
    """Whoever made it may have been cancelled before that; the next one does it, or it would never be closed."""
    wire = Wire({"anthropic": "http://127.0.0.1:9"}, {"anthropic": KEY})
    wire.connect(ANTHROPIC)
    client = wire._new[0].client
    assert not wire.knows(ANTHROPIC)
    await wire.enter()
    assert wire.knows(ANTHROPIC) and not client.is_closed()
    await wire.close()
    assert client.is_closed() and not wire.knows(ANTHROPIC)


async def test_a_request_may_be_given_up() -> None:
    """Whoever cancels gets a cancellation, and the next request goes as if nothing had been."""
    with ModelServer(["Yes."]) as server:
        async with provider_of(server) as model:
            await model.answer(request(ANTHROPIC))
            server.queue("timeout")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(model.answer(request(ANTHROPIC)), 0.2)
            assert shown(await model.answer(request(ANTHROPIC))) == [("text", "Yes.", None)]


async def test_a_stream_that_stops_halfway_is_given_up_in_time() -> None:
    """The time of a request bounds all of it."""
    with ModelServer([cut("Yes.")]) as server:
        server.queue("timeout")
        async with provider_of(server) as model:
            with pytest.raises(ModelFailure) as caught:
                await model.answer(request(CHAT, timeout_seconds=0.3), lambda kind, words: None)
    assert (caught.value.kind, caught.value.charged) == ("transient", True)


# --- fresh processes ----------------------------------------------------------------------------------------------


def run(script: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter says to it, in which every warning is an error."""
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    ended = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", script], env=environment, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def test_importing_loads_no_library() -> None:
    """Neither `holdfast` nor what asks models loads what is heavy; only a request does."""
    script = """
import sys
import holdfast, holdfast.reasoners.llm, holdfast.reasoners.llm_failures, holdfast.pricing
holdfast.reasoners.llm.ProviderModel(base_urls={"anthropic": "http://127.0.0.1:9"})
print(sorted({name.split(".")[0] for name in sys.modules} & {"pydantic_ai", "genai_prices", "anthropic", "openai", "httpx2", "pydantic"}))
"""
    assert run(script).stdout == "[]\n"


def test_without_the_extra_a_request_says_what_to_install() -> None:
    """The core set has no provider library, and needs none until one is asked."""
    script = """
import asyncio, sys
sys.modules["pydantic_ai"] = None
from holdfast.reasoners.llm import ProviderModel
from holdfast.reasoners.model import ModelFailure, Request
try:
    asyncio.run(ProviderModel().answer(Request(model="anthropic:x", system="", messages=())))
except ModelFailure as failure:
    print(failure.kind, failure.message)
"""
    assert run(script).stdout == f"not_found {EXTRA}\n"


CLIENT = """
import asyncio, gc, sys, time
from holdfast.core.models import Part
from holdfast.reasoners.llm import ProviderModel
from holdfast.reasoners.model import Message, Request
def request(name):
    return Request(model=name, system="s", messages=(Message(role="user", parts=(Part(kind="text", text="x"),)),))
def model():
    keys = dict.fromkeys(("anthropic", "openai"), "k")
    return ProviderModel(base_urls={"anthropic": URL, "openai": URL + "/v1"}, api_keys=keys)
"""


def test_the_first_request_does_not_stop_the_loop() -> None:
    """The library takes seconds to load; meanwhile everything else of the event loop goes on."""
    script = """
gaps = []
async def tick():
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.005)
        gaps.append(time.perf_counter() - last)
        last += gaps[-1]
async def main():
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)  # The ticking begins.
    begun = time.perf_counter()
    await model().answer(request("anthropic:claude-opus-5"))
    whole = time.perf_counter() - begun
    ticking.cancel()
    print(max(gaps) < whole / 4, len(gaps) > 20)
asyncio.run(main())
"""
    with ModelServer(["Yes."]) as server:
        assert run(f"URL = {server.url!r}\n{CLIENT}{script}").stdout == "True True\n"


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "left to the loop"])
def test_nothing_is_left_open(closed: bool) -> None:
    """Not where `aclose` is called, and not where the event loop just ends; a second loop has clients of its own."""
    script = f"""
async def main(model, closed):
    names = ["anthropic:claude-opus-5", "openai:gpt-5"] * 4
    for answer in await asyncio.gather(*(model.answer(request(name)) for name in names)):
        print(answer.said[0].text)
    if closed:
        await model.aclose()
    del model
    gc.collect()  # Where nobody else holds it, it goes just before the loop does.
kept = model()
asyncio.run(main(kept, {closed}))
asyncio.run(main(kept, {closed}))
asyncio.run(main(model(), {closed}))
del kept
gc.collect()
"""
    with ModelServer(["Yes."]) as server:
        ended = run(f"URL = {server.url!r}\n{CLIENT}{script}")
    assert (ended.stdout, ended.stderr) == ("Yes.\n" * 24, "")


def test_the_faults_of_the_kit_are_all_played_here() -> None:
    """A fault is either a failure or an answer; a new one must be one of them."""
    assert {*MEANT, *OF_THE_ANSWER} == set(get_args(FaultName))
