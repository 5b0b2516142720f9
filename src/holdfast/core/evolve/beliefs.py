"""Facts: learned, invalidated, recalled, observed anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.evolve.steps import add_steps, following, put
from holdfast.core.facts import STEP_PREFIX, Fact, is_change, is_guess, replaces
from holdfast.core.fallout import fallout
from holdfast.core.provenance import is_tainted
from holdfast.core.state import State


def learn(state: State, facts: Iterable[Fact], step: str = "") -> dict[str, Any]:
    """The fields of the state that change when facts are believed from now on, by who is believed over whom. Where something
    else was believed before and anything rests on it, what follows from that is ruled before anything begins. step: which
    observed them."""
    believed, observers = dict(state.facts), dict(state.observers)
    changed: list[str] = []
    for fact in facts:
        before = believed.get(fact.name)
        if step:
            observers[fact.name] = step
        if not replaces(fact, before):
            continue
        believed[fact.name] = fact
        if is_change(fact, before) and fact.name not in changed:
            changed.append(fact.name)
    changes: dict[str, Any] = {"facts": believed}
    if step:
        changes["observers"] = observers
    if changed:
        after = replace(state, facts=believed, observers=observers)
        found = [name for name in changed if _matters(after, believed[name])]
        changes["shaken"] = tuple(dict.fromkeys((*state.shaken, *found)))
    return changes


def _matters(state: State, fact: Fact) -> bool:
    """Whether something follows from it that a fact is another one now. A model hears of what a person corrects, and of what
    its next steps rest on; where nobody plans again, these take what holds when they begin."""
    fell = fallout(state, (fact.name,))
    told = state.thinking is not None and (fact.pinned or bool(fell.waiting))
    return told or bool(fell.facts or fell.dropped or fell.outdated)


def recall_intended(state: State, event: e.RecallIntended, entry: e.Entry) -> State:
    return following(state, entry, recalling=entry.fence)


def memory_recalled(state: State, event: e.MemoryRecalled, entry: e.Entry) -> State:
    """What is known already is not overwritten by a memory. One that is taken is told apart by its id."""
    changes = learn(state, event.facts)
    taken = {
        fact.name: memory for fact, memory in zip(event.facts, event.ids, strict=False) if changes["facts"][fact.name] is fact
    }
    return following(state, entry, recalled=True, recalling=None, memories={**state.memories, **taken}, **changes)


def facts_learned(state: State, event: e.FactsLearned, entry: e.Entry) -> State:
    changes = learn(state, event.facts, event.step)
    if event.step:
        changes["to_observe"] = tuple(name for name in state.to_observe if name != event.step)
    before, after = state.facts, changes["facts"]
    if any(before.get(fact.name) != after[fact.name] for fact in event.facts):
        changes["news"] = True
    changed = {fact.name for fact in event.facts if is_change(after[fact.name], before.get(fact.name))}
    return _without_moot_questions(following(state, entry, **changes), entry, changed)


def _without_moot_questions(state: State, entry: e.Entry, changed: set[str]) -> State:
    """A person need not say any more whether something is so that is not guessed any more, nor whether a call may be made that
    would be another one now. It is looked at again whether they are asked."""
    state = _without_questions_on(state, changed)
    for interrupt, asked in state.interrupts.items():
        if asked.about == "fact":
            moot = not any(name in state.facts and is_guess(state.facts[name]) for name in asked.facts)
        else:
            moot = asked.about == "call" and not changed.isdisjoint(state.steps[asked.step].believes)
        if moot:
            interrupts = {other: question for other, question in state.interrupts.items() if other != interrupt}
            before = state.steps[asked.step]
            was_asked = max(before.was_asked, asked.people if asked.about == "call" else 0)
            step = replace(before, phase="waiting", due_at=entry.at, interrupt=None, was_asked=was_asked)
            state = put(state, entry, step, interrupts=interrupts)
    return state


def _without_questions_on(state: State, fallen: set[str]) -> State:
    """What the reasoner asked is asked no more where what the question rests on is not so any more; it asks again if it still
    wants to know."""
    moot = {
        interrupt: asked.asks.name
        for interrupt, asked in state.interrupts.items()
        if asked.about == "question" and asked.asks is not None and not fallen.isdisjoint(asked.asks.rests_on)
    }
    if not moot:
        return state
    return replace(
        state,
        interrupts={name: asked for name, asked in state.interrupts.items() if name not in moot},
        questions={name: asked for name, asked in state.questions.items() if name not in moot.values()},
        news=True,
    )


def facts_invalidated(state: State, event: e.FactsInvalidated, entry: e.Entry) -> State:
    """What fell is not believed until it is observed again. Steps that have not begun are given up; what a person was asked
    about them is asked no more."""
    facts = dict(state.facts)
    for name in event.facts:
        if name in facts:
            facts[name] = replace(facts[name], stale=True)
    lists: dict[str, Any] = {"outdated": tuple(dict.fromkeys((*state.outdated, *event.outdated))), "shaken": ()}
    state = following(state, entry, facts=facts, news=True, **lists)
    state = _without_questions_on(state, {*event.facts, *(f"{STEP_PREFIX}{name}" for name in event.outdated)})
    for name in event.dropped:
        state = _dropped(state, entry, name, event.because)
    return state


def _dropped(state: State, entry: e.Entry, name: str, because: str) -> State:
    """Where nobody will plan again, a step that was wanted is named to a person at the end."""
    before = state.steps[name]
    told = state.thinking is not None
    flagged = not told and state.final and before.step.on_failure != "skip"
    interrupts = {other: asked for other, asked in state.interrupts.items() if other != before.interrupt}
    step = replace(
        before, phase="skipped", reason=f"it rests on what is not so: {because}", flagged=flagged, interrupt=None, callback=None
    )
    return put(
        state,
        entry,
        step,
        interrupts=interrupts,
        skipped=(*state.skipped, name),
        flagged=(*state.flagged, name) if flagged else state.flagged,
        unseen=(*state.unseen, name) if told else state.unseen,
    )


def reobservation_planned(state: State, event: e.ReobservationPlanned, entry: e.Entry) -> State:
    waiting = {**state.reobserved, event.for_step: (*state.reobserved.get(event.for_step, ()), event.step.id)}
    after = add_steps(state, entry, (event.step,), checks={**state.checks, event.step.id: event.fact}, reobserved=waiting)
    # Its arguments are a copy of those by which the fact was observed before.
    tainted = is_tainted(state, state.observers.get(event.fact, ""))
    return replace(after, steps=after.steps.insert(event.step.id, replace(after.steps[event.step.id], tainted=tainted)))


# --- what a person says of a guess --------------------------------------------------------------------------------


def guesses_heard(state: State, event: e.Answered, entry: e.Entry, question: e.Asked) -> dict[str, Any]:
    """The fields of the state that change when a person was shown what is guessed: it is so, or some of it is otherwise."""
    given = event.value if event.decision == "edit" and isinstance(event.value, dict) else {}
    said: list[Fact] = []
    for name in question.facts:
        fact = state.facts.get(name)
        if name in given:
            said.append(Fact(name=name, value=given[name], source="told", by=event.by, at=entry.at, pinned=True))
        elif fact is not None and is_guess(fact):
            # Who corrects some of what they are shown has seen the rest.
            said.append(replace(fact, confirmed_by=event.by))
    return learn(state, said)
