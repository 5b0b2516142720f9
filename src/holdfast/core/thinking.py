"""How a run thinks: its phases, which models it asks in which of them, how far it plans, and when it asks a person.

All of it is declared with the agent and written down when the run starts, like the contracts of tools, so that whoever
reads the run later knows by what it was decided.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from holdfast.core.contract import Breaker, Retry
from holdfast.core.models import ModelTerms

Phase = Literal["interpret", "plan", "reflect", "diagnose", "complete"]
PHASES: tuple[Phase, ...] = ("interpret", "plan", "reflect", "diagnose", "complete")
Reassess = Literal["step", "surprise", "never"]
AskPolicy = Literal["weigh", "always", "never"]
WHOLE_PLAN = 0


class Asking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whether a person is asked for something that the goal does not say, or whether it may be inferred.

    policy: `always` ask, `never` ask, or `weigh`: a guess is taken where (1 - confidence) * cost_of_wrong is at most
    cost_of_asking. The costs are in any unit, as long as it is the same one.
    """

    policy: AskPolicy = "weigh"
    cost_of_asking: float = 1.0
    cost_of_wrong: float = 5.0


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the run does not know. name: of the fact that the answer becomes. answer_schema: JSON Schema of the answer.
    options: answers that the agent prepared. guess, confidence (0 to 1), basis: what it would take instead, and why; rests_on:
    the facts that the guess rests on."""

    name: str
    text: str
    why: str = ""
    answer_schema: dict[str, Any] = {}
    options: tuple[Any, ...] = ()
    has_guess: bool = False
    guess: Any = None
    confidence: float = 0.0
    basis: str = ""
    rests_on: tuple[str, ...] = ()


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What counts as done. that: a jmespath expression over the proposed result (as `result`) and the facts (as `facts`).
    tool: a `read` tool that is called with the result (and with `goal`, `facts` and `steps`, the results of all steps, where it
    has such arguments), and answers true, false, why not, or {accepted, reason}. finishes_max: how often a result may be refused
    before the run stops."""

    that: str = ""
    tool: str = ""
    finishes_max: int = 3


class Thinking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a run thinks; for a run whose reasoner is a model.

    models: every model that may be asked, with its terms. routes: for each phase, the names of models in order; under "" for
    all other phases. cheaper: models for when the money runs short, the cheapest last. horizon: how many steps a proposal may
    have in a row; WHOLE_PLAN for all. reassess: when a plan that is under way is looked at again. interpret: whether the first
    turn says what is meant, known, missing and assumed. asking: by name of a missing input, or under "" for all others.
    confidence_min: a plan that the model trusts less is put to a person, call by call. repairs_max: proposals in a row that
    cannot be taken. failures_max: steps that fail in a row before the plan counts as wrong. retry, breaker: of requests to a
    provider. overhead_bytes: of each request before any of the run is in it (instructions and tools). recall: how many
    memories are looked for at the start; 0 for none. result_schema: of the result. inputs: JSON Schema of each declared input,
    by name. instructions: the digest of what the agent is told.
    """

    models: dict[str, ModelTerms]
    routes: dict[str, tuple[str, ...]]
    cheaper: tuple[str, ...] = ()
    horizon: int = 1
    reassess: Reassess = "surprise"
    interpret: bool = False
    asking: dict[str, Asking] = {}
    confidence_min: float = 0.0
    repairs_max: int = 3
    failures_max: int = 3
    retry: Retry = Retry(attempts_max=8, backoff_seconds=2.0, backoff_seconds_max=300.0)
    breaker: Breaker | None = None
    overhead_bytes: int = 0
    recall: int = 0
    result_schema: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    instructions: str = ""


def gate_name(terms: ModelTerms) -> str:
    """The name of the gate that the requests to a provider pass; no tool can have it."""
    return f"model:{terms.provider}"
