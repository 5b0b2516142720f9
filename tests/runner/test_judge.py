"""Is a result enough? Whatever goes wrong while that is found out: it is never success, and never "it did not happen"."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from holdfast import (
    NOT_HAPPENED,
    NOT_YET,
    Agent,
    Call,
    Deferred,
    Expect,
    Finish,
    Happened,
    Partial,
    Secret,
    Step,
    cannot_tell,
    errors,
    tool,
)
from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.plan import Goal
from holdfast.core.state import State, StepState
from holdfast.runner.clock import SystemClock
from holdfast.runner.judge import CHECKS_MAX, check_delivery, delivered
from holdfast.runner.perform import Hands, perform
from holdfast.runner.threads import Threads
from holdfast.testing.clock import InlineThreads, run_jumping


class Booking(pydantic.BaseModel):
    """What a typed tool returns."""

    rooms: int
    status: str = "confirmed"


@tool(safety="read")
def look_up(id: str, result: Any = None) -> dict[str, Any]:
    """The world as another tool sees it."""
    if id == "gone":
        raise errors.NotFound("no such booking")
    return {"id": id, "status": "held", "result": result}


@tool(safety="read")
def find(id: str) -> list[str]:
    """Those that are there."""
    return [id] if id != "gone" else []


@tool(safety="read", timeout=0.01)
async def hangs() -> None:
    await asyncio.Event().wait()


@tool(safety="read")
def breaks() -> int:
    return "five"  # type: ignore[return-value]


@tool(safety="read")
def defers() -> int | Deferred:
    return Deferred()


@tool(safety="read")
def takes_a_secret(token: Secret) -> str:
    return f"got {token.get_secret_value()}"


@tool(safety="idempotent")
def pays() -> str:
    raise AssertionError("it changes the world, and nobody asked for that")


LOOKERS = [look_up, find, hangs, breaks, defers, takes_a_secret, pays]


@pytest.fixture
def hands() -> Iterator[Hands]:
    """A real clock and real threads, and one secret."""
    threads = Threads()
    yield Hands(SystemClock(), threads, {"TOKEN": "hunter2"}.get)
    threads.close()


def agent_of(made: Any) -> Agent:
    """An agent with a tool, and others that look."""
    return Agent("a", tools=[made, *LOOKERS], reasoner=lambda briefing: Finish(), secrets=["badge"])


def state_of(agent: Agent, **more: Any) -> State:
    """A run that has just begun."""
    return State(run_id="r", agent=agent.name, goal=Goal(inputs={"id": "B-1"}), contracts=agent.toolbox.contracts, **more)


async def call(made: Any, hands: Hands, expect: Expect | None = None, seconds: float = 5.0, **args: Any) -> Any:
    """The outcome of one call of a tool."""
    agent = agent_of(made)
    command = CallTool(
        step="s", attempt=1, tool=made.name, args=args, key="hf-key", occurrence=1, timeout_seconds=seconds,
        contract=made.contract, expect=expect,
    )  # fmt: skip
    (outcome,) = await perform(command, agent, state_of(agent), hands, {})
    return outcome


def booking(value: Any, **promise: Any) -> Any:
    """A tool that returns a value."""

    @tool(**promise)
    def book(id: str = "B-1", rooms: int = 1) -> Any:
        return value

    return book


def insufficient(outcome: Any) -> str:
    """Why a result was not enough; the effect is said to have happened."""
    assert isinstance(outcome, e.CallFailed), outcome
    assert (outcome.failure.kind, outcome.failure.landed) == ("insufficient", True)
    return outcome.failure.message


# --- sufficient -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "value", "why"),
    [
        ("status == 'confirmed'", {"status": "confirmed"}, None),
        ("rooms > `0`", {"rooms": 2}, None),
        ("rooms", {"rooms": 0}, None),
        ("status == 'confirmed'", {"status": "requested"}, "status == 'confirmed' is false"),
        ("rooms > `0`", {"rooms": 0}, "rooms > `0` is false"),
        ("rooms", {}, "rooms is null"),
        ("rooms", {"rooms": []}, "rooms is empty"),
        ("length(rooms) > `0`", {"rooms": 5}, "length(rooms) > `0` cannot be worked out: In function length(), invalid type for value: 5"),
    ],
)  # fmt: skip
async def test_an_expression_over_the_result_must_be_true(condition: str, value: Any, why: str | None, hands: Hands) -> None:
    """What is false, nothing or empty is not enough; neither is what cannot be worked out."""
    outcome = await call(booking(value, sufficient=condition), hands)
    if why is None:
        assert isinstance(outcome, e.CallSucceeded), outcome
    else:
        assert insufficient(outcome).startswith(why)


SAYS: list[tuple[Any, str | None]] = [
    (True, None),
    (Happened(), None),
    (False, ""),
    (None, ""),
    ("no room left", "no room left"),
    ("", ""),
    (cannot_tell("the log is gone"), "the log is gone"),
    (NOT_HAPPENED, ""),
    (1, "it returned int, not True, False or why not"),
    ([], "it returned list, not True, False or why not"),
    (RuntimeError("boom"), "could not be checked: RuntimeError: boom"),
    (errors.Transient("503"), "could not be checked: Transient: 503"),
    (errors.Unknown("maybe"), "could not be checked: Unknown: maybe"),
    (SystemExit(1), "could not be checked: RuntimeError: SystemExit"),
]


@pytest.mark.parametrize(("said", "why"), SAYS, ids=[type(said).__name__ for said, _ in SAYS])
@pytest.mark.parametrize("role", ["sufficient", "check"])
async def test_a_function_says_whether_it_is_enough(role: str, said: Any, why: str | None, hands: Hands) -> None:
    """Only a clear yes counts. One that fails has confirmed nothing."""
    seen: list[Any] = []

    def body(result: Any) -> Any:
        seen.append(result)
        if isinstance(said, BaseException):
            raise said
        return said

    async def on_the_loop(result: Any) -> Any:
        return body(result)

    for function in (body, on_the_loop):

        @tool(**{role: function})  # type: ignore[call-overload, untyped-decorator]
        def book() -> Booking:
            return Booking(rooms=1)

        outcome = await call(book, hands)
        assert seen.pop() == Booking(rooms=1), "it is given the result in the type that the tool declares"
        if why is None:
            assert isinstance(outcome, e.CallSucceeded), outcome
        else:
            usual = "book says that its result is not sufficient" if role == "sufficient" else "its check does not find it done"
            said_at_last = why or usual
            assert said_at_last in insufficient(outcome)


# --- check ----------------------------------------------------------------------------------------------------------


async def test_a_check_is_given_the_call_and_its_result(hands: Hands) -> None:
    """Fresh arguments, in their types, and the key under which the call was sent."""
    seen: list[Any] = []

    def check(id: str, rooms: int, result: Any, call: Call) -> bool:
        seen.append((id, rooms, result, call.key, call.step))
        return True

    @tool(check=check)
    def book(id: str, rooms: int = 1, tags: list[str] | None = None) -> list[str]:
        return [id]

    assert isinstance(await call(book, hands, id="B-1", rooms="2"), e.CallSucceeded)
    assert seen == [("B-1", 2, ["B-1"], "hf-key", "s")]


def test_a_check_that_cannot_see_it_yet_is_asked_again_for_a_while() -> None:
    """A few times, further and further apart, within the time of the call."""
    asked: list[float] = []
    answers: list[Any] = []

    async def main(clock: Any) -> Any:
        def check() -> Any:
            asked.append(clock.monotonic())
            return answers.pop(0) if answers else NOT_YET

        made = booking(1, check=check, probe_every="2s")
        hands = Hands(clock, InlineThreads(), {}.get)
        begun, outcomes = [], []
        for said, seconds in (([NOT_YET, NOT_YET, True], 60.0), ([], 60.0), ([], 5.0)):
            answers[:] = said
            begun.append(clock.monotonic())
            outcomes.append(await call(made, hands, seconds=seconds))
            outcomes.append([at - begun[-1] for at in asked])
            asked.clear()
        return outcomes

    first, first_at, second, second_at, third, third_at = run_jumping(main)
    assert isinstance(first, e.CallSucceeded)
    assert first_at == [0, 2, 6]
    assert insufficient(second) == "its check does not find it done yet"
    assert second_at == [0, 2, 6, 14, 30] and len(second_at) == CHECKS_MAX
    assert insufficient(third) == "its check does not find it done yet"
    assert third_at == [0, 2]


async def test_a_check_that_hangs_has_confirmed_nothing(hands: Hands) -> None:
    """Its time is what the call left of its own."""

    async def on_the_loop() -> bool:
        await asyncio.Event().wait()
        return True

    def in_a_thread() -> bool:
        while True:
            time.sleep(0.001)

    for check in (on_the_loop, in_a_thread):
        outcome = await call(booking(1, check=check), hands, seconds=0.05)
        assert insufficient(outcome) == "could not be checked: its check did not answer in time"


async def test_a_call_that_used_up_its_time_is_not_checked_any_more(hands: Hands) -> None:
    """It answered in the grace: that it happened is known, and no more."""

    @tool(check=lambda: True)
    def book(call: Call) -> str:
        call.stopped.wait(5)
        return "done"

    outcome = await call(book, hands, seconds=0.02)
    assert insufficient(outcome) == "could not be checked: no time was left for its check"


async def test_each_judge_is_asked_in_turn_and_the_first_no_is_the_word(hands: Hands) -> None:
    """The tool's own word, its look at the world, then the step's expectation."""
    asked: list[str] = []

    def says(name: str, answer: Any) -> Any:
        def judge(result: Any) -> Any:
            asked.append(name)
            return answer

        return judge

    expect = Expect(that="rooms > `1`")
    yes = booking({"rooms": 1}, sufficient=says("sufficient", True), check=says("check", True))
    assert insufficient(await call(yes, hands, expect)) == "rooms > `1` is false"
    assert asked == ["sufficient", "check"]
    no = booking({"rooms": 1}, sufficient=says("sufficient", "no"), check=says("check", "neither"))
    assert insufficient(await call(no, hands, expect)) == "no"
    assert asked == ["sufficient", "check", "sufficient"]


async def test_what_is_known_not_to_be_all_is_not_judged(hands: Hands) -> None:
    """A part, and what is still to come."""
    never = {"sufficient": "`false`", "check": lambda: False}
    assert isinstance(await call(booking(Partial(1, ("x",)), **never), hands), e.CallPartial)
    assert isinstance(await call(booking(Deferred(), **never), hands), e.CallDeferred)


async def test_the_whole_of_a_large_result_is_judged(hands: Hands) -> None:
    """Not what is kept of it."""
    made = booking(list(range(10_000)), sufficient="length(@) == `10000`", result_max=1000)
    outcome = await call(made, hands, Expect(that="@[-1] == `9999`"))
    assert isinstance(outcome, e.CallSucceeded), outcome
    assert len(outcome.value) < 1000


# --- expect ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        (Expect(that="rooms > `0`"), None),
        (Expect(that="rooms > `1`"), "rooms > `1` is false"),
        (Expect(that="status == 'held'", tool="look_up", args={"id": "B-1"}), None),
        (Expect(that="status == 'paid'", tool="look_up", args={"id": "B-1"}), "look_up answers, and status == 'paid' is false"),
        (Expect(that="id == 'B-7'", tool="look_up", args={"id": {"$ref": "result.number"}}), None),
        (Expect(that="result.rooms == `1`", tool="look_up", args={"id": "B-1"}), None),
        (Expect(that="result == 'mine'", tool="look_up", args={"id": "B-1", "result": "mine"}), None),
        (Expect(tool="find", args={"id": "B-1"}), None),
        (Expect(tool="find", args={"id": "gone"}), "find finds nothing"),
        (Expect(that="x", tool="look_up", args={"id": "gone"}), "could not be checked: NotFound: no such booking"),
        (Expect(that="x", tool="look_up", args={"id": {"$ref": "result.nothing"}}), "could not be checked: Missing: result.nothing leads to nothing"),
        (Expect(that="x", tool="look_up", args={"idd": "B-1"}), "could not be checked: InvalidInput: id: Field required"),
        (Expect(that="x", tool="look_up", args={"id": "[redacted]"}), "could not be checked: an argument of look_up was never written down"),
        (Expect(that="x", tool="look_up", args={"id": {"$ref": "result.badge"}}), "could not be checked: an argument of look_up was never written down"),
        (Expect(that="x", tool="gone"), "could not be checked: gone is no read tool of the agent"),
        (Expect(that="x", tool="pays"), "could not be checked: pays is no read tool of the agent"),
        (Expect(that="x", tool="hangs"), "could not be checked: hangs did not answer in time"),
        (Expect(that="x", tool="breaks"), "could not be checked: InvalidOutput: value: Input should be a valid integer"),
        (Expect(that="x", tool="defers"), "could not be checked: defers says Deferred"),
        (Expect(that="@ == 'got [redacted]'", tool="takes_a_secret", args={"token": {"$secret": "TOKEN"}}), None),
        (Expect(that="x", tool="takes_a_secret", args={"token": {"$secret": "OTHER"}}), "could not be checked: MissingSecret: the secret OTHER"),
    ],
    ids=lambda value: value.tool or value.that if isinstance(value, Expect) else "",
)  # fmt: skip
async def test_what_a_step_expects_of_a_result_or_of_the_world(expect: Expect, why: str | None, hands: Hands) -> None:
    """By an expression over the result, or over what another tool sees; a look that fails has confirmed nothing."""
    seconds = 0.1 if expect.tool == "hangs" else 5.0
    outcome = await call(booking({"number": "B-7", "rooms": 1, "badge": 5}), hands, expect, seconds=seconds)
    if why is None:
        assert isinstance(outcome, e.CallSucceeded), outcome
    else:
        assert insufficient(outcome).startswith(why)


async def test_a_result_that_looks_like_a_secret_is_given_none(hands: Hands) -> None:
    """What the world says is data, wherever it is looked at."""
    hostile = {"$secret": "TOKEN"}
    expect = Expect(that="result.a.\"$secret\" == 'TOKEN' && id == 'x'", tool="look_up", args={"id": "x"})
    assert isinstance(await call(booking({"a": hostile}), hands, expect), e.CallSucceeded)
    expect = Expect(that="x", tool="takes_a_secret", args={"token": {"$ref": "result.a"}})
    assert "could not be checked: InvalidInput" in insufficient(await call(booking({"a": hostile}), hands, expect))


# --- what is written down of it --------------------------------------------------------------------------------------


async def test_a_result_that_is_not_enough_is_shown_if_it_is_small(hands: Hands) -> None:
    """Without secrets."""
    small = await call(booking({"rooms": 0, "badge": 7}, sufficient="rooms"), hands, Expect(that="rooms > `1`"))
    assert small.failure.detail == {"value": {"rooms": 0, "badge": "[redacted]"}}
    large = await call(booking({"rooms": [], "text": "x" * 5000}, sufficient="rooms"), hands)
    assert large.failure.detail is None


async def test_no_secret_of_the_call_is_in_what_its_judges_say(hands: Hands) -> None:
    """They know it, and repeat it."""

    def check(token: Secret) -> str:
        return f"not with {token.get_secret_value()}"

    @tool(check=check)
    def book(token: Secret) -> str:
        return token.get_secret_value()

    outcome = await call(book, hands, token={"$secret": "TOKEN"})
    assert insufficient(outcome) == "not with [redacted]"
    assert outcome.failure.detail == {"value": "[redacted]"}


@pytest.mark.parametrize(("safety", "landed"), [("read", False), ("idempotent", True)])
async def test_a_read_that_is_not_enough_changed_nothing(safety: str, landed: bool, hands: Hands) -> None:
    """So it may be made again."""
    outcome = await call(booking(0, safety=safety, sufficient="@ > `0`"), hands)
    assert (outcome.failure.kind, outcome.failure.landed) == ("insufficient", landed)


# --- what is found, or delivered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("owed", [False, True])
async def test_a_result_that_is_found_is_judged_like_one_that_comes_back(owed: bool, hands: Hands) -> None:
    """It happened, and it will not do. A part of it is not judged."""

    def look() -> Any:
        return Happened({"rooms": 0})

    made = booking(1, probe=look, poll=look, check=lambda result: result["rooms"] == 0, sufficient="rooms == `0`")
    agent = agent_of(made)
    command = RunProbe(
        step="s", probe=1, attempt=1, tool="book", args={}, key="k", occurrence=1, timeout_seconds=5, owed=owed,
        expect=Expect(that="rooms > `0`"),
    )  # fmt: skip
    answered: Any
    (answered,) = await perform(command, agent, state_of(agent), hands, {})
    assert (answered.verdict, answered.value) == ("happened", {"rooms": 0})
    assert (answered.failure.kind, answered.failure.message) == ("insufficient", "rooms > `0` is false")
    assert answered.failure.landed
    part = agent_of(booking(1, poll=lambda: Partial({"rooms": 0}, ("x",)), sufficient="rooms"))
    (answered,) = await perform(command, part, state_of(part), hands, {})
    assert answered.failure is None or not owed


async def deliver(made: Any, value: Any, hands: Hands, expect: Expect | None = None, **step: Any) -> tuple[Any, e.Failure | None]:
    """What becomes of a result that comes by itself."""
    agent = agent_of(made)
    owed = StepState(
        **{
            "step": Step(id="s", tool="book", expect=expect),
            "tool": "book",
            "args": {"id": "B-1"},
            "key": "hf-key",
            "handle": "H-1",
            "attempt": 1,
        }
        | step
    )
    return await check_delivery(owed, value, agent, state_of(agent), hands)


async def test_a_delivered_result_is_judged_by_the_same_judges(hands: Hands) -> None:
    """With the call that it is the result of; what is written down of it has no secrets."""
    seen: list[Any] = []

    def check(id: str, call: Call, result: Any) -> bool:
        seen.append((id, call.key, call.handle, result))
        return bool(result["rooms"])

    made = booking(1, check=check)
    assert await deliver(made, {"rooms": 1, "badge": 5}, hands) == ({"rooms": 1, "badge": "[redacted]"}, None)
    assert seen == [("B-1", "hf-key", "H-1", {"rooms": 1, "badge": 5})]
    value, failure = await deliver(made, {"rooms": 0}, hands)
    assert failure is not None
    assert (value, failure.kind, failure.message, failure.landed) == (
        {"rooms": 0},
        "insufficient",
        "its check does not find it done",
        True,
    )


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        (Expect(that="rooms > `0`"), None),
        (Expect(that="rooms > `1`"), "rooms > `1` is false"),
        (Expect(that="id == 'B-1'", tool="look_up", args={"id": {"$ref": "inputs.id"}}), None),
        (Expect(that="id == 'B-7'", tool="look_up", args={"id": {"$ref": "result.number"}}), None),
        (Expect(that="id", tool="look_up", args={"id": {"$ref": "inputs.nothing"}}), "could not be checked: inputs.nothing leads to nothing"),
    ],
)  # fmt: skip
async def test_a_delivered_result_is_held_against_what_its_step_expects(expect: Expect, why: str | None, hands: Hands) -> None:
    """References to the run's inputs and to the result are put in."""
    _, failure = await deliver(booking(1), {"rooms": 1, "number": "B-7"}, hands, expect)
    assert (failure.message if failure is not None else None) == why


async def test_a_delivered_result_that_is_none_is_a_failure_and_no_error(hands: Hands) -> None:
    """The agent may have changed since it was let in. At the door it is refused."""

    @tool(result_max=1000, sufficient="@")
    def book(id: str) -> str:
        return id

    for value, why in (
        (5, "value: Input should be a valid string"),
        ("x" * 5000, "the result has 5,002 bytes as JSON; book may return 1,000"),
    ):
        kept, failure = await deliver(book, value, hands)
        assert failure is not None
        assert (kept, failure.kind, failure.message, failure.landed) == (None, "invalid_output", why, True)
        with pytest.raises(errors.InvalidOutput, match=why.split(";")[0]):
            delivered(book, value, agent_of(book))
    _, failure = await deliver(book, "x", hands, tool="gone")
    assert failure is not None
    assert (failure.kind, failure.message) == ("not_found", "the agent has no tool gone")
    assert await deliver(book, "x", hands) == ("x", None)
