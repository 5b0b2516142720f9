"""The tools of the simulation: every safety, and every promise that the recovery table looks at.

They are made once a process (a tool is expensive to declare) and find the world of the seed that is played at the
moment of the call. Times are virtual seconds, small beside a lease, so that a seed is over soon.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from typing import Any

import msgspec

from holdfast.core.contract import Contract
from holdfast.testing.world import World, make_tool
from holdfast.tools.function import Tool

WORLD: ContextVar[World] = ContextVar("holdfast_simulated_world")

TIMEOUT = 1.0
# Within so long after it was sent, whatever was sent has landed and can be seen, or never will.
SETTLES = 2.0
KEY_TTL = 6.0
KEY_TTL_WEAKER = 4.0
PROBE_WINDOW = 5.0

_COMMON: dict[str, Any] = {"timeout": TIMEOUT, "retry": {"attempts": 3, "backoff": "300ms..1s"}}
_LOST: dict[str, Any] = {**_COMMON, "settles_within": SETTLES}
_PROBED: dict[str, Any] = {**_LOST, "probe_every": 0.4, "probe_window": PROBE_WINDOW}
_ONCE: dict[str, Any] = {"timeout": TIMEOUT}

_CATALOG: dict[str, tuple[Any, dict[str, Any]]] = {
    "look": ("read", _COMMON),
    "store": ("idempotent", _COMMON),
    "store_asked": ("idempotent", {**_COMMON, "approve": "always"}),
    "pay": ("keyed", _COMMON),
    "pay_short": ("keyed", {**_LOST, "key_ttl": KEY_TTL}),
    "pay_probed": ("keyed", {**_PROBED, "key_ttl": KEY_TTL, "probe": True}),
    "wire": ("keyed", {**_COMMON, "approve": "always"}),
    "ticket": ("keyed", {**_COMMON, "business_key": "item"}),
    "queue": ("keyed", {**_COMMON, "parallel": 1}),
    "book": ("reconcilable", _PROBED),
    "seat": ("reconcilable", {**_PROBED, "business_key": "item"}),
    "order": ("reconcilable", {**_PROBED, "parallel": 2}),
    "mail": ("irreversible", _ONCE),
    "post": ("irreversible", {**_ONCE, "approve": "never"}),
    "notice": ("irreversible", {**_ONCE, "approve": "never", "business_key": "item"}),
}

# What a later version of the agent promises of them: less.
_WEAKER: dict[str, tuple[Any, dict[str, Any]]] = {
    "pay_short": ("keyed", {**_LOST, "key_ttl": KEY_TTL_WEAKER}),
    "pay_probed": ("keyed", {**_LOST, "key_ttl": KEY_TTL}),
    "pay": ("irreversible", {**_ONCE, "approve": "never"}),
    "book": ("irreversible", {**_ONCE, "approve": "never"}),
    "order": ("irreversible", {**_ONCE, "parallel": 2}),
    "wire": ("keyed", _COMMON),
    "mail": ("irreversible", {**_ONCE, "approve": "never"}),
    "store": ("irreversible", {**_ONCE, "approve": "never"}),
}

# Changed, and no weaker for it; some promise more than they did.
_OTHER: dict[str, tuple[Any, dict[str, Any]]] = {
    "look": ("read", {**_COMMON, "timeout": TIMEOUT * 2}),
    "book": ("reconcilable", {**_PROBED, "probe_every": 0.8}),
    "pay": ("keyed", {**_COMMON, "approve": "always"}),
    "post": ("irreversible", _ONCE),
    "mail": ("keyed", {**_COMMON, "approve": "always"}),
    "notice": ("idempotent", {**_COMMON, "business_key": "item"}),
    "store": ("idempotent", {**_COMMON, "approve": "always"}),
}

BLIND = "blind"
NAMES: tuple[str, ...] = (*_CATALOG, BLIND)
BUSINESS: tuple[str, ...] = tuple(name for name, (_, options) in _CATALOG.items() if "business_key" in options)
WEAKER: tuple[str, ...] = tuple(_WEAKER)
OTHER: tuple[str, ...] = tuple(_OTHER)


@cache
def tool_named(name: str, form: str = "") -> Tool[..., Any]:
    """A tool of the catalog, as it is, `weaker` or `other`."""
    if name == BLIND:
        return _blind()
    safety, options = {"": _CATALOG, "weaker": _WEAKER, "other": _OTHER}[form][name]
    return make_tool(WORLD.get, name, safety, **options)


def _blind() -> Tool[..., Any]:
    """Reconcilable by its word, and nobody can be asked: `@tool` refuses that, a contract from elsewhere may say it."""
    whole = make_tool(WORLD.get, BLIND, "reconcilable", **_PROBED)
    contract: Contract = msgspec.structs.replace(whole.contract, probe=False)
    return Tool(whole.function, contract, whole.arguments, whole.output, None)


def contract_named(name: str) -> Contract:
    """What a tool of the catalog promises."""
    return tool_named(name).contract
