"""Runs over a socket: each fault of a provider, in each format, ends as the table of the documentation says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from holdfast import Agent, Holdfast, Limits, Models, Price, tool
from holdfast.core import events as e
from holdfast.core.models import Usage, cost
from holdfast.testing.models import FAULT_NAMES, Fault, FaultName, ModelServer, asked, call, called, used
from holdfast.testing.models.faults import MEANT, OF_THE_ANSWER

pytest.importorskip("pydantic_ai", reason="the provider library is not installed")

ANTHROPIC, RESPONSES, CHAT = "anthropic:claude-sonnet-5", "openai:gpt-5", "openai-chat:gpt-5-mini"
NAMES = (ANTHROPIC, RESPONSES, CHAT)
PRICE = Price(input_usd=Decimal(3), output_usd=Decimal(15))
COUNTED = Usage(input_tokens=1000, output_tokens=50, requests=1)
LIMIT = Decimal("2.00")
# Those of which the provider made an answer, or may have: it counts them, whatever arrives.
LOST = {"timeout", "reset", "reset_in_body", "closed_in_body", "error_in_stream", "truncated", "wrong_shape", "html"}
COUNTS = {"answered", *OF_THE_ANSWER, *LOST}
# What passes, and what does not in this run; said here as the documentation says it, and not read off the code.
FOR_GOOD = ("bad_key", "forbidden", "rejected", "unknown_model")
PASSING = sorted(set(MEANT) - {*FOR_GOOD, "quota", "context"})


@tool(safety="read")
def look(city: str) -> dict[str, Any]:
    """Look up the weather."""
    return {"city": city, "degrees": 21}


def says(request: Any) -> Any:
    """One call, then the end; each is counted alike."""
    said = "21 degrees." if called(request, "look") else call("look", city="Rome")
    return used(said, input_tokens=COUNTED.input_tokens, output_tokens=COUNTED.output_tokens)


class Providers:
    """Two providers on loopback: one that is asked first, and one that stands in for it."""

    def __init__(self) -> None:
        self.first, self.spare = ModelServer(says, key="k"), ModelServer(says, key="k")

    def urls(self, name: str) -> dict[str, str]:
        """Where each provider is, for runs whose first model has this name."""
        if name == ANTHROPIC:
            return {"anthropic": self.first.url, "openai": self.spare.openai_url}
        return {"anthropic": self.spare.url, "openai": self.first.openai_url}


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    """Both of them, with their keys in the environment."""
    both = Providers()
    before = dict(os.environ)
    with both.first, both.spare:
        os.environ.update(both.first.environment)
        yield both
        os.environ.clear()
        os.environ.update(before)


@pytest_asyncio.fixture(loop_scope="module")
async def app(tmp_path: Path) -> AsyncIterator[Holdfast]:
    """A store of its own: the runs of a store share what they know of a provider."""
    async with Holdfast(tmp_path / "runs.db") as app:
        yield app


@pytest_asyncio.fixture(loop_scope="module", params=["whole", "streamed"])
async def heard(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Holdfast]:
    """The same; once with somebody who listens, so that requests are streamed."""
    async with Holdfast(tmp_path / "heard.db", on_words=(lambda *_: None) if request.param == "streamed" else None) as app:
        yield app


def spare_of(name: str) -> str:
    """A model of another provider."""
    return RESPONSES if name == ANTHROPIC else ANTHROPIC


_AGENTS: dict[tuple[str, bool, bool], Agent] = {}


def agent_of(providers: Providers, name: str, *, spare: bool, hasty: bool = False) -> Agent:
    """An agent that asks the model, and another one where there is a spare one. hasty: it waits a second for answers."""
    # One for each, so that the clients of the providers are made once.
    if (name, spare, hasty) not in _AGENTS:
        route = [name, spare_of(name)] if spare else [name]
        models = Models(
            route, prices=dict.fromkeys(route, PRICE), base_urls=providers.urls(name), timeout="1s" if hasty else "20s",
            retry={"attempts": 4, "backoff": "10ms..20ms"}, output_tokens_max=500,
        )  # fmt: skip
        _AGENTS[name, spare, hasty] = Agent("weather", model=models, tools=[look], limits=Limits(cost_usd_max=LIMIT))
    return _AGENTS[name, spare, hasty]


class Story:
    """What happened to one run: its journal, and what came in at the servers meanwhile."""

    def __init__(self, providers: Providers):
        self._servers = (providers.first, providers.spare)
        self._before = [len(server.seen) for server in self._servers]
        self.events: list[e.AnyEvent] = []

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def seen(self) -> list[list[str]]:
        """How the requests ended, by server."""
        found = (server.seen[before:] for server, before in zip(self._servers, self._before, strict=True))
        # Half a stream is there only where there is a stream.
        return [
            ["overloaded" if each.outcome == "error_in_stream" and not each.stream else each.outcome for each in seen]
            for seen in found
        ]

    async def check(self, app: Holdfast, run_id: str) -> None:
        """What holds of every run: as many requests as intents, nothing that a provider would refuse, and the money."""
        self.events = [entry.event for entry in await app.history(run_id)]
        outcomes = [outcome for server in self.seen() for outcome in server]
        assert len(outcomes) == len(self.of(e.ProposalRequested))
        assert "refused" not in outcomes and "error" not in outcomes
        state = await app.state(run_id)
        charged = cost(PRICE, COUNTED) * sum(outcome in COUNTS for outcome in outcomes)
        assert charged <= state.spent.cost_usd <= LIMIT
        assert not state.reserved
        if LOST.isdisjoint(outcomes):
            assert state.spent.cost_usd == charged, "what is known is settled exactly"


def fault_of(name: FaultName) -> Fault:
    return Fault(name=name, retry_after_seconds=0.05 if name == "rate_limited" else None)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", sorted(MEANT))
async def test_a_fault_is_answered_by_another_provider(
    providers: Providers, heard: Holdfast, name: str, fault: FaultName
) -> None:
    """The first model fails, whatever for; the spare one is asked at once, and the intent says why."""
    story = Story(providers)
    providers.first.queue(fault_of(fault))
    run = await heard.run(agent_of(providers, name, spare=True, hasty=fault == "timeout"), "The weather in Rome?", id="r")
    assert (run.status, run.result) == ("completed", "21 degrees.")
    await story.check(heard, run.id)
    (failed,) = story.of(e.ModelFailed)
    kind = MEANT[fault][0]
    assert (failed.model, failed.failure.kind) == (name, kind)
    first, second, *_ = story.of(e.ProposalRequested)
    assert (first.model, first.attempt, second.turn, second.attempt) == (name, 1, 1, 2)
    assert second.model == spare_of(name) and f"{name}: " in second.reason
    if fault != "context":
        assert f"{name}: {kind}" in second.reason
    assert len(story.of(e.CallIntended)) == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", PASSING)
async def test_what_passes_is_asked_for_again_after_a_wait(
    providers: Providers, heard: Holdfast, name: str, fault: FaultName
) -> None:
    """There is one model only: it is waited for, and asked again."""
    story = Story(providers)
    providers.first.queue(fault_of(fault))
    run = await heard.run(agent_of(providers, name, spare=False, hasty=fault == "timeout"), "The weather in Rome?", id="r")
    assert (run.status, run.result) == ("completed", "21 degrees.")
    await story.check(heard, run.id)
    asked, failed = story.of(e.ProposalRequested), story.of(e.ModelFailed)
    assert [(each.turn, each.attempt) for each in asked] == [(1, 1), (1, 2), (2, 1)]
    assert [each.failure.kind for each in failed] == [MEANT[fault][0]]
    (held,) = story.of(e.ReasonerHeld)
    assert f"{name}: {MEANT[fault][0]}" in held.reason
    entries = await heard.history(run.id)
    failed_at = next(entry.at for entry in entries if isinstance(entry.event, e.ModelFailed))
    asked_at = [entry.at for entry in entries if isinstance(entry.event, e.ProposalRequested)]
    assert failed_at < held.until <= asked_at[1]
    if fault == "rate_limited":
        assert asked_at[1] - failed_at >= 0.05


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", FOR_GOOD)
async def test_what_does_not_pass_is_for_a_person(providers: Providers, app: Holdfast, name: str, fault: FaultName) -> None:
    """There is one model, and it will not answer: a person says when it is to be asked again."""
    story = Story(providers)
    providers.first.queue(fault_of(fault))
    agent = agent_of(providers, name, spare=False)
    run = await app.run(agent, "The weather in Rome?", id="r")
    assert run.status == "blocked" and [asked.about for asked in run.questions] == ["reasoner"]
    assert MEANT[fault][0] in run.questions[0].question and name in run.questions[0].question
    assert story.seen() == [[fault], []]
    await app.answer(run.id, "approve")
    run = await app.run(agent, id=run.id)
    assert run.status == "completed"
    await story.check(app, run.id)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_a_quota_is_waited_for_without_a_process(providers: Providers, app: Holdfast, name: str) -> None:
    """The account has no money left: the run parks for an hour."""
    story = Story(providers)
    providers.first.queue("quota")
    run = await app.run(agent_of(providers, name, spare=False), "The weather in Rome?", id="r", patience_seconds=0.0)
    await story.check(app, run.id)
    (held,) = story.of(e.ReasonerHeld)
    failed_at = next(entry.at for entry in await app.history(run.id) if isinstance(entry.event, e.ModelFailed))
    assert run.due_at is not None and run.due_at == held.until and 3600 <= held.until - failed_at < 3610
    assert "too_expensive" in held.reason
    assert (run.status, run.waits_for) == ("waiting", f"a model that may be asked ({name}: too_expensive)")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", sorted(OF_THE_ANSWER))
async def test_an_answer_that_will_not_do_goes_back(providers: Providers, heard: Holdfast, name: str, fault: FaultName) -> None:
    """It was an answer and was paid for; the model is told what was wrong with it, and mends it."""
    story = Story(providers)
    providers.first.queue(fault)
    run = await heard.run(agent_of(providers, name, spare=True), "The weather in Rome?", id="r")
    assert (run.status, run.result) == ("completed", "21 degrees.")
    await story.check(heard, run.id)
    assert not story.of(e.ModelFailed) and story.seen()[1] == [], "the model answered, so nobody stands in for it"
    asked = providers.first.seen[-len(story.seen()[0]) :]
    if fault == "duplicate_ids":
        # The client library made another id of the second one, and both calls are sound, but for their arguments.
        assert story.of(e.PlanAdopted)
    else:
        (failed,) = story.of(e.ProposalFailed)
        told = asked[1].request.messages[-1].parts if asked[1].request is not None else ()
        assert failed.problems and any(failed.problems[0].partition(": ")[2][:40] in part.text for part in told)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_a_conversation_that_is_too_long_is_told_shorter(tmp_path: Path, name: str) -> None:
    """The request is halved, and halved again, and the run goes on with the same model."""

    @tool(safety="read")
    def page(number: int) -> str:
        """A page."""
        return f"page {number} " + "word " * 1500

    def reads(request: Any) -> Any:
        return call("page", number=place) if (place := asked(request)) < 12 else "Read."

    with ModelServer(reads) as server:
        models = Models(name, prices={name: PRICE}, base_urls=server.base_urls, retry={"attempts": 4, "backoff": "10ms..20ms"})
        agent = Agent("reader", model=models, tools=[page], limits=Limits(cost_usd_max=LIMIT))
        async with Holdfast(tmp_path / "runs.db") as app:
            task = asyncio.ensure_future(app.run(agent, "Read it", id="r"))
            await asyncio.to_thread(server.wait_for, "answered", times=8)
            server.queue("context", "context")
            run = await task
            events = [entry.event for entry in await app.history("r")]
            spent = (await app.state("r")).spent.cost_usd
        assert run.status == "completed", run.reason
        assert server.hits["context"] == 2 and not server.refusals
        sizes = [event.reserved.input_tokens for event in events if isinstance(event, e.ProposalRequested)]
        at = next(number for number, event in enumerate(events) if isinstance(event, e.ModelFailed))
        before = sum(isinstance(event, e.ProposalRequested) for event in events[:at])
        assert sizes[before] <= sizes[before - 1] // 2 and sizes[before + 1] <= sizes[before] // 2
        assert not any(isinstance(event, e.ReasonerHeld) for event in events), "it is asked again at once"
        assert len(server.seen) == len(sizes)
        assert spent <= LIMIT


def test_every_fault_is_tried() -> None:
    """None is forgotten here when one is added."""
    assert set(FAULT_NAMES) == {*PASSING, *FOR_GOOD, "quota", "context", *OF_THE_ANSWER}
