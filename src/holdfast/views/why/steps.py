"""A step, explained: what brought it, what it was called with and why, what held it up, what became of it, what followed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.contract import Contract
from holdfast.core.plan import waits_for
from holdfast.core.state import ENDED, SettledBy, StepState, contract_of, secret_names
from holdfast.core.values import redacted
from holdfast.views.entries import held_words
from holdfast.views.entries_people import checks_words
from holdfast.views.interrupts import Origin
from holdfast.views.minds import TurnView
from holdfast.views.steps import step_words
from holdfast.views.why.asks import asks_of
from holdfast.views.why.brought import brought_by, words_of
from holdfast.views.why.calls import attempts, led_words, waited_for
from holdfast.views.why.causes import cause, effects
from holdfast.views.why.facts import budget_then, facts_then, origins_then, redacted_args
from holdfast.views.why.links import link, room_words, ruling_words, said
from holdfast.views.why.past import Past
from holdfast.views.why.records import Attempt, BudgetThen, FactThen, Link, Ruled, StepLine, StepWhy, Wait
from holdfast.views.words import FIELD_MAX, cut, listed, span

RESULT_MAX, VALUE_MAX = 400, 80
FOLLOWED_MAX = 12
# So far behind an entry it is looked for what followed from it.
LOOKED_MAX = 400


def step_why(past: Past, name: str, turns: dict[int, TurnView]) -> StepWhy:
    """A step in full. turns: of the run's models, by number."""
    state = past.state
    step = state.steps[name]
    made = attempts(past, name)
    brought = brought_by(past, step)
    end = past.ended(name)
    contract = contract_of(state, step)
    turn = turns.get(brought.turn) if brought is not None and brought.by == "model" else None
    args = step.args if step.args is not None else step.step.args
    origins, facts, budget = _rests_on(past, step, made, end)
    return StepWhy(
        step=name, tool=step.tool, phase=phase_words(past, name), said=sentence(past, name),
        args=redacted_args(state, references.unmarked(args)), safety=contract.safety if contract is not None else "",
        attempts_max=_attempts_max(step, contract), key=step.key, brought=brought, origins=origins, facts=facts, budget=budget,
        attempts=made, ruled=tuple(_ruled(past, name)), asks=asks_of(past, name), turn=turn,
        words=words_of(past, brought) if turn is not None else "", waits=tuple(_waits(past, step, made)),
        rulings=tuple(_rulings(past, name, made)), ended=_ended(past, step, end), ended_entry=end,
        ended_at=past.at(end) if end else None, result=_result(past, step), followed=followed(past, end),
        child=_child(past, name), related=tuple(_related(past, step)), of_source=0 < end < past.forked,
    )  # fmt: skip


def step_line(past: Past, name: str) -> StepLine:
    """A step in one line."""
    step = past.state.steps[name]
    return StepLine(step=name, tool=step.tool, phase=phase_words(past, name), said=sentence(past, name))


def _attempts_max(step: StepState, contract: Contract | None) -> int:
    retry = step.step.retry or (contract.retry if contract is not None else None)
    return retry.attempts_max if retry is not None else 0


# --- one sentence -------------------------------------------------------------------------------------------------


def sentence(past: Past, name: str) -> str:
    """The whole of a step in one sentence."""
    state = past.state
    step = state.steps[name]
    end = past.ended(name)
    phase = phase_words(past, name)
    calls = _calls_words(past, name)
    if step.phase == "done":
        by = _SETTLED[step.settled_by] or (" at its first call" if step.attempt == 1 else "")
        other = f" by its fallback {step.tool}" if step.fallbacks_taken else ""
        how = said(past, end) if end and step.settled_by in ("person", "reuse") else _shown(past, step)
        doubtful = "; it rests on what turned out not to be so" if name in state.outdated else ""
        return f"{phase}{other}{by}{calls}{_taken_back(past, name)}: {how}{doubtful}"
    if end:
        why = said(past, end) if name in past.of_step and end in past.of_step[name] else step.reason or said(past, end)
        why = why.removeprefix(f"step {name} was ")
        before = cause(past, end)
        root = f" ← {said(past, before)}" if before and isinstance(past.event(before), _EXPLAIN) else ""
        # That it was skipped is what its phase says.
        return f"{phase}{calls}{root}" if root and ": " not in why else f"{phase}{calls}: {cut(why)}{root}"
    last = past.last_of(name, len(past.entries) + 1)
    if last:
        return f"{phase}{calls}: {cut(said(past, last).removeprefix(f'{name}: '))}"
    left = [other for other in waits_for(step.step, state.stand_ins) if other in state.steps and not past.ended(other)]
    if left:
        return f"{phase}: {listed(left)}"
    if state.ended:
        return f"{phase}: the run had ended before it was begun"
    return f"{phase}: {led_words(past, len(past.entries), past.brought.get(name, 0))}"


_EXPLAIN = (
    e.CallFailed, e.Answered, e.InterruptExpired, e.PolicyRuled, e.CallRefused, e.FollowUpSuppressed, e.FactsLearned,
    e.CallUnknown,
)  # fmt: skip
_SETTLED: dict[SettledBy, str] = {
    "": "", "call": "", "probe": ", found by its probe", "person": ", said by a person", "reuse": ", by another step",
    "callback": ", by a callback", "signal": ", by a signal", "child": ", by the run that it started",
}  # fmt: skip


def _shown(past: Past, step: StepState) -> str:
    return cut(redacted(step.value, secret_names(past.state)), VALUE_MAX)


def phase_words(past: Past, name: str) -> str:
    """How a step stands, in a few words; one that a model was told of, and planned anew, is no more than given up."""
    end = past.event(past.ended(name)) if past.ended(name) else None
    given_up = isinstance(end, e.StepSkipped) and end.told
    return "given up" if given_up else step_words(past.state, past.state.steps[name])


def _calls_words(past: Past, name: str) -> str:
    """How often it was called, and how that had failed."""
    kinds = [past.event(number) for number in past.of_step.get(name, ())]
    calls = sum(isinstance(event, e.CallIntended) for event in kinds)
    if calls <= 1:
        return ""
    failed = [event.failure.kind for event in kinds if isinstance(event, e.CallFailed)]
    lost = sum(isinstance(event, e.CallUnknown) for event in kinds)
    parts = [f"{kind} {failed.count(kind)}×" for kind in dict.fromkeys(failed)] + ([f"unknown {lost}×"] if lost else [])
    return f" after {calls} calls ({', '.join(parts)})" if parts else f" after {calls} calls"


def _taken_back(past: Past, name: str) -> str:
    undoing = _undo_of(past, name)
    if not undoing:
        return ""
    number = past.brought.get(undoing, 0)
    return f", by {undoing} ({led_words(past, len(past.entries), number)})" if number else ""


def _undo_of(past: Past, name: str) -> str:
    own = past.state.steps[name].undo
    planned = past.of_kind.get(e.UndoPlanned, ())
    for number in planned:
        event = past.event(number)
        if isinstance(event, e.UndoPlanned) and (found := next((one.id for one in event.steps if one.undoes == name), "")):
            return found
    return own


# --- what it rests on ---------------------------------------------------------------------------------------------

_Rests = tuple[tuple[Origin, ...], tuple[FactThen, ...], BudgetThen | None]


def _rests_on(past: Past, step: StepState, made: tuple[Attempt, ...], end: int) -> _Rests:
    """Origins, facts and budget of a step: those of its last call; of one that was never called, as they were at its end."""
    if made:
        with_args = next((one for one in reversed(made) if not one.same_args), made[0])
        with_facts = next((one for one in reversed(made) if one.facts), made[-1])
        return with_args.origins, with_facts.facts, made[-1].budget
    name, number = step.step.id, end or len(past.entries) + 1
    args = step.args if step.args is not None else step.step.args
    number = min(number, len(past.entries))
    return (
        origins_then(past, name, step.tool, args, number),
        facts_then(past, name, number),
        budget_then(past, name, number, None),
    )


# --- why not, and why not at once ---------------------------------------------------------------------------------


def _ruled(past: Past, name: str) -> Iterator[Ruled]:
    checks = ""
    for number in past.of_step.get(name, ()):
        event = past.event(number)
        if isinstance(event, e.ChecksAnswered):
            checks = checks_words(event.answers)
        elif isinstance(event, e.PolicyRuled):
            yield Ruled(entry=number, at=past.at(number), said=ruling_words(event), ruling=event.ruling, checks=checks)
            checks = ""
        elif isinstance(event, e.Asked) and event.ruling is not None and event.about == "call":
            said_of = said(past, number)
            yield Ruled(entry=number, at=past.at(number), said=said_of, ruling=event.ruling, checks=checks)
            checks = ""


def _waits(past: Past, step: StepState, made: tuple[Attempt, ...]) -> Iterator[Wait]:
    name = step.step.id
    number = past.brought.get(name, 0)
    begun = made[0].entry if made else past.ended(name) or len(past.entries)
    if number and (last := waited_for(past, name, begun)) is not None and last[1] > number:
        yield Wait(
            why=f"waited for {last[0]}, the last that it needs", since=past.at(number), until=past.at(last[1]), entry=last[1]
        )
        number = last[1]
    since = past.at(number) if number else past.at(1)
    yield from _pauses(past, since, past.at(begun) if made or past.ended(name) else None)
    for place in past.of_kind.get(e.RoomRefused, ()):
        event = past.event(place)
        if isinstance(event, e.RoomRefused) and number <= place < begun and (words := room_words(event, step.tool)):
            yield Wait(why=words, since=past.at(place), until=_next_at(past, name, place), entry=place)
    for place in past.of_step.get(name, ()):
        event = past.event(place)
        until = _next_at(past, name, place)
        if isinstance(event, e.CallHeld):
            yield Wait(why=held_words(event), since=past.at(place), until=until, entry=place)
        elif isinstance(event, e.FollowUpSuppressed):
            yield Wait(why=said(past, place).removeprefix(f"{name}: "), since=past.at(place), until=until, entry=place)
        elif isinstance(event, e.CallDeferred):
            yield Wait(
                why=f"its result was owed by {cut(event.by, FIELD_MAX) or 'the other side'}",
                since=past.at(place),
                until=until,
                entry=place,
            )


def _next_at(past: Past, name: str, number: int) -> float | None:
    following = past.next_of(name, number)
    return past.at(following) if following else None


def _pauses(past: Past, since: float, until: float | None) -> Iterator[Wait]:
    """Pauses of the run that overlap a time."""
    for number in past.of_kind.get(e.RunPaused, ()):
        ends = [other for other in past.of_kind.get(e.RunContinued, ()) if other > number]
        over = past.at(ends[0]) if ends else None
        if (until is None or past.at(number) < until) and (over is None or over > since):
            yield Wait(why=said(past, number), since=past.at(number), until=over, entry=number)


def _rulings(past: Past, name: str, made: tuple[Attempt, ...]) -> Iterator[Link]:
    """What was ruled on a step, and what was found out, beside what its attempts tell."""
    there = {one.entry for one in made} | {one.outcome_entry for one in made} | {one.then_entry for one in made}
    for number in past.of_step.get(name, ()):
        if number not in there and isinstance(past.event(number), _TOLD):
            yield link(past, number)


_TOLD = (
    e.RecoveryRuled, e.PendingRuled, e.ProbeAnswered, e.FallbackRuled, e.CallRefused, e.CallbackReceived, e.CallbackRefused,
    e.ChildEnded, e.ReuseRuled, e.RestPlanned, e.StepDoneByHand, e.RetryRuled, e.StepSkipped, e.StepFailed,
)  # fmt: skip


# --- how it ended, and what followed ------------------------------------------------------------------------------


def _ended(past: Past, step: StepState, end: int) -> str:
    if not end:
        return ""
    words = said(past, end).removeprefix(f"{step.step.id}: ")
    by = _SETTLED[step.settled_by].removeprefix(", ") if step.phase == "done" else ""
    return f"{words}{f' ({by})' if by else ''}"


def _result(past: Past, step: StepState) -> str:
    return cut(redacted(step.value, secret_names(past.state)), RESULT_MAX) if step.phase == "done" else ""


def followed(past: Past, number: int) -> tuple[Link, ...]:
    """What came of an entry, as far as it is near behind it."""
    near = (other for other in effects(past, number, LOOKED_MAX) if type(past.event(other)) not in _QUIET)
    return tuple(link(past, other) for other in islice(near, FOLLOWED_MAX))


_QUIET = frozenset({e.RunResumed, e.RoomRefused, e.RulingDeferred})


def _child(past: Past, name: str) -> str:
    for number in reversed(past.of_step.get(name, ())):
        event = past.event(number)
        if isinstance(event, e.ChildEnded):
            return event.child
        if isinstance(event, e.CallDeferred):
            step = past.state.steps[name]
            contract = past.state.contracts.get(step.tool)
            return event.handle if contract is not None and contract.agent is not None else ""
    return ""


def _related(past: Past, step: StepState) -> Iterator[str]:
    name = step.step.id
    if undoing := _undo_of(past, name):
        yield f"taken back by {undoing}"
    if step.step.undoes:
        yield f"takes back {step.step.undoes}"
    if step.rest:
        yield f"goes on in {step.rest}"
    if name in past.state.replaced and past.state.replaced[name] in past.state.steps:
        yield f"done by {past.state.replaced[name]} instead"
    if step.phase in ENDED and name in past.state.outdated:
        yield "rests on what turned out not to be so"


def plain(past: Past, name: str) -> bool:
    """Whether a step went as planned: called once, and done."""
    step = past.state.steps[name]
    state = past.state
    return (
        step.phase == "done"
        and step.attempt <= 1
        and step.settled_by == "call"
        and not (step.left or name in state.undone or name in state.outdated)
    )


def waited_words(wait: Wait) -> str:
    """A wait in words."""
    if wait.until is None:
        return f"{wait.why}, and it still does"
    return f"{wait.why} ({span(max(wait.until - wait.since, 0.0))})"
