"""Whether and when again: arithmetic, and draws that follow from names alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.contract import Retry
from holdfast.core.retry import draw, next_wait
from tests import strategies as s

STEADY = Retry(attempts_max=6, backoff_seconds=2.0, backoff_seconds_max=20.0, jitter=0.0)


def wait(retry: Retry, tries: int, after: float | None = None) -> float | None:
    """The wait of one step of one run."""
    return next_wait(retry, tries, run_id="r", step="a", retry_after_seconds=after)


def test_waits_double_up_to_their_maximum_and_end() -> None:
    """The first wait is the backoff itself; after the last try there is none."""
    assert [wait(STEADY, tries) for tries in range(1, 8)] == [2, 4, 8, 16, 20, None, None]


def test_one_attempt_has_no_wait() -> None:
    """attempts_max counts the first."""
    assert wait(Retry(attempts_max=1), 1) is None


@pytest.mark.parametrize(("after", "waited"), [(50.0, 50.0), (1.0, 2.0), (0.0, 2.0), (None, 2.0), (-5.0, 2.0)])
def test_a_named_time_is_never_undercut_and_never_shortens(after: float | None, waited: float) -> None:
    """It may exceed the maximum: that is the other side's word."""
    assert wait(STEADY, 1, after) == waited


def test_a_named_time_makes_no_more_tries() -> None:
    """The bound holds."""
    assert wait(STEADY, 6, 50.0) is None


@given(s.retries, st.integers(1, 10_000), st.none() | s.seconds)
def test_every_wait_is_a_time_within_its_bounds(retry: Retry, tries: int, after: float | None) -> None:
    """No overflow, nothing negative; jitter takes its share and no more."""
    retry = Retry(
        attempts_max=20_000, backoff_seconds=retry.backoff_seconds, backoff_seconds_max=retry.backoff_seconds_max,
        factor=retry.factor, jitter=retry.jitter,
    )  # fmt: skip
    found = wait(retry, tries, after)
    assert found is not None
    whole = min(retry.backoff_seconds * retry.factor ** min(tries - 1, 64), retry.backoff_seconds_max)
    assert found <= max(whole, after or 0.0) + 0.001
    assert found >= max(whole * (1 - retry.jitter), after or 0.0) - 0.001
    assert found == wait(retry, tries, after)


def test_jitter_depends_on_run_step_and_try() -> None:
    """So that many runs that failed together do not come back together."""
    retry = Retry(jitter=1.0)
    waits = {next_wait(retry, tries, run_id=run, step=step) for run in ("r", "q") for step in ("a", "b") for tries in (1, 2)}
    assert len(waits) == 8


@given(st.lists(st.text(max_size=5), max_size=3))
def test_a_draw_is_a_share(names: list[str]) -> None:
    """In [0, 1), whatever the names, also those that are no valid text."""
    assert 0.0 <= draw(*names) < 1.0
    assert 0.0 <= draw(*names, "\ud800") < 1.0


def test_draws_are_spread() -> None:
    """A thousand of them fill every tenth."""
    tenths = [int(draw("run", number) * 10) for number in range(1000)]
    assert all(70 < tenths.count(tenth) < 130 for tenth in range(10))


def test_a_draw_is_the_same_in_every_process() -> None:
    """Whatever the seed of its hashes: a replay waits as long as the run did."""
    program = "from holdfast.core.retry import draw; print(repr(draw('run', 'step', 3)))"
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
        assert float(ended.stdout) == draw("run", "step", 3)


def test_a_draw_is_the_same_in_every_release() -> None:
    """Old runs wait on."""
    assert f"{draw('run', 'step', 3):.12f}" == "0.209750080344"
