"""Goal, steps and plan; and whether a plan is sound before anything of it runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise, takewhile
from types import MappingProxyType
from typing import Any, Literal

import jsonschema_rs
import msgspec

from holdfast.core import references, values
from holdfast.core.contract import Contract, Gate, Retry, is_sound
from holdfast.core.facts import could_be, name_problem

OnFailure = Literal["stop", "skip", "flag", "ask", "replan"]
StandIns = Mapping[str, tuple[str, ...]]
# Of one step, those of its alternatives included.
ALTERNATIVES_MAX = 20
NO_STAND_INS: StandIns = MappingProxyType({})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fallback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Another tool for the same step; args None means the step's own arguments."""

    tool: str
    args: dict[str, Any] | None = None


class Expect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What must be true after a step, beyond what its tool promises.

    that: a jmespath expression over the result, or over the answer of `tool` where one is named. tool, args: a `read` tool
    that looks at the world after the call; where it has an argument `result` it is given the result. References in args may
    start at `result` too.
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
    that step was tried and not done, and stand in for it: who refers to it gets this step's result then (see `stand_ins`).
    undoes: the step that this one takes back. `replan` as on_failure: the step is given up, and the reasoner is told.
    rests_on: facts that it was planned on, beside those that it refers to. needs_fresh: facts that must be fresh before it
    begins; one that is too old is observed again. abort_when: a jmespath expression over `facts`, `steps` (results) and
    `inputs`; where it is true the step is not begun, and its on_failure follows. ask_when: likewise, over `args` too; where it
    is true a person is asked first. confidence: how sure the reasoner is of it, 0 to 1.
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
    rests_on: tuple[str, ...] = ()
    needs_fresh: tuple[str, ...] = ()
    abort_when: str = ""
    ask_when: str = ""
    confidence: float = 1.0


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


def reads(step: Step, *, bare: bool = False) -> tuple[str, ...]:
    """The steps whose results this one reads. bare: only by references without a default."""
    if not (step.args or step.fallbacks or step.expect or step.abort_when or step.ask_when):
        return ()
    forms = (step.args, *(fallback.args for fallback in step.fallbacks))
    found = [name for form in forms for ref in references.find(form, bare=bare) for name in ref.steps]
    if step.expect is not None:
        # What is looked at after a step cannot hold the step up.
        seen = references.find(step.expect.args, bare=bare)
        found += [name for ref in seen for name in ref.steps if name != step.id]
    if not bare:
        # Where nothing was done there is nothing to say about it, and the condition says what follows.
        found += [name for _, condition in conditions(step) for name in condition.steps if name != step.id]
    return tuple(dict.fromkeys(found))


def conditions(step: Step) -> Iterator[tuple[str, references.Reference]]:
    """What must hold, or not, for the step to begin, or to begin unasked."""
    if step.abort_when:
        yield "abort_when", references.parse(step.abort_when)
    if step.ask_when:
        yield "ask_when", references.parse(step.ask_when, references.ASK_ROOTS)


def believes(step: Step) -> tuple[str, ...]:
    """The facts that a step rests on: those that it refers to, and those that it names."""
    forms = [step.args, *(fallback.args for fallback in step.fallbacks)]
    if step.expect is not None:
        forms.append(step.expect.args)
    found = [name for form in forms if form for name in references.facts_in(form)]
    return tuple(dict.fromkeys((*found, *step.rests_on, *step.needs_fresh)))


def needs(step: Step) -> tuple[str, ...]:
    """The steps without whose results, or those of what stands in for them, this one cannot run. One that it reads with a
    default is waited for, and done without."""
    return reads(step, bare=True)


def waits_for(step: Step, stand_ins: StandIns = NO_STAND_INS) -> tuple[str, ...]:
    """The steps that must have ended before this one begins: those it reads, those it names in `after`, the one that it is an
    alternative to, and whatever may stand in for any of these before this step does."""
    named = (*reads(step), *step.after)
    if step.alternative_to and step.alternative_to != step.id:
        named = (*named, step.alternative_to)
    if stand_ins:
        named = tuple(each for other in named for each in (other, *_earlier(step.id, stand_ins.get(other, ()))))
    return tuple(dict.fromkeys(named))


def stand_ins(plan: Plan, before: StandIns = NO_STAND_INS) -> dict[str, tuple[str, ...]]:
    """For each step that has alternatives, what may stand in for it, in the order in which it is tried.

    The alternatives of a step are tried in plan order, each only where all before it were not done. An alternative may have
    alternatives of its own: they come right after it, for they stand in for it and so for what it stands in for. With
    b and c alternatives to a, and d one to b, the stand-ins of a are (b, d, c), those of b are (d). At most one of a and its
    stand-ins is done, and who refers to a gets the result of that one.

    before: what this function gave for the plans before this one; the new plan may have alternatives to their steps too.
    """
    direct: dict[str, list[str]] = {}
    for step in plan.steps:
        if step.alternative_to and step.alternative_to != step.id:
            direct.setdefault(step.alternative_to, []).append(step.id)
    found = {name: _depth_first(name, direct) for name in direct}
    if not before:
        return found
    own = {step.id for step in plan.steps}
    earlier = dict(before)
    for name in direct:
        if name not in own:
            block, theirs = found.pop(name), earlier.get(name, ())
            for original, others in earlier.items():
                if name in others:
                    end = others.index(name) + 1 + len(theirs)
                    earlier[original] = (*others[:end], *block, *others[end:])
            earlier[name] = (*theirs, *block)
    return earlier | found


def _depth_first(name: str, direct: dict[str, list[str]]) -> tuple[str, ...]:
    """All alternatives of a step, those of its alternatives included; cut right behind the bound, and where it is a circle."""
    seen, stack = {name: None}, direct[name][ALTERNATIVES_MAX::-1]
    while stack and len(seen) <= ALTERNATIVES_MAX + 1:
        other = stack.pop()
        if other not in seen:
            seen[other] = None
            stack.extend(direct.get(other, [])[ALTERNATIVES_MAX::-1])
    return tuple(seen)[1:]


def gives_way_to(step: str, stand_ins: StandIns) -> tuple[str, ...]:
    """What may still be done where this step was not: its own stand-ins, then those that come after it for what it stands in
    for. While one of them has not ended, a step that failed is skipped where it would stop the run."""
    found = list(stand_ins.get(step, ()))
    for others in stand_ins.values():
        if step in others:
            found.extend(others[others.index(step) + 1 :])
    return tuple(dict.fromkeys(found))


def _earlier(step: str, others: tuple[str, ...]) -> Iterator[str]:
    return takewhile(lambda other: other != step, others)


def fallbacks_of(step: Step, contract: Contract | None) -> tuple[Fallback, ...]:
    """The other tools for a step, in order: its own, or else the one that the contract of its tool declares, which gets the
    step's own arguments."""
    if step.fallbacks or contract is None or contract.fallback is None:
        return step.fallbacks
    return (Fallback(tool=contract.fallback),)


def expected(
    step: Step,
    inputs: dict[str, Any],
    result_of: Callable[[str], Any],
    fact_of: Callable[[str], Any] = references.nobody_knows,
) -> Expect | None:
    """What must be true after a call of this step, with its references to inputs, steps and facts put in; those to the result of
    the call itself are left for `references.fill`. Raises references.Missing for one that leads nowhere."""
    if step.expect is None or not step.expect.args:
        return step.expect
    args = references.resolve(step.expect.args, inputs, result_of, fact_of, later=True)
    return msgspec.structs.replace(step.expect, args=args)


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
    if not _NAME.fullmatch(step.id):
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
            for undone in (name, *_earlier(other, others)):
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
