"""What is to go wrong, and for whom. Decided before the services start, so that a run can be had again."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults of all labs; each lab heeds its own and ignores the others'."""

    vpn_down_times: int = 2
    """How many of the first requests of each user the VPN service answers with 503."""
    lost_answer_for: frozenset[str] = frozenset()
    """Users whose first laptop order is taken while the answer never arrives."""
    lost_after_seconds: float = 1.0
    """How long the shop keeps the connection of a lost answer open before it closes it without a word."""
    down_for: frozenset[str] = frozenset()
    """Users for whom the laptop shop refuses every order and finds none."""
    checked_early: frozenset[str] = frozenset()
    """Users whose background check is brought back before its request is answered."""
    checked_late: frozenset[str] = frozenset()
    """Users whose background check is brought back when the driver says so."""
    checked_twice: frozenset[str] = frozenset()
    """Users whose background check is brought back twice."""
    never_checked: frozenset[str] = frozenset()
    """Users whose background check is never brought back; it is promised for `silent_due_seconds` after the request."""
    silent_due_seconds: float = 3.0
    check_seconds: float = 0.3
    """How long a background check takes where nothing else is said."""
    crm_delay_seconds: float = 0.0
    """How long after it was sent a mail shows in the CRM."""
    unseen_for: frozenset[str] = frozenset()
    """Customers whose first mail never shows in the CRM."""
    answered: frozenset[str] = frozenset()
    """Customers who have answered already."""
    draw_seconds: float = 0.0
    """How long the office takes for a picture that is not small."""
    malformed_pages: frozenset[str] = frozenset()
    """Pages that break off in the middle of a letter."""
    empty_pages: frozenset[str] = frozenset()
    """Pages on which nothing stands."""
    planted_pages: frozenset[str] = frozenset()
    """Pages on which somebody has planted an order to whoever reads them."""
    full_towns: frozenset[str] = frozenset()
    """Towns without a hotel room."""
    forget_keys_after_seconds: float | None = None
    """How long the keyed gateway remembers an answered key; None is for ever."""
    late_commit_seconds: float = 0.0
    """How long after its request a transfer lands, whether or not the caller is still there."""


def read_faults(path: Path) -> Faults:
    """The faults in a JSON file; keys left out keep their defaults.

    Raises ValueError for an unknown key or a value of the wrong kind, OSError when the file cannot be read.
    """
    given = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(given, dict):
        raise ValueError("faults must be a JSON object")
    if unknown := sorted(given.keys() - Faults.__dataclass_fields__.keys()):
        raise ValueError(f"unknown fault {unknown[0]!r}; there are {', '.join(Faults.__dataclass_fields__)}")
    usual = Faults()
    forget = given.get("forget_keys_after_seconds")
    times = given.get("vpn_down_times", usual.vpn_down_times)
    if type(times) is not int or times < 0:
        raise ValueError("vpn_down_times must be a whole number, 0 or more")
    read: dict[str, Any] = {"vpn_down_times": times}
    if forget is not None:
        read["forget_keys_after_seconds"] = _seconds(given, "forget_keys_after_seconds", 0.0)
    for name, value in vars(usual).items():
        if isinstance(value, frozenset):
            read[name] = _names(given, name)
        elif isinstance(value, float):
            read[name] = _seconds(given, name, value)
    return Faults(**read)


def _names(given: Mapping[str, object], name: str) -> frozenset[str]:
    names = given.get(name, [])
    if not isinstance(names, list) or not all(isinstance(member, str) for member in names):
        raise ValueError(f"{name} must be a list of names")
    return frozenset(names)


def _seconds(given: Mapping[str, object], name: str, usual: float) -> float:
    value = given.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more")
    return float(value)
