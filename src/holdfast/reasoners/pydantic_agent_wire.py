"""One turn of an agent of Pydantic AI, in the library's own terms; see `pydantic_agent`.

How what was said is written down: the words of an answer are parts of their own (texts, thoughts, calls), and a last part holds
the rest of it, with holes where those words stand, beside what was told to the model before it (`asked`) and after it (`told`,
by the library itself). Results and arguments of steps are not written down again: they are read off the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from pydantic_ai import Agent, AgentRetries
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.run import AgentRun
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset, FunctionToolset
from pydantic_core import to_jsonable_python

from holdfast.core import events, values
from holdfast.core.contract import digest
from holdfast.core.models import Part, Price, Usage, cost
from holdfast.core.plan import Plan, Step
from holdfast.core.references import SECRET, unmarked
from holdfast.core.state import ENDED, State, StepState, Turn, secret_names
from holdfast.core.thinking import Thinking
from holdfast.errors import UsageError
from holdfast.reasoners import verbs
from holdfast.reasoners.answers import CALLS_MAX, REFUSED_BYTES_MAX, TEXT_MAX
from holdfast.reasoners.base import Briefing, Finish, GiveUp, Proposal, Propose, Thought
from holdfast.reasoners.calls import repeat_of, same_twice, step_of_call, with_ids
from holdfast.reasoners.llm_failures import failure_of
from holdfast.reasoners.words import clean, line, shrunk, written

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent

PROVIDER = "pydantic-ai"
# A run with such an agent goes one step at a time, and is told so in the agent's own words.
_PLAIN = Thinking(models={}, routes={})
# Offered beside the agent's tools: what an intended repeat needs, and a way to stop that is no result.
_OWN = {name: form for name, form in verbs.offered(_PLAIN).items() if name in (verbs.REPEAT, verbs.GIVE_UP)}
# Of a message and its parts: what says when and where it was made, or stands elsewhere in the journal.
_LEFT_AWAY = frozenset({"timestamp", "run_id", "conversation_id", "usage", "instructions"})
_REASON_MAX, _PROBLEM_MAX = 200, 2_000


def tools_of(agent: AbstractAgent[Any, Any]) -> list[str]:
    """What the agent could call by itself."""
    found: list[str] = []
    for toolset in agent.toolsets:
        if isinstance(toolset, FunctionToolset):
            found += list(toolset.tools)
        else:
            found.append(toolset.label)
    native = agent.root_capability.get_native_tools()
    # The library adds a search for tools to every agent; it looks through what is offered, and does nothing else.
    return found + [kind for tool in native if (kind := getattr(tool, "kind", "a native tool")) != "tool_search"]


class Exchange:
    """One turn: what the agent is told, what it says, and what that comes to. prompt: its goal, in words. name, price: see
    `PydanticAgentReasoner`."""

    def __init__(
        self,
        agent: AbstractAgent[Any, Any],
        deps: Any,
        prompt: Callable[[Briefing], str],
        briefing: Briefing,
        state: State,
        *,
        name: str | None = None,
        price: Price | None = None,
    ):
        self.agent, self.deps, self.name, self.price = agent, deps, name, price
        self.briefing, self.state = briefing, state
        self.prompt: Callable[[], str] = lambda: prompt(briefing)
        if taken := sorted(verbs.VERBS & state.contracts.keys()):
            raise UsageError(f"{', '.join(taken)}: tools of this name are holdfast's own", hint="give the tool another name")
        self.forms = {form.name: form for form in verbs.forms(state.contracts, _PLAIN) if form.name in {*state.contracts, *_OWN}}
        self.goal = digest(briefing.goal)

    async def thought(self) -> Thought:
        """Ask, and take what was said apart. ModelFailure where nothing was said."""
        before, told = _history(self.state)
        asked = _News(self.state, told, self.goal, self.prompt).parts() if before else []
        heard = _Heard(self.state, self.forms)
        since = time.monotonic()
        with self._tools():
            async with self._begun(before, [*told, *asked]) as run:
                response = await _answer(run)
                if not before:
                    asked = [_bare(part) for part in _dumped(run.all_messages()[:1])[0]["parts"]]
                heard.read(response)
                proposal, after = await self._proposal(run, heard)
        record: dict[str, Any] = {"goal": self.goal, "asked": asked, "answer": _skeleton(response), "told": after}
        if self.state.instructions:
            record["instructed"] = len(self.state.instructions)
        usage = _usage(response)
        if self.price is not None:
            usage = msgspec.structs.replace(usage, cost_usd=cost(self.price, usage))
        return Thought(
            model=clean(self.name or response.model_id or response.model_name or PROVIDER, 200),
            said=(*heard.said(), Part(kind="text", provider=PROVIDER, details=values.plain(record))),
            usage=usage,
            finish=response.finish_reason or "",
            seconds=time.monotonic() - since,
            proposal=proposal,
            problems=() if proposal is not None else heard.problems(),
        )

    def _tools(self) -> Any:
        """The tools of the run in place of whatever the agent has, should it have got some since it was looked at."""
        offered = [
            ToolDefinition(name=form.name, description=form.description, parameters_json_schema=form.input_schema)
            for form in self.forms.values()
        ]
        return self.agent.override(tools=[], toolsets=[ExternalToolset(offered)], native_tools=[])

    def _begun(self, before: list[Any], told: list[Any]) -> Any:
        messages = before + ([{"kind": "request", "parts": [_filled(part, self.state) for part in told]}] if before else [])
        return self.agent.iter(
            None if before else self.prompt(),
            message_history=ModelMessagesTypeAdapter.validate_python(messages),
            deps=self.deps,
            # Where it would ask again by itself, it is asked again by the run.
            retries=AgentRetries(tools=1, output=1),
            model_settings=ModelSettings(max_retries=0),
        )

    async def _proposal(self, run: AgentRun[Any, Any], heard: _Heard) -> tuple[Proposal | None, list[Any]]:
        """What is proposed, and what the library says to the answer by itself."""
        if heard.has_calls:
            return heard.proposal(self.briefing.turn), []
        try:
            node = await run.next(cast("Any", run.next_node))
        except AgentRunError as error:
            heard.refuse_all(clean(str(error), _PROBLEM_MAX))
            return None, []
        if Agent.is_end_node(node):
            told = run.all_messages()[-1]
            after = _dumped([told])[0]["parts"] if isinstance(told, ModelRequest) else []
            return Finish(to_jsonable_python(node.data.output)), [_bare(part) for part in after]
        request = cast("Any", node).request
        after = [_bare(part) for part in _dumped([request])[0]["parts"]]
        heard.other_problems += [line(_words(part.get("content")), _PROBLEM_MAX) for part in after]
        return None, after


async def _answer(run: AgentRun[Any, Any]) -> ModelResponse:
    """What the model says to one request. The run stands before the node that would act on it then."""
    try:
        node: Any = run.next_node
        while not Agent.is_call_tools_node(node):
            node = await run.next(node)
        response: ModelResponse = node.model_response
        return response
    except (ModelAPIError, AgentRunError, UserError, OSError) as error:
        raise failure_of(error) from error


# --- what is heard ------------------------------------------------------------------------------------------------


class _Call:
    """One call of an answer, and what is decided of it."""

    def __init__(self, part: ToolCallPart, names: frozenset[str]):
        self.tool, self.id = clean(part.tool_name, 200), clean(part.tool_call_id, 200)
        self.args, self.problem = _arguments(part.args)
        self.step: Step | None = None
        self.names = names

    def part(self) -> Part:
        """As it is written down: the arguments of one that became a step stand there."""
        kept = self.args
        if self.step is not None and not self.problem and self.tool not in _OWN:
            kept = None
        elif kept is not None:
            kept = _without(kept, self.names)
            kept = shrunk(kept, REFUSED_BYTES_MAX) if self.problem else kept
        step = self.step.id if self.step is not None and not self.problem else ""
        return Part(kind="call", id=self.id, tool=self.tool, args=kept, step=step, problem=self.problem, provider=PROVIDER)


class _Heard:
    """An answer while it is taken apart. forms: of the tools of the run."""

    def __init__(self, state: State, forms: Mapping[str, Any]):
        self.state, self.forms = state, forms
        self.parts: list[Part | _Call] = []
        self.calls: list[_Call] = []
        self.other_problems: list[str] = []
        self.cut_off = False

    def read(self, response: ModelResponse) -> None:
        self.cut_off = response.finish_reason == "length"
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                self.calls.append(_Call(part, secret_names(self.state)))
                self.parts.append(self.calls[-1])
            elif isinstance(part, TextPart):
                self.parts.append(Part(kind="text", text=clean(part.content, TEXT_MAX), provider=PROVIDER))
            elif isinstance(part, ThinkingPart):
                self.parts.append(Part(kind="thinking", text=clean(part.content, TEXT_MAX), provider=PROVIDER))

    @property
    def has_calls(self) -> bool:
        """Whether it calls a tool of the run; else the library knows what to make of it."""
        return any(call.tool in self.forms for call in self.calls)

    def said(self) -> tuple[Part, ...]:
        """Every part as it is written down."""
        return tuple(part.part() if isinstance(part, _Call) else part for part in self.parts)

    def problems(self) -> tuple[str, ...]:
        """Why nothing was taken."""
        found = [*self.other_problems, *(f"{line(call.tool, 100)}: {call.problem}" for call in self.calls if call.problem)]
        return tuple(dict.fromkeys(found)) or ("nothing in the answer could be taken",)

    def refuse_all(self, problem: str) -> None:
        """Nothing of it is taken."""
        self.other_problems.append(problem)
        for call in self.calls:
            call.problem = call.problem or problem

    def proposal(self, turn: int) -> Proposal | None:
        """The steps that the sound calls become; a call that cannot be taken is refused alone."""
        if self.cut_off:
            self.refuse_all("your answer was cut off at its longest; say less at once")
            return None
        for number, call in enumerate(self.calls):
            if number >= CALLS_MAX:
                call.problem = call.problem or f"there are more than {CALLS_MAX} calls in this answer"
            elif call.tool not in self.forms:
                call.problem = call.problem or "not taken: look first at what comes of the other calls of this answer"
        if (given_up := self._given_up()) is not None:
            return given_up
        sound = [call for call in self.calls if not call.problem]
        state = _with_calls(self.state)
        for call in sound:
            step = self._step(call, state)
            if isinstance(step, str):
                call.problem = clean(step, _PROBLEM_MAX)
            else:
                call.step = step
        made = [call for call in sound if call.step is not None]
        named = with_ids([(call.id, cast("Step", call.step)) for call in made], self.state, turn)
        twice = same_twice(named, self.state)
        for call, step in zip(made, named, strict=True):
            call.step = step
            if step.id in twice:
                call.problem = "another call in this answer does the very same; it is made once"
        steps = tuple(call.step for call in made if call.step is not None and not call.problem)
        text = "\n".join(part.text for part in self.parts if isinstance(part, Part) and part.kind == "text")
        return Propose(plan=Plan(steps=steps, final=False), reason=line(text, _REASON_MAX)) if steps else None

    def _given_up(self) -> GiveUp | None:
        call = next((call for call in self.calls if call.tool == verbs.GIVE_UP and call.tool in self.forms), None)
        if call is None or call.problem:
            return None
        reason = call.args.get("reason")
        if len(self.calls) > 1 or not isinstance(reason, str) or not reason.strip():
            call.problem = "say why, and call nothing else beside it"
            return None
        return GiveUp(clean(reason.strip(), _PROBLEM_MAX))

    def _step(self, call: _Call, state: State) -> Step | str:
        if call.tool in state.contracts:
            return step_of_call(call.tool, call.args, state, self.forms)
        if not isinstance(call.args.get("step"), str):
            return "name the step"
        return repeat_of(call.args, state)


def _with_calls(state: State) -> State:
    """The state with the calls that were made, by tool and arguments: the core keeps them only where it knows the model."""
    done = state.done_calls
    for name in state.order:
        step = state.steps[name]
        if step.key and step.args is not None:
            done = done.insert(digest([step.tool, step.args]), name)
    return msgspec.structs.replace(state, done_calls=done)


def _arguments(args: Any) -> tuple[Any, str]:
    """The arguments of a call as plain JSON, and what is wrong with them."""
    if args is None or args == "":
        return {}, ""
    try:
        found = values.plain(msgspec.json.decode(args) if isinstance(args, str) else args)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        kept = clean(args, REFUSED_BYTES_MAX) if isinstance(args, str) else None
        return kept, f"the arguments are no JSON: {line(str(error), 200)}"
    return found, "" if isinstance(found, dict) else "the arguments are no table"


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: values.REDACTED if key in names else _without(part, names) for key, part in value.items()}
    return [_without(part, names) for part in value] if isinstance(value, list) else value


def _usage(response: ModelResponse) -> Usage:
    used = response.usage
    return Usage(
        input_tokens=max(used.input_tokens, 0),
        output_tokens=max(used.output_tokens, 0),
        cache_read_tokens=max(used.cache_read_tokens, 0),
        cache_write_tokens=max(used.cache_write_tokens, 0),
        requests=1,
    )


# --- what is told -------------------------------------------------------------------------------------------------


class _News:
    """What the model is told after its last answer. told: what the library said to that already. goal: the digest of it."""

    def __init__(self, state: State, told: Sequence[Mapping[str, Any]], goal: str, prompt: Callable[[], str]):
        self.state, self.told, self.goal, self.prompt = state, told, goal, prompt
        self.last = next(turn for turn in reversed(state.turns) if _record(turn) is not None)

    def parts(self) -> list[dict[str, Any]]:
        """As parts of a request; with holes for the results of steps."""
        answered = {part.get("tool_call_id") for part in self.told}
        found = [self._returned(part) for part in self.last.said if part.kind == "call" and part.id not in answered]
        texts = [text for text in self._texts(carried=bool(found or self.told)) if text]
        if not (found or texts or self.told):
            texts = ["Go on."]
        return found + [{"part_kind": "user-prompt", "content": text} for text in texts]

    def _returned(self, call: Part) -> dict[str, Any]:
        returned = {"part_kind": "tool-return", "tool_name": call.tool, "tool_call_id": call.id}
        step = self.state.steps.get(call.step) if call.step else None
        if step is None:
            return returned | {"content": call.problem or "not made: " + "; ".join(self.last.problems), "outcome": "retried"}
        if step.phase == "done":
            return returned | {"content": None, "outcome": "success", "metadata": {"step": call.step}}
        if step.phase not in ENDED:
            return returned | {"content": f"step {call.step} is still under way ({step.phase})", "outcome": "success"}
        by_a_person = step.failure is not None and step.failure.detail == events.BY_A_PERSON
        said = f"step {call.step} was not done: {step.reason or step.phase}"
        return returned | {"content": said, "outcome": "denied" if by_a_person else "failed"}

    def _texts(self, *, carried: bool) -> Iterator[str]:
        """What is no answer to a call. carried: what was wrong with the answer has been said."""
        state, record = self.state, _record(self.last)
        if self.last.outcome == "failed" and not carried:
            yield "Nothing of your answer could be taken: " + "; ".join(self.last.problems)
        if self.last.outcome == "finish" and state.refused_because:
            yield f"Your result was not accepted: {state.refused_because[-1]}"
        if record is not None and record["goal"] != self.goal:
            yield f"The goal has changed. It is now: {self.prompt()}"
        for said in state.instructions[record.get("instructed", 0) :] if record is not None else ():
            yield f"{said.by} says how you are to go on from now on: {said.text}"
        for owed in state.pending.values():
            what = {"rest": "the rest of its work", "sight": "that its effect can be seen"}.get(owed.about, "its result")
            yield f"Step {owed.step} ({owed.tool}) still owes {what}; do not repeat it."


def _record(turn: Turn) -> dict[str, Any] | None:
    """What was written down of a turn beside its words; None for one of somebody else."""
    last = turn.said[-1] if turn.said else None
    return last.details if last is not None and last.provider == PROVIDER and isinstance(last.details, dict) else None


def _history(state: State) -> tuple[list[Any], list[Any]]:
    """All messages so far in the library's JSON, and what the library said to the last answer."""
    messages: list[Any] = []
    told: list[Any] = []
    for turn in state.turns:
        record = _record(turn)
        if record is None:
            continue
        messages.append({"kind": "request", "parts": [_filled(part, state) for part in (*told, *record["asked"])]})
        messages.append(_restored(record["answer"], turn.said, state))
        told = record["told"]
    return messages, told


def _filled(part: dict[str, Any], state: State) -> dict[str, Any]:
    """A part with the result of the step that it is about."""
    named = part.get("metadata")
    name = named.get("step") if part.get("part_kind") == "tool-return" and isinstance(named, dict) else None
    return part if name is None else {**part, "content": _result(state.steps[name])}


def _result(step: StepState) -> Any:
    return {"done": step.value, "not_done": list(step.left)} if step.left else step.value


def _skeleton(response: ModelResponse) -> dict[str, Any]:
    """An answer without its words."""
    found = _dumped([response])[0]
    holes = {"text": "content", "thinking": "content", "tool-call": "args"}
    parts = [{key: value for key, value in part.items() if key != holes.get(part["part_kind"])} for part in found["parts"]]
    return {**_bare(found), "parts": [_bare(part) for part in parts]}


def _restored(skeleton: dict[str, Any], said: Sequence[Part], state: State) -> dict[str, Any]:
    words = iter(said)
    parts = []
    for part in skeleton["parts"]:
        if part["part_kind"] in ("text", "thinking"):
            parts.append({**part, "content": next(words).text})
        elif part["part_kind"] == "tool-call":
            parts.append({**part, "args": _args_of(next(words), state)})
        else:
            parts.append(part)
    return {**skeleton, "parts": parts}


def _args_of(call: Part, state: State) -> Any:
    """The arguments of a call as the model gave them. Those of one that the run did not take after all are gone."""
    step = state.steps.get(call.step) if call.step else None
    if call.args is not None or step is None:
        args = {} if call.args is None else call.args
        return args if isinstance(args, (dict, str)) else written(args)
    given = {name: value for name, value in step.step.args.items() if not (isinstance(value, dict) and SECRET in value)}
    return unmarked(given)


def _dumped(messages: Sequence[ModelMessage]) -> list[Any]:
    found: list[Any] = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json", exclude_none=True)
    return found


def _bare(form: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in form.items() if key not in _LEFT_AWAY}


def _words(content: Any) -> str:
    return content if isinstance(content, str) else written(to_jsonable_python(content))
