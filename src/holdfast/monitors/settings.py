"""What a user changes of the monitors: YAML or JSON in, settings out. Everything may be left out.

window: 24h                          # the time that is looked at
past: 30d                            # and the time before it, which says what is usual
off: [tool_cost_drift]               # monitors that are not wanted
monitors:
  skipped_too_much: {share: 50%}
agents:
  invoices:
    check: "result.total > 0 && result.lines"      # what must hold of a completed run
    skipped_too_much: {share: 0.8}
  scratch:
    off: [empty_result, goal_check_fails]
tools:
  search:
    tool_latency_drift: {factor: 3, seconds: 2s}
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from holdfast import datafile
from holdfast.core.conditions import Condition, compile_condition
from holdfast.core.contract import duration
from holdfast.errors import DefinitionError, LoadError
from holdfast.monitors.catalog import BY_NAME, DAY, MONITORS, NAMES, Monitor, Threshold
from holdfast.monitors.digest import CHECK_WORDS

FILE_KEYS = ("window", "past", "off", "monitors", "agents", "tools", "description")
AGENT_NAMES = tuple(monitor.name for monitor in MONITORS if monitor.of in ("agent", "tool"))
TOOL_NAMES = tuple(monitor.name for monitor in MONITORS if monitor.of == "tool")
AGENT_KEYS = ("check", "off", *AGENT_NAMES, "description")
TOOL_KEYS = ("off", *TOOL_NAMES, "description")
_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")

Values = dict[str, dict[str, float]]


class Own(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is changed for one agent, or one tool. check: what must hold of a completed run of the agent. off: monitors that do
    not look at it; values: thresholds by monitor."""

    check: str = ""
    off: tuple[str, ...] = ()
    values: Values = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module's text. window_seconds, past_seconds: what is looked at, and what it is held against."""

    window_seconds: float = DAY
    past_seconds: float = 30 * DAY
    off: tuple[str, ...] = ()
    values: Values = {}
    agents: dict[str, Own] = {}
    tools: dict[str, Own] = {}

    def looks(self, monitor: Monitor, *, agent: str = "", tool: str = "") -> bool:
        """Whether a monitor is wanted, of an agent or a tool."""
        owns = (self.agents.get(agent), self.tools.get(tool))
        return monitor.name not in self.off and not any(own is not None and monitor.name in own.off for own in owns)

    def of(self, monitor: Monitor, *, agent: str = "", tool: str = "") -> dict[str, float]:
        """The thresholds in force, by name: a tool's own before an agent's own, these before those for all."""
        found = {threshold.name: threshold.usual for threshold in monitor.thresholds}
        found |= self.values.get(monitor.name, {})
        for own in (self.agents.get(agent), self.tools.get(tool)):
            if own is not None:
                found |= own.values.get(monitor.name, {})
        return found

    def check(self, agent: str) -> Condition | None:
        """What must hold of a completed run of an agent; None where nothing is asked."""
        own = self.agents.get(agent)
        return compile_condition(own.check, CHECK_WORDS) if own is not None and own.check else None


USUAL = Settings()


def load(path: Path) -> Settings:
    """Read a file of settings. LoadError where it cannot be read at all; DefinitionError with all that is wrong in it."""
    if path.suffix not in datafile.SUFFIXES:
        raise LoadError(f"{path} is no file of settings", hint="name a file in .yaml, .yml or .json")
    settings, found = parse(datafile.read(path, "a file of settings"))
    if settings is None:
        raise DefinitionError(datafile.told(str(path), found))
    return settings


def parse(data: Any) -> tuple[Settings | None, list[str]]:
    """Settings from their data, and everything that is wrong with them, a sentence each; None where there is anything."""
    if data is None:
        return USUAL, []
    if not isinstance(data, dict):
        return None, [f"it is {datafile.kind(data)}, not a table with `monitors`, `agents`, `off` and so on"]
    found = datafile.strange(data, FILE_KEYS, "settings of monitors", "")
    settings = Settings(
        window_seconds=_length(data, "window", DAY, found),
        past_seconds=_length(data, "past", 30 * DAY, found),
        off=_off(data, NAMES, "", found),
        values=_values(_table(data, "monitors", "", found), NAMES, "monitors", found),
        agents={
            name: _own(form, AGENT_KEYS, AGENT_NAMES, f"agent {name}", found) for name, form in _named(data, "agents", found)
        },
        tools={name: _own(form, TOOL_KEYS, TOOL_NAMES, f"tool {name}", found) for name, form in _named(data, "tools", found)},
    )
    return (None if found else settings), found


def _named(data: dict[str, Any], key: str, found: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What is changed by name."""
    table = _table(data, key, "", found)
    return [(str(name), _table(table, name, key, found)) for name in table]


def _own(form: dict[str, Any], keys: tuple[str, ...], monitors: tuple[str, ...], where: str, found: list[str]) -> Own:
    found += datafile.strange(form, keys, "what is changed for one", where)
    given = {name: form[name] for name in monitors if name in form}
    return Own(
        check=_check(form["check"], where, found) if "check" in form and "check" in keys else "",
        off=_off(form, monitors, where, found),
        values=_values(given, monitors, where, found),
    )


def _check(text: Any, where: str, found: list[str]) -> str:
    if not isinstance(text, str):
        found.append(f'{where}: check is {datafile.kind(text)}, not a condition; write it in quotes: "result.total > 0"')
        return ""
    if (problem := compile_condition(text, CHECK_WORDS).problem) is not None:
        found.append(f"{where}: check: {problem}")
    return text


def _off(form: dict[str, Any], monitors: tuple[str, ...], where: str, found: list[str]) -> tuple[str, ...]:
    place = f"{where}: off" if where else "off"
    names = datafile.texts(form.get("off", ()), place, found)
    found += [
        f"{place}: there is no monitor {name!r} here{datafile.meant(name, monitors)}" for name in names if name not in monitors
    ]
    return names


def _values(table: dict[str, Any], monitors: tuple[str, ...], where: str, found: list[str]) -> Values:
    values: Values = {}
    for name, form in table.items():
        place = f"{where}: {name}"
        if name not in monitors:
            found.append(f"{where}: there is no monitor {name!r} here{datafile.meant(name, monitors)}")
        elif not isinstance(form, dict):
            found.append(f"{place}: it is {datafile.kind(form)}, not a table of thresholds")
        else:
            values[name] = _thresholds(form, BY_NAME[name], place, found)
    return values


def _thresholds(form: dict[str, Any], monitor: Monitor, where: str, found: list[str]) -> dict[str, float]:
    known = {threshold.name: threshold for threshold in monitor.thresholds}
    given: dict[str, float] = {}
    for name, value in form.items():
        if name not in known:
            hint = datafile.meant(name, tuple(known)) if known else " (it has none)"
            found.append(f"{where}: {name!r} is no threshold of it{hint}")
        elif (number := _number(known[name], value)) is None:
            found.append(f"{where}: {name} is {value!r}; {_MEANT[known[name].kind]}")
        else:
            given[name] = number
    return given


_MEANT = {
    "share": "write a share: 0.2 or 20%",
    "count": "write a whole number, 0 or more",
    "factor": "write a number of at least 1",
    "usd": "write dollars, 0 or more",
    "seconds": "write a length of time: 90s, 15m, 2h, or seconds",
}


def _number(threshold: Threshold, value: Any) -> float | None:
    """A threshold as a number; None where it is none of its kind."""
    if threshold.kind == "seconds":
        return _duration(value)
    if threshold.kind == "share" and isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
        value = float(percent[1]) / 100
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
        return None
    fits = {"share": value <= 1, "count": value == int(value), "factor": value >= 1}.get(threshold.kind, True)
    return float(value) if fits else None


def _duration(value: Any) -> float | None:
    try:
        return duration(value)
    except DefinitionError:
        return None


def _length(data: dict[str, Any], key: str, usual: float, found: list[str]) -> float:
    if key not in data:
        return usual
    seconds = _duration(data[key])
    if seconds is None or seconds <= 0:
        found.append(f"{key} is {data[key]!r}; write a length of time: 24h, 7d, 30d")
        return usual
    return seconds


def _table(data: dict[str, Any], key: str, where: str, found: list[str]) -> dict[str, Any]:
    table = data.get(key)
    if isinstance(table, dict):
        return table
    if table is not None:
        found.append(f"{where}: {key} is {datafile.kind(table)}, not a table".removeprefix(": "))
    return {}
