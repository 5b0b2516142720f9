"""What a tool is handed of the call it is in, and what it may report while it is in it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.core.events import Change
from holdfast.core.limits import amount_of
from holdfast.core.models import ZERO, Usage

# What a call reports to have changed is added up by name and note; past so many of them, the notes are dropped, then the rest.
CHANGES_MAX = 100


class Cancelled(BaseException):
    """Raised inside a synchronous tool whose time is over. A BaseException, so that `except Exception` lets it through."""


class Reports:
    """What a call has reported so far; from any thread. words: its last progress. on_progress: told of each."""

    __slots__ = ("_amounts", "_lock", "on_progress", "used", "words")

    def __init__(self) -> None:
        self.words = ""
        self.on_progress: Callable[[], None] | None = None
        self.used: Usage | None = None
        self._amounts: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def use(self, usage: Usage) -> None:
        """Count what was used."""
        with self._lock:
            self.used = usage if self.used is None else self.used + usage

    def add(self, name: str, amount: Any, note: str) -> None:
        """One more change. An amount that is no finite number counts as 0, and the note says what it was."""
        number = _finite(amount)
        if number is None:
            number, note = 0.0, f"{type(amount).__name__} is no amount" + (f"; {note}" if note else "")
        with self._lock:
            about = next((key for key in ((name, note), (name, "")) if self._has_room(key)), None)
            if about is not None:
                total = _finite(self._amounts.get(about, 0.0) + number)
                self._amounts[about] = total if total is not None else self._amounts[about]

    def _has_room(self, key: tuple[str, str]) -> bool:
        return key in self._amounts or len(self._amounts) < CHANGES_MAX

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was changed, in the order in which it was first reported."""
        with self._lock:
            return tuple(Change(name=name, amount=amount, note=note) for (name, note), amount in self._amounts.items())


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool may know of the call it is in, and say while it is in it.

    key: the idempotency key, the same on every attempt. occurrence: 1, or more for an intended repeat. attempt: from 1.
    deadline: seconds since the epoch; after it the call is cancelled. A long synchronous tool looks at `stopped` now and
    then and returns when it is set. token: by which the other side may deliver the result (`callback=`); the same on every
    attempt, empty where the tool takes no callbacks. handle: for polls and probes of what is owed, the other side's name for it.
    """

    run_id: str
    step: str
    key: str
    attempt: int = 1
    occurrence: int = 1
    deadline: float = 0.0
    stopped: threading.Event = msgspec.field(default_factory=threading.Event)
    token: str = ""
    handle: str = ""
    reports: Reports = msgspec.field(default_factory=Reports)

    def changed(self, name: str, amount: float = 1.0, note: str = "") -> None:
        """Report something else that this call changed ("credit", 3). It is recorded with the outcome, whatever that is; the
        amounts of one name and note are added up."""
        self.reports.add(str(name), amount, str(note))

    def spent(self, cost_usd: Decimal | str | float = 0, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Report what this call cost, in place of what its tool declares (`cost=`). It is settled with the outcome, whatever that
        is; several reports are added up. An amount that is none, or below nothing, counts as nothing."""
        tokens = [max(count, 0) for count in (input_tokens, output_tokens)]
        amount = amount_of(cost_usd)
        self.reports.use(Usage(input_tokens=tokens[0], output_tokens=tokens[1], cost_usd=amount if amount is not None else ZERO))

    def progress(self, words: str = "") -> None:
        """Report that it goes on ("page 3 of 9"). Keeps a tool with `heartbeat=` alive; the last words are shown when its time
        is over all the same."""
        self.reports.words = str(words)
        if (told := self.reports.on_progress) is not None:
            told()


def _finite(amount: Any) -> float | None:
    try:
        number = float(amount) if not isinstance(amount, (bool, str, bytes)) else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
