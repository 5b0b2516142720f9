"""What a step rests on, by whatever way: through facts, through the results of other steps, through what those rest on."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.core.facts import STEP_PREFIX, Fact, beneath
from holdfast.core.plan import reads
from holdfast.core.state import State, StepState, source_of


def steps_beneath(state: State, name: str) -> Iterator[StepState]:
    """A step, and all that it rests on."""
    left, seen = [name], set()
    while left:
        name = left.pop()
        if name in seen or name not in state.steps:
            continue
        seen.add(name)
        step = state.steps[name]
        yield step
        for fact in beneath(state.facts, step.believes):
            left.extend(other.removeprefix(STEP_PREFIX) for other in fact.rests_on if other.startswith(STEP_PREFIX))
        left.extend(source for other in reads(step.step) if (source := source_of(state, other)) is not None)


def facts_beneath(state: State, name: str) -> tuple[Fact, ...]:
    """All facts that a step rests on, by name."""
    if not state.facts:
        return ()
    found = {fact.name: fact for step in steps_beneath(state, name) for fact in beneath(state.facts, step.believes)}
    return tuple(found[fact] for fact in sorted(found))


def is_tainted(state: State, name: str) -> bool:
    """Whether a step rests on what an untrusted tool returned, or was planned by a model that had read such."""
    if not state.taints:
        return False
    return any(step.tainted or step.step.id in state.taints for step in steps_beneath(state, name))
