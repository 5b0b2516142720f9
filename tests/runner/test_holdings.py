"""What a commit takes of what runs share, and gives back: read off events and intents, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool, once_name
from holdfast.core.contract import Breaker, Contract, Rate
from holdfast.core.decide import Room
from holdfast.core.events import Failure
from holdfast.core.tokens import token_digest, token_for
from holdfast.journal.base import Full, Gated, Heard, Slot
from holdfast.runner import holdings
from tests.core.story import Story, step, tool

BREAKER = Breaker(failures_max=3)
ONCE: dict[str, Any] = {"business_key": ("order",), "business_scope": "store"}
PLAIN = tool("plain", "idempotent")


def calls(story: Story) -> tuple[CallTool, ...]:
    """The calls that are decided on."""
    return tuple(command for command in story.decide().commands if isinstance(command, CallTool))


def one(contract: Contract, **args: Any) -> Story:
    """A run of one step."""
    return Story([step("a", contract.tool, args=args)], contract)


# --- taking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promise", "shares"),
    [
        ({}, False),
        ({"parallel_max": 2}, True),
        ({"rate": Rate(calls=1, per_seconds=60)}, True),
        ({"breaker": BREAKER}, True),
        ({"business_key": ("order",)}, False),
        (ONCE, True),
        ({"callback": True}, False),
    ],
)
def test_what_a_tool_shares_with_other_runs_follows_from_its_contract(promise: dict[str, Any], shares: bool) -> None:
    """Where nothing is shared, nothing is looked at."""
    assert holdings.shares({"t": tool(**promise), "plain": PLAIN}) is shares


def test_a_call_takes_a_place_of_its_tool_of_its_tenant_and_of_its_business_key() -> None:
    """The last one is the run's, whichever step makes the call, and it outlives the call."""
    contract = tool(
        "pay", "keyed", parallel_max=2, timeout_seconds=10.0, owed_within_seconds=100.0, probe_window_seconds=30.0, **ONCE
    )
    story = one(contract, order=7)
    once = once_name(contract, {"order": 7})
    assert once is not None
    taken = holdings.slots(story.run, calls(story), 5, 1000.0)
    assert taken == (
        Slot(name="tool:pay", step="a", capacity=2),
        Slot(name="tenant:", step="a", capacity=5),
        Slot(name=once, step=once, capacity=1, until=1000.0 + 10.0 + 100.0),
    )
    plain = one(PLAIN)
    assert holdings.slots(plain.run, calls(plain), None, 1000.0) == ()


def test_calls_of_one_tool_pass_its_gate_together() -> None:
    """Probes and tools without a gate pass none."""
    ping = tool("ping", rate=Rate(calls=5, per_seconds=60), breaker=BREAKER)
    story = Story([step("a", "ping"), step("b", "plain"), step("c", "ping")], ping, PLAIN)
    assert holdings.gated(story.run, calls(story)) == (Gated(tool="ping", calls=2, rate=ping.rate, breaker=BREAKER),)


# --- giving back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["succeed", "fail", "lose", "defer", "part"])
def test_the_place_of_a_call_is_given_back_however_the_call_ended(end: str) -> None:
    """Also when its result is still owed: then it is nobody's call at the moment."""
    story = one(tool("pay", "keyed", parallel_max=1))
    story.decide()
    before, seen = story.run, len(story.entries)
    getattr(story, end)("a")
    events = tuple(entry.event for entry in story.entries[seen:])
    assert holdings.freed(before, events, None) == ("a",)
    other = one(PLAIN)
    other.decide()
    assert holdings.freed(other.run, (e.CallSucceeded(step="a", attempt=1),), None) == ()
    assert holdings.freed(other.run, (e.CallSucceeded(step="a", attempt=1),), 3) == ("a",), "the place of its tenant"


def test_a_business_key_is_given_back_when_nothing_is_owed_or_in_doubt() -> None:
    """Not while a retry waits, not while the result is owed."""
    contract = tool("pay", "keyed", **ONCE)
    once = once_name(contract, {"order": 7})

    def settled(story: Story, *events: e.AnyEvent) -> tuple[str, ...]:
        return holdings.settled(story.run, events)

    story = one(contract, order=7)
    story.decide()
    assert settled(story.fail("a", "transient"), story.entries[-1].event) == ()
    story.decide()
    story.wait(60).decide()
    assert settled(story.defer("a"), story.entries[-1].event) == ()
    story.deliver("a")
    story.decide()
    assert settled(story, *[entry.event for entry in story.entries]) == (once,)
    other = one(PLAIN)
    other.decide()
    assert settled(other.succeed("a"), other.entries[-1].event) == ()


def test_a_look_that_is_planned_gives_nothing_back() -> None:
    """Its event holds a whole step where others have a name."""
    story = one(tool("pay", "keyed", **ONCE), order=7)
    look = step("check_1", args={"result": {"$literal": {"ok": True}}})
    assert holdings.settled(story.run, (e.CheckPlanned(turn=1, step=look),)) == ()


# --- what gates hear ----------------------------------------------------------------------------------------------


def failed(kind: Any, after: float | None = None) -> e.AnyEvent:
    """A call that failed."""
    return e.CallFailed(step="a", attempt=1, failure=Failure(kind=kind, message="no", retry_after_seconds=after))


@pytest.mark.parametrize(
    ("event", "outcome", "wait"),
    [
        (e.CallSucceeded(step="a", attempt=1), "ok", None),
        (e.CallPartial(step="a", attempt=1, left=("x",)), "ok", None),
        (e.CallDeferred(step="a", attempt=1), "ok", None),
        (failed("transient"), "failed", None),
        (failed("unavailable", 5.0), "failed", 5.0),
        (failed("crashed"), "failed", None),
        (failed("rate_limited", 20.0), "limited", 20.0),
        (failed("invalid_input"), "other", None),
        (failed("denied"), "other", None),
        (e.CallUnknown(step="a", attempt=1, why="it did not end"), "failed", None),
        (e.CallUnknown(step="a", attempt=1, why="its worker was lost", crashed=True), "other", None),
    ],
)
def test_what_a_gate_learns_from_the_end_of_a_call(event: e.AnyEvent, outcome: Any, wait: float | None) -> None:
    """That arguments were wrong, or that a worker died, says nothing about the tool."""
    story = one(tool("ping", "keyed", breaker=BREAKER))
    story.decide()
    assert holdings.heard(story.run, (event,)) == (
        Heard(tool="ping", outcome=outcome, breaker=BREAKER, retry_after_seconds=wait),
    )
    other = one(PLAIN)
    other.decide()
    assert holdings.heard(other.run, (event,)) == ()


# --- tokens and what is owed --------------------------------------------------------------------------------------


def test_a_token_is_known_from_the_intent_on_and_lives_as_long_as_somebody_cares() -> None:
    """The same one on every attempt. What is owed until later can be delivered until later."""
    contract = tool("order", "keyed", callback=True, timeout_seconds=10.0, owed_within_seconds=100.0)
    story = one(contract)
    commands = calls(story)
    patience, secret = story.run.limits.person_seconds, b"s" * 32
    (token,) = holdings.tokens(secret, story.run, commands, (), 1000.0)
    assert (token.step, token.key) == ("a", commands[0].key)
    assert token.digest == token_digest(token_for(secret, "r1", commands[0].key))
    assert token.expires_at == 1000.0 + 10.0 + 100.0 + patience
    story.defer("a", until=story.now + 5000)
    (later,) = holdings.tokens(secret, story.run, (), (story.entries[-1].event,), 1000.0)
    assert (later.digest, later.expires_at) == (token.digest, story.now + 5000 + patience)
    plain = one(PLAIN)
    assert holdings.tokens(secret, plain.run, calls(plain), (), 1000.0) == ()


def test_what_is_owed_is_listed_when_it_changes_and_paid_when_it_is_not() -> None:
    """A state in which nothing of it moved says nothing."""
    story = one(tool("order", "keyed", callback=True))
    story.decide()
    before = story.run
    story.defer("a", until=story.now + 50)
    (row,), paid = holdings.owed(before, story.run)
    assert (row.step, row.tool, row.about, row.until, row.due_at, paid) == (
        "a",
        "order",
        "result",
        story.now + 50,
        story.now + 50,
        (),
    )
    assert holdings.owed(story.run, story.run) == ((), ())
    owing = story.run
    story.deliver("a")
    story.decide()
    assert holdings.owed(owing, story.run) == ((), ("a",))


# --- what there is no room for ------------------------------------------------------------------------------------


def test_the_room_is_what_the_store_said_last_on_top_of_what_it_said_before() -> None:
    """A tenant's places are those of all tools together."""
    before = Room(free={"ping": 3, "once:x": 0}, held={"slow": (5.0, "rate")}, holders={"once:x": "r9"})
    full = Full(("tool:ping", "tenant:acme", "once:y"), (1, 2, 0), ("r1", "", "r2"), {"down": (9.0, "circuit")})
    found = holdings.room(full, before)
    assert found.free == {"ping": 1, "": 2, "once:x": 0, "once:y": 0}
    assert found.held == {"slow": (5.0, "rate"), "down": (9.0, "circuit")}
    assert found.holders == {"ping": "r1", "": "", "once:x": "r9", "once:y": "r2"}
