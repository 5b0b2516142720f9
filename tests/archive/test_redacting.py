"""What is left out of a copy is gone from it, and what is not stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec import inspect

from holdfast.archive import REDACTED_LABEL, Redaction, fields, import_run, redaction_of
from holdfast.archive.marks import ByName, Everything
from holdfast.archive.redacting import redacted_copy
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.facts import Drift, Fact
from holdfast.core.models import Part, Usage
from holdfast.core.plan import Expect, Fallback, Goal, Plan, Step
from holdfast.core.policy import Check, Ruling
from holdfast.core.thinking import Question
from holdfast.journal import codec
from holdfast.journal.base import Claim, Journal, Release, StoredBatch
from holdfast.journal.retention import mentioned
from tests.archive.kit import call, exported, lines, read, store, written

# No letter of it is one of a digest, which may have any digits by chance.
CANARY = "canary-wxyz"
NESTED = {"deep": [{"note": CANARY, CANARY: 1}], "json": json.dumps({"inner": json.dumps({"pin": CANARY})})}
LARGE = {"rows": [CANARY] * 3000}


def everywhere(value: Any = NESTED, word: str = f"he said {CANARY}!") -> list[tuple[e.AnyEvent, ...]]:
    """Commits that have a value and a text in every place where there may be one."""
    table, question = (
        {"pin": value},
        Question(name="q", text=word, why=word, basis=word, guess=value, options=(value,), has_guess=True),
    )
    failure = e.Failure(kind="conflict", message=word, detail=value)
    step = Step(
        id="a", tool="pay", args={"to": value, "of": {"$ref": "inputs.order", "default": value}, "as": {"$literal": {"$ref": "inputs.canarywxyz"}}},
        fallbacks=(Fallback(tool="pay", args=table),), expect=Expect(that=f"x == '{CANARY}'", args=table),
        abort_when=f"facts.n == '{CANARY}'", ask_when=f"args.to == '{CANARY}'",
    )  # fmt: skip
    fact = Fact(name=f"balance of {CANARY}", value=value, basis=word, by="a")
    plan = Plan(steps=(step,), result=[{"$ref": "steps.a"}, value])
    return [
        (e.GoalInterpreted(turn=1, intent=word, facts=(fact,), missing=(question,)), e.MemoryRecalled(facts=(fact,), failure=word)),
        (e.RecallIntended(query=word, count=3), e.PlanKept(turn=1, reason=word), e.ProposalFailed(turn=1, problems=(word,))),
        (e.ModelAnswered(
            turn=1, model="m:x", usage=Usage(),
            said=(Part(kind="text", text=word, details=value, signature=CANARY), Part(kind="call", tool="pay", args=value, problem=word)),
        ),),
        (e.PlanAdopted(turn=1, revision=1, plan=plan, reason=word), e.CallIntended(step="a", attempt=1, tool="pay", key="k", args=table)),
        (e.CallPartial(
            step="a", attempt=1, value=value, left=(CANARY, "other"), rest=table, handle=CANARY, changes=(e.Change(name="n", note=word),)
        ),),
        (e.ProbeAnswered(step="a", probe=1, verdict="happened", value=value, message=word, left=(CANARY,), failure=failure),),
        (e.CallUnknown(step="a", attempt=1, why=word), e.RetryRuled(step="a", due_at=1.0, reason=f"conflict: {word}")),
        (e.Asked(
            interrupt="i", kind="approval", about="call", question=word, options=(), digest="d", expires_at=9e9, tool="pay", args=table,
            asks=question, ruling=Ruling(rule="r", verdict="always", asks=True, why=word, looked=table), amount=4711.5,
        ),),
        (e.Commented(interrupt="i", by="ann", text=word), e.ChecksAnswered(call="c", answers={"f": Check(holds=True, why=word)})),
        (e.FactsLearned(facts=(fact,), drifts=(Drift(name=fact.name, believed=value, observed=value),), reason=word),),
        (e.FactsInvalidated(facts=(fact.name,), because=word), e.SignalReceived(name="s", value=value, by="x")),
        (e.Instructed(text=word, by="ann"), e.StepDoneByHand(step="b", by="ann", value=value, note=word, args=table)),
        (e.CallSucceeded(step="a", attempt=1, value=LARGE if value is NESTED else value), e.RunCompleted(result=value)),
    ]  # fmt: skip


async def archived(folder: Path, redaction: Redaction, *batches: tuple[e.AnyEvent, ...], **of: Any) -> bytes:
    """The redacted copy of a run with these commits."""
    async with store(folder / "runs.db") as journal:
        kept = msgspec.json.encode({"pin": CANARY, "rest": [CANARY] * 9})
        cut = e.Cut(bytes=len(kept), digest=codec.blob_digest(kept))
        await written(
            journal, "one", (e.ProposalRequested(turn=1, reason="m:x"),), (e.CallSucceeded(step="z", attempt=1, value=None, cut=cut),),
            *batches, contents={cut.digest: kept}, **of,
        )  # fmt: skip
        return await exported(journal, "one", redaction=redaction)


async def test_no_value_and_no_word_is_left_in_a_copy_without_values(tmp_path: Path) -> None:
    """A canary in every place where a value or a text may stand is in none of its bytes; also not in large ones."""
    goal = Goal(text=f"pay {CANARY}", inputs={"order": NESTED})
    archive = await archived(tmp_path, Redaction(values=True, by="ann"), *everywhere(), goal=goal)
    assert b"wxyz" not in archive and b"4711.5" not in archive
    (run,) = read(archive)
    events = [entry.event for batch in run.entries() for entry in batch]
    kinds = [type(event) for event in events]
    assert kinds == [
        e.RunStarted,
        e.ProposalRequested,
        e.CallSucceeded,
        *(type(event) for batch in everywhere() for event in batch),
    ]


async def test_what_is_left_out_keeps_its_type_its_size_and_its_name(tmp_path: Path) -> None:
    """Names, rulings, outcomes, times and what waits for what stay; the same value is the same mark."""
    (run,) = read(await archived(tmp_path, Redaction(values=True), *everywhere([1, "two", None], "abc")))
    events = {type(event): event for batch in run.entries() for event in (entry.event for entry in batch)}
    plan, asked, retry = events[e.PlanAdopted], events[e.Asked], events[e.RetryRuled]
    assert isinstance(plan, e.PlanAdopted)
    (step,) = plan.plan.steps
    assert step.args == {
        "to": {"$redacted": "list #1 of 3"}, "of": {"$ref": "inputs.order", "default": None}, "as": {"$redacted": "table #2 of 1"},
    }  # fmt: skip
    assert isinstance(asked, e.Asked)
    assert (asked.question, asked.args, asked.amount) == (
        "[redacted: text, 3 characters]",
        {"pin": {"$redacted": "list #1 of 3"}},
        None,
    )
    assert isinstance(retry, e.RetryRuled)
    assert retry.reason == "conflict: [redacted: text, 3 characters]"
    learned = events[e.FactsLearned]
    assert isinstance(learned, e.FactsLearned)
    assert [fact.name for fact in learned.facts] == ["balance of {to} #1"]
    assert learned.drifts[0].name == "balance of {to} #1"


async def test_what_stands_under_a_name_is_left_out_wherever_it_stands_and_is_repeated(tmp_path: Path) -> None:
    """In arguments, in JSON inside of JSON, in large values, in a text that says `pin: …`, in a model's words that repeat it, and in
    a label."""
    goal = Goal(
        text="pay", inputs={"pin": CANARY, "of": {"$secret": "x"}, "more": [{"pin": {"a": 47_114_711}}], "other": "stays"}
    )
    batches = everywhere({"pin": CANARY, "number": 47_114_711})
    archive = await archived(tmp_path, Redaction(names=("pin",)), *batches, goal=goal, labels={"pin": CANARY, "team": "a"})
    assert CANARY.encode() not in archive
    assert b"47114711" not in archive
    (run,) = read(archive)
    start = next(run.entries())[0].event
    assert isinstance(start, e.RunStarted)
    left = {"pin": "[redacted]", "of": {"$secret": "x"}, "more": [{"pin": "[redacted]"}], "other": "stays"}
    assert start.goal.inputs == left
    assert run.header.labels["pin"] == "[redacted]"
    assert b"he said [redacted]!" in archive


async def test_a_fact_of_that_name_loses_its_value_and_so_does_whoever_repeats_it(tmp_path: Path) -> None:
    """Also a word from outside of that name, and a question that asks for it."""
    fact = Fact(name="pin", value=CANARY, by="ann")
    question = Question(
        name="pin", text="your pin?", guess=CANARY, has_guess=True, options=(CANARY, "no-wxyz"), answer_schema={"enum": [CANARY]}
    )
    batches = [
        (e.FactsLearned(facts=(fact,), drifts=(Drift(name="pin", believed=CANARY, observed=[CANARY]),)),),
        (e.SignalReceived(name="pin", value={"a": CANARY}), e.QuestionsProposed(turn=1, questions=(question,))),
        (e.Answered(interrupt="i", decision="respond", by="ann", value=CANARY, note=f"it is {CANARY}"),),
    ]
    archive = await archived(tmp_path, Redaction(names=("pin",)), *batches)
    assert b"wxyz" not in archive and b"4711.5" not in archive
    assert b"your pin?" in archive


async def test_the_row_of_a_run_is_redacted_with_it(tmp_path: Path) -> None:
    """What it waits for may be the words of a question."""
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", (e.SignalReceived(name="pin", value=CANARY),))
        row = await journal.row("one")
        assert row is not None
        claim = Claim(run_id="one", agent="shop", fence=row.fence, worker="w", until=9e9)
        await journal.release(claim, Release(status="waiting", due_at=None, waits_for=f"an answer about {CANARY}"))
        for redaction in (Redaction(names=("pin",)), Redaction(values=True)):
            assert b"wxyz" not in await exported(journal, "one", redaction=redaction)
        assert b"wxyz" in await exported(journal, "one")


async def test_a_fork_does_not_tell_the_link_of_its_source(tmp_path: Path) -> None:
    """It is a digest over what was left out, and nothing else in it is unknown."""
    forked = e.RunForked(run_id="one", source="zero", entry=2, link="aa" * 32, agent="shop", contracts=())
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", (e.ProposalRequested(turn=1),))
        batches = await journal.batches("one")
        copy = redacted_copy(
            "one",
            [batches[0], _as_batch(batches[1], forked)],
            {digest: await journal.content(digest) or b"" for digest in await _contents(journal)},
            Redaction(values=True),
        )
    assert b"aaaa" not in copy.batches[1].body
    assert b'"source":"zero"' in copy.batches[1].body


def _as_batch(batch: StoredBatch, event: e.AnyEvent) -> StoredBatch:
    return msgspec.structs.replace(batch, body=msgspec.json.encode([event]))


async def _contents(journal: Journal) -> set[str]:
    return {digest for batch in await journal.batches("one") for digest in mentioned(batch.body)}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"pin": "ab\\"cd", "x": 1}', '{"pin":"[redacted]","x":1}'),
        ('so: {"pin": "ab\\"cd", "x": 1}', 'so: {"pin": "[redacted]", "x": 1}'),
        ("pin=ab-cd; x=1", "pin=[redacted]; x=1"),
        ("the pin : ab-cd, and", "the pin : [redacted], and"),
        ('said {\\"pin\\": \\"ab cd\\"}', 'said {\\"pin\\": \\"[redacted]\\"}'),
        ("spinning: fast", "spinning: fast"),
        ('"{\\"pin\\": 77}"', '"{\\"pin\\":\\"[redacted]\\"}"'),
        ("pin: 7", "pin: [redacted]"),
    ],
)
def test_a_text_that_names_a_value_loses_it(text: str, left: str) -> None:
    """JSON in a text, JSON after words, and words alone."""
    by_name = ByName(frozenset({"pin"}))
    by_name.text(text)
    by_name.settle()
    assert by_name.text(text) == left


def test_short_values_are_looked_for_as_words_and_shorter_ones_not_at_all() -> None:
    """Or `7` would be missing from every date."""
    by_name = ByName(frozenset({"pin"}))
    by_name.value({"pin": ["123", "7", "abcdef", 812.5, "abcdefgh"]})
    by_name.settle()
    assert (
        by_name.text("123 is not 1234; 7; xabcdefx abcdefgh 812.5 pins")
        == "[redacted] is not 1234; 7; x[redacted]x [redacted] [redacted] pins"
    )
    assert by_name.value([812.5, 812, True, {"abcdef": 1}]) == ["[redacted]", 812, True, {"[redacted]": 1}]


def test_a_thousand_values_are_looked_for_at_once() -> None:
    """The pattern shares their beginnings, so that it takes no longer for each."""
    by_name = ByName(frozenset({"mail"}))
    by_name.value([{"mail": f"person-{number}@example.test"} for number in range(3000)])
    by_name.settle()
    assert by_name.text("person-17@example.test, person-2999@example.test.") == "[redacted], [redacted]."
    assert by_name.text("person-3001@example.test") == "person-3001@example.test"


def test_what_only_looks_like_a_mark_is_left_out_too() -> None:
    """A tool may say anything."""
    everything = Everything()
    assert everything.value({"$redacted": CANARY}) == {"$redacted": "table #1 of 1"}
    assert CANARY not in everything.text(f"[redacted: text, {CANARY}]")
    assert CANARY not in everything.text(f"transient: {CANARY}")
    assert CANARY not in json.dumps(everything.form({"a": {"$ref": CANARY}, "b": [{"$ref": f"steps.x[?n=='{CANARY}']"}]}))
    assert everything.form({"b": [{"$ref": f"steps.x[?n=='{CANARY}']"}]})["b"][0] == {"$ref": "steps.x", "default": None}
    mark = everything.value("text")
    assert everything.value(mark) == mark


async def test_a_copy_says_in_its_chain_that_it_is_one(tmp_path: Path) -> None:
    """Nobody takes the mark off without breaking it; whoever replays or forks looks at the labels of the run."""
    archive = await archived(tmp_path, Redaction(names=("pin",), by="ann"))
    (run,) = read(archive)
    assert run.redacted == Redaction(names=("pin",), by="ann")
    assert run.redacted.said == "pin, by ann"
    state = fold([entry for batch in run.entries() for entry in batch][:1])
    assert redaction_of(state.labels) == redaction_of(run.header.labels) == run.redacted
    assert redaction_of({}) is None
    assert redaction_of({REDACTED_LABEL: "whatever"}) == Redaction()
    assert run.header.goal_digest == "", "whoever has it can try what the inputs were"


async def test_a_copy_of_a_copy_lacks_what_either_lacks(tmp_path: Path) -> None:
    """And says so."""
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *call({"pin": "1234"}))
        (first,) = read(await exported(journal, "one", redaction=Redaction(names=("pin",), by="ann")))
    async with store(tmp_path / "other.db") as journal:
        assert await import_run(journal, first)
        (again,) = read(await exported(journal, "one"))
        (second,) = read(await exported(journal, "one", redaction=Redaction(values=True, by="bob")))
    assert again.redacted == first.redacted
    assert again.header.original is None, "the store that it came from is not at hand"
    assert second.redacted == Redaction(names=("pin",), values=True, by="bob")


async def test_links_of_the_store_let_nobody_try_what_was_left_out(tmp_path: Path) -> None:
    """Not one of them stands in the copy as it is."""
    async with store(tmp_path / "runs.db") as journal:
        await written(journal, "one", *everywhere("1234", "w"))
        archive = await exported(journal, "one", redaction=Redaction(values=True))
        links = [batch.link.hex().encode() for batch in await journal.batches("one")]
    assert not [link for link in links if link in archive]
    assert all(b'"original":"' in line for line in lines(archive) if line.startswith(b'{"batch"'))


# --- what stays, on purpose ---------------------------------------------------------------------------------------

# Every text and every value of an event that a copy without values keeps; one that is new is left out until it stands here.
STAYS = """
AnswerVoided by interrupt; Answered by interrupt roles standing; ApprovalGiven by interrupt; Asked calls digest facts
interrupt not_by step tool who; CallDeferred by signal step; CallFailed step; CallHeld step tool; CallIntended key step tool;
CallPartial by signal step; CallRefused same_as step; CallSucceeded step; CallUnknown step; CallbackReceived by key step;
CallbackRefused by step; CancelRequested by; Change name; ChecksAnswered call step; ChecksIntended call checks step;
ChildEnded child partial step; Commented by interrupt; Cut digest; Drift name; Escalated interrupt who; Expect tool; Fact by
confirmed_by name rests_on; FactsInvalidated dropped facts outdated; FactsLearned step; Fallback tool; FallbackRuled step
tool; FinishRuled by; FollowUpSuppressed run_id same_as step; GoalChanged by; HandoffRequested by; Inferred why; Instructed
by; InterruptExpired interrupt; InterruptWithdrawn interrupt; LimitReached limit; MemoryRecalled ids; ModelAnswered finish
model; ModelCallLost model; ModelFailed model; Part id provider step tool; PendingRuled row step; PlanAdopted dropped;
PolicyRuled call step tool; ProbeAnswered step; ProbeIntended step; ProposalRequested model; Question name rests_on; Recorded
call came_by key run step tool; RecoveryRuled row step; Reminded interrupt; ReobservationPlanned fact for_step; RestPlanned
step; RetryRuled step; ReuseRuled same_as step; RoomRefused holders; Ruling digest policy rule who world; RunCancelled by kept
undone unknown; RunCompleted flagged guessed outdated partial replaced skipped; RunContinued by; RunFailed kept undone
unknown; RunForked agent agent_version by link run_id secrets source; RunPaused by; RunResumed worker; RunStarted agent
agent_version labels parent parent_step run_id secrets tenant thread; Scripted tool; SignalReceived by name; Step after
alternative_to id needs_fresh rests_on tool undoes; StepDoneByHand by step; StepFailed step; StepSkipped step; UndoPlanned
kept; WordVoided about by
"""


def kept_parts() -> set[str]:
    """The texts and values of all records in events that are kept."""
    found: set[str] = set()
    waiting: list[Any] = list(get_args(e.AnyEvent))
    seen: set[Any] = set()
    while waiting:
        record = waiting.pop()
        if record in seen or record.__name__ in fields.DECLARED:
            continue
        seen.add(record)
        info = inspect.type_info(record)
        assert isinstance(info, inspect.StructType)
        left_out = {part for part, kind in fields.parts_of(record) if kind not in ("parts", "labels", "fact")}
        for field in info.fields:
            leaves = list(fields._leaves(field.type))
            waiting.extend(leaf.cls for leaf in leaves if isinstance(leaf, inspect.StructType))
            if field.name not in left_out and any(isinstance(leaf, (inspect.StrType, inspect.AnyType)) for leaf in leaves):
                found.add(f"{record.__name__}.{field.name}")
    return found


def test_what_a_copy_without_values_keeps_is_listed() -> None:
    """A part that is new is left out, until somebody decides that it is a name."""
    listed = {
        f"{record}.{part}"
        for group in " ".join(STAYS.split()).split("; ")
        for record, *parts in [group.split()]
        for part in parts
    }
    assert kept_parts() == listed
