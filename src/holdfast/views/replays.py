"""What a replay found, as it is shown: both sides of the first ruling that differs, and how the step stood then."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.replay import Divergence
from holdfast.core.state import State
from holdfast.views.entries import entry_line, told


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a ruling that differs. said: in words; event: its name, fields: in one line; whole: as it is, or would be,
    written down. then: the names of what follows in the same commit."""

    said: str
    event: str
    fields: str
    whole: Any
    then: tuple[str, ...] = ()


class DivergenceView(msgspec.Struct, frozen=True, kw_only=True):
    """The first ruling that differs. sequence: the entry; commit: the first entry of its commit; at: seconds since the epoch.
    recorded, ruled: what was ruled, and what would be today; None where that side says nothing more. step, standing: which step
    it is about, and how that stood."""

    sequence: int
    commit: int
    at: float
    recorded: Side | None
    ruled: Side | None
    step: str = ""
    standing: str = ""


def divergence_view(found: Divergence) -> DivergenceView:
    """Both sides, and what they are about."""
    step = next((name for one in (found.recorded, found.ruled) if (name := getattr(one, "step", "")) in found.before.steps), "")
    return DivergenceView(
        sequence=found.sequence,
        commit=found.batch,
        at=found.at,
        recorded=_side(found, found.recorded_rest),
        ruled=_side(found, found.ruled_rest),
        step=step,
        standing=_standing(found.before, step) if step else "",
    )


def _side(found: Divergence, rest: tuple[e.AnyEvent, ...]) -> Side | None:
    if not rest:
        return None
    line = entry_line(e.Entry(found.sequence, found.at, 0, rest[0]))
    names = tuple(str(type(one).__struct_config__.tag) for one in rest[1:])
    said = told(rest[0], found.before) or f"{line.event} {line.fields}"
    return Side(said=said, event=line.event, fields=line.fields, whole=msgspec.to_builtins(rest[0]), then=names)


def _standing(state: State, name: str) -> str:
    step = state.steps[name]
    failed = f", failed: {step.failure.kind} {step.failure.message}".rstrip() if step.failure is not None else ""
    doubt = ", nobody knows whether it happened" if step.doubt_since is not None else ""
    return f"{step.phase} after {step.attempt} attempts{failed}{doubt}"
