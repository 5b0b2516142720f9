"""A model as the reasoner of a run: one request in, one thought out."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.models import Part, Usage
from holdfast.errors import UsageError
from holdfast.reasoners.base import Propose, Thought, briefing, events_of
from holdfast.reasoners.mind import ModelReasoner
from holdfast.reasoners.model import Answer, Listener, ModelFailure, Request, size
from tests.core.story import tool
from tests.reasoners.kit import MODEL, OTHER, Talk, call, schema, text

FIND = tool("find", "read", input_schema=schema("name"))


class Fake:
    """A model that says what it was given, in order, and keeps what it was asked."""

    def __init__(self, *answers: Any):
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """The next one; an exception is raised."""
        self.requests.append(request)
        found = self.answers.pop(0)
        if isinstance(found, BaseException):
            raise found
        if listener is not None:
            listener("text", "hm")
        return Answer(said=found, usage=Usage(input_tokens=10, output_tokens=2), finish="stop")


def told(run: Talk, **fields: Any) -> Any:
    """What the reasoner of this run is told now."""
    return briefing(run.run, run.ask, run.now, **fields)


async def test_one_request_gives_one_thought() -> None:
    """Bounded by what is reserved, asked of the model that was chosen."""
    strong, cheap = Fake((call("find", "a", name="ann"),)), Fake()
    run = Talk(FIND)
    found = await ModelReasoner({MODEL: strong, OTHER: cheap}, "Be good.").propose(told(run))
    assert isinstance(found, Thought) and isinstance(found.proposal, Propose)
    assert (found.model, found.usage.input_tokens, found.finish) == (MODEL, 10, "stop")
    (request,) = strong.requests
    reserved = run.ask.reserved
    assert reserved is not None and found.bytes == size(request) <= reserved.input_tokens
    assert request.output_tokens_max <= reserved.output_tokens and not cheap.requests


async def test_a_run_goes_from_turn_to_turn() -> None:
    """Until the model says how it ends."""
    model = Fake((call("find", "a", name="ann"),), (text("It is ann."),))
    reasoner, run = ModelReasoner({MODEL: model, OTHER: model}, "Be good."), Talk(FIND)
    for _ in range(2):
        found = await reasoner.propose(told(run))
        run.tell(*events_of(found, run.run, run.ask.turn))
        run.decide()
        run.returns_all("ann@x").decide()
    assert (run.ended, run.run.result) == ("completed", "It is ann.")
    assert '{"step":"find_1","result":"ann@x"}' in [part.text for part in model.requests[1].messages[-1].parts]


async def test_what_a_model_says_while_it_says_it_is_heard() -> None:
    """By whoever watches."""
    heard: list[tuple[str, str]] = []
    reasoner = ModelReasoner({MODEL: Fake((text("x"),))})
    await reasoner.propose(told(Talk(FIND), listener=lambda kind, words: heard.append((kind, words))))
    assert heard == [("text", "hm")]


async def test_a_failure_of_a_model_goes_through() -> None:
    """It is ruled on by its kind, where the retries are."""
    model = Fake(ModelFailure("rate_limited", "slow down", retry_after_seconds=7))
    with pytest.raises(ModelFailure) as failure:
        await ModelReasoner({MODEL: model}).propose(told(Talk(FIND)))
    assert (failure.value.kind, failure.value.retry_after_seconds, len(model.requests)) == ("rate_limited", 7, 1)


async def test_a_model_that_this_worker_has_not_is_a_failure_of_that_model() -> None:
    """Another one may be asked."""
    with pytest.raises(ModelFailure) as failure:
        await ModelReasoner({OTHER: Fake()}).propose(told(Talk(FIND)))
    assert failure.value.kind == "not_found"


async def test_a_request_that_has_no_room_is_too_expensive_and_not_made() -> None:
    """The bound is hard."""
    run, model = Talk(FIND, room=100), Fake()
    with pytest.raises(ModelFailure) as failure:
        await ModelReasoner({MODEL: model}).propose(told(run))
    assert failure.value.kind == "too_expensive" and "100 bytes" in failure.value.message and not model.requests


async def test_nothing_that_a_model_says_raises() -> None:
    """It is told what was wrong."""
    model = Fake((Part(kind="call", id="a", tool="find", args="{"),), ())
    reasoner, run = ModelReasoner({MODEL: model}), Talk(FIND)
    for said in ("no table", "empty"):
        found = await reasoner.propose(told(run))
        assert found.proposal is None and said in found.problems[0]


async def test_a_run_that_asks_no_model_has_no_business_here() -> None:
    """It is an error of whoever put the agent together."""
    with pytest.raises(UsageError):
        await ModelReasoner({}).propose(briefing(Talk(FIND).run))
