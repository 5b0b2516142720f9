"""Goal, steps and plan; and whether a plan is sound before anything of it runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import jsonschema_rs
import msgspec

from holdfast.core import references, values
from holdfast.core.contract import Contract, Gate, Retry, is_sound

OnFailure = Literal["stop", "skip", "flag", "ask"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fallback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Another tool for the same step; args None means the step's own arguments."""

    tool: str
    args: dict[str, Any] | None = None


class Expect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What must be true after a step, beyond what its tool promises.

    that: a jmespath expression over the result, or over the answer of `tool` where one is named. tool, args: a `read` tool
    that looks at the world after the call; where it has an argument `result` it is given the result.
    """

    that: str = ""
    tool: str = ""
    args: dict[str, Any] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One intended action and its strategy.

    id: letters, digits, underscores; unique in the run for ever. args: values and references. after: steps that must
    have ended first, whatever came of them (references add to these by themselves). on_failure: what follows when
    nothing is left to try: `stop` the run, `skip` the step, `flag` it (skip, and name it to a person at the end), or
    `ask` a person while the rest goes on. occurrence: raised only for an intended repeat of what a business key
    calls the same. expect: what must be true afterwards, or the result is insufficient. alternative_to: begin only where
    that step was tried and not done, and stand in for it: who refers to it gets this step's result then. undoes: the step
    that this one takes back.
    """

    id: str
    tool: str
    args: dict[str, Any] = {}
    after: tuple[str, ...] = ()
    retry: Retry | None = None
    timeout_seconds: float | None = None
    on_failure: OnFailure = "stop"
    fallbacks: tuple[Fallback, ...] = ()
    approve: Gate | None = None
    occurrence: int = 1
    expect: Expect | None = None
    alternative_to: str = ""
    undoes: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Steps and what the run's result is made of.

    final: nothing more is to come; when its steps have ended the run has. result: a value with references, as in
    args; None gives the results of all finished steps by id.
    """

    steps: tuple[Step, ...]
    final: bool = True
    result: Any = None


class Goal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked: in words, with inputs (JSON)."""

    text: str = ""
    inputs: dict[str, Any] = {}


def needs(step: Step) -> tuple[str, ...]:
    """The steps whose results this one reads: without them it cannot run."""
    values = (step.args, *(fallback.args for fallback in step.fallbacks)) if step.args or step.fallbacks else ()
    return tuple(dict.fromkeys(name for value in values for ref in references.find(value) for name in ref.steps))


def waits_for(step: Step) -> tuple[str, ...]:
    """The steps that must have ended before this one begins: those it reads, and those it names in `after`."""
    needed = needs(step)
    return tuple(dict.fromkeys((*needed, *step.after))) if step.after else needed


def plain_plan(plan: Plan) -> Plan:
    """The plan as it will be read back. ValueError, which says what and where, for one that is not of JSON and of the types
    that it declares."""
    try:
        return msgspec.convert(values.plain(plan), Plan)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def problems(
    plan: Plan,
    contracts: dict[str, Contract],
    inputs: dict[str, Any] | None,
    before: Iterable[str] = (),
    secrets: frozenset[str] = values.SECRET_NAMES,
) -> list[str]:
    """Everything that makes a plan unsound, each as one sentence; empty when it may run.

    contracts: the tools there are. inputs: the run's inputs, or None where they are not known yet. before: ids of
    the steps that the run has already, which new ones may refer to and must not take again. secrets: names whose values
    are never written down, and a plan is.
    """
    known = set(before)
    found: list[str] = []
    steps: dict[str, Step] = {}
    for step in plan.steps:
        if step.id in steps or step.id in known:
            found.append(f"step {step.id}: the id is taken already")
        steps.setdefault(step.id, step)
    for step in steps.values():
        found.extend(f"step {step.id}: {problem}" for problem in _step_problems(step, steps, known, contracts, inputs))
        found.extend(f"step {step.id}: {_secret_problem(name)}" for name in _secrets_in(step, contracts, secrets))
    found.extend(f"result: {problem}" for problem in _reference_problems(plan.result, steps, known, contracts, inputs))
    found.extend(f"result: {_secret_problem(name)}" for name in values.plain_secrets(plan.result, secrets))
    found.extend(f"the steps {' → '.join(cycle)} wait for one another in a circle" for cycle in _cycles(steps))
    if not plan.steps and plan.final and plan.result is None and not known:
        found.append("there is no step in it")
    return found


def _step_problems(
    step: Step, steps: dict[str, Step], known: set[str], contracts: dict[str, Contract], inputs: dict[str, Any] | None
) -> Iterator[str]:
    if not _NAME.fullmatch(step.id):
        yield "an id has letters, digits and underscores, and starts with no digit"
    if step.occurrence < 1:
        yield "occurrence starts at 1"
    if step.timeout_seconds is not None and not 0 < step.timeout_seconds < float("inf"):
        yield "timeout must be more than nothing"
    if step.retry is not None and not is_sound(step.retry):
        yield "retry needs 1 to 1000 attempts, a factor of at least 1, a jitter between 0 and 1, and a backoff that grows"
    for other in step.after:
        if other not in steps and other not in known:
            yield f"after: there is no step {other}{_meant(other, steps)}"
    contract = contracts.get(step.tool)
    if contract is not None and step.retry is not None and step.retry.attempts_max > 1 and contract.safety == "irreversible":
        yield f"{step.tool} is irreversible and is never retried by itself; leave out retry, or declare a safety that allows it"
    for name, args in (
        (step.tool, step.args),
        *((f.tool, step.args if f.args is None else f.args) for f in step.fallbacks),
    ):
        yield from _call_problems(name, args, contracts)
        yield from _reference_problems(args, steps, known, contracts, inputs)


def _call_problems(tool: str, args: dict[str, Any], contracts: dict[str, Contract]) -> Iterator[str]:
    contract = contracts.get(tool)
    if contract is None:
        yield f"there is no tool {tool}{_meant(tool, contracts)}"
        return
    for problem in references.malformed(args):
        yield f"args: {problem}"
    schema = contract.input_schema
    properties: dict[str, Any] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in args:
            yield f"{tool} needs the argument {name}"
    for name, value in args.items():
        if name not in properties:
            if schema.get("additionalProperties") is False:
                yield f"{tool} has no argument {name}{_meant(str(name), properties)}"
        elif name in contract.secrets:
            if not (isinstance(value, dict) and references.SECRET in value):
                yield f"{name} is a secret of {tool} and must not stand in a plan; write {{$secret: NAME}}"
        elif not _has_forms(value) and (wrong := schema_problem(value, properties[name], schema)):
            yield f"argument {name} of {tool}: {wrong}"


def _secrets_in(step: Step, contracts: dict[str, Contract], secrets: frozenset[str]) -> list[str]:
    """Names of secrets that stand in the open; those that the tool declares are named with its arguments."""
    written = [step.args, *(fallback.args for fallback in step.fallbacks)]
    contract = contracts.get(step.tool)
    declared = contract.secrets if contract is not None else ()
    return [name for name in dict.fromkeys(values.plain_secrets(written, secrets)) if name not in declared]


def _secret_problem(name: str) -> str:
    return f"{name} is never written down, by its name, and must not stand in a plan; write {{$secret: NAME}}"


def _has_forms(value: Any) -> bool:
    """Whether a value is only known at run time, in whole or in part."""
    if isinstance(value, dict):
        return any(form in value for form in (references.REF, references.SECRET, references.LITERAL)) or any(
            map(_has_forms, value.values())
        )
    return isinstance(value, (list, tuple)) and any(map(_has_forms, value))


def _reference_problems(
    value: Any, steps: dict[str, Step], known: set[str], contracts: dict[str, Contract], inputs: dict[str, Any] | None
) -> Iterator[str]:
    for reference in references.find(value):
        if reference.problem:
            yield reference.problem
        for name in reference.steps:
            if name in steps:
                contract = contracts.get(steps[name].tool)
                if contract and reference.path[:2] == ("steps", name) and not steps[name].fallbacks:
                    yield from _path_problems(reference, contract)
            elif name not in known:
                yield f"{reference.expression} names the step {name}, which is not there{_meant(name, steps)}"
        for name in reference.inputs:
            if inputs is not None and name not in inputs and not _has_default(value, reference.expression):
                yield f"{reference.expression} names the input {name}, which is not given{_meant(name, inputs)}"


def _has_default(value: Any, expression: str) -> bool:
    if isinstance(value, dict):
        if value.get(references.REF) == expression:
            return "default" in value
        return any(_has_default(part, expression) for part in value.values())
    return isinstance(value, (list, tuple)) and any(_has_default(part, expression) for part in value)


def _path_problems(reference: references.Reference, contract: Contract) -> Iterator[str]:
    """Walk a dotted path through the output schema, as far as the schema says what is there."""
    schema: dict[str, Any] = contract.output_schema
    definitions = schema.get("$defs", {})
    for part in reference.path[2:]:
        schema = definitions.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
        if schema.get("type") not in (None, "object", "array"):
            yield f"{reference.expression}: {contract.tool} returns {schema['type']} there, which has no {part}"
            return
        properties = schema.get("properties")
        if schema.get("type") != "object" or not properties:
            return
        if part not in properties:
            if not schema.get("additionalProperties"):
                yield f"{reference.expression}: {contract.tool} returns no {part}{_meant(part, properties)}"
            return
        schema = properties[part]


def schema_problem(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None) -> str | None:
    """The first way in which a JSON value breaks a schema, as a sentence; None when it fits. Fetches nothing."""
    whole = {**schema, "$defs": root["$defs"]} if root and "$defs" in root else schema
    try:
        validator = jsonschema_rs.validator_for(whole, retriever=_no_fetching)
        error = next(validator.iter_errors(value), None)
    except (ValueError, jsonschema_rs.ReferencingError) as broken:
        return f"its schema cannot be used: {str(broken).splitlines()[0]}"
    if error is None:
        return None
    where = ".".join(str(part) for part in error.instance_path)
    return f"{where}: {error.message}" if where else error.message


def _no_fetching(address: str) -> Any:
    raise ValueError(f"a schema that points to {address} is not followed")


def _cycles(steps: dict[str, Step]) -> list[list[str]]:
    """Each circle of waiting once, as the ids along it with the first one again at the end."""
    seen: dict[str, int] = {}  # 1: on the path now, 2: done with
    found: list[list[str]] = []
    for start in steps:
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in seen:
            seen[start] = 1
            path.append(start)
            stack.append((start, iter(waits_for(steps[start]))))
        while stack:
            name, others = stack[-1]
            other = next(others, None)
            if other is None:
                seen[name] = 2
                path.pop()
                stack.pop()
            elif other in steps and other not in seen:
                seen[other] = 1
                path.append(other)
                stack.append((other, iter(waits_for(steps[other]))))
            elif seen.get(other) == 1:
                found.append([*path[path.index(other) :], other])
    return found


def _meant(name: str, names: Iterable[str]) -> str:
    """A hint at the nearest name there is."""
    best = difflib.get_close_matches(name, [str(other) for other in names], n=1)
    return f" (did you mean {best[0]}?)" if best else ""
