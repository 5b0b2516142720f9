"""Whether a plan is sound before anything of it runs: everything that is wrong, said at once, each as one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import jsonschema_rs
import msgspec

from holdfast.core import references, values
from holdfast.core.contract import Contract, is_sound
from holdfast.core.facts import could_be, name_problem
from holdfast.core.plan import (
    ALTERNATIVES_MAX,
    NAME,
    Expect,
    Plan,
    Step,
    conditions,
    earlier,
    fallbacks_of,
    needs,
    stand_ins,
    waits_for,
)


def problems(
    plan: Plan,
    contracts: dict[str, Contract],
    inputs: dict[str, Any] | None,
    before: Iterable[str] = (),
    secrets: frozenset[str] = values.SECRET_NAMES,
    facts: Iterable[str] | None = None,
) -> list[str]:
    """Everything that makes a plan unsound, each as one sentence; empty when it may run.

    contracts: the tools there are. inputs: the run's inputs, or None where they are not known yet. before: ids of
    the steps that the run has already, which new ones may refer to and must not take again. secrets: names whose values
    are never written down, and a plan is. facts: those that are known already; None where anything may be.
    """
    found: list[str] = []
    steps: dict[str, Step] = {}
    known = set(before)
    for step in plan.steps:
        if step.id in steps or step.id in known:
            found.append(f"step {step.id}: the id is taken already")
        steps.setdefault(step.id, step)
    there = _There(
        steps=steps,
        known=known,
        contracts=contracts,
        inputs=inputs,
        stand_ins=stand_ins(plan),
        facts=frozenset(facts) if facts is not None else None,
    )
    for step in steps.values():
        found.extend(f"step {step.id}: {problem}" for problem in dict.fromkeys(_step_problems(step, there)))
        found.extend(f"step {step.id}: {_secret_problem(name)}" for name in _secrets_in(step, contracts, secrets))
    found.extend(dict.fromkeys(_alternative_problems(there)))
    found.extend(f"result: {problem}" for problem in _reference_problems(plan.result, there))
    found.extend(f"result: {_secret_problem(name)}" for name in values.plain_secrets(plan.result, secrets))
    found.extend(_circle(cycle, there) for cycle in _cycles(there))
    if not plan.steps and plan.final and plan.result is None and not known:
        found.append("there is no step in it")
    return found


class _There(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is checked against. known: ids of earlier steps. facts: that are known, where that is known."""

    steps: dict[str, Step]
    known: set[str]
    contracts: dict[str, Contract]
    inputs: dict[str, Any] | None
    stand_ins: dict[str, tuple[str, ...]]
    facts: frozenset[str] | None

    def missing(self, name: str) -> str | None:
        """A sentence where there is no such step."""
        if name in self.steps or name in self.known:
            return None
        return f"there is no step {name}{_meant(name, self.steps)}"

    def unheard_of(self, fact: str) -> bool:
        """Whether nobody ever told, or will observe, a fact of this name."""
        if self.facts is None or fact in self.facts or fact in (self.inputs or ()):
            return False
        patterns = (pattern for contract in self.contracts.values() for pattern in contract.observes)
        return not any(could_be(pattern, fact) for pattern in patterns)


def _step_problems(step: Step, there: _There) -> Iterator[str]:
    if not NAME.fullmatch(step.id):
        yield "an id has letters, digits and underscores, and starts with no digit"
    if step.occurrence < 1:
        yield "occurrence starts at 1"
    if step.timeout_seconds is not None and not 0 < step.timeout_seconds < float("inf"):
        yield "timeout must be more than nothing"
    if step.retry is not None and not is_sound(step.retry):
        yield "retry needs 1 to 1000 attempts, a factor of at least 1, a jitter between 0 and 1, and a backoff that grows"
    named = [("after", other) for other in step.after]
    named += [(key, other) for key, other in (("alternative_to", step.alternative_to), ("undoes", step.undoes)) if other]
    for key, other in named:
        if key != "after" and other == step.id:
            yield f"{key}: that is the step itself"
        elif missing := there.missing(other):
            yield f"{key}: {missing}"
    contract = there.contracts.get(step.tool)
    if contract is not None and step.retry is not None and step.retry.attempts_max > 1 and contract.safety == "irreversible":
        yield f"{step.tool} is irreversible and is never retried by itself; leave out retry, or declare a safety that allows it"
    yield from _call_problems(step.tool, step.args, there.contracts)
    yield from _reference_problems(step.args, there)
    declared = "" if step.fallbacks else f" (the fallback that {step.tool} declares)"
    for fallback in fallbacks_of(step, contract):
        own = step.args if fallback.args is None else fallback.args
        for problem in _call_problems(fallback.tool, own, there.contracts):
            yield f"{problem}{declared}"
        yield from _reference_problems(own, there)
    if step.expect is not None:
        for problem in _expect_problems(step, step.expect, there):
            yield f"expect: {problem}"
    for key, names in (("rests_on", step.rests_on), ("needs_fresh", step.needs_fresh)):
        for name in names:
            if wrong := name_problem(name):
                yield f"{key}: {wrong}"
            elif key == "needs_fresh" and there.unheard_of(name):
                yield f"{key}: {_nobody_tells(name)}"
    for key, condition in conditions(step):
        for problem in _condition_problems(step, condition, there):
            yield f"{key}: {problem}"
    if not 0.0 <= step.confidence <= 1.0:
        yield "confidence is a number from 0 to 1"


def _nobody_tells(fact: str) -> str:
    return f"nobody has told the fact {fact}, and no tool observes it"


def _condition_problems(step: Step, condition: references.Reference, there: _There) -> Iterator[str]:
    if condition.problem:
        yield condition.problem
    for name in condition.steps:
        if name == step.id:
            yield f"{condition.expression} is this step itself, which has no result before it begins"
        elif missing := there.missing(name):
            yield f"{condition.expression}: {missing}"
    for name in condition.inputs:
        if there.inputs is not None and name not in there.inputs:
            yield f"{condition.expression} names the input {name}, which is not given{_meant(name, there.inputs)}"


def _expect_problems(step: Step, expect: Expect, there: _There) -> Iterator[str]:
    if not expect.that and not expect.tool:
        yield "it says nothing; write a jmespath expression over the result, or name a `tool` that looks"
    if expect.that and (problem := references.condition_problem(expect.that)):
        yield problem
    if not expect.tool:
        if expect.args:
            yield "its args are for a `tool`, and it names none"
        return
    contract = there.contracts.get(expect.tool)
    if contract is not None and contract.safety != "read":
        yield f"{expect.tool} is {contract.safety}; only a tool that changes nothing (`read`) looks at the world afterwards"
    given = contract is not None and "result" in contract.input_schema.get("properties", {})
    if given and "result" in expect.args:
        yield f"{expect.tool} is given the result as its argument result; leave it out"
    args = {"result": {references.REF: "result"}, **expect.args} if given else expect.args
    yield from _call_problems(expect.tool, args, there.contracts)
    yield from _reference_problems(expect.args, there, after=step)


def _alternative_problems(there: _There) -> Iterator[str]:
    for name, others in there.stand_ins.items():
        if len(others) > ALTERNATIVES_MAX:
            yield f"step {name}: it has more than {ALTERNATIVES_MAX} alternatives, those of its alternatives included"
        for other in others:
            read = needs(there.steps[other])
            for undone in (name, *earlier(other, others)):
                if undone in read and undone != other:
                    yield f"step {other}: it reads {undone}, and it begins only where {undone} was not done"


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
        else:
            yield from (f"argument {problem}" for problem in _value_problems(value, properties[name], schema, name, tool))


def _value_problems(value: Any, schema: dict[str, Any] | bool, root: dict[str, Any], where: str, tool: str) -> Iterator[str]:
    """What is wrong in a value that may hold references: whatever can be said before they are put in."""
    if isinstance(schema, bool):  # JSON Schema has these too: anything, and nothing.
        return
    if isinstance(value, dict) and value.keys() == {references.LITERAL}:
        if wrong := schema_problem(value[references.LITERAL], schema, root):
            yield f"{where} of {tool}: {wrong}"
        return
    if not _has_forms(value):
        if wrong := schema_problem(value, schema, root):
            yield f"{where} of {tool}: {wrong}"
        return
    schema = _pointed_at(schema, root)
    properties = schema.get("properties")
    if not isinstance(value, dict) or _is_form(value) or not isinstance(properties, dict):
        return
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where} of {tool}: {name} is missing"
    for name, part in value.items():
        if name in properties:
            yield from _value_problems(part, properties[name], root, f"{where}.{name}", tool)
        elif schema.get("additionalProperties") is False:
            yield f"{where} of {tool}: there is no {name}{_meant(str(name), properties)}"


def _pointed_at(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """The table of a schema, behind a pointer to the definitions; empty where it says nothing."""
    if not isinstance(schema, dict):
        return {}
    found = root.get("$defs", {}).get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
    return found if isinstance(found, dict) else {}


def _secrets_in(step: Step, contracts: dict[str, Contract], secrets: frozenset[str]) -> list[str]:
    """Names of secrets that stand in the open; those that the tool declares are named with its arguments."""
    written = [step.args, *(fallback.args for fallback in step.fallbacks)]
    if step.expect is not None:
        written.append(step.expect.args)
    contract = contracts.get(step.tool)
    declared = contract.secrets if contract is not None else ()
    return [name for name in dict.fromkeys(values.plain_secrets(written, secrets)) if name not in declared]


def _secret_problem(name: str) -> str:
    return f"{name} is never written down, by its name, and must not stand in a plan; write {{$secret: NAME}}"


def _has_forms(value: Any) -> bool:
    """Whether a value is only known at run time, in whole or in part."""
    if isinstance(value, dict):
        return _is_form(value) or any(map(_has_forms, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_forms, value))


def _is_form(value: dict[str, Any]) -> bool:
    return any(form in value for form in (references.REF, references.SECRET, references.LITERAL))


def _reference_problems(value: Any, there: _There, after: Step | None = None) -> Iterator[str]:
    """What is wrong with the references in a value. after: the step after whose call they are looked up."""
    for reference in references.find(value):
        if after is not None and references.is_later(reference.expression):
            if reference.path:
                yield from _path_problems(reference, 1, _made_by([after], there))
            continue
        if reference.problem:
            yield reference.problem
        for name in reference.steps:
            if after is not None and name == after.id:
                yield f"{reference.expression} is this step itself; write {{$ref: result}} for what its call returned"
            elif name in there.steps:
                if reference.path[:2] == ("steps", name):
                    ways = [there.steps[way] for way in (name, *there.stand_ins.get(name, ())) if way in there.steps]
                    yield from _path_problems(reference, 2, _made_by(ways, there))
            elif name not in there.known:
                yield f"{reference.expression} names the step {name}, which is not there{_meant(name, there.steps)}"
        for name in reference.inputs:
            if there.inputs is not None and name not in there.inputs and not _has_default(value, reference.expression):
                yield f"{reference.expression} names the input {name}, which is not given{_meant(name, there.inputs)}"
        for name in reference.facts:
            if there.unheard_of(name) and not _has_default(value, reference.expression):
                yield f"{reference.expression}: {_nobody_tells(name)}"


def _has_default(value: Any, expression: str) -> bool:
    if isinstance(value, dict):
        if value.get(references.REF) == expression:
            return "default" in value
        return any(_has_default(part, expression) for part in value.values())
    return isinstance(value, (list, tuple)) and any(_has_default(part, expression) for part in value)


def _made_by(ways: list[Step], there: _There) -> list[Contract | None]:
    """The tools that may have made a result, where it comes from one of these steps."""
    tools = []
    for step in ways:
        tools += [step.tool, *(fallback.tool for fallback in fallbacks_of(step, there.contracts.get(step.tool)))]
    return [there.contracts.get(tool) for tool in dict.fromkeys(tools)]


def _path_problems(reference: references.Reference, start: int, makers: list[Contract | None]) -> Iterator[str]:
    """A dotted path that leads nowhere whichever tool made the result."""
    wrong = [_path_problem(reference, start, contract) if contract is not None else None for contract in makers]
    if all(wrong):
        yield str(wrong[0])


def _path_problem(reference: references.Reference, start: int, contract: Contract) -> str | None:
    """Walk a dotted path through the output schema, as far as the schema says what is there."""
    schema: dict[str, Any] = contract.output_schema
    for part in reference.path[start:]:
        schema = _pointed_at(schema, contract.output_schema)
        if schema.get("type") not in (None, "object", "array"):
            return f"{reference.expression}: {contract.tool} returns {schema['type']} there, which has no {part}"
        properties = schema.get("properties")
        if schema.get("type") != "object" or not properties:
            return None
        if part not in properties:
            if not schema.get("additionalProperties"):
                return f"{reference.expression}: {contract.tool} returns no {part}{_meant(part, properties)}"
            return None
        schema = properties[part]
    return None


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


def _circle(cycle: list[str], there: _There) -> str:
    """A circle of waiting in words, with the reason where a step waits for what it does not name."""
    hidden = ""
    for name, other in pairwise(cycle):
        named = waits_for(there.steps[name])
        original = next((one for one in named if other in there.stand_ins.get(one, ())), None)
        if other not in named and original is not None:
            hidden = f" ({name} waits for {other}, which may stand in for {original})"
    return f"the steps {' → '.join(cycle)} wait for one another in a circle{hidden}"


def _cycles(there: _There) -> list[list[str]]:
    """Each circle of waiting once, as the ids along it with the first one again at the end."""
    steps, stand_ins = there.steps, there.stand_ins
    seen: dict[str, int] = {}  # 1: on the path now, 2: done with
    found: list[list[str]] = []
    for start in steps:
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in seen:
            seen[start] = 1
            path.append(start)
            stack.append((start, iter(waits_for(steps[start], stand_ins))))
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
                stack.append((other, iter(waits_for(steps[other], stand_ins))))
            elif seen.get(other) == 1:
                found.append([*path[path.index(other) :], other])
    return found


def _meant(name: str, names: Iterable[str]) -> str:
    """A hint at the nearest name there is."""
    best = difflib.get_close_matches(name, [str(other) for other in names], n=1)
    return f" (did you mean {best[0]}?)" if best else ""
