"""What people are to be told of a commit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.ladder import Ladder, Rung
from holdfast.core.plan import Goal
from holdfast.core.policy import Ruling
from holdfast.core.state import Standing, State
from holdfast.core.values import REDACTED
from holdfast.runner.notices import ARGS_BYTES_MAX, notices

NOW = 1_700_000_000.0
LADDER = Ladder(
    rungs=(Rung(who=("desk",)), Rung(who=("lead", "ann")), Rung(who=("ann",))), at_deadline="hand_off", hand_off_to=("ops",)
)


def asked(**of: Any) -> e.Asked:
    """A question."""
    return e.Asked(
        **{
            "interrupt": "i1", "kind": "approval", "about": "call", "question": "may refund be called?", "digest": "d", "step": "s",
            "options": (e.Option(decision="approve", means="make it"),), "expires_at": NOW + 60, "tool": "refund",
            "args": {"amount": 5, "password": "hunter2"}, "amount": 5.0, "who": ("desk",),
            "ruling": Ruling(rule="large", verdict="always", asks=True, policy="money@3"), **of,
        }
    )  # fmt: skip


def state(*open_questions: e.Asked, rung: int = 0, **of: Any) -> State:
    """A run with these open."""
    return State(
        run_id="order-7", agent="clerk", goal=Goal(text="Refund order 7"), tenant="north", labels={"shop": "1"},
        interrupts={one.interrupt: one for one in open_questions},
        standings={one.interrupt: Standing(asked_at=NOW, asked_entry=1, since=NOW, rung=rung) for one in open_questions}, **of,
    )  # fmt: skip


def test_a_question_is_told_with_all_that_is_needed_and_no_secret() -> None:
    """To those who are asked."""
    [told] = notices(state(), state(asked()), (asked(),), NOW)
    assert (told.id, told.what, told.at, told.who) == ("order-7/i1/asked/1", "asked", NOW, ("desk",))
    assert (told.run_id, told.agent, told.tenant, told.interrupt) == ("order-7", "clerk", "north", "i1")
    assert told.body == {
        "question": "may refund be called?", "kind": "approval", "about": "call", "tool": "refund", "step": "s",
        "args": {"amount": 5, "password": REDACTED}, "amount": 5.0, "rule": "large", "policy": "money@3",
        "options": [{"decision": "approve", "means": "make it"}], "expires_at": NOW + 60,
        "deadline": "If nobody answers by then, the call is not made.", "goal": "Refund order 7", "labels": {"shop": "1"},
    }  # fmt: skip


def test_names_that_the_agent_keeps_secret_are_kept_out_too() -> None:
    """As in the journal."""
    [told] = notices(state(), state(asked(args={"pin": "1234"}), secrets=("pin",)), (asked(args={"pin": "1234"}),), NOW)
    assert told.body["args"] == {"pin": REDACTED}


@pytest.mark.parametrize(
    ("event", "name", "what", "who"),
    [
        (e.Reminded(interrupt="i1", number=2), "i1/reminded/1.2", "reminded", ("desk",)),
        (e.Escalated(interrupt="i1", rung=2, who=("ann",)), "i1/escalated/2", "escalated", ("ann",)),
        (e.Escalated(interrupt="i1", rung=3, who=("ops",), kind="handoff"), "i1/handed_off/3", "handed_off", ("ops",)),
        (e.InterruptExpired(interrupt="i1"), "i1/expired/1", "expired", ("desk",)),
        (e.InterruptWithdrawn(interrupt="i1", reason="the plan changed"), "i1/withdrawn/1", "withdrawn", ("desk",)),
    ],
)
def test_what_becomes_of_a_question_is_told(event: e.AnyEvent, name: str, what: str, who: tuple[str, ...]) -> None:
    """To those who are asked by then, under an id of its own for each rung and reminder."""
    [told] = notices(state(asked(), rung=1), state(), (event,), NOW)
    assert (told.id, told.what, told.who, told.interrupt) == (f"order-7/{name}", what, who, "i1")
    assert told.body["question"] == "may refund be called?"


def test_an_answer_is_not_told() -> None:
    """Nor is anything else that happens."""
    events = (e.Answered(interrupt="i1", decision="approve", by="ann"), e.RunCompleted(result=1))
    assert notices(state(asked()), state(), events, NOW) == ()


def test_what_is_asked_escalated_and_withdrawn_in_one_commit_is_told_as_it_stood_each_time() -> None:
    """Neither state has it."""
    events = (
        asked(),
        e.Escalated(interrupt="i1", rung=1, who=("lead",)),
        e.Reminded(interrupt="i1", number=1),
        e.InterruptWithdrawn(interrupt="i1", reason="gone"),
    )
    told = notices(state(), state(), events, NOW)
    assert [(one.id.removeprefix("order-7/i1/"), one.who) for one in told] == [
        ("asked/1", ("desk",)), ("escalated/1", ("lead",)), ("reminded/1.1", ("lead",)), ("withdrawn/1", ("lead",)),
    ]  # fmt: skip
    assert told == notices(state(), state(), events, NOW)


@pytest.mark.parametrize(
    ("rung", "words"),
    [
        (
            0,
            "these are asked next: lead, ann. Then ops is to take it over. In the end silence is never a yes: the call is not made.",
        ),
        (1, "these are asked next: ann."),
        (2, "Then ops is to take it over."),
    ],
)
def test_the_deadline_says_who_is_next_and_what_silence_means(rung: int, words: str) -> None:
    """By the rung that it stands on."""
    question = asked(ladder=LADDER, rung=rung)
    [told] = notices(state(), state(question), (question,), NOW)
    assert words in told.body["deadline"]


def test_how_a_run_ended_is_told_where_somebody_should_know() -> None:
    """To all who are told anything."""
    failed = e.RunFailed(reason="no money", unknown=("pay",), kept=("book",))
    cancelled = e.RunCancelled(by="ann", reason="twice")
    flagged = e.RunCompleted(flagged=("mail",), skipped=("mail",))
    told = [notices(state(), state(), (event,), NOW)[0] for event in (failed, cancelled, flagged)]
    assert [(one.id, one.what, one.who, one.interrupt) for one in told] == [
        ("order-7/failed", "failed", (), ""), ("order-7/cancelled", "cancelled", (), ""), ("order-7/flagged", "flagged", (), ""),
    ]  # fmt: skip
    assert told[0].body["unknown"] == ["pay"] and told[0].body["kept"] == ["book"]
    assert (told[1].body["by"], told[1].body["reason"]) == ("ann", "twice")
    assert told[2].body["flagged"] == ["mail"]


@pytest.mark.parametrize(
    "args",
    [{"text": "ü" * 50_000}, {f"a{number}": "x" * 300 for number in range(500)}, {"rows": [{"n": n} for n in range(9000)]}],
)
def test_long_arguments_are_cut_and_say_so(args: dict[str, Any]) -> None:
    """A notice is bounded."""
    question = asked(args=args)
    [told] = notices(state(), state(question), (question,), NOW)
    shown = told.body["args"]
    assert len(json.dumps(shown, ensure_ascii=False).encode()) <= ARGS_BYTES_MAX
    assert "characters in all" in json.dumps(shown) or "not shown" in json.dumps(shown)
