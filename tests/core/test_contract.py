"""What a tool promises: durations and retries as authors write them, gates, differences, digests."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given

from holdfast.core.contract import SAFETIES, Contract, Retry, differences, digest, duration, retry_of
from holdfast.errors import DefinitionError
from tests import strategies as s


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(5, 5.0), (0, 0.0), (2.5, 2.5), ("500ms", 0.5), ("20s", 20.0), ("5m", 300.0), ("24h", 86400.0), ("7d", 604800.0),
     ("2w", 1209600.0), ("1h30m", 5400.0), ("1h 30m", 5400.0), (" 5 s ", 5.0), ("1.5h", 5400.0), ("0s", 0.0)],
)  # fmt: skip
def test_durations_are_numbers_of_seconds_or_words(said: Any, seconds: float) -> None:
    """Words add up."""
    assert duration(said) == seconds


@pytest.mark.parametrize(
    "said",
    [-1, True, math.nan, math.inf, -math.inf, 10**400, "9" * 400 + "s", "", " ", "5", "s", "5 x", "5s!", "-5s", "1h30", None, [], {}, "５s"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_a_hint(said: Any) -> None:
    """Also numbers that no clock can hold."""
    with pytest.raises(DefinitionError, match="is not a duration") as caught:
        duration(said, what="tool t: timeout")
    assert "tool t: timeout" in str(caught.value)
    assert "500ms" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("said", "retry"),
    [
        (5, Retry(attempts_max=5)),
        (1, Retry(attempts_max=1)),
        (Retry(attempts_max=2), Retry(attempts_max=2)),
        ({"attempts": 5, "backoff": "2s..60s"}, Retry(attempts_max=5, backoff_seconds=2, backoff_seconds_max=60)),
        ({"backoff": "2s"}, Retry(backoff_seconds=2, backoff_seconds_max=60)),
        ({"backoff": "2m"}, Retry(backoff_seconds=120, backoff_seconds_max=120)),
        ({"backoff": 3}, Retry(backoff_seconds=3)),
        ({"backoff": "0.5..2"}, Retry(backoff_seconds=0.5, backoff_seconds_max=2)),
        ({"factor": 1, "jitter": 0}, Retry(factor=1, jitter=0)),
        ({}, Retry()),
    ],
)
def test_retries_are_a_number_of_attempts_or_a_table(said: Any, retry: Retry) -> None:
    """What is left out keeps its default."""
    assert retry_of(said) == retry


@pytest.mark.parametrize(
    "said",
    [0, -1, 1001, 10**30, True, None, "3", 2.5, [3], {"tries": 3}, {1: 2}, {"attempts": "5"}, {"attempts": True}, {"attempts": 0},
     {"backoff": "60s..2s"}, {"backoff": "soon"}, {"backoff": "nan"}, {"backoff": "inf..inf"}, {"factor": 0.5}, {"factor": math.inf},
     {"factor": math.nan}, {"jitter": 2}, {"jitter": -0.1}, {"jitter": math.nan}, Retry(attempts_max=0), Retry(backoff_seconds=-1),
     Retry(backoff_seconds=math.nan), Retry(backoff_seconds_max=math.inf), Retry(factor=math.inf), Retry(attempts_max="3")  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_retry_is_refused(said: Any) -> None:
    """Everything that could make a wait that is no time, or an end that never comes."""
    with pytest.raises(DefinitionError, match="step a: retry"):
        retry_of(said, what="step a: retry")


def test_only_what_cannot_be_taken_back_is_asked_for_by_default() -> None:
    """A declaration wins in both directions."""
    asks = {safety: Contract(tool="t", safety=safety).asks_first for safety in SAFETIES}
    assert asks == {"read": False, "idempotent": False, "keyed": False, "reconcilable": False, "irreversible": True}
    assert not Contract(tool="t", approve="never").asks_first
    assert Contract(tool="t", safety="read", approve="always").asks_first


def test_undeclared_safety_is_irreversible() -> None:
    """The default promises nothing."""
    assert Contract(tool="t").safety == "irreversible"


BASE = Contract(
    tool="t", safety="keyed", key_ttl_seconds=100.0, probe=True, settles_within_seconds=5.0, approve="always", business_key=("a",),
    secrets=("token",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "weaker"),
    [
        ("safety", "irreversible", True),
        ("safety", "reconcilable", True),
        ("safety", "idempotent", False),
        ("key_ttl_seconds", 50.0, True),
        ("key_ttl_seconds", 0.0, True),
        ("key_ttl_seconds", 200.0, False),
        ("key_ttl_seconds", None, False),
        ("probe", False, True),
        ("settles_within_seconds", 9.0, True),
        ("settles_within_seconds", 0.0, False),
        ("approve", None, True),
        ("approve", "never", True),
        ("business_key", ("b",), True),
        ("business_key", (), True),
        ("secrets", (), True),
        ("secrets", ("token", "pin"), False),
        ("description", "new words", False),
        ("timeout_seconds", 1.0, False),
        ("input_schema", {"type": "object"}, False),
        ("parallel_max", 1, False),
    ],
)
def test_a_difference_is_weaker_when_something_is_promised_no_longer(field: str, value: Any, weaker: bool) -> None:
    """Each field in the direction that matters."""
    (found,) = differences({"t": BASE}, {"t": msgspec.structs.replace(BASE, **{field: value})})
    assert (found.tool, found.field, found.weaker) == ("t", field, weaker)


@pytest.mark.parametrize(("before", "after"), [(None, 0.0), (None, 60.0)])
def test_a_key_that_was_for_ever_and_now_is_not_is_weaker(before: Any, after: Any) -> None:
    """Also where its life is no time at all."""
    old, new = (Contract(tool="t", safety="keyed", key_ttl_seconds=ttl) for ttl in (before, after))
    (found,) = differences({"t": old}, {"t": new})
    assert found.weaker


def test_tools_that_came_and_went() -> None:
    """A tool that is gone is a promise that is gone; a new one takes nothing away. By name, in order."""
    old, new = Contract(tool="old"), Contract(tool="new")
    found = differences({"old": old, "t": BASE}, {"new": new, "t": BASE})
    assert [(d.tool, d.before, d.after, d.weaker) for d in found] == [
        ("new", "absent", "present", False),
        ("old", "present", "absent", True),
    ]


def test_the_same_contracts_in_another_order_do_not_differ() -> None:
    """Nor do equal ones that were read from a journal."""
    a, b = Contract(tool="a"), Contract(tool="b", input_schema={"x": 1})
    stored = msgspec.json.decode(msgspec.json.encode(b), type=Contract)
    assert differences({"a": a, "b": b}, {"b": stored, "a": a}) == ()


def test_schemas_are_named_in_a_difference_and_not_copied_into_it() -> None:
    """They are large, and a person reads this."""
    (found,) = differences({"t": BASE}, {"t": msgspec.structs.replace(BASE, output_schema={"x": "y" * 10_000})})
    assert len(found.after) < 40


@given(s.json_values)
def test_a_digest_is_the_same_for_what_reads_back_the_same(value: Any) -> None:
    """Order of keys does not matter, and neither does the way through a journal."""
    assert digest(value) == digest(msgspec.json.decode(msgspec.json.encode(value)))
    if isinstance(value, dict):
        assert digest(value) == digest(dict(reversed(value.items())))


def test_a_digest_is_the_same_in_every_process() -> None:
    """Whatever the seed of its hashes."""
    program = "from holdfast.core.contract import digest; print(digest({'b': [1, {'y': None, 'x': 'é'}], 'a': 1.5}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {digest({"a": 1.5, "b": [1, {"x": "é", "y": None}]}) + "\n"}
