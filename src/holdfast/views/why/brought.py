"""What brought a step: which plan, by whom, for what reason, and what else there was to do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from holdfast.core import events as e
from holdfast.core.plan import fallbacks_of
from holdfast.core.state import StepState
from holdfast.views.why.past import Past
from holdfast.views.why.records import Brought, Planner
from holdfast.views.words import cut

WORDS_MAX = 1000
BESIDE_MAX = 12


def brought_by(past: Past, step: StepState) -> Brought | None:
    """What brought a step; None where the journal does not say."""
    name = step.step.id
    number = past.brought.get(name, 0)
    if not number:
        return None
    event, at, otherwise = past.event(number), past.at(number), tuple(_otherwise(past, step))
    match event:
        case e.PlanAdopted(turn=turn, revision=revision, plan=plan, reason=reason, dropped=dropped):
            model = past.before(number).thinking is not None
            by: Planner = "model" if model else "plan" if plan.final else "function"
            answer = _answer(past, turn, number)
            return Brought(
                entry=number, at=at, by=by, revision=revision, turn=turn, model=answer.model if answer is not None else "",
                reason=reason, confidence=step.step.confidence,
                beside=tuple(islice((other.id for other in plan.steps if other.id != name), BESIDE_MAX)),
                refused=tuple(_not_taken(answer)), otherwise=otherwise, dropped=dropped,
            )  # fmt: skip
        case e.RestPlanned(step=of):
            return Brought(entry=number, at=at, by="undo" if event.rest.undoes else "part", of=of, otherwise=otherwise)
        case e.UndoPlanned(reason=reason):
            return Brought(entry=number, at=at, by="undo", of=step.step.undoes, reason=reason, otherwise=otherwise)
        case e.ReobservationPlanned(fact=fact, for_step=for_step):
            return Brought(entry=number, at=at, by="observation", of=for_step, reason=f"{fact} was too old")
        case _:
            return Brought(entry=number, at=at, by="check", turn=getattr(event, "turn", 0))


def _otherwise(past: Past, step: StepState) -> Iterator[str]:
    """What else there was to do where it fails."""
    for fallback in fallbacks_of(step.step, past.state.contracts.get(step.step.tool)):
        yield f"fall back to {fallback.tool}"
    for other in past.state.stand_ins.get(step.step.id, ()):
        yield f"{other} stands in for it"
    if step.step.alternative_to:
        yield f"it stands in for {step.step.alternative_to}"
    if step.step.on_failure != "stop":
        yield _FAILS[step.step.on_failure]


_FAILS = {
    "skip": "skip it where it fails", "flag": "skip it where it fails, and tell a person", "ask": "ask a person where it fails",
    "hand_off": "hand it over where it fails", "replan": "plan again where it fails",
}  # fmt: skip


def _answer(past: Past, turn: int, before: int) -> e.ModelAnswered | None:
    number = past.last((e.ModelAnswered,), before)
    event = past.event(number) if number else None
    return event if isinstance(event, e.ModelAnswered) and event.turn == turn else None


def _not_taken(answer: e.ModelAnswered | None) -> Iterator[str]:
    """Calls of the same turn that were not taken, and why."""
    for part in answer.said if answer is not None else ():
        if part.kind == "call" and part.problem:
            yield f"{part.tool}: {cut(part.problem)}"


def words_of(past: Past, brought: Brought | None) -> str:
    """What the model said in the turn that brought a step."""
    answer = _answer(past, brought.turn, brought.entry) if brought is not None else None
    parts = answer.said if answer is not None else ()
    return cut("\n".join(part.text.strip() for part in parts if part.kind == "text" and part.text.strip()), WORDS_MAX)
