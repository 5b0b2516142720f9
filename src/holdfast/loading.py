"""What is named on a command line, and what it becomes: agents from files and modules, inputs, rows of a table.

    refunds.py            a Python file with one Agent in it        refunds.py:night   one of several
    onboarding.yaml       a plan file; its `tools` and `agents` name files beside it, or modules
    shop.agents:refunds   a module

Whatever is wrong with what was named is a LoadError (or a PlanError, a DefinitionError) that says so; nothing has begun
then. Loading a file runs it, as importing does.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import importlib
import importlib.util
import io
import os
import re
import string
import sys
import tokenize
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from holdfast import datafile, policyfile
from holdfast.agent import Agent
from holdfast.core.policy import Policy
from holdfast.errors import DefinitionError, HoldfastError, LoadError, PlanError, UsageError
from holdfast.reasoners import planfile
from holdfast.tools.function import Tool

PLAN_SUFFIXES = datafile.SUFFIXES
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_NAMES_SHOWN = 10

R = TypeVar("R")
T = TypeVar("T")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a file or module holds. agents: by the name of their variable, or of the plan."""

    where: str
    agents: dict[str, Agent]
    tools: tuple[Tool[..., Any], ...]


# --- agents -------------------------------------------------------------------------------------------------------


def agent_of(spec: str) -> Agent:
    """The one agent that `FILE[:AGENT]` or `MODULE[:AGENT]` names."""
    agents = agents_of(spec)
    if len(agents) > 1:
        names = ", ".join(f"{spec}:{agent.name}" for agent in agents[:_NAMES_SHOWN])
        raise LoadError(f"{spec} has {len(agents)} agents", hint=f"say which: {names}")
    return agents[0]


def agents_of(spec: str) -> list[Agent]:
    """All agents that `FILE[:AGENT]` or `MODULE[:AGENT]` names, each once; at least one."""
    loaded = load(spec)
    if not loaded.agents:
        raise LoadError(f"{loaded.where} has no Agent", hint='write one at its top level: agent = Agent("name", tools=[…], …)')
    return distinct(loaded.agents.values())


def named(spec: str) -> Any:
    """What `FILE.py:NAME` or `MODULE:NAME` names, whatever it is (a world, a script); LoadError where it is not there."""
    target, name = _split(spec)
    if not name:
        raise LoadError(f"{spec!r} names nothing in that file", hint="write FILE.py:NAME")
    module = _file_module(_file(Path(target))) if _looks_like_a_file(target) else _named_module(target)
    if not hasattr(module, name):
        raise LoadError(f"{target} has no {name}{_near(name, vars(module))}")
    return getattr(module, name)


def policy_file(path: str | Path) -> Policy:
    """The policy that a file holds; LoadError where it cannot be read, DefinitionError with all that is wrong in it. Which tools
    and checks there are is not looked at."""
    return policyfile.load(Path(path))


def distinct(agents: Iterable[Agent]) -> list[Agent]:
    """Each agent once, however many names it goes by."""
    return list({id(agent): agent for agent in agents}.values())


def load(spec: str) -> Loaded:
    """What a file or a module holds; where an agent is named, that one alone."""
    return _load(spec, _Plans())


class _Plans:
    """The plan files of one loading: those that are being read, in the order in which they name one another, and the agents
    of those that were. A file that two others name is one agent."""

    def __init__(self) -> None:
        self.open: list[Path] = []
        self.agents: dict[Path, Agent] = {}


def _load(spec: str, plans: _Plans) -> Loaded:
    target, name = _split(spec)
    path = Path(target)
    if path.suffix in PLAN_SUFFIXES:
        agent = _plan_agent(_file(path), plans)
        loaded = Loaded(where=target, agents={agent.name: agent}, tools=tuple(agent.toolbox.values()))
    else:
        module = _file_module(_file(path)) if _looks_like_a_file(target) else _named_module(target)
        loaded = Loaded(where=target, agents=_found(module, Agent), tools=tuple(_found(module, Tool).values()))
    return Loaded(where=target, agents={name: _picked(loaded, name)}, tools=()) if name else loaded


def _split(spec: str) -> tuple[str, str]:
    """File or module, and the agent's name or nothing. A colon that belongs to an existing file is left alone."""
    target, colon, name = spec.rpartition(":")
    if not colon or Path(spec).exists():
        return spec, ""
    if not name or not target:
        raise LoadError(f"{spec!r} names no agent", hint="write FILE, or FILE:AGENT")
    return target, name


def _looks_like_a_file(target: str) -> bool:
    return target.endswith(".py") or os.sep in target or Path(target).exists() or not _MODULE.fullmatch(target)


def _file(path: Path) -> Path:
    if path.is_dir():
        raise LoadError(f"{path} is a directory", hint="name the file with the agent or the plan in it")
    if not path.exists():
        near = _near(path.name, [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise LoadError(f"there is no file {path}{near}", hint="name a .py file with an agent, a plan file, or MODULE:AGENT")
    if path.suffix not in (".py", *PLAN_SUFFIXES):
        raise LoadError(f"{path} is no agent", hint="name a .py file with an agent, or a plan in .yaml, .yml or .json")
    return path


def _picked(loaded: Loaded, name: str) -> Agent:
    by_name = {agent.name: agent for agent in loaded.agents.values()}
    found = loaded.agents.get(name) or by_name.get(name)
    if found is None:
        names = list(dict.fromkeys([*loaded.agents, *by_name]))
        raise LoadError(
            f"{loaded.where} has no agent {name}{_near(name, names)}", hint=f"it has {', '.join(names[:_NAMES_SHOWN])}"
        )
    return found


def _plan_agent(path: Path, plans: _Plans) -> Agent:
    place = path.resolve()
    if place in plans.agents:
        return plans.agents[place]
    if place in plans.open:
        circle = " → ".join(other.name for other in (*plans.open[plans.open.index(place) :], place))
        raise LoadError(
            f"{path}: the files {circle} name one another in `agents` in a circle",
            hint="an agent does a part of the work of another, never the whole",
        )
    plans.open.append(place)
    try:
        plan = planfile.load(path)
        tools = _tools_beside(path, plan.tools)
        agents = [agent for name in plan.agents for agent in _agents_beside(path, name, plans)]
        plans.agents[place] = agent = _agent_of_plan(path, plan, tools, agents)
        return agent
    finally:
        plans.open.pop()


def _agent_of_plan(path: Path, plan: planfile.PlanFile, tools: list[Tool[..., Any]], agents: list[Agent]) -> Agent:
    try:
        return Agent(
            plan.name, tools=tools, plan=plan.plan, goal=plan.goal, version=plan.version, inputs=plan.inputs, limits=plan.limits,
            secrets=plan.secrets, on_stop=plan.on_stop, agents=agents, source=str(path),
            policy=path.parent / plan.policy if isinstance(plan.policy, str) else plan.policy,
        )  # fmt: skip
    except PlanError as error:
        if plan.tools or plan.agents:
            raise
        missing = "it names no `tools`: write the .py file beside it, or the module, that has them"
        raise PlanError([missing, *error.problems], source=str(path)) from None
    except DefinitionError as error:
        named = error.hint and f"{error.hint} in `agent:`" if error.what.endswith("is no name for an agent") else error.hint
        raise DefinitionError(f"{path}: {error.what}", hint=named) from error


def _tools_beside(path: Path, names: Iterable[str]) -> list[Tool[..., Any]]:
    """The tools that a plan file names by file or module, each once."""
    tools: dict[int, Tool[..., Any]] = {}
    for name in names:
        file = path.parent / name
        module = _file_module(_file(file)) if name.endswith(".py") else _named_module(name, path.parent)
        found = _found(module, Tool)
        if not found:
            raise LoadError(f"{path}: `tools` names {name}, which has no tool", hint="decorate its functions with @tool")
        tools.update((id(tool), tool) for tool in found.values())
    return list(tools.values())


def _agents_beside(path: Path, name: str, plans: _Plans) -> list[Agent]:
    """The agents that an entry of `agents` names: those of a file or module, or one of them."""
    target, _ = _split(name)
    if Path(target).suffix in (".py", *PLAN_SUFFIXES):
        loaded = _load(str(path.parent / name), plans)
    else:
        place = str(path.parent.resolve())
        if place not in sys.path:
            sys.path.insert(0, place)
        loaded = _load(name, plans)
    if not loaded.agents:
        raise LoadError(f"{path}: `agents` names {name}, which has no Agent", hint="write one at its top level")
    return distinct(loaded.agents.values())


# --- modules ------------------------------------------------------------------------------------------------------


def _file_module(path: Path) -> ModuleType:
    """The module of a .py file, run once however often it is named. Its folder becomes importable for it.

    It goes by its own name where that is free, so that other files beside it import the very same one.
    """
    path = path.resolve()
    _readable(path)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    own = path.stem
    if own in sys.modules and _is_file(sys.modules[own], path):
        return sys.modules[own]
    if not own.isidentifier() or own in sys.modules or own in sys.stdlib_module_names:
        own = f"{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        if own in sys.modules:
            return sys.modules[own]
    spec = importlib.util.spec_from_file_location(own, path)
    assert spec is not None and spec.loader is not None, path
    loader, module = spec.loader, importlib.util.module_from_spec(spec)
    sys.modules[own] = module
    try:
        _imported(lambda: loader.exec_module(module), str(path))
    except BaseException:
        del sys.modules[own]
        raise
    return module


def _named_module(name: str, folder: Path | None = None) -> ModuleType:
    if not _MODULE.fullmatch(name):
        raise LoadError(f"{name!r} is neither a .py file nor the name of a module")
    place = str((folder or Path.cwd()).resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        return _imported(lambda: importlib.import_module(name), f"module {name}")
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(f"there is no file or module {name}", hint="check the name, and that it is installed here") from None
        raise LoadError(f"module {name} cannot be imported: {error}") from error


def _imported(run: Callable[[], R], where: str) -> R:
    """Whatever goes wrong while somebody's code is imported, as one clear error."""
    try:
        return run()
    except ModuleNotFoundError as error:
        if not where.endswith(".py"):
            raise
        raise LoadError(f"{where} cannot be imported: {error}", hint="install it beside holdfast, or check the name") from error
    except HoldfastError:
        raise
    except SyntaxError as error:
        line = f" line {error.lineno}" if error.lineno else ""
        raise LoadError(f"{error.filename or where}{line} is not Python: {error.msg}") from error
    except SystemExit as error:
        raise LoadError(f"{where} ends the program when it is imported", hint=_GUARD) from error
    except Exception as error:
        raise LoadError(f"{where}{_line_of(error)} fails when it is imported: {type(error).__name__}: {error}") from error


_GUARD = 'put what starts by itself under `if __name__ == "__main__":`'


def _line_of(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    theirs = [frame for frame in frames if frame.filename != __file__]
    return f" line {theirs[0].lineno}" if theirs else ""


def _readable(path: Path) -> None:
    try:
        with tokenize.open(path) as file:
            file.read()
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise LoadError(f"{path} is not UTF-8: byte {error.start}") from error
    except SyntaxError as error:
        raise LoadError(f"{path} is not UTF-8: {error.msg}") from error


def _is_file(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path


def _found(module: ModuleType, kind: type[T]) -> dict[str, T]:
    return {name: thing for name, thing in vars(module).items() if isinstance(thing, kind)}


def _near(name: str, names: Iterable[str]) -> str:
    best = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {best[0]}?)" if best else ""


# --- inputs -------------------------------------------------------------------------------------------------------


def inputs_of(given: Iterable[str]) -> dict[str, Any]:
    """Inputs from `name=value`, `name=@file.json` and `@file.json`, which must hold an object and gives all its names.

    A single name wins over a file's; a name that is given twice is a UsageError.
    """
    merged: dict[str, Any] = {}
    single: dict[str, Any] = {}
    for word in given:
        if word.startswith("@"):
            whole = json_file(word[1:])
            if not isinstance(whole, dict):
                raise LoadError(f"{word[1:]} does not hold an object", hint="give it to one input: --input name=@FILE")
            merged.update(whole)
            continue
        name, value = pair(word, "--input")
        if name in single:
            raise UsageError(f"the input {name} is given twice")
        single[name] = value
    return {**merged, **single}


def pair(word: str, what: str) -> tuple[str, Any]:
    """`name=value`, with the value read by `value_of`; `what` names the option in the error."""
    name, equals, value = word.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{what} {word!r} is not name=value")
    return name.strip(), json_file(value[1:]) if value.startswith("@") else value_of(value)


def value_of(text: str) -> Any:
    """A number, true, false, list, object or quoted text as JSON has it; anything else is the text as it stands."""
    if text.strip() == "null":
        return text
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
    return text if value in (float("inf"), float("-inf")) else value


def json_file(name: str) -> Any:
    """The JSON value in a file."""
    if not name:
        raise UsageError("there is no file named after @")
    return json_of(_text(name), name)


def json_of(text: str, what: str) -> Any:
    """A JSON value; `what` names it in the error."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise LoadError(f"{what} is not JSON: {error}") from error
    except RecursionError as error:
        raise LoadError(f"{what} is nested too deeply") from error


def _text(name: str) -> str:
    try:
        return Path(name).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(f"{name} is not UTF-8: byte {error.start}", hint="save it as UTF-8") from error
    except (OSError, ValueError) as error:
        raise LoadError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error


# --- rows ---------------------------------------------------------------------------------------------------------


class CsvRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a CSV. line: where it ends in the file, for messages. values: text by column."""

    line: int
    values: dict[str, str]


def csv_rows(name: str) -> list[CsvRow]:
    """The rows of a CSV file with a header, in order; at least one. Empty lines are passed over.

    UTF-8, with or without a byte-order mark. LoadError for anything that would lose or shift a value.
    """
    text = _text(name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        raise LoadError(f"{name} line {reader.line_num} is not CSV: {error}") from error
    if not lines:
        raise LoadError(f"{name} is empty", hint="its first line names the columns")
    header = [column.strip() for column in lines[0][1]]
    if "" in header:
        raise LoadError(f"{name}: column {header.index('') + 1} has no name")
    for column in header:
        if header.count(column) > 1:
            raise LoadError(f"{name}: the column {column} stands there twice")
    for line, fields in lines[1:]:
        if len(fields) != len(header):
            raise LoadError(f"{name} line {line} has {len(fields)} fields, and the header has {len(header)}")
    if not lines[1:]:
        raise LoadError(f"{name} has a header and no rows")
    return [CsvRow(line=line, values=dict(zip(header, fields, strict=True))) for line, fields in lines[1:]]


def ids_of(rows: list[CsvRow], template: str, name: str) -> list[str]:
    """An id for each row from a template such as `hire-{user}`; UsageError where two are the same or a column is missing."""
    try:
        parts = [(literal, field, spec, conversion) for literal, field, spec, conversion in string.Formatter().parse(template)]
    except ValueError as error:
        raise UsageError(f"--id {template!r} is no template: {error}", hint="write it as 'hire-{user}'") from error
    columns = list(rows[0].values)
    for _, field, spec, conversion in parts:
        if field is not None and (spec or conversion):
            raise UsageError(f"--id {template!r}: a column stands there by its bare name, as in 'hire-{{user}}'")
        if field is not None and field not in columns:
            raise UsageError(
                f"--id names the column {field}, which {name} does not have{_near(field, columns)}",
                hint=f"it has {', '.join(columns)}",
            )
    taken: dict[str, int] = {}
    for row in rows:
        made = "".join(literal + (row.values[field] if field is not None else "") for literal, field, _, _ in parts)
        if made in taken:
            raise UsageError(
                f"{name}: lines {taken[made]} and {row.line} both give the id {made}",
                hint="use columns in --id that differ in every row",
            )
        taken[made] = row.line
    return list(taken)
