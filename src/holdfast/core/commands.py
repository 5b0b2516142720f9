"""What the core asks for: effects for the runner to perform, and the keys that name them.

A command is only given out together with its intent: the runner must have the intent durably written before it
performs the command, and must bring back exactly one outcome for it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from holdfast.core.contract import Contract


class CallTool(msgspec.Struct, frozen=True, kw_only=True):
    """Call a tool; bring back CallSucceeded, CallPartial, CallDeferred, CallFailed or CallUnknown.

    send_by: seconds since the epoch, after which it must not be sent any more; bring back CallFailed then.
    """

    step: str
    attempt: int
    tool: str
    args: dict[str, Any]
    key: str
    occurrence: int
    timeout_seconds: float
    contract: Contract
    send_by: float | None = None


class RunProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the tool whether the call with this key happened; bring back ProbeAnswered."""

    step: str
    probe: int
    attempt: int
    tool: str
    args: dict[str, Any]
    key: str
    occurrence: int
    timeout_seconds: float


class AskReasoner(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the reasoner; bring back PlanAdopted, FinishProposed, GiveUpProposed or ProposalFailed."""

    turn: int


Command = CallTool | RunProbe | AskReasoner


def call_key(run_id: str, tool: str, step: str, business: tuple[str, ...], args: dict[str, Any], occurrence: int) -> str:
    """The key of a call: the same on every attempt, another one for an intended repeat.

    It is made from the run, the tool and what the call is about: the values of the business key where the tool
    declares one, else the step. Position, attempt and time have no part in it.
    """
    about: Any = [args.get(name) for name in business] if business else ["step", step]
    digest = hashlib.sha256(msgspec.json.encode([run_id, tool, about, occurrence], order="deterministic"))
    return "hf-" + digest.hexdigest()[:32]
