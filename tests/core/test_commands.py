"""Keys: identity is logical."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec
from hypothesis import given

from holdfast.core.commands import call_key
from tests import strategies as s

ARGS = {"to": "x", "ticket": 7, "text": "hello"}


def key(
    run: str = "r",
    tool: str = "mail",
    step: str = "a",
    business: tuple[str, ...] = (),
    args: dict[str, Any] = ARGS,
    occurrence: int = 1,
) -> str:
    """The key of a call, with one thing about it changed."""
    return call_key(run, tool, step, business, args, occurrence)


def test_a_key_names_the_run_the_tool_and_the_step() -> None:
    """Each of them makes another call; the arguments do not, for a step is one call."""
    assert len({key(), key(run="q"), key(tool="post"), key(step="b"), key(occurrence=2)}) == 5
    assert key() == key(args={})


def test_a_business_key_takes_the_place_of_the_step() -> None:
    """What the business calls the same has the same key, in whatever step and with whatever other words."""
    business = ("to", "ticket")
    same = key(business=business)
    assert same == key(business=business, step="b")
    assert same == key(business=business, args={**ARGS, "text": "other words"})
    assert same == key(business=business, args=dict(reversed(ARGS.items())))
    others = {
        key(business=business, args={**ARGS, "to": "y"}),
        key(business=business, args={**ARGS, "ticket": "7"}),
        key(business=business, run="q"),
        key(business=business, tool="post"),
        key(business=business, occurrence=2),
        key(business=("to",)),
        key(),
    }
    assert len(others | {same}) == 8


def test_values_do_not_run_into_one_another() -> None:
    """Where one value ends and the next begins is part of the key."""
    assert key(business=("to", "ticket"), args={"to": "a", "ticket": "b,c"}) != key(
        business=("to", "ticket"), args={"to": "a,b", "ticket": "c"}
    )
    assert key(run="ab", tool="c") != key(run="a", tool="bc")
    assert key(business=("to",), args={"to": None}) == key(business=("to",), args={}), "a value that is not given is none"


@given(s.json_tables)
def test_a_key_is_the_same_for_arguments_that_were_read_back(args: dict[str, Any]) -> None:
    """After a crash they come from the journal."""
    business = tuple(sorted(args))[:2]
    assert key(business=business, args=args) == key(business=business, args=msgspec.json.decode(msgspec.json.encode(args)))


def test_a_key_is_the_same_in_every_process_and_every_release() -> None:
    """The other side remembers it over both."""
    program = (
        "from holdfast.core.commands import call_key; print(call_key('r', 'mail', 'a', ('to',), {'to': {'b': 1, 'a': [2]}}, 3))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert seen == {"hf-5eb26fdd3a3ac4f5fbaa01f116e50f11"}
    assert key() == "hf-cf7d3b9bf5a61edbb9e1c24855d56bf9"
