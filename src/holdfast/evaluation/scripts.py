"""Which model answers in a case: a real one by its name, or a script.

    model: anthropic:claude-sonnet-5          # a real one; it costs money
    model: turns.yaml                         # a list of turns in a file
    model: minds.py:refunder                  # a list, a function of the request, or a ScriptedModel
    model:                                    # the turns themselves
      - call: look_up
        args: {order: "7"}
      - [{think: "It is paid."}, {call: refund, args: {order: "7"}}]
      - {tries: [{fault: overloaded}, "Refunded."]}

A turn is a text, a call, a list of parts, or one of `fault`, `refuse`, `cut` and `tries`; see `holdfast.testing.models`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from holdfast import datafile, loading
from holdfast.errors import DefinitionError, LoadError
from holdfast.models import ModelName
from holdfast.testing.models import FAULT_NAMES, Said, ScriptedModel, call, cut, fault, refuse, say, think, tries

PART_KEYS = ("say", "think", "call", "args")
TURN_KEYS = ("fault", "refuse", "cut", "tries")


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was named. label: for people. real: as `provider:name`; else turns, or what a Python file has."""

    label: str
    real: str = ""
    turns: tuple[Said, ...] = ()
    python: str = ""


def checked(form: Any, folder: Path) -> Chosen:
    """What a case file names; DefinitionError or LoadError, with all that is wrong in it. folder: of the case file."""
    if isinstance(form, list):
        return Chosen(label="script", turns=_turns(form, "turn"))
    if not isinstance(form, str) or not form.strip():
        raise DefinitionError(
            f"{form!r} is no model", hint="write a list of turns, a file with one, FILE.py:NAME or provider:name"
        )
    if Path(form).suffix in datafile.SUFFIXES:
        data = datafile.read(folder / form, "a script")
        if not isinstance(data, list):
            raise LoadError(f"{folder / form} is {datafile.kind(data)}, not a list of turns")
        return Chosen(label=form, turns=_turns(data, f"{form}: turn"))
    if form.rpartition(":")[0].endswith(".py"):
        spec = str(folder / form)
        _of_python(spec)
        return Chosen(label=form, python=spec)
    return named(form)


def named(model: str) -> Chosen:
    """A real model by its name; DefinitionError for a name that is none."""
    if ":" not in model.strip(":"):
        raise DefinitionError(
            f"{model!r} is no name of a model", hint="name it as provider:name, such as anthropic:claude-sonnet-5"
        )
    return Chosen(label=model, real=model)


def model_of(chosen: Chosen) -> ModelName:
    """The model itself; a script anew each time, so that nothing of an earlier run is left in it."""
    if chosen.real:
        return chosen.real
    return _of_python(chosen.python) if chosen.python else ScriptedModel(chosen.turns)


def anew(model: ScriptedModel) -> ScriptedModel:
    """The same script, of which nothing was asked yet."""
    return ScriptedModel(model.script, name=model.name)


def _of_python(spec: str) -> ScriptedModel:
    thing = loading.named(spec)
    if isinstance(thing, ScriptedModel):
        return anew(thing)
    if callable(thing) or isinstance(thing, (list, tuple)):
        return ScriptedModel(thing)
    raise LoadError(f"{spec} is no script", hint="it is a list of turns, a function of the request, or a ScriptedModel")


# --- turns --------------------------------------------------------------------------------------------------------


def _turns(forms: list[Any], where: str) -> tuple[Said, ...]:
    """Turns from their data; DefinitionError with all that is wrong."""
    found: list[str] = []
    turns = [_turn(form, f"{where} {number}", found) for number, form in enumerate(forms, 1)]
    if not turns:
        found.append("a script has at least one turn")
    if found:
        raise DefinitionError("; ".join(found))
    return tuple(turns)


def _turn(form: Any, where: str, found: list[str]) -> Said:
    if not isinstance(form, dict) or not set(form) & set(TURN_KEYS):
        return [_part(part, where, found) for part in (form if isinstance(form, list) else [form])]
    if len(form) > 1:
        found.append(f"{where}: {' and '.join(map(str, form))} stand alone, one of them in a turn")
        return ""
    ((word, value),) = form.items()
    if word == "tries":
        if not isinstance(value, list) or not value:
            found.append(f"{where}: tries is a list of turns, at least one")
            return ""
        return tries(*(_turn(one, f"{where}: try {number}", found) for number, one in enumerate(value, 1)))
    if not isinstance(value, str):
        found.append(f"{where}: {word} is {datafile.kind(value)}, not a text")
        return ""
    if word != "fault":
        return refuse(value) if word == "refuse" else cut(value)
    if value not in FAULT_NAMES:
        found.append(f"{where}: fault is {value!r}{datafile.meant(value, FAULT_NAMES)}")
        return ""
    return fault(value)


def _part(form: Any, where: str, found: list[str]) -> Any:
    if isinstance(form, str):
        return say(form)
    if not isinstance(form, dict):
        found.append(f"{where}: it is {datafile.kind(form)}, not a text or a call such as {{call: refund, args: {{order: 7}}}}")
        return say("")
    found += datafile.strange(form, PART_KEYS, "a turn", where)
    args = form.get("args", {})
    if isinstance(form.get("call"), str) and isinstance(args, dict):
        return call(form["call"], **args)
    for word, made in (("say", say), ("think", think)):
        if isinstance(form.get(word), str) and len(form) == 1:
            return made(form[word])
    found.append(f"{where}: it is one of a text, {{say: …}}, {{think: …}} and {{call: …, args: {{…}}}}")
    return say("")
