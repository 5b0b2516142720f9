"""What happens to something that people are asked, if nobody says anything: when, and who is asked then."""

from __future__ import annotations

from holdfast.core import events as e
from holdfast.core.ladder import next_due
from holdfast.core.state import Standing
from holdfast.views.words import listed, moment

SILENCE: dict[e.InterruptSubject, str] = {
    "call": "that counts as a no: the call is not made",
    "doubt": "the run stops, and nobody knows whether it happened",
    "failure": "it is left undone",
    "owed": "it is not waited for any more",
    "agent": "the run stops",
    "stop": "what was done is kept",
    "question": "the run goes on without an answer",
    "fact": "it is not acted on",
    "reasoner": "the run stops",
    "plan": "that counts as a no: the plan is not carried out",
    "handoff": "the run stops",
}


def deadline(asked: e.Asked, standing: Standing, now: float) -> tuple[float, str]:
    """When something happens next by itself (seconds since the epoch), and what happens if nobody says anything, in words."""
    at, next_words = next_of(asked, standing, now)
    end = f"if nobody decides by {moment(asked.expires_at)}, {SILENCE[asked.about]}"
    return at, f"{next_words}; {end}" if next_words else end


def next_of(asked: e.Asked, standing: Standing, now: float) -> tuple[float, str]:
    """When something happens next by itself, and what, in words; empty where that is the end."""
    if asked.ladder is None:
        return asked.expires_at, ""
    due = next_due(
        asked.ladder, rung=standing.rung, since=standing.since, reminded=standing.reminded, handed_off=standing.handed_off,
        now=now,
    )  # fmt: skip
    if due.act == "remind":
        return due.at, f"at {moment(due.at)} {_named(asked.who)} are reminded"
    if due.act == "escalate":
        who = asked.ladder.rungs[due.rung].who or (asked.ruling.who if asked.ruling is not None else ())
        return due.at, f"at {moment(due.at)} it goes on to {_named(who)}"
    if due.act == "hand_off":
        return due.at, f"at {moment(due.at)} {_named(asked.ladder.hand_off_to)} are to take it over"
    return due.at, ""


def _named(who: tuple[str, ...]) -> str:
    return listed(who) if who else "all who may decide it"
