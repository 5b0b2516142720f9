"""What events are made of: the base of all, and the small records in them."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

FailureKind = Literal[
    "transient", "rate_limited", "invalid_input", "invalid_output", "insufficient", "not_found", "conflict", "denied",
    "unavailable", "crashed", "too_expensive", "overdue", "failed_later",
]  # fmt: skip
Verdict = Literal["happened", "not_happened", "not_yet", "cannot_tell"]
InterruptKind = Literal["approval", "question", "escalation", "handoff"]
# What a question is about: `question` is the reasoner's own, `fact` whether something inferred is so, `reasoner` that no
# model can be asked, `plan` whether a plan as a whole is, `handoff` how a run goes on that somebody took over.
InterruptSubject = Literal[
    "call", "doubt", "failure", "owed", "agent", "stop", "question", "fact", "reasoner", "plan", "handoff"
]  # fmt: skip
OnStop = Literal["keep", "undo", "ask"]
DecisionName = Literal["approve", "edit", "reject", "respond", "cancel"]


# The detail of a failure that is a person's refusal, or their silence: no fallback and no further question follows.
BY_A_PERSON = "by a person"
# The detail of a failure that is the word of a policy.
BY_A_POLICY = "by a policy"


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a call failed, as data. retry_after_seconds: what the other side asked for, counted from the outcome. landed: the
    call had its effect all the same; it is its result that will not do."""

    kind: FailureKind
    message: str = ""
    retry_after_seconds: float | None = None
    detail: Any = None
    landed: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something else that a call changed, as its tool reports it: credit used, a rate limit that is near."""

    name: str
    amount: float = 1.0
    note: str = ""


class Cut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result was too large, and the value is what was kept of it. bytes: of the whole, as JSON. digest: under which the
    whole is stored; empty where it was not kept."""

    bytes: int
    digest: str = ""


class Option(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that may be answered to an interrupt, and what then follows."""

    decision: DecisionName
    means: str


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="event", tag=_tag):
    """Base of all events."""
