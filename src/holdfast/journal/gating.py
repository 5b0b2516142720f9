"""What a batch asks of the gates of tools and what they learn from it, for any store: the store reads and writes one small
record a tool, and what becomes of it is found here."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from holdfast.core.gates import GateState, Why, admit, heard, room
from holdfast.journal.base import Batch, Gated


class Gating(msgspec.Struct, frozen=True, kw_only=True):
    """passed: new states, to be kept when the batch is written. Where one of its calls may not be made, `free` or `held` says
    so as `Full` does, nothing of the batch is written, and `told` is to be kept in place of `passed`."""

    passed: dict[str, GateState] = {}
    free: dict[str, int] = {}
    held: dict[str, tuple[float, Why]] = {}
    told: dict[str, GateState] = {}


def gating(batch: Batch, known: Callable[[str], GateState | None]) -> Gating:
    """What the gates say to a batch. known: what the store has of a tool's gate. Only states that change are given back."""
    wanted = _by_tool(batch.gated)
    before = {tool: known(tool) or GateState() for tool in dict.fromkeys((*(end.tool for end in batch.heard), *wanted))}
    after, free, held, told = dict(before), {}, {}, {}
    for end in batch.heard:
        after[end.tool] = heard(
            after[end.tool], batch.at, outcome=end.outcome, breaker=end.breaker, retry_after_seconds=end.retry_after_seconds
        )
    learned = {end.tool for end in batch.heard}
    for tool, gated in wanted.items():
        state, refusal = admit(after[tool], batch.at, calls=gated.calls, rate=gated.rate, breaker=gated.breaker, turn=gated.turn)
        if refusal is None:
            after[tool] = state
        elif places := room(after[tool], batch.at, rate=gated.rate, breaker=gated.breaker, turn=gated.turn):
            free[f"tool:{tool}"] = places
        else:
            held[tool] = refusal
            # What was heard is not written yet; it comes again with the batch that asks for less.
            told[tool] = msgspec.structs.replace(before[tool], hint=state.hint) if tool in learned else state
    passed = {tool: state for tool, state in after.items() if state != before[tool]}
    return Gating(passed=passed, free=free, held=held, told=told)


def _by_tool(gated: tuple[Gated, ...]) -> dict[str, Gated]:
    """One for each tool, of all its calls."""
    found: dict[str, Gated] = {}
    for one in gated:
        before = found.get(one.tool)
        turns = [turn for turn in (one.turn, before.turn if before is not None else None) if turn is not None]
        calls = one.calls + (before.calls if before is not None else 0)
        found[one.tool] = msgspec.structs.replace(one, calls=calls, turn=min(turns, default=None))
    return found
