"""Event ⇄ bytes: round trips, contents stored once, old and newer shapes, the chain, redaction."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.policy import Policy, Rule, Ruling
from holdfast.core.values import REDACTED
from holdfast.errors import JournalCorrupt, JournalTooNew
from holdfast.journal import codec
from holdfast.journal.codec import LARGE_BYTES, blob_digest, decode, encode, entries, link, redact
from tests import strategies as s

LARGE = "x" * LARGE_BYTES


def nothing(digest: str) -> bytes:
    """The contents of a store that has none."""
    raise AssertionError(digest)


def there_and_back(*events: e.AnyEvent) -> tuple[Any, ...]:
    """The events as they are read from what was written."""
    body, blobs = encode(events)
    return decode(body, blobs.__getitem__)


def succeeded(value: Any) -> e.CallSucceeded:
    """An event with a value of the user's in it."""
    return e.CallSucceeded(step="a", attempt=1, value=value)


def planned(args: dict[str, Any]) -> e.PlanAdopted:
    """A plan with arguments of the user's in it."""
    return e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(Step(id="a", tool="t", args=args),)))


# --- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", s.EVENTS)
@given(data=st.data())
def test_every_event_reads_back_as_it_was(kind: type[e.Event], data: st.DataObject) -> None:
    """Each class, in batches, whatever values are in it."""
    batch = data.draw(st.lists(s.EVENTS[kind], min_size=1, max_size=2))
    assert there_and_back(*batch) == tuple(batch)


MARKS = st.sampled_from(["$blob", "$$blob", "$$$blob", "$blob$", "$$blob$", "x$blob", "blob", "$", "a"])
tricky = st.recursive(
    st.none() | st.sampled_from([LARGE, "small", blob_digest(b"1")]) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MARKS, inner, max_size=3),
    max_leaves=8,
)


@given(tricky)
@example({"$blob": "0" * 64})
@example({"$blob": {"$blob": LARGE}})
@example([{"$$blob$": LARGE}])
@example({"$$blob": [LARGE, {"$blob": 1}]})
def test_values_that_look_like_marks_of_the_journal_are_values(value: Any) -> None:
    """Small or large, in a result or in a plan that is stored by content."""
    assert there_and_back(succeeded(value)) == (succeeded(value),)
    assert there_and_back(planned({"x": value})) == (planned({"x": value}),)


def test_a_small_batch_is_one_array_of_events() -> None:
    """Nothing is stored beside it, and anybody can read it."""
    body, blobs = encode([e.RunResumed(worker="w"), e.CallIntended(step="a", attempt=1, tool="t", key="k")])
    assert blobs == {}
    assert json.loads(body) == [
        {"event": "run_resumed", "worker": "w"},
        {"event": "call_intended", "step": "a", "attempt": 1, "tool": "t", "key": "k"},
    ]


# --- contents ---------------------------------------------------------------------------------------------------------


def test_what_many_runs_share_is_stored_by_content_however_small() -> None:
    """Contracts and plans: the same in each run, so the same digest."""
    contracts = (Contract(tool="t"),)
    one = e.RunStarted(run_id="r1", agent="a", goal=Goal(), contracts=contracts)
    other = e.RunStarted(run_id="r2", agent="a", goal=Goal(), contracts=contracts)
    assert encode([one])[1] == encode([other])[1] == encode([e.AgentChanged(differences=(), contracts=contracts)])[1]
    assert len(encode([planned({"x": 1}), planned({"x": 1})])[1]) == 1
    assert encode([planned({"x": 1})])[1] != encode([planned({"x": 2})])[1]


def test_a_policy_is_stored_once_for_all_runs_that_go_by_it() -> None:
    """At the start and where it changes, however small it is; each version of it is another content, and none is none."""
    policy = Policy(name="refunds", rules=(Rule(name="large", when="amount > 500"),))
    starts = [
        e.RunStarted(run_id=run_id, agent="a", goal=Goal(), contracts=(Contract(tool="t"),), policy=policy)
        for run_id in ("r1", "r2")
    ]
    first, contents = encode([starts[0]])
    assert len(contents) == 2, "of its contracts, and of its policy"
    assert encode([starts[1]])[1] == contents
    changed, same = encode([e.PolicyChanged(policy=policy)])
    assert same.items() <= contents.items() and len(same) == 1
    assert b"amount > 500" not in first + changed
    assert there_and_back(*starts, e.PolicyChanged(policy=policy)) == (*starts, e.PolicyChanged(policy=policy))
    other = encode([e.PolicyChanged(policy=msgspec.structs.replace(policy, version="2"))])[1]
    assert len(other) == 1 and not other.keys() & contents.keys()
    assert encode([e.PolicyChanged()]) == (b'[{"event":"policy_changed"}]', {})
    assert there_and_back(e.PolicyChanged()) == (e.PolicyChanged(),)


def test_what_a_policy_ruled_stands_among_the_events() -> None:
    """It names its policy by digest, and carries nothing that must be looked up to read it."""
    ruling = Ruling(rule="large", verdict="always", asks=True, policy="refunds@1", digest="d", looked={"amount": 900.0})
    body, contents = encode([e.PolicyRuled(ruling=ruling, step="a", tool="t", call="c")])
    assert contents == {}
    assert json.loads(body)[0]["ruling"]["policy"] == "refunds@1"
    assert decode(body, nothing) == (e.PolicyRuled(ruling=ruling, step="a", tool="t", call="c"),)


def test_a_policy_that_looks_like_a_mark_of_the_journal_reads_back() -> None:
    """Its conditions are text of the user's."""
    event = e.PolicyChanged(policy=Policy(name="$blob", rules=(Rule(name="$blob", when="args.\"$blob\" == '$$blob'"),)))
    assert there_and_back(event) == (event,)


def test_a_large_value_is_stored_once_wherever_it_stands() -> None:
    """The batches that carry it stay small."""
    value = {"pages": [LARGE, LARGE + "2"], "note": "short"}
    first, once = encode([succeeded(LARGE)])
    second, twice = encode([succeeded(value), succeeded([LARGE, 5])])
    assert len(once) == 1
    assert set(once) <= set(encode([e.CallIntended(step="b", attempt=1, tool="t", key="k", args={"x": LARGE})])[1])
    assert len(first) < 300
    assert len(second) < 600
    assert all(blob_digest(content) == digest for digest, content in {**once, **twice}.items())


def test_a_value_of_many_small_parts_is_stored_as_one() -> None:
    """Not torn into thousands of contents."""
    rows = [{"n": n, "text": "row"} for n in range(2000)]
    _, blobs = encode([succeeded(rows)])
    assert len(blobs) == 1
    assert there_and_back(succeeded(rows)) == (succeeded(rows),)


@pytest.mark.parametrize("size", [LARGE_BYTES - 200, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 1_000_000])
def test_around_the_bound_nothing_is_lost(size: int) -> None:
    """Inside or beside the batch."""
    assert there_and_back(succeeded("é" * (size // 2))) == (succeeded("é" * (size // 2)),)


def test_a_content_that_was_changed_is_found_out() -> None:
    """Its digest is its name."""
    body, blobs = encode([succeeded(LARGE)])
    (digest,) = blobs
    with pytest.raises(JournalCorrupt, match=f"the stored content {digest[:12]} is not what was written"):
        decode(body, lambda _: b'"other"')


# --- older and newer shapes -------------------------------------------------------------------------------------------


def test_an_older_shape_is_lifted_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each upcast knows one step; what is stored is left as it is."""

    def first(event: dict[str, Any]) -> dict[str, Any]:
        return {"event": "worker_came_v2", "name": event["who"]}

    def second(event: dict[str, Any]) -> dict[str, Any]:
        return {"event": "run_resumed", "worker": event["name"]}

    monkeypatch.setitem(codec.UPCASTS, "worker_came", first)
    monkeypatch.setitem(codec.UPCASTS, "worker_came_v2", second)
    body = b'[{"event":"worker_came","who":"w"},{"event":"run_resumed","worker":"v"}]'
    assert decode(body, nothing) == (e.RunResumed(worker="w"), e.RunResumed(worker="v"))


def test_an_event_of_a_later_release_is_named() -> None:
    """With what to do; it is not damage."""
    with pytest.raises(JournalTooNew, match="mood_changed") as caught:
        decode(b'[{"event":"mood_changed","mood":"good"}]', nothing)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    "body", [b'[{"event":"run_resumed"}]', b'[{"event":"run_resumed","worker":5}]', b"[5]", b'[{"worker":"w"}]', b"{}"]
)
def test_an_event_that_cannot_be_read_is_damage(body: bytes) -> None:
    """Said as such."""
    with pytest.raises(JournalCorrupt, match="cannot be read"):
        decode(body, nothing)


def test_entries_have_their_places() -> None:
    """Numbers from the first on; fence and time of their batch."""
    body, blobs = encode([e.RunResumed(worker="w"), succeeded(1)])
    assert entries(body, 7, 3, 1.5, blobs.__getitem__) == [
        e.Entry(7, 1.5, 3, e.RunResumed(worker="w")),
        e.Entry(8, 1.5, 3, succeeded(1)),
    ]


# --- the chain --------------------------------------------------------------------------------------------------------


def test_a_link_holds_everything_about_its_batch() -> None:
    """Any change breaks it, and all after it."""
    given = (b"before", "r1", 5, 2, 100.25, b"[]")
    changed = [
        (b"other", *given[1:]),
        *((*given[:at], other, *given[at + 1 :]) for at, other in enumerate(["r2", 6, 3, 100.26, b"[1]"], 1)),
    ]
    links = {link(*case) for case in [given, *changed]}  # type: ignore[arg-type]
    assert len(links) == 7
    assert all(len(found) == 32 for found in links)


def test_a_link_is_the_same_in_every_release() -> None:
    """Old chains hold for ever."""
    assert link(b"", "r1", 1, 1, 1700000000.125, b'[{"event":"run_resumed","worker":"w"}]').hex() == (
        "9c048b73e1100ca38a60f0cfdb0aa34f89e30052bc8c959d0215a3e553af77d5"
    )


def test_times_read_back_link_the_same() -> None:
    """A time goes through a column of floats."""
    at = 1795183000.123
    assert link(b"", "r", 1, 1, at, b"x") == link(b"", "r", 1, 1, float(repr(at)), b"x")


# --- redaction --------------------------------------------------------------------------------------------------------

NAMES = frozenset({"password", "pin"})


def test_what_stands_under_a_secrets_name_is_replaced_wherever_it_is() -> None:
    """Whole, whatever it is; everything else is left alone."""
    value = {"a": 1, "password": {"deep": 1}, "list": [{"pin": 5}, [{"pin": None}]], "Password": "kept", "note": "pin"}
    assert redact(value, NAMES) == {
        "a": 1, "password": REDACTED, "list": [{"pin": REDACTED}, [{"pin": REDACTED}]], "Password": "kept", "note": "pin",
    }  # fmt: skip


@given(s.json_values)
def test_where_there_is_nothing_to_redact_nothing_is_copied(value: Any) -> None:
    """The very same object comes back."""
    assert redact(value, frozenset({"never there"})) is value
    assert redact(value, frozenset()) is value


@given(s.json_values)
def test_redacting_twice_is_redacting_once(value: Any) -> None:
    """And what is left can be written."""
    once = redact({"password": value, "rest": [value]}, NAMES)
    assert redact(once, NAMES) == once
    assert once["password"] == REDACTED
    msgspec.json.encode(once)
