"""A plan that somebody wrote down: YAML or JSON in, a plan out.

agent: onboarding                     # its name; default: the file's
goal: Onboard a new hire              # may be given on the command line instead
tools: tools.py                       # a file beside this one, or a module; several in a list
agents: research.py                   # agents whose runs a step may start; likewise
inputs: {hire: {type: object}}        # JSON Schema for each input; those not named `optional` are required
limits: {parallel: 4}
secrets: [badge_code]                 # names whose values are never written down
on_stop: undo                         # what becomes of what was done when the run stops: keep, undo, ask
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

import difflib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from sys import float_info
from typing import Any, cast, get_args

import msgspec
import yaml

from holdfast.core.contract import duration, retry_of
from holdfast.core.events import OnStop
from holdfast.core.limits import WORDS, Limits, amount_of
from holdfast.core.plan import Expect, Fallback, OnFailure, Plan, Step
from holdfast.core.references import LITERAL, REF, SECRET
from holdfast.errors import DefinitionError, LoadError, PlanError
from holdfast.reasoners.base import Briefing, Proposal, Propose

SIZE_MAX = 4_000_000
FILE_KEYS = (
    "agent", "version", "goal", "tools", "agents", "inputs", "limits", "secrets", "on_stop", "steps", "result", "description",
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
    """A plan file, read. inputs: JSON Schema by name, or None where the file does not say."""

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


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses what would be lost silently: a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                said = f"the key {key_node.value} is no text to YAML; put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML would turn 2026-11-20 into a date, which JSON has not; in a plan it is the text that stands there.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(path: Path) -> PlanFile:
    """Read a plan file. LoadError where it cannot be read at all; PlanError with all that is wrong in its form."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > SIZE_MAX:
        raise LoadError(f"{path} has {len(raw)} bytes; a plan has at most {SIZE_MAX}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(f"{path} is not UTF-8: byte {error.start}") from error
    try:
        data = _json(text) if path.suffix == ".json" else _yaml(text)
        _check_values(data)
    except LoadError as error:
        raise LoadError(f"{path} {error.what}", hint=error.hint) from error
    except RecursionError as error:
        raise LoadError(f"{path} is nested too deeply") from error
    return parse(data, source=str(path), name=path.name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".json"))


def _yaml(text: str) -> Any:
    try:
        if text.count("&") and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise LoadError("has YAML aliases, which are not taken (they can grow without bound)", hint="write the value out")
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise LoadError(f"is not YAML: {_yaml_reason(error)}") from error
    except (RecursionError, LoadError):
        raise
    except Exception as error:
        # Its constructors let errors of Python through: `!!int many`, `!!timestamp soon`, a number of thousands of digits.
        raise LoadError(f"is not YAML: a value is not what its tag says ({error})") from error


def _json(text: str) -> Any:
    """JSON proper: a reader of YAML refuses its tabs and takes its escapes apart."""

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(pairs)
        if len(whole) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise LoadError(f"is not JSON: the key {twice!r} stands there twice")
        return whole

    try:
        return json.loads(text, object_pairs_hook=table, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise LoadError(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:  # A number of thousands of digits.
        raise LoadError(f"is not JSON: {error}") from error


def _no_number(name: str) -> Any:
    raise LoadError(f"is not JSON: {name} is no number")


def _check_values(data: Any) -> None:
    """Refuse what would not come back from the journal as it stands here: half characters, endless numbers, bytes, sets."""
    try:
        same = msgspec.json.decode(msgspec.json.encode(data)) == data
    except (ValueError, TypeError, OverflowError) as error:
        raise LoadError(f"holds what JSON has not: {error}") from error
    if not same:
        raise LoadError("holds what JSON has not: a number without end, bytes or a set")


def parse(data: Any, *, source: str = "the plan", name: str = "plan") -> PlanFile:
    """A plan file from its data; PlanError with every problem of form."""
    if not isinstance(data, dict):
        raise PlanError([f"it is {_kind(data)}, not a table with `steps`"], source=source)
    found: list[str] = []
    found.extend(f"{key!r} is not a part of a plan file{_meant(key, FILE_KEYS)}" for key in data if key not in FILE_KEYS)
    steps = _steps(data.get("steps"), found)
    limits = limits_of(data.get("limits", {}), found)
    inputs = data.get("inputs")
    if inputs is not None and not (isinstance(inputs, dict) and all(isinstance(schema, dict) for schema in inputs.values())):
        found.append("inputs: write a table of JSON Schemas by name")
    tools = _texts(data.get("tools", ()), "tools", found)
    agents = _texts(data.get("agents", ()), "agents", found)
    secrets = _texts(data.get("secrets", ()), "secrets", found)
    on_stop = data.get("on_stop", "keep")
    if on_stop not in get_args(OnStop):
        found.append(f"on_stop is {on_stop!r}{_meant(on_stop, get_args(OnStop))}")
    for key in ("agent", "goal", "version"):
        if not isinstance(data.get(key, ""), (str, int, float)):
            found.append(f"{key}: write a text, not {_kind(data[key])}")
    if found:
        raise PlanError(found, source=source)
    return PlanFile(
        name=str(data.get("agent", name)), plan=Plan(steps=steps, result=data.get("result")), goal=str(data.get("goal", "")),
        version=str(data.get("version", "")), tools=tools, inputs=inputs, limits=limits, secrets=secrets,
        agents=agents, on_stop=cast(OnStop, on_stop),
    )  # fmt: skip


def _steps(data: Any, found: list[str]) -> tuple[Step, ...]:
    if not isinstance(data, dict) or not data:
        found.append("steps: write a table of steps by id" if data is not None else "there are no `steps`")
        return ()
    return tuple(step for name, form in data.items() if (step := step_of(name, form, found)) is not None)


def step_of(name: str, form: Any, found: list[str]) -> Step | None:
    """One step from what authors write; problems are added to `found`."""
    before, where = len(found), f"step {name}"
    if not isinstance(form, dict):
        found.append(f"{where}: it is {_kind(form)}, not a table with `tool`")
        return None
    found.extend(f"{where}: {key!r} is not a part of a step{_meant(key, STEP_KEYS)}" for key in form if key not in STEP_KEYS)
    tool, args = _child_call(form, where, found) if "agent" in form else _tool_call(form, where, found)
    optional = form.get("optional", False)
    if not isinstance(optional, bool):
        found.append(f"{where}: optional is true or false")
    on_failure = form.get("on_failure", "skip" if optional is True else "stop")
    if on_failure == "replan":
        found.append(f"{where}: on_failure cannot be `replan`: a plan that is written down is not made again; write `ask`")
    elif on_failure not in ON_FAILURE:
        found.append(f"{where}: on_failure is {on_failure!r}{_meant(on_failure, ON_FAILURE)}")
    approve = form.get("approve")
    if approve not in (None, "always"):
        found.append(f"{where}: approve can only be `always`; whether a tool may go unasked is declared with the tool")
    occurrence = form.get("occurrence", 1)
    if not isinstance(occurrence, int) or isinstance(occurrence, bool):
        found.append(f"{where}: occurrence is a whole number")
    after = _texts(form.get("after", ()), f"{where}: after", found)
    alternative_to = form.get("alternative_to", "")
    if not isinstance(alternative_to, str) or ("alternative_to" in form and not alternative_to):
        found.append(f"{where}: alternative_to names one step, not {_kind(alternative_to)}")
    expect = _expect(form["expect"], where, found) if "expect" in form else None
    retry = _declared(lambda: retry_of(form["retry"], what="retry") if "retry" in form else None, where, found)
    timeout = _declared(lambda: duration(form["timeout"], what="timeout") if "timeout" in form else None, where, found)
    fallbacks = _fallbacks(form.get("fallback", ()), where, found)
    needs_fresh = _texts(form.get("needs_fresh", ()), f"{where}: needs_fresh", found)
    rests_on = _texts(form.get("rests_on", ()), f"{where}: rests_on", found)
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
    given = _kind(condition) if condition else "empty"
    found.append(f"{where}: {key} is a jmespath expression over inputs, steps and facts, not {given}")
    return ""


def _tool_call(form: dict[str, Any], where: str, found: list[str]) -> tuple[str, dict[str, Any]]:
    tool, args = form.get("tool"), form.get("args", {})
    if not isinstance(tool, str) or not tool:
        given = f", not {_kind(tool)}" if "tool" in form and tool != "" else ""
        found.append(f"{where}: `tool` must name a tool, or `agent` an agent{given}")
        tool = ""
    if not isinstance(args, dict):
        found.append(f"{where}: args is {_kind(args)}, not a table")
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
        found.append(f"{where}: goal is {_kind(args['goal'])}, not a text")
    if not isinstance(args.get("inputs", {}), dict):
        found.append(f"{where}: inputs is {_kind(args['inputs'])}, not a table")
    if not isinstance(args.get("detached", False), bool):
        found.append(f"{where}: detached is true or false")
    if isinstance(limits := args.get("limits", {}), dict) and not _is_form(limits):
        # What is only known at run time is checked then.
        limits_of({key: value for key, value in limits.items() if not _is_form(value)}, found, f"{where}: limits")
    elif not isinstance(limits, dict):
        found.append(f"{where}: limits is {_kind(limits)}, not a table")
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
    found.extend(f"{where}: expect: {key!r} is not a part of it{_meant(key, keys)}" for key in form if key not in keys)
    for key in ("that", "tool"):
        if key in form and (not isinstance(form[key], str) or not form[key].strip()):
            found.append(f"{where}: expect: {key} is {_kind(form[key]) if form[key] else 'empty'}, not a text")
    if not isinstance(form.get("args", {}), dict):
        found.append(f"{where}: expect: args is {_kind(form['args'])}, not a table")
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
            found.append(f"{where}: there is no limit {key!r}{_meant(key, tuple(LIMIT_KEYS))}")
        elif field == "changes":
            values[field] = _amounts(value, f"{where}: {key}", found)
        elif field == "cost_usd_max":
            if (amount := amount_of(value)) is None:
                found.append(f"{where}: {key} is an amount of US dollars, not {value!r}")
            values[field] = amount
        elif field.endswith("_seconds"):
            values[field] = _declared(partial(_some_time, value, key), where, found)
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
        found.append(f"{where} is {_kind(data)}, not a table such as {{credit: 100}}")
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


def _declared(read: Callable[[], Any], where: str, found: list[str]) -> Any:
    try:
        return read()
    except DefinitionError as error:
        found.append(f"{where}: {error}")
        return None


def _texts(value: Any, where: str, found: list[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    found.append(f"{where}: write a name or a list of names")
    return ()


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {reason}" if mark is not None else str(reason)


def _kind(value: Any) -> str:
    return {"NoneType": "empty", "list": "a list", "str": "a text", "dict": "a table", "bool": "true or false"}.get(
        type(value).__name__, "a number"
    )


def _meant(word: Any, names: tuple[str, ...]) -> str:
    """A hint at the nearest of these names, or at all of them."""
    best = difflib.get_close_matches(str(word), names, n=1, cutoff=0.75)
    return f" (did you mean {best[0]}?)" if best else f" (it is one of {', '.join(names)})"
