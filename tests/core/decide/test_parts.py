"""What was done in part, and what nobody sees yet: followed, and not followed up."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool
from holdfast.core.plan import Plan
from tests.core.story import T0, Story, ref, step, tool

KEYED = tool("t", "keyed")
PROBED = tool("t", "reconcilable")


# --- partial ------------------------------------------------------------------------------------------------------


def test_what_is_partly_done_is_done_and_named() -> None:
    """What is left is kept by identity, and waited for; when it does not come the run says which steps are not whole."""
    story = Story([step("a"), step("b", args={"x": ref("steps.a.seat")})], KEYED)
    story.decide()
    story.tell(e.CallPartial(step="a", attempt=1, value={"seat": None, "flight": 7}, left=("seat",))).decide()
    assert story["a"].left == ("seat",)
    assert story.called() == []
    (call,) = [command for command in story.commands if isinstance(command, CallTool) and command.step == "b"]
    assert call.args == {"x": None}
    story.succeed("b").decide()
    assert not story.ended
    story.decide(after=86400)
    assert (story.asked.about, story.asked.kind, story.ended) == ("owed", "escalation", "")
    story.answer("reject").decide()
    assert (story.ended, story.run.partial, story.run.flagged) == ("completed", ("a",), ("a",))


# --- parts --------------------------------------------------------------------------------------------------------


def test_the_rest_of_a_part_becomes_a_step_where_the_tool_says_how() -> None:
    """With its own arguments and key; the part counts at once, and when the rest is done the step is whole."""
    story = Story(
        [step("a", args={"seats": 3}), step("b", "u", args={"x": ref("steps.a.flight")})], tool("t", "keyed"), tool("u")
    )
    story.decide()
    assert sorted(story.part("a", {"flight": 7}, left=("12A",), rest={"seats": 1}).called()) == ["a_rest", "b"]
    assert story["a_rest"].args == {"seats": 1}
    assert len(set(story.keys)) == 3
    assert story.run.pending == {}
    story.succeed("a_rest", "12A").succeed("b").decide()
    assert (story.ended, story.run.partial) == ("completed", ())
    assert story.run.result == {"a": {"flight": 7}, "a_rest": "12A", "b": None}


def test_a_rest_that_is_not_done_leaves_its_step_in_part() -> None:
    """It is named; so is the rest's own rest."""
    story = Story([step("a", on_failure="skip")], tool("t", "keyed"))
    story.decide()
    story.part("a", rest={"n": 2}).decide()
    story.part("a_rest", rest={"n": 1}).decide()
    assert story.run.order == ("a", "a_rest", "a_rest_rest")
    story.fail("a_rest_rest", "denied").decide()
    assert (story.ended, story.run.partial, story.run.skipped) == ("completed", ("a", "a_rest"), ("a_rest_rest",))


def test_a_rest_takes_no_name_that_is_taken() -> None:
    """Ids are unique in a run for ever."""
    story = Story([step("a"), step("a_rest", "u")], tool("t", "keyed"), tool("u"))
    story.decide()
    assert story.part("a", rest={"n": 2}).called() == ["a_rest2"]


def test_the_rest_of_a_call_with_a_business_key_is_another_occurrence() -> None:
    """It is not the call that was made."""
    mail = tool("mail", "keyed", business_key=("to",))
    story = Story([step("a", "mail", args={"to": "x"})], mail)
    story.decide()
    assert story.part("a", rest={"to": "x", "lines": [2]}).called() == ["a_rest"]
    assert len(set(story.keys)) == 2


def test_data_of_a_rest_names_nothing() -> None:
    """What looks like a reference in the arguments of a repeat is data, as it was in the call."""
    contract = tool("t", "keyed", probe=True, visible_within_seconds=9.0, at_deadline="repeat")
    story = Story([step("a", args={"x": ref("inputs.data")})], contract, inputs={"data": {"$ref": "inputs.other"}, "other": "no"})
    story.decide()
    story.succeed("a").decide()
    story.decide(after=9)
    story.probed("a", "not_yet").decide()
    first, again = story.events(e.CallIntended)
    assert first.args == again.args == {"x": {"$ref": "inputs.other"}}


def test_what_the_other_side_does_of_a_rest_is_followed() -> None:
    """A look that finds some of it leaves the others owed; one that finds all settles it."""
    story = Story([step("a")], tool("t", "keyed", poll=True))
    story.decide()
    story.part("a", ["flight"], left=("seat", "meal")).decide()
    story.decide(after=30)
    story.probed("a", "happened", ["flight", "seat"], left=("meal",)).decide()
    assert story.run.pending["a"].items == ("meal",)
    assert not story.ended
    story.decide(after=60)
    story.probed("a", "happened", ["flight", "seat", "meal"]).decide()
    assert (story.ended, story["a"].value, story.run.partial) == ("completed", ["flight", "seat", "meal"], ())


def test_a_result_that_comes_in_part_leaves_the_rest_owed() -> None:
    """The step is done with its part, and the run goes on."""
    story = Story([step("a"), step("b", "u", after=("a",))], tool("t", "keyed", poll=True), tool("u"))
    story.decide()
    story.defer("a", until=T0 + 500).decide()
    story.decide(after=30)
    assert story.probed("a", "happened", ["flight"], left=("seat",)).called() == ["b"]
    owed = story.run.pending["a"]
    assert (owed.about, owed.items, owed.until, story["a"].left) == ("rest", ("seat",), T0 + 500, ("seat",))
    story.signal("a", ["flight", "seat"]).succeed("b").decide()
    assert (story.ended, story["a"].value, story["a"].left) == ("completed", ["flight", "seat"], ())


def test_a_part_with_nothing_left_is_whole() -> None:
    """Nothing is owed."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    story.part("a", 1, left=()).decide()
    assert (story.ended, story.run.partial) == ("completed", ())


# --- what nobody sees yet -----------------------------------------------------------------------------------------

SEEN_LATE = tool("t", "keyed", probe=True, probe_seconds=5.0, visible_within_seconds=100.0)
MAIL = tool("mail", "keyed", business_key=("to",), probe=True, probe_seconds=5.0, visible_within_seconds=100.0)


def test_a_success_is_looked_for_until_it_is_seen() -> None:
    """What needs it goes on at once; the run ends when it shows."""
    story = Story([step("a"), step("b", "u", args={"x": ref("steps.a")})], SEEN_LATE, tool("u"))
    story.decide()
    assert story.succeed("a", 1).called() == ["b"]
    story.succeed("b").decide()
    assert not story.ended
    assert story.looked(after=5) == ["a"]
    story.probed("a", "happened", "seen").decide()
    assert (story.ended, story.run.result) == ("completed", {"a": 1, "b": None}), "its result is what the call said"


def test_a_success_whose_sight_nobody_can_look_for_is_not_waited_for() -> None:
    """There would be nothing to learn."""
    story = Story([step("a")], tool("t", "keyed", visible_within_seconds=100.0))
    story.decide()
    story.succeed("a").decide()
    assert story.ended == "completed"


@pytest.mark.parametrize("contract", [SEEN_LATE, MAIL], ids=["same arguments", "business key"])
def test_a_follow_up_of_what_is_not_seen_yet_is_suppressed(contract: Any) -> None:
    """Once, and said so; when it is seen its result is taken. The mail is out, and the CRM does not show it yet."""
    name, second = contract.tool, {"to": "x"} if contract is SEEN_LATE else {"to": "x", "text": "again"}
    steps = [step("a", name, args={"to": "x"}), step("b", name, args=second, after=("a",))]
    story = Story(steps, contract)
    story.decide()
    assert story.succeed("a", "sent").called() == []
    (suppressed,) = story.events(e.FollowUpSuppressed)
    assert (suppressed.step, suppressed.same_as, suppressed.until) == ("b", "a", T0 + 100)
    assert story.looked(after=5) == ["a"]
    assert story.crash().looked() == ["a"]
    assert story.phases["b"] == "ready"
    story.probed("a", "happened").decide()
    assert story.run.result == {"a": "sent", "b": "sent"}
    assert len(story.keys) == 1
    assert len(story.events(e.FollowUpSuppressed)) == 1


def test_a_follow_up_is_suppressed_over_a_new_plan() -> None:
    """A reasoner that does not see it yet asks for it once more, in another step."""
    story = Story([step("a", args={"to": "x"}), step("other", "u")], SEEN_LATE, tool("u"), final=False)
    story.decide()
    story.succeed("a", "sent").decide()
    story.tell(e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=(step("b", args={"to": "x"}),))))
    assert story.called() == []
    assert story.events(e.FollowUpSuppressed)[0].same_as == "a"


@pytest.mark.parametrize("change", [{"args": {"to": "y"}}, {"occurrence": 2}, {"called": "u"}])
def test_another_call_is_no_follow_up(change: dict[str, Any]) -> None:
    """Other arguments, an intended repeat, another tool."""
    second = step("b", **{"args": {"to": "x"}, "after": ("a",), **change})
    story = Story([step("a", args={"to": "x"}), second], SEEN_LATE, tool("u"))
    story.decide()
    assert story.succeed("a").called() == ["b"]


def test_a_read_is_never_suppressed() -> None:
    """It repeats nothing."""
    report = tool("t", "read", poll=True)
    story = Story([step("a", args={"to": "x"}), step("b", args={"to": "x"}, after=("c",)), step("c", "u")], report, tool("u"))
    story.decide()
    story.defer("a").decide()
    assert story.succeed("c").called() == ["b"]


def test_a_follow_up_of_a_deferred_call_waits_for_its_result_and_takes_it() -> None:
    """A person's approval in between changes nothing."""
    steps = [step("a", args={"to": "x"}), step("c", "u"), step("b", args={"to": "x"}, after=("c",), approve="always")]
    story = Story(steps, tool("t", "keyed"), tool("u"))
    story.decide()
    story.defer("a", until=T0 + 100).decide()
    story.succeed("c").decide()
    assert (story.open, story.phases["b"]) == ([], "ready")
    story.deliver("a", 5).decide()
    assert story.run.result == {"a": 5, "c": None, "b": 5}
    assert story["b"].settled_by == "reuse"


def test_a_person_may_insist_on_a_follow_up() -> None:
    """They know what went wrong, and say to make the call all the same."""
    steps = [step("a", args={"to": "x"}), step("b", args={"to": "x"}, on_failure="ask")]
    story = Story(steps, tool("t", "keyed"))
    story.decide()
    story.defer("a").fail("b", "conflict").decide()
    assert story.answer("approve").called() == ["b"]


def test_a_follow_up_of_a_result_that_did_not_come_is_refused() -> None:
    """Nothing has changed since; a fallback of its own may do it."""
    steps = [
        step("a", args={"to": "x"}, on_failure="skip"),
        step("c", "u"),
        step("b", args={"to": "x"}, after=("c",), on_failure="skip"),
    ]
    story = Story(steps, tool("t", "keyed", at_deadline="fail"), tool("u"))
    story.decide()
    story.defer("a", until=T0 + 100).succeed("c").decide()
    story.decide(after=100)
    assert (story.ended, story.run.skipped) == ("completed", ("a", "b"))
    assert [refused.same_as for refused in story.events(e.CallRefused)] == ["a"]


def test_a_reused_part_is_whole_when_the_rest_of_it_is() -> None:
    """Whose rest it is does not matter."""
    mail = tool("mail", "keyed", business_key=("to",))
    story = Story([step("a", "mail", args={"to": "x"}), step("b", "mail", args={"to": "x"})], mail)
    story.decide()
    assert story.part("a", 1, rest={"to": "x", "lines": [2]}).called() == ["a_rest"]
    story.succeed("a_rest").decide()
    assert (story.ended, story.run.partial) == ("completed", ())
