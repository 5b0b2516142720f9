"""Goal, steps and plan; and whether a plan is sound before anything of it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from holdfast.core import references, values
from holdfast.core.contract import Contract, Gate, Retry

OnFailure = Literal["stop", "skip", "flag", "ask", "hand_off", "replan"]
StandIns = Mapping[str, tuple[str, ...]]
# Of one step, those of its alternatives included.
ALTERNATIVES_MAX = 20
NO_STAND_INS: StandIns = MappingProxyType({})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
        named = tuple(each for other in named for each in (other, *earlier(step.id, stand_ins.get(other, ()))))
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


def earlier(step: str, others: tuple[str, ...]) -> Iterator[str]:
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
