"""The journal held against the ledger: every claim against every number of effects."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.plan import Goal, Plan, Step
from holdfast.evaluation.agreement import Claim, claims, disagreements
from holdfast.evaluation.world import Effect
from tests.evaluation.kit import buy, price, tell

CONTRACTS = tuple(one.contract for one in (price, buy, tell))
ALLOWED = {"done": {1}, "open": {0, 1}, "not done": {0}, "a person said": {0, 1}}


def claim(says: Any, key: str = "k1", tool: str = "buy", step: str = "s", calls: int = 1) -> Claim:
    return Claim(run_id="r", step=step, tool=tool, key=key, says=says, calls=calls)


def effects(count: int, key: str = "k1", tool: str = "buy") -> list[Effect]:
    return [Effect(tool=tool, key=key)] * count


@pytest.mark.parametrize("says", ALLOWED)
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_every_claim_allows_so_many_effects_and_no_others(says: str, count: int) -> None:
    """With the keys of the calls, and without any."""
    agrees = count in ALLOWED[says]
    assert (disagreements([claim(says)], effects(count)) == []) == agrees
    if count:  # A ledger without any effect has no effect without a key.
        assert (disagreements([claim(says)], effects(count, key="")) == []) == agrees


def test_an_effect_under_a_key_that_no_call_carries_is_named() -> None:
    """The journal knows nothing of it."""
    (said,) = disagreements([claim("done")], [*effects(1), *effects(1, key="other-key-of-somebody")])
    assert said == "buy: the ledger has one effect under the key other-key-of, which no call of the journal carries"
    assert disagreements([], effects(1, tool="tell", key="k")) != []


def test_steps_that_share_a_key_are_one_call() -> None:
    """One of them was done, and the other was not made because of it."""
    assert disagreements([claim("done", step="a"), claim("not done", step="b")], effects(1)) == []
    assert disagreements([claim("done", step="a"), claim("done", step="b")], effects(2)) != []


def test_without_keys_the_effects_of_a_tool_are_counted_together() -> None:
    """From so many that are done to so many that may be."""
    said = [claim("done", key="1"), claim("open", key="2"), claim("not done", key="3")]
    assert [disagreements(said, effects(count, key="")) == [] for count in range(4)] == [False, True, True, False]
    assert disagreements(said, effects(3, key="")) == ["buy: the journal knows of 1 to 2 effects; the ledger has 3 effects"]


# --- what a journal claims ----------------------------------------------------------------------------------------

FAILED = e.Failure(kind="transient", message="no")


def journal(*events: e.AnyEvent) -> list[e.Entry]:
    """A run with one step, and what became of it."""
    start = e.RunStarted(run_id="r", agent="a", goal=Goal(text="x"), contracts=CONTRACTS)
    plan = e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(Step(id="s", tool="buy"),)))
    whole = (start, e.ProposalRequested(turn=1), plan, *events)
    return [e.Entry(sequence=number, fence=1, at=float(number), event=event) for number, event in enumerate(whole, 1)]


def sent(attempt: int, key: str = "k1", tool: str = "buy") -> e.CallIntended:
    return e.CallIntended(step="s", attempt=attempt, tool=tool, key=key)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], None),
        ([sent(1)], "open"),
        ([sent(1), e.CallSucceeded(step="s", attempt=1)], "done"),
        ([sent(1), e.CallFailed(step="s", attempt=1, failure=FAILED)], "not done"),
        ([sent(1), e.CallFailed(step="s", attempt=1, failure=e.Failure(kind="insufficient", message="", landed=True))], "open"),
        ([sent(1), e.CallUnknown(step="s", attempt=1, why="?")], "open"),
        ([sent(1), e.CallUnknown(step="s", attempt=1, why="?"), sent(2), e.CallFailed(step="s", attempt=2, failure=FAILED)], "open"),
        ([sent(1), e.CallUnknown(step="s", attempt=1, why="?"), sent(2), e.CallSucceeded(step="s", attempt=2)], "done"),
        ([sent(1), e.CallFailed(step="s", attempt=1, failure=FAILED), sent(2), e.CallSucceeded(step="s", attempt=2)], "done"),
        (
            [
                sent(1), e.CallUnknown(step="s", attempt=1, why="?"), e.ProbeIntended(step="s", probe=1),
                e.ProbeAnswered(step="s", probe=1, verdict="happened", value=1),
            ],
            "done",
        ),
    ],
)  # fmt: skip
def test_what_a_journal_claims_is_what_its_outcomes_say(events: list[e.AnyEvent], says: str | None) -> None:
    """A doubt outlives later failures; success, or a probe that found it, settles it."""
    found = claims(journal(*events), frozenset({"buy"}))
    assert [one.says for one in found] == ([says] if says else [])
    assert sum(one.calls for one in found) == sum(isinstance(event, e.CallIntended) for event in events)


def test_of_tools_whose_effects_the_ledger_does_not_know_nothing_is_claimed() -> None:
    """Real ones, and those that only read."""
    assert claims(journal(sent(1)), frozenset({"tell"})) == []
    assert claims(journal(sent(1, tool="price")), frozenset({"price"})) == []
