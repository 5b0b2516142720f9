"""The JSON Schema of a file with settings of monitors, made from the monitors that there are and the keys that its reader
accepts.
"""

from __future__ import annotations

from typing import Any

from holdfast.cli.schema import DIALECT, SPAN_WORDS, table
from holdfast.monitors.catalog import BY_NAME, NAMES, Monitor, Threshold
from holdfast.monitors.digest import CHECK_WORDS
from holdfast.monitors.settings import AGENT_KEYS, AGENT_NAMES, FILE_KEYS, TOOL_KEYS, TOOL_NAMES

_LENGTH: dict[str, Any] = {
    "description": "seconds as a number, or words: 90s, 15m, 24h, 7d",
    "anyOf": [{"type": "number", "minimum": 0}, SPAN_WORDS],
}
_SHARE: dict[str, Any] = {
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"}]
}
_KINDS: dict[str, dict[str, Any]] = {
    "share": _SHARE,
    "count": {"type": "integer", "minimum": 0},
    "factor": {"type": "number", "minimum": 1},
    "usd": {"type": "number", "minimum": 0},
    "seconds": _LENGTH,
}
_PLAIN: dict[str, dict[str, Any]] = {
    "window": {**_LENGTH, "description": "the time that is looked at; 24h by default"},
    "past": {**_LENGTH, "description": "the time before it, which says what is usual; 30d by default"},
    "check": {
        "type": "string",
        "pattern": r"\S",
        "description": f"what must hold of a completed run: a condition over {', '.join(CHECK_WORDS)}",
    },
    "description": {"description": "for readers; nothing is made of it"},
}


def monitors_schema() -> dict[str, Any]:
    """The JSON Schema of such a file."""
    by_name = {"type": "object"}
    forms = {
        **_PLAIN,
        "off": _off(NAMES),
        "monitors": table(NAMES, {name: _monitor(BY_NAME[name]) for name in NAMES}),
        "agents": {
            **by_name,
            "additionalProperties": _own(AGENT_KEYS, AGENT_NAMES),
            "description": "what is changed for an agent",
        },
        "tools": {**by_name, "additionalProperties": _own(TOOL_KEYS, TOOL_NAMES), "description": "what is changed for a tool"},
    }
    return {"$schema": DIALECT, "title": "Settings of holdfast's monitors", **table(FILE_KEYS, forms)}


def _own(keys: tuple[str, ...], monitors: tuple[str, ...]) -> dict[str, Any]:
    return table(keys, {**_PLAIN, "off": _off(monitors), **{name: _monitor(BY_NAME[name]) for name in monitors}})


def _off(names: tuple[str, ...]) -> dict[str, Any]:
    one = {"enum": list(names)}
    return {"description": "monitors that are not wanted", "anyOf": [one, {"type": "array", "items": one}]}


def _monitor(monitor: Monitor) -> dict[str, Any]:
    forms = {one.name: _threshold(one) for one in monitor.thresholds}
    return {**table(tuple(forms), forms), "description": monitor.means}


def _threshold(threshold: Threshold) -> dict[str, Any]:
    return {**_KINDS[threshold.kind], "description": threshold.means, "default": threshold.usual}
