"""The agents of both labs, killed with SIGKILL at every boundary of their journals: the world looks the same each time.

One services process serves all walks of a test; each walk has a hire or an account of its own, so that the ledger of one
is never counted for another.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.events import Asked
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.ledger import LedgerRow
from holdfast.testing.crash_walk import SIDES, Site, WalkResult, crash_walk, table

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
WALKS_MAX = 200

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash_walk")]


def walk(factory: str, world: Any) -> list[WalkResult]:
    """Every boundary, the two sides side by side: most of a walk's time is spent waiting."""

    def one_side(side: Any) -> list[WalkResult]:
        return crash_walk(f"tests.labs.walked:{factory}", world, sides=[side], environment=ENVIRONMENT)

    with ThreadPoolExecutor(len(SIDES)) as pool:
        results = [result for found in pool.map(one_side, SIDES) for result in found]
    print(table(results))
    assert all(not found for result in results for found in result.unknown.values())
    return results


def test_a_hire_whose_order_is_lost_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """One mailbox, one grant, one laptop, one mail, at each boundary of a run that the shop never answers."""
    users = [f"hire{number}" for number in range(WALKS_MAX)]
    free = iter(users)
    faults = {"lost_answer_for": users, "lost_after_seconds": 5.0}
    with start_services("onboarding", tmp_path, faults) as services:

        @contextmanager
        def world() -> Iterator[Site]:
            user = next(free)
            config = {"world": str(tmp_path), "user": user}
            yield Site(config=config, ledger=lambda: Counter(row["service"] for row in rows_of(services, user)))

        results = walk("one_hire", world)

    assert len(results) >= 20
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {"mailbox": 1, "vpn": 1, "orders": 1, "mail": 1}, result


def test_a_hire_for_whom_the_shop_is_down_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """All but the laptop, once each; no laptop; and a person is asked about it, at each boundary."""
    users = [f"hire{number}" for number in range(WALKS_MAX)]
    free = iter(users)
    with start_services("onboarding", tmp_path, {"down_for": users, "vpn_down_times": 0}) as services:

        @contextmanager
        def world() -> Iterator[Site]:
            user = next(free)

            def answer(asked: Asked) -> tuple[str, Any]:
                assert (asked.about, asked.step) == ("failure", "laptop")
                return "respond", {"id": "bought by hand", "model": "Framework 13"}

            config = {"world": str(tmp_path), "user": user}
            yield Site(config=config, ledger=lambda: Counter(row["service"] for row in rows_of(services, user)), answer=answer)

        results = walk("one_hire", world)

    assert len(results) >= 20
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {"mailbox": 1, "vpn": 1, "mail": 1}, result
        assert "failure order_laptop: respond" in result.asked, result


def test_three_payments_end_the_same_wherever_their_worker_is_killed(tmp_path: Path) -> None:
    """One transfer at each gateway, at each boundary; the person says what the ledger says."""
    numbers = itertools.count(1)
    with start_services("payment", tmp_path) as services:

        @contextmanager
        def world() -> Iterator[Site]:
            account = f"account-{next(numbers)}"

            def answer(asked: Asked) -> tuple[str, Any]:
                if asked.about == "call":
                    return "approve", None
                assert asked.about == "doubt" and asked.tool == "transfer_plain"
                landed = [row for row in rows_of(services, account) if row["service"] == "plain"]
                if not landed:
                    return "approve", None
                return "respond", {**landed[0]["detail"], "account": account}

            config = {"world": str(tmp_path), "account": account}
            yield Site(config=config, ledger=lambda: Counter(row["service"] for row in rows_of(services, account)), answer=answer)

        results = walk("three_payments", world)

    assert len(results) >= 20
    for result in results:
        assert list(result.statuses.values()) == ["completed"] * 3, result
        assert result.ledger == {"keyed": 1, "lookup": 1, "plain": 1}, result
    doubts = [question for result in results for question in result.asked if question.startswith("doubt")]
    assert "doubt transfer_plain: respond" in doubts and "doubt transfer_plain: approve" in doubts


def rows_of(services: Services, subject: str) -> list[LedgerRow]:
    """What the ledger says of one user, by name or by address, or of one account."""
    return [row for row in services.ledger() if row["subject"].removesuffix("@corp.test") == subject]
