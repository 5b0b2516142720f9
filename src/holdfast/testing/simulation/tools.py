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
from holdfast.testing.world import World, make_tool, make_undo
from holdfast.tools.function import Tool

WORLD: ContextVar[World] = ContextVar("holdfast_simulated_world")

TIMEOUT = 1.0
# Within so long after it was sent, whatever was sent has landed and can be seen, or never will.
SETTLES = 2.0
KEY_TTL = 6.0
KEY_TTL_WEAKER = 4.0
PROBE_WINDOW = 5.0
# What is owed, and has no deadline of its own, is to come within so long.
OWED_WITHIN = 4.0

_COMMON: dict[str, Any] = {"timeout": TIMEOUT, "retry": {"attempts": 3, "backoff": "300ms..1s"}, "owed_within": OWED_WITHIN}
_LOST: dict[str, Any] = {**_COMMON, "settles_within": SETTLES}
_PROBED: dict[str, Any] = {**_LOST, "probe_every": 0.4, "probe_window": PROBE_WINDOW}
_ONCE: dict[str, Any] = {"timeout": TIMEOUT, "owed_within": OWED_WITHIN}

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

# Those of which more may come than a yes or a no: at once, or over the days.
_POLLED: dict[str, Any] = {"poll": True, "poll_every": "400ms..1s"}
_FREE: dict[str, Any] = {**_ONCE, "approve": "never"}
_MESSY: dict[str, tuple[Any, dict[str, Any]]] = {
    "supply": ("keyed", {**_COMMON, "callback": True, "at_deadline": "ask"}),
    "ship": ("keyed", {**_COMMON, **_POLLED, "callback": False, "at_deadline": "fail"}),
    "build": ("keyed", {**_COMMON, **_POLLED, "callback": True, "at_deadline": "repeat"}),
    "survey": ("keyed", {**_COMMON, "callback": True, "at_deadline": "give_up"}),
    "hire": ("reconcilable", {**_PROBED, "callback": True, "at_deadline": "repeat"}),
    "train": ("reconcilable", {**_PROBED, **_POLLED, "callback": False, "at_deadline": "ask"}),
    "sign": ("irreversible", {**_FREE, "callback": True, "at_deadline": "ask"}),
    "audit": ("irreversible", {**_FREE, **_POLLED, "callback": True, "at_deadline": "fail"}),
    "enrol": ("reconcilable", {**_PROBED, "business_key": "item", "visible_within": 3.0, "callback": True, "at_deadline": "ask"}),
    "permit": ("keyed", {
        **_COMMON, **_POLLED, "business_key": "item", "scope": "store", "visible_within": 3.0, "callback": True,
        "at_deadline": "repeat",
    }),
    "grant": ("irreversible", {**_FREE, "business_key": "item", "scope": "store", "callback": True, "at_deadline": "ask"}),
    "fetch": ("read", {**_COMMON, "rate": "3/2s"}),
    "sms": ("keyed", {**_COMMON, "rate": "2/1s", "changes": "credit"}),
    "geo": ("idempotent", {**_COMMON, "rate": "2/1s", "breaker": "2/5s/2s"}),
    "crm": ("keyed", {**_COMMON, "breaker": "2/5s/2s", "sufficient": "amount > `0`", "changes": ("credit", "quota")}),
    "lease": ("keyed", {**_COMMON, "undo": "unlease", "sufficient": "amount > `0`", "changes": "credit"}),
    "reserve": ("reconcilable", {**_PROBED, "sufficient": "amount > `0`", "undo": "unreserve", "callback": True}),
    "charge": ("irreversible", {**_FREE, "sufficient": "amount > `0`", "undo": "refund", "callback": True}),
}  # fmt: skip
_UNDO: dict[str, tuple[Any, dict[str, Any]]] = {
    "unlease": ("keyed", _COMMON),
    "unreserve": ("reconcilable", _PROBED),
    "refund": ("irreversible", _FREE),
}
# Those of the seeds in which a model thinks: what is looked up and becomes a fact, and what costs money.
_THOUGHT: dict[str, tuple[Any, dict[str, Any]]] = {
    "price": ("read", {**_COMMON, "observes": {"price of {item}": "amount"}, "valid_for": 3.0}),
    "stock": ("read", {**_COMMON, "observes": {"stock": "amount", "last": "item"}}),
    "bill": ("keyed", {**_COMMON, "cost": "0.02"}),
    "pool": ("reconcilable", {**_PROBED, "cost": "0.05"}),
    "stamp": ("irreversible", {**_FREE, "cost": "0.03"}),
}  # fmt: skip
# Palettes of the seeds in which the world owes something, is shared, or is taken back.
MESSY: tuple[str, ...] = tuple(_MESSY)
DEFERRING = ("supply", "ship", "build", "survey", "hire", "train", "sign", "audit", "reserve", "charge")
ONCE = ("enrol", "permit", "grant")
STORE_WIDE = ("permit", "grant")
GATED = ("fetch", "sms", "geo", "crm")
UNDOABLE = ("lease", "reserve", "charge")
UNDO: tuple[str, ...] = tuple(_UNDO)
COSTLY: tuple[str, ...] = tuple(name for name, (_, options) in _THOUGHT.items() if "cost" in options)
THOUGHT: tuple[str, ...] = (
    *_THOUGHT, "look", "store", "pay", "book", "mail", "post", "ticket", "notice", "supply", "hire", "lease", "charge", "crm",
)  # fmt: skip
CHANGING = ("sms", "crm", "lease")
# So many requests in so long are taken by the services themselves; one of them takes less than its contract says.
SERVICE_RATES = {"fetch": (3, 1.9), "sms": (2, 1.3), "geo": (2, 0.9)}

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

# What an office makes of any of them: one that asks where its own condition holds, one that returns what nobody vouches for.
ASKS_ABOVE = 5
_IN_AN_OFFICE: dict[str, dict[str, Any]] = {
    "conditional": {"approve": f"amount > {ASKS_ABOVE}", "approvers": ("approver",), "amount": "amount"},
    "untrusted": {"untrusted": True},
}

BLIND = "blind"
NAMES: tuple[str, ...] = (*_CATALOG, BLIND)
BUSINESS: tuple[str, ...] = tuple(name for name, (_, options) in (_CATALOG | _MESSY).items() if "business_key" in options)
CLASSIC_BUSINESS: tuple[str, ...] = tuple(name for name in BUSINESS if name in _CATALOG)
EDITABLE: tuple[str, ...] = (*NAMES, *MESSY, *_THOUGHT)
WEAKER: tuple[str, ...] = tuple(_WEAKER)
OTHER: tuple[str, ...] = tuple(_OTHER)


@cache
def tool_named(name: str, form: str = "") -> Tool[..., Any]:
    """A tool of the catalog, as it is, `weaker` or `other`; or as an office has it, `conditional` or `untrusted`."""
    if name == BLIND:
        return _blind()
    if name in _UNDO:
        safety, options = _UNDO[name]
        return make_undo(WORLD.get, name, safety, **options)
    added = _IN_AN_OFFICE.get(form, {})
    safety, options = {"weaker": _WEAKER, "other": _OTHER}.get(form, _CATALOG | _MESSY | _THOUGHT)[name]
    return make_tool(WORLD.get, name, safety, **{**options, **added})


def _blind() -> Tool[..., Any]:
    """Reconcilable by its word, and nobody can be asked: `@tool` refuses that, a contract from elsewhere may say it."""
    whole = make_tool(WORLD.get, BLIND, "reconcilable", **_PROBED)
    contract: Contract = msgspec.structs.replace(whole.contract, probe=False)
    return Tool(whole.function, contract, whole.arguments, whole.output, None)


def contract_named(name: str) -> Contract:
    """What a tool of the catalog promises."""
    return tool_named(name).contract
