"""A history walked again: as recorded where nothing changed, and the first difference where something did."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.contract import Retry
from holdfast.core.decide import Room
from holdfast.core.policy import Policy, Rule
from holdfast.core.replay import Walk, is_ruled, replay
from holdfast.core.state import State
from tests.core.story import Story, step, tool
from tests.histories.recorder import Recorder

PAY = tool("t", "keyed", key_ttl_seconds=600.0, retry=Retry(attempts_max=3, backoff_seconds=4.0, jitter=0.0))
WIRE = tool("wire", "irreversible")


def recorded(*, records: int = 1) -> Recorder:
    """A call that fails once, is tried again and succeeds, one that a person is asked about, and a crash."""
    told = Recorder("r", [step("a"), step("b", "wire", after=("a",))], PAY, WIRE, start={"records": records})
    told.decide()
    told.fail("a").decide()
    told.decide(after=4.0)
    told.wait(1.0).succeed("a", 1).decide()
    told.wait(5.0).answer("approve").decide()
    told.crash(after=30.0).decide()
    told.wait(1.0).answer("respond", "by hand").decide()
    assert told.ended == "completed"
    return told


def walked(told: Recorder, **forged: Any) -> Walk:
    """The replay of a story, with some of its events put in place of what was recorded (by name of the kind)."""
    batches = []
    for batch in told.batches:
        events = [replace(entry.event, **forged.get(type(entry.event).__name__, {})) for entry in batch]
        batches.append(
            [e.Entry(entry.sequence, entry.at, entry.fence, event) for entry, event in zip(batch, events, strict=True)]
        )
    return replay(batches)


def as_started(told: Story) -> list[list[e.Entry]]:
    """The batches of a story whose plan is there from the beginning: its first three entries are its first batch."""
    assert isinstance(told, Recorder)
    return told.batches


def test_what_was_ruled_is_ruled_again() -> None:
    """Every ruling is compared, and the state is what the record says."""
    told = recorded()
    walk = walked(told)
    assert walk.divergences == [] and walk.supposed == 0
    assert walk.state == told.run
    assert (walk.entries, walk.batches) == (len(told.entries), len(told.batches))
    assert walk.rulings == sum(is_ruled(entry.event) for entry in told.entries) - 1, "all but what the story began with"


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("RetryRuled", {"due_at": 1_000_003.0}),
        ("RecoveryRuled", {"row": "probe-none"}),
        ("CallIntended", {"key": "hf-other"}),
        ("Asked", {"expires_at": 1.0}),
        ("RunCompleted", {"result": "another"}),
    ],
)
def test_the_first_ruling_that_differs_is_named_with_both_sides(kind: str, changes: dict[str, Any]) -> None:
    """With its entry, its commit and its time."""
    told = recorded()
    found = walked(told, **{kind: changes}).divergences[0]
    first = next(entry for entry in told.entries[3:] if type(entry.event).__name__ == kind)
    assert (found.sequence, found.at) == (first.sequence, first.at)
    assert found.ruled == first.event and found.recorded == replace(first.event, **changes)
    assert found.before.version == found.batch - 1 + sum(
        not is_ruled(entry.event) for entry in told.entries if found.batch <= entry.sequence < found.sequence
    )


def test_a_ruling_that_is_missing_is_seen() -> None:
    """Where the record says less than is ruled."""
    told = recorded()
    batches = [list(batch) for batch in told.batches]
    at = next(number for number, batch in enumerate(batches) if isinstance(batch[-1].event, e.RetryRuled))
    dropped = batches[at].pop()
    walk = Walk()
    for batch in batches[: at + 1]:
        walk.feed(batch)
    walk.end()
    (found,) = walk.divergences
    assert found.sequence == dropped.sequence and found.recorded is None and found.ruled == dropped.event


def test_a_ruling_that_nobody_makes_is_seen() -> None:
    """Where the record says more."""
    told = recorded()
    last = told.batches[2][-1]
    more = e.Entry(last.sequence + 1, last.at, last.fence, e.StepSkipped(step="b", reason="tired"))
    walk = Walk()
    for batch in (*told.batches[:2], [*told.batches[2], more]):
        walk.feed(batch)
    walk.end()
    (found,) = walk.divergences
    assert found.sequence == more.sequence and found.ruled is None and found.recorded == more.event


def test_one_commit_that_differs_does_not_make_the_next_ones_differ() -> None:
    """Each is judged from the state that the record gives."""
    assert len(walked(recorded(), RetryRuled={"reason": "just so"}).divergences) == 1


def test_what_the_store_had_no_room_for_is_read_off_the_record() -> None:
    """Less is begun than could be; and with another room than is written, the ruling differs."""
    steps = [step("a", args={"n": 1}), step("b", args={"n": 2})]
    told = Recorder("r", steps, replace(PAY, parallel_max=1), start={"records": 1})
    told.tell(e.RoomRefused(free={"t": 1}))
    told.decide(room=Room(free={"t": 1}))
    assert told.events(e.CallIntended)[0].step == "a" and len(told.events(e.CallIntended)) == 1
    assert walked(told).divergences == []
    found = walked(told, RoomRefused={"free": {}}).divergences[0]
    assert isinstance(found.ruled, e.CallIntended) and found.recorded is None


def test_a_ruling_that_was_deferred_is_not_missing() -> None:
    """A worker that stops writes down what came back, and rules nothing; without its word that would be a difference."""
    told = recorded_until_success()
    told.tell(e.RulingDeferred(why="stopping")).cut()
    assert walked(told).divergences == []
    bare = recorded_until_success()
    bare.cut()
    (found,) = walked(bare).divergences
    assert found.recorded is None and isinstance(found.ruled, e.Asked)


def recorded_until_success(*, records: int = 1) -> Recorder:
    """A call has come back, and nothing was made of it yet."""
    told = Recorder("r", [step("a"), step("b", "wire", after=("a",))], PAY, WIRE, start={"records": records})
    told.decide()
    told.wait(1.0).succeed("a", 1)
    return told


def test_what_an_older_release_did_not_write_down_is_supposed_and_counted() -> None:
    """That a worker stopped, or that there was no room; but no more than that."""
    stopped = recorded_until_success(records=0)
    stopped.cut()
    assert (walked(stopped).divergences, walked(stopped).supposed) == ([], 1)
    crowded = Recorder("r", [step("a", args={"n": 1}), step("b", args={"n": 2})], replace(PAY, parallel_max=1))
    crowded.decide(room=Room(free={"t": 1}))
    assert (walked(crowded).divergences, walked(crowded).supposed) == ([], 1)
    assert walked(recorded(records=0), RetryRuled={"due_at": 1.0}).divergences


def test_a_fork_may_begin_in_the_middle_of_a_commit() -> None:
    """Its source was going on to say more; what the fork rules then is compared as ever."""
    source = recorded()
    at = next(entry.sequence for entry in source.entries if isinstance(entry.event, e.CallSucceeded))
    told = source.fork(at)
    assert isinstance(told, Recorder)
    told.batches = [[entry for entry in batch if entry.sequence <= at] for batch in source.batches if batch[0].sequence <= at]
    told.cut()
    told.decide()
    assert walked(told).divergences == []
    assert walked(told).state == told.run
    assert walked(told, Asked={"question": "?"}).divergences[0].sequence > at


def test_another_policy_shows_the_first_ruling_that_would_be_another() -> None:
    """Digests differ from the start wherever anything does, and are no difference."""
    told = Recorder("r", [step("a", args={"n": 1}), step("b", args={"n": 9}, after=("a",))], PAY, start={"records": 1})
    told.decide()
    told.succeed("a").decide()
    policy = Policy(name="p", rules=(Rule(name="much", when="args.n > 5"),))

    def instead(state: State) -> State:
        return replace(state, policy=policy)

    (found,) = replay(as_started(told), instead).divergences
    assert isinstance(found.recorded, e.CallIntended) and found.recorded.step == "b"
    assert isinstance(found.ruled, e.Asked) and found.ruled.step == "b"
    assert replay(as_started(recorded()), lambda state: replace(state, policy=None)).divergences == []


def test_nothing_is_walked_where_there_is_nothing() -> None:
    """An empty history agrees with everything."""
    walk = replay([])
    assert (walk.state, walk.entries, walk.divergences) == (None, 0, [])
