"""What a policy looks at: a call, or a plan, that is about to be, and the run that it belongs to, laid out as JSON.

args        the arguments, whole; secrets stay closed, references are replaced
amount      the number in the argument that the tool names as its amount (or in one called `amount`), else null
tool, safety, agent, tenant, labels, inputs
confidence  how sure the reasoner is, 0 to 1
facts       by name, the values of what is believed and the call rests on
inferred    whether it rests on a guess that nobody confirmed
tainted     whether it rests on what an untrusted tool returned, or was planned by a model that had read such
revision    of the plan
spent_usd   by the run so far
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from holdfast.core import references
from holdfast.core.conditions import CALL_WORDS as CALL_WORDS
from holdfast.core.conditions import NUMBER
from holdfast.core.conditions import PLAN_WORDS as PLAN_WORDS
from holdfast.core.contract import Contract
from holdfast.core.facts import is_guess
from holdfast.core.plan import Plan
from holdfast.core.provenance import facts_beneath, is_tainted
from holdfast.core.state import State, StepState


def proposed_call(state: State, step: StepState, contract: Contract, args: dict[str, Any]) -> dict[str, Any]:
    """A call, as rules see it."""
    facts = facts_beneath(state, step.step.id)
    shown = references.unmarked(args)
    return {
        "args": shown,
        "amount": amount_in(contract, shown),
        "tool": step.tool,
        "safety": contract.safety,
        "confidence": step.step.confidence,
        "facts": {fact.name: fact.value for fact in facts},
        "inferred": any(is_guess(fact) and not fact.stale for fact in facts),
        "tainted": is_tainted(state, step.step.id),
        **_run(state),
    }


def proposed_plan(state: State, plan: Plan) -> dict[str, Any]:
    """A plan that was adopted and has not begun, as rules see it. steps: how many; tools: of its steps, each once."""
    return {
        "steps": len(plan.steps),
        "tools": list(dict.fromkeys(step.tool for step in plan.steps)),
        "confidence": min((step.confidence for step in plan.steps), default=1.0),
        "facts": {name: fact.value for name, fact in state.facts.items()},
        **_run(state),
    }


def amount_in(contract: Contract, args: dict[str, Any]) -> float | None:
    """The number that the call is about; None where it has none."""
    value = args.get(contract.amount or "amount")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if isfinite(number) else None


def _run(state: State) -> dict[str, Any]:
    return {
        "agent": state.agent,
        "tenant": state.tenant,
        "labels": state.labels,
        "inputs": state.goal.inputs,
        "revision": state.revision,
        "spent_usd": float(state.spent.cost_usd),
    }
