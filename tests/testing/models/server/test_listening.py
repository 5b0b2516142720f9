"""The server of models: begins and ends, keeps what it saw, plays faults upon sockets, and runs in a process of its own."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdfast.reasoners.model import Request
from holdfast.testing.models import (
    Fault,
    FaultName,
    ModelServer,
    ScriptedModel,
    ScriptEnded,
    after,
    asked,
    call,
    fail,
    fault,
    tries,
)

HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01", "authorization": "Bearer k"}
PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}
WORDS = "It goes on for a while, so that there is a middle in which a connection may break."


def body_for(form: str, text: str = "go", **more: Any) -> dict[str, Any]:
    talk = [{"role": "user", "content": text}]
    shapes: dict[str, dict[str, Any]] = {
        "anthropic": {"max_tokens": 100, "messages": talk},
        "chat": {"messages": talk},
        "responses": {"input": talk},
    }
    return {"model": "some-model", **shapes[form], **more}


def post(
    server: ModelServer, form: str, body: Any = None, *, headers: dict[str, str] | None = None, timeout: float = 5.0
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own: status, headers in lower case, body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        raw = body if isinstance(body, bytes) else json.dumps(body_for(form) if body is None else body)
        connection.request("POST", PATHS.get(form, form), raw, HEADERS if headers is None else headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(lambda request: WORDS) as started:
        yield started


def test_one_script_answers_in_every_format(server: ModelServer) -> None:
    """What was asked is seen in the form of the wire and in the neutral one."""
    for form in PATHS:
        status, _, data = post(server, form)
        assert status == 200 and WORDS in json.dumps(json.loads(data))
    assert server.hits == {"answered": 3}
    assert [seen.path for seen in server.seen] == list(PATHS.values())
    assert [seen.body["model"] for seen in server.seen] == ["some-model"] * 3
    names = [seen.request.model for seen in server.seen if seen.request is not None]
    assert names == ["anthropic:some-model", "openai-chat:some-model", "openai-responses:some-model"]
    assert [request.messages[0].parts[0].text for request in server.model.requests] == ["go"] * 3


def test_a_connection_is_kept_and_no_answer_waits_for_an_acknowledgement(server: ModelServer) -> None:
    """One write for an answer, and no Nagle for the many of a stream: 40 ms would show in most of them."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    for stream in (False, True):
        taken = []
        for _ in range(25):
            begun = time.perf_counter()
            connection.request("POST", PATHS["anthropic"], json.dumps(body_for("anthropic", stream=stream)), HEADERS)
            kept = connection.sock
            assert connection.getresponse().read()
            assert connection.sock is kept
            taken.append(time.perf_counter() - begun)
        assert sorted(taken)[12] < 0.035
    connection.close()


def test_it_ends_while_somebody_waits_and_twice() -> None:
    """Who waits for an answer is let go; a connection that is kept open holds nothing up."""
    idle = http.client.HTTPConnection("127.0.0.1", 0, timeout=5)
    ended: list[BaseException] = []
    with ModelServer([fault("timeout")]) as server:
        idle.port = server.port
        idle.request("POST", "/nothing", "{}")
        idle.getresponse().read()

        def wait() -> None:
            try:
                post(server, "chat", timeout=30)
            except (OSError, http.client.HTTPException) as error:
                ended.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        server.wait_for("timeout")
        begun = time.perf_counter()
    waiting.join(5)
    assert ended and not isinstance(ended[0], TimeoutError)
    assert time.perf_counter() - begun < 2
    server.close()
    idle.close()
    with pytest.raises(OSError):
        post(server, "chat")


async def test_it_serves_beside_a_loop(server: ModelServer) -> None:
    """It has threads of its own, so a test that is a coroutine may use it as it is."""
    found = await asyncio.gather(*(asyncio.to_thread(post, server, "responses") for _ in range(10)))
    assert [status for status, *_ in found] == [200] * 10


def test_many_are_served_at_once() -> None:
    """Twenty scripts meet one another, so no request waits for another one; each is seen once."""
    meeting = threading.Barrier(20, timeout=10)

    def script(request: Request) -> str:
        meeting.wait()
        return "met"

    with ModelServer(script) as server, ThreadPoolExecutor(20) as pool:
        assert [status for status, *_ in pool.map(lambda _: post(server, "chat"), range(20))] == [200] * 20
        assert server.hits == {"answered": 20}
        assert sorted(seen.number for seen in server.seen) == list(range(1, 21))


def test_an_answer_may_be_late(server: ModelServer) -> None:
    """By as long as the script says."""
    with ModelServer([after(0.05, "late")]) as slow:
        begun = time.perf_counter()
        post(slow, "chat")
        assert time.perf_counter() - begun >= 0.05


def test_a_test_can_wait_for_a_request(server: ModelServer) -> None:
    """Until it came so often; where it does not come, that is said."""
    with ThreadPoolExecutor(1) as pool:
        asked_twice = pool.submit(lambda: [post(server, "chat") for _ in range(2)])
        server.wait_for("answered", times=2)
        asked_twice.result()
    with pytest.raises(TimeoutError, match="no 1 requests ended as 'refused' in 0.01 s"):
        server.wait_for("refused", timeout_seconds=0.01)


# --- faults -------------------------------------------------------------------------------------------------------

STATUSES: dict[FaultName, tuple[int, int]] = {
    "rate_limited": (429, 429), "overloaded": (529, 503), "error_in_stream": (529, 503), "unavailable": (503, 503),
    "server_error": (500, 500), "context": (400, 400), "rejected": (400, 400), "quota": (400, 429), "bad_key": (401, 401),
    "forbidden": (403, 403), "unknown_model": (404, 404),
}  # fmt: skip


@pytest.mark.parametrize("form", PATHS)
@pytest.mark.parametrize("name", STATUSES)
def test_a_fault_with_a_status_is_the_error_of_the_provider(server: ModelServer, form: str, name: FaultName) -> None:
    """Status, shape and the time to wait; the next request is answered."""
    server.queue(Fault(name=name, retry_after_seconds=3))
    status, headers, data = post(server, form)
    assert status == STATUSES[name][form != "anthropic"]
    assert headers["retry-after"] == "3"
    error = json.loads(data)["error"]
    assert error["type"] and error["message"]
    assert {"param", "code"} <= error.keys() or json.loads(data)["type"] == "error"
    assert post(server, form)[0] == 200
    assert server.hits == {name: 1, "answered": 1}
    assert [seen.status for seen in server.seen] == [status, 200]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", PATHS)
def test_a_broken_connection_is_broken(server: ModelServer, form: str, stream: bool) -> None:
    """Before anything is sent; and in the middle, by a reset and in good order."""
    body = body_for(form, stream=stream)
    server.queue("reset", "reset_in_body", "closed_in_body")
    for _ in range(2):
        # Not one of its subclasses: a connection that ends in good order without an answer is another matter.
        with pytest.raises(ConnectionResetError) as broken:
            post(server, form, body)
        assert type(broken.value) is ConnectionResetError
    with pytest.raises(http.client.IncompleteRead) as caught:
        post(server, form, body)
    assert caught.value.partial
    assert server.hits == {"reset": 1, "reset_in_body": 1, "closed_in_body": 1}


@pytest.mark.parametrize("form", PATHS)
def test_an_answer_may_be_none(server: ModelServer, form: str) -> None:
    """Half of a JSON body, JSON of another shape, a page: all with status 200, and sound HTTP."""
    server.queue("truncated", "wrong_shape", "html")
    half, other, page = (post(server, form) for _ in range(3))
    assert [half[0], other[0], page[0]] == [200, 200, 200]
    with pytest.raises(ValueError):
        json.loads(half[2])
    assert "some-model" not in json.loads(other[2]).values()
    assert page[1]["content-type"] == "text/html" and page[2].startswith(b"<html>")


@pytest.mark.parametrize("form", PATHS)
def test_a_stream_may_end_early_or_badly(server: ModelServer, form: str) -> None:
    """Cut in the middle of an event, ended by an error, of another shape."""
    whole = post(server, form, body_for(form, stream=True))[2]
    server.queue("truncated", "error_in_stream", "wrong_shape", "html")
    half, failed, other, page = (post(server, form, body_for(form, stream=True))[2] for _ in range(4))
    assert b"while" in half and not half.endswith(b"\n\n") and len(half) < len(whole)
    assert failed.endswith(b"\n\n") and b"verloaded" in failed.split(b"\n\n")[-2]
    assert b"a text where" in other and page.startswith(b"<html>")


def test_a_fault_of_the_answer_is_played_upon_what_the_script_says() -> None:
    """The script is asked all the same."""
    with ModelServer(lambda request: call("book", seat="12A")) as server:
        server.queue("malformed_arguments", "cut", "duplicate_ids", "nothing")
        found = [json.loads(post(server, "chat")[2])["choices"][0] for _ in range(4)]
        assert len(server.model.requests) == 4
    assert found[0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"seat"'
    assert (found[1]["finish_reason"], found[3]["message"]["content"]) == ("length", None)
    assert len({tool_call["id"] for tool_call in found[2]["message"]["tool_calls"]}) == 1
    assert server.hits == {"malformed_arguments": 1, "cut": 1, "duplicate_ids": 1, "nothing": 1}


def test_a_script_may_say_faults_itself() -> None:
    """By name and by kind; tries end well in the end."""
    with ModelServer([tries(fault("overloaded"), fail("rate_limited", "slow down", retry_after=1.5), "at last")]) as server:
        assert post(server, "anthropic")[0] == 529
        status, headers, data = post(server, "anthropic")
        assert (status, headers["retry-after-ms"], json.loads(data)["error"]["message"]) == (429, "1500", "slow down")
        assert post(server, "anthropic")[0] == 200
    assert server.hits == {"overloaded": 1, "rate_limited": 1, "answered": 1}
    with ModelServer([fault("cut", upon=WORDS)]) as server:
        assert json.loads(post(server, "anthropic")[2])["content"][0]["text"] == WORDS[: len(WORDS) // 2]
    assert server.hits == {"cut": 1}


def test_a_time_out_never_answers(server: ModelServer) -> None:
    """Until the caller hangs up; it is counted at once."""
    server.queue("timeout")
    with pytest.raises(TimeoutError):
        post(server, "chat", timeout=0.1)
    assert server.hits == {"timeout": 1}


def test_faults_can_be_queued_many_at_once(server: ModelServer) -> None:
    """times repeats the whole row."""
    server.queue("overloaded", "rate_limited", times=2)
    assert [post(server, "anthropic")[0] for _ in range(5)] == [529, 429, 529, 429, 200]


# --- what is let in -----------------------------------------------------------------------------------------------


def test_the_key_and_the_model_are_looked_at_where_they_are_given() -> None:
    """Another key is 401, another model 404, as for the provider; no script is asked."""
    with ModelServer(["x"], key="right", models=["known"]) as server:
        for form in PATHS:
            assert post(server, form)[0] == 401
            right = {**HEADERS, "x-api-key": "right", "authorization": "Bearer right"}
            assert post(server, form, headers=right)[0] == 404
            assert post(server, form, body_for(form) | {"model": "known"}, headers=right)[0] == 200
        assert server.environment["ANTHROPIC_API_KEY"] == server.environment["OPENAI_API_KEY"] == "right"
        assert len(server.model.requests) == 3


def test_a_request_may_be_too_long() -> None:
    """In the words that clients look for, counted as usage is."""
    with ModelServer(["x"] * 9, context_tokens_max=100) as server:
        for form in PATHS:
            assert post(server, form)[0] == 200
            status, _, data = post(server, form, body_for(form, "word " * 100))
            assert status == 400
            message = json.loads(data)["error"]["message"]
            assert "prompt is too long" in message or "maximum context length" in message
        assert server.hits == {"answered": 3, "context": 3}


@pytest.mark.parametrize("form", PATHS)
def test_a_request_without_a_key_is_refused(server: ModelServer, form: str) -> None:
    """Nobody forgets it unseen."""
    status, _, data = post(server, form, headers={})
    assert status == 401 and "key" in json.loads(data)["error"]["message"]
    assert server.hits == {"refused": 1} and len(server.refusals) == 1


@pytest.mark.parametrize("form", PATHS)
@pytest.mark.parametrize(
    "wrong", [b"{", b"[]", b'{"messages": 7}', b'{"model": "m", "max_tokens": 9, "messages": [7], "input": [7]}']
)
def test_what_is_no_request_is_refused(server: ModelServer, form: str, wrong: bytes) -> None:
    """In the provider's shape, and never as a failure of the server."""
    status, _, data = post(server, form, wrong)
    assert status == 400 and json.loads(data)["error"]["type"] == "invalid_request_error"
    assert not server.errors


def test_an_unknown_path_is_not_found(server: ModelServer) -> None:
    """Such as a base address with `/v1` too much."""
    assert post(server, "/v1/v1/messages", {})[0] == 404
    assert not server.seen


def test_an_error_of_the_script_is_shown_to_the_caller_and_to_the_test() -> None:
    """As a refusal, which is not asked again; the end of the block raises it."""
    server = ModelServer([]).start()
    status, _, data = post(server, "anthropic")
    assert status == 400 and "the script failed: scripted:server has 0 turns" in json.loads(data)["error"]["message"]
    assert server.hits == {"error": 1}
    with pytest.raises(ScriptEnded):
        server.__exit__(None, None, None)
    server.__exit__(AssertionError, AssertionError("an error of the block comes first"), None)


# --- in a process of its own --------------------------------------------------------------------------------------


def test_it_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    """It says where it is; faults are queued and hits are told over HTTP; SIGTERM ends it."""
    (tmp_path / "scripts.py").write_text("from holdfast.testing.models import *\nTURNS = [call('book'), 'done']\n")
    command = [sys.executable, "-m", "holdfast.testing.models.server", "--script", "scripts:TURNS"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        told = json.loads(process.stdout.readline())
        assert told["environment"]["OPENAI_BASE_URL"] == told["url"] + "/v1"
        assert (told["pid"], told["script"]) == (process.pid, "scripted:server")
        connection = http.client.HTTPConnection(told["url"].removeprefix("http://"), timeout=5)

        def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

        assert ask("POST", "/control", {"faults": ["nonsense"]})[0] == 400
        assert ask("POST", "/control", {"faults": ["overloaded"]})[1]["queued"] == 1
        assert ask("POST", "/v1/messages", body_for("anthropic"))[0] == 529
        assert ask("POST", "/v1/messages", body_for("anthropic"))[1]["stop_reason"] == "tool_use"
        assert ask("GET", "/control")[1] == {"requests": 2, "hits": {"overloaded": 1, "answered": 1}, "refusals": [], "queued": 0}
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("name", ["no_such_module:TURNS", "json", "json:NOTHING"])
def test_a_script_that_is_not_there_is_said(name: str) -> None:
    """As a wrong use of the command."""
    command = [sys.executable, "-m", "holdfast.testing.models.server", "--script", name]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2 and f"--script {name}: " in ended.stderr


def test_a_request_whose_answer_is_late_is_seen_at_once() -> None:
    """So that a worker can be killed while it waits; the end of the server lets it go."""
    with ModelServer([after(60, "late")]) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, server, "chat", timeout=30)
        server.wait_for("answered")
        assert not waiting.done()
        server.close()
        assert isinstance(waiting.exception(10), (OSError, http.client.HTTPException))


def test_an_error_of_a_script_is_no_lost_connection() -> None:
    """Whatever its class."""

    def script(request: Request) -> str:
        raise FileNotFoundError("no such story")

    server = ModelServer(script).start()
    status, _, data = post(server, "responses")
    server.close()
    assert status == 400 and "no such story" in json.loads(data)["error"]["message"]
    assert [type(error) for error in server.errors] == [FileNotFoundError]


def test_a_scripted_model_can_be_served_as_it_is() -> None:
    """The same object then holds what was asked over the wire and beside it."""
    model = ScriptedModel(lambda request: f"answer {asked(request)}", name="both")
    with ModelServer(model) as server:
        post(server, "chat")
    assert server.model is model and len(model.requests) == 1
