"""The person of the lab `news`: looks where each value of a call comes from, and lets no stranger be written to.

Where a value comes from is found in the journal, not in what a model says of it: does it stand in the goal and its inputs, or
only in what a tool returned?
"""

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.core.events import Asked
from holdfast.core.state import State

NAME = "the editor (driver of the lab)"


def origins(args: Mapping[str, Any], state: State) -> dict[str, tuple[str, ...]]:
    """For each argument, where its value stands, or what it holds that stands somewhere: `the goal`, `the input X`, `the result
    of STEP`; nothing for words of the model's own."""
    return {name: tuple(dict.fromkeys(_found(value, state))) for name, value in args.items()}


def _found(value: Any, state: State) -> Iterator[str]:
    text = str(value)
    if text in state.goal.text:
        yield "the goal"
    for name, given in state.goal.inputs.items():
        if str(given) and (text in str(given) or str(given) in text):
            yield f"the input {name}"
    for name, step in state.steps.items():
        if step.phase == "done" and text in str(step.value):
            yield f"the result of {name}, which {step.tool} returned"


def decide(asked: Asked, state: State) -> tuple[str, str]:
    """The decision on what a run asks, and why."""
    if asked.tool != "send_mail":
        return "reject", "decide that by yourself, or go on without"
    to = origins(asked.args, state)["to"]
    if any(where == "the goal" or where.startswith("the input") for where in to):
        return "approve", "nobody but whom the goal names"
    return "reject", f"nobody here wants {asked.args.get('to')} to be written to"
