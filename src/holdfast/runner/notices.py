"""What people are to be told of a commit: its events, in words.

Pure. Ids follow from the run, the interrupt and how often it was said, so a commit that is made again tells the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.state import State, secret_names
from holdfast.journal.codec import redact
from holdfast.journal.people import Notice, NoticeKind

ARGS_BYTES_MAX = 4096
GOAL_MAX, QUESTION_MAX, REASON_MAX, NAMES_MAX = 1000, 2000, 1000, 50
# What silence means, by what a person was asked about; see `evolve`.
_SILENCE: dict[str, str] = {
    "call": "the call is not made",
    "doubt": "the run stops, and nobody knows whether it happened",
    "owed": "the run stops, and nobody knows whether it came",
    "failure": "it is left undone",
    "agent": "the run stops",
    "stop": "what was done is kept",
    "question": "the run is told that nobody answered",
    "fact": "it is not acted on",
    "reasoner": "the run stops",
    "plan": "the plan is not followed",
    "handoff": "the run stops",
}


def notices(before: State, after: State, events: Iterable[e.AnyEvent], now: float) -> tuple[Notice, ...]:
    """What is to be told of the events of one commit, in their order. before, after: what is known without and with them. now:
    when they are committed."""
    telling = _Telling(before, after, now)
    for event in events:
        telling.hear(event)
    return tuple(telling.found)


class _Telling:
    """A walk through the events of a commit: what was asked and answered in the same one is in neither state."""

    def __init__(self, before: State, after: State, now: float):
        self.found: list[Notice] = []
        self._after = after
        self._now = now
        self._asked = dict(before.interrupts)
        self._rungs = {interrupt: standing.rung for interrupt, standing in before.standings.items()}

    def hear(self, event: e.AnyEvent) -> None:
        match event:
            case e.Asked(interrupt=interrupt):
                self._asked[interrupt], self._rungs[interrupt] = event, event.rung
                self._tell("asked", interrupt)
            case e.Reminded(interrupt=interrupt, number=number):
                self._tell("reminded", interrupt, f"{self._rungs.get(interrupt, 0)}.{number}")
            case e.Escalated(interrupt=interrupt, rung=rung):
                self._escalate(event)
                self._tell("handed_off" if event.kind == "handoff" else "escalated", interrupt, str(rung))
            case e.InterruptExpired(interrupt=interrupt):
                self._tell("expired", interrupt)
            case e.InterruptWithdrawn(interrupt=interrupt, reason=reason):
                self._tell("withdrawn", interrupt, reason=_cut(reason, REASON_MAX))
            case e.RunFailed():
                self._end("failed", _left(event))
            case e.RunCancelled(by=by):
                self._end("cancelled", _left(event) | {"by": by})
            case e.RunCompleted(flagged=flagged) if flagged:
                self._end("flagged", _unfinished(self._after, event))
            case _:
                pass

    def _escalate(self, event: e.Escalated) -> None:
        self._rungs[event.interrupt] = event.rung
        if (now := self._after.interrupts.get(event.interrupt)) is not None:
            self._asked[event.interrupt] = now
        elif (asked := self._asked.get(event.interrupt)) is not None:
            # It is closed by the same commit.
            self._asked[event.interrupt] = msgspec.structs.replace(asked, who=event.who or asked.who)

    def _tell(self, what: NoticeKind, interrupt: str, number: str = "1", **more: Any) -> None:
        """About an interrupt. number: how often this was said of it, in whatever parts."""
        asked = self._asked.get(interrupt)
        if asked is None:
            return
        body = _question(self._after, asked, self._rungs.get(interrupt, asked.rung)) | more | _run(self._after)
        self._put(f"{interrupt}/{what}/{number}", what, body, interrupt=interrupt, who=asked.who)

    def _end(self, what: NoticeKind, body: dict[str, Any]) -> None:
        self._put(what, what, body | _run(self._after))

    def _put(self, part: str, what: NoticeKind, body: dict[str, Any], **more: Any) -> None:
        state = self._after
        said = {name: value for name, value in body.items() if value not in (None, "", [], {})}
        self.found.append(
            Notice(
                id=f"{state.run_id}/{part}", what=what, run_id=state.run_id, at=self._now, agent=state.agent,
                tenant=state.tenant, body=said, **more,
            )
        )  # fmt: skip


def _question(state: State, asked: e.Asked, rung: int) -> dict[str, Any]:
    """What is asked, without secrets."""
    ruling = asked.ruling
    return {
        "question": _cut(asked.question, QUESTION_MAX),
        "kind": asked.kind,
        "about": asked.about,
        "tool": asked.tool,
        "step": asked.step,
        "args": _arguments(redact(asked.args, secret_names(state))),
        "amount": asked.amount,
        "rule": ruling.rule if ruling is not None else "",
        "policy": ruling.policy if ruling is not None else "",
        "people": asked.people if asked.people > 1 else None,
        "options": [{"decision": option.decision, "means": option.means} for option in asked.options],
        "expires_at": asked.expires_at,
        "deadline": _deadline(asked, rung),
        "reason": _cut(asked.asks.why, REASON_MAX) if asked.asks is not None else "",
    }


def _run(state: State) -> dict[str, Any]:
    return {"goal": _cut(state.goal.text, GOAL_MAX), "labels": state.labels}


def _arguments(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments of up to ARGS_BYTES_MAX bytes of JSON. Of more, the long ones are cut, and say so; what still has no room is
    counted."""
    if _bytes(args) <= ARGS_BYTES_MAX:
        return args
    kept: dict[str, Any] = {}
    room = ARGS_BYTES_MAX - 200
    for name, value in args.items():
        encoded = msgspec.json.encode(value).decode()
        shown = value if len(encoded) <= 400 else _cut(encoded, 400)
        size = _bytes({name: shown})
        if size > room:
            break
        room -= size
        kept[name] = shown
    left = len(args) - len(kept)
    return kept | ({"…": f"{left} more, which are not shown here"} if left else {})


def _bytes(value: Any) -> int:
    return len(msgspec.json.encode(value))


def _deadline(asked: e.Asked, rung: int) -> str:
    """What happens when nobody answers, in words."""
    words = []
    if asked.ladder is not None and asked.kind != "handoff":
        later = [who for step in asked.ladder.rungs[rung + 1 :] for who in step.who]
        if later:
            words.append(f"If nobody answers, these are asked next: {', '.join(dict.fromkeys(later))}.")
        if asked.ladder.at_deadline == "hand_off":
            words.append(f"Then {', '.join(asked.ladder.hand_off_to) or 'somebody'} is to take it over.")
    silence = _SILENCE.get(asked.about, "it counts as a no")
    words.append(f"In the end silence is never a yes: {silence}." if words else f"If nobody answers by then, {silence}.")
    return " ".join(words)


def _left(event: e.RunFailed | e.RunCancelled) -> dict[str, Any]:
    """How things stand after a run that did not complete."""
    return {"reason": _cut(event.reason, REASON_MAX)} | {
        name: _names(getattr(event, name)) for name in ("unknown", "undone", "kept")
    }


def _unfinished(state: State, event: e.RunCompleted) -> dict[str, Any]:
    """What somebody should look at in a run that completed."""
    why = [f"{name}: {step.reason}" for name in event.flagged[:NAMES_MAX] if (step := state.steps.get(name)) and step.reason]
    return {
        "reason": _cut("; ".join(why) or f"steps {', '.join(event.flagged[:NAMES_MAX])}", REASON_MAX),
        "flagged": _names(event.flagged),
        "skipped": _names(event.skipped),
        "partial": _names(event.partial),
    }


def _names(names: tuple[str, ...]) -> list[str]:
    more = len(names) - NAMES_MAX
    return [*names[:NAMES_MAX], *([f"and {more} more"] if more > 0 else [])]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters in all)"
