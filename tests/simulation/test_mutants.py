"""Each rule of the machine is broken once, and the simulation must see it: see `mutants.py` for what is broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from holdfast.testing.simulation.stage import Played, play
from tests.simulation.mutants import MUTANTS

SEEDS_MAX = 1_000
_FOUND: dict[str, Played] = {}


@pytest.fixture(scope="module", autouse=True)
def _found_by(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the end, which seed found what."""
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        for name, played in _FOUND.items():
            print(f"  {name:<52} seed {played.seed:>4}  {played.broken.law if played.broken else ''}")


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Mutants make the machine stumble; what it says then is of no interest."""
    caplog.set_level(logging.CRITICAL, logger="holdfast")


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_broken_rule_is_found(name: str) -> None:
    """Within a thousand seeds, by a law that does not know the rule."""
    with MUTANTS[name]():
        for seed in range(1, SEEDS_MAX + 1):
            played = play(seed)
            if played.broken is not None:
                _FOUND[name] = played
                return
    pytest.fail(f"{name}: not found in {SEEDS_MAX} seeds")
