"""The agents of the labs, killed with SIGKILL at every boundary of their journals: the world looks the same each time.

One services process serves all walks of a test; each walk has a hire or an account of its own, so that the ledger of one
is never counted for another.
"""

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.events import Asked, RunFailed
from holdfast.core.evolve import fold
from holdfast.labs.runaway.check import known
from holdfast.labs.runaway.story import AT_ONCE, BOUNDS, BUDGET
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.weekend.story import BUDGET_USD
from holdfast.labs.workshop import histories_in
from holdfast.testing.crash_walk import SIDES, Side, Site, WalkResult, crash_walk, table
from tests.labs.test_services import until
from tests.labs.walked import LABS
from tests.thorough import ALL

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
WALKS_MAX = 200

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash_walk")]


World = Callable[[Path], AbstractContextManager[Site]]
"""Makes the world of a walk whose runs are in this store."""


# All boundaries take long; see `tests/thorough.py`.
STRIDE = 1 if ALL else 6


def walk(factory: str, world: World, stores: Path, stride: int = STRIDE) -> list[WalkResult]:
    """Every boundary, or every third; the two sides side by side: most of a walk's time is spent waiting."""

    def one_side(side: Side) -> list[WalkResult]:
        numbers = itertools.count(1, stride)
        folder = stores / side
        folder.mkdir()
        # The other side of a deferred call must know the store; a walk names it after the boundary.
        return crash_walk(
            f"tests.labs.walked:{factory}",
            lambda: world(folder / f"{next(numbers)}-{side}.db"),
            sides=[side],
            stride=stride,
            environment=ENVIRONMENT,
            folder=folder,
        )

    with ThreadPoolExecutor(len(SIDES)) as pool:
        results = [result for found in pool.map(one_side, SIDES) for result in found]
    print(table(results))
    assert all(not found for result in results for found in result.unknown.values())
    return results


def test_a_hire_whose_order_is_lost_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """One mailbox, one grant, one laptop, one mail, one check, at each boundary of a run that the shop never answers, and whose
    check is brought back before its request is answered."""
    users = [f"hire{number}" for number in range(WALKS_MAX)]
    free = iter(users)
    faults = {"lost_answer_for": users, "lost_after_seconds": 5.0, "checked_early": users}
    with start_services("onboarding", tmp_path, faults) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            user = next(free)
            config = {"world": str(tmp_path), "user": user, "store": str(store)}
            yield Site(config=config, ledger=lambda: services_of(services, user))

        results = walk("one_hire", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {"mailbox": 1, "vpn": 1, "orders": 1, "mail": 1, "background": 1, "callbacks": 1}, result


def test_a_hire_for_whom_the_shop_is_down_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """All but the laptop, once each; no laptop; and a person is asked about it, at each boundary. The check is brought back
    twice, and taken once."""
    users = [f"hire{number}" for number in range(WALKS_MAX)]
    free = iter(users)
    faults = {"down_for": users, "vpn_down_times": 0, "checked_twice": users}
    with start_services("onboarding", tmp_path, faults) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            user = next(free)

            def answer(asked: Asked) -> tuple[str, Any]:
                assert (asked.about, asked.step) == ("failure", "laptop")
                return "respond", {"id": "bought by hand", "model": "Framework 13"}

            config = {"world": str(tmp_path), "user": user, "store": str(store)}
            yield Site(config=config, ledger=lambda: services_of(services, user), answer=answer)

        results = walk("one_hire", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert result.ledger == {"mailbox": 1, "vpn": 1, "mail": 1, "background": 1, "callbacks": 1}, result
        assert "failure order_laptop: respond" in result.asked, result


def test_three_payments_end_the_same_wherever_their_worker_is_killed(tmp_path: Path) -> None:
    """One transfer at each gateway, at each boundary; the person says what the ledger says."""
    numbers = itertools.count(1)
    with start_services("payment", tmp_path) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
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

        results = walk("three_payments", world, tmp_path, 1)

    assert len(results) >= 20
    for result in results:
        assert list(result.statuses.values()) == ["completed"] * 3, result
        assert result.ledger == {"keyed": 1, "lookup": 1, "plain": 1}, result
    doubts = [question for result in results for question in result.asked if question.startswith("doubt")]
    assert "doubt transfer_plain: respond" in doubts and "doubt transfer_plain: approve" in doubts


@pytest.mark.parametrize(
    ("last_word", "status", "ledger"),
    [
        ("    optional: true\n", "completed", {"hotels booked": 1, "trains booked": 1}),
        ("    after: [flight, train]\n", "failed", {"hotels booked": 1, "trains booked": 1, "hotels cancelled": 1}),
    ],
    ids=["skipped", "undone"],
)
def test_a_weekend_ends_the_same_wherever_its_worker_is_killed(
    tmp_path: Path, last_word: str, status: str, ledger: dict[str, int]
) -> None:
    """One room and one ticket. Where the activities are not optional the run fails at its end, and the room is given back, once.
    A flight that was being booked when the worker died is in doubt, and its service down: a person says that there is none."""
    numbers = itertools.count(1)
    plan = (LABS / "weekend" / "plan.yaml").read_text(encoding="utf-8")
    assert plan.count("    optional: true\n") == 1
    (tmp_path / "plan.yaml").write_text(plan.replace("    optional: true\n", last_word), encoding="utf-8")
    shutil.copy(LABS / "weekend" / "tools.py", tmp_path)
    with start_services("weekend", tmp_path, {"full_towns": ["Brugge"]}) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            guest = f"guest-{next(numbers)}"

            def answer(asked: Asked) -> tuple[str, Any]:
                assert (asked.about, asked.tool) == ("doubt", "book_flight"), asked
                return "reject", None

            yield Site(
                config={"world": str(tmp_path), "plan": str(tmp_path / "plan.yaml"), "guest": guest},
                ledger=lambda: Counter(f"{row['service']} {row['action']}" for row in rows_of(services, guest)),
                answer=answer,
            )

        results = walk("one_weekend", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == [status], result
        assert result.ledger == ledger, result


def test_a_planned_weekend_ends_the_same_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    """One room and one ticket, whatever the model was asked once more; and no more is charged than is counted. A flight that was
    being booked when the worker died is in doubt, and its service down: a person says that there is none."""
    numbers = itertools.count(1)
    with start_services("weekend", tmp_path, {"full_towns": ["Brugge"]}) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            guest = f"guest-{next(numbers)}"

            def answer(asked: Asked) -> tuple[str, Any]:
                assert (asked.about, asked.tool) == ("doubt", "book_flight"), asked
                return "reject", None

            yield Site(
                config={"world": str(tmp_path), "guest": guest},
                ledger=lambda: {
                    **Counter(f"{row['service']} {row['action']}" for row in rows_of(services, guest)),
                    "money": money(services, f"scripted:planner{guest}", store, f"weekend-{guest}"),
                },
                answer=answer,
            )

        results = walk("one_planned_weekend", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        charged, counted = result.ledger.pop("money")
        assert 0 < charged <= counted <= BUDGET_USD, result
        assert result.ledger == {"hotels booked": 1, "trains booked": 1}, result


@pytest.mark.parametrize("name", list(BOUNDS))
def test_a_runaway_stops_within_its_budget_wherever_its_worker_is_killed(tmp_path: Path, name: str) -> None:
    """For the reason that it has without a crash. What it had done is done once, its run knows of it, and no more is charged than
    is counted: between what was reserved and what was settled too, and with ten calls in flight."""
    numbers = itertools.count(1)
    with start_services("runaway", tmp_path, {"draw_seconds": 0.1}) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            run_id = f"{name}-{next(numbers)}"

            def ledger() -> dict[str, Any]:
                rows = rows_of(services, run_id)
                entries = histories_in(store)[run_id]
                end = entries[-1].event
                return {
                    "done": Counter(row["service"] for row in rows),
                    "known": sorted(known(entries)) == sorted(row["detail"]["id"] for row in rows),
                    "twice": [key for key, count in Counter(row["key"] for row in rows).items() if count > 1],
                    "why": end.reason if isinstance(end, RunFailed) else "",
                    "money": money(services, f"scripted:{run_id}", store, run_id, run_id),
                }

            def answer(asked: Asked) -> tuple[str, Any]:
                # It was refused when it was repeated; that says nothing of the one that was lost.
                assert (asked.about, asked.tool, asked.args) == ("doubt", "refund", {"order": "17"}), asked
                return "reject", None

            config = {"world": str(tmp_path), "name": name, "number": run_id.rpartition("-")[2]}
            yield Site(config=config, ledger=ledger, answer=answer)

        results = walk("one_runaway", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["failed"], result
        charged, counted = result.ledger["money"]
        assert 0 < charged <= counted <= Decimal(BUDGET), result
        # Where a person was asked, it is their word that stands in the way of the same call from then on.
        whys = BOUNDS[name].why[:1] if result.asked else BOUNDS[name].why
        assert all(why in result.ledger["why"] for why in whys), result
        assert result.ledger["known"] and not result.ledger["twice"], result
        if name == "spends":
            assert result.ledger["done"]["pictures"] >= AT_ONCE, result
        else:
            assert result.ledger["done"] == BOUNDS[name].kept, result


def test_a_customer_is_mailed_once_wherever_the_worker_is_killed(tmp_path: Path) -> None:
    """Woken twice, or in turns, at each boundary. Where the mail may be out and does not show in time, a person looks into the
    sent log, and says so."""
    numbers = itertools.count(1)
    with start_services("forty_seven", tmp_path, {"crm_delay_seconds": 0.4}) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            number = next(numbers)
            names = {"customer": f"customer-{number}", "in_turns": f"turning-{number}"}

            def answer(asked: Asked) -> tuple[str, Any]:
                assert asked.about == "doubt", asked
                sent = rows_of(services, asked.args["customer"])
                return ("respond", {"id": sent[0]["detail"]["id"]}) if sent else ("approve", None)

            yield Site(
                config={"world": str(tmp_path), "visible_within": "1500ms", **names},
                ledger=lambda: {role: len(rows_of(services, name)) for role, name in names.items()},
                answer=answer,
            )

        results = walk("two_follow_ups", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"] * 3, result
        assert result.ledger == {"customer": 1, "in_turns": 1}, result


def test_a_second_follow_up_is_sent_once_wherever_the_worker_is_killed(tmp_path: Path) -> None:
    """The first mail never shows: at the deadline one more goes out, under a key of its own. Where the worker died in the middle
    of the first, a person finds it in the sent log, and their word is enough."""
    customers = [f"customer-{number}" for number in range(WALKS_MAX)]
    free = iter(customers)
    with start_services("forty_seven", tmp_path, {"crm_delay_seconds": 0.2, "unseen_for": customers}) as services:

        @contextmanager
        def world(store: Path) -> Iterator[Site]:
            customer = next(free)

            def answer(asked: Asked) -> tuple[str, Any]:
                assert asked.about == "doubt", asked
                sent = rows_of(services, customer)
                return ("respond", {"id": sent[0]["detail"]["id"]}) if sent else ("approve", None)

            yield Site(
                config={"world": str(tmp_path), "visible_within": "1s", "customer": customer},
                ledger=lambda: Counter(str(row["key"]) for row in rows_of(services, customer)),
                answer=answer,
            )

        results = walk("one_follow_up", world, tmp_path)

    assert len(results) >= 20 // STRIDE
    for result in results:
        assert list(result.statuses.values()) == ["completed"], result
        assert sorted(result.ledger.values()) == ([1] if any("respond" in word for word in result.asked) else [1, 1]), result
    assert any(result.asked for result in results) or not ALL


def services_of(services: Services, user: str) -> Counter[str]:
    """How often each service did something for a hire. A delivery that a run has taken is in the ledger a moment later, when its
    command has ended."""
    until(lambda: any(row["service"] == "callbacks" for row in rows_of(services, user)), timeout_seconds=20.0)
    return Counter(row["service"] for row in rows_of(services, user))


def money(services: Services, script: str, store: Path, run_id: str, *payers: str) -> tuple[Decimal, Decimal]:
    """What a run was charged, for the answers of its script and whatever else, and what it counted."""
    bills = [row["detail"].get("usd", "0") for row in services.ledger() if row["subject"] in (script, *payers)]
    return sum(map(Decimal, bills), Decimal(0)), fold(histories_in(store)[run_id]).spent.cost_usd


def rows_of(services: Services, subject: str) -> list[LedgerRow]:
    """What was done, by the ledger, for one user, by name or by address, or for one account. What was refused was not done."""
    rows = [row for row in services.ledger() if row["subject"].removesuffix("@corp.test") == subject]
    return [row for row in rows if row["action"] != "refused"]
