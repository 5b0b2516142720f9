"""A scripted world: what each fault does to the ledger, and what a tool hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Call, Happened, tool
from tests.evaluation.kit import evaluated, played, price, shopper, suite_of


def happened(run: Any) -> list[str]:
    """The ledger, by tool."""
    return [effect.tool for effect in run.effects]


def seen(item: str, amount: float, call: Call) -> Happened:
    """A probe that the stand-in takes the place of."""
    raise AssertionError("the stand-in is asked")


def buyer(safety: Any = "reconcilable", **options: Any) -> Agent:
    """The shopper, whose purchase is of another safety."""

    def buy(item: str, amount: float, call: Call) -> dict[str, str]:
        """Buy something."""
        raise AssertionError("the stand-in is called")

    given = {"probe": seen, "settles_within": "5s"} if safety == "reconcilable" else {}
    made = tool(safety=safety, timeout="10s", approve="never", **{**given, **options})(buy)
    return shopper(tools=(price, made))


def fault(what: str, **parts: Any) -> dict[str, Any]:
    """A case with one fault of the purchase."""
    return {"faults": [{"tool": "buy", "what": what, **parts}], "expect": {"status": ["completed", "failed", "blocked"]}}


def test_services_answer_by_what_they_are_sent(tmp_path: Path) -> None:
    """The first answer whose condition holds; references stand for what was sent."""
    run = played(tmp_path, {"inputs": {"item": "ink"}})
    assert (run.outcome, run.result["price"], run.result["buy"]) == ("held", 700, {"receipt": "ink"})
    assert [effect.args for effect in run.effects] == [{"item": "ink", "amount": 700}]


@pytest.mark.parametrize(
    ("case", "effects", "status", "calls"),
    [
        (fault("fails"), 1, "completed", 3),
        (fault("fails", kind="denied"), 0, "failed", 2),
        (fault("raises"), 1, "completed", 2),
        (fault("raises", effect=False), 1, "completed", 3),
        (fault("times_out"), 1, "completed", 2),
        (fault("times_out", effect=False), 1, "completed", 3),
        (fault("late", after="12s"), 1, "completed", 2),
        (fault("slow", after="3s"), 1, "completed", 2),
        (fault("slow", after="1h"), 1, "completed", 2),
        (fault("unseen", after="3s"), 1, "completed", 2),
        (fault("nonsense"), 1, "failed", 2),
    ],
)
def test_a_fault_does_what_it_says_and_a_probe_finds_out(
    case: dict[str, Any], effects: int, status: str, calls: int, tmp_path: Path
) -> None:
    """To a purchase that can be looked up nothing happens twice, and nothing that happened is lost."""
    run = played(tmp_path, case, buyer())
    assert (len(happened(run)), run.status, run.calls, run.disagreements) == (effects, status, calls, ())


def test_a_request_that_lands_after_the_run_has_ended_is_in_the_ledger(tmp_path: Path) -> None:
    """The run says that it does not know, and that is right."""
    run = played(tmp_path, fault("late", after="30d"), buyer("irreversible"))
    assert (run.status, run.questions, len(run.effects), run.disagreements) == ("failed", 1, 1, ())
    assert run.seconds < 30 * 86400


def test_a_liar_is_named_and_one_who_checks_is_not_fooled(tmp_path: Path) -> None:
    """The service says that it did it and did not: the ledger knows better, and so does a check."""
    believed = played(tmp_path / "1", fault("lies"), buyer())
    assert believed.outcome == "wrong"
    assert believed.disagreements == ("buy: the journal says done of step buy; the ledger has none under its key",)

    def there(item: str, amount: float, call: Call) -> bool:
        raise AssertionError("the stand-in is asked")

    checked = played(tmp_path / "2", fault("lies", answer={"receipt": "x"}), buyer(check=there))
    assert (checked.outcome, checked.status, checked.disagreements, checked.effects) == ("held", "failed", (), ())


@pytest.mark.parametrize(("repeats", "safety", "outcome"), [
    ("by_key", "keyed", "held"), ("again", "keyed", "wrong"), ("by_key", "idempotent", "wrong"), ("by_args", "idempotent", "held"),
])  # fmt: skip
def test_what_a_repeat_is_the_service_says_and_not_the_tool(repeats: str, safety: Any, outcome: str, tmp_path: Path) -> None:
    """A tool that promises more than its service keeps does it twice; only a keyed one sends a key."""
    services = {"price": {"answer": 2}, "buy": {"answer": {"receipt": "x"}, "repeats": repeats}}
    options = {"key_ttl": "forever"} if safety == "keyed" else {}
    run = played(tmp_path, fault("times_out"), buyer(safety, **options), services=services)
    assert (run.outcome, len(run.effects)) == (outcome, 1 if outcome == "held" else 2)


def test_chance_follows_from_the_seed(tmp_path: Path) -> None:
    """The same seed has the same faults in the same runs; another one has others."""
    case = {**fault("fails", chance=0.5), "repeat": 8}

    def calls(name: str, seed: int) -> list[int]:
        return [run.calls for run in evaluated(suite_of(case), buyer(), tmp_path / name, seed=seed).runs]

    first = calls("a", 1)
    assert first == calls("b", 1) != calls("c", 2)
    assert 0 < sum(count > 2 for count in first) < 8


def test_a_service_without_an_answer_for_a_request_says_so(tmp_path: Path) -> None:
    """In place of inventing one."""
    services = {"price": {"answers": [{"when": "args.item == 'pen'", "answer": 2}]}, "buy": {"answer": {"receipt": "x"}}}
    run = played(tmp_path, {"inputs": {"item": "ink"}}, services=services)
    assert run.outcome == "failed" and "no answer of price" in run.reason and run.effects == ()
