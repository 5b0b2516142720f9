"""A state as bytes and back: what a checkpoint holds. It is derived from the events and may be thrown away at any time.

A checkpoint is only believed by a release that would have folded the same: `FORM` names the shape of the records and the
rules of `evolve`. Whoever changes a rule without changing a record raises FOLD_VERSION.
"""

from __future__ import annotations

from typing import Any

import msgspec
from rpds import HashTrieMap

from holdfast.core import events
from holdfast.core.contract import Breaker, Contract, Difference, Rate, Retry, digest
from holdfast.core.facts import Fact
from holdfast.core.ladder import Hours, Ladder, Rung
from holdfast.core.limits import Limits
from holdfast.core.models import ModelTerms, Part, Price, Reserved, Usage
from holdfast.core.pending import Pending
from holdfast.core.plan import Expect, Fallback, Goal, Plan, Step
from holdfast.core.policy import Check, Policy, Rule, Ruling
from holdfast.core.state import Setback, Standing, State, StepState, Turn
from holdfast.core.thinking import Acceptance, Asking, Question, Thinking

FOLD_VERSION = 5

_RECORDS = (
    State, StepState, Step, Fallback, Expect, Goal, Contract, Rate, Breaker, Difference, Retry, Limits, Pending, events.Asked,
    events.Option, events.Failure, events.AgentChanged, events.CancelRequested, events.CallbackReceived, events.SignalReceived,
    events.Cut, events.ProposalRequested, Turn, Setback, Thinking, Asking, Question, Acceptance, ModelTerms, Price, Usage,
    Reserved, Part, Fact, Plan, Policy, Rule, Ruling, Check, Ladder, Rung, Hours, Standing, events.ChecksAnswered,
    events.RunPaused, events.Instructed, events.HandoffRequested, events.RunForked, events.Recorded, events.Scripted,
    events.CallSucceeded, events.CallPartial, events.CallDeferred, events.CallFailed, events.CallUnknown, events.Change,
)  # fmt: skip
FORM = digest([FOLD_VERSION, [[record.__name__, record.__struct_fields__] for record in _RECORDS]])
_MAPS: dict[str, Any] = {
    "steps": dict[str, StepState],
    "dependents": dict[str, tuple[str, ...]],
    "business": dict[str, str],
    "known": dict[str, str],
    "done_calls": dict[str, str],
    "call_ids": dict[str, str],
    "decided": dict[str, str],
    "fork_record": dict[str, tuple[int, ...]],
    "fork_calls": dict[str, int],
}


def to_bytes(state: State) -> bytes:
    """The state, whole."""
    maps = {name: dict(getattr(state, name)) for name in _MAPS}
    plain = {field: getattr(state, field) for field in State.__struct_fields__ if field not in _MAPS}
    # JSON, as in the journal: other forms have no whole numbers beyond 64 bits.
    return msgspec.json.encode([plain, maps])


def from_bytes(body: bytes) -> State:
    """The state that was written; ValueError where it cannot be read (then fold the events instead)."""
    try:
        plain, maps = _decoder.decode(body)
        fields: dict[str, Any] = {name: msgspec.convert(value, _types[name]) for name, value in plain.items()}
        for name, form in _MAPS.items():
            fields[name] = HashTrieMap(msgspec.convert(maps[name], form))
        return State(**fields)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError(f"no checkpoint of this form: {error}") from error


_decoder = msgspec.json.Decoder(tuple[dict[str, Any], dict[str, Any]])
_types: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(State)}
