"""A plain Python function as the reasoner."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from holdfast.core.plan import Goal, Step
from holdfast.reasoners.base import Briefing, Finish
from holdfast.reasoners.function import FunctionReasoner

BRIEFING = Briefing(run_id="r", goal=Goal(text="g"), turn=1, steps=(), tools=())


async def test_a_function_is_given_the_briefing_and_its_word_is_the_proposal() -> None:
    """Whatever it says: it is judged later."""
    heard = []

    def think(briefing: Briefing) -> Any:
        heard.append(briefing)
        return Step(id="a", tool="t")

    assert await FunctionReasoner(think).propose(BRIEFING) == Step(id="a", tool="t")  # type: ignore[comparison-overlap]
    assert heard == [BRIEFING]


async def test_a_function_that_does_not_wait_has_a_thread_of_its_own() -> None:
    """It must not hold up the other runs; one that waits stays on the loop."""
    threads = {}

    def blocks(briefing: Briefing) -> Any:
        threads["blocks"] = threading.get_ident()
        return Finish(1)

    async def waits(briefing: Briefing) -> Any:
        threads["waits"] = threading.get_ident()
        return Finish(2)

    assert await FunctionReasoner(blocks).propose(BRIEFING) == Finish(1)
    assert await FunctionReasoner(waits).propose(BRIEFING) == Finish(2)
    assert threads["waits"] == threading.get_ident() != threads["blocks"]


async def test_what_a_function_raises_goes_through() -> None:
    """It becomes an event at the runner's border."""

    def think(briefing: Briefing) -> Any:
        raise KeyError("customer")

    with pytest.raises(KeyError, match="customer"):
        await FunctionReasoner(think).propose(BRIEFING)
