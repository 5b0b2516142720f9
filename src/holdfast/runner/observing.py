"""Who hears what a worker committed: telemetry, logs. They hear it once it is durable, and only from the worker that did it, so
that what is read again later (a replay, a resume) is never told as if it were done again."""

from __future__ import annotations

import logging
from typing import Protocol

import msgspec

from holdfast.core.events import AnyEvent
from holdfast.core.state import State

_log = logging.getLogger("holdfast")


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of one run. before, after: the state that it found and the one that it left. first: the number of its first
    entry; at: its time, in seconds since the epoch. agent, worker: whose."""

    run_id: str
    agent: str
    worker: str
    fence: int
    first: int
    at: float
    events: tuple[AnyEvent, ...]
    before: State
    after: State


class Observer(Protocol):
    """Hears of commits, on the event loop of the worker: it must return at once, and leave what takes time to a thread."""

    def committed(self, commit: Committed) -> None:
        """What was written down."""


class Observers:
    """All who listen. One that raises hears no more: to watch a run must not change it."""

    def __init__(self, observers: tuple[Observer, ...] = ()):
        self._listening = list(observers)

    def __bool__(self) -> bool:
        return bool(self._listening)

    def committed(self, commit: Committed) -> None:
        """Tell all of a commit."""
        for observer in tuple(self._listening):
            try:
                observer.committed(commit)
            except Exception:  # noqa: BLE001 — the border: whatever a listener does is not the run's concern.
                self._listening.remove(observer)
                _log.exception("%s hears of no more commits: it raised", type(observer).__name__)
