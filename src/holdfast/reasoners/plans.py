"""A plan that a model proposes: steps by id in the form of a plan file, checked as far as it can be before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from holdfast.core.evolve.minds import has_begun
from holdfast.core.plan import Plan, Step, waits_for
from holdfast.core.references import LITERAL, REF, SECRET
from holdfast.core.soundness import problems
from holdfast.core.state import State, secret_names
from holdfast.core.thinking import WHOLE_PLAN, Thinking
from holdfast.reasoners.base import Propose
from holdfast.reasoners.calls import repeated, resting_on, same_twice, with_secrets
from holdfast.reasoners.planfile import step_of
from holdfast.reasoners.words import clean, line

REASON_MAX = 1_000


def planned(args: Mapping[str, Any], state: State, thinking: Thinking, found: list[str]) -> Propose:
    """The plan that a model means. Problems are added to `found`."""
    steps = [step for name, form in args["steps"].items() if (step := _step(name, form, state, found)) is not None]
    dropped = tuple(dict.fromkeys(args.get("dropped", ())))
    confidence = float(args.get("confidence", 1.0))
    reason = clean(args.get("reason", ""), REASON_MAX)
    if not args["steps"] and not dropped:
        found.append("there is no step in it, and none is dropped; keep_plan leaves a plan as it is")
    if found:
        return Propose(plan=Plan(steps=(), final=False))
    doubted = [step for step in steps if min(confidence, step.confidence) < thinking.confidence_min]
    if doubted:
        steps = [_with_approval(step, state) if step in doubted else step for step in steps]
        least = min(confidence, *(step.confidence for step in doubted))
        said = f"a person is asked before each such call: the confidence is {least:g}, under {thinking.confidence_min:g}"
        reason = f"{reason} ({said})".lstrip()
    plan = Plan(steps=tuple(steps), final=False)
    found.extend(problems(plan, state.contracts, state.goal.inputs, state.order, secret_names(state)))
    found.extend(_dropped_problems(plan, dropped, state))
    if not found:
        found.extend(_repeat_problems(plan, state))
    if not found and thinking.horizon != WHOLE_PLAN and (length := _longest(plan)) > thinking.horizon:
        found.append(f"{length} of its steps wait for one another in a row; at most {thinking.horizon} may")
    return Propose(plan=plan, reason=reason, dropped=dropped, confidence=confidence)


def skeleton(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a plan that was taken, without those of its steps: they are written down with the steps."""
    steps = {name: {key: part for key, part in form.items() if key != "args"} for name, form in args["steps"].items()}
    return {**args, "steps": steps}


def _step(name: str, form: dict[str, Any], state: State, found: list[str]) -> Step | None:
    where = f"step {line(name, 100)}"
    if forbidden := next(_forms_in(form), None):
        found.append(f"{where}: {forbidden} cannot stand in a plan of yours; write the value, or a $ref")
        return None
    form = {key: part for key, part in form.items() if part is not None}
    contract = state.contracts.get(form.get("tool", "")) if isinstance(form.get("tool"), str) else None
    if contract is not None and isinstance(args := form.get("args", {}), dict):
        if hidden := next((secret for secret in contract.secrets if secret in args), None):
            found.append(f"{where}: {hidden} is put in by itself when {contract.tool} is called; leave it out")
            return None
        form["args"] = with_secrets(args, contract)
    # What a plan file has not: the reasoner is told of what fails, and says how sure it is of each step.
    told = form.get("on_failure", "skip" if form.get("optional") is True else "replan") == "replan"
    confidence = form.pop("confidence", 1.0)
    if told:
        form.pop("on_failure", None)
    own: list[str] = []
    step = step_of(name, form, own)
    found.extend(own)
    if step is None:
        return None
    rests_on = (*step.rests_on, *resting_on(_values_in(step.args), state.facts))
    return replace(
        step,
        rests_on=tuple(dict.fromkeys(rests_on)),
        on_failure="replan" if told else step.on_failure,
        confidence=float(confidence),
    )


def _forms_in(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (form for form in (SECRET, LITERAL) if form in value)
    if depth < 100 and isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _forms_in(part, depth + 1)


def _values_in(value: Any) -> Any:
    """What is said in the open: references are no values."""
    if isinstance(value, dict):
        return {} if REF in value or SECRET in value else {name: _values_in(part) for name, part in value.items()}
    return [_values_in(part) for part in value] if isinstance(value, list) else value


def _with_approval(step: Step, state: State) -> Step:
    """A step that a person is asked about, unless it changes nothing."""
    tools = (step.tool, *(fallback.tool for fallback in step.fallbacks))
    contracts = [state.contracts.get(tool) for tool in tools]
    reads = all(contract is not None and contract.safety == "read" for contract in contracts)
    return step if reads else replace(step, approve="always")


def _dropped_problems(plan: Plan, dropped: tuple[str, ...], state: State) -> Iterator[str]:
    for name in dropped:
        step = state.steps.get(name)
        if step is None:
            yield f"there is no step {line(name, 100)} to drop"
        elif has_begun(step) and step.phase != "skipped":  # One that fell in the meantime is dropped already.
            yield f"step {name} has begun ({step.phase}), and cannot be dropped"
    for step_ in plan.steps:
        yield from (f"step {step_.id} waits for {other}, which is dropped" for other in waits_for(step_) if other in dropped)


def _repeat_problems(plan: Plan, state: State) -> Iterator[str]:
    for step in plan.steps:
        if (why := repeated(step, state)) is not None:
            yield f"step {step.id}: {why}"
    for name, first in same_twice(plan.steps, state).items():
        yield f"step {name} has the same effect as step {first}; raise its occurrence if both are meant"


def _longest(plan: Plan) -> int:
    """How many of its steps wait for one another in a row; for a plan without circles."""
    waits = {step.id: waits_for(step) for step in plan.steps}
    lengths: dict[str, int] = {}
    left = list(waits)
    while left:
        name = left[-1]
        open_ones = [other for other in waits[name] if other in waits and other not in lengths]
        if open_ones:
            left.extend(open_ones)
            continue
        lengths[name] = 1 + max((lengths[other] for other in waits[name] if other in waits), default=0)
        left.pop()
    return max(lengths.values(), default=0)
