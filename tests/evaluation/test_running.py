"""All runs of an evaluation: seeds, money, what was broken off, and real models over a server on loopback."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Limits, Models, tool
from holdfast.core.models import Price
from holdfast.errors import DefinitionError, UsageError
from holdfast.evaluation import CaseRun, Terms, evaluate, results, scripts
from holdfast.evaluation.running import agent_digest, seed_of
from holdfast.testing.models import ModelServer, call, used
from tests.evaluation.kit import buy, case_run, evaluated, price, shopper, suite_of

CENT = Price(input_usd=Decimal(0), output_usd=Decimal(100))  # Of a million: a hundred tokens are a cent.
CASES = {name: {"inputs": {"item": "pen"}} for name in ("a", "b", "c")}


def test_each_case_is_run_as_often_as_is_said(tmp_path: Path) -> None:
    """By the command line, else by the case, else by the file."""
    cases = {"a": {"inputs": {"item": "pen"}, "repeat": 1}, "b": {"inputs": {"item": "pen"}}}
    runs = evaluated(suite_of(cases=cases, repeat=2), shopper(), tmp_path / "1").runs
    assert [(run.case, run.repeat) for run in runs] == [("a", 1), ("b", 1), ("b", 2)]
    only = evaluated(suite_of(cases=cases, repeat=2), shopper(), tmp_path / "2", repeat=3, only=("b",))
    assert [(run.case, run.repeat) for run in only.runs] == [("b", 1), ("b", 2), ("b", 3)]
    assert only.finished and only.header.cases == {"b": 3}
    with pytest.raises(UsageError, match="there is no case d"):
        evaluated(suite_of(cases=cases), shopper(), tmp_path / "3", only=("d",))


def test_seeds_differ_by_case_and_repeat_and_are_the_same_everywhere() -> None:
    """They are a digest, which no process salts."""
    assert seed_of(7, "lost_answer", 2) == 2143577256
    assert len({seed_of(seed, case, repeat) for seed in range(3) for case in "ab" for repeat in range(3)}) == 18


def test_everything_that_does_not_fit_is_said_before_anything_runs(tmp_path: Path) -> None:
    """Inputs that the agent does not take, and a model for an agent that asks none."""
    cases = {"a": {"inputs": {"itme": "pen"}}, "b": {"inputs": {"item": 3}}, "c": {"inputs": {"item": "pen"}, "model": ["x"]}}
    with pytest.raises(DefinitionError, match="has 3 problems") as told:
        evaluated(suite_of(cases=cases), shopper(), tmp_path / "out")
    for said in ("case a: ", "there is no input itme", "case b: ", "case c: agent shopper asks no model"):
        assert said in str(told.value)
    assert not (tmp_path / "out").exists()


def test_one_version_is_told_from_another_by_what_it_declares() -> None:
    """Its plan, its tools, its limits, its version; not the model, which the header names by itself."""

    @tool(name="buy", safety="irreversible")
    def other(item: str, amount: float) -> dict[str, str]:
        """Buy something."""
        raise AssertionError

    versions = [shopper(), shopper(version="2"), shopper(limits=Limits(attempts_max=9)), shopper(tools=(price, other))]
    assert len({agent_digest(one) for one in versions}) == 4
    assert agent_digest(shopper()) == agent_digest(shopper())
    minds = [Agent("x", model=f"anthropic:claude-{name}") for name in ("sonnet-5", "haiku-4-5")]
    assert agent_digest(minds[0]) == agent_digest(minds[1])


# --- broken off ---------------------------------------------------------------------------------------------------


def test_a_stopped_evaluation_keeps_what_is_done_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """What is done is not done again, and a line that was cut off is."""
    suite, agent, began = suite_of(cases=CASES), shopper(), []

    async def first() -> Any:
        stop = asyncio.Event()

        def told(run: CaseRun) -> None:
            began.append(run.case)
            if run.case == "b":
                stop.set()

        return await evaluate(suite, agent, Terms(out=tmp_path, stop=stop, on_run=told))

    done = asyncio.run(first())
    assert (began, [run.case for run in done.runs], done.finished) == (["a", "b"], ["a", "b"], False)
    path = tmp_path / results.FILE
    path.write_bytes(path.read_bytes()[:-20])
    again = evaluated(suite, agent, tmp_path, resume=True, on_run=lambda run: began.append(run.case))
    assert began == ["a", "b", "b", "c"]
    assert again.finished and [run.outcome for run in again.runs] == ["held"] * 3


def test_an_evaluation_does_not_go_on_as_another_one(tmp_path: Path) -> None:
    """Another agent, another seed, another file: the results would be of neither."""
    evaluated(suite_of(), shopper(), tmp_path)
    for suite, agent, terms, said in (
        (suite_of(), shopper(version="2"), {}, "the agent changed"),
        (suite_of(), shopper(), {"seed": 3}, "the seed changed"),
        (suite_of(repeat=2), shopper(), {}, "the case file and the cases changed"),
    ):
        with pytest.raises(UsageError, match=said):
            evaluated(suite, agent, tmp_path, resume=True, **terms)
    with pytest.raises(UsageError, match="there are results in"):
        evaluated(suite_of(), shopper(), tmp_path)


def test_a_run_that_does_not_end_is_left_behind_and_counts_as_failed(tmp_path: Path) -> None:
    """A tool of one's own that never returns does not hold up the others."""
    free = threading.Event()

    @tool(name="price", safety="read")
    def stuck(item: str) -> float:
        """Wait for ever."""
        if item == "ink":
            free.wait(60)
        return 1.0

    cases = {"a": {"inputs": {"item": "ink"}}, "b": {"inputs": {"item": "pen"}}}
    suite = suite_of(cases=cases, services={"buy": {"answer": {"receipt": "x"}}}, limit="200ms")
    try:
        first, second = evaluated(suite, shopper(tools=(stuck, buy)), tmp_path).runs
    finally:
        free.set()
    assert (first.outcome, first.unmet) == ("failed", ("limit: it did not end within 0.2 s on the wall",))
    assert second.outcome == "held" and first.wall_seconds < 10


# --- real models --------------------------------------------------------------------------------------------------

SCRIPT = [
    used(call("buy", item="pen", amount=2), input_tokens=100, output_tokens=100),
    used("Bought.", input_tokens=100, output_tokens=100),
]
NAME = "anthropic:claude-sonnet-5"


def thinker(server: ModelServer, limit: str | None = None) -> Agent:
    """An agent that asks a provider, which is a server here."""
    models = Models(NAME, prices={NAME: CENT}, output_tokens_max=200, base_urls={"anthropic": server.url})
    limits = Limits(cost_usd_max=Decimal(limit)) if limit else None
    return Agent("shopper", model=models, tools=[price, buy], limits=limits, inputs={"item": {"type": "string"}})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A provider on loopback."""
    with ModelServer(SCRIPT) as served:
        for name, value in served.environment.items():
            monkeypatch.setenv(name, value)
        yield served


def test_a_real_client_is_asked_and_waiting_is_skipped_all_the_same(server: ModelServer, tmp_path: Path) -> None:
    """Several runs side by side; a person takes two days in each, which are over at once."""
    case = {
        "goal": "Buy a pen", "repeat": 3, "people": [{"say": "approve", "after": "2d"}],
        "expect": {"that": "result == 'Bought.'", "effects": [{"tool": "buy", "times": 1}], "asked": 1, "cost": 0.02},
    }  # fmt: skip

    @tool(name="buy", safety="irreversible")
    def dear(item: str, amount: float) -> dict[str, str]:
        """Buy something."""
        raise AssertionError

    agent = thinker(server)
    agent.toolbox = type(agent.toolbox)([dear, *(one for one in agent.toolbox.values() if one.name != "buy")])
    found = evaluated(suite_of(case), agent, tmp_path, model=scripts.named(NAME), parallel=3)
    assert [(run.outcome, run.cost_usd, run.tokens) for run in found.runs] == [("held", Decimal("0.02"), 400)] * 3, found.runs
    assert all(run.seconds > 2 * 86400 and run.wall_seconds < 30 for run in found.runs)
    assert (found.header.model, server.refusals) == (NAME, [])


def test_the_money_of_an_evaluation_is_a_hard_limit(server: ModelServer, tmp_path: Path) -> None:
    """What is left is what the next run may cost; where that is too little nothing more begins, and what was not done says nothing
    about the agent. With more money it goes on."""
    suite = suite_of({"goal": "Buy a pen", "repeat": 10})
    first = evaluated(suite, thinker(server), tmp_path, budget_usd=Decimal("0.07"), parallel=1)
    assert sum(run.cost_usd for run in first.runs) <= Decimal("0.07")
    assert [run.outcome for run in first.counted] == ["held"] * 3 and not first.finished
    asked = server.hits["answered"]
    more = evaluated(suite, thinker(server), tmp_path, budget_usd=Decimal("10"), resume=True, parallel=2)
    assert more.finished and len(more.counted) == 10 and {run.outcome for run in more.runs} == {"held"}
    assert server.hits["answered"] - asked == 14


def test_an_agent_that_breaks_its_own_limit_fails(server: ModelServer, tmp_path: Path) -> None:
    """It is not the money of the evaluation that was short."""
    (run,) = evaluated(suite_of({"goal": "Buy"}), thinker(server, "0.021"), tmp_path, budget_usd=Decimal(5)).runs
    assert (run.outcome, run.status) == ("failed", "failed")


def test_results_are_the_last_word_on_each_run(tmp_path: Path) -> None:
    """A run that was done again has one record."""
    found = evaluated(suite_of(), shopper(), tmp_path)
    writer = results.Writer(tmp_path, None)
    writer.add(case_run(outcome="failed"))
    writer.close()
    assert [run.outcome for run in results.read(tmp_path).runs] == ["failed"] != [run.outcome for run in found.runs]
