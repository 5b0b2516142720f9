"""One function per command: the only place that touches the world.

Whatever happens here comes back as one outcome event. What counts as *failed* and what as *unknown* is the line that
matters: a failure says that the effect did not happen, so only a tool may say it, by raising a ToolFailure; anything else
that goes wrong in a tool that changes the world leaves that open. And a result that will not do (it breaks its schema, it is
not enough) is a failure that says of itself that the effect has *landed*.
"""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec

from holdfast.agent import Agent
from holdfast.core.budget import lost
from holdfast.core.commands import AskReasoner, CallTool, RunProbe
from holdfast.core.events import (
    AnyEvent,
    CallDeferred,
    CallFailed,
    CallPartial,
    CallSucceeded,
    CallUnknown,
    Change,
    Cut,
    FactsLearned,
    Failure,
    FailureKind,
    FinishProposed,
    GiveUpProposed,
    GoalInterpreted,
    ModelFailed,
    PlanAdopted,
    PlanKept,
    ProbeAnswered,
    ProposalFailed,
    QuestionsProposed,
    Verdict,
)
from holdfast.core.facts import Fact
from holdfast.core.models import Usage, cost
from holdfast.core.references import REF, fill
from holdfast.core.state import State
from holdfast.core.thinking import Question
from holdfast.core.values import REDACTED, plain, redacted_in
from holdfast.errors import InvalidOutput, MissingSecret, ToolFailure, Unknown
from holdfast.journal.codec import blob_digest, redact
from holdfast.reasoners.base import Thought, briefing, events_of
from holdfast.reasoners.model import Listener, ModelFailure
from holdfast.runner.heartbeat import Heartbeat
from holdfast.runner.invoke import Hands as Hands
from holdfast.runner.invoke import call_of, contained, invoke
from holdfast.runner.judge import Result, is_judged, judged, result_of_call, too_large
from holdfast.runner.size import shortened
from holdfast.runner.threads import TimedOut
from holdfast.runner.words import MESSAGE_MAX, failure_of, text, time_of, words
from holdfast.tools.answers import Deferred, Happened, Partial, Probed
from holdfast.tools.call import Call
from holdfast.tools.function import Tool
from holdfast.tools.signature import Inquiry
from holdfast.tools.toolbox import arguments_in, scrubbed_value

# A poll that fails in one of these ways could not look, or could not read what it saw; in any other it says what the other
# side said.
_COULD_NOT_LOOK = frozenset({"transient", "rate_limited", "unavailable", "invalid_output"})


async def perform(
    command: CallTool | RunProbe | AskReasoner, agent: Agent, state: State, hands: Hands, contents: dict[str, bytes]
) -> tuple[AnyEvent, ...]:
    """Do what the command says and return its outcome: one event, or more where a model was asked. contents: takes the large
    values that belong to the outcome, by digest; they are to be stored in the commit that carries it."""
    if type(command) is CallTool:
        return (await call_tool(command, agent, state.run_id, hands, contents),)
    if type(command) is RunProbe:
        return (await run_probe(command, agent, state.run_id, hands, contents),)
    assert type(command) is AskReasoner
    return await ask_reasoner(command, agent, state, hands)


async def call_tool(command: CallTool, agent: Agent, run_id: str, hands: Hands, contents: dict[str, bytes]) -> AnyEvent:
    """Call a tool once, within its time, and judge what it returned."""
    tool = agent.toolbox.get(command.tool)
    if tool is None:
        return _failed(command, "not_found", f"the agent has no tool {command.tool}")
    if redacted_in(command.args):
        lost = "an argument holds what was never written down, by its name; give it as {$secret: NAME} in the plan"
        return _failed(command, "invalid_input", lost)
    return await _Calling(command, tool, agent, run_id, hands, contents).outcome()


async def run_probe(command: RunProbe, agent: Agent, run_id: str, hands: Hands, contents: dict[str, bytes]) -> ProbeAnswered:
    """Ask a tool whether a call of it happened, or whether what it owes has come. A probe that fails is asked again, like one
    that says "not yet"."""
    tool = agent.toolbox.get(command.tool)
    asked = None if tool is None else tool.poll if command.owed and tool.poll is not None else tool.probe
    if tool is None or asked is None:
        return _answered(command, "cannot_tell", f"{command.tool} has no {'poll' if command.owed else 'probe'}")
    return await _Probing(command, tool, asked, agent, run_id, hands, contents).answer()


async def ask_reasoner(command: AskReasoner, agent: Agent, state: State, hands: Hands) -> tuple[AnyEvent, ...]:
    """Ask the reasoner, and check what it proposes."""
    told = briefing(state, command, hands.clock.now(), _listener(command, state, hands))
    try:
        async with asyncio.timeout(command.timeout_seconds):
            began = hands.clock.monotonic()
            proposal = await contained(agent.reasoner.propose(told))
        if isinstance(proposal, Thought):
            proposal = msgspec.structs.replace(proposal, seconds=round(hands.clock.monotonic() - began, 6))
        return tuple(_in_bounds(event, agent) for event in events_of(proposal, state, command.turn))
    except ModelFailure as failure:
        if not command.model:  # A reasoner that asks a model by itself; nothing of the core's routes it to another one.
            return (ProposalFailed(turn=command.turn, problems=(f"{failure.kind}: {words(failure.message)}",)),)
        return (_model_failed(command, failure),)
    except TimeoutError:
        why = f"no answer within {command.timeout_seconds:g} s"
    except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded outcome.
        why = f"{type(surprise).__name__}: {text(surprise, ())}"
        if command.model:
            return (_model_failed(command, ModelFailure("crashed", why, charged=True)),)
        return (ProposalFailed(turn=command.turn, problems=(why,)),)
    if command.model:
        return (_model_failed(command, ModelFailure("transient", why, charged=True)),)
    return (ProposalFailed(turn=command.turn, problems=(f"the reasoner: {why}",)),)


def _listener(command: AskReasoner, state: State, hands: Hands) -> Listener | None:
    """Who hears a model while it speaks; None where nobody does. One that raises hears no more: to watch a run must not change
    it, and the answer is paid for whoever listens."""
    words_heard = hands.words
    if words_heard is None:
        return None
    listening = [words_heard]

    def hear(kind: str, said: str) -> None:
        for told in listening:
            try:
                told(state.run_id, command.turn, kind, said)
            except Exception:  # noqa: BLE001 — the watcher's own, such as a terminal that is gone; nothing of the run's is lost.
                listening.clear()

    return hear


def _model_failed(command: AskReasoner, failure: ModelFailure) -> ModelFailed:
    """What the provider counted is spent. Where it said nothing, a request that it may have answered counts in full."""
    usage = failure.usage
    if failure.charged and not usage.tokens and command.reserved is not None:
        usage = lost(command.reserved)
    elif command.terms is not None:
        usage = msgspec.structs.replace(usage, cost_usd=cost(command.terms.price, usage), requests=1)
    said = Failure(
        kind=failure.kind,
        message=words(failure.message),
        retry_after_seconds=failure.retry_after_seconds,
        detail={"context": True} if failure.context else None,
    )
    return ModelFailed(turn=command.turn, model=command.model, failure=said, usage=usage)


class _Calling:
    """One call on its way. call: what the function is told of it, where it asks or runs in a thread. secrets: the plain ones
    that it was given, to be kept out of all that is written down."""

    def __init__(
        self, command: CallTool, tool: Tool[..., Any], agent: Agent, run_id: str, hands: Hands, contents: dict[str, bytes]
    ):
        self.command, self.tool, self.agent = command, tool, agent
        self.run_id, self.hands, self.contents = run_id, hands, contents
        self.changes_nothing = command.contract.safety == "read"
        self.secrets: tuple[str, ...] = ()
        self.call: Call | None = None
        self.heartbeat: Heartbeat | None = None

    async def outcome(self) -> AnyEvent:
        """Make the call; whatever becomes of it is one event."""
        started = self.hands.clock.monotonic()
        try:
            returned = await self._returned()
        except ToolFailure as failure:
            return self._failed(failure_of(failure, self.agent.secret_names, self.secrets))
        except MissingSecret as missing:
            return self._failed(Failure(kind="denied", message=str(missing)[:MESSAGE_MAX]))
        except TimedOut:
            return self._open("transient", self._overtime())
        except Unknown as unknown:
            return self._open("transient", text(unknown, self.secrets))
        except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded outcome.
            return self._open("crashed", f"{type(surprise).__name__}: {text(surprise, self.secrets)}")
        seconds = round(self.hands.clock.monotonic() - started, 6)
        try:
            return await self._outcome_of(returned, seconds)
        except InvalidOutput as broken:
            return self._failed(failure_of(broken, self.agent.secret_names, self.secrets, landed=not self.changes_nothing))
        except Exception as surprise:  # noqa: BLE001 — as above; what it returned may be code of the user's too.
            return self._open("crashed", f"{type(surprise).__name__}: {text(surprise, self.secrets)}")

    async def _returned(self) -> Any:
        command, tool, contract = self.command, self.tool, self.command.contract
        arguments, self.secrets = arguments_in(tool, command.args, self.hands.secrets)
        if tool.call_parameter is not None or not tool.is_async:
            seconds = command.timeout_seconds
            self.call = call_of(command, self.run_id, seconds, self.hands, callback=contract.callback)
            if self.call.token:
                self.secrets = (*self.secrets, self.call.token)  # Journals keep its digest only.
            if contract.heartbeat_seconds is not None:
                self.heartbeat = Heartbeat(contract.heartbeat_seconds)
                self.call.reports.on_progress = self.heartbeat.beat
        return await invoke(
            tool.function, tool.is_async, tool.call_parameter, arguments, self.call, command.timeout_seconds, self.hands,
            self.heartbeat,
        )  # fmt: skip

    async def _outcome_of(self, returned: Any, seconds: float) -> AnyEvent:
        step, attempt = self.command.step, self.command.attempt
        if isinstance(returned, Deferred):
            return CallDeferred(step=step, attempt=attempt, changes=self._changes(), spent=self._spent(), **self._owed(returned))
        if isinstance(returned, Partial):
            return self._partial(returned)
        result = result_of_call(self.tool, returned, self.agent, self.secrets)
        value, cut = _fitted(self.tool, result, self.contents)
        if is_judged(self.command, self.tool):
            until = asyncio.get_running_loop().time() + self.command.timeout_seconds - seconds
            failure = await judged(self.command, self.tool, result, self.agent, self.run_id, self.hands, until)
            if failure is not None:
                return self._failed(failure)
        return CallSucceeded(
            step=step, attempt=attempt, value=value, seconds=seconds, changes=self._changes(), spent=self._spent(), cut=cut
        )

    def _partial(self, returned: Partial) -> CallPartial:
        """What a part was, and what is left. It is not judged: it is known not to be enough."""
        result = result_of_call(self.tool, returned.value, self.agent, self.secrets)
        value, cut = _fitted(self.tool, result, self.contents)
        return CallPartial(
            step=self.command.step,
            attempt=self.command.attempt,
            value=value,
            left=_items(returned.left, self.secrets),
            rest=self._rest(returned.rest),
            changes=self._changes(),
            spent=self._spent(),
            cut=cut,
            **self._owed(returned),
        )

    def _rest(self, rest: Any) -> dict[str, Any] | None:
        """The arguments of the call that does the rest, as they may be written down: secrets stay what they were in this call,
        and what looks like a reference is data."""
        if rest is None:
            return None
        try:
            kept = redact(scrubbed_value(plain(rest), self.secrets), self.agent.secret_names)
        except ValueError as error:
            raise InvalidOutput(f"the arguments for the rest cannot be written as JSON: {error}") from None
        if not isinstance(kept, dict):
            raise InvalidOutput("the arguments for the rest are no table of names and values")
        marked = {name: fill({REF: "result"}, result=part) for name, part in kept.items()}
        given = self.command.args
        return marked | {name: given[name] for name in self.tool.contract.secrets if name in given}

    def _owed(self, said: Deferred | Partial) -> dict[str, Any]:
        """By whom it is owed, until when, and how it is named."""
        return {
            "handle": words(str(said.handle), self.secrets),
            "until": time_of(said.until, self.hands.clock.now()),
            "by": words(str(said.by), self.secrets),
            "signal": words(str(said.signal), self.secrets),
        }

    def _changes(self) -> tuple[Change, ...]:
        """What else the call says it changed."""
        if self.call is None or not (changes := self.call.reports.changes):
            return ()
        return tuple(
            Change(name=words(change.name, self.secrets), amount=change.amount, note=words(change.note, self.secrets))
            for change in changes
        )

    def _spent(self) -> Usage | None:
        """What it says that it cost."""
        return self.call.reports.used if self.call is not None else None

    def _failed(self, failure: Failure) -> CallFailed:
        return CallFailed(
            step=self.command.step, attempt=self.command.attempt, failure=failure, changes=self._changes(), spent=self._spent()
        )

    def _open(self, kind: FailureKind, why: str) -> AnyEvent:
        """The outcome where nobody can say whether it happened: failed only where that changes nothing."""
        if self.changes_nothing:
            return self._failed(Failure(kind=kind, message=why))
        return CallUnknown(step=self.command.step, attempt=self.command.attempt, why=why, spent=self._spent())

    def _overtime(self) -> str:
        """Why a call was ended, with the last that was heard of it."""
        said = words(self.call.reports.words, self.secrets) if self.call is not None else ""
        last = f" (last: {said})" if said else ""
        if self.heartbeat is not None and self.heartbeat.ended:
            return f"it reported no progress for {self.heartbeat.seconds:g} s{last}"
        return f"it did not end within {self.command.timeout_seconds:g} s{last}"


class _Probing:
    """One look at a call. A probe says whether it happened; asked for what is owed, it or a poll says whether that has come."""

    def __init__(
        self, command: RunProbe, tool: Tool[..., Any], asked: Inquiry, agent: Agent, run_id: str, hands: Hands,
        contents: dict[str, bytes],
    ):  # fmt: skip
        self.command, self.tool, self.asked, self.agent = command, tool, asked, agent
        self.run_id, self.hands, self.contents = run_id, hands, contents
        self.polls = asked is tool.poll
        self.role = "poll" if self.polls else "probe"
        self.secrets: tuple[str, ...] = ()

    async def answer(self) -> ProbeAnswered:
        """Look; whatever becomes of it is one event."""
        until = asyncio.get_running_loop().time() + self.command.timeout_seconds
        try:
            found = await self._found()
            try:
                return await self._heard(found, until)
            except InvalidOutput as broken:
                wrong = f"the {self.role} found the call done, with a result that breaks its schema: {text(broken, self.secrets)}"
                return _answered(self.command, "cannot_tell", wrong)
        except _Refused as refused:
            return _answered(self.command, "not_happened", failure=refused.failure)
        except TimedOut:
            return _answered(self.command, "not_yet", f"the {self.role} timed out")
        except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded outcome.
            why = f"the {self.role} failed: {type(surprise).__name__}: {text(surprise, self.secrets)}"
            return _answered(self.command, "not_yet", why)

    async def _found(self) -> Any:
        command, asked, seconds = self.command, self.asked, self.command.timeout_seconds
        arguments, self.secrets = arguments_in(self.tool, command.args, self.hands.secrets)
        call = call_of(command, self.run_id, seconds, self.hands, callback=self.tool.contract.callback)
        if call.token:
            self.secrets = (*self.secrets, call.token)
        given = asked.given(arguments)
        try:
            return await invoke(asked.function, asked.is_async, asked.call_parameter, given, call, seconds, self.hands)
        except ToolFailure as failure:
            if not self.polls or failure.kind in _COULD_NOT_LOOK:
                raise
            raise _Refused(failure_of(failure, self.agent.secret_names, self.secrets)) from failure

    async def _heard(self, found: Any, until: float) -> ProbeAnswered:
        command, owed = self.command, self.command.owed
        if isinstance(found, Happened):
            return await self._happened(found.value, until)
        if owed and isinstance(found, Partial):
            left = _items(found.left, self.secrets)
            value, cut = self._kept(result_of_call(self.tool, found.value, self.agent, self.secrets))
            return _answered(command, "happened", value=value, left=left, cut=cut)
        if owed and isinstance(found, Deferred):
            return _answered(command, "not_yet")
        if isinstance(found, Probed) and found.verdict in get_args(Verdict):
            return _answered(command, found.verdict, words(str(found.message), self.secrets))
        wrong = f"the {self.role} returned {type(found).__name__}, not Happened, NOT_HAPPENED, NOT_YET or cannot_tell()"
        return _answered(command, "cannot_tell", wrong)

    async def _happened(self, found: Any, until: float) -> ProbeAnswered:
        result = result_of_call(self.tool, found, self.agent, self.secrets)
        value, cut = self._kept(result)
        failure = None
        if is_judged(self.command, self.tool):
            failure = await judged(self.command, self.tool, result, self.agent, self.run_id, self.hands, until)
        return _answered(self.command, "happened", value=value, failure=failure, cut=cut)

    def _kept(self, result: Result) -> tuple[Any, Cut | None]:
        return _fitted(self.tool, result, self.contents)


class _Refused(Exception):
    """The other side says that what it owes will not come."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


def _answered(command: RunProbe, verdict: Verdict, message: str = "", **found: Any) -> ProbeAnswered:
    return ProbeAnswered(step=command.step, probe=command.probe, verdict=verdict, message=message, **found)


def _fitted(tool: Tool[..., Any], result: Result, contents: dict[str, bytes]) -> tuple[Any, Cut | None]:
    """A result as it is written down: whole, or what there is room for. InvalidOutput where the tool says that one so large is
    broken."""
    contract = tool.contract
    if result.bytes <= contract.result_bytes_max:
        return result.value, None
    if contract.oversize == "fail":
        raise InvalidOutput(too_large(tool, result))
    whole = msgspec.json.encode(result.value)
    cut = Cut(bytes=len(whole))
    if contract.oversize == "store":
        cut = Cut(bytes=len(whole), digest=blob_digest(whole))
        contents[cut.digest] = whole
    return shortened(result.value, contract.result_bytes_max), cut


def _items(named: Any, secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The names of what is left."""
    return tuple(words(str(item), secrets) for item in ((named,) if isinstance(named, str) else named))


def _in_bounds(event: AnyEvent, agent: Agent) -> AnyEvent:
    """What a reasoner said, without secrets and with its words cut to length."""
    names = agent.secret_names
    match event:
        case FinishProposed(result=result):
            return msgspec.structs.replace(event, result=redact(result, names))
        case GiveUpProposed(reason=reason) | PlanAdopted(reason=reason) | PlanKept(reason=reason):
            return msgspec.structs.replace(event, reason=words(str(reason)))
        case ProposalFailed(problems=problems):
            return msgspec.structs.replace(event, problems=tuple(map(words, problems)))
        case QuestionsProposed(questions=questions, reason=reason):
            asked = tuple(_question_in_bounds(question, names) for question in questions)
            return msgspec.structs.replace(event, questions=asked, reason=words(str(reason)))
        case GoalInterpreted(intent=intent, facts=facts, missing=missing):
            asked = tuple(_question_in_bounds(question, names) for question in missing)
            known = tuple(_fact_in_bounds(fact, names) for fact in facts)
            return msgspec.structs.replace(event, intent=words(str(intent)), facts=known, missing=asked)
        case FactsLearned(facts=facts):
            return msgspec.structs.replace(event, facts=tuple(_fact_in_bounds(fact, names) for fact in facts))
        case _:
            return event


def _question_in_bounds(question: Question, names: frozenset[str]) -> Question:
    return msgspec.structs.replace(
        question,
        text=words(question.text),
        why=words(question.why),
        basis=words(question.basis),
        guess=redact(question.guess, names),
        options=tuple(redact(option, names) for option in question.options),
    )


def _fact_in_bounds(fact: Fact, names: frozenset[str]) -> Fact:
    value = REDACTED if fact.name in names else redact(fact.value, names)
    return msgspec.structs.replace(fact, value=value, basis=words(fact.basis))


def _failed(command: CallTool, kind: FailureKind, message: str) -> CallFailed:
    return CallFailed(step=command.step, attempt=command.attempt, failure=Failure(kind=kind, message=message[:MESSAGE_MAX]))
