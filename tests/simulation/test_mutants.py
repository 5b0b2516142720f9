"""Each rule of the machine is broken once, and the simulation must see it: see `mutants.py` for what is broken."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.mutants import MUTANTS, SEEDS_MAX, first_found
from tests.thorough import ALL


@pytest.mark.parametrize("name", list(MUTANTS) if ALL else list(MUTANTS)[::12])
def test_a_broken_rule_is_found(name: str, caplog: pytest.LogCaptureFixture, record_property: pytest.RecordProperty) -> None:
    """Within a thousand seeds, by a law that does not know the rule. `python -m tests.simulation.mutants` prints which."""
    caplog.set_level(logging.CRITICAL, logger="holdfast")  # Mutants make the machine stumble; what it says is of no interest.
    found = first_found(name)
    assert found is not None, f"{name}: not found in {SEEDS_MAX} seeds"
    record_property("found", f"seed {found.seed}: {found.broken}")
