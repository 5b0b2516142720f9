"""A plan that somebody wrote down: YAML or JSON in, a plan out.

agent: onboarding                     # its name; default: the file's
goal: Onboard a new hire              # may be given on the command line instead
tools: tools.py                       # a file beside this one, or a module; several in a list
agents: research.py                   # agents whose runs a step may start; likewise
inputs: {hire: {type: object}}        # JSON Schema for each input; those not named `optional` are required
limits: {parallel: 4}
secrets: [badge_code]                 # names whose values are never written down
on_stop: undo                         # what becomes of what was done when the run stops: keep, undo, ask
policy: {rules: [{name: all, then: always}]}   # when a person is asked; as in a policy file, or the name of one beside this
steps:
  mailbox: {tool: create_mailbox, args: {user: {$ref: inputs.hire.user}}}
  welcome: {tool: send_mail, args: {to: {$ref: steps.mailbox.address}}, retry: {attempts: 5, backoff: 2s..60s}}
  desk: {tool: book_desk, expect: "floor > `0`", optional: true}
  sofa: {tool: book_sofa, alternative_to: desk}
  seats: {tool: count_seats, after: [desk]}                # it observes the fact `seats`
  party: {tool: invite, needs_fresh: seats, args: {guests: {$ref: facts.seats}}, abort_when: "facts.seats < `5`"}
  brief: {agent: research, goal: Find their team, inputs: {hire: {$ref: inputs.hire}}, limits: {attempts: 20}}
result: {address: {$ref: steps.mailbox.address}}
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from sys import float_info
from typing import Any, cast, get_args

import msgspec

from holdfast import datafile, policyfile
from holdfast.core.contract import duration, retry_of
from holdfast.core.events import OnStop
from holdfast.core.limits import WORDS, Limits, amount_of
from holdfast.core.plan import Expect, Fallback, OnFailure, Plan, Step
from holdfast.core.policy import Policy
from holdfast.core.references import LITERAL, REF, SECRET
from holdfast.errors import DefinitionError, PlanError
from holdfast.reasoners.base import Briefing, Proposal, Propose

FILE_KEYS = (
    "agent", "version", "goal", "tools", "agents", "inputs", "limits", "secrets", "on_stop", "policy", "steps", "result",
    "description",
)  # fmt: skip
STEP_KEYS = (
    "tool", "args", "agent", "goal", "inputs", "limits", "detached", "after", "alternative_to", "expect", "retry", "timeout",
    "optional", "on_failure", "fallback", "approve", "occurrence", "needs_fresh", "rests_on", "abort_when", "ask_when",
    "description",
)  # fmt: skip
LIMIT_KEYS = WORDS
# What may follow in a plan that nobody makes again.
ON_FAILURE: tuple[OnFailure, ...] = tuple(word for word in get_args(OnFailure) if word != "replan")
# What the step of a child agent says to it, in place of `args`.
CHILD_KEYS = ("goal", "inputs", "limits", "detached")


class PlanReasoner:
    """Proposes one plan, whole, the first time it is asked."""

    def __init__(self, plan: Plan):
        self.plan = plan

    async def propose(self, briefing: Briefing) -> Proposal:
        """The plan."""
        return Propose(plan=self.plan, reason="the plan as written")


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """A plan file, read. inputs: JSON Schema by name, or None where the file does not say. policy: a text is the name of its
    file, as it stands there."""

    name: str
    plan: Plan
    goal: str = ""
    version: str = ""
    tools: tuple[str, ...] = ()
    inputs: dict[str, Any] | None = None
    limits: Limits = Limits()
    secrets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    on_stop: OnStop = "keep"
    policy: Policy | str | None = None


def load(path: Path) -> PlanFile:
    """Read a plan file. LoadError where it cannot be read at all; PlanError with all that is wrong in its form."""
    return parse(datafile.read(path), source=str(path), name=datafile.bare_name(path))


def parse(data: Any, *, source: str = "the plan", name: str = "plan") -> PlanFile:
    """A plan file from its data; PlanError with every problem of form."""
    if not isinstance(data, dict):
        raise PlanError([f"it is {datafile.kind(data)}, not a table with `steps`"], source=source)
    found = datafile.strange(data, FILE_KEYS, "a plan file")
    steps = _steps(data.get("steps"), found)
    limits = limits_of(data.get("limits", {}), found)
    inputs = data.get("inputs")
    if inputs is not None and not (isinstance(inputs, dict) and all(isinstance(schema, dict) for schema in inputs.values())):
        found.append("inputs: write a table of JSON Schemas by name")
    tools = datafile.texts(data.get("tools", ()), "tools", found)
    agents = datafile.texts(data.get("agents", ()), "agents", found)
    secrets = datafile.texts(data.get("secrets", ()), "secrets", found)
    on_stop = data.get("on_stop", "keep")
    if on_stop not in get_args(OnStop):
        found.append(f"on_stop is {on_stop!r}{datafile.meant(on_stop, get_args(OnStop))}")
    for key in ("agent", "goal", "version"):
        if not isinstance(data.get(key, ""), (str, int, float)):
            found.append(f"{key}: write a text, not {datafile.kind(data[key])}")
    policy = _policy(data.get("policy"), str(data.get("agent", name)), found)
    if found:
        raise PlanError(found, source=source)
    return PlanFile(
        name=str(data.get("agent", name)), plan=Plan(steps=steps, result=data.get("result")), goal=str(data.get("goal", "")),
        version=str(data.get("version", "")), tools=tools, inputs=inputs, limits=limits, secrets=secrets,
        agents=agents, on_stop=cast(OnStop, on_stop), policy=policy,
    )  # fmt: skip


def _policy(data: Any, agent: str, found: list[str]) -> Policy | str | None:
    if data is None or (isinstance(data, str) and data):
        return data
    policy, problems = policyfile.parse(data, name=agent)
    found.extend(f"policy: {problem}" for problem in problems)
    return policy


def _steps(data: Any, found: list[str]) -> tuple[Step, ...]:
    if not isinstance(data, dict) or not data:
        found.append("steps: write a table of steps by id" if data is not None else "there are no `steps`")
        return ()
    return tuple(step for name, form in data.items() if (step := step_of(name, form, found)) is not None)


def step_of(name: str, form: Any, found: list[str]) -> Step | None:
    """One step from what authors write; problems are added to `found`."""
    before, where = len(found), f"step {name}"
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table with `tool`")
        return None
    found += datafile.strange(form, STEP_KEYS, "a step", where)
    tool, args = _child_call(form, where, found) if "agent" in form else _tool_call(form, where, found)
    optional = form.get("optional", False)
    if not isinstance(optional, bool):
        found.append(f"{where}: optional is true or false")
    on_failure = form.get("on_failure", "skip" if optional is True else "stop")
    if on_failure == "replan":
        found.append(f"{where}: on_failure cannot be `replan`: a plan that is written down is not made again; write `ask`")
    elif on_failure not in ON_FAILURE:
        found.append(f"{where}: on_failure is {on_failure!r}{datafile.meant(on_failure, ON_FAILURE)}")
    approve = form.get("approve")
    if approve not in (None, "always"):
        found.append(f"{where}: approve can only be `always`; whether a tool may go unasked is declared with the tool")
    occurrence = form.get("occurrence", 1)
    if not isinstance(occurrence, int) or isinstance(occurrence, bool):
        found.append(f"{where}: occurrence is a whole number")
    after = datafile.texts(form.get("after", ()), f"{where}: after", found)
    alternative_to = form.get("alternative_to", "")
    if not isinstance(alternative_to, str) or ("alternative_to" in form and not alternative_to):
        found.append(f"{where}: alternative_to names one step, not {datafile.kind(alternative_to)}")
    expect = _expect(form["expect"], where, found) if "expect" in form else None
    retry = datafile.declared(lambda: retry_of(form["retry"], what="retry") if "retry" in form else None, where, found)
    timeout = datafile.declared(lambda: duration(form["timeout"], what="timeout") if "timeout" in form else None, where, found)
    fallbacks = _fallbacks(form.get("fallback", ()), where, found)
    needs_fresh = datafile.texts(form.get("needs_fresh", ()), f"{where}: needs_fresh", found)
    rests_on = datafile.texts(form.get("rests_on", ()), f"{where}: rests_on", found)
    abort_when = _condition(form, "abort_when", where, found)
    ask_when = _condition(form, "ask_when", where, found)
    if len(found) > before:
        return None
    return Step(
        id=name, tool=tool, args=args, after=after, retry=retry, timeout_seconds=timeout, on_failure=on_failure,
        fallbacks=fallbacks, approve=approve, occurrence=occurrence, expect=expect, alternative_to=alternative_to,
        needs_fresh=needs_fresh, rests_on=rests_on, abort_when=abort_when, ask_when=ask_when,
    )  # fmt: skip


def _condition(form: dict[str, Any], key: str, where: str, found: list[str]) -> str:
    condition = form.get(key, "")
    if isinstance(condition, str) and (condition.strip() or key not in form):
        return condition
    given = datafile.kind(condition) if condition else "empty"
    found.append(f"{where}: {key} is a jmespath expression over inputs, steps and facts, not {given}")
    return ""


def _tool_call(form: dict[str, Any], where: str, found: list[str]) -> tuple[str, dict[str, Any]]:
    tool, args = form.get("tool"), form.get("args", {})
    if not isinstance(tool, str) or not tool:
        given = f", not {datafile.kind(tool)}" if "tool" in form and tool != "" else ""
        found.append(f"{where}: `tool` must name a tool, or `agent` an agent{given}")
        tool = ""
    if not isinstance(args, dict):
        found.append(f"{where}: args is {datafile.kind(args)}, not a table")
    found.extend(f"{where}: {key} is for a step with `agent`; a tool has `args`" for key in CHILD_KEYS if key in form)
    return tool, args


def _child_call(form: dict[str, Any], where: str, found: list[str]) -> tuple[str, dict[str, Any]]:
    """A step that starts a run of another agent: a call of the tool that the agent is to this one."""
    agent = form["agent"]
    if not isinstance(agent, str) or not agent:
        found.append(f"{where}: `agent` must name an agent")
    found.extend(f"{where}: {key} cannot stand beside `agent`" for key in ("tool", "args") if key in form)
    args = {key: form[key] for key in CHILD_KEYS if key in form}
    if not isinstance(args.get("goal", ""), (str, dict)):
        found.append(f"{where}: goal is {datafile.kind(args['goal'])}, not a text")
    if not isinstance(args.get("inputs", {}), dict):
        found.append(f"{where}: inputs is {datafile.kind(args['inputs'])}, not a table")
    if not isinstance(args.get("detached", False), bool):
        found.append(f"{where}: detached is true or false")
    if isinstance(limits := args.get("limits", {}), dict) and not _is_form(limits):
        # What is only known at run time is checked then.
        limits_of({key: value for key, value in limits.items() if not _is_form(value)}, found, f"{where}: limits")
    elif not isinstance(limits, dict):
        found.append(f"{where}: limits is {datafile.kind(limits)}, not a table")
    return str(agent), args


def _is_form(value: Any) -> bool:
    return isinstance(value, dict) and any(form in value for form in (REF, SECRET, LITERAL))


def _expect(data: Any, where: str, found: list[str]) -> Expect | None:
    form = {"that": data} if isinstance(data, str) else data
    if not isinstance(form, dict) or not form:
        found.append(f"{where}: expect is a jmespath expression over the result, or {{that: …, tool: …, args: …}}")
        return None
    before = len(found)
    keys = tuple(Expect.__struct_fields__)
    found += datafile.strange(form, keys, "it", f"{where}: expect")
    for key in ("that", "tool"):
        if key in form and (not isinstance(form[key], str) or not form[key].strip()):
            found.append(f"{where}: expect: {key} is {datafile.kind(form[key]) if form[key] else 'empty'}, not a text")
    if not isinstance(form.get("args", {}), dict):
        found.append(f"{where}: expect: args is {datafile.kind(form['args'])}, not a table")
    return Expect(**form) if len(found) == before else None


def _fallbacks(data: Any, where: str, found: list[str]) -> tuple[Fallback, ...]:
    forms = data if isinstance(data, (list, tuple)) else [data]
    fallbacks = []
    for form in forms:
        if isinstance(form, str):
            fallbacks.append(Fallback(tool=form))
        elif (
            isinstance(form, dict)
            and isinstance(form.get("tool"), str)
            and isinstance(form.get("args"), (dict, type(None)))
            and set(form) <= {"tool", "args"}
        ):
            fallbacks.append(Fallback(tool=form["tool"], args=form.get("args")))
        else:
            found.append(f"{where}: a fallback is the name of a tool, or {{tool: …, args: …}}")
    return tuple(fallbacks)


def limits_of(data: Any, found: list[str], where: str = "limits") -> Limits:
    """Limits from what authors write (`{attempts: 20, wall: 2d}`); problems are added to `found`."""
    if not isinstance(data, dict):
        found.append(f"{where}: write a table")
        return Limits()
    values: dict[str, Any] = {}
    for key, value in data.items():
        field = LIMIT_KEYS.get(key)
        if field is None:
            found.append(f"{where}: there is no limit {key!r}{datafile.meant(key, tuple(LIMIT_KEYS))}")
        elif field == "changes":
            values[field] = _amounts(value, f"{where}: {key}", found)
        elif field == "cost_usd_max":
            if (amount := amount_of(value)) is None:
                found.append(f"{where}: {key} is an amount of US dollars, not {value!r}")
            values[field] = amount
        elif field.endswith("_seconds"):
            values[field] = datafile.declared(partial(_some_time, value, key), where, found)
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            found.append(f"{where}: {key} is a whole number of at least 1, not {value!r}")
        else:
            values[field] = value
    return Limits(**{name: value for name, value in values.items() if value is not None})


def _some_time(value: Any, what: str) -> float:
    seconds = duration(value, what=what)
    if seconds <= 0:
        raise DefinitionError(f"{what} must be more than nothing")
    return seconds


def _amounts(data: Any, where: str, found: list[str]) -> dict[str, float]:
    if not isinstance(data, dict):
        found.append(f"{where} is {datafile.kind(data)}, not a table such as {{credit: 100}}")
        return {}
    wrong = {name: amount for name, amount in data.items() if not _is_amount(amount)}
    found.extend(f"{where}: {name} is a number of at least 0, not {amount!r}" for name, amount in wrong.items())
    return {str(name): float(amount) for name, amount in data.items() if name not in wrong}


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= float_info.max


def limits_schema() -> dict[str, Any]:
    """The JSON Schema of a table of limits, as a plan file has it."""
    properties = {key: _LENGTH if field.endswith("_seconds") else _COUNT for key, field in LIMIT_KEYS.items()}
    properties["cost"] = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?$"}]}
    properties["changes"] = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}}
    return {"type": "object", "additionalProperties": False, "properties": properties}


_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
_LENGTH: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^(\s*\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"},
    ]
}
