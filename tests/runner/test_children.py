"""A step that starts a run: one row in the store, however often it is tried, under an id that says whose it is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import Agent, Holdfast, tool
from holdfast.core import events as e
from holdfast.core.commands import CallTool
from holdfast.core.limits import Limits
from holdfast.core.models import Usage
from holdfast.core.state import State
from holdfast.errors import JournalUnavailable
from holdfast.journal.base import Claim, NewRun
from holdfast.journal.sqlite import SqliteJournal
from holdfast.runner.children import DEPTH_MAX, child_id, report, start_child

NOW = 1_800_000_000.0


@tool(safety="read")
def look() -> int:
    """Looks."""
    return 1


KID = Agent("kid", tools=[look], plan={"a": {"tool": "look"}}, inputs={"order": {"type": "integer"}})
PARENT = Agent("parent", agents=[KID], plan={"c": {"agent": "kid", "goal": "g", "inputs": {"order": 7}}})


@pytest.fixture
async def app(tmp_path: Path) -> Any:
    """An open store."""
    async with Holdfast(tmp_path / "runs.db") as opened:
        yield opened


async def parent(app: Holdfast) -> State:
    """A run that is there, as its first event leaves it."""
    await app.start(PARENT, id="p", tenant="acme", priority=3, labels={"team": "red"})
    return await app.state("p")


def call(step: str = "c", occurrence: int = 1, limits: Limits | None = None, agent: str = "kid", **args: Any) -> CallTool:
    """The call that starts the run."""
    contract = PARENT.toolbox.contracts["kid"]
    assert contract.agent == "kid"
    if agent != "kid":
        contract = msgspec.structs.replace(contract, agent=agent)
    return CallTool(
        step=step, attempt=1, tool="kid", args={"goal": "g", "inputs": {"order": 7}, **args}, key="k", occurrence=occurrence,
        timeout_seconds=10.0, contract=contract, limits=limits,
    )  # fmt: skip


async def begun(app: Holdfast, state: State, command: CallTool) -> e.AnyEvent:
    """What comes of the call."""
    return await start_child(command, PARENT, state, app.journal, NOW)


async def test_a_child_is_a_run_of_its_own_that_is_owed_to_its_step(app: Holdfast) -> None:
    """Its id follows from the parent and the step; it has the parent's tenant, priority and labels."""
    state = await parent(app)
    event = await begun(app, state, call())
    assert isinstance(event, e.CallDeferred)
    assert (event.handle, event.by) == ("p.c", "agent kid")
    assert event.until == state.started_at + state.limits.wall_seconds, "its parent goes on no longer"
    (row,) = await app.children("p")
    assert (row.run_id, row.parent, row.tenant, row.priority, row.labels) == ("p.c", "p", "acme", 3, {"team": "red"})
    child = await app.state("p.c")
    assert (child.parent, child.depth, child.goal.text, child.goal.inputs) == ("p", 1, "g", {"order": 7})


async def test_to_start_it_again_is_to_find_it(app: Holdfast) -> None:
    """Each attempt of the call is owed the same run; an intended repeat is another one."""
    state = await parent(app)
    first = await begun(app, state, call())
    assert await begun(app, state, call()) == first
    again = await begun(app, state, call(occurrence=2))
    assert isinstance(again, e.CallDeferred) and again.handle == child_id(state, call(occurrence=2)) == "p.c.2"
    assert [row.run_id for row in await app.children("p")] == ["p.c", "p.c.2"]


async def test_a_run_of_somebody_else_under_its_id_is_a_conflict(app: Holdfast) -> None:
    """What that one brings is not what was asked for."""
    state = await parent(app)
    await app.start(KID, id="p.c", inputs={"order": 1})
    event = await begun(app, state, call())
    assert isinstance(event, e.CallFailed)
    assert event.failure.kind == "conflict" and "there is a run p.c already" in event.failure.message


def limited(given: dict[str, Any]) -> CallTool:
    """A call that says what the run may use."""
    command = call()
    return msgspec.structs.replace(command, args={**command.args, "limits": given})


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        (call(agent="ghost"), "not_found", "the agent has no agent ghost"),
        (call(inputs={"order": "seven"}), "invalid_input", "order"),
        (call(inputs={"order": float("nan")}), "invalid_input", "no JSON"),
        (call(step="x" * 200), "invalid_input", "is no id for a run"),
        (limited({"wall": "soon"}), "invalid_input", "wall"),
        (limited({"nope": 1}), "invalid_input", "nope"),
    ],
)
async def test_what_cannot_be_started_says_why(app: Holdfast, command: CallTool, kind: str, words: str) -> None:
    """As the failure of the call, and nothing is put into the store."""
    event = await begun(app, await parent(app), command)
    assert isinstance(event, e.CallFailed)
    assert event.failure.kind == kind and words in event.failure.message
    assert await app.children("p") == []


async def test_runs_inside_one_another_are_bounded(app: Holdfast) -> None:
    """An agent cannot be below itself; should runs nest all the same, it ends."""
    deep = msgspec.structs.replace(await parent(app), depth=DEPTH_MAX - 1)
    assert isinstance(await begun(app, deep, call()), e.CallDeferred)
    event = await begun(app, msgspec.structs.replace(deep, depth=DEPTH_MAX), call(step="d"))
    assert isinstance(event, e.CallFailed) and event.failure.kind == "denied"


@pytest.mark.parametrize(
    ("own", "granted", "given", "attempts", "wall"),
    [
        (Limits(attempts_max=50), None, {}, 50, Limits().wall_seconds),
        (Limits(attempts_max=50), Limits(attempts_max=9, wall_seconds=60.0), {}, 9, 60.0),
        (Limits(attempts_max=5), Limits(attempts_max=9, wall_seconds=60.0), {}, 5, 60.0),
        (Limits(attempts_max=50), Limits(attempts_max=9), {"attempts": 3, "wall": "10s"}, 3, 10.0),
        (Limits(attempts_max=50), Limits(attempts_max=9), {"attempts": 30}, 9, Limits().wall_seconds),
    ],
)
async def test_a_child_has_the_least_of_its_own_limits_and_what_it_is_granted(
    app: Holdfast, own: Limits, granted: Limits | None, given: dict[str, Any], attempts: int, wall: float
) -> None:
    """What the step gives it can only be less."""
    kid = Agent("kid", tools=[look], plan={"a": {"tool": "look"}}, limits=own)
    agent = Agent("parent", agents=[kid], plan={"c": {"agent": "kid", "goal": "g"}})
    command = msgspec.structs.replace(call(limits=granted), args={"goal": "g", "limits": given})
    assert isinstance(await start_child(command, agent, await parent(app), app.journal, NOW), e.CallDeferred)
    limits = (await app.state("p.c")).limits
    assert (limits.attempts_max, limits.wall_seconds) == (attempts, wall)


class Away(SqliteJournal):
    """A store that writes the run and says that it could not."""

    async def create(self, run: NewRun, events: tuple[e.AnyEvent, ...], at: float, **options: Any) -> Claim | None:
        claim = await super().create(run, events, at, **options)
        if run.parent:
            raise JournalUnavailable("the disk is full")
        return claim


async def test_nobody_knows_whether_it_was_started_when_the_store_fails(tmp_path: Path) -> None:
    """So it is tried again, and found."""
    async with Holdfast(Away(tmp_path / "runs.db")) as app:
        event = await begun(app, await parent(app), call())
        assert isinstance(event, e.CallUnknown) and "the disk is full" in event.why
        assert [row.run_id for row in await app.children("p")] == ["p.c"]


async def test_what_its_parent_is_told(app: Holdfast) -> None:
    """How it ended, what it brought, how many calls it made, and what it did not wholly do."""
    ended = await app.run(KID, "g", id="k", inputs={"order": 1})
    assert ended.done
    assert report(await app.state("k")) == {
        "status": "completed", "result": {"a": 1}, "reason": "", "attempts": 1, "spent": None, "partial": [],
    }  # fmt: skip


async def test_a_child_that_spent_nothing_of_its_share_says_so(app: Holdfast) -> None:
    """Else all of it counts as spent, for nobody knows."""
    ended = await app.run(KID, "g", id="k", inputs={"order": 1})
    assert ended.done
    state = await app.state("k")
    shared = msgspec.structs.replace(state, limits=Limits(cost_usd_max=Decimal(1)))
    assert report(shared)["spent"] == {}
    assert msgspec.convert(report(shared)["spent"], Usage) == Usage()
