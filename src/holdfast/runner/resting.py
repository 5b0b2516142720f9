"""What is said of a run that is given back: in one line, for the lists of runs."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.core.facts import is_guess
from holdfast.core.state import State
from holdfast.views import moment

# So long may the line be that says what a completed run has not wholly done.
SHORTFALL_MAX = 400


def shortfall(state: State) -> str:
    """What a completed run has not wholly done, in one line; empty where it has all. Lists of runs tell it by that."""
    skipped = tuple(name for name in state.skipped if name not in state.flagged)
    outdated = tuple(name for name in state.outdated if state.steps[name].phase == "done")
    guessed = tuple(name for name, fact in state.facts.items() if is_guess(fact) and not fact.stale)
    lists = {
        "skipped": skipped, "flagged": state.flagged, "done in part": state.partial, "outdated": outdated, "guessed": guessed,
    }  # fmt: skip
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in lists.items() if names)[:SHORTFALL_MAX]


def waits_for(state: State) -> str:
    """What a parked run waits for, in one line; what holds up all of it first."""
    parts = [*_held_up(state), *(_asked(state, name) for name in state.interrupts)]
    for name in state.active:
        step = state.steps[name]
        if step.phase == "waiting":
            parts.append(f"retry of {name}")
        elif step.phase == "probe_wait":
            parts.append(f"probe of {name}")
    for name, owed in state.pending.items():
        if owed.interrupt is None and state.steps[name].phase != "asking":
            parts.append(f"{owed.about} of {name}" + (f", owed by {owed.by}" if owed.by else ", which is owed"))
    if state.reason_at:
        failed = {setback.model: setback.kind for setback in state.setbacks}
        said = ", ".join(f"{model}: {kind}" for model, kind in failed.items())
        parts.append("a model that may be asked" + (f" ({said})" if said else ""))
    return "; ".join(parts)


def _held_up(state: State) -> Iterator[str]:
    """What keeps anything new from beginning, by whose word."""
    paused, handoff = state.paused, state.handoff
    if paused is not None:
        until = f" until {moment(paused.until)}" if paused.until is not None else ""
        yield f"paused by {paused.by}{until}" + (f": {paused.reason}" if paused.reason else "")
    if handoff is not None and all(asked.about != "handoff" for asked in state.interrupts.values()):
        yield f"to be taken over by {handoff.by}" + (f": {handoff.reason}" if handoff.reason else "")


def _asked(state: State, interrupt: str) -> str:
    asked, standing = state.interrupts[interrupt], state.standings.get(interrupt)
    given = len(standing.approvals) if standing is not None else 0
    return f"{asked.kind}: {asked.question}" + (f" ({given} of {asked.people} approved)" if asked.people > 1 else "")
