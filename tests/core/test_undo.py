"""What takes a call back: which steps, in which order, with which arguments. How they are run is in `decide/test_undoing.py`."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.plan import Plan
from holdfast.core.references import has_secret, resolve, unmarked
from holdfast.core.soundness import problems
from holdfast.core.undo import undo_arguments, undo_plan, undo_step
from tests.core.story import Story, step, tool


def takes(*names: str, required: tuple[str, ...] = ()) -> Any:
    """An undo with these arguments."""
    return tool("cancel", "keyed", input_schema={"properties": {name: {} for name in names}, "required": list(required)})


BOOK = tool("book", "keyed", undo="cancel")


@pytest.mark.parametrize(
    ("names", "args", "result", "expected"),
    [
        (("booking",), {}, {"booking": 7, "x": 1}, {"booking": {"$literal": 7}}),
        (("guest",), {"guest": "Ann"}, {"booking": 7}, {"guest": "Ann"}),
        (("guest",), {"guest": "Ann"}, {"guest": "ANN"}, {"guest": {"$literal": "ANN"}}),
        (("result", "guest"), {"guest": "Ann"}, 7, {"result": {"$literal": 7}, "guest": "Ann"}),
        (("reason", "guest"), {"guest": "Ann"}, None, {"guest": "Ann"}),
        ((), {"guest": "Ann"}, {"booking": 7}, {}),
    ],
)
def test_an_undo_gets_what_it_needs_by_name(names: Any, args: Any, result: Any, expected: Any) -> None:
    """From the result, then from the call's own arguments; `result` is the result in whole."""
    assert undo_arguments(BOOK, takes(*names), args, result) == expected


def test_an_undo_that_lacks_an_argument_cannot_be_made() -> None:
    """Nothing is guessed."""
    assert undo_arguments(BOOK, takes("booking", required=("booking",)), {"guest": "Ann"}, "a text") is None


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"of": {"$ref": "result.id"}}, {"of": 7}),
        ({"of": {"$ref": "args.guest.name"}, "why": "stopped"}, {"of": "Ann", "why": "stopped"}),
        ({"of": [{"$ref": "result"}]}, {"of": [{"id": 7}]}),
        ({"of": {"$ref": "result.gone", "default": None}}, {"of": None}),
        ({"of": {"$ref": "result.gone"}}, None),
        ({"of": {"$ref": "args.gone"}}, None),
    ],
)
def test_an_undo_is_called_as_its_author_wrote_it(form: Any, expected: Any) -> None:
    """With references to the result and to the arguments; what is missing makes it impossible."""
    contract = tool("book", "keyed", undo="cancel", undo_args=form)
    assert undo_arguments(contract, takes("of"), {"guest": {"name": "Ann"}}, {"id": 7}) == expected


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("data", [{"$ref": "inputs.x"}, {"$secret": "KEY"}, {"$literal": 1}, [{"$secret": "KEY"}]])
def test_data_of_the_world_names_nothing_in_an_undo(data: Any, written: bool) -> None:
    """What a result holds is what the undo is called with, whatever it looks like; neither are secrets put into it."""
    form = {"of": {"$ref": "result.of"}} if written else None
    found = undo_arguments(tool("book", "keyed", undo="cancel", undo_args=form), takes("of"), {}, {"of": data})
    assert found is not None
    called = resolve(found, {"x": "no"}, lambda name: None, for_call=True)
    assert unmarked(called) == {"of": data}
    assert not has_secret(called)


@pytest.mark.parametrize("written", [True, False])
def test_a_secret_of_the_call_is_a_secret_of_its_undo(written: bool) -> None:
    """It is put in at the moment of the call, and never written down."""
    form = {"token": {"$ref": "args.token"}} if written else None
    contract = tool("book", "keyed", undo="cancel", undo_args=form, secrets=("token",))
    assert undo_arguments(contract, takes("token"), {"token": {"$secret": "KEY"}}, None) == {"token": {"$secret": "KEY"}}


@pytest.mark.parametrize("written", [True, False])
def test_a_reference_among_resolved_arguments_is_data(written: bool) -> None:
    """It was when the call was made."""
    form = {"of": {"$ref": "args.of"}} if written else None
    found = undo_arguments(tool("book", "keyed", undo="cancel", undo_args=form), takes("of"), {"of": {"$ref": "inputs.x"}}, None)
    assert found is not None
    assert resolve(found, {"x": "no"}, lambda name: None) == {"of": {"$ref": "inputs.x"}}


def done(**fields: Any) -> Story:
    """A run with two bookings done."""
    story = Story([step("a", "book"), step("b", "book", args={"n": 2})], tool("book", "keyed", **fields), tool("cancel", "keyed"))
    story.decide()
    story.succeed("a").succeed("b")
    return story


def test_undo_steps_wait_for_one_another_and_are_sound() -> None:
    """Each for the end of the one before it, whatever came of that; a person is asked about one that does not work."""
    story = done(undo="cancel")
    steps, kept = undo_plan(story.run)
    assert [(undo.id, undo.undoes, undo.after, undo.on_failure) for undo in steps] == [
        ("undo_b", "b", (), "ask"),
        ("undo_a", "a", ("undo_b",), "ask"),
    ]
    assert kept == ()
    assert problems(Plan(steps=steps), story.run.contracts, {}, before=("a", "b")) == []


def test_an_undo_step_takes_no_id_that_is_taken() -> None:
    """Ids are unique in a run for ever."""
    story = Story([step("a", "book"), step("undo_a", "cancel")], tool("book", "keyed", undo="cancel"), tool("cancel", "keyed"))
    story.decide()
    story.succeed("a")
    assert [undo.id for undo in undo_plan(story.run)[0]] == ["undo_a_2"]


@pytest.mark.parametrize("undo", [None, "gone"])
def test_without_a_tool_there_is_no_undo(undo: str | None) -> None:
    """None is named, or the agent has it no more."""
    story = done(undo=undo)
    assert undo_plan(story.run) == ((), ("b", "a"))
    assert undo_step(story.run, story["a"], None) is None


def test_what_is_not_done_is_not_taken_back() -> None:
    """Neither what is under way nor what is unknown nor what failed."""
    steps = [step(name, "book", args={"n": at}, on_failure="skip") for at, name in enumerate("abcd")]
    story = Story([*steps, step("e", "book", after=("a",))], tool("book", "keyed", undo="cancel"), tool("cancel", "keyed"))
    story.decide()
    story.fail("b", "denied").lose("c").defer("d").decide()
    assert undo_plan(story.run) == ((), ())


@pytest.mark.parametrize(
    ("becomes", "planned", "kept"),
    [
        (lambda story: story.succeed("back"), ["undo_b"], ()),
        (lambda story: story.fail("back", "denied"), ["undo_b", "undo_a"], ()),
        (lambda story: story, ["undo_b"], ("a",)),
        (lambda story: story.lose("back"), ["undo_b"], ("a",)),
        (lambda story: story.defer("back"), ["undo_b"], ("a",)),
    ],
)
def test_what_a_plan_took_back_is_not_taken_back_again(becomes: Any, planned: list[str], kept: Any) -> None:
    """It is not done any more; and where nobody knows that, it counts as kept."""
    back = step("back", "cancel", undoes="a", after=("a", "b"), on_failure="skip")
    booked = [step("a", "book"), step("b", "book", args={"n": 2})]
    story = Story([*booked, back], tool("book", "keyed", undo="cancel"), tool("cancel", "irreversible", approve="never"))
    story.decide()
    story.succeed("a").succeed("b").decide()
    becomes(story).decide()
    steps, stays = undo_plan(story.run)
    assert [undo.id for undo in steps] == planned
    assert stays == kept
