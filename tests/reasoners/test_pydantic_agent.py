"""An agent of Pydantic AI as the reasoner: its calls are steps, and what it said is read back from the journal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

pytest.importorskip("pydantic_ai", reason="the provider library is not installed")

from pydantic import BaseModel
from pydantic_ai import Agent as Mind
from pydantic_ai import ModelHTTPError, RunContext
from pydantic_ai.capabilities import NativeTool
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.toolsets import FunctionToolset

from holdfast import Agent, DefinitionError, Holdfast, Limits, NotFound, UsageError, tool
from holdfast.app import Run
from holdfast.core.events import Entry, Instructed, ModelAnswered, ProposalFailed, ProposalRequested
from holdfast.core.evolve import evolve, fold
from holdfast.core.models import Price
from holdfast.core.plan import Goal
from holdfast.reasoners.base import Briefing, briefing, events_of
from holdfast.reasoners.model import ModelFailure
from holdfast.reasoners.pydantic_agent import PydanticAgentReasoner
from holdfast.testing.memory.journal import MemoryJournal


class Scripted:
    """A model that says one thing after the other: a call, a text, or several parts of an answer."""

    def __init__(self, *says: Any):
        self.says = says
        self.heard: list[list[ModelMessage]] = []
        self.info: AgentInfo | None = None

    def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.heard.append(messages)
        self.info = info
        said = self.says[sum(isinstance(message, ModelResponse) for message in messages)]
        if isinstance(said, Exception):
            raise said
        if isinstance(said, ModelResponse):
            return said
        parts = [TextPart(part) if isinstance(part, str) else part for part in (said if isinstance(said, list) else [said])]
        return ModelResponse(parts=parts)

    def told(self, turn: int) -> list[tuple[str, Any]]:
        """What it was told last before its answer in a turn: outcome (or kind) and content."""
        return [(getattr(part, "outcome", part.part_kind), part.content) for part in self.heard[turn - 1][-1].parts]


def call(name: str, args: Any = None, **more: Any) -> ToolCallPart:
    return ToolCallPart(name, {} if args is None else args, **more)


class World:
    """Two tools and what they did."""

    def __init__(self) -> None:
        self.refunds: list[int] = []

        @tool(safety="keyed", key_ttl="24h")
        def refund(order: int) -> str:
            """Give the money back."""
            self.refunds.append(order)
            return f"R-{order}"

        @tool(safety="read")
        def look(what: str = "") -> str:
            """Look."""
            if what == "nowhere":
                raise NotFound("nothing there")
            return what * 100

        self.tools = [refund, look]


async def pursued(
    script: Scripted, world: World | None = None, *, agent: dict[str, Any] | None = None, **mind: Any
) -> tuple[Run, list[Entry]]:
    """A run with such a model to its end, and its journal."""
    reasoner = PydanticAgentReasoner(Mind(FunctionModel(script), **mind), pause_seconds_max=0)
    made = Agent("foreign", goal="g", tools=(world or World()).tools, reasoner=reasoner, **(agent or {}))
    async with Holdfast(MemoryJournal()) as app:
        run = await app.run(made)
        return run, await app.history(run.id)


# --- what it may bring --------------------------------------------------------------------------------------------


def looks() -> str:
    """A tool of its own."""
    return ""


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [looks]},
        {"toolsets": [FunctionToolset([looks])]},
        {"capabilities": [NativeTool(WebSearchTool())]},
    ],
    ids=["tools", "toolsets", "native"],
)
def test_an_agent_with_tools_of_its_own_is_refused(more: dict[str, Any]) -> None:
    """They would act where no journal sees it."""
    with pytest.raises(DefinitionError, match="tools of its own"):
        PydanticAgentReasoner(Mind(TestModel(), **more))


async def test_a_tool_that_it_got_later_is_not_offered() -> None:
    """The tools of the run stand in place of all others."""
    script = Scripted(call("late"), "end")
    mind = Mind(FunctionModel(script))
    reasoner = PydanticAgentReasoner(mind)
    mind.tool_plain(name="late")(lambda: pytest.fail("it was called"))
    async with Holdfast(MemoryJournal()) as app:
        run = await app.run(Agent("foreign", goal="g", tools=World().tools, reasoner=reasoner))
    assert run.result == "end"
    assert script.info is not None
    assert {form.name for form in script.info.function_tools} == {"refund", "look", "repeat_step", "give_up_run"}


async def test_it_keeps_its_instructions_prompts_deps_and_output_type() -> None:
    """It thinks as it was written; its output is the result of the run."""

    class Settled(BaseModel):
        receipt: str

    script = Scripted(call("refund", {"order": 7}), call("final_result", {"receipt": "R-7"}))
    mind = Mind(FunctionModel(script), output_type=Settled, system_prompt="You are calm.", deps_type=str)
    mind.instructions(lambda context: f"Serve {context.deps}.")

    @mind.output_validator
    def known(context: RunContext[str], settled: Settled) -> Settled:
        return settled

    reasoner = PydanticAgentReasoner(mind, deps="Ada", prompt=lambda told: f"Do {told.goal.text}")
    async with Holdfast(MemoryJournal()) as app:
        run = await app.run(Agent("foreign", goal="it", tools=World().tools, reasoner=reasoner))
    assert run.result == {"receipt": "R-7"}
    assert script.told(1) == [("system-prompt", "You are calm."), ("user-prompt", "Do it")]
    assert [heard[-1].instructions for heard in script.heard] == ["Serve Ada.", "Serve Ada."]  # type: ignore[union-attr]


def test_importing_the_adapter_loads_nothing_of_the_library() -> None:
    """Nor does importing holdfast."""
    code = (
        "import sys, holdfast, holdfast.reasoners.pydantic_agent, holdfast.reasoners.graph; print('pydantic_ai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


async def test_a_briefing_that_was_made_by_hand_is_refused() -> None:
    """What was said before is not in it."""
    with pytest.raises(UsageError):
        await PydanticAgentReasoner(Mind(TestModel())).propose(
            Briefing(run_id="r", goal=Goal(text="g"), turn=1, steps=(), tools=())
        )


# --- calls and what comes of them ---------------------------------------------------------------------------------


async def test_calls_of_one_answer_are_steps_and_their_outcomes_are_told_in_the_next_turn() -> None:
    """Results as they are, failures as failures, a call that cannot be taken alone with its reason."""
    script = Scripted(
        [
            "I look.",
            call("refund", {"order": 7}),
            call("look", {"what": "nowhere"}),
            call("refund", {"order": "x"}),
            call("bogus"),
        ],
        "end",
    )
    world = World()
    run, _ = await pursued(script, world)
    assert (run.status, run.result, world.refunds) == ("completed", "end", [7])
    assert [(outcome, str(said)[:40]) for outcome, said in script.told(2)] == [
        ("success", "R-7"),
        ("failed", "step look_1 was not done: not_found: not"),
        ("retried", script.told(2)[2][1][:40]),
        ("retried", "not taken: look first at what comes of t"),
    ]
    assert "order" in script.told(2)[2][1]


@pytest.mark.parametrize("args", ["{broken", "[1]", '{"$ref": "inputs.x"}', '{"order": NaN}'])
async def test_arguments_that_cannot_be_taken_go_back_to_the_model(args: str) -> None:
    """Nothing is called; it may try again."""
    script, world = Scripted(call("refund", args), call("refund", '{"order": 8}'), "end"), World()
    run, history = await pursued(script, world)
    assert (run.result, world.refunds) == ("end", [8])
    assert [outcome for outcome, _ in script.told(2)] == ["retried"]
    assert sum(isinstance(entry.event, ProposalFailed) for entry in history) == 1


async def test_forms_in_arguments_are_data() -> None:
    """A model cannot refer to inputs or secrets by what it says."""
    script = Scripted(call("look", {"what": {"$secret": "key"}}), call("look", {"what": "$ref"}), "end")
    await pursued(script)
    assert script.told(2)[0][0] == "retried", "a table is no text, and that is all that is wrong with it"
    assert script.told(3)[0][1] == "$ref" * 100


async def test_a_call_that_was_made_is_not_made_again_unless_the_model_says_so() -> None:
    """The same call in a later turn is refused; `repeat_step` is an intended repeat."""
    again = call("repeat_step", {"step": "refund_1", "reason": "asked for twice"})
    script, world = Scripted(call("refund", {"order": 7}), call("refund", {"order": 7}), again, "end"), World()
    run, _ = await pursued(script, world)
    assert script.told(3) == [
        ("retried", "step refund_1 did this; use its result, or repeat_step if you mean it to happen again")
    ]
    assert (run.result, world.refunds) == ("end", [7, 7])


async def test_a_call_twice_in_one_answer_is_made_once() -> None:
    """Whatever its ids are."""
    script, world = Scripted([call("refund", {"order": 7}), call("refund", {"order": 7})], "end"), World()
    await pursued(script, world)
    assert world.refunds == [7]
    assert sorted(outcome for outcome, _ in script.told(2)) == ["retried", "success"]


async def test_an_answer_that_was_cut_off_is_not_acted_on() -> None:
    """Half of the arguments look like all of them."""
    cut = ModelResponse(parts=[call("refund", {"order": 7})], finish_reason="length")
    script, world = Scripted(cut, "end"), World()
    run, _ = await pursued(script, world)
    assert (run.result, world.refunds) == ("end", [])
    assert script.told(2) == [("retried", "your answer was cut off at its longest; say less at once")]


async def test_a_person_who_says_no_is_told_as_a_denial() -> None:
    """And the run goes on."""

    @tool()
    def wire(amount: int) -> str:
        """Send money."""
        raise AssertionError("it was called")

    script = Scripted(call("wire", {"amount": 5}), "end")
    made = Agent("foreign", goal="g", tools=[wire], reasoner=PydanticAgentReasoner(Mind(FunctionModel(script))))
    async with Holdfast(MemoryJournal()) as app:
        run = await app.run(made)
        assert run.status == "blocked"
        await app.answer(run.id, "reject", by="ann", note="too much")
        run = await app.run(made, id=run.id)
    assert run.result == "end"
    assert script.told(2) == [("denied", "step wire_1 was not done: reject by ann: too much")]


async def test_it_can_give_up_in_words_of_its_own() -> None:
    """A result would look like success."""
    run, _ = await pursued(Scripted(call("give_up_run", {"reason": "the shop is closed"})))
    assert (run.status, run.reason) == ("failed", "the shop is closed")


# --- its own checks -----------------------------------------------------------------------------------------------


async def test_output_that_its_own_checks_refuse_goes_back_to_it_and_is_bounded() -> None:
    """Each try is a turn of the run, never a request that nobody wrote down."""

    class Settled(BaseModel):
        amount: int

    script = Scripted(call("final_result", {"amount": "much"}), "in words", call("final_result", {"amount": 3}))
    run, history = await pursued(script, output_type=Settled)
    assert run.result == {"amount": 3}
    assert sum(isinstance(entry.event, ModelAnswered) for entry in history) == 3
    assert [outcome for outcome, _ in script.told(2)] == ["retried"]
    assert "failed the application's validation" in script.told(3)[0][1], "what the library says to plain words"

    stubborn = Scripted(*[call("final_result", {"amount": "much"})] * 5)
    run, _ = await pursued(stubborn, output_type=Settled)
    assert run.status == "failed"
    assert len(stubborn.heard) == 3


async def test_an_unknown_tool_goes_back_to_it() -> None:
    """With the names of those that there are."""
    script = Scripted(call("bogus"), "end")
    await pursued(script)
    assert script.told(2)[0][0] == "retried"
    assert "refund" in script.told(2)[0][1]


async def test_a_result_that_is_not_accepted_goes_back_to_it() -> None:
    """With the reason, and beside what the library said to it."""
    script = Scripted("poor", "good")
    run, _ = await pursued(script, agent={"accept": "result == 'good'"})
    assert run.result == "good"
    assert script.told(2)[-1][1].startswith("Your result was not accepted: ")


async def test_a_changed_goal_is_told() -> None:
    """Beside what came of its calls."""
    script = Scripted(call("look", {"what": "x"}), "end")
    reasoner = PydanticAgentReasoner(Mind(FunctionModel(script)))
    _, history = await pursued(script)
    state = fold(history[: next(n for n, entry in enumerate(history) if getattr(entry.event, "turn", 0) == 2)])
    assert state is not None
    await reasoner.propose(briefing(msgspec.structs.replace(state, goal=Goal(text="another", inputs={"x": 1}))))
    assert [said for _, said in script.told(3)][1:] == ['The goal has changed. It is now: another\n\nInputs: {"x":1}']


async def test_an_instruction_is_told_once_when_it_came() -> None:
    """Who said it, and what; what was told before is in the conversation already."""
    script = Scripted(call("look", {"what": "x"}), "end", "end")
    reasoner = PydanticAgentReasoner(Mind(FunctionModel(script)))
    _, history = await pursued(script)
    state = fold(history[: next(n for n, entry in enumerate(history) if getattr(entry.event, "turn", 0) == 2)])
    assert state is not None
    state = msgspec.structs.replace(state, instructions=(Instructed(text="in Danish", by="ann"),))
    thought = await reasoner.propose(briefing(state))
    assert [said for _, said in script.told(3)][1:] == ["ann says how you are to go on from now on: in Danish"]
    (answer, _) = events_of(thought, state, 2)
    later = state
    for event in (ProposalRequested(turn=2), answer):
        later = evolve(later, Entry(later.version + 1, later.at, later.fence, event))
    await reasoner.propose(briefing(later))
    assert not any("Danish" in said for _, said in script.told(4))


# --- what is written down -----------------------------------------------------------------------------------------


async def test_the_model_is_shown_the_same_beginning_in_every_turn() -> None:
    """What it said and was told is read back as it was, from another worker too, so that caches of providers hit."""
    thought = ThinkingPart("hm", signature="s1", provider_name="p")
    script = Scripted(
        [thought, "I look.", call("look", {"what": "a"}, id="own-1", provider_name="p")],
        [call("refund", {"order": 7}), call("refund", "{")],
        call("bogus"),
        call("look", {"what": {"no": "text"}}),
        "end",
    )
    run, _ = await pursued(script)
    assert run.result == "end"
    for before, after in zip(script.heard, script.heard[1:], strict=False):
        assert shown(after[: len(before)]) == shown(before)
    parts = script.heard[-1][1].parts
    assert [getattr(part, "signature", None) for part in parts] == ["s1", None, None]
    assert (parts[2].id, parts[2].args) == ("own-1", {"what": "a"})  # type: ignore[union-attr]


def shown(messages: Sequence[ModelMessage]) -> list[Any]:
    """What a provider is sent of messages."""
    names = ("part_kind", "content", "tool_name", "args", "tool_call_id", "outcome", "signature", "id", "provider_name")
    return [[{name: getattr(part, name, None) for name in names} for part in message.parts] for message in messages]


async def test_each_message_is_written_once_and_results_stay_where_they_are() -> None:
    """The journal grows by the same in every turn, and what a turn adds has neither results nor arguments in it."""
    turns = 30
    script = Scripted(*[call("look", {"what": f"{n:03}" + "x" * 50}) for n in range(turns)], "end")
    run, history = await pursued(script, agent={"limits": Limits(idle_turns_max=100)}, instructions="i" * 500)
    assert run.result == "end"
    sizes = [len(msgspec.json.encode(entry.event)) for entry in history if isinstance(entry.event, ModelAnswered)]
    assert max(sizes[1:-1]) - min(sizes[1:-1]) <= 8
    assert max(sizes) < 1500
    assert "x" * 50 not in "".join(
        msgspec.json.encode(entry.event).decode() for entry in history if isinstance(entry.event, ModelAnswered)
    )


async def test_what_is_never_written_down_is_not_written_in_a_call_that_was_refused() -> None:
    """By its name, as everywhere."""
    script = Scripted(call("look", {"what": 1, "password": "hunter2"}), "end")
    _, history = await pursued(script)
    assert "hunter2" not in "".join(msgspec.json.encode(entry).decode() for entry in history)


async def test_what_it_used_is_counted_and_costed_where_a_price_is_given() -> None:
    """To the grain, by turn."""
    script = Scripted(call("look", {"what": "x"}), "end")
    price = Price(input_usd=Decimal(2), output_usd=Decimal(10))
    reasoner = PydanticAgentReasoner(Mind(FunctionModel(script)), name="anthropic:some", price=price)
    async with Holdfast(MemoryJournal()) as app:
        run = await app.run(Agent("foreign", goal="g", tools=World().tools, reasoner=reasoner))
        answered = [entry.event for entry in await app.history(run.id) if isinstance(entry.event, ModelAnswered)]
    assert [event.model for event in answered] == ["anthropic:some"] * 2
    for event in answered:
        used = event.usage
        assert used.input_tokens > 0
        assert used.cost_usd == (2 * used.input_tokens + 10 * used.output_tokens) / Decimal(1_000_000)


# --- a provider that fails ----------------------------------------------------------------------------------------


async def test_a_provider_that_is_down_ends_the_run_after_three_tries_with_what_was_done_kept() -> None:
    """No request is repeated inside a turn, and the reason is the provider's."""
    down = ModelHTTPError(status_code=429, model_name="m", body={"error": {"message": "slow down"}})
    script, world = Scripted(call("refund", {"order": 7}), down), World()
    run, history = await pursued(script, world)
    assert run.status == "failed"
    assert "slow down" in run.reason
    assert world.refunds == [7]
    assert len(script.heard) == 4
    assert sum(isinstance(entry.event, ProposalFailed) for entry in history) == 3


async def test_it_waits_before_a_busy_provider_counts_as_failed() -> None:
    """Longer each time, no longer than it may, and not at all where waiting changes nothing."""
    reasoner = PydanticAgentReasoner(Mind(TestModel()), pause_seconds_max=5)
    assert [reasoner._pause(ModelFailure("unavailable", ""), before) for before in range(3)] == [2.0, 4.0, 5.0]
    assert reasoner._pause(ModelFailure("rate_limited", "", retry_after_seconds=3), 0) == 3.0
    assert reasoner._pause(ModelFailure("denied", ""), 2) == 0.0
