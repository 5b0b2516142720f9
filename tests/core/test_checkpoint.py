"""A checkpoint is the state, whole, and nothing that a release that folds otherwise would believe.

That a run goes on from one, and what is made of one that cannot be believed, is in tests/runner/test_advance.py.
"""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given

from holdfast.core import checkpoint
from holdfast.core.checkpoint import FORM, from_bytes, to_bytes
from holdfast.core.contract import digest
from holdfast.core.evolve import fold
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal
from holdfast.core.state import State
from tests import strategies as s
from tests.core.story import Story, step, tool
from tests.histories.test_histories import EVERY_RUN, RECORDED

# Of releases that are out; what they wrote lies in stores that are still there.
FORMS_BEFORE = ("ea8705d6a7e5e3631328f63560fcce1a",)


def grown() -> Story:
    """A run with something in every corner: results, doubts, questions, twins and what waits for what."""
    story = Story(
        [step("a"), step("b", "u", args={"to": "x"}), step("c", "v"), step("d", "t", after=("a", "b"))],
        tool("t", "read"), tool("u", "keyed", key_ttl_seconds=60.0, business_key=("to",)), tool("v", "irreversible"),
        inputs={"large": 10**30, "text": "é\x00\u2028"},
    )  # fmt: skip
    story.decide()
    story.succeed("a", {"n": 1.5, "none": None, "list": [1, "x", {}]})
    story.lose("b")
    story.decide()
    return story


@pytest.mark.parametrize(("name", "run_id"), EVERY_RUN)
def test_every_state_of_every_history_comes_back_the_same(name: str, run_id: str) -> None:
    """At each place, and what is folded on top of it too."""
    entries = RECORDED[name].entries(run_id)
    state = None
    whole = fold(entries)
    for at, entry in enumerate(entries, 1):
        state = fold([entry], state)
        body = to_bytes(state)
        restored = from_bytes(body)
        assert restored == state
        assert type(restored.steps) is type(state.steps)
        assert fold(entries[at:], restored) == whole
        assert sorted(to_bytes(restored)) == sorted(body), "nothing was added or lost; maps are walked in any order"


def test_a_state_with_something_in_every_corner_comes_back_the_same() -> None:
    """Results, questions, doubts, and the maps between steps."""
    story = grown()
    restored = from_bytes(to_bytes(story.run))
    assert restored == story.run
    assert restored.steps["a"].value == {"n": 1.5, "none": None, "list": [1, "x", {}]}
    assert list(restored.interrupts) == story.open
    assert restored.order == ("a", "b", "c", "d")


@given(s.json_values)
def test_a_value_comes_back_the_same(value: Any) -> None:
    """Whatever JSON a result is."""
    state = State(run_id="r", agent="a", goal=Goal(inputs={"value": value}), result=value, limits=Limits())
    assert from_bytes(to_bytes(state)) == state


def test_what_is_damaged_is_no_checkpoint() -> None:
    """ValueError, whatever was cut or changed, so that the events are folded instead."""
    body = to_bytes(grown().run)
    plain, maps = msgspec.json.decode(body)
    wrong: list[bytes] = [b"", b"\x00", b"[]", body[:-1], body[: len(body) // 2], body + b"\x00"]
    for broken in (
        [plain, {key: value for key, value in maps.items() if key != "business"}],
        [{**plain, "version": "seven"}, maps],
        [{**plain, "unheard_of": 1}, maps],
        [{key: value for key, value in plain.items() if key != "run_id"}, maps],
        [plain, {**maps, "steps": {"a": {"phase": "nowhere"}}}],
        {"plain": plain},
        plain,
    ):
        wrong.append(msgspec.json.encode(broken))
    for one in wrong:
        with pytest.raises(ValueError, match="no checkpoint of this form"):
            from_bytes(one)


def test_the_form_names_every_record_that_a_state_is_made_of() -> None:
    """A record whose shape changes makes older checkpoints void; one that is forgotten here would be believed."""
    reached: set[type[Any]] = set()
    # The maps of the state are read by a table of their own.
    left: list[Any] = [State, *checkpoint._MAPS.values()]
    while left:
        form = left.pop()
        left.extend(typing.get_args(form))
        if isinstance(form, type) and issubclass(form, msgspec.Struct) and form not in reached:
            reached.add(form)
            left.extend(field.type for field in msgspec.structs.fields(form))
    assert reached == set(checkpoint._RECORDS)


def test_no_form_of_an_earlier_release_is_the_form_of_this_one() -> None:
    """What those folded knew nothing of policies, and would be read without an error: only the form tells."""
    state = grown().run
    plain, maps = msgspec.json.decode(to_bytes(state))
    since = ("policy", "standings", "refused_calls", "taints", "unjudged", "plan_asked", "paused", "instructions", "handoff")
    older = {name: value for name, value in plain.items() if name not in since}
    assert from_bytes(msgspec.json.encode([older, maps])) != state
    assert FORM not in FORMS_BEFORE


def test_the_form_follows_from_shapes_and_rules_alone() -> None:
    """The same in every process, another one with another shape or another version of the rules."""
    shapes = [[record.__name__, record.__struct_fields__] for record in checkpoint._RECORDS]
    assert digest([checkpoint.FOLD_VERSION, shapes]) == FORM
    assert digest([checkpoint.FOLD_VERSION + 1, shapes]) != FORM
    assert digest([checkpoint.FOLD_VERSION, shapes[1:]]) != FORM
