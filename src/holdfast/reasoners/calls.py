"""Calls of a model that become steps: calls of the agent's tools, intended repeats, and calls that take one back.

The arguments of a call are data: what looks like a reference or a secret in them is neither. What rests on a fact says so, so
that a correction of the fact finds it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from holdfast.core import references
from holdfast.core.contract import Contract, digest
from holdfast.core.facts import Fact
from holdfast.core.plan import Plan, Step
from holdfast.core.references import LITERAL, REF, SECRET
from holdfast.core.soundness import problems
from holdfast.core.state import ENDED, State, StepState, secret_names, standing_effect
from holdfast.core.undo import undo_step
from holdfast.reasoners.verbs import REPEAT, UNDO
from holdfast.reasoners.words import clean, line

PROBLEM_MAX = 600
# Of several problems of one call, so many are told.
PROBLEMS_MAX = 5
_MAY_REPEAT = ("read", "idempotent")
_NO_ID = re.compile(r"\W", re.ASCII)


def step_of_call(tool: str, args: dict[str, Any], state: State, offered: Iterable[str]) -> Step | str:
    """The step that a call becomes, still without its id; or why it becomes none."""
    contract = state.contracts.get(tool)
    if contract is None:
        return f"there is no tool {line(tool, 100)}{_meant(tool, [*state.contracts, *offered])}"
    if form := next((name for name in args if name in (REF, SECRET, LITERAL)), None):
        return f"{tool} has no argument {form}; arguments are plain values here"
    if hidden := next((name for name in args if name in contract.secrets), None):
        return f"{hidden} is put in by itself when {tool} is called; leave it out"
    step = Step(
        id="call",
        tool=tool,
        args=with_secrets(references.quoted(args), contract),
        on_failure="replan",
        rests_on=resting_on(args, state.facts),
    )
    plan = Plan(steps=(step,), final=False)
    found = problems(plan, state.contracts, state.goal.inputs, (), secret_names(state))
    if found:
        return told([problem.removeprefix("step call: ") for problem in found])
    if (before := repeated(step, state)) is not None:
        return before
    return step


def told(found: list[str]) -> str:
    """Problems as one text."""
    more = [f"and {len(found) - PROBLEMS_MAX} more"] if len(found) > PROBLEMS_MAX else []
    return "; ".join([*(clean(problem, PROBLEM_MAX) for problem in found[:PROBLEMS_MAX]), *more])


def with_secrets(args: dict[str, Any], contract: Contract) -> dict[str, Any]:
    """The arguments with the secrets that a tool needs, each under its own name; a model knows of none."""
    needed = [name for name in contract.secrets if name in contract.input_schema.get("required", ()) and name not in args]
    return args | {name: {SECRET: name} for name in needed}


def resting_on(args: Any, facts: Mapping[str, Fact]) -> tuple[str, ...]:
    """The facts whose value stands among the arguments: texts of two characters and more whatever their case, and numbers."""
    if not facts:
        return ()
    said = set(_scalars(args))
    return tuple(name for name, fact in facts.items() if (scalar := _scalar(fact.value)) is not None and scalar in said)


def _scalars(value: Any) -> Iterator[str | float]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _scalars(part)
    elif isinstance(value, list):
        for part in value:
            yield from _scalars(part)
    elif (scalar := _scalar(value)) is not None:
        yield scalar


def _scalar(value: Any) -> str | float | None:
    if isinstance(value, str):
        words = value.strip().casefold()
        return words if len(words) >= 2 else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


# --- repeats ------------------------------------------------------------------------------------------------------


def repeated(step: Step, state: State) -> str | None:
    """Why a call that changes the world is not made: the very same one was made, or is under way. None where it may be."""
    name = standing_effect(state, fingerprint(step), step.occurrence) if _is_once(step, state) else None
    if name is None:
        return None
    if state.steps[name].phase in ENDED:
        return f"step {name} did this; use its result, or {REPEAT} if you mean it to happen again"
    return f"step {name} is doing this, or may have done it; it is not repeated before that is settled"


def same_twice(steps: Iterable[Step], state: State) -> dict[str, str]:
    """Of steps with the same effect, all but the first: their ids, and that of the first."""
    seen: dict[str, str] = {}
    found = {}
    for step in steps:
        if _is_once(step, state):
            first = seen.setdefault(fingerprint(step) + f"/{step.occurrence}", step.id)
            if first != step.id:
                found[step.id] = first
    return found


def fingerprint(step: Step) -> str:
    """Of a call, as the core keeps those that were made; for arguments without references."""
    return digest([step.tool, _resolved(step.args)])


def _resolved(args: Any) -> Any:
    return references.resolve(args, {}, lambda name: None, for_call=True)


def _is_once(step: Step, state: State) -> bool:
    contract = state.contracts.get(step.tool)
    if contract is None or contract.safety in _MAY_REPEAT or step.undoes:
        return False
    return not any(True for _ in references.find(step.args))


def repeat_of(args: Mapping[str, Any], state: State) -> Step | str:
    """The step that makes a call of an earlier step once more; or why there is none."""
    before = _named(args["step"], state)
    if isinstance(before, str):
        return before
    if before.phase not in ENDED:
        return f"step {before.step.id} has not ended ({before.phase}); it is not repeated before that is settled"
    if before.step.undoes:
        return f"step {before.step.id} took another one back; {UNDO} names what is to be taken back"
    if before.args is None:
        return f"step {before.step.id} was never made; propose the call itself"
    contract = state.contracts.get(before.tool)
    if contract is None:
        return f"there is no tool {before.tool} any more"
    again = references.as_arguments(before.args)
    highest = max(other.occurrence for name in state.order if _is_same_call(other := state.steps[name], before, contract))
    return Step(
        id="call", tool=before.tool, args=again, on_failure="replan", occurrence=highest + 1,
        rests_on=resting_on(references.unmarked(before.args), state.facts),
    )  # fmt: skip


def _is_same_call(step: StepState, before: StepState, contract: Contract) -> bool:
    if step.tool != before.tool or step.args is None or before.args is None:
        return False
    if contract.business_key:
        return all(step.args.get(name) == before.args.get(name) for name in contract.business_key)
    return step.args == before.args


def undo_of(args: Mapping[str, Any], state: State) -> Step | str:
    """The step that takes an earlier one back; or why there is none."""
    before = _named(args["step"], state)
    if isinstance(before, str):
        return before
    name = before.step.id
    contract = state.contracts.get(before.tool)
    if before.phase != "done" and not before.landed:
        return f"step {name} did nothing that could be taken back ({before.phase})"
    if before.phase not in ENDED:
        return f"step {name} has not ended ({before.phase})"
    if before.step.undoes or contract is None or contract.safety == "read":
        return f"step {name} changed nothing that could be taken back"
    if name in state.undone or before.undo:
        return f"step {name} was taken back already"
    open_undo = next((other for other in reversed(state.order) if state.steps[other].step.undoes == name), None)
    if open_undo is not None and state.steps[open_undo].phase not in ("skipped", "failed"):
        return f"step {open_undo} takes step {name} back"
    undo = undo_step(state, before, before.value)
    if undo is None:
        return f"{before.tool} names no way to take step {name} back"
    return undo


def _named(name: str, state: State) -> StepState | str:
    step = state.steps.get(name.removeprefix("steps."))
    return step if step is not None else f"there is no step {line(name, 100)}{_meant(name, state.order[-200:])}"


# --- ids ----------------------------------------------------------------------------------------------------------


def with_ids(calls: list[tuple[str, Step]], state: State, turn: int) -> list[Step]:
    """The steps of calls (each with the id of its call) under ids of their own: the tool and the turn, and a letter for
    each further one, in the order of the calls' ids. Where a call stands in an answer says nothing."""
    named: dict[int, Step] = {}
    used: set[str] = set()
    counts: dict[str, int] = {}
    for number in sorted(range(len(calls)), key=lambda number: calls[number][0]):
        step = calls[number][1]
        stem = f"{_NO_ID.sub('_', step.tool)}_{turn}"
        stem = stem if not stem[0].isdigit() else f"_{stem}"
        if step.undoes and step.id not in used:
            name = step.id
        else:
            while (name := stem + _letters(counts.get(stem, 0))) in state.steps or name in used:
                counts[stem] = counts.get(stem, 0) + 1
            counts[stem] = counts.get(stem, 0) + 1
        used.add(name)
        named[number] = replace(step, id=name)
    return [named[number] for number in range(len(calls))]


def _letters(number: int) -> str:
    """ "" for the first, then b, c … z, ba, bb …: a stands for none."""
    found = ""
    while number:
        number, rest = divmod(number, 26)
        found = chr(ord("a") + rest) + found
    return found


def _meant(name: str, names: Iterable[str]) -> str:
    best = difflib.get_close_matches(name[:100], list(names), n=1)
    return f" (did you mean {best[0]}?)" if best else ""
