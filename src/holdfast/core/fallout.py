"""What falls with a fact that turned out not to be so: everything that rests on it, and nothing else.

Facts rest on facts and on steps; a step rests on the facts that it refers to or names (`StepState.believes`), and on the steps
whose results it reads. From a fact that changed this spreads as far as it goes:

- a fact that rests on what fell falls too: it is not believed until it is observed again;
- a step that is done, or under way, and rests on what fell is *outdated*: what it did stays done, and is named;
- a step that has not begun is *dropped* where it holds a copy of what fell (`Step.rests_on`), or reads the result of a step that
  is outdated or dropped. One that only refers to a fact (`$ref facts.…`, `needs_fresh`) takes the value that holds when it
  begins, so it stays.

What is under way may still fail and be made again with what holds then. So what reads its result, or what it reports, falls only
once it is done; see `State.shaken`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from holdfast.core.facts import STEP_PREFIX
from holdfast.core.plan import needs, reads
from holdfast.core.state import ENDED, State, StepState, source_of

# What was asked about a step that has not been called, or whose call failed for certain: an answer makes a new call.
_NOT_UNDER_WAY = frozenset({"call", "failure", "fact"})


class Fallout(msgspec.Struct, frozen=True, kw_only=True):
    """What falls. facts: that are believed no more. dropped: steps that are given up. outdated: steps that are done, or under
    way. waiting: steps that have not begun and stay, since they take whatever holds then."""

    facts: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def fallout(state: State, shaken: Iterable[str]) -> Fallout:
    """What falls with these: names of facts, and of steps that are done as `steps.ID`. They themselves are not in it. A step
    that is outdated already is not named again, but what rests on it falls."""
    fallen = dict.fromkeys(shaken)  # In order; also of the steps that are done, as facts name them.
    dropped: dict[str, None] = {}
    outdated: dict[str, None] = {}
    before = -1
    while before != len(fallen) + len(dropped) + len(outdated):
        before = len(fallen) + len(dropped) + len(outdated)
        for fact in state.facts.values():
            if fact.name not in fallen and not fact.stale and not fallen.keys().isdisjoint(fact.rests_on):
                fallen[fact.name] = None
        for name in state.order:
            if name in dropped or name in outdated or f"{STEP_PREFIX}{name}" in fallen:
                continue
            step = state.steps[name]
            if step.phase == "done" or is_under_way(step, state):
                if _rests_on(state, step, fallen):
                    outdated[name] = None
                    if step.phase == "done":
                        fallen[f"{STEP_PREFIX}{name}"] = None
            elif step.phase not in ENDED and not step.step.undoes and _is_lost(state, step, fallen, dropped):
                dropped[name] = None
    given = set(shaken)
    return Fallout(
        facts=tuple(name for name in fallen if name not in given and name in state.facts),
        dropped=tuple(dropped),
        outdated=tuple(name for name in outdated if name not in state.outdated),
        waiting=tuple(_waiting(state, fallen, dropped)),
    )


def is_under_way(step: StepState, state: State) -> bool:
    """Whether its call may have had its effect, or have it yet."""
    if step.phase in ("flying", "doubt", "probe_wait", "probing", "owed"):
        return True
    if step.phase == "asking" and step.interrupt is not None and state.interrupts[step.interrupt].about not in _NOT_UNDER_WAY:
        return True
    return step.phase not in ENDED and (step.doubt_since is not None or step.landed)


def _rests_on(state: State, step: StepState, fallen: dict[str, None]) -> bool:
    return any(name in fallen and not _is_from(state, name, step) for name in step.believes) or _reads_fallen(state, step, fallen)


def _is_from(state: State, fact: str, step: StepState) -> bool:
    """Whether it was this step that observed what is believed now: it knows better, and its own result says so."""
    return fact in state.facts and state.facts[fact].source == "observed" and state.observers.get(fact) == step.step.id


def _reads_fallen(state: State, step: StepState, fallen: dict[str, None]) -> bool:
    """Whether it reads the result of a step that is outdated, be it of one that stands in for what it names."""
    if not any(name.startswith(STEP_PREFIX) for name in fallen):
        return False
    return any(f"{STEP_PREFIX}{source_of(state, other)}" in fallen for other in reads(step.step))


def _is_lost(state: State, step: StepState, fallen: dict[str, None], dropped: dict[str, None]) -> bool:
    """Whether a step that has not begun cannot be done any more as it was meant."""
    if not fallen.keys().isdisjoint(step.step.rests_on) or _reads_fallen(state, step, fallen):
        return True
    # What may stand in for a step that is dropped still can.
    return bool(dropped) and any(other in dropped and other not in state.stand_ins for other in needs(step.step))


def _waiting(state: State, fallen: dict[str, None], dropped: dict[str, None]) -> Iterable[str]:
    for name in state.order:
        step = state.steps[name]
        if step.phase in ENDED or name in dropped or not step.believes or is_under_way(step, state):
            continue
        if not fallen.keys().isdisjoint(step.believes):
            yield name
