"""The line between the desk and the services. The services are real; the line takes its time and breaks as it was drawn.

What a request takes is told to the clock and not waited for, so two weeks pass in seconds, and the same seed gives the same
times.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from math import exp
from pathlib import Path
from typing import Any, Protocol

from holdfast import Call, Conflict, Transient
from holdfast.labs.http_call import WORLD, send
from holdfast.labs.services import Services
from holdfast.labs.silent.story import HEALTHY, PRICE_USD, TOWN, Weather

SPREAD = 0.4
"""Of the logarithm of what a request takes."""


class Clock(Protocol):
    """A clock that can be told."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def to(self, at: float) -> None: ...


class Line:
    """What the tools of the desk ask through. weather, reads_nothing, moving: may be changed from day to day; moving: guests for
    whom the price moves when they have booked."""

    def __init__(self, clock: Clock, seed: int, trips: Services, office: Services) -> None:
        self.weather: Weather = HEALTHY
        self.reads_nothing = False
        self.moving: frozenset[str] = frozenset()
        self._clock = clock
        self._seed = seed
        self._trips = trips
        self._office = office

    def ask_trips(self, call: Call, tool: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request to whoever has rooms and trains."""
        return self._ask(self._trips, call, tool, method, path, body)

    def ask_office(self, call: Call, tool: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request to the office."""
        return self._ask(self._office, call, tool, method, path, body)

    def booked(self, guest: str) -> None:
        """A guest has booked; the market moves on."""
        if guest in self.moving:
            self._trips.change_price(guest, TOWN, str(PRICE_USD + 35))

    def _ask(self, services: Services, call: Call, tool: str, method: str, path: str, body: dict[str, Any] | None) -> Any:
        asked = call.run_id.partition(".")[0]  # The same run has the same luck on each of the last days.
        draw = random.Random(f"{self._seed} {asked} {call.step} {call.attempt} {path if method == 'GET' else ''}")
        takes = self.weather.seconds * exp(draw.gauss(0.0, SPREAD)) * self.weather.slower.get(tool, 1.0)
        self._clock.to(self._clock.now() + takes)
        if draw.random() < self.weather.breaks.get(tool, self.weather.breaks.get("", 0.0)):
            raise Transient("the line is down")
        if draw.random() < self.weather.refuses.get(tool, 0.0):
            raise Conflict("they are closed")
        with _world(services.directory):
            return send(method, path, body, key=None if method == "GET" else call.key, timeout_seconds=10.0)


@contextmanager
def _world(directory: Path) -> Iterator[None]:
    """Where the tools find the services, meanwhile. The desk does one thing after the other, so nobody else looks."""
    before = os.environ.get(WORLD)
    os.environ[WORLD] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ[WORLD]
        else:
            os.environ[WORLD] = before
