"""One command, one outcome: what a tool, a probe or a reasoner does, and what is written down for it.

The line that matters is the one between *failed* (the effect did not happen) and *unknown* (nobody can say).
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from holdfast import (
    NOT_HAPPENED,
    NOT_YET,
    Agent,
    Call,
    Deferred,
    Finish,
    GiveUp,
    Happened,
    Partial,
    Plan,
    Secret,
    Step,
    Unknown,
    cannot_tell,
    errors,
    tool,
)
from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, RunProbe
from holdfast.core.plan import Goal
from holdfast.core.state import State
from holdfast.core.tokens import token_for
from holdfast.runner.clock import SystemClock
from holdfast.runner.perform import Hands, perform
from holdfast.runner.threads import Threads
from holdfast.testing.clock import InlineThreads, run_jumping

PROMISES: dict[str, dict[str, Any]] = {
    "read": {"safety": "read"},
    "idempotent": {"safety": "idempotent"},
    "keyed": {"safety": "keyed", "key_ttl": "1h"},
    "reconcilable": {"safety": "reconcilable", "probe": lambda: NOT_YET},
    "irreversible": {"safety": "irreversible"},
}
FAILURES = [kind for kind in errors.ToolFailure.__subclasses__() if kind.__module__ == errors.__name__]


@pytest.fixture
def hands() -> Iterator[Hands]:
    """A real clock and real threads, and one secret."""
    threads = Threads()
    yield Hands(SystemClock(), threads, {"TOKEN": "hunter2"}.get)
    threads.close()


async def call(made: Any, hands: Hands, seconds: float = 5.0, contents: dict[str, bytes] | None = None, **args: Any) -> Any:
    """The outcome of one call of a tool."""
    agent = Agent("a", tools=[made], reasoner=lambda briefing: Finish(), secrets=["badge"])
    command = CallTool(
        step="s",
        attempt=2,
        tool=made.name,
        args=args,
        key="hf-key",
        occurrence=3,
        timeout_seconds=seconds,
        contract=made.contract,
    )
    (outcome,) = await perform(command, agent, state_of(agent), hands, {} if contents is None else contents)
    return outcome


async def look_at(made: Any, hands: Hands, contents: dict[str, bytes] | None = None, **asked: Any) -> e.ProbeAnswered:
    """What is found of a call of a tool, or of what it owes."""
    agent = Agent("a", tools=[made], reasoner=lambda briefing: Finish(), secrets=["badge"])
    command = RunProbe(
        **{
            "step": "s",
            "probe": 4,
            "attempt": 2,
            "tool": made.name,
            "args": {},
            "key": "hf-key",
            "occurrence": 1,
            "timeout_seconds": 5.0,
        }
        | asked
    )
    (outcome,) = await perform(command, agent, state_of(agent), hands, {} if contents is None else contents)
    assert isinstance(outcome, e.ProbeAnswered)
    assert (outcome.step, outcome.probe) == ("s", 4)
    return outcome


async def probe(function: Callable[..., Any], hands: Hands, seconds: float = 5.0, output: Any = str) -> e.ProbeAnswered:
    """What a probe is heard to say."""

    def act(what: str) -> Any:
        return what

    act.__annotations__["return"] = output
    made = tool(safety="reconcilable", probe=function)(act)
    return await look_at(made, hands, args={"what": "x"}, timeout_seconds=seconds)


async def ask(reasoner: Any, hands: Hands, seconds: float = 600.0) -> Any:
    """What becomes of a reasoner's proposal."""

    @tool(safety="read")
    def look() -> str:
        return "seen"

    agent = Agent("a", tools=[look], reasoner=reasoner)
    (outcome,) = await perform(AskReasoner(turn=5, timeout_seconds=seconds), agent, state_of(agent), hands, {})
    return outcome


def state_of(agent: Agent) -> State:
    """A run that has just begun."""
    return State(run_id="r", agent=agent.name, goal=Goal(text="g", inputs={"n": 1}), contracts=agent.toolbox.contracts)


def both(body: Callable[..., Any], **promise: Any) -> list[Any]:
    """The same tool twice: on the loop, and in a thread."""

    @tool(name="act", **promise)
    async def on_the_loop() -> Any:
        return body()

    @tool(name="act", **promise)
    def in_a_thread() -> Any:
        return body()

    return [on_the_loop, in_a_thread]


# --- what a tool says ----------------------------------------------------------------------------------------------


def test_every_failure_class_is_tried() -> None:
    """One of each kind that the journal knows, but for those that only the runtime says."""
    assert {kind.kind for kind in FAILURES} == set(e.FailureKind.__args__) - {"crashed", "overdue", "failed_later"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("promise", ["read", "irreversible"])
@pytest.mark.parametrize("kind", FAILURES)
async def test_a_failure_that_a_tool_raises_is_its_word(kind: type[errors.ToolFailure], promise: str, hands: Hands) -> None:
    """Its kind, its message, the time that it names and its detail; whatever the tool promises."""

    def body() -> None:
        raise kind("sold out", retry_after_seconds=2.5, detail={"left": 0})

    for made in both(body, **PROMISES[promise]):
        outcome = await call(made, hands)
        failure = e.Failure(kind=kind.kind, message="sold out", retry_after_seconds=2.5, detail={"left": 0})  # type: ignore[arg-type]
        assert outcome == e.CallFailed(step="s", attempt=2, failure=failure)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("error", [RuntimeError("boom"), ConnectionResetError("reset"), TimeoutError("its own"), KeyError("k")])
async def test_what_nobody_classified_is_unknown_unless_the_tool_changes_nothing(
    error: Exception, promise: str, hands: Hands
) -> None:
    """A read has crashed; any other call may have happened."""

    def body() -> None:
        raise error

    for made in both(body, **PROMISES[promise]):
        outcome = await call(made, hands)
        said = f"{type(error).__name__}: {error}"
        if promise == "read":
            assert outcome == e.CallFailed(step="s", attempt=2, failure=e.Failure(kind="crashed", message=said))
        else:
            assert outcome == e.CallUnknown(step="s", attempt=2, why=said)


@pytest.mark.parametrize("promise", PROMISES)
async def test_a_tool_may_say_that_it_does_not_know(promise: str, hands: Hands) -> None:
    """A read that does not know may be done again."""

    def body() -> None:
        raise Unknown("the gateway says: maybe")

    for made in both(body, **PROMISES[promise]):
        outcome = await call(made, hands)
        if promise == "read":
            assert outcome.failure == e.Failure(kind="transient", message="the gateway says: maybe")
        else:
            assert outcome == e.CallUnknown(step="s", attempt=2, why="the gateway says: maybe")


@pytest.mark.parametrize("promise", PROMISES)
async def test_a_call_whose_time_is_over_is_unknown_unless_it_changes_nothing(promise: str, hands: Hands) -> None:
    """On the loop it is cancelled, in a thread interrupted; the time is named."""
    cancelled: list[str] = []

    @tool(name="act", **PROMISES[promise])
    async def on_the_loop() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("loop")
            raise

    @tool(name="act", **PROMISES[promise])
    def in_a_thread() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            cancelled.append("thread")

    for made in (on_the_loop, in_a_thread):
        outcome = await call(made, hands, seconds=0.02)
        why = "it did not end within 0.02 s"
        if promise == "read":
            assert outcome.failure == e.Failure(kind="transient", message=why)
        else:
            assert outcome == e.CallUnknown(step="s", attempt=2, why=why)
    assert cancelled == ["loop", "thread"]


async def test_a_tool_that_answers_after_its_cancellation_is_heard(hands: Hands) -> None:
    """It swallowed the cancellation and finished: what it then says is the truth."""

    @tool
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "had done it already"
        return "never"

    assert (await call(stubborn, hands, seconds=0.02)).value == "had done it already"


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
async def test_a_tool_that_tries_to_end_the_process_ends_its_call(error: BaseException, hands: Hands) -> None:
    """`sys.exit()`, or the cancellation of something that it waited for: an error like any other, so unknown."""

    def body() -> None:
        raise error

    for made in both(body):
        outcome = await call(made, hands)
        assert isinstance(outcome, e.CallUnknown), outcome
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


# --- what a tool returns -------------------------------------------------------------------------------------------


class Receipt(pydantic.BaseModel):
    """What a typed tool returns."""

    id: str
    amount: int


async def test_a_result_is_plain_json_in_the_shape_that_was_declared(hands: Hands) -> None:
    """With the time it took."""

    @tool
    async def act() -> Receipt:
        await asyncio.sleep(0.01)
        return Receipt(id="R", amount=5)

    outcome = await call(act, hands)
    assert outcome == e.CallSucceeded(step="s", attempt=2, value={"id": "R", "amount": 5}, seconds=outcome.seconds)
    assert 0.005 < outcome.seconds < 5


@pytest.mark.parametrize("value", [{"id": "R"}, {"id": "R", "amount": "many"}, None, "R", Partial({"id": 7}, ("rest",))])
async def test_a_result_of_another_shape_is_a_broken_contract(value: Any, hands: Hands) -> None:
    """Failed, with what is wrong; never taken."""

    @tool
    def act() -> Receipt | Partial:
        return value  # type: ignore[no-any-return]

    outcome = await call(act, hands)
    assert isinstance(outcome, e.CallFailed)
    assert outcome.failure.kind == "invalid_output"


async def test_a_part_and_a_promise_are_outcomes_of_their_own(hands: Hands) -> None:
    """What is left by item; the other side's name for the call and its time."""
    outcomes = []
    for value in (Partial(["a", 1], ("b", "c")), Partial(1, "b"), Deferred("T-1", 5e9), Deferred(), Deferred("T", float("nan"))):  # type: ignore[arg-type]

        @tool
        def act() -> Any:
            return value  # noqa: B023 — it is called in this turn of the loop.

        outcomes.append(await call(act, hands))
    assert outcomes == [
        e.CallPartial(step="s", attempt=2, value=["a", 1], left=("b", "c")),
        e.CallPartial(step="s", attempt=2, value=1, left=("b",)),
        e.CallDeferred(step="s", attempt=2, handle="T-1", until=5e9),
        e.CallDeferred(step="s", attempt=2),
        e.CallDeferred(step="s", attempt=2, handle="T"),
    ]


def circle() -> Any:
    """A list in itself."""
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


UNWRITABLE = [
    float("nan"), float("-inf"), {"a": [float("nan")]}, "\ud800", {"\udfff": 1}, circle(), nested(5000), nested(101), nested(100_000), object(),
    10**5000, {(1, 2): 3}, {None: 1}, {b"k": 1}, {1: "a", "1": "b"}]  # fmt: skip


@pytest.mark.parametrize("value", UNWRITABLE, ids=[f"{n}-{type(value).__name__}" for n, value in enumerate(UNWRITABLE)])
async def test_what_cannot_be_written_is_a_broken_contract(value: Any, hands: Hands) -> None:
    """The call has happened; its answer cannot be used, and nothing else is made of it."""

    @tool
    def act() -> Any:
        return value

    outcome = await call(act, hands)
    assert isinstance(outcome, e.CallFailed), outcome
    assert outcome.failure.kind == "invalid_output"
    assert len(outcome.failure.message) < 3000


@pytest.mark.parametrize("how", ["validator", "serializer"])
async def test_a_result_type_that_raises_is_a_broken_contract(how: str, hands: Hands) -> None:
    """Whatever it raises: the tool has answered."""

    def raises(value: Any) -> Any:
        raise RuntimeError("the type itself is broken")

    wrapped = pydantic.AfterValidator(raises) if how == "validator" else pydantic.PlainSerializer(raises)

    def act() -> Any:
        return "x"

    act.__annotations__["return"] = Annotated[str, wrapped]
    outcome = await call(tool(act), hands)
    assert isinstance(outcome, e.CallFailed), outcome
    assert outcome.failure.kind == "invalid_output"


async def test_a_part_and_a_promise_say_who_owes_what_and_until_when(hands: Hands) -> None:
    """By whom, under which name, and what settles it; a time that cannot be read is none."""

    @tool
    def in_part(seat: str) -> Any:
        return Partial(1, ("seat",), until="1h", by="airline", handle="F-1", signal="seated")

    @tool
    async def later() -> Any:
        return Deferred(until="whenever", by="airline", signal="booked")

    before = time.time()
    part = await call(in_part, hands, seat="12A")
    assert before + 3599 < part.until < time.time() + 3601
    assert part == e.CallPartial(
        step="s", attempt=2, value=1, left=("seat",), until=part.until, by="airline", handle="F-1", signal="seated"
    )
    assert await call(later, hands) == e.CallDeferred(step="s", attempt=2, by="airline", signal="booked")


async def test_the_rest_of_a_part_may_be_a_call_of_its_own(hands: Hands) -> None:
    """With its arguments as they may be written down: a secret stays one, and what looks like a reference is data."""
    day = datetime.date(2026, 11, 20)

    @tool
    def act(items: list[Any], token: Secret) -> Any:
        secret = token.get_secret_value()
        return Partial(
            1, ("b",), rest={"items": ["b", day, {"$secret": "OTHER"}], "token": secret, "note": f"by {secret}", "badge": 7}
        )

    outcome = await call(act, hands, items=["a", "b"], token={"$secret": "TOKEN"})
    assert outcome.rest == {
        "items": {"$literal": ["b", "2026-11-20", {"$secret": "OTHER"}]},
        "token": {"$secret": "TOKEN"},
        "note": "by [redacted]",
        "badge": "[redacted]",
    }


@pytest.mark.parametrize("rest", [{"a": float("nan")}, ["a"], {"a": object()}, 5])
async def test_a_rest_that_is_no_call_is_a_broken_contract(rest: Any, hands: Hands) -> None:
    """The part was done; what is left cannot be known."""

    @tool
    def act() -> Any:
        return Partial(1, ("b",), rest=rest)

    outcome = await call(act, hands)
    assert (outcome.failure.kind, outcome.failure.landed) == ("invalid_output", True)
    assert "the arguments for the rest" in outcome.failure.message


@pytest.mark.parametrize(("safety", "landed"), [("read", False), ("idempotent", True), ("irreversible", True)])
async def test_a_broken_answer_says_of_itself_that_the_call_had_its_effect(safety: Any, landed: bool, hands: Hands) -> None:
    """What a tool raises by itself says that it had none."""

    @tool(safety=safety)
    def breaks() -> int:
        return "five"  # type: ignore[return-value]

    @tool(safety=safety)
    def says() -> int:
        raise errors.Conflict("sold out")

    assert (await call(breaks, hands)).failure.landed is landed
    assert (await call(says, hands)).failure.landed is False


async def test_bytes_come_back_as_text(hands: Hands) -> None:
    """In one way, whatever they hold."""

    @tool
    def scan(page: bytes) -> bytes:
        return page[::-1]

    outcome = await call(scan, hands, page="AP8=")
    assert outcome.value == "_wA="


# --- too large ------------------------------------------------------------------------------------------------------


LARGE = {"id": 7, "rows": [f"row {n}" for n in range(1000)], "badge": "b" * 5000}
KEPT_WHOLE = {**LARGE, "badge": "[redacted]"}


@pytest.mark.parametrize("how", ["a call", "a part", "a probe"])
@pytest.mark.parametrize("oversize", ["store", "cut"])
async def test_a_result_that_is_too_large_is_cut_and_may_be_stored_whole(oversize: Any, how: str, hands: Hands) -> None:
    """What is kept fits, says how large the whole was, and under which name that is stored. No secret is stored."""

    def look() -> Any:
        return Happened(LARGE)

    @tool(safety="reconcilable", probe=look, result_max="1KB", oversize=oversize)
    def act() -> Any:
        return LARGE if how == "a call" else Partial(LARGE, ("more",))

    contents: dict[str, bytes] = {}
    outcome = await (look_at(act, hands, contents=contents) if how == "a probe" else call(act, hands, contents=contents))
    whole = msgspec.json.encode(KEPT_WHOLE)
    digest = hashlib.sha256(whole).hexdigest()
    assert outcome.cut == e.Cut(bytes=len(whole), digest=digest if oversize == "store" else "")
    assert contents == ({digest: whole} if oversize == "store" else {})
    assert len(msgspec.json.encode(outcome.value)) <= 1000
    assert (outcome.value["id"], outcome.value["badge"]) == (7, "[redacted]")
    assert outcome.value["rows"][:50] == LARGE["rows"][:50]


async def test_a_result_that_is_too_large_may_be_a_broken_contract(hands: Hands) -> None:
    """With its size and the limit; a probe that finds such a one cannot tell."""

    @tool(safety="reconcilable", probe=lambda: Happened("x" * 5000), result_max=1000, oversize="fail")
    def act() -> str:
        return "x" * 5000

    outcome = await call(act, hands)
    message = "the result has 5,002 bytes as JSON; act may return 1,000"
    assert outcome.failure == e.Failure(kind="invalid_output", message=message, landed=True)
    answered = await look_at(act, hands)
    assert (answered.verdict, message in answered.message) == ("cannot_tell", True)


async def test_a_large_result_within_the_limit_is_kept_whole(hands: Hands) -> None:
    """Ten megabytes are within the usual one."""

    @tool
    def act() -> list[str]:
        return ["x" * 1000] * 10_000

    contents: dict[str, bytes] = {}
    outcome = await call(act, hands, contents=contents)
    assert (len(outcome.value), outcome.cut, contents) == (10_000, None, {})


# --- what else it changed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["ok", "part", "deferred", "failed", "broken", "insufficient"])
async def test_what_else_a_call_changed_is_recorded_with_every_outcome(ending: str, hands: Hands) -> None:
    """Whatever came of it, also under a name that the tool did not declare; without secrets."""

    def body(call: Call, token: Secret) -> Any:
        call.changed("credit", 3)
        call.changed("credit", 2)
        call.changed("quota", float("nan"), note=f"of {token.get_secret_value()}")
        if ending == "failed":
            raise errors.Conflict("no")
        return {"part": Partial(1, ("x",)), "deferred": Deferred("H"), "broken": "one", "insufficient": 0}.get(ending, 1)

    @tool(name="act", changes="credit", sufficient="@ > `0`")
    def in_a_thread(call: Call, token: Secret) -> int | Partial | Deferred:
        return body(call, token)  # type: ignore[no-any-return]

    @tool(name="act", changes="credit", sufficient="@ > `0`")
    async def on_the_loop(call: Call, token: Secret) -> int | Partial | Deferred:
        return body(call, token)  # type: ignore[no-any-return]

    for made in (in_a_thread, on_the_loop):
        outcome = await call(made, hands, token={"$secret": "TOKEN"})
        assert outcome.changes == (
            e.Change(name="credit", amount=5),
            e.Change(name="quota", amount=0, note="float is no amount; of [redacted]"),
        ), outcome


# --- progress -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", ["read", "irreversible"])
async def test_a_call_that_reports_no_progress_is_ended(promise: str, hands: Hands) -> None:
    """As if its time were over: with what it last said."""
    options = {**PROMISES[promise], "heartbeat": 0.05, "timeout": 30}

    @tool(name="act", **options)
    async def on_the_loop(call: Call) -> None:
        call.progress("page 3 of 9")
        await asyncio.Event().wait()

    @tool(name="act", **options)
    def in_a_thread(call: Call) -> None:
        call.progress("page 3 of 9")
        while True:
            time.sleep(0.001)

    for made in (on_the_loop, in_a_thread):
        outcome = await call(made, hands, seconds=30)
        why = "it reported no progress for 0.05 s (last: page 3 of 9)"
        if promise == "read":
            assert outcome.failure == e.Failure(kind="transient", message=why)
        else:
            assert outcome == e.CallUnknown(step="s", attempt=2, why=why)


async def test_the_time_of_a_call_is_over_whatever_it_reports(hands: Hands) -> None:
    """The last that it said is told then too."""

    @tool(heartbeat=5)
    async def on_the_loop(call: Call) -> None:
        while True:
            call.progress("going on")
            await asyncio.sleep(0.001)

    @tool
    def in_a_thread(call: Call) -> None:
        while True:
            call.progress("going on")
            time.sleep(0.001)

    for made in (on_the_loop, in_a_thread):
        outcome = await call(made, hands, seconds=0.05)
        assert outcome == e.CallUnknown(step="s", attempt=2, why="it did not end within 0.05 s (last: going on)")


def test_a_call_that_reports_goes_on_as_long_as_it_may() -> None:
    """Hours, with a heartbeat of seconds; in the time of a clock that jumps."""

    @tool(heartbeat="30s", timeout="3h")
    async def act(call: Call) -> str:
        for page in range(300):
            call.progress(f"page {page}")
            await asyncio.sleep(29)
        return "all"

    async def main(clock: Any) -> Any:
        return await call(act, Hands(clock, InlineThreads(), {}.get), seconds=10_800)

    assert run_jumping(main).value == "all"


async def test_a_call_in_a_thread_that_reports_goes_on(hands: Hands) -> None:
    """Its reports come from another thread than the one that waits."""

    @tool(heartbeat=1)
    def act(call: Call) -> str:
        end = time.monotonic() + 1.3
        while time.monotonic() < end:
            call.progress("going on")
            call.stopped.wait(0.01)
        return "all"

    assert (await call(act, hands, seconds=30)).value == "all"


# --- tokens ---------------------------------------------------------------------------------------------------------


async def test_who_may_be_called_back_is_given_the_token_of_its_call(hands: Hands) -> None:
    """The same on each attempt and to its poll; none where the tool takes no callbacks, or the store has no secret. It is
    never written down."""
    seen: list[str] = []

    def poll(call: Call) -> Any:
        seen.append(call.token)
        return cannot_tell(f"asked with {call.token}")

    @tool(name="act", poll=poll)
    def takes_callbacks(call: Call) -> str | Deferred:
        seen.append(call.token)
        return Deferred(handle=f"for {call.token}")

    @tool(name="act")
    def takes_none(call: Call) -> str:
        seen.append(call.token)
        return "done"

    hands = Hands(hands.clock, hands.threads, hands.secrets, b"of the store")
    token = token_for(b"of the store", "r", "hf-key")
    outcomes = [
        await call(takes_callbacks, hands),
        await call(takes_callbacks, hands),
        await look_at(takes_callbacks, hands, owed=True),
    ]
    assert seen == [token] * 3
    assert token not in str(outcomes)
    assert outcomes[0].handle == "for [redacted]"
    seen.clear()
    await call(takes_none, hands)
    await call(takes_callbacks, Hands(hands.clock, hands.threads, hands.secrets))
    assert seen == ["", ""]


# --- before a tool is called ---------------------------------------------------------------------------------------


async def test_a_tool_is_told_of_its_call(hands: Hands) -> None:
    """Key, attempt, occurrence and a deadline; it is no argument."""
    calls: list[Call] = []

    @tool
    async def on_the_loop(call: Call, name: str) -> None:
        calls.append(call)

    @tool
    def in_a_thread(name: str, call: Call) -> None:
        calls.append(call)

    before = time.time()
    for made in (on_the_loop, in_a_thread):
        assert isinstance(await call(made, hands, seconds=30, name="x"), e.CallSucceeded)
    for told in calls:
        assert (told.run_id, told.step, told.key, told.attempt, told.occurrence) == ("r", "s", "hf-key", 2, 3)
        assert before + 30 - 0.01 <= told.deadline <= time.time() + 30.01
        assert isinstance(told.stopped, threading.Event)


async def test_arguments_are_checked_and_take_their_types(hands: Hands) -> None:
    """What does not fit is a failure, and the tool is not called."""
    called: list[Any] = []

    @tool
    def act(amount: int, receipt: Receipt) -> str:
        called.append((amount, receipt))
        return "done"

    good = {"id": "R", "amount": 1}
    assert isinstance(await call(act, hands, amount=5, receipt=good), e.CallSucceeded)
    for args in ({"amount": "much", "receipt": good}, {"amount": 1}, {"amount": 1, "receipt": good, "more": 2}):
        outcome = await call(act, hands, **args)
        assert isinstance(outcome, e.CallFailed)
        assert outcome.failure.kind == "invalid_input"
    assert called == [(5, Receipt(id="R", amount=1))]


async def test_an_argument_type_that_raises_is_no_call(hands: Hands) -> None:
    """Whatever it raises: the tool was not called, so nothing can have happened."""
    called: list[str] = []

    def raises(value: str) -> str:
        raise RuntimeError(f"the type itself is broken, and says {value}")

    def act(token: Any) -> None:
        called.append("x")

    act.__annotations__["token"] = Annotated[Secret, pydantic.BeforeValidator(raises)]
    outcome = await call(tool(act), hands, token={"$secret": "TOKEN"})
    assert isinstance(outcome, e.CallFailed), outcome
    assert outcome.failure.kind == "invalid_input"
    assert "hunter2" not in outcome.failure.message
    assert called == []


async def test_secrets_are_put_in_at_the_moment_of_the_call(hands: Hands) -> None:
    """One that nobody has, or whose place cannot be reached, is a failure: the tool was not called."""
    seen: list[str] = []

    @tool
    def act(token: Secret) -> None:
        seen.append(token.get_secret_value())

    def vault(name: str) -> str | None:
        raise ConnectionError("the vault is down")

    assert isinstance(await call(act, hands, token={"$secret": "TOKEN"}), e.CallSucceeded)
    missing = await call(act, hands, token={"$secret": "OTHER"})
    assert (missing.failure.kind, "the secret OTHER is not to be had" in missing.failure.message) == ("denied", True)
    down = await call(act, Hands(hands.clock, hands.threads, vault), token={"$secret": "TOKEN"})
    assert isinstance(down, e.CallFailed), down
    assert down.failure.kind == "unavailable"
    assert "TOKEN" in down.failure.message and "the vault is down" in down.failure.message
    assert seen == ["hunter2"]


async def test_what_was_lost_by_redaction_is_not_given_to_a_tool(hands: Hands) -> None:
    """An argument that holds only the mark of what stood there would be a wrong call."""
    called: list[str] = []

    @tool
    def act(password: str) -> None:
        called.append(password)

    outcome = await call(act, hands, password="[redacted]")
    assert outcome.failure.kind == "invalid_input"
    assert "{$secret: NAME}" in outcome.failure.message
    assert called == []


async def test_a_tool_that_is_gone_is_not_called(hands: Hands) -> None:
    """The command was decided under another agent."""

    @tool
    def act() -> None:
        raise AssertionError

    command = CallTool(step="s", attempt=1, tool="gone", args={}, key="k", occurrence=1, timeout_seconds=1, contract=act.contract)
    agent = Agent("a", tools=[act], reasoner=lambda briefing: Finish())
    outcome: Any
    (outcome,) = await perform(command, agent, state_of(agent), hands, {})
    assert (outcome.failure.kind, outcome.failure.message) == ("not_found", "the agent has no tool gone")
    asked: Any
    (asked,) = await perform(
        RunProbe(step="s", probe=1, attempt=1, tool="gone", args={}, key="k", occurrence=1, timeout_seconds=1),
        agent, state_of(agent), hands, {},
    )  # fmt: skip
    assert asked.verdict == "cannot_tell"


# --- words ---------------------------------------------------------------------------------------------------------


class Silent(Exception):
    """An error that fails when it is asked what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("x" * 100_000), "… (100000 characters in all)"),
        (RuntimeError("a\ud800b"), "a?b"),
        (Silent(), "Silent: it cannot say what is wrong (ValueError)"),
        (errors.Transient("y" * 5000), "… (5000 characters in all)"),
    ],
)
async def test_words_are_valid_and_of_bounded_length(error: Exception, said: str, hands: Hands) -> None:
    """Whatever a library says, it can be written and read."""

    @tool
    def act() -> None:
        raise error

    outcome = await call(act, hands)
    words = outcome.why if isinstance(outcome, e.CallUnknown) else outcome.failure.message
    assert said in words
    assert len(words) < 2100
    words.encode()


class Shown:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("not to be shown")


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        ({"a": [1, None]}, {"a": [1, None]}),
        ({"a": {1, 2}.__class__}, {"a": "<class 'set'>"}),
        ({"badge": object(), "when": float("nan")}, {"badge": "[redacted]", "when": "nan"}),
        (Shown(), "Shown"),
        (circle(), "…"),
    ],
    ids=["json", "object", "redacted", "not to be shown", "circle"],
)
async def test_a_detail_is_kept_as_far_as_it_is_json(detail: Any, kept: Any, hands: Hands) -> None:
    """What has no such form becomes text, and names stay names, so that secrets are told by them."""

    @tool
    def act() -> None:
        raise errors.Conflict("no", detail=detail)

    found = (await call(act, hands)).failure.detail
    while kept == "…" and isinstance(found, list):
        (found,) = found
    assert found == kept


@pytest.mark.parametrize(("named", "kept"), [(20, 20.0), ("30", 30.0), ("soon", None), (float("inf"), None), (None, None)])
async def test_a_time_that_a_tool_names_is_kept_if_it_is_one(named: Any, kept: float | None, hands: Hands) -> None:
    """Headers of HTTP come as text."""

    @tool
    def act() -> None:
        raise errors.RateLimited("wait", retry_after_seconds=named)

    assert (await call(act, hands)).failure.retry_after_seconds == kept


async def test_a_failure_class_of_the_tools_own_is_taken_for_a_passing_one(hands: Hands) -> None:
    """It says that nothing happened, and its name is kept."""

    class Throttled(errors.ToolFailure):
        kind = "throttled"

    @tool
    def act() -> None:
        raise Throttled("slow down")

    assert (await call(act, hands)).failure == e.Failure(kind="transient", message="throttled: slow down")


# --- probes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "verdict", "value", "message"),
    [
        (Happened("M-1"), "happened", "M-1", ""),
        (NOT_HAPPENED, "not_happened", None, ""),
        (NOT_YET, "not_yet", None, ""),
        (cannot_tell("the log is gone"), "cannot_tell", None, "the log is gone"),
        (Happened(7), "cannot_tell", None, "with a result that breaks its schema"),
        (Happened(), "cannot_tell", None, "with a result that breaks its schema"),
        (True, "cannot_tell", None, "the probe returned bool, not Happened, NOT_HAPPENED, NOT_YET or cannot_tell()"),
        (None, "cannot_tell", None, "the probe returned NoneType"),
        (RuntimeError("down"), "not_yet", None, "the probe failed: RuntimeError: down"),
        (errors.NotFound("no such order"), "not_yet", None, "the probe failed: NotFound: no such order"),
        (Unknown("maybe"), "not_yet", None, "the probe failed: Unknown: maybe"),
        (SystemExit(1), "not_yet", None, "the probe failed: RuntimeError: SystemExit"),
    ],
)
async def test_what_a_probe_answers(said: Any, verdict: str, value: Any, message: str, hands: Hands) -> None:
    """Only a clear word counts; a probe that fails is asked again, and never taken for a no."""

    def body(what: str) -> Any:
        assert what == "x"
        if isinstance(said, BaseException):
            raise said
        return said

    async def on_the_loop(what: str) -> Any:
        return body(what)

    def in_a_thread(what: str) -> Any:
        return body(what)

    for function in (on_the_loop, in_a_thread):
        answered = await probe(function, hands)
        assert (answered.verdict, answered.value) == (verdict, value)
        assert message in answered.message


async def test_a_probe_that_hangs_is_asked_again(hands: Hands) -> None:
    """Its time is over: not yet."""

    async def on_the_loop(what: str) -> Any:
        await asyncio.Event().wait()

    def in_a_thread(what: str) -> Any:
        while True:
            time.sleep(0.001)

    for function in (on_the_loop, in_a_thread):
        answered = await probe(function, hands, seconds=0.02)
        assert (answered.verdict, answered.message) == ("not_yet", "the probe timed out")


async def test_a_probe_is_told_which_call_it_is_about(hands: Hands) -> None:
    """The key under which the call was sent, and its attempt."""
    seen: list[Call] = []

    def look(what: str, call: Call) -> Any:
        seen.append(call)
        return Happened({"badge": 7, "n": 1})

    answered = await probe(look, hands, output=dict[str, int])
    assert (seen[0].key, seen[0].attempt, seen[0].step) == ("hf-key", 2, "s")
    assert answered.value == {"badge": "[redacted]", "n": 1}


# --- what is owed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "verdict", "more"),
    [
        (Happened("M-1"), "happened", {"value": "M-1"}),
        (Happened(7), "cannot_tell", {"message": "the poll found the call done, with a result that breaks its schema: value: Input should be a valid string"}),
        (Partial("M-1", ("seat", "meal")), "happened", {"value": "M-1", "left": ("seat", "meal")}),
        (Partial("M-1", ()), "happened", {"value": "M-1", "left": ()}),
        (Partial(7, ("seat",)), "cannot_tell", {"message": "the poll found the call done, with a result that breaks its schema: value: Input should be a valid string"}),
        (Deferred("T-2"), "not_yet", {}),
        (NOT_YET, "not_yet", {}),
        (NOT_HAPPENED, "not_happened", {}),
        (cannot_tell("two of them"), "cannot_tell", {"message": "two of them"}),
        ("M-1", "cannot_tell", {"message": "the poll returned str, not Happened, NOT_HAPPENED, NOT_YET or cannot_tell()"}),
        (errors.Denied("refused", detail={"badge": 7}), "not_happened", {"failure": e.Failure(kind="denied", message="refused", detail={"badge": "[redacted]"})}),
        (errors.Insufficient("no room"), "not_happened", {"failure": e.Failure(kind="insufficient", message="no room")}),
        (errors.Transient("503"), "not_yet", {"message": "the poll failed: Transient: 503"}),
        (errors.RateLimited("slow"), "not_yet", {"message": "the poll failed: RateLimited: slow"}),
        (errors.Unavailable("closed"), "not_yet", {"message": "the poll failed: Unavailable: closed"}),
        (errors.InvalidOutput("garbage"), "not_yet", {"message": "the poll failed: InvalidOutput: garbage"}),
        (Unknown("maybe"), "not_yet", {"message": "the poll failed: Unknown: maybe"}),
        (RuntimeError("boom"), "not_yet", {"message": "the poll failed: RuntimeError: boom"}),
    ],
    ids=lambda value: "",
)  # fmt: skip
async def test_what_a_poll_answers(said: Any, verdict: Any, more: dict[str, Any], hands: Hands) -> None:
    """Its no is final: the other side says that it will not come. A poll that could not look says nothing."""

    def body() -> Any:
        if isinstance(said, BaseException):
            raise said
        return said

    async def on_the_loop(call: Call) -> Any:
        assert (call.handle, call.key) == ("T-1", "hf-key")
        return body()

    def in_a_thread() -> Any:
        return body()

    for function in (on_the_loop, in_a_thread):

        @tool(poll=function, probe=lambda: 1 / 0)
        def act() -> str:
            return "x"

        answered = await look_at(act, hands, owed=True, handle="T-1")
        assert answered == e.ProbeAnswered(step="s", probe=4, verdict=verdict, **more)


async def test_a_tool_without_a_poll_is_probed_for_what_it_owes(hands: Hands) -> None:
    """A probe looks whether it is there, so its failure is no word of the other side's."""
    said: list[Any] = [Happened(1), Partial(1, ("x",)), NOT_HAPPENED, errors.Denied("no")]

    def look(call: Call) -> Any:
        assert call.handle == "T-1"
        answer = said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @tool(probe=look)
    def act() -> int:
        return 1

    answers = [await look_at(act, hands, owed=True, handle="T-1") for _ in range(4)]
    assert [(a.verdict, a.left, a.failure) for a in answers] == [
        ("happened", None, None), ("happened", ("x",), None), ("not_happened", None, None), ("not_yet", None, None),
    ]  # fmt: skip


async def test_a_probe_of_a_call_in_doubt_finds_no_parts(hands: Hands) -> None:
    """Whether it happened is what is asked; the poll is not asked that."""

    @tool(probe=lambda: Partial(1, ("x",)), poll=lambda: Happened(1))
    def act() -> int:
        return 1

    answered = await look_at(act, hands)
    assert (answered.verdict, "the probe returned Partial" in answered.message) == ("cannot_tell", True)


async def test_nobody_can_be_asked_for_what_is_owed(hands: Hands) -> None:
    """Neither poll nor probe."""

    @tool
    def act() -> int:
        return 1

    assert (await look_at(act, hands, owed=True)).message == "act has no poll"


# --- reasoners -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (Finish({"n": 1}), e.FinishProposed, ""),
        (GiveUp("no way"), e.GiveUpProposed, "no way"),
        (Step(id="a", tool="look"), e.PlanAdopted, ""),
        (Plan(steps=(Step(id="a", tool="look"),)), e.PlanAdopted, ""),
        (Step(id="a", tool="lok"), e.ProposalFailed, "did you mean look?"),
        (Plan(steps=(), final=False), e.ProposalFailed, "has no step"),
        ("do it", e.ProposalFailed, "str is no proposal"),
        (None, e.ProposalFailed, "NoneType is no proposal"),
        (RuntimeError("the model is down"), e.ProposalFailed, "RuntimeError: the model is down"),
        (SystemExit(2), e.ProposalFailed, "SystemExit"),
    ],
)
async def test_what_becomes_of_a_proposal(said: Any, kind: type[Any], words: str, hands: Hands) -> None:
    """Taken if it is sound; whatever else a reasoner does is a failed proposal with the reason."""

    def body(briefing: Any) -> Any:
        assert briefing.goal.inputs == {"n": 1}
        if isinstance(said, BaseException):
            raise said
        return said

    async def on_the_loop(briefing: Any) -> Any:
        return body(briefing)

    for reasoner in (on_the_loop, body):
        event = await ask(reasoner, hands)
        assert isinstance(event, kind), event
        assert event.turn == 5
        assert words in str(event)


async def test_a_reasoner_that_hangs_has_failed(hands: Hands) -> None:
    """Its time is bounded too."""

    async def hangs(briefing: Any) -> Any:
        await asyncio.Event().wait()

    event = await ask(hangs, hands, seconds=0.02)
    assert isinstance(event, e.ProposalFailed)
    assert event.problems == ("the reasoner: no answer within 0.02 s",)


async def test_a_watcher_that_raises_hears_no_more_and_changes_nothing(hands: Hands) -> None:
    """The answer is taken, though the terminal is gone."""
    heard = []

    def watch(run_id: str, turn: int, kind: str, said: str) -> None:
        heard.append(said)
        raise BrokenPipeError

    async def thinks(briefing: Any) -> Any:
        briefing.listener("text", "It is")
        briefing.listener("text", " done")
        return Finish("done")

    event = await ask(thinks, msgspec.structs.replace(hands, words=watch))
    assert (event.result, heard) == ("done", ["It is"])
