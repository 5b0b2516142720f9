"""A journal in a few numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.facts import Drift, Fact
from holdfast.core.models import Usage
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.thinking import Acceptance
from holdfast.monitors import RunDigest, digest

T0 = 1_000_000.0
LOOK, PAY = Contract(tool="look", safety="read"), Contract(tool="pay", safety="keyed", cost_usd=Decimal("0.5"))


def of(*events: e.AnyEvent, start: dict[str, Any] | None = None, document: bool = False) -> RunDigest:
    """The digest of a run of the agent `a` with these events, one a second."""
    begun = e.RunStarted(
        run_id="r",
        agent="a",
        goal=Goal(text="do", inputs={"most": 5}),
        contracts=(LOOK, PAY),
        labels={"who": "ann"},
        **(start or {}),
    )
    made = digest((e.Entry(n, T0 + n, 1, event) for n, event in enumerate((begun, *events), 1)), document=document)
    assert made is not None
    return made


def planned(*steps: str) -> e.PlanAdopted:
    return e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=tuple(Step(id=name, tool="pay") for name in steps)))


def intended(step: str = "s", attempt: int = 1, tool: str = "pay") -> e.CallIntended:
    return e.CallIntended(step=step, attempt=attempt, tool=tool, key="k")


def failed(step: str = "s", attempt: int = 1, spent: Usage | None = None, **of_failure: Any) -> e.CallFailed:
    return e.CallFailed(
        step=step, attempt=attempt, spent=spent, failure=e.Failure(**{"kind": "transient", "message": "no", **of_failure})
    )


def done(step: str = "s", attempt: int = 1, **more: Any) -> e.CallSucceeded:
    return e.CallSucceeded(step=step, attempt=attempt, value=1, seconds=2.5, **more)


def test_nothing_has_no_digest() -> None:
    """An empty journal is no run."""
    assert digest(()) is None


def test_calls_are_counted_with_their_outcome_time_and_cost() -> None:
    """What was reported counts before what was declared; failures cost what they reported."""
    made = of(
        intended(), failed(spent=Usage(cost_usd=Decimal("0.1"))), intended(attempt=2), done(attempt=2), intended("t", 1, "look"),
        e.CallUnknown(step="t", attempt=1, why="lost"),
    )  # fmt: skip
    assert [(call.tool, call.outcome, call.seconds, call.cost_usd, call.entry) for call in made.calls] == [
        ("pay", "failed", None, 0.1, 3),
        ("pay", "ok", 2.5, 0.5, 5),
        ("look", "unknown", None, None, 7),
    ]
    assert made.cost_usd == pytest.approx(0.6)
    assert {(tries.step, tries.tool): tries.count for tries in made.tries} == {("s", "pay"): 2, ("t", "look"): 1}
    assert (made.status, made.ended_at, made.parts) == ("", None, {})


def test_a_model_is_a_tool_too() -> None:
    """Requests that failed or were lost are calls, and cost what they used."""
    used = Usage(cost_usd=Decimal("0.02"))
    made = of(
        e.ModelAnswered(turn=1, model="p:m", usage=used, seconds=3.0),
        e.ModelFailed(turn=2, model="p:m", failure=e.Failure(kind="transient")),
        e.ModelCallLost(turn=3, model="p:m", usage=used),
    )
    assert [(call.tool, call.outcome, call.seconds) for call in made.calls] == [
        ("model p:m", "ok", 3.0),
        ("model p:m", "failed", None),
        ("model p:m", "unknown", None),
    ]
    assert made.cost_usd == pytest.approx(0.04)


def test_the_end_says_what_was_left_out() -> None:
    """Steps that were dropped, or were not needed, are none of the plan's."""
    made = of(
        planned("a", "b", "c", "d"),
        e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=(Step(id="e", tool="pay"),)), dropped=("d",)),
        e.StepSkipped(step="c", reason="an alternative", needless=True),
        e.RunCompleted(result={"x": [1, None], "y": ""}, skipped=("a",), replaced={"b": "other"}, flagged=("a",), outdated=("e",)),
        document=True,
    )  # fmt: skip
    assert (made.status, made.ended_at, made.end, made.steps) == ("completed", T0 + 5, 5, 3)
    assert (made.skipped, made.replaced, made.flagged, made.outdated) == (("a",), ("b",), ("a",), ("e",))
    assert {name: size.values for name, size in made.parts.items()} == {"": 1, "x": 1, "y": 0}
    assert made.document is not None
    assert (
        made.document["inputs"] == {"most": 5} and made.document["labels"] == {"who": "ann"} and made.document["seconds"] == 4.0
    )


def test_what_counts_as_done_is_kept_with_its_verdicts() -> None:
    """The last verdict holds; those before it are refusals."""
    accept = {"accept": Acceptance(that="result.ok", tool="judge")}
    no = e.FinishRuled(turn=1, accepted=False, by="judge", reason="thin")
    made = of(no, e.FinishRuled(turn=2, accepted=True, by="judge"), start=accept)
    assert (made.accept, made.accepted, [one.reason for one in made.refused]) == ("result.ok and judge", True, ["thin"])
    assert of(start=accept).accepted is None


@pytest.mark.parametrize(
    ("kind", "events"),
    [
        ("refused", [intended(), failed(kind="insufficient")]),
        ("refused", [intended(), failed(kind="crashed", landed=True)]),
        ("happened", [intended(), failed(), e.ProbeAnswered(step="s", probe=1, verdict="happened")]),
        ("late", [intended(), failed(), e.CallbackReceived(step="s", key="k", value=1)]),
        ("late", [intended(), done(), e.CallbackReceived(step="s", key="k", failure=e.Failure(kind="failed_later"))]),
        ("late", [e.StepSkipped(step="s", reason="gone"), e.CallbackRefused(step="s", reason="too late")]),
        ("unseen", [intended(), done(), e.PendingRuled(step="s", row="late-ask", action="ask", reason="it has not come")]),
        ("observed", [e.FactsLearned(facts=(Fact(name="p", source="observed"),), drifts=(Drift(name="p", source="told"),), step="s")]),
        ("guessed", [e.FactsLearned(facts=(Fact(name="p", by="ann"),), drifts=(Drift(name="p", source="inferred"),))]),
        ("guessed", [e.FactsLearned(facts=(Fact(name="p", source="observed"),), drifts=(Drift(name="p", source="remembered"),))]),
    ],
)  # fmt: skip
def test_belief_and_world_are_held_against_each_other(kind: str, events: list[e.AnyEvent]) -> None:
    """Each way in which they can be apart is seen, once."""
    assert [(one.kind, one.entry) for one in of(*events).contradictions] == [(kind, len(events) + 1)]


@pytest.mark.parametrize(
    "events",
    [
        [intended(), failed(), intended(attempt=2), done(attempt=2)],
        [intended(), e.CallUnknown(step="s", attempt=1, why="?"), e.ProbeAnswered(step="s", probe=1, verdict="happened")],
        [intended(), done(), e.CallbackReceived(step="s", key="k", value=1)],
        [intended(), done(), e.CallbackRefused(step="s", reason="a second one")],
        [intended(), done(), e.PendingRuled(step="s", row="came", action="settle", reason="it is there")],
        [e.FactsLearned(facts=(Fact(name="p", by="ann"),), drifts=(Drift(name="p", source="told"),))],
    ],
)
def test_what_agrees_is_no_contradiction(events: list[e.AnyEvent]) -> None:
    """A doubt that is settled, a second delivery, and a person who changes their mind are as they should be."""
    assert of(*events).contradictions == ()


def test_a_guess_that_a_person_corrects_when_asked_was_wrong() -> None:
    """Only what they say otherwise, of what they were asked about."""
    asked = e.Asked(
        interrupt="i",
        kind="approval",
        about="fact",
        question="?",
        options=(),
        digest="d",
        expires_at=T0 + 99,
        facts=("beds", "town"),
    )
    made = of(asked, e.Answered(interrupt="i", decision="edit", by="ann", value={"beds": 2, "other": 1}))
    assert [(one.kind, one.name) for one in made.contradictions] == [("guessed", "beds")]
    assert made.asked == 1
    assert of(asked, e.Answered(interrupt="i", decision="approve", by="ann")).contradictions == ()


def test_what_nobody_knows_stays_unknown_until_it_is_settled() -> None:
    """What only reads is never in doubt; a later failure settles nothing, a probe and a person do."""
    lost = [intended(), e.CallUnknown(step="s", attempt=1, why="?")]
    end = e.RunCompleted()
    doubt = e.Asked(
        interrupt="i", kind="escalation", about="doubt", question="?", options=(), digest="d", expires_at=1.0, step="s"
    )
    assert of(*lost, end).unknown == ("s",)
    assert of(*lost, intended(attempt=2), failed(attempt=2), end).unknown == ("s",)
    assert of(*lost, intended(attempt=2), done(attempt=2), end).unknown == ()
    assert of(*lost, e.ProbeAnswered(step="s", probe=1, verdict="not_happened"), end).unknown == ()
    assert of(*lost, e.RecoveryRuled(step="s", row="r", action="fail", reason=""), end).unknown == ()
    assert of(*lost, doubt, e.Answered(interrupt="i", decision="respond", by="ann", value=1), end).unknown == ()
    assert of(intended(tool="look"), e.CallUnknown(step="s", attempt=1, why="?"), end).unknown == ()


def test_of_a_fork_only_what_it_did_itself_counts() -> None:
    """The calls before it are the source's; it may be another agent, and simulated."""
    fork = e.RunForked(run_id="f", source="r", entry=3, link="", agent="b", contracts=(PAY,), mode="simulate")
    made = of(planned("s"), intended(), done(), fork, intended("t"), done("t"))
    assert (made.run_id, made.agent, made.simulated, [call.step for call in made.calls]) == ("f", "b", True, ["t"])
    assert made.cost_usd == 0.5 and made.started_at == T0 + 5
    live = of(intended(), done(), e.RunForked(run_id="f", source="r", entry=3, link="", agent="b", contracts=(), mode="live"))
    assert not live.simulated


def test_foreign_words_in_it_are_cut() -> None:
    """What a tool said of its failure may be long."""
    (one,) = of(intended(), failed(kind="insufficient", message="x" * 9000)).contradictions
    assert len(one.what) <= 400
