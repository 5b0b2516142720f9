"""The first line: how a run stands, and why, back to the first cause."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.core import events as e
from holdfast.core.state import State, status
from holdfast.views.owed import owed_view, owed_words
from holdfast.views.why.causes import chain
from holdfast.views.why.links import basis_of, link, said
from holdfast.views.why.past import Past
from holdfast.views.why.records import Link
from holdfast.views.words import cut, listed, moment, span

# So many links stand in the first line.
TOLD_MAX = 6
WORD_MAX = 300
_ENDS = (e.RunCompleted, e.RunFailed, e.RunCancelled)


def first(past: Past, now: float) -> tuple[str, tuple[Link, ...]]:
    """The first line, and the chain that it is the short form of, the last entry first."""
    state = past.state
    stands = status(state, now)
    if state.ended:
        end = past.last(_ENDS, len(past.entries) + 1)
        return _line(past, _ended_words(past, state), end)
    words, start = _waits(past, state, now)
    return _line(past, f"{_STATUS.get(stands, stands)}: {words}", start, skip=1 if words else 0)


_STATUS = {"blocked": "needs a person", "waiting": "waits", "running": "goes on"}


def _line(past: Past, opening: str, start: int, skip: int = 0) -> tuple[str, tuple[Link, ...]]:
    numbers = list(chain(past, start))
    shown = told(past, numbers[skip:])
    links = tuple(link(past, number, is_told=number in shown) for number in numbers)
    line = opening
    for one in links:
        words = cut(one.said, WORD_MAX)
        if one.told and not _is_said(words, line):
            line += (" " if line.endswith(":") else " ← ") + words
    return line, links


def _is_said(words: str, line: str) -> bool:
    """Whether the better part of a link stands in the line already."""
    parts = words.split(": ")
    tails = (": ".join(parts[place:]) for place in range(1, len(parts)))
    return any(2 * len(tail) >= len(words) and tail in line for tail in tails)


def told(past: Past, numbers: Iterable[int]) -> list[int]:
    """Of a chain the links that stand in the first line: up to the first cause, without what is only how it went."""
    found: list[int] = []
    for number in numbers:
        event = past.event(number)
        if isinstance(event, _ROOTS) and not isinstance(event, e.Asked):
            break
        if not _is_passed(event):
            found.append(number)
        if isinstance(event, _CAUSES) or len(found) == TOLD_MAX:
            break
        if isinstance(event, e.PolicyRuled) or (isinstance(event, e.Asked) and event.about in ("call", "plan", "agent")):
            break
    return found


def _is_passed(event: e.AnyEvent) -> bool:
    """Whether a link is only how it went."""
    if isinstance(event, e.PolicyRuled):
        return event.ruling.verdict != "block"
    return isinstance(event, _PASSED) or (isinstance(event, e.StepSkipped) and event.told)


# Behind these there is no cause that anybody asks for: it was planned so.
_ROOTS = (e.RunStarted, e.PlanAdopted, e.CallSucceeded, e.RunForked, e.UndoPlanned, e.RestPlanned)
# These are the cause themselves.
_CAUSES = (
    e.CallFailed, e.CallUnknown, e.CancelRequested, e.RunPaused, e.HandoffRequested, e.GoalChanged, e.Instructed, e.ModelFailed,
    e.AgentChanged, e.CallPartial, e.ChildEnded, e.CallDeferred,
)  # fmt: skip
_PASSED = (
    *_ENDS, e.ModelAnswered, e.ProposalRequested, e.CallIntended, e.ProbeIntended, e.RetryRuled, e.ChecksIntended,
    e.ChecksAnswered, e.RecallIntended, e.Reminded, e.FallbackRuled,
)  # fmt: skip


def _ended_words(past: Past, state: State) -> str:
    if state.ended == "failed":
        return "failed:" if past.stopping else f"failed: {cut(state.reason, WORD_MAX)}"
    if state.ended == "cancelled":
        return "cancelled:"
    done = sum(state.steps[name].phase == "done" for name in state.order)
    if state.flagged or state.skipped or state.partial:
        # The first of them is the chain.
        missing = list(dict.fromkeys((*state.flagged, *state.skipped, *state.partial)))[1:]
        also = f"; also missing: {listed(missing, 3)}" if missing else ""
        return f"completed, but not all of it ({done} of {len(state.order)} steps are done{also}):"
    if not state.order:
        return "completed, without a step"
    return f"completed: {done} of {len(state.order)} steps are done{_but(past, state)}"


def _but(past: Past, state: State) -> str:
    """What of a completed run went another way than it was planned."""
    end = past.event(past.last((e.RunCompleted,), len(past.entries) + 1))
    anew = [name for name in state.order if state.steps[name].phase != "done" and name not in state.replaced]
    parts = {
        "done another way": list(state.replaced),
        "not done, or planned anew": anew,
        "done on what turned out not to be so": list(getattr(end, "outdated", ())),
    }
    return "".join(f"; {words}: {listed(names, 3)}" for words, names in parts.items() if names)


# --- a run that has not ended -------------------------------------------------------------------------------------


def _waits(past: Past, state: State, now: float) -> tuple[str, int]:
    """What a run waits for, or is doing, and the entry that says so."""
    end = len(past.entries) + 1
    for words, start in (
        _stops(past, state), _asks(past, state, now), _paused(past, state), _calls(past, state), _thinks(past, state),
        _again(past, state, now), _owes(past, state, now), _held(past, state),
    ):  # fmt: skip
        if start:
            return words, start
    return ("nothing was begun yet" if not state.order else "the next step is to begin"), end - 1


def _stops(past: Past, state: State) -> tuple[str, int]:
    if state.stopping is None and state.cancel is None:
        return "", 0
    start = past.cancelled if state.cancel is not None else past.stopping
    return f"it is about to stop: {said(past, start)}", start


def _asks(past: Past, state: State, now: float) -> tuple[str, int]:
    open_ones = sorted(state.interrupts.values(), key=lambda one: one.expires_at)
    if not open_ones:
        return "", 0
    asked = open_ones[0]
    start = past.asked[asked.interrupt]
    more = f", and {len(open_ones) - 1} more questions" if len(open_ones) > 1 else ""
    since = span(max(now - past.at(start), 0.0))
    by = basis_of(asked.ruling) if asked.about in ("call", "plan") else ""
    when = f"{asked.interrupt}, asked {since} ago, until {moment(asked.expires_at)}{more}"
    return f"“{cut(asked.question, WORD_MAX)}” ({when}){f', by {by}' if by else ''}", start


def _paused(past: Past, state: State) -> tuple[str, int]:
    kind = e.RunPaused if state.paused is not None else e.HandoffRequested if state.handoff is not None else None
    start = past.last((kind,), len(past.entries) + 1) if kind is not None else 0
    return (said(past, start), start) if start else ("", 0)


def _calls(past: Past, state: State) -> tuple[str, int]:
    for name in state.active:
        step = state.steps[name]
        if step.phase == "flying":
            what = f"{step.tool} is being called" + (f", attempt {step.attempt}" if step.attempt > 1 else "")
            return f"{name}: {what}, or whoever called it is gone", past.last((e.CallIntended,), len(past.entries) + 1)
        if step.phase in ("probing", "checking"):
            return f"{name}: it is being looked up", past.last_of(name, len(past.entries) + 1)
    return "", 0


def _thinks(past: Past, state: State) -> tuple[str, int]:
    if state.proposing is None:
        return "", 0
    start = past.last((e.ProposalRequested,), len(past.entries) + 1)
    return said(past, start) if start else "", start


def _again(past: Past, state: State, now: float) -> tuple[str, int]:
    waiting = [step for name in state.active if (step := state.steps[name]).phase in ("waiting", "probe_wait")]
    if not waiting:
        return "", 0
    step = min(waiting, key=lambda one: one.due_at)
    what = "looked up" if step.phase == "probe_wait" else "called again" if step.tries else "called"
    start = past.last_of(step.step.id, len(past.entries) + 1)
    when = f"at {moment(step.due_at)}" if step.due_at > now else "now"
    more = f", and {len(waiting) - 1} more steps" if len(waiting) > 1 else ""
    return f"{step.step.id} is to be {what} {when}{more}", start


def _owes(past: Past, state: State, now: float) -> tuple[str, int]:
    if not state.pending:
        return "", 0
    one = min(state.pending.values(), key=lambda one: one.until)
    more = f", and {len(state.pending) - 1} more" if len(state.pending) > 1 else ""
    late = " (overdue)" if one.until <= now else ""
    return f"{owed_words(owed_view(state, one))}{late}{more}", past.last_of(one.step, len(past.entries) + 1)


def _held(past: Past, state: State) -> tuple[str, int]:
    start = past.last((e.ReasonerHeld,), len(past.entries) + 1) if state.reason_at else 0
    return (said(past, start), start) if start else ("", 0)
