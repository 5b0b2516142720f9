"""One turn of a model, whole: what it was shown, what it said, what came of that.

What a model is shown is made from the state of the run alone, so it can be made again from the journal, as it was; only the
instructions of the agent are not in there, and stand as how long they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.core.models import Part
from holdfast.core.state import State
from holdfast.reasoners.briefing import Briefer, TooLong, overhead_bytes
from holdfast.reasoners.model import Message
from holdfast.reasoners.verbs import system
from holdfast.views import TurnView, told, turn_views

FOLLOWS_MAX = 20


class SaidPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a model said, whole. args: of a call, also where it became a step, whose phase is told then."""

    kind: str
    text: str = ""
    tool: str = ""
    args: Any = None
    step: str = ""
    phase: str = ""
    problem: str = ""


class ShownView(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was shown. instructions_bytes: of the agent's own instructions, which stand before `system`."""

    instructions_bytes: int
    system: str
    tools: tuple[str, ...]
    messages: tuple[Message, ...]


class TurnPage(msgspec.Struct, frozen=True, kw_only=True):
    """One turn, whole. follows: what came of it, in lines."""

    turn: TurnView
    said: tuple[SaidPart, ...]
    follows: tuple[str, ...]
    shown: ShownView | None = None


def page(entries: Sequence[Entry], state: State, number: int, *, shown: bool) -> TurnPage | None:
    """A turn of a run; None where there is no such turn. shown: also what the model was shown."""
    view = next((one for one in turn_views(entries, state) if one.turn == number), None)
    if view is None:
        return None
    at = _answer_at(entries, number)
    said: tuple[Part, ...] = ()
    if at is not None and isinstance(answer := entries[at].event, e.ModelAnswered):
        said = answer.said
    return TurnPage(
        turn=view,
        said=tuple(_said(part, state) for part in said),
        follows=_follows(entries[at + 1 :], state) if at is not None else (),
        shown=_shown(entries, number) if shown else None,
    )


def _answer_at(entries: Sequence[Entry], number: int) -> int | None:
    events = (entry.event for entry in entries)
    return next((at for at, event in enumerate(events) if isinstance(event, e.ModelAnswered) and event.turn == number), None)


def _said(part: Part, state: State) -> SaidPart:
    step = state.steps.get(part.step) if part.step else None
    args = part.args if step is None else step.step.args
    return SaidPart(
        kind=part.kind, text=part.text, tool=part.tool, args=args, step=part.step,
        phase=step.phase if step is not None else "", problem=part.problem,
    )  # fmt: skip


def _follows(entries: Sequence[Entry], state: State) -> tuple[str, ...]:
    """What came of it, up to the next time that a model is asked."""
    lines = []
    for entry in entries:
        if isinstance(entry.event, e.ProposalRequested):
            break
        if words := told(entry.event, state):
            lines.append(words)
    more = [f"… and {len(lines) - FOLLOWS_MAX} more"] if len(lines) > FOLLOWS_MAX else []
    return (*lines[:FOLLOWS_MAX], *more)


def _shown(entries: Sequence[Entry], number: int) -> ShownView | None:
    """What the model was shown in the last request of a turn, made again from what was known then."""
    asked_at, asked = 0, None
    for at, event in enumerate(entry.event for entry in entries):
        if isinstance(event, e.ProposalRequested) and event.turn == number:
            asked_at, asked = at, event
    before = fold(entries[: asked_at + 1])
    thinking = before.thinking
    if asked is None or thinking is None or asked.model not in thinking.models:
        return None
    own = max(thinking.overhead_bytes - overhead_bytes("", before.contracts, thinking) - len("\n\n"), 0)
    terms = thinking.models[asked.model]
    request = AskReasoner(
        turn=asked.turn, phase=asked.phase, model=asked.model, terms=terms, reserved=asked.reserved, attempt=asked.attempt,
        timeout_seconds=terms.timeout_seconds,
    )  # fmt: skip
    try:
        # As long as the instructions were: how much of the run had room beside them depends on that.
        made, _ = Briefer("." * own).request(before, request, entries[asked_at].at)
    except TooLong:
        return None
    return ShownView(
        instructions_bytes=own, system=system("", thinking), tools=tuple(tool.name for tool in made.tools), messages=made.messages
    )
