"""What a run leaves behind, and which of several memories of a name is in force."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpds import HashTrieMap

from holdfast.core.events import BY_A_PERSON, Failure
from holdfast.core.facts import Fact
from holdfast.core.memory import (
    LASTING_SECONDS,
    LESSON_CHARS_MAX,
    LESSONS_MAX,
    MEMORIES_MAX,
    PASSING_SECONDS,
    VALUE_BYTES_MAX,
    WORDS_MAX,
    Memory,
    believed,
    corrected,
    in_force,
    is_outdated,
    is_secret,
    learned,
    line_of,
    memory_id,
    query_words,
    words_of,
)
from holdfast.core.plan import Fallback, Goal, Step
from holdfast.core.state import State, StepState
from holdfast.core.thinking import Thinking
from holdfast.core.values import REDACTED, SECRET_NAMES

NOW = 1_700_000_000.0
DAY = 86_400.0


def ended(*facts: Fact, steps: tuple[StepState, ...] = (), **of: Any) -> State:
    """A run that has ended, with what it believes."""
    values = {"thread": "ann", "thinking": Thinking(models={}, routes={}, recall=5), "tenant": "acme", **of}
    return State(
        run_id="r", agent="clerk", goal=Goal(), facts={fact.name: fact for fact in facts},
        order=tuple(step.step.id for step in steps), steps=HashTrieMap({step.step.id: step for step in steps}), **values,
    )  # fmt: skip


def fact(name: str, value: Any = "x", **of: Any) -> Fact:
    """Something that a run believes."""
    return Fact(**{"name": name, "value": value, "source": "observed", "at": NOW - DAY, **of})


def remembered(*facts: Fact, **of: Any) -> dict[str, Memory]:
    """What is left of these, by name."""
    return {memory.name: memory for memory in learned(ended(*facts, **of), NOW)}


def memory(name: str = "city", value: Any = "Oslo", at: float = NOW, **of: Any) -> Memory:
    """One of a line."""
    return Memory(id=f"m-{at}-{value}", tenant="", thread="ann", name=name, value=value, at=at, line="l", run_id="r", **of)


# --- what a run learned -----------------------------------------------------------------------------------------------


def test_a_fact_is_remembered_with_where_it_comes_from_and_how_long_it_holds() -> None:
    """Whose it is, the run, the step, the time; what it was inferred from."""
    seen = fact("seat", {"row": 12}, by="step look", rests_on=("steps.look", "flight"), ttl_seconds=2 * DAY)
    (found,) = learned(ended(seen), NOW)
    assert found == Memory(
        id=memory_id("r", "fact", "seat"), tenant="acme", thread="ann", kind="fact", name="seat", value={"row": 12},
        text="seat row 12", agent="clerk", source="observed", by="step look", confidence=1.0, run_id="r", step="look",
        at=NOW - DAY, valid_until=NOW + DAY, rests_on=("flight",), line=line_of("acme", "ann", "fact", "seat"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "without",
    [{"thread": ""}, {"thinking": None}, {"thinking": Thinking(models={}, routes={})}],
    ids=["thread", "model", "recall"],
)
def test_only_a_run_of_a_thread_with_a_memory_leaves_something(without: dict[str, Any]) -> None:
    """No thread, no model, or none asked for: nothing."""
    assert remembered(fact("a"), **without) == {}


def test_what_is_not_believed_or_was_only_recalled_is_not_remembered() -> None:
    """Expired, stale, and what came out of the memory itself; that goes nowhere but where it was."""
    facts = (
        fact("over", ttl_seconds=DAY), fact("stale", stale=True), fact("recalled", source="remembered"),
        fact("lesson:x:y", "a note that looks like a lesson"), fact("kept"),
    )  # fmt: skip
    assert set(remembered(*facts)) == {"kept"}


def test_a_guess_is_remembered_as_one_and_one_that_a_person_confirmed_as_said() -> None:
    """With its confidence; also what was recalled and then confirmed."""
    found = remembered(
        fact("guess", source="inferred", confidence=0.4, by="model", basis="the calendar"),
        fact("sure", source="inferred", confidence=0.4, confirmed_by="ann"),
        fact("again", source="remembered", confirmed_by="ann"),
        fact("right", source="told", by="bob", pinned=True),
    )
    assert (found["guess"].source, found["guess"].confidence, found["guess"].by) == ("inferred", 0.4, "model")
    assert "calendar" in found["guess"].text
    assert [(found[name].source, found[name].confidence, found[name].by) for name in ("sure", "again")] == [
        ("told", 1.0, "ann")
    ] * 2
    assert (found["right"].source, found["right"].corrected_by) == ("told", "bob")
    assert found["guess"].corrected_by == ""


def test_a_preference_is_told_by_its_name() -> None:
    """And comes first where there is no room for all."""
    many = [fact(f"f{number}", at=NOW - number) for number in range(MEMORIES_MAX + 10)]
    found = learned(ended(*many, fact("preference:seat", "window", source="inferred"), fact("said", source="told")), NOW)
    assert len(found) == MEMORIES_MAX
    assert [(one.name, one.kind) for one in found[:3]] == [("preference:seat", "preference"), ("said", "fact"), ("f0", "fact")]
    assert found[-1].name == f"f{MEMORIES_MAX - 3}", "of equals, the oldest are left out"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "x"), ("preference:api_key", "x"), ("githubApiKey", "x"), ("their access_token now", "x"),
        ("login", {"user": "ann", "password": "x"}), ("login", {"deep": [{"secret": 1}]}), ("login", {"word": REDACTED}),
        ("note", REDACTED), ("pin", "1234"),
    ],
)  # fmt: skip
def test_secrets_are_never_remembered(name: str, value: Any) -> None:
    """By their own name, a name that holds one, a part of the value, or because the value was not written down."""
    assert remembered(fact(name, value), secrets=("pin",)) == {}
    assert is_secret(name, value, SECRET_NAMES | {"pin"})


def test_a_name_that_is_only_like_a_secret_is_none() -> None:
    """Words count, not letters."""
    assert set(remembered(fact("secretary"), fact("pinned_seat"), secrets=("pin",))) == {"secretary", "pinned_seat"}


def test_what_is_too_large_is_not_remembered() -> None:
    """A part of it would be something else."""
    assert set(remembered(fact("big", "x" * VALUE_BYTES_MAX), fact("fits", "x" * (VALUE_BYTES_MAX - 2)))) == {"fits"}


# --- lessons ----------------------------------------------------------------------------------------------------------


def failed(name: str, tool: str, kind: Any, message: str = "", **of: Any) -> StepState:
    """A step that was given up."""
    values = {"phase": "failed", "failure": Failure(kind=kind, message=message), **of}
    return StepState(step=Step(id=name, tool=tool), tool=tool, **values)


def test_what_failed_for_good_is_a_lesson_once_for_each_tool_and_class() -> None:
    """The last one is told, for as long as such a thing is likely to be so."""
    steps = (
        failed("a", "fly", "unavailable", "503"),
        failed("b", "fly", "unavailable", "503\n again  " + "x" * 1000, phase="skipped"),
        failed("c", "fly", "not_found", "no such airport: NYX"),
        failed("d", "pay", "denied", "too dear", failure=Failure(kind="denied", message="too dear", detail=BY_A_PERSON)),
        failed("e", "look", "transient", phase="done", failure=None),
        failed("f", "look", "transient", phase="skipped", failure=None),
    )
    found = remembered(steps=steps)
    assert set(found) == {"lesson:fly:unavailable", "lesson:fly:not_found"}
    outage, wrong = found["lesson:fly:unavailable"], found["lesson:fly:not_found"]
    assert outage.value == "fly failed for good: unavailable, 503 again " + "x" * (LESSON_CHARS_MAX - 10) + "…"
    assert (outage.kind, outage.step, outage.at, outage.valid_until) == ("lesson", "b", NOW, NOW + PASSING_SECONDS)
    assert (wrong.value, wrong.valid_until) == ("fly failed for good: not_found, no such airport: NYX", NOW + LASTING_SECONDS)
    assert "nyx" in wrong.text.split()


def test_a_tool_that_another_one_had_to_stand_in_for_is_a_lesson() -> None:
    """Though the step was done."""
    step = Step(id="a", tool="fly", fallbacks=(Fallback(tool="train"),))
    found = remembered(steps=(StepState(step=step, phase="done", tool="train", fallbacks_taken=1),))
    assert found["lesson:fly:fallback"].value == "fly did not work, train did instead"


def test_lessons_have_a_limit() -> None:
    """And leave room for facts."""
    found = learned(ended(fact("a"), steps=tuple(failed(f"s{n}", f"t{n}", "crashed") for n in range(LESSONS_MAX + 5))), NOW)
    assert len(found) == LESSONS_MAX + 1


# --- what a run is told -----------------------------------------------------------------------------------------------


def test_a_memory_is_believed_as_old_and_as_sure_as_it_is() -> None:
    """With the run that it comes from, and what it was there."""
    one = memory(at=NOW - DAY, source="inferred", by="model", confidence=0.4, valid_until=NOW + DAY, step="guess")
    assert believed(one, NOW) == Fact(
        name="city", value="Oslo", source="remembered", by="run r", at=NOW - DAY, ttl_seconds=2 * DAY, confidence=0.4,
        basis="inferred by model in run r, step guess",
    )  # fmt: skip
    assert believed(one, NOW).is_fresh(NOW)
    assert not believed(one, NOW).is_fresh(NOW + DAY)


def test_an_expired_memory_is_shown_as_stale() -> None:
    """From that very moment on; also one that was declared to be over before it began."""
    for until in (NOW, NOW - 2 * DAY):
        told = believed(memory(at=NOW - DAY, valid_until=until), NOW)
        assert (told.stale, told.is_fresh(NOW)) == (True, False)


def test_what_a_person_put_right_is_pinned() -> None:
    """So that no guess of the run changes it."""
    right = corrected(memory(), "Bergen", "ann", NOW + 9)
    told = believed(right, NOW + DAY)
    assert (told.value, told.pinned, told.by, told.ttl_seconds) == ("Bergen", True, "run r, corrected by ann", None)
    assert not believed(memory(), NOW).pinned


# --- which one is in force --------------------------------------------------------------------------------------------


def stands(*line: Memory) -> Any:
    """The value in force, however they came; and that all others say who took over."""
    found = (
        {tuple(in_force(order)) for order in map(list, itertools.permutations(line))}
        if len(line) < 6
        else {tuple(in_force(line))}
    )
    (settled,) = found
    (one,) = (memory for memory in settled if not memory.superseded_by)
    ids = {memory.id for memory in settled}
    assert all(memory.superseded_by in ids for memory in settled if memory is not one)
    return one.value


@pytest.mark.parametrize(
    ("older", "newer", "wins"),
    [
        ("told", "told", "newer"), ("told", "observed", "newer"), ("told", "inferred", "older"),
        ("observed", "told", "newer"), ("observed", "observed", "newer"), ("observed", "inferred", "older"),
        ("inferred", "told", "newer"), ("inferred", "observed", "newer"), ("inferred", "inferred", "newer"),
    ],
)  # fmt: skip
def test_who_takes_over_from_whom(older: Any, newer: Any, wins: str) -> None:
    """By what it is and when it was so; in whatever order they were written."""
    assert stands(memory(value="older", at=NOW, source=older), memory(value="newer", at=NOW + 1, source=newer)) == wins


def test_of_two_at_the_same_moment_the_person_is_believed() -> None:
    """And of two guesses the surer one."""
    assert stands(memory(value=1, source="told"), memory(value=2, source="observed"), memory(value=3, source="inferred")) == 1
    assert stands(*(memory(value=n, source="inferred", confidence=n / 9) for n in (2, 7, 5))) == 7


def test_what_a_person_prefers_is_theirs_to_say() -> None:
    """What they were seen to do does not change it; what they say does."""
    said, seen = memory("preference:seat", "window", source="told", kind="preference"), "aisle"
    assert stands(said, memory("preference:seat", seen, NOW + 1, source="observed", kind="preference")) == "window"
    assert stands(said, memory("preference:seat", seen, NOW + 1, source="told", kind="preference")) == "aisle"


def test_a_guess_takes_over_from_what_has_expired_only() -> None:
    """And never from what a person put right."""
    seen = memory(value="seen", source="observed", valid_until=NOW + 5)
    assert stands(seen, memory(value="guess", at=NOW + 4, source="inferred")) == "seen"
    assert stands(seen, memory(value="guess", at=NOW + 5, source="inferred")) == "guess"
    right = msgspec.structs.replace(corrected(seen, "right", "ann", NOW + 1), valid_until=NOW + 2)
    assert stands(seen, right, memory(value="guess", at=NOW + 9, source="inferred")) == "right"


def test_a_value_that_a_person_refused_is_guessed_no_more() -> None:
    """Until somebody says it, or sees it."""
    wrong = memory(value="wrong")
    right = corrected(wrong, "right", "ann", NOW + 1)
    seen = memory(value="seen", at=NOW + 2, valid_until=NOW + 3)
    again, other = (memory(value=value, at=NOW + 4, source="inferred") for value in ("wrong", "other"))
    assert stands(wrong, right, seen, again) == "seen"
    assert stands(wrong, right, seen, other) == "other"
    assert stands(wrong, right, seen, memory(value="wrong", at=NOW + 4)) == "wrong"
    said = memory(value="wrong", at=NOW + 4, source="told", valid_until=NOW + 5)
    assert stands(wrong, right, said, memory(value="wrong", at=NOW + 6, source="inferred")) == "wrong"


MEMORIES = st.lists(
    st.builds(
        lambda at, value, source, until, by: memory(
            value=value, at=at, source="told" if by else source, valid_until=until, corrected_by=by
        ),
        st.integers(0, 6).map(float), st.sampled_from("abc"), st.sampled_from(["told", "observed", "inferred"]),
        st.none() | st.integers(1, 7).map(float), st.sampled_from(["", "", "ann"]),
    ),
    min_size=1, max_size=8, unique_by=lambda memory: memory.id,
)  # fmt: skip


@given(MEMORIES, st.randoms())
def test_which_one_is_in_force_does_not_depend_on_the_order_of_writing(line: list[Memory], random: Any) -> None:
    """Settling what was settled in part gives the same."""
    whole = in_force(line)
    mixed = list(line)
    random.shuffle(mixed)
    settled: list[Memory] = []
    for one in mixed:
        settled = in_force([*settled, one])
    assert settled == whole
    assert sum(one.holds for one in whole) == 1


@given(MEMORIES)
def test_a_guess_is_never_in_force_over_a_person_who_put_it_right(line: list[Memory]) -> None:
    """Whatever else is known."""
    one = next(memory for memory in in_force(line) if memory.holds)
    latest = max((memory.at for memory in line if memory.corrected_by), default=None)
    if one.source == "inferred" and latest is not None:
        # Something newer than the correction was seen or said, and has expired.
        assert any(memory.at >= latest and not memory.corrected_by and memory.source != "inferred" for memory in line)


def test_a_guess_is_outdated_where_what_it_rests_on_was_changed() -> None:
    """By another run, or by a person; not what was found later, nor what was seen."""
    new = memory(value="Bergen", at=NOW + 9)
    guess = msgspec.structs.replace(memory("airport", "OSL", source="inferred", rests_on=("city",)), run_id="other")
    assert is_outdated(guess, new)
    assert not is_outdated(msgspec.structs.replace(guess, source="observed"), new)
    assert not is_outdated(msgspec.structs.replace(guess, at=NOW + 10), new)
    assert not is_outdated(msgspec.structs.replace(guess, run_id="r"), new)
    assert is_outdated(msgspec.structs.replace(guess, run_id="r"), corrected(new, "Bodø", "ann", NOW + 9))
    assert not is_outdated(msgspec.structs.replace(guess, valid_until=NOW), new)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("departureCity", "Zürich"), "departure city zurich"),
        (("home_city", {"name": "New York", "zip": [10001, None, True, 2.5]}), "home city name new york zip 10001 2 5"),
        (("서울",), "서울"),
        (("駅弁", "Straße"), "駅 弁 straße"),
        (("a-b/c:d 'e' \"f\"", "💥"), "a b c d e f"),
        (("city", "city City"), "city"),
        (("", None, [], {}), ""),
    ],
)
def test_the_words_of_a_memory(parts: tuple[Any, ...], words: str) -> None:
    """Those of its name, apart, and of all that is in its value; small and without accents."""
    assert words_of(*parts) == words


@given(st.text())
def test_the_words_of_any_text_are_words(text: str) -> None:
    """What asks for them finds them, and they are bounded."""
    words = words_of(text * 50)
    assert len(words) <= WORDS_MAX
    assert words_of(words) == words
    assert set(query_words(text)) <= set(words_of(text).split())
