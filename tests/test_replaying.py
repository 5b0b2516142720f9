"""Replays of what a store has: chains, snapshots, contents, several runs."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from holdfast import Agent, Holdfast, tool
from holdfast.core import diagnosis
from holdfast.core.checkpoint import FORM, to_bytes
from holdfast.errors import RunNotFound
from holdfast.journal.base import Checkpoint, Head
from holdfast.replaying import as_ruled_by, replay_all, replay_part, replay_run

LARGE = "grüße " * 5_000


@tool(safety="idempotent")
def note(text: str) -> str:
    """Say it back."""
    return text


def agent(steps: int = 3, **more: Any) -> Agent:
    """A plan of a few steps, of which one has a large result."""
    plan = {f"s{number}": {"tool": "note", "args": {"text": LARGE if number == 1 else "x"}} for number in range(steps)}
    return Agent("notes", tools=[note], plan=plan, **more)


async def played(path: Path, *ids: str) -> None:
    """A store with some runs."""
    async with Holdfast(path) as app:
        for run_id in ids:
            assert (await app.run(agent(), id=run_id)).done


async def test_runs_of_a_store_are_ruled_as_they_were(tmp_path: Path) -> None:
    """Also those with contents beside their batches, all of them or one, here or in another process."""
    await played(tmp_path / "a.db", "one", "two")
    async with Holdfast(tmp_path / "a.db") as app:
        found = [each async for each in replay_all(app.journal, ["one", "two"])]
        assert [each.agrees for each in found] == [True, True]
        assert all(each.rulings >= 4 and each.supposed == 0 for each in found)
        with pytest.raises(RunNotFound):
            await replay_run(app.journal, "three")
    assert replay_part.__module__ == "holdfast.replaying"


async def test_a_rule_that_changed_is_named_with_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As events, and in words."""

    @tool(safety="idempotent", retry={"attempts": 2, "backoff": "10ms", "jitter": 0})
    def flaky() -> str:
        from holdfast import Transient

        raise Transient("not now")

    async with Holdfast(tmp_path / "a.db") as app:
        await app.run(Agent("flaky", tools=[flaky], plan={"a": {"tool": "flaky"}}), id="r")
        monkeypatch.setattr(diagnosis, "next_wait", lambda *_, **__: None)
        found = await replay_run(app.journal, "r")
    assert found.divergence is not None and not found.agrees
    assert found.divergence.recorded is not None and found.divergence.recorded.event == "retry_ruled"
    assert found.divergence.ruled is not None and found.divergence.ruled.event != "retry_ruled"
    assert (found.divergence.step, found.divergence.standing) == ("a", "diagnosis after 1 attempts, failed: transient not now")


async def test_a_snapshot_is_held_against_the_fold(tmp_path: Path) -> None:
    """One that agrees, one that lies, one of another form, and one that cannot be read."""
    await played(tmp_path / "a.db", "r")
    async with Holdfast(tmp_path / "a.db") as app:
        state = await app.state("r")
        row = await app.journal.row("r")
        assert row is not None
        history = await app.journal.read("r")

        async def kept(**changes: Any) -> str:
            body = changes.pop("body", to_bytes(state))
            await app.journal.keep("r", Checkpoint(**{"head": history.head, "form": FORM, "body": body, **changes}))
            return (await replay_run(app.journal, "r")).checkpoint

        assert await kept() == "agrees"
        assert await kept(body=to_bytes(replace(state, attempts=99))) == "differs"
        assert await kept(body=b"[]") == "differs"
        assert await kept(form="another") == "older"
        assert not (await _kept_at(app, Head(2, b""))).agrees


async def _kept_at(app: Holdfast, head: Head) -> Any:
    """A snapshot of the end that says it is of the middle."""
    await app.journal.keep("r", Checkpoint(head=head, form=FORM, body=to_bytes(await app.state("r"))))
    return await replay_run(app.journal, "r")


async def test_a_damaged_journal_is_no_reason_to_leave_out_the_others(tmp_path: Path) -> None:
    """It says at which entry it is damaged."""
    await played(tmp_path / "a.db", "one", "two")
    with sqlite3.connect(tmp_path / "a.db") as raw:
        raw.execute("update batches set at = at + 1 where run = 1 and first = 2")
    async with Holdfast(tmp_path / "a.db") as app:
        one, two = [each async for each in replay_all(app.journal, ["one", "two"])]
    assert "is not what was written" in one.problem and not one.agrees
    assert two.agrees


async def test_another_agent_shows_what_it_would_have_ruled(tmp_path: Path) -> None:
    """Its tools, its policy, its bounds, from the beginning."""
    await played(tmp_path / "a.db", "r")

    @tool(safety="idempotent", approve="always", name="note")
    def asked(text: str) -> str:
        return text

    stricter = Agent("notes", tools=[asked], plan={"s0": {"tool": "note", "args": {"text": "x"}}})
    async with Holdfast(tmp_path / "a.db") as app:
        assert (await replay_run(app.journal, "r", instead=as_ruled_by(agent()))).agrees
        found = await replay_run(app.journal, "r", instead=as_ruled_by(stricter))
    assert found.divergence is not None and found.divergence.recorded is not None and found.divergence.ruled is not None
    assert (found.divergence.recorded.event, found.divergence.ruled.event) == ("call_intended", "asked")
