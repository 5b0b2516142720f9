"""What is taken back when a run stops: the calls that undo what it did, the last first; and what cannot be undone.

Undo steps are steps like any other: journalled, retried, asked about, settled when in doubt. Each waits for the one
before it to end, whatever came of that. One that does not work is put to a person.
"""

from __future__ import annotations

from typing import Any

from holdfast.core.contract import Contract
from holdfast.core.plan import Step
from holdfast.core.references import LITERAL, Missing, as_arguments, fill
from holdfast.core.state import State, StepState

_BY_THE_RUN = ("call", "probe", "callback", "signal", "child")


def undo_plan(state: State) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps that take back what was really done, and the names of those that stay done because they cannot be."""
    steps: list[Step] = []
    kept: list[str] = []
    for step in sorted((state.steps[name] for name in state.order), key=lambda step: -step.done_at):
        contract = state.contracts.get(step.tool)
        if step.step.id in state.undone or not _changed_the_world(step, contract):
            continue
        undo = undo_step(state, step, step.value, after=(steps[-1].id,) if steps else ())
        overdue = step.phase != "done" and step.failure is not None and step.failure.kind == "overdue"
        if undo is None or overdue or step.settled_by == "person" or _may_be_taken_back(state, step.step.id):
            kept.append(step.step.id)
        else:
            steps.append(undo)
    return tuple(steps), tuple(kept)


def undo_step(state: State, step: StepState, result: Any, after: tuple[str, ...] = ()) -> Step | None:
    """The call that takes a step back; None where its tool names none, or its arguments are not to be had."""
    contract = state.contracts.get(step.tool)
    undo = state.contracts.get(contract.undo) if contract is not None and contract.undo is not None else None
    if contract is None or undo is None:
        return None
    args = undo_arguments(contract, undo, step.args or {}, result)
    if args is None:
        return None
    name = step.step.id
    return Step(id=_free_name(state, name), tool=undo.tool, args=args, after=after, on_failure="ask", undoes=name)


def undo_arguments(contract: Contract, undo: Contract, args: dict[str, Any], result: Any) -> dict[str, Any] | None:
    """The arguments of the call that takes a call back, as a plan would write them; None where one is missing.

    With `undo_args`: as written there, with references to `args` and `result`. Else by name: from the result's parts, then
    from the call's own arguments; `result` is the result itself.
    """
    if contract.undo_args is not None:
        try:
            found = fill(contract.undo_args, result=result, args=args)
        except Missing:
            return None
        assert isinstance(found, dict), "arguments are a table"
        return found
    parts = result if isinstance(result, dict) else {}
    taken: dict[str, Any] = {}
    for name in undo.input_schema.get("properties", {}):
        if name == "result":
            taken[name] = {LITERAL: result}
        elif name in parts:
            taken[name] = {LITERAL: parts[name]}
        elif name in args:
            taken[name] = as_arguments(args[name])
        elif name in undo.input_schema.get("required", ()):
            return None
    return taken


def _changed_the_world(step: StepState, contract: Contract | None) -> bool:
    """Whether the step did something that is still so. What was skipped or failed may have landed all the same."""
    if step.step.undoes or (contract is not None and contract.safety == "read"):
        return False
    if step.phase == "done":
        return step.settled_by in _BY_THE_RUN or step.settled_by == "person"
    return step.landed


def _may_be_taken_back(state: State, name: str) -> bool:
    """Whether a step that the plan has for it took something of this one back, or may have: it is not taken back twice."""
    undoing = (state.steps[other] for other in state.order if state.steps[other].step.undoes == name)
    return any(step.phase not in ("blocked", "ready", "skipped", "failed") or step.landed or step.flagged for step in undoing)


def _free_name(state: State, name: str) -> str:
    found, number = f"undo_{name}", 2
    while found in state.steps:
        found, number = f"undo_{name}_{number}", number + 1
    return found
