"""Do the journal and the ledger say the same? What happened is read from the ledger of the world; what the run believes, from its
journal. Where they differ the run is wrong, whatever it says of itself.

For each key under which a tool was called, the journal claims one of these, and the ledger may have so many effects:

| the journal says | effects under that key |
| --- | --- |
| done (a result came, or a probe found it) | 1 |
| open (in doubt, in flight, owed; or a failure that says that the effect has landed) | 0 or 1 |
| not done (failed for certain, or a probe said no) | 0 |
| settled by a person's word | 0 or 1 |

Two effects under one key are one too many in each of them. What the ledger has under a key that the journal does not know is
named, too. A world that knows no keys is held against the journal by the number of effects of each tool.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.state import State, StepState
from holdfast.evaluation.world import Effect

Says = Literal["done", "open", "not done", "a person said"]
_ALLOWED: dict[Says, tuple[int, int]] = {"done": (1, 1), "open": (0, 1), "not done": (0, 0), "a person said": (0, 1)}


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal says of the calls under one key."""

    run_id: str
    step: str
    tool: str
    key: str
    says: Says
    calls: int


def claims(entries: Sequence[e.Entry], witnessed: frozenset[str]) -> list[Claim]:
    """What a journal says of each key that went out to a tool that changes something, in order. witnessed: the tools whose
    effects the ledger knows; of others nothing is claimed."""
    state = fold(list(entries))
    calls: dict[tuple[str, str, str], int] = {}
    last: dict[tuple[str, str, str], Says] = {}
    under: dict[tuple[str, int], tuple[str, str, str]] = {}
    latest: dict[str, tuple[str, str, str]] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, e.CallIntended):
            contract = state.contracts.get(event.tool)
            if event.tool in witnessed and (contract is None or contract.safety != "read"):
                place = (event.step, event.tool, event.key)
                calls[place] = calls.get(place, 0) + 1
                under[event.step, event.attempt] = latest[event.step] = place
                if last.get(place) != "done":
                    last[place] = "open" if last.get(place) == "open" else "not done"
        elif isinstance(event, (e.CallSucceeded, e.CallPartial, e.CallFailed, e.CallUnknown, e.CallDeferred)):
            if (found := under.get((event.step, event.attempt))) is not None:
                last[found] = _after(last[found], event)
        elif isinstance(event, e.ProbeAnswered) and (found := latest.get(event.step)) is not None:
            last[found] = _looked(last[found], event)
    return [
        Claim(run_id=state.run_id, step=place[0], tool=place[1], key=place[2], calls=count, says=_says(state, place, last[place]))
        for place, count in calls.items()
    ]


def _after(before: Says, event: e.CallSucceeded | e.CallPartial | e.CallFailed | e.CallUnknown | e.CallDeferred) -> Says:
    """What holds after an outcome. A doubt outlives later failures; success under the same key settles it."""
    match event:
        case e.CallSucceeded() | e.CallPartial():
            return "done"
        case e.CallFailed(failure=failure):
            return "open" if failure.landed else before
        case _:
            return before if before == "done" else "open"


def _looked(before: Says, event: e.ProbeAnswered) -> Says:
    match event.verdict:
        case "happened":
            return "done"
        case "not_happened":
            return "not done" if before == "open" else before
        case _:
            return before


def _says(state: State, place: tuple[str, str, str], said: Says) -> Says:
    """The claim as the run was left: what is in flight or in doubt at its end is open, what a person settled is theirs."""
    step: StepState | None = state.steps.get(place[0])
    if step is None or step.key != place[2]:
        return said
    if step.settled_by == "person" and said != "done":
        return "a person said"
    if step.phase == "done" and step.settled_by in ("callback", "signal", "child"):
        return "done"
    if step.phase == "flying" or step.doubt_since is not None or step.phase == "owed":
        return said if said == "done" else "open"
    return said


def disagreements(journal: Iterable[Claim], ledger: Sequence[Effect]) -> list[str]:
    """Where the two differ, a sentence each; empty where they say the same."""
    found: list[str] = []
    keyed = Counter((effect.tool, effect.key) for effect in ledger if effect.key)
    keyless = Counter(effect.tool for effect in ledger if not effect.key)
    by_key: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in journal:
        by_key[claim.tool, claim.key].append(claim)
    for (tool, key), several in by_key.items():
        if not keyless[tool]:
            found += _compared(_strongest(several), keyed.get((tool, key), 0))
    found += [
        f"{tool}: the ledger has {_times(count)} under the key {key[:12]}, which no call of the journal carries"
        for (tool, key), count in keyed.items()
        if (tool, key) not in by_key
    ]
    return found + [problem for tool, count in keyless.items() for problem in _counted(tool, count + _of(keyed, tool), by_key)]


def _strongest(several: Sequence[Claim]) -> Claim:
    """Of steps that share a key, the one that claims most: they were one call."""
    order: tuple[Says, ...] = ("done", "a person said", "open", "not done")
    return min(several, key=lambda claim: order.index(claim.says))


def _compared(claim: Claim, count: int) -> list[str]:
    least, most = _ALLOWED[claim.says]
    if least <= count <= most:
        return []
    sent = f", which sent {claim.calls} requests" if claim.calls > 1 else ""
    where = f"{claim.tool}: {'a person said' if claim.says == 'a person said' else 'the journal says'}"
    said = "what became of it" if claim.says == "a person said" else claim.says
    return [f"{where} {said} of step {claim.step}{sent}; the ledger has {_times(count)} under its key"]


def _counted(tool: str, count: int, by_key: Mapping[tuple[str, str], Sequence[Claim]]) -> list[str]:
    spans = [_ALLOWED[_strongest(several).says] for (name, _), several in by_key.items() if name == tool]
    least, most = sum(low for low, _ in spans), sum(high for _, high in spans)
    if least <= count <= most:
        return []
    allowed = f"{least}" if least == most else f"{least} to {most}"
    return [f"{tool}: the journal knows of {allowed} effect{'' if most == 1 else 's'}; the ledger has {_times(count)}"]


def _of(keyed: Mapping[tuple[str, str], int], tool: str) -> int:
    return sum(count for (name, _), count in keyed.items() if name == tool)


def _times(count: int) -> str:
    return {0: "none", 1: "one effect"}.get(count, f"{count} effects")
