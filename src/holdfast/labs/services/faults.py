"""What is to go wrong, and for whom. Decided before the services start, so that a run can be had again."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults of both labs; each lab heeds its own and ignores the other's."""

    vpn_down_times: int = 2
    """How many of the first requests of each user the VPN service answers with 503."""
    lost_answer_for: frozenset[str] = frozenset()
    """Users whose first laptop order is taken while the answer never arrives."""
    lost_after_seconds: float = 1.0
    """How long the shop keeps the connection of a lost answer open before it closes it without a word."""
    down_for: frozenset[str] = frozenset()
    """Users for whom the laptop shop refuses every order and finds none."""
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
    return Faults(
        vpn_down_times=times,
        lost_answer_for=_users(given, "lost_answer_for"),
        lost_after_seconds=_seconds(given, "lost_after_seconds", usual.lost_after_seconds),
        down_for=_users(given, "down_for"),
        forget_keys_after_seconds=None if forget is None else _seconds(given, "forget_keys_after_seconds", 0.0),
        late_commit_seconds=_seconds(given, "late_commit_seconds", usual.late_commit_seconds),
    )


def _users(given: Mapping[str, object], name: str) -> frozenset[str]:
    users = given.get(name, [])
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        raise ValueError(f"{name} must be a list of users")
    return frozenset(users)


def _seconds(given: Mapping[str, object], name: str, usual: float) -> float:
    value = given.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more")
    return float(value)
