"""How things stand now: the last words of each request. What is pending and what is unknown is always in it, whatever is cut.

It is made from lists that the state keeps, and walks no run from its beginning. Values from outside stand in it as JSON on one
line, so that none of them can pass for a line of its own.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from holdfast.core.budget import dollars
from holdfast.core.commands import AskReasoner
from holdfast.core.facts import Fact
from holdfast.core.pending import Pending
from holdfast.core.state import State, StepState, secret_names
from holdfast.core.thinking import Phase
from holdfast.reasoners import verbs
from holdfast.reasoners.conversation import line_of, result_of, standing
from holdfast.reasoners.words import brief, line, redacted, shown_number

ARGS_MAX, VALUE_MAX, WORDS_MAX = 200, 300, 300
# What a person says why they refuse is not cut to a line of a table.
DOUBT_MAX = 1_000
FAILED_MAX, PLAN_MAX, FACTS_MAX = 10, 40, 100
LATE_BYTES_MAX = 1_000
# What the heading of a list, and the word on what of it is not shown, may take.
HEADING_BYTES = 96

_WANTED: dict[Phase, str] = {
    "interpret": f"say what the goal means, with {verbs.INTERPRET}: nothing is done before that.",
    "plan": "say what is to be done next, or how the run ends.",
    "reflect": "look at the plan in the light of what came of it: keep it, change it, or end the run.",
    "diagnose": "something is not as it was planned. Say what follows: another way, a question, or the end of the run.",
    "complete": "the plan is through. End the run with its result, or say what is still missing.",
}


class NoRoom(Exception):
    """Even what is always said does not fit."""


def situation(state: State, asked: AskReasoner, now: float, hidden: frozenset[str], room: int) -> str:
    """The situation in at most so many bytes; NoRoom where what must be in it does not fit.

    hidden: steps that ended since the model was asked, whose results stand in no message.
    """
    head = ["", f"# The situation, turn {asked.turn}", f"Wanted now ({asked.phase}): {_WANTED[asked.phase]}"]
    if state.intent:
        head.append(f"The goal is understood as: {line(state.intent, WORDS_MAX)}")
    head.append(_budget(state, asked, now))
    must = [*_owed(state, now, ARGS_MAX), *_unknown(state, now, ARGS_MAX)]
    text = _text(head + must)
    if len(text.encode()) > room:
        text = _text([*head[:3], *_owed(state, now, 0), *_unknown(state, now, 0)])
    left = room - len(text.encode())
    if left < 0:
        raise NoRoom
    parts = [text]
    for heading, lines in _sections(state, now, hidden):
        found = _section(heading, lines, left)
        left -= len(found.encode())
        parts.append(found)
    return "".join(parts)


def _sections(state: State, now: float, hidden: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """The lists that are shown as far as there is room, the weightiest first."""
    yield "Why the plan is in doubt:", [f"- {line(why, DOUBT_MAX)}" for why in state.suspicions]
    refused = [f"- {line(why, WORDS_MAX)}" for why in state.refused_because[-3:]]
    yield "Results that were refused, the last one last:", refused
    yield (
        "Questions that wait for a person:",
        [f"- {name}: {line(asked.text, WORDS_MAX)}" for name, asked in state.questions.items()],
    )
    unanswered = [f"- {name}: {line(why, WORDS_MAX)}" for name, why in list(state.unanswered.items())[-10:]]
    yield "Questions without an answer:", unanswered
    yield (
        "Came since you were last asked (results, as JSON):",
        [_late(state.steps[name], state, name in hidden) for name in _news(state, hidden)],
    )
    yield "Facts, the newest first:", _facts(state, now)
    yield "Steps that have not ended:", _open_steps(state)
    yield "Made once already, and rest on what is not so any more:", [f"- {name}" for name in state.outdated[-20:]]
    yield "Calls that failed for good (not made again with the same arguments):", _failed(state)


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _section(heading: str, lines: list[str], room: int) -> str:
    """A list as far as it has room."""
    if not lines:
        return ""
    kept: list[str] = []
    room -= HEADING_BYTES
    for found in lines:
        size = len(found.encode()) + 1
        if size > room:
            break
        kept.append(found)
        room -= size
    if room < 0:
        return ""
    if len(kept) < len(lines):
        kept.append(f"- … {len(lines) - len(kept)} more are not shown")
    return _text([heading, *kept])


# --- always -------------------------------------------------------------------------------------------------------


def _owed(state: State, now: float, most: int) -> list[str]:
    if not state.pending:
        return []
    return ["Still owed by others; do not repeat these:", *(_owed_line(owed, now, most) for owed in state.pending.values())]


def _owed_line(owed: Pending, now: float, most: int) -> str:
    what = {"result": "its result", "rest": "the rest", "sight": "that it shows"}[owed.about]
    if not most:
        return f"- {owed.step}: {what}, until {clock(owed.until)}"
    items = f" ({line(', '.join(owed.items), 100)})" if owed.items else ""
    by = f" by {line(owed.by, 60)}" if owed.by else ""
    when = f"since {age(now - owed.since)} ago, until {clock(owed.until)} (in {age(owed.until - now)})"
    return f"- {owed.step}: {owed.tool}({brief(owed.args, most)}): {what}{items} is owed{by}, {when}"


def _unknown(state: State, now: float, most: int) -> list[str]:
    """The steps of which nobody knows whether they happened."""
    found = [step for name in state.active if (step := state.steps[name]).doubt_since is not None]
    undoing = [step for name in state.undoing if (step := state.steps[name]).phase == "skipped" and step.flagged]
    lines = []
    for step in (*found, *undoing):
        since = f", since {age(now - step.doubt_since)}" if step.doubt_since is not None and most else ""
        call = f"{step.tool}({brief(step.args or {}, most)})" if most else step.tool
        lines.append(f"- {step.step.id}: {call}: nobody knows yet whether it happened{since}")
    return ["Unknown; do not repeat these, they are being found out:", *lines] if lines else []


def _budget(state: State, asked: AskReasoner, now: float) -> str:
    limits = state.limits
    left = [f"{max(limits.turns_max - asked.turn, 0)} turns after this one"]
    if limits.cost_usd_max is not None:
        held = sum((each.cost_usd for each in state.reserved.values()), state.spent.cost_usd * 0)
        left.append(dollars(max(limits.cost_usd_max - state.spent.cost_usd - held, held * 0)))
    if limits.tokens_max is not None:
        used = state.spent.tokens + sum(each.tokens for each in state.reserved.values())
        left.append(f"{max(limits.tokens_max - used, 0)} tokens")
    left.append(age(state.started_at + limits.wall_seconds - now))
    return f"It is {clock(now)}. Left of the budget: {', '.join(left)}."


# --- as far as there is room --------------------------------------------------------------------------------------


def _news(state: State, hidden: frozenset[str]) -> list[str]:
    """What ended since the model was asked, and was not called in its last turn: what was, stands right above."""
    last = {part.step for part in state.turns[-1].said if part.step} if state.turns else set()
    return [name for name in dict.fromkeys(state.unseen) if name in state.steps and (name in hidden or name not in last)]


def _late(step: StepState, state: State, is_hidden: bool) -> str:
    if is_hidden or not _is_called(step.step.id, state):
        return f"- {result_of(step, state, LATE_BYTES_MAX)}"
    return f"- {step.step.id}: {step.phase}; its result now stands at its call above"


def _is_called(name: str, state: State) -> bool:
    """Whether a model called it in one of the last turns; a run makes steps of its own too."""
    return any(part.step == name for turn in state.turns[-50:] for part in turn.said)


def _facts(state: State, now: float) -> list[str]:
    facts = sorted(state.facts.values(), key=lambda fact: (-fact.at, fact.name))
    names = secret_names(state)
    lines = [_fact_line(fact, redacted({fact.name: fact.value}, names)[fact.name], now) for fact in facts[:FACTS_MAX]]
    more = [f"- … and {len(facts) - FACTS_MAX} older ones"] if len(facts) > FACTS_MAX else []
    return lines + more


def _fact_line(fact: Fact, value: Any, now: float) -> str:
    by = f" by {line(fact.by, 60)}" if fact.by else ""
    words = [f"{fact.source}{by}", f"{age(now - fact.at)} ago"]
    if fact.confidence < 1:
        words.append(f"confidence {shown_number(fact.confidence)}")
    if fact.source == "inferred":
        words.append(f"confirmed by {line(fact.confirmed_by, 60)}" if fact.confirmed_by else "a guess that nobody confirmed")
    if not fact.is_fresh(now):
        words.append("stale: look again before anything rests on it")
    if fact.basis and fact.source != "told":
        words.append(f"because {brief(fact.basis, 100)}")
    return f"- {line(fact.name, 100)} = {brief(value, VALUE_MAX)} ({'; '.join(words)})"


def _open_steps(state: State) -> list[str]:
    """What is under way or planned. The steps that wait for others stand in no list of their own: they are looked for from the
    end, where a plan that is under way is."""
    names = [*state.active, *state.ready]
    if len(names) < state.open_steps:
        known, missing = set(names), state.open_steps - len(names)
        blocked = []
        for name in reversed(state.order):
            if missing == 0:
                break
            if name not in known and state.steps[name].phase == "blocked":
                blocked.append(name)
                missing -= 1
        names += reversed(blocked)
    lines = []
    for name in names[:PLAN_MAX]:
        step = state.steps[name]
        status, _ = standing(step, state)
        waits = f", after {', '.join(step.reads)}" if step.phase == "blocked" and step.reads else ""
        lines.append(
            f"- {name}: {step.tool}({brief(step.args if step.args is not None else step.step.args, ARGS_MAX)}): {status}{waits}"
        )
    return lines + ([f"- … and {len(names) - PLAN_MAX} more"] if len(names) > PLAN_MAX else [])


def _failed(state: State) -> list[str]:
    found = list(state.failed_calls.values())[-FAILED_MAX:]
    return [line_of(state.steps[name], state) for name, *_ in reversed(found)]


# --- times --------------------------------------------------------------------------------------------------------


def age(seconds: float) -> str:
    """A stretch of time, in its largest unit."""
    seconds = max(seconds, 0.0)
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(at: float) -> str:
    """A time, as people write it; UTC."""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "no time soon"
