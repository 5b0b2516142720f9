"""A run that stops, and takes back what it did: in which order, with whose word, and what it says of what it could not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import RunProbe
from holdfast.core.decide import Room
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import T0, Story, ref, step, tool, weaker

BOOK = tool("book", "reconcilable", undo="cancel", undo_args={"booking": {"$ref": "result.id"}})
CANCEL = tool("cancel", "keyed")
MAIL = tool("mail", "keyed")
LOOK = tool("look", "read")
TOOLS = (BOOK, CANCEL, MAIL, LOOK)


def booked(*names: str, on_stop: str = "undo", last: str = "look", limits: Limits | None = None, tools: Any = TOOLS) -> Story:
    """A run that booked these one after the other, and then calls something else as its step `last`."""
    steps = [step(name, "book", args={"n": at}, after=names[:at]) for at, name in enumerate(names)]
    story = Story([*steps, step("last", last, after=names)], *tools, limits=limits, start={"on_stop": on_stop})
    for name in names:
        story.decide()
        story.succeed(name, {"id": name.upper()})
    story.decide()
    return story


def stopped(*names: str, **fields: Any) -> Story:
    """The same, and the last step fails."""
    story = booked(*names, **fields)
    story.fail("last", "denied").decide()
    return story


def undo_all(story: Story) -> list[str]:
    """Every undo that is called succeeds; the steps that were called, in order."""
    called = []
    while flying := [name for name in story.run.active if story.phases[name] == "flying"]:
        called += flying
        for name in flying:
            story.succeed(name)
        story.decide()
    return called


# --- what is taken back -------------------------------------------------------------------------------------------


def test_what_was_done_is_taken_back_the_last_first_and_one_after_the_other() -> None:
    """With the results of the calls, as calls with keys of their own; the run fails as it would have, and names them."""
    story = stopped("a", "b", "c")
    assert story.phases["undo_c"] == "flying"
    assert (story.phases["undo_b"], story.phases["undo_a"]) == ("blocked", "blocked")
    assert not story.ended
    assert undo_all(story) == ["undo_c", "undo_b", "undo_a"]
    assert [made.args for made in story.events(e.CallIntended)[-3:]] == [{"booking": name} for name in "CBA"]
    assert len(set(story.keys)) == len(story.keys)
    assert (story.ended, story.run.undone, story.run.kept) == ("failed", ("c", "b", "a"), ())
    assert story.run.reason == "step last: denied"
    (end,) = story.events(e.RunFailed)
    assert (end.undone, end.kept, end.unknown) == (("c", "b", "a"), (), ())


def test_the_order_is_that_in_which_things_were_done_not_planned() -> None:
    """Parallel steps come back as they come."""
    story = Story(
        [step("a", "book", args={"n": 1}), step("b", "book", args={"n": 2}), step("c", "look")], *TOOLS, start={"on_stop": "undo"}
    )
    story.decide()
    story.succeed("b", {"id": 2}).succeed("a", {"id": 1}).fail("c", "denied").decide()
    assert undo_all(story) == ["undo_a", "undo_b"]


def test_what_cannot_be_taken_back_is_named() -> None:
    """A tool without an undo, a step done by hand, one whose undo has nothing to go by; a read changed nothing, and what was
    reused was done once."""
    mail = weaker(MAIL, business_key=("to",))
    steps = [
        step("look", "look"), step("mail", "mail", args={"to": "x"}), step("again", "mail", args={"to": "x"}, after=("mail",)),
        step("hand", "book", args={"n": 1}, on_failure="ask"), step("odd", "book", args={"n": 2}), step("room", "book", args={"n": 3}),
        step("last", "look", args={"n": 4}, after=("look", "again", "hand", "odd", "room")),
    ]  # fmt: skip
    story = Story(steps, BOOK, CANCEL, mail, LOOK, start={"on_stop": "undo"})
    story.decide()
    story.succeed("look").succeed("mail").fail("hand", "conflict").succeed("odd", "no id").succeed("room", {"id": 9}).decide()
    story.answer("respond", {"id": 7}).decide()
    story.fail("last", "denied").decide()
    (planned,) = story.events(e.UndoPlanned)
    assert ([undo.undoes for undo in planned.steps], planned.kept) == (["room"], ("hand", "odd", "mail"))
    undo_all(story)
    assert (story.run.undone, story.run.kept) == (("room",), ("hand", "odd", "mail"))


def test_nothing_to_take_back_is_nothing_to_wait_for() -> None:
    """The run ends at once; what stays is named."""
    story = Story([step("mail", "mail"), step("last", "look", after=("mail",))], *TOOLS, start={"on_stop": "undo"})
    story.decide()
    story.succeed("mail").decide()
    story.fail("last", "denied").decide()
    assert (story.ended, story.run.undone, story.run.kept) == ("failed", (), ("mail",))
    empty = Story([step("last", "look")], *TOOLS, start={"on_stop": "undo"})
    empty.decide()
    empty.fail("last", "denied").decide()
    assert (empty.ended, empty.events(e.UndoPlanned)) == ("failed", [])


def test_a_call_that_landed_and_broke_is_taken_back_in_its_place() -> None:
    """What it did is undone like what was done, in the order in which it happened."""
    book = weaker(BOOK, undo_args={"n": {"$ref": "args.n"}})
    steps = [step(name, "book", args={"n": name}, on_failure="skip") for name in "abc"]
    for how in ("call", "probe"):
        story = Story([*steps, step("last", "look", after=("a", "b", "c"))], book, CANCEL, LOOK, start={"on_stop": "undo"})
        story.decide()
        story.succeed("c").decide()
        if how == "call":
            story.fail("a", "invalid_output").decide()
        else:
            story.lose("a").decide()
            broken = e.Failure(kind="insufficient", landed=True)
            story.probed("a", "happened", failure=broken).decide()
        story.succeed("b").decide()
        story.fail("last", "denied").decide()
        assert undo_all(story) == ["undo_b", "undo_a", "undo_c"]
        assert story.run.undone == ("b", "a", "c")


def test_a_part_and_its_rest_are_both_taken_back() -> None:
    """Each was a call."""
    story = Story(
        [step("a", "book", args={"n": 2}), step("last", "look", after=("a", "b")), step("b", "mail")],
        *TOOLS,
        start={"on_stop": "undo"},
    )
    story.decide()
    story.part("a", {"id": 1}, rest={"n": 1}).decide()
    story.succeed("a_rest", {"id": 2}).succeed("b").decide()
    story.fail("last", "denied").decide()
    assert undo_all(story) == ["undo_a_rest", "undo_a"]


def test_what_a_fallback_did_is_taken_back_by_the_tool_that_did_it() -> None:
    """By its own undo."""
    steps = [step("a", "mail", fallbacks=(Fallback(tool="book", args={"n": 1}),)), step("last", "look", after=("a",))]
    story = Story(steps, *TOOLS, start={"on_stop": "undo"})
    story.decide()
    story.fail("a", "denied").decide()
    story.succeed("a", {"id": 5}).decide()
    story.fail("last", "denied").decide()
    assert undo_all(story) == ["undo_a"]
    assert story["undo_a"].args == {"booking": 5}


@pytest.mark.parametrize("on_stop", ["undo", "keep"])
def test_a_run_that_completes_takes_nothing_back(on_stop: str) -> None:
    """It is about runs that stop."""
    story = booked("a", on_stop=on_stop)
    story.succeed("last").decide()
    assert (story.ended, story.run.undone, story.events(e.UndoPlanned)) == ("completed", (), [])


def test_what_is_kept_is_kept() -> None:
    """The default."""
    story = stopped("a", on_stop="keep")
    assert (story.ended, story.run.undone, story.run.kept) == ("failed", (), ())


# --- what is settled first ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["happened", "not_happened"])
def test_a_doubt_is_settled_before_anything_is_taken_back(verdict: Any) -> None:
    """It is taken back too, if it happened; also where the probe cannot say at once."""
    steps = [step("a", "book", args={"n": 1}), step("b", "book", args={"n": 2}), step("last", "look")]
    story = Story(steps, *TOOLS, start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).lose("b").fail("last", "denied")
    assert story.looked() == ["b"]
    story.probed("b", "not_yet").decide()
    assert story.events(e.UndoPlanned) == []
    assert story.last is not None and story.last.wake_at == T0 + 1
    assert story.looked(after=1) == ["b"]
    story.probed("b", verdict, {"id": "B"}).decide()
    assert undo_all(story) == (["undo_b", "undo_a"] if verdict == "happened" else ["undo_a"])
    assert story.run.unknown == ()


def test_a_doubt_that_nobody_can_settle_is_named_and_holds_nothing_up() -> None:
    """The probe had its time; a person is not asked while the run stops."""
    steps = [step("a", "book", args={"n": 1}), step("b", "book", args={"n": 2}), step("last", "look")]
    story = Story(steps, weaker(BOOK, probe_window_seconds=1.0), CANCEL, LOOK, start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).lose("b").fail("last", "denied").decide()
    story.probed("b", "not_yet").decide()
    story.decide(after=1)
    story.probed("b", "not_yet").decide()
    assert undo_all(story) == ["undo_a"]
    assert (story.run.unknown, story.run.undone) == (("b",), ("a",))


def test_what_is_in_flight_ends_before_anything_is_taken_back() -> None:
    """And is taken back with the rest."""
    steps = [step("a", "book", args={"n": 1}), step("b", "book", args={"n": 2}), step("last", "look")]
    story = Story(steps, *TOOLS, start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).fail("last", "denied")
    assert story.called() == []
    story.succeed("b", {"id": "B"})
    assert story.called() == ["undo_b"]


def test_what_was_given_up_is_named_and_not_taken_back() -> None:
    """Nobody knows whether it was done."""
    book = weaker(BOOK, at_deadline="give_up", undo_args={"n": {"$ref": "args.n"}}, probe=False)
    steps = [step("a", "book", args={"n": 1}, fallbacks=(Fallback(tool="mail"),)), step("last", "look", after=("a",))]
    story = Story(steps, book, CANCEL, MAIL, LOOK, start={"on_stop": "undo"})
    story.decide()
    story.defer("a", until=T0 + 9).decide()
    assert story.called(after=9) == ["last"]
    story.fail("last", "denied").decide()
    assert (story.ended, story.run.undone, story.run.kept, story.run.flagged) == ("failed", (), ("a",), ("a",))


def test_what_is_delivered_before_the_end_is_taken_back_too() -> None:
    """The result of a deferred call came with the failure of another."""
    steps = [step("a", "book", args={"n": 1}), step("last", "look")]
    story = Story(steps, *TOOLS, start={"on_stop": "undo"})
    story.decide()
    story.defer("a").decide()
    story.deliver("a", {"id": "A"}).fail("last", "denied")
    assert story.called() == ["undo_a"]


# --- whose word ---------------------------------------------------------------------------------------------------


def test_a_person_is_asked_whether_to_take_it_back() -> None:
    """Shown what would be, and what cannot be."""
    story = Story(
        [step("mail", "mail"), step("a", "book"), step("last", "look", after=("a", "mail"))], *TOOLS, start={"on_stop": "ask"}
    )
    story.decide()
    story.succeed("mail").succeed("a", {"id": "A"}).decide()
    story.fail("last", "denied").decide()
    assert (story.asked.about, story.asked.kind) == ("stop", "approval")
    assert "take back what it did? a (not to be undone: mail)" in story.asked.question
    assert story.keys[2:] == [story["last"].key], "nothing is taken back yet"
    assert story.answer("approve").called() == ["undo_a"]
    undo_all(story)
    assert (story.ended, story.run.undone, story.run.kept) == ("failed", ("a",), ("mail",))


@pytest.mark.parametrize("said", ["reject", "nothing"])
def test_without_a_yes_it_is_kept(said: str) -> None:
    """Silence never means yes."""
    story = stopped("a", on_stop="ask")
    _ = story.answer("reject") if said == "reject" else story.wait(7 * 86400)
    story.decide()
    assert (story.ended, story.run.undone, story.events(e.UndoPlanned)) == ("failed", (), [])


def test_a_question_about_nothing_is_not_asked() -> None:
    """There is nothing to take back."""
    story = Story([step("last", "look")], *TOOLS, start={"on_stop": "ask"})
    story.decide()
    story.fail("last", "denied").decide()
    assert (story.ended, story.events(e.Asked)) == ("failed", [])


def test_a_crash_while_a_person_is_asked_asks_once() -> None:
    """The question stands."""
    story = stopped("a", on_stop="ask")
    story.crash().decide()
    assert len(story.events(e.Asked)) == 1
    assert story.answer("approve").called() == ["undo_a"]


@pytest.mark.parametrize(("said", "undone"), [("undo", ("a",)), ("keep", ())])
def test_who_cancels_while_a_person_is_asked_has_said_it(said: Any, undone: Any) -> None:
    """Nobody waits for an answer any more, and silence does not overrule them."""
    story = stopped("a", on_stop="ask")
    story.cancel(said).decide()
    undo_all(story)
    assert (story.ended, story.run.undone, story.open) == ("cancelled", undone, [])


@pytest.mark.parametrize("policy", ["keep", "undo", "ask"])
@pytest.mark.parametrize("said", [None, "keep", "undo", "ask"])
def test_who_cancels_may_say_what_becomes_of_what_was_done(policy: str, said: Any) -> None:
    """Else the run's policy holds."""
    story = booked("a", on_stop=policy)
    story.succeed("last").cancel(said).decide()
    what = said or policy
    assert story.phases.get("undo_a") == ("flying" if what == "undo" else None)
    assert bool(story.open) is (what == "ask")
    if what == "ask":
        story.answer("approve").decide()
    undo_all(story)
    assert (story.ended, story.run.undone) == ("cancelled", () if what == "keep" else ("a",))


def test_a_cancel_while_things_are_taken_back_changes_the_word_for_the_end() -> None:
    """What has begun goes on to its end."""
    story = stopped("a", "b")
    story.cancel().succeed("undo_b").decide()
    assert undo_all(story) == ["undo_a"]
    assert (story.ended, story.run.undone) == ("cancelled", ("b", "a"))


# --- what becomes of an undo --------------------------------------------------------------------------------------


def test_an_undo_is_retried_like_any_call() -> None:
    """Under its own key."""
    story = stopped("a")
    story.fail("undo_a").decide()
    assert story.called(after=1) == ["undo_a"]
    assert story.keys[-1] == story.keys[-2]
    undo_all(story)
    assert story.run.undone == ("a",)


@pytest.mark.parametrize("said", ["approve", "respond", "reject", "nothing"])
def test_an_undo_that_does_not_work_is_put_to_a_person(said: Any) -> None:
    """The others go on after that, whatever is said; what was not taken back is named."""
    story = stopped("a", "b")
    story.fail("undo_b", "conflict", message="too late").decide()
    assert (story.asked.about, story.asked.step) == ("failure", "undo_b")
    assert "too late" in story.asked.question
    if said == "nothing":
        story.decide(after=7 * 86400)
    else:
        story.answer(said).decide()
    undo_all(story)
    assert story.ended == "failed"
    if said in ("approve", "respond"):
        assert (story.run.undone, story.run.kept) == (("b", "a"), ())
    else:
        assert (story.run.undone, story.run.kept) == (("a",), ("b",))


@pytest.mark.parametrize("said", ["approve", "reject", "nothing"])
def test_an_undo_that_needs_a_word_is_asked_for(said: Any) -> None:
    """An irreversible one is approved first."""
    story = stopped("a", tools=(BOOK, weaker(CANCEL, safety="irreversible"), LOOK))
    assert (story.asked.about, story.asked.args) == ("call", {"booking": "A"})
    _ = story.wait(7 * 86400) if said == "nothing" else story.answer(said)
    story.decide()
    assert undo_all(story) == (["undo_a"] if said == "approve" else [])
    assert (
        (story.ended, story.run.undone, story.run.kept) == ("failed", ("a",), ()) if said == "approve" else ("failed", (), ("a",))
    )


def test_a_crash_in_the_middle_of_an_undo_is_settled_like_any_doubt() -> None:
    """A keyed one is sent again under its key; one that can be asked is."""
    story = stopped("a", "b")
    assert story.crash().called() == ["undo_b"]
    assert story.keys[-1] == story.keys[-2]
    undo_all(story)
    assert story.run.undone == ("b", "a")
    asked = stopped("a", tools=(BOOK, weaker(CANCEL, safety="reconcilable", probe=True), LOOK))
    (probe,) = asked.crash().decide().commands
    assert isinstance(probe, RunProbe) and probe.step == "undo_a"
    asked.probed("undo_a", "happened").decide()
    assert (asked.ended, asked.run.undone) == ("failed", ("a",))


BLIND_CANCEL = weaker(CANCEL, safety="irreversible", approve="never")


@pytest.mark.parametrize("said", ["respond", "approve", "reject", "cancel", "nothing"])
def test_an_undo_that_nobody_knows_of_is_put_to_a_person(said: Any) -> None:
    """Without an answer it is named unknown, asked about once, and holds the others up no longer."""
    story = stopped("a", "b", tools=(BOOK, BLIND_CANCEL, LOOK))
    story.crash().decide()
    assert (story.asked.about, story.asked.step) == ("doubt", "undo_b")
    _ = story.wait(7 * 86400) if said == "nothing" else story.answer(said)
    story.decide()
    assert undo_all(story) == (["undo_b", "undo_a"] if said == "approve" else ["undo_a"])
    assert len(story.events(e.Asked)) == 1
    undone = ("b", "a") if said in ("respond", "approve") else ("a",)
    assert (story.ended, story.run.undone) == ("cancelled" if said == "cancel" else "failed", undone)
    assert story.run.kept == (() if "b" in undone else ("b",))
    assert story.run.unknown == (("undo_b",) if said in ("cancel", "nothing") else ())


@pytest.mark.parametrize("said", ["deliver", "respond", "cancel", "nothing"])
def test_an_undo_that_is_deferred_is_waited_for(said: Any) -> None:
    """Until its deadline, like any call; then a person is asked, once."""
    story = stopped("a", "b")
    story.defer("undo_b", until=T0 + 100).decide()
    assert story.phases["undo_a"] == "blocked"
    if said == "deliver":
        story.deliver("undo_b", "refunded").decide()
    else:
        story.decide(after=100)
        assert (story.asked.about, story.asked.step) == ("owed", "undo_b")
        _ = story.wait(7 * 86400) if said == "nothing" else story.answer(said)
        story.decide()
    assert undo_all(story) == ["undo_a"]
    assert story.run.pending == {}
    assert story.run.undone == (("b", "a") if said in ("deliver", "respond") else ("a",))
    assert story.run.unknown == (("undo_b",) if said in ("cancel", "nothing") else ())


def test_an_undo_that_is_done_in_part_is_done_when_its_rest_is() -> None:
    """Until then what it takes back is not called undone."""
    story = stopped("a", "b")
    story.part("undo_b", rest={"booking": "B2"}).decide()
    assert story.run.undone == ()
    assert {name for name in story.run.active if story.phases[name] == "flying"} == {"undo_b_rest", "undo_a"}
    story.succeed("undo_a").fail("undo_b_rest", "denied").decide()
    assert story.asked.about == "failure"
    story.answer("reject").decide()
    assert (story.ended, story.run.undone, story.run.kept) == ("failed", ("a",), ("b",))
    whole = stopped("a")
    whole.part("undo_a", rest={"booking": "A2"}).decide()
    assert undo_all(whole) == ["undo_a_rest"]
    assert (whole.run.undone, whole.run.kept) == (("a",), ())


def test_the_rest_of_an_undo_that_the_other_side_owes_is_waited_for() -> None:
    """The run does not end before."""
    story = stopped("a")
    story.part("undo_a", until=T0 + 100).decide()
    assert not story.ended
    story.deliver("undo_a").decide()
    assert (story.ended, story.run.undone) == ("failed", ("a",))


def test_an_undo_is_held_back_like_any_call_and_goes_to_a_person_in_the_end() -> None:
    """A circuit that stays open is waited for as long as the run's limits say."""
    story = booked("a", limits=Limits(hold_seconds=50))
    room = Room(held={"cancel": (T0 + 60, "circuit")})
    story.fail("last", "denied").decide(room=room)
    assert (story.phases["undo_a"], story.last is not None and story.last.wake_at) == ("waiting", T0 + 60)
    story.decide(after=60, room=Room(held={"cancel": (T0 + 99, "circuit")}))
    assert story.asked.about == "failure"


@pytest.mark.parametrize(
    ("limit", "limits"), [("attempts_max", Limits(attempts_max=1)), ("wall_seconds", Limits(wall_seconds=10))]
)
def test_an_undo_is_made_although_the_limits_of_the_run_are_reached(limit: str, limits: Limits) -> None:
    """They are what stops it; what it did is taken back all the same."""
    story = Story([step("a", "book"), step("b", "look", after=("a",))], *TOOLS, limits=limits, start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).decide(after=10)
    assert undo_all(story) == ["undo_a"]
    assert (story.ended, story.run.undone) == ("failed", ("a",))
    assert limit in story.run.reason


def test_what_is_used_up_is_not_in_the_way_of_an_undo() -> None:
    """A bound on what calls change beside, or on what failed before, is for the plan."""
    cancel = weaker(CANCEL, changes=("credit",))
    steps = [
        step("a", "book"),
        step("try", "cancel", args={"booking": "A"}, on_failure="skip", after=("a",)),
        step("last", "look", after=("try",)),
    ]
    story = Story(steps, BOOK, cancel, LOOK, limits=Limits(changes={"credit": 1.0}), start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).decide()
    story.tell(
        e.CallFailed(step="try", attempt=1, failure=e.Failure(kind="denied"), changes=(e.Change(name="credit", amount=1.0),))
    )
    story.decide()
    story.fail("last", "denied").decide()
    assert undo_all(story) == ["undo_a"]


def test_an_undo_waits_for_a_weaker_agent_to_be_accepted() -> None:
    """Nothing begins under promises that nobody agreed to; if nobody does, the old ones hold."""
    for said in ("approve", "reject", "nothing"):
        story = booked("a")
        story.crash().change(BOOK, weaker(CANCEL, safety="irreversible"), MAIL, LOOK, weaker=True)
        story.cancel().decide()
        assert story.asked.about == "agent"
        assert story.phases["undo_a"] == "ready"
        _ = story.wait(7 * 86400) if said == "nothing" else story.answer(said)
        story.decide()
        assert (story.open != []) is (said == "approve")
        assert story.phases["undo_a"] == ("asking" if said == "approve" else "flying")
    lost = stopped("a")
    lost.crash().change(BOOK, weaker(CANCEL, safety="irreversible"), MAIL, LOOK, weaker=True).decide()
    assert (lost.phases["undo_a"], lost.asked.about) == ("waiting", "agent")
    assert lost.called(after=7 * 86400) == ["undo_a"], "what was held back goes on"


def test_what_the_plan_has_taken_back_itself_is_not_taken_back_twice() -> None:
    """Where the undo has a business key: the same call is known."""
    cancel = weaker(CANCEL, business_key=("booking",))
    steps = [step("a", "book"), step("off", "cancel", args={"booking": ref("steps.a.id")}), step("last", "look", after=("off",))]
    story = Story(steps, BOOK, cancel, LOOK, start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).decide()
    story.succeed("off").decide()
    story.fail("last", "denied").decide()
    assert undo_all(story) == []
    assert (story.ended, story.run.undone) == ("failed", ("a",))


def test_a_call_of_the_plan_that_is_still_owed_is_not_waited_for() -> None:
    """The run deals with nothing but its undo."""
    cancel = weaker(CANCEL, business_key=("booking",))
    steps = [step("a", "book"), step("off", "cancel", args={"booking": ref("steps.a.id")}), step("last", "look", after=("a",))]
    story = Story(steps, BOOK, cancel, LOOK, start={"on_stop": "undo"})
    story.decide()
    story.succeed("a", {"id": "A"}).decide()
    story.defer("off").fail("last", "denied").decide()
    assert undo_all(story) == ["undo_a"]
    assert (story.ended, story.run.undone, story.run.unknown) == ("failed", ("a",), ("off",))


def test_a_run_that_gives_up_or_goes_in_circles_takes_back_what_it_did() -> None:
    """Whoever stops it."""
    ends: dict[str, Callable[[Story], Any]] = {
        "gives up": lambda story: story.tell(e.GiveUpProposed(turn=2, reason="no")),
        "in circles": lambda story: [story.tell(e.ProposalFailed(turn=turn, problems=("x",))).decide() for turn in (2, 3, 4)],
    }
    for end in ends.values():
        story = Story([step("a", "book")], *TOOLS, final=False, start={"on_stop": "undo"})
        story.decide()
        story.succeed("a", {"id": "A"}).decide()
        end(story)
        story.decide()
        if not story.ended:
            assert undo_all(story) == ["undo_a"]
        assert story.ended == "failed"
        assert story.run.undone == ("a",)


def test_a_word_on_what_is_to_be_taken_back_holds_for_what_was_shown() -> None:
    """What came in while the person thought is to be taken back too: they are asked again, and shown that."""
    undoable = tool("t", "keyed", undo="back", callback=True)
    story = Story(
        [step("a", args={"n": 1}), step("b", args={"n": 2}), step("c", "refuse")],
        undoable,
        tool("back", "idempotent"),
        tool("refuse", "read"),
        start={"on_stop": "ask"},
    )
    story.decide()
    story.succeed("a", {})
    story.defer("b", until=T0 + 1000)
    story.fail("c", "denied").decide()
    first = story.asked
    assert "take back what it did? a" in first.question
    story.deliver("b", {})
    story.answer("approve").decide()
    assert "take back what it did? b, a" in story.asked.question
    assert story.asked.digest != first.digest
    assert story.answer("approve").called() == ["undo_b"]
