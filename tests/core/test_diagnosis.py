"""Failure class × strategy → ruling, as a table over everything there is."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from holdfast.core.contract import SAFETIES, Contract, Retry
from holdfast.core.diagnosis import Ruling, changed_the_world, diagnose, retry_in_force
from holdfast.core.events import Failure, FailureKind
from holdfast.core.plan import Fallback, OnFailure, Step

KINDS = get_args(FailureKind)
THREE = Retry(attempts_max=3, backoff_seconds=2.0, jitter=0.0)
TWO_FALLBACKS = (Fallback(tool="u"), Fallback(tool="v"))


def ruling(
    kind: Any,
    safety: Any = "read",
    *,
    tries: int = 1,
    taken: int = 0,
    landed: bool = False,
    after: float | None = None,
    undo: str | None = None,
    **step: Any,
) -> Ruling:
    """What is ruled on one failure."""
    contract = Contract(tool="t", safety=safety, retry=THREE, probe=safety == "reconcilable", undo=undo)
    failure, called = Failure(kind=kind, message="no", retry_after_seconds=after), Step(id="a", tool="t", **step)
    return diagnose(failure, contract, called, run_id="r", tries=tries, fallbacks=called.fallbacks[taken:], landed=landed)


EVERY = list(itertools.product(KINDS, SAFETIES))

# What may be tried again as it is: it passes by itself. Section 6 of the design names the classes.
PASSES = {"transient", "rate_limited", "unavailable"}


@pytest.mark.parametrize(("kind", "safety"), EVERY)
def test_what_is_tried_again(kind: Any, safety: Any) -> None:
    """What passes, unless it cannot be repeated; and a broken answer of what may be asked twice. Nothing else."""
    harmless = safety in ("read", "idempotent")
    expected = (kind in PASSES and safety != "irreversible") or (kind in ("invalid_output", "crashed") and harmless)
    found = ruling(kind, safety)
    assert (found.verb in ("retry", "reconcile")) is expected
    if expected:
        assert found.wait_seconds == 2.0
        assert (found.verb == "reconcile") is (safety == "reconcilable"), "it is asked before it is called again"


@pytest.mark.parametrize(("kind", "safety"), EVERY)
def test_when_a_fallback_takes_over(kind: Any, safety: Any) -> None:
    """When no try is left, in their order; never after an answer that says that the world has changed."""
    broken = kind in ("invalid_output", "crashed") and safety != "read"
    for taken in (0, 1):
        found = ruling(kind, safety, tries=3, taken=taken, fallbacks=TWO_FALLBACKS)
        assert (found.verb, found.tool) == (("stop", "") if broken else ("fall_back", "uv"[taken]))
    assert ruling(kind, safety, tries=3, taken=2, fallbacks=TWO_FALLBACKS).verb == "stop"


@pytest.mark.parametrize(("kind", "safety"), EVERY)
def test_an_effect_is_taken_back_before_a_fallback_takes_over(kind: Any, safety: Any) -> None:
    """Where the tool says how. Without a fallback there is nothing to take it back for."""
    broken = kind in ("invalid_output", "crashed") and safety != "read"
    found = ruling(kind, safety, tries=3, undo="u", fallbacks=TWO_FALLBACKS)
    assert (found.verb, found.tool) == ("compensate" if broken else "fall_back", "u")
    # What did not come in its time, and may have been done all the same, is not known to have been.
    given_up = "stop" if kind == "overdue" else "compensate"
    assert ruling(kind, safety, tries=3, undo="u", landed=True, fallbacks=TWO_FALLBACKS).verb == given_up
    assert ruling(kind, safety, tries=3, undo="u").verb == "stop"


def test_an_earlier_effect_forbids_a_fallback() -> None:
    """Whatever the last attempt failed of."""
    assert ruling("denied", "idempotent", landed=True, fallbacks=TWO_FALLBACKS).verb == "stop"


@pytest.mark.parametrize("policy", get_args(OnFailure))
def test_in_the_end_the_step_says_what_follows(policy: Any) -> None:
    """With the failure as the reason, and how often it was tried."""
    assert ruling("denied", on_failure=policy) == Ruling(verb=policy, reason="denied: no")
    assert ruling("transient", tries=3, on_failure=policy) == Ruling(verb=policy, reason="transient: no after 3 attempts")


def test_the_steps_own_retry_is_in_force() -> None:
    """It takes the place of the tool's as a whole."""
    mine = Retry(attempts_max=2, backoff_seconds=9.0, jitter=0.0)
    assert retry_in_force(Contract(tool="t", retry=THREE), Step(id="a", tool="t", retry=mine)) == mine
    assert ruling("transient", retry=mine).wait_seconds == 9.0
    assert ruling("transient", retry=mine, tries=2).verb == "stop"


def test_the_time_that_the_other_side_named_is_waited_for() -> None:
    """In a retry as in a probe before one."""
    assert ruling("rate_limited", after=40.0).wait_seconds == 40.0
    assert ruling("rate_limited", "reconcilable", after=40.0).wait_seconds == 40.0


@pytest.mark.parametrize(("kind", "safety"), EVERY)
def test_what_has_changed_the_world_although_it_counts_as_failed(kind: Any, safety: Any) -> None:
    """An answer that could not be used, of any tool that changes anything."""
    expected = kind in ("invalid_output", "crashed") and safety != "read"
    assert changed_the_world(Failure(kind=kind), Contract(tool="t", safety=safety)) is expected
