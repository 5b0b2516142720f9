"""A model reads on in a result that it was shown in part: pieces, queries, and values that no document can hold."""

from __future__ import annotations

import msgspec
import pytest

from holdfast.core.commands import CallTool
from holdfast.core.contract import Contract
from holdfast.core.events import AnyEvent, CallFailed, CallSucceeded, Cut
from holdfast.core.plan import Goal, Step
from holdfast.core.state import State, StepState
from holdfast.errors import JournalUnavailable
from holdfast.journal.base import Journal
from holdfast.journal.codec import blob_digest
from holdfast.runner.reading import READ_MAX, read_on
from holdfast.testing.memory import MemoryJournal

CONTRACT = Contract(tool="read_more", safety="read")


class Kept(MemoryJournal):
    """A store that keeps one large value, or cannot be reached."""

    def __init__(self, value: object = None, *, broken: bool = False):
        super().__init__()
        self.whole, self.broken = msgspec.json.encode(value), broken

    async def content(self, digest: str) -> bytes | None:
        if self.broken:
            raise JournalUnavailable("the disk is gone")
        return self.whole if digest == blob_digest(self.whole) else None


def state(value: object, cut: Cut | None = None, phase: str = "done") -> State:
    """A run with one step `s` and its result."""
    step = StepState(step=Step(id="s", tool="t"), phase=phase, value=value, cut=cut)  # type: ignore[arg-type]
    made = State(run_id="r", agent="a", goal=Goal(text=""))
    return msgspec.structs.replace(made, steps=made.steps.insert("s", step), order=("s",))


async def read(state: State, journal: Journal | None = None, **args: object) -> AnyEvent:
    """What a call of read_more comes to."""
    command = CallTool(
        step="read_more_1", attempt=1, tool="read_more", args={"step": "s", **args}, key="k", occurrence=1, timeout_seconds=5.0,
        contract=CONTRACT,
    )  # fmt: skip
    return await read_on(command, state, journal or MemoryJournal())


async def value_of(*given: object, **args: object) -> dict[str, object]:
    found = await read(*given, **args)  # type: ignore[arg-type]
    assert isinstance(found, CallSucceeded), found
    return found.value


async def test_a_text_is_read_in_pieces_until_its_end() -> None:
    """Each piece says where the next one begins, and together they are the text."""
    text = "".join(map(str, range(5_000)))
    pieces, offset, more = "", 0, True
    while more:
        found = await value_of(state(text), offset=offset)
        assert (found["offset"], found["characters"]) == (offset, len(text))
        piece = str(found["text"])
        assert 0 < len(piece) <= READ_MAX
        pieces, offset, more = pieces + piece, offset + len(piece), bool(found["more"])
    assert pieces == text


async def test_a_result_that_was_cut_is_read_whole_from_the_store() -> None:
    """The state holds a part; what is read is what the store keeps."""
    whole = {"rows": list(range(10_000))}
    journal = Kept(whole)
    cut = Cut(bytes=len(journal.whole), digest=blob_digest(journal.whole))
    found = await value_of(state({"rows": [0, 1, "…"]}, cut), journal, query="rows[9999]")
    assert found == {"text": "9999", "offset": 0, "characters": 4, "more": False}
    found = await value_of(state({"rows": []}, cut), journal, offset=40_000)
    assert found["characters"] == len(journal.whole)


@pytest.mark.parametrize(
    ("value", "query", "text"),
    [
        ({"a": {"b": "ö"}}, "a.b", "ö"),
        ({"a": 1}, "missing", "null"),
        (None, "", "null"),
        ("", "", ""),
        ({"a": [1, 2]}, "a", "[1,2]"),
        ([{"n": 1}, {"n": 2}], "[?n>`1`].n", "[2]"),
        (1.5, "", "1.5"),
    ],
)
async def test_what_a_query_finds_is_text(value: object, query: str, text: str) -> None:
    """A text as it is, anything else as JSON."""
    assert (await value_of(state(value), query=query))["text"] == text


@pytest.mark.parametrize(
    ("args", "kind", "said"),
    [
        ({"step": "x"}, "not_found", "there is no step x"),
        ({"offset": -1}, "invalid_input", "offset"),
        ({"offset": "1"}, "invalid_input", "offset"),
        ({"offset": True}, "invalid_input", "offset"),
        ({"query": "a..b"}, "invalid_input", "query"),
        ({"query": "sum(@)"}, "invalid_input", "query"),
        ({"query": "[" * 5_000}, "invalid_input", "query"),
        ({"query": " | ".join(["[@,@]"] * 40)}, "invalid_input", "times as large"),
        ({"query": "join(to_string(@), @)"}, "invalid_input", "times as large"),
        ({"query": "   "}, "invalid_input", "query"),
    ],
)
async def test_what_cannot_be_read_is_said(args: dict[str, object], kind: str, said: str) -> None:
    """The model is told why, and nothing raises."""
    found = await read(state({"a": "b"}), **args)
    assert isinstance(found, CallFailed)
    assert found.failure.kind == kind and said in found.failure.message and len(found.failure.message) <= 2_000


async def test_a_step_that_is_not_done_has_nothing_to_read() -> None:
    """It is there, and has no result."""
    found = await read(state(None, phase="ready"))
    assert isinstance(found, CallFailed) and found.failure.message == "step s has no result"


async def test_a_store_that_is_down_is_asked_again() -> None:
    """What is kept there may be there in a moment."""
    found = await read(state("x", Cut(bytes=9, digest="d")), Kept(broken=True))
    assert isinstance(found, CallFailed) and found.failure.kind == "transient"


async def test_what_the_store_does_not_keep_any_more_is_read_as_far_as_it_is_known() -> None:
    """And says that there is no more of it."""
    found = await value_of(state("the beginning…", Cut(bytes=9_000, digest="gone")), Kept("x"))
    assert found["text"] == "the beginning…"


async def test_an_offset_past_the_end_finds_nothing() -> None:
    """And says that nothing more comes."""
    assert await value_of(state("abc"), offset=10) == {"text": "", "offset": 10, "characters": 3, "more": False}


async def test_a_query_that_makes_something_enormous_is_read_in_pieces_too() -> None:
    """What it found is cut like anything else."""
    found = await value_of(state(["x" * 1_000] * 100), query="join('', @)")
    assert len(str(found["text"])) == READ_MAX and found["characters"] == 100_000 and found["more"] is True
    found = await read(state("x" * 1_000_000), query=f"[{','.join('@' * 200)}]")
    assert isinstance(found, CallFailed) and "too much" in found.failure.message
