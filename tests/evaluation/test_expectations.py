"""What is expected and does not hold is said in a sentence, with what was found in its place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.evaluation import casefile
from holdfast.evaluation.expectations import Left, unmet
from holdfast.evaluation.world import Effect
from tests.evaluation.kit import suite_of

LEFT = Left(
    status="completed", reason="", result={"total": 812.5, "note": None}, facts={"fare": 240}, steps={"buy": {"receipt": "R"}},
    inputs={"item": "pen"}, questions=[{"kind": "approval", "tool": "buy"}], cost_usd=Decimal("0.04"), seconds=7200.0,
)  # fmt: skip
EFFECTS = [Effect(tool="buy", args={"item": name}, key=name) for name in ("pen", "ink")] + [Effect(tool="tell", args={})]


def problems(expect: dict[str, Any]) -> list[str]:
    (case,) = suite_of({"expect": expect}).cases
    return unmet(case.expect, LEFT, EFFECTS)


@pytest.mark.parametrize("expect", [
    {}, {"status": ["failed", "completed"]}, {"that": "result.total == 812.5"}, {"that": ["facts.fare > 100", "status == 'completed'"]},
    {"that": "steps.buy.receipt == 'R' && inputs.item == 'pen' && cost_usd < 1 && seconds == 7200"},
    {"that": "length(effects[?tool == 'buy']) == 2 && length(questions) == 1"}, {"effects": ["buy", {"tool": "buy", "times": 2}]},
    {"effects": [{"tool": "buy", "times": 1, "where": "args.item == 'ink'"}, {"tool": "buy", "times": 0, "where": "args.item == 'x'"}]},
    {"effects": [{"tool": "tell", "times": 0, "where": "args.amount > 5"}]}, {"never": ["mail", {"tool": "buy", "where": "key == 'x'"}]},
    {"asked": 1}, {"asked": "0..1"}, {"cost": 0.04}, {"within": "2h"},
])  # fmt: skip
def test_what_holds_is_not_mentioned(expect: dict[str, Any]) -> None:
    """Nothing is complained about."""
    assert problems(expect) == []


@pytest.mark.parametrize(("expect", "said"), [
    ({"status": "failed"}, "status: it is completed, not failed"),
    ({"that": "result.total == 1"}, "that: result.total == 1 does not hold; result.total is 812.5"),
    ({"that": "result.gone > 1"}, "that: result.gone > 1 cannot be worked out: "),
    ({"that": "result.note"}, "that: result.note cannot be worked out: "),
    ({"effects": [{"tool": "buy", "times": 1}]}, "effects: buy is in the ledger twice, not once"),
    ({"effects": ["mail"]}, "effects: mail is in the ledger not once, not at least once"),
    ({"effects": [{"tool": "buy", "times": "3..4"}]}, "effects: buy is in the ledger twice, not 3 to 4 times"),
    ({"effects": [{"tool": "buy", "where": "args.item == 'x'"}]}, "effects: buy where args.item == 'x' is in the ledger not once, not at"),
    ({"never": ["tell"]}, "never: tell is in the ledger once"),
    ({"asked": 0}, "asked: people were asked once, not at most 0"),
    ({"asked": "2.."}, "asked: people were asked once, not at least 2"),
    ({"cost": "0.03"}, "cost: it cost $0.04, not at most $0.03"),
    ({"within": "1h"}, "within: it took 2h, not at most 1h"),
])  # fmt: skip
def test_what_does_not_hold_is_said_with_what_was_found(expect: dict[str, Any], said: str) -> None:
    """One sentence for each."""
    (problem,) = problems(expect)
    assert problem.startswith(said)


def test_conditions_may_start_at_what_there_is() -> None:
    """The words of the reader and those of the document are the same."""
    assert set(LEFT.document(EFFECTS)) == set(casefile.WORDS)
