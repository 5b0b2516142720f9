"""At which points a run can be forked, and which one is meant. Pure: entries in, numbers of entries out.

A point is the number of the last entry that a fork takes over. It may lie in the middle of a commit: `before` a step is after
what was ruled in that commit before its call was intended. What a run did once it was stopping is no point: it would only stop
again.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import msgspec

from holdfast.core import events as e
from holdfast.core.evolve import evolve
from holdfast.core.state import ENDED, State
from holdfast.errors import UsageError

# After these a turn of the reasoner was one too many, or came to nothing: it is what might go another way.
_OF_A_TURN = ("idle_turns_max", "proposal_failures_max", "finishes_max", "revisions_max", "refusals_max")
_RULED = (e.Asked, e.PolicyRuled, e.CallRefused, e.ReuseRuled, e.StepSkipped, e.StepFailed, e.FollowUpSuppressed)
NEAREST = 6


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Which point is meant, at most one of these. entry: the last one that is taken over. before: of a step, before its call was
    first intended; `STEP#2`: before its second attempt. after: of a step, after it ended, or after the last outcome of its
    calls. turn: before the reasoner was asked for that turn. start: after the first entry. None: before what made it fail."""

    entry: int | None = None
    before: str | None = None
    after: str | None = None
    turn: int | None = None
    start: bool = False

    def __post_init__(self) -> None:
        given = [self.entry, self.before, self.after, self.turn, self.start or None]
        if sum(one is not None for one in given) > 1:
            raise UsageError("a fork begins at one point, and several are named", hint="name an entry, a step or a turn")


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point at which a run can be forked. entry: the last one that is taken over; at: its time. label: how it is named; before:
    what comes next in the record, in words."""

    entry: int
    at: float
    label: str
    before: str


class _Marks(msgspec.Struct, kw_only=True):
    """What is found in one walk over a run. intents: of each step, the entries of its calls; ruled: the first that says something
    of it; ended: the one that ended it; outcome: the last one of its calls. turns: the request of each. asked: the entry, and the
    step, of each interrupt. stops: from which entry on it was stopping, or had ended."""

    intents: dict[str, list[int]] = {}
    ruled: dict[str, int] = {}
    ended: dict[str, int] = {}
    outcome: dict[str, int] = {}
    turns: dict[int, int] = {}
    asked: dict[str, tuple[int, str]] = {}
    stops: int | None = None


def points(entries: Sequence[e.Entry]) -> tuple[Point, ...]:
    """All sensible points of a run, in order."""
    return _points(entries, _walk(entries))


def find(entries: Sequence[e.Entry], where: Where) -> int:
    """The number of the last entry that a fork there takes over. UsageError, which names points that can be, where there is no
    such point, or none that could go on."""
    marks, run_id = _walk(entries), _id(entries)
    try:
        entry = _entry(entries, marks, where)
        _check(entries, marks, entry)
    except _No as no:
        near = _nearest(_points(entries, marks), no.near)
        raise UsageError(no.what, run_id=run_id, hint=f"points near it: {near}" if near else None) from None
    return entry


class _No(Exception):
    """No such point. near: the entry next to it, as far as one can be meant."""

    def __init__(self, what: str, near: int):
        super().__init__(what)
        self.what, self.near = what, near


def _id(entries: Sequence[e.Entry]) -> str:
    named = (entry.event.run_id for entry in reversed(entries) if isinstance(entry.event, (e.RunStarted, e.RunForked)))
    return next(named)


def stops(state: State) -> bool:
    """Whether a run only comes to its end any more."""
    return bool(state.ended or state.stop) or state.stopping is not None or state.cancel is not None


def _walk(entries: Sequence[e.Entry]) -> _Marks:
    marks = _Marks()
    state: State | None = None
    for entry in entries:
        before = state
        state = evolve(state, entry)
        event, number = entry.event, entry.sequence
        if isinstance(event, e.CallIntended):
            marks.intents.setdefault(event.step, []).append(number)
        elif isinstance(event, e.ProposalRequested) and event.attempt == 1:
            marks.turns[event.turn] = number
        elif isinstance(event, e.Asked):
            marks.asked[event.interrupt] = number, event.step
        if isinstance(event, _RULED) and event.step:
            marks.ruled.setdefault(event.step, number)
        if isinstance(event, (e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown)):
            marks.outcome[event.step] = number
        if before is not None and state.steps is not before.steps:
            _note_ended(marks, before, state, event, number)
        if marks.stops is None and stops(state):
            marks.stops = number
    return marks


def _note_ended(marks: _Marks, before: State, state: State, event: e.AnyEvent, number: int) -> None:
    name = before.interrupts[event.interrupt].step if isinstance(event, e.Answered) else getattr(event, "step", "")
    after, was = state.steps.get(name), before.steps.get(name)
    if after is not None and after.phase in ENDED and (was is None or was.phase not in ENDED):
        marks.ended[name] = number


# --- which one is meant -------------------------------------------------------------------------------------------


def _entry(entries: Sequence[e.Entry], marks: _Marks, where: Where) -> int:
    if where.entry is not None:
        return where.entry
    if where.start:
        return 1
    if where.turn is not None:
        if where.turn not in marks.turns:
            last = max(marks.turns, default=0)
            raise _No(f"there is no turn {where.turn}: its reasoner was asked {last} times", marks.turns.get(last, len(entries)))
        return marks.turns[where.turn] - 1
    if where.before is not None:
        return _before(entries, marks, where.before)
    if where.after is not None:
        return _after(entries, marks, where.after)
    return _cause(entries, marks)


def _before(entries: Sequence[e.Entry], marks: _Marks, word: str) -> int:
    step, attempt = word, 1
    name, mark, number = word.rpartition("#")
    if mark and number.isdecimal() and word not in marks.intents:
        step, attempt = name, int(number)
    found = marks.intents.get(step, [])
    if not found and attempt == 1 and step in marks.ruled:
        return marks.ruled[step] - 1
    if not 0 < attempt <= len(found):
        times = {0: "was never called", 1: "was called once"}.get(len(found), f"was called {len(found)} times")
        said = f"step {step} {times}" if _has_step(entries, marks, step) else f"there is no step {step}"
        raise _No(said, found[-1] if found else len(entries))
    return found[attempt - 1] - 1


def _after(entries: Sequence[e.Entry], marks: _Marks, step: str) -> int:
    found = marks.ended.get(step) or marks.outcome.get(step)
    if found is None:
        said = f"step {step} did not end" if _has_step(entries, marks, step) else f"there is no step {step}"
        raise _No(said, marks.intents.get(step, [len(entries)])[-1])
    return found


def _has_step(entries: Sequence[e.Entry], marks: _Marks, step: str) -> bool:
    if step in marks.intents or step in marks.ruled:
        return True
    return any(step == one.id for entry in entries if isinstance(entry.event, e.PlanAdopted) for one in entry.event.plan.steps)


def _cause(entries: Sequence[e.Entry], marks: _Marks) -> int:
    """Just before what first made a run stop: the call of the step that failed, the turn that came to nothing, the word of a
    person."""
    if marks.stops is None or entries[-1].event.__class__ is e.RunCompleted:
        raise _No("it did not fail, so it must be said where the fork begins", len(entries))
    event = entries[marks.stops - 1].event
    if isinstance(event, e.StepFailed):
        return _before(entries, marks, event.step)
    if isinstance(event, (e.Answered, e.InterruptExpired)):
        asked, step = marks.asked[event.interrupt]
        return _before(entries, marks, step) if step in marks.intents else asked - 1
    turn = getattr(event, "turn", 0)
    if isinstance(event, e.RunFailed) or (isinstance(event, e.LimitReached) and event.limit in _OF_A_TURN):
        turn = max((turn for turn, number in marks.turns.items() if number < marks.stops), default=0)
    if turn in marks.turns:
        return marks.turns[turn] - 1
    return marks.stops - 1


# --- whether it can be --------------------------------------------------------------------------------------------


def _check(entries: Sequence[e.Entry], marks: _Marks, entry: int) -> None:
    if entry > len(entries):
        raise _No(f"there is no entry {entry}: its journal has {len(entries)}", len(entries))
    if entry < 1:
        raise _No("a fork takes over the first entry at least, with the goal", 1)
    if marks.stops is not None and entry >= marks.stops:
        ended = entries[marks.stops - 1].event
        why = "had ended" if isinstance(ended, (e.RunCompleted, e.RunFailed, e.RunCancelled)) else "was stopping"
        raise _No(f"at entry {entry} the run {why} already (entry {marks.stops}): a fork of that would only stop", marks.stops)
    if _is_half_said(entries, entry):
        raise _No(f"entry {entry} is what a model said, and what came of it is the next entry: the two belong together", entry)


def _is_half_said(entries: Sequence[e.Entry], entry: int) -> bool:
    """Whether the words of a model would be taken over without what they came to."""
    return isinstance(entries[entry - 1].event, e.ModelAnswered) and entry < len(entries)


def _points(entries: Sequence[e.Entry], marks: _Marks) -> tuple[Point, ...]:
    found: dict[int, str] = {}

    def add(entry: int, label: str) -> None:
        can_be = entry >= 1 and (marks.stops is None or entry < marks.stops) and not _is_half_said(entries, entry)
        if can_be:
            found.setdefault(entry, label)

    add(1, "start")
    for step, intents in marks.intents.items():
        for attempt, number in enumerate(intents, 1):
            add(number - 1, f"before {step}" + (f"#{attempt}" if attempt > 1 else ""))
    for turn, number in marks.turns.items():
        add(number - 1, f"turn {turn}")
    for step, number in marks.ended.items():
        add(number, f"after {step}")
    for number, _ in marks.asked.values():
        add(number - 1, f"entry {number - 1}")
    add(len(entries), f"entry {len(entries)}")
    return tuple(
        Point(entry=entry, at=entries[entry - 1].at, label=label, before=following(entries, entry))
        for entry, label in sorted(found.items())
    )


def following(entries: Sequence[e.Entry], entry: int) -> str:
    """What comes next in the record after an entry, in words."""
    if entry >= len(entries):
        return "nothing: it is how the run stands"
    event = entries[entry].event
    step = getattr(event, "step", "")
    if isinstance(event, e.CallIntended):
        return f"step {step} calls {event.tool}" + (f" for the {event.attempt}. time" if event.attempt > 1 else "")
    if isinstance(event, e.ProposalRequested):
        return f"the reasoner is asked for turn {event.turn}"
    if isinstance(event, e.Asked):
        return "a person is asked" + (f" about step {step}" if step else "")
    tag = str(type(event).__struct_config__.tag)
    return tag.replace("_", " ") + (f" (step {step})" if step else "")


def _nearest(found: tuple[Point, ...], entry: int) -> str:
    """The points next to an entry, in words."""
    at = bisect.bisect_left([point.entry for point in found], entry)
    low = max(min(at - NEAREST // 2, len(found) - NEAREST), 0)
    return ", ".join(f"{point.label} (entry {point.entry})" for point in found[low : low + NEAREST])
