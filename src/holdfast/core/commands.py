"""What the core asks for: effects for the runner to perform, and the keys that name them.

A command is only given out together with its intent: the runner must have the intent durably written before it
performs the command, and must bring back exactly one outcome for it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from holdfast.core.contract import Contract, Scope
from holdfast.core.limits import Limits
from holdfast.core.models import ModelTerms, Reserved
from holdfast.core.plan import Expect
from holdfast.core.thinking import Phase


class CallTool(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Call a tool; bring back CallSucceeded, CallPartial, CallDeferred, CallFailed or CallUnknown.

    send_by: seconds since the epoch, after which it must not be sent any more; bring back CallFailed then. expect: what
    must be true afterwards, its arguments resolved. limits: for a tool that starts a run, the most that it may use.
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
    expect: Expect | None = None
    limits: Limits | None = None


class RunProbe(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ask the tool whether the call with this key happened; bring back ProbeAnswered. owed: it did, and what is asked is
    whether what it owes has come; the tool's poll is asked, or else its probe. handle: the other side's name for it."""

    step: str
    probe: int
    attempt: int
    tool: str
    args: dict[str, Any]
    key: str
    occurrence: int
    timeout_seconds: float
    owed: bool = False
    handle: str = ""
    expect: Expect | None = None


class AskReasoner(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ask the reasoner; bring back what it proposes (PlanAdopted, PlanKept, QuestionsProposed, GoalInterpreted, FinishProposed,
    GiveUpProposed or ProposalFailed), with ModelAnswered before it where a model was asked; or ModelFailed.

    model: which one is asked; reserved: the most that the request may use. terms: of the model.
    """

    turn: int
    phase: Phase = "plan"
    model: str = ""
    terms: ModelTerms | None = None
    reserved: Reserved | None = None
    attempt: int = 1
    timeout_seconds: float = 600.0


class CheckCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ask functions of the user's whether a rule of the policy matches; bring back ChecksAnswered. step: empty where it is
    about a plan. call: the digest that the answers are good for. document: what they are shown."""

    call: str
    checks: tuple[str, ...]
    document: dict[str, Any]
    step: str = ""
    timeout_seconds: float = 60.0


class Recall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Look for what earlier runs learned; bring back MemoryRecalled. thread, tenant: whose memory it is."""

    query: str
    count: int
    tenant: str
    thread: str
    timeout_seconds: float = 60.0


Command = CallTool | RunProbe | AskReasoner | CheckCall | Recall

# How the places begin that a business key of the scope `store` has.
ONCE = "once:"


def child_run_id(run_id: str, step: str, occurrence: int) -> str:
    """The id of the run that a step starts: the same on every attempt, another one for an intended repeat."""
    return f"{run_id}.{step}" + (f".{occurrence}" if occurrence > 1 else "")


def call_key(
    run_id: str, tool: str, step: str, business: tuple[str, ...], args: dict[str, Any], occurrence: int, scope: Scope = "run"
) -> str:
    """The key of a call: the same on every attempt, another one for an intended repeat.

    It is made from the run, the tool and what the call is about: the values of the business key where the tool
    declares one, else the step. Position, attempt and time have no part in it. A business key of the scope `store` is the
    same in every run.
    """
    about: Any = [args.get(name) for name in business] if business else ["step", step]
    where = "" if business and scope == "store" else run_id
    digest = hashlib.sha256(msgspec.json.encode([where, tool, about, occurrence], order="deterministic"))
    return "hf-" + digest.hexdigest()[:32]


def once_name(contract: Contract, args: dict[str, Any]) -> str | None:
    """The name of the one place that a call has in a store by its business key, whatever its occurrence; None where its key
    counts in its run only."""
    if contract.business_scope != "store" or not contract.business_key:
        return None
    return ONCE + call_key("", contract.tool, "", contract.business_key, args, 0, "store")


def once_seconds(contract: Contract) -> float:
    """For how long nobody else may take that place for a call of which nothing more is heard."""
    doubt = contract.settles_within_seconds + contract.probe_window_seconds
    return contract.timeout_seconds + max(doubt, contract.owed_within_seconds, contract.visible_within_seconds or 0.0)
