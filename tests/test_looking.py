"""The verbs that look back, as a program calls them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Holdfast, monitors, tool
from holdfast.audit import AuditLine, json_lines, verify_audit
from holdfast.errors import RunPruned, UsageError
from holdfast.views.timeline import picture, svg, timeline
from holdfast.views.why import why


class Bank:
    """A bank, with its own list of what was paid."""

    def __init__(self) -> None:
        self.paid: list[float] = []
        self.rate = 100.0

    def agent(self, **more: Any) -> Agent:
        """Looks up a rate, books a fee, and pays by the rate; large payments fail."""
        bank = self

        @tool(safety="read")
        def rate() -> float:
            return bank.rate

        @tool(safety="keyed", key_ttl="1h")
        def pay(amount: float, rate: float = 1.0) -> str:
            from holdfast import Conflict

            if amount * rate > 500:
                raise Conflict("too much")
            bank.paid.append(amount * rate)
            return "paid"

        plan = {
            "fee": {"tool": "pay", "args": {"amount": 2.0}},
            "rate": {"tool": "rate", "after": ["fee"]},
            "ann": {"tool": "pay", "args": {"amount": 10.0, "rate": {"$ref": "steps.rate"}}},
        }
        return Agent("bank", tools=[rate, pay], plan=plan, **more)


@pytest.fixture
async def night(tmp_path: Path) -> Any:
    """A store with a run that failed, and its bank."""
    bank = Bank()
    async with Holdfast(tmp_path / "a.db") as app:
        run = await app.run(bank.agent(), "Pay", id="night")
        assert run.status == "failed"
        yield app, bank


async def test_a_run_that_failed_is_understood_and_finished_without_doing_anything_twice(night: Any) -> None:
    """Why, replay, fork, answer: the fee is paid once."""
    app, bank = night
    assert "too much" in why(await app.history("night"), 0.0).first
    assert (await app.replay("night")).agrees
    bank.rate = 1.5
    forked = await app.fork("night", bank.agent(), id="morning", before="rate", by="ann", reason="the rate was wrong")
    assert forked.is_new and bank.paid == [2.0]
    asks = await app.run(bank.agent(), id="morning")
    assert asks.status == "blocked" and bank.paid == [2.0]
    await app.answer("morning", "approve", by="ann")
    assert (await app.run(bank.agent(), id="morning")).done
    assert bank.paid == [2.0, 15.0]
    assert [found.agrees async for found in app.replay_all()] == [True, True]
    assert [found.run_id async for found in app.replay_all(of="nobody")] == []


async def test_a_simulated_fork_touches_nothing(night: Any) -> None:
    """What the source's payment came to is what the simulated one comes to."""
    app, bank = night
    await app.fork("night", bank.agent(), id="what-if", before="fee", mode="simulate")
    run = await app.run(bank.agent(), id="what-if")
    assert run.status == "failed" and bank.paid == [2.0]


async def test_a_fork_begins_at_one_point(night: Any) -> None:
    """Two are refused before anything is made."""
    app, bank = night
    with pytest.raises(UsageError, match="one point"):
        await app.fork("night", bank.agent(), id="x", at=3, before="rate")


async def test_runs_leave_a_store_and_are_looked_at_in_another(night: Any, tmp_path: Path) -> None:
    """As a file, a copy, a picture; what is pruned leaves a proof."""
    app, _ = night
    drawn = svg(picture(timeline(await app.history("night"))))
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    await app.export("night", to=tmp_path / "night.jsonl")
    await app.backup(tmp_path / "copy.db")
    async with Holdfast(tmp_path / "b.db") as other:
        assert await other.import_runs(tmp_path / "night.jsonl") == ["night"]
        assert await other.import_runs(tmp_path / "night.jsonl") == []
        assert (await other.replay("night")).agrees
    async with Holdfast(tmp_path / "copy.db") as copy:
        (proof,) = await copy.prune("night", by="ann")
        assert proof.version == (await app.journal.row("night")).version
        with pytest.raises(RunPruned):
            await copy.show("night")
    assert (await app.health(deep=True)).problems == ()
    assert (await monitors.look(app.journal, app._clock.now())).runs == 1


async def test_what_was_decided_in_the_source_is_not_decided_again_in_the_audit(night: Any) -> None:
    """A fork has the lines of its own words, and they hold; what it took over has its lines in the source."""
    app, bank = night
    await app.fork("night", bank.agent(), id="one", before="fee", by="ann", reason="try")
    await app.run(bank.agent(), id="one")
    await app.answer("one", "approve", by="ann")
    await app.run(bank.agent(), id="one")
    await app.fork("one", bank.agent(), id="two", after="fee", by="ben")
    await app.run(bank.agent(), id="two")
    lines = [record async for record in app.audit("one", "two") if isinstance(record, AuditLine)]
    assert [(line.run, line.event, line.who) for line in lines if line.who] == [
        ("one", "run_forked", "ann"),
        ("one", "answered", "ann"),
        ("two", "run_forked", "ben"),
    ]
    text = [line async for line in json_lines(app.audit("one", "two"))]
    assert verify_audit(text) == []
