"""What a run tried that did not work, read off its journal in one pass; and who did what was done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from holdfast.core import events as e
from holdfast.core.state import State
from holdfast.views.entries import told
from holdfast.views.handoff.records import Tried

TRIED_MAX = 200


class Past(msgspec.Struct):
    """What the entries say that the state does not keep. tried: the last TRIED_MAX things; before: how many more there were. by:
    who did a step, or said what came of it; by_hand: whether they did it. done_at: when a step was done."""

    tried: deque[Tried] = msgspec.field(default_factory=deque)
    before: int = 0
    by: dict[str, str] = msgspec.field(default_factory=dict)
    by_hand: set[str] = msgspec.field(default_factory=set)
    done_at: dict[str, float] = msgspec.field(default_factory=dict)


def past(entries: Iterable[e.Entry], state: State) -> Past:
    """The past of a run. state: after all the entries."""
    found = Past()
    about: dict[str, str] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, e.Asked) and event.step:
            about[event.interrupt] = event.step
        _note_who(found, event, about, entry.at)
        if _did_not_work(event) and (words := told(event, state)):
            _note_tried(found, entry.at, _subject(event, about), words)
    return found


def _note_who(found: Past, event: e.AnyEvent, about: dict[str, str], at: float) -> None:
    match event:
        case e.Answered(interrupt=interrupt, decision="respond", by=by) if interrupt in about:
            step = about[interrupt]
        case e.StepDoneByHand(step=step, by=by):
            found.by_hand.add(step)
        case e.CallbackReceived(step=step, by=by):
            pass
        case e.ChildEnded(step=step, child=by):
            pass
        case e.ReuseRuled(step=step, same_as=by):
            pass
        case e.CallSucceeded(step=step) | e.CallPartial(step=step):
            found.done_at.setdefault(step, at)
            return
        case e.ProbeAnswered(step=step, verdict="happened"):
            found.done_at.setdefault(step, at)
            return
        case _:
            return
    found.by[step] = by
    found.done_at[step] = at


# What is always something that did not work.
_FAILURES = (
    e.CallFailed, e.CallUnknown, e.FallbackRuled, e.CallRefused, e.StepFailed, e.FollowUpSuppressed, e.ProposalFailed,
    e.ModelFailed, e.ModelCallLost, e.GiveUpProposed, e.InterruptExpired, e.LimitReached, e.CallbackRefused, e.AnswerVoided,
    e.WordVoided, e.RunFailed,
)  # fmt: skip


def _did_not_work(event: e.AnyEvent) -> bool:
    match event:
        case e.StepSkipped(needless=needless):
            return not needless
        case e.ProbeAnswered(verdict=verdict, failure=failure):
            return verdict != "happened" or failure is not None
        case e.CallbackReceived(failure=failure):
            return failure is not None
        case e.ChildEnded(status=status, failure=failure):
            return status != "completed" or failure is not None
        case e.FinishRuled(accepted=accepted):
            return not accepted
        case e.Answered(decision=decision):
            return decision == "reject"
        case e.PolicyRuled(ruling=ruling):
            return ruling.verdict == "block"
        case _:
            return isinstance(event, _FAILURES)


def _subject(event: e.AnyEvent, about: dict[str, str]) -> str:
    step = getattr(event, "step", "")
    interrupt = getattr(event, "interrupt", "")
    return step if isinstance(step, str) and step else about.get(interrupt, "")


def _note_tried(found: Past, at: float, step: str, words: str) -> None:
    """What happens again and again is one line, as long as nothing else of its step comes in between."""
    what = words.removeprefix(f"{step}: ") if step else words
    for place in range(len(found.tried) - 1, max(len(found.tried) - _LOOKED_BACK, 0) - 1, -1):
        before = found.tried[place]
        if before.step == step:
            if before.what == what:
                found.tried[place] = msgspec.structs.replace(before, times=before.times + 1, at=at)
                return
            break
    found.tried.append(Tried(at=at, what=what, step=step))
    if len(found.tried) > TRIED_MAX:
        found.tried.popleft()
        found.before += 1


# So far back a step is looked for: many of them may fail side by side.
_LOOKED_BACK = 20
