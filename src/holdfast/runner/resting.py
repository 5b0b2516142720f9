"""What is said of a run that is given back: in one line, for the lists of runs."""

from __future__ import annotations

from holdfast.core.facts import is_guess
from holdfast.core.state import State

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
    """What a parked run waits for, in one line."""
    parts = [f"{asked.kind}: {asked.question}" for asked in state.interrupts.values()]
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
