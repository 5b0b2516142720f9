"""A world that somebody wrote down for a simulation: YAML or JSON in, what calls come to out.

refund:                                  # a tool; its answers are looked through in order, the first that holds is taken
  - {when: "amount > `500`", fails: denied, message: over the limit}
  - {result: {receipt: R-1}, times: 1}   # once, then the next one
  - {result: {receipt: R-2}}
look_up: {result: {total: 120}}          # one answer may stand by itself
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import jmespath

from holdfast import datafile
from holdfast.core.events import FailureKind, Scripted
from holdfast.errors import DefinitionError, LoadError

KEYS = ("when", "result", "fails", "message", "times")
TIMES_MAX = 1_000_000


def load(path: Path, tools: Iterable[str] | None = None) -> tuple[Scripted, ...]:
    """Read the file of a world. tools: that can be called; None: that is not looked at. LoadError where it cannot be read at all;
    DefinitionError with all that is wrong in it."""
    if path.suffix not in datafile.SUFFIXES:
        raise LoadError(f"{path} is no world", hint="name a file in .yaml, .yml or .json")
    script, found = parse(datafile.read(path, "a world"), tools)
    if found:
        raise DefinitionError(datafile.told(str(path), found))
    return script


def parse(data: Any, tools: Iterable[str] | None = None) -> tuple[tuple[Scripted, ...], list[str]]:
    """What calls come to, from its data, and everything that is wrong with it, a sentence each."""
    if not isinstance(data, dict):
        return (), [f"it is {datafile.kind(data)}, not a table of answers by tool"]
    known, found, script = None if tools is None else tuple(tools), list[str](), list[Scripted]()
    for tool, answers in data.items():
        if known is not None and tool not in known:
            found.append(f"the agent has no tool {tool!r}{datafile.meant(tool, known)}")
        script += _answers(str(tool), answers, found)
    return tuple(script), found


def _answers(tool: str, given: Any, found: list[str]) -> Iterable[Scripted]:
    forms = given if isinstance(given, list) else [given]
    if not forms:
        found.append(f"{tool}: there is no answer; write at least one, such as {{result: …}}")
    taken_from = 0
    for number, form in enumerate(forms, 1):
        where = tool if len(forms) == 1 else f"{tool}, answer {number}"
        if taken_from:
            found.append(f"{where}: it is never reached, for answer {taken_from} holds always")
        if (answer := _answer(tool, form, where, found)) is not None:
            if not answer.when and not answer.times and not taken_from:
                taken_from = number
            yield answer


def _answer(tool: str, form: Any, where: str, found: list[str]) -> Scripted | None:
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a table; write {{result: …}}")
        return None
    before = len(found)
    found += datafile.strange(form, KEYS, "an answer", where)
    if ("result" in form) == ("fails" in form):
        found.append(f"{where}: write either `result` or `fails`")
    fails, times, when, message = form.get("fails"), form.get("times", 0), form.get("when", ""), form.get("message", "")
    if "fails" in form and fails not in get_args(FailureKind):
        found.append(f"{where}: fails is {fails!r}{datafile.meant(fails, get_args(FailureKind))}")
    if not isinstance(times, int) or isinstance(times, bool) or not ("times" not in form or 1 <= times <= TIMES_MAX):
        found.append(f"{where}: times is a whole number of at least 1, not {times!r}")
    if not isinstance(message, str) or (message and "fails" not in form):
        found.append(f"{where}: message is a text, and goes with `fails`")
    if problem := _condition_problem(when, "when" in form):
        found.append(f"{where}: when {problem}")
    if len(found) > before:
        return None
    return Scripted(tool=tool, when=when, result=form.get("result"), fails=fails, message=message, times=times)


def _condition_problem(when: Any, given: bool) -> str:
    if not isinstance(when, str) or (given and not when.strip()):
        return "is a condition over the arguments, in quotes"
    try:
        if when:
            jmespath.compile(when)
    except Exception as error:  # noqa: BLE001 — whatever the library thinks of an expression.
        return f"is no condition: {str(error).splitlines()[0].rstrip(': ')}"
    return ""
