"""How a run thinks, for people and machines: which models were asked for what, what that used, what is in doubt, and who is
waited for. `beliefs.py` has what it believes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from holdfast.core import events as e
from holdfast.core.models import ZERO, Part, Reserved, Usage
from holdfast.core.routing import NEVER
from holdfast.core.soundness import schema_problem
from holdfast.core.state import State, Turn
from holdfast.core.thinking import WHOLE_PLAN, Acceptance, Phase, Question, Reassess, Thinking
from holdfast.views.entries_thinking import FOR_PHASE, said_words, weighed_words
from holdfast.views.words import FIELD_MAX, cut, listed, reserved_words, usd

# --- money --------------------------------------------------------------------------------------------------------


class SpentView(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has used, models and tools together, and what it may. reserved_usd, reserved_tokens: of what is under way.
    cost_usd_max, tokens_max: None where there is no limit."""

    cost_usd: Decimal = ZERO
    cost_usd_max: Decimal | None = None
    reserved_usd: Decimal = ZERO
    tokens: int = 0
    tokens_max: int | None = None
    reserved_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    requests: int = 0


def spent_view(state: State) -> SpentView:
    """What a run has used up to now."""
    spent, held = state.spent, state.reserved.values()
    return SpentView(
        cost_usd=spent.cost_usd, cost_usd_max=state.limits.cost_usd_max,
        reserved_usd=sum((one.cost_usd for one in held), ZERO), tokens=spent.tokens, tokens_max=state.limits.tokens_max,
        reserved_tokens=sum(one.tokens for one in held), input_tokens=spent.input_tokens, output_tokens=spent.output_tokens,
        cache_read_tokens=spent.cache_read_tokens, requests=spent.requests,
    )  # fmt: skip


def spent_words(spent: SpentView) -> str:
    """What was used, of what may be: `$0.0123 of $2.00, 12,345 tokens in 4 requests; up to $0.03 more is under way`. Empty for a
    run that used nothing and may use anything."""
    if not (spent.requests or spent.cost_usd or spent.reserved_usd or spent.reserved_tokens):
        return ""
    parts = []
    if spent.cost_usd or spent.cost_usd_max is not None:
        parts.append(spent_briefly(spent))
    most = f" of {spent.tokens_max:,}" if spent.tokens_max is not None else ""
    asked = f" in {spent.requests:,} {'request' if spent.requests == 1 else 'requests'}"
    parts.append(f"{spent.tokens:,}{most} tokens{asked}")
    held = Reserved(input_tokens=spent.reserved_tokens, cost_usd=spent.reserved_usd)
    under_way = f"; {reserved_words(held)} more is reserved for what is under way" if held != Reserved() else ""
    return ", ".join(parts) + under_way


def spent_briefly(spent: SpentView) -> str:
    """The money, of what may be spent; the tokens where they cost nothing."""
    if spent.cost_usd or spent.cost_usd_max is not None:
        return usd(spent.cost_usd) + (f" of {usd(spent.cost_usd_max)}" if spent.cost_usd_max is not None else "")
    return f"{spent.tokens:,} tokens" if spent.tokens else ""


# --- turns --------------------------------------------------------------------------------------------------------


class FailedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came to nothing. kind: of the failure; `lost` where its worker was gone before it was answered. counted:
    what counts as used by it."""

    model: str
    attempt: int
    at: float
    kind: str
    message: str = ""
    counted: Usage = Usage()


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the reasoner. reason: why this model; attempt: requests in this turn, the last one included. outcome: what
    came of what it said: `plan`, `keep`, `ask`, `interpret`, `finish`, `give_up`, `failed` (nothing could be taken); empty while
    it is asked. said: in short; steps: what its calls became. problems: why something was not taken. bytes: of the request.
    seconds: that the answer took. finish: why the model stopped. reserved: the most that it might use."""

    turn: int
    phase: Phase
    model: str
    reason: str = ""
    attempt: int = 1
    asked_at: float = 0.0
    answered_at: float | None = None
    seconds: float = 0.0
    bytes: int = 0
    usage: Usage = Usage()
    reserved: Reserved | None = None
    finish: str = ""
    said: str = ""
    steps: tuple[str, ...] = ()
    outcome: str = ""
    problems: tuple[str, ...] = ()
    failed: tuple[FailedRequest, ...] = ()


class _Open(msgspec.Struct):
    """A turn as far as the entries tell it."""

    asked: e.ProposalRequested
    at: float
    answer: e.ModelAnswered | None = None
    answered_at: float | None = None
    failed: list[FailedRequest] = []


def turn_views(entries: Iterable[e.Entry], state: State) -> tuple[TurnView, ...]:
    """The turns of a run whose reasoner is a model, in order; none for another."""
    found: dict[int, _Open] = {}
    for entry in entries:
        event = entry.event
        match event:
            case e.ProposalRequested() if event.model:
                if event.turn in found:
                    found[event.turn].asked = event
                else:
                    found[event.turn] = _Open(asked=event, at=entry.at)
            case e.ModelAnswered() if event.turn in found:
                found[event.turn].answer, found[event.turn].answered_at = event, entry.at
            case e.ModelFailed(failure=failure) if event.turn in found:
                found[event.turn].failed.append(_failed(found[event.turn], entry.at, failure.kind, failure.message, event.usage))
            case e.ModelCallLost() if event.turn in found:
                found[event.turn].failed.append(_failed(found[event.turn], entry.at, "lost", "", event.usage))
            case _:
                pass
    ends = {turn.turn: turn for turn in state.turns}
    return tuple(_turn(one, ends.get(number)) for number, one in found.items())


def _failed(turn: _Open, at: float, kind: str, message: str, counted: Usage) -> FailedRequest:
    asked = turn.asked
    return FailedRequest(model=asked.model, attempt=asked.attempt, at=at, kind=kind, message=message, counted=counted)


def _turn(one: _Open, end: Turn | None) -> TurnView:
    asked, answer = one.asked, one.answer
    said: tuple[Part, ...] = answer.said if answer is not None else ()
    return TurnView(
        turn=asked.turn, phase=asked.phase, model=asked.model, reason=asked.reason, attempt=asked.attempt, asked_at=one.at,
        answered_at=one.answered_at, seconds=answer.seconds if answer is not None else 0.0,
        bytes=answer.bytes if answer is not None else 0, usage=answer.usage if answer is not None else Usage(),
        reserved=asked.reserved, finish=answer.finish if answer is not None else "", said=said_words(said),
        steps=tuple(part.step for part in said if part.step), outcome=end.outcome if end is not None else "",
        problems=end.problems if end is not None else (), failed=tuple(one.failed),
    )  # fmt: skip


# --- models -------------------------------------------------------------------------------------------------------


class Setback(msgspec.Struct, frozen=True, kw_only=True):
    """A model that did not answer when it was last asked. until: it is not asked before that; None: not in this run any more.
    shorter: its context was too long, and it is asked again with less."""

    model: str
    kind: str
    message: str
    until: float | None
    shorter: bool = False
    times: int = 1


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model of a run: for which phases it was asked, how often it answered and did not, and what all that used."""

    model: str
    asked_for: tuple[Phase, ...] = ()
    answers: int = 0
    failures: int = 0
    usage: Usage = Usage()


def _models(turns: Sequence[TurnView]) -> tuple[ModelView, ...]:
    found: dict[str, ModelView] = {}
    for turn in turns:
        answered = turn.answered_at is not None
        counted = [(one.model, one.counted, 0, 1) for one in turn.failed]
        if answered or not turn.failed:
            counted.append((turn.model, turn.usage, int(answered), 0))
        for model, usage, answers, failures in counted:
            view = found.get(model) or ModelView(model=model)
            found[model] = ModelView(
                model=model, asked_for=tuple(dict.fromkeys((*view.asked_for, turn.phase))), answers=view.answers + answers,
                failures=view.failures + failures, usage=view.usage + usage,
            )  # fmt: skip
    return tuple(found.values())


def _setbacks(state: State, now: float) -> tuple[Setback, ...]:
    """Of each model the last one, as long as it keeps it from being asked, or says how."""
    found: dict[str, Setback] = {}
    for one in state.setbacks:
        before = found.get(one.model)
        times = before.times + 1 if before is not None else 1
        until = None if one.until >= NEVER else one.until
        found[one.model] = Setback(
            model=one.model, kind=one.kind, message=one.message, until=until, shorter=one.context, times=times
        )
    return tuple(one for one in found.values() if not state.ended or one.until is None or one.until > now)


# --- the whole ----------------------------------------------------------------------------------------------------


class AskingView(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a model that is under way."""

    turn: int
    phase: Phase
    model: str
    reason: str
    attempt: int
    since: float
    reserved: Reserved | None = None


class ThinkingView(msgspec.Struct, frozen=True, kw_only=True):
    """How a run thinks, and how far it is. turns, plans: so far, and the most there may be. horizon: how many steps in a row
    are planned at once, or `plan` for all. asking: what is under way; held_until, held_why: no model can be asked before
    that. doubts: why the plan may be wrong; while there is one, nothing new of it begins. unanswered: what nobody said, and why.
    weighing: questions of which it is not ruled yet whether a person is asked. refused: why results were not accepted.
    setbacks: models that did not answer."""

    turns: int
    turns_max: int
    plans: int
    plans_max: int
    idle_turns: int
    idle_turns_max: int
    horizon: int | Literal["plan"]
    reassess: Reassess
    routes: dict[str, tuple[str, ...]]
    cheaper: tuple[str, ...] = ()
    intent: str = ""
    asking: AskingView | None = None
    held_until: float | None = None
    held_why: str = ""
    doubts: tuple[str, ...] = ()
    weighing: tuple[str, ...] = ()
    unanswered: dict[str, str] = {}
    refused: tuple[str, ...] = ()
    refused_max: int | None = None
    setbacks: tuple[Setback, ...] = ()
    models: tuple[ModelView, ...] = ()


def thinking_view(state: State, entries: Sequence[e.Entry], turns: Sequence[TurnView], now: float) -> ThinkingView | None:
    """How a run thinks; None where no model is asked."""
    thinking = state.thinking
    if thinking is None:
        return None
    held = state.reason_at if state.reason_at > now and not state.ended else None
    return ThinkingView(
        turns=state.turn, turns_max=state.limits.turns_max, plans=state.revision, plans_max=state.limits.revisions_max,
        idle_turns=state.idle_turns, idle_turns_max=state.limits.idle_turns_max, horizon=horizon_of(thinking),
        reassess=thinking.reassess, routes=thinking.routes, cheaper=thinking.cheaper, intent=state.intent,
        asking=_asking(state, entries), held_until=held, held_why=_held_why(entries) if held is not None else "",
        doubts=() if state.ended else state.suspicions, weighing=tuple(question.name for question in state.weighing),
        unanswered=state.unanswered, refused=state.refused_because,
        refused_max=state.accept.finishes_max if state.accept is not None else None, setbacks=_setbacks(state, now),
        models=_models(turns),
    )  # fmt: skip


def horizon_of(thinking: Thinking) -> int | Literal["plan"]:
    """How far it plans, as an agent says it."""
    return "plan" if thinking.horizon == WHOLE_PLAN else thinking.horizon


def _asking(state: State, entries: Sequence[e.Entry]) -> AskingView | None:
    asked = state.asking_model
    if asked is None or state.proposing is None or state.ended:
        return None
    since = next((entry.at for entry in reversed(entries) if entry.event == asked), state.at)
    return AskingView(
        turn=asked.turn, phase=asked.phase, model=asked.model, reason=asked.reason, attempt=asked.attempt, since=since,
        reserved=asked.reserved,
    )  # fmt: skip


def _held_why(entries: Sequence[e.Entry]) -> str:
    return next((entry.event.reason for entry in reversed(entries) if isinstance(entry.event, e.ReasonerHeld)), "")


def asking_words(asking: AskingView) -> str:
    """What a model is asked at this moment."""
    again = f", attempt {asking.attempt}" if asking.attempt > 1 else ""
    return f"{asking.model} is asked {FOR_PHASE[asking.phase]} (turn {asking.turn}{again})"


# --- questions ----------------------------------------------------------------------------------------------------


class AsksView(msgspec.Struct, frozen=True, kw_only=True):
    """What the reasoner wants to know of a person. name: of the fact that the answer becomes. takes: the form of the answer, in
    words. options: answers that it prepared. weighed: why a person is asked, and the guess not simply taken."""

    name: str
    why: str = ""
    takes: str = ""
    answer_schema: dict[str, Any] = {}
    options: tuple[Any, ...] = ()
    has_guess: bool = False
    guess: Any = None
    confidence: float = 0.0
    basis: str = ""
    weighed: str = ""


def asks_view(question: Question, thinking: Thinking | None) -> AsksView:
    """A question of the reasoner with all that it said of it."""
    return AsksView(
        name=question.name, why=question.why, takes=form_words(question.answer_schema), answer_schema=question.answer_schema,
        options=prepared(question), has_guess=question.has_guess, guess=question.guess, confidence=question.confidence,
        basis=question.basis, weighed=weighed_words(question, thinking),
    )  # fmt: skip


def prepared(question: Question) -> tuple[Any, ...]:
    """The answers that the reasoner prepared, as far as they are answers: a model may prepare what its own form does not take."""
    schema = question.answer_schema
    return tuple(option for option in question.options if not schema or schema_problem(option, schema) is None)


_KINDS = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object", "null": "null",
}  # fmt: skip
_BOUNDS = {
    "minimum": "at least {}", "maximum": "at most {}", "exclusiveMinimum": "above {}", "exclusiveMaximum": "below {}",
    "minLength": "of at least {} characters", "maxLength": "of at most {} characters", "minItems": "of at least {} entries",
    "maxItems": "of at most {} entries", "multipleOf": "a multiple of {}", "pattern": "that matches {}", "format": "as {}",
}  # fmt: skip


def form_words(schema: dict[str, Any]) -> str:
    """A JSON Schema in words: `a whole number, at least 1`, `one of "window", "aisle"`; empty where it takes anything."""
    if "const" in schema:
        return _json(schema["const"])
    if isinstance(schema.get("enum"), list):
        return f"one of {listed(map(_json, schema['enum']))}"
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            return ", or ".join(filter(None, (form_words(part) for part in schema[word] if isinstance(part, dict))))
    kinds = schema.get("type", ())
    named = [_KINDS.get(str(kind), str(kind)) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    said = " or ".join(named)
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict) and (of := form_words(schema["items"])):
        said += f", each {of}"
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        said += f" with {_properties(schema)}"
    return ", ".join(filter(None, (said, *(words.format(schema[key]) for key, words in _BOUNDS.items() if key in schema))))


def _properties(schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    parts = schema["properties"].items()
    return listed(
        f"{name} ({form_words(part) or 'anything'}{'' if name in needed else ', optional'})"
        for name, part in parts
        if isinstance(part, dict)
    )


def _json(value: Any) -> str:
    return cut(msgspec.json.encode(value).decode(), FIELD_MAX)


# --- an agent -----------------------------------------------------------------------------------------------------


class PricedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that an agent may ask. Prices in US dollars per million tokens, as they are reserved by."""

    model: str
    input_usd: Decimal
    output_usd: Decimal
    context_bytes_max: int
    output_tokens_max: int
    timeout_seconds: float


class MindView(msgspec.Struct, frozen=True, kw_only=True):
    """How the runs of an agent think: what `holdfast check` says of it. limits: those that bound what it may think and spend."""

    agent: str
    models: tuple[PricedModel, ...]
    routes: dict[str, tuple[str, ...]]
    cheaper: tuple[str, ...]
    horizon: int | Literal["plan"]
    reassess: Reassess
    interpret: bool
    asks: dict[str, str]
    confidence_min: float
    repairs_max: int
    failures_max: int
    recall: int
    accept: str
    limits: dict[str, Any]


def mind_view(agent: str, thinking: Thinking, accept: Acceptance | None, limits: dict[str, Any]) -> MindView:
    """How the runs of an agent think."""
    named = [name for names in (*thinking.routes.values(), thinking.cheaper) for name in names]
    return MindView(
        agent=agent,
        models=tuple(
            PricedModel(
                model=terms.name, input_usd=terms.price.input_usd, output_usd=terms.price.output_usd,
                context_bytes_max=terms.context_bytes_max, output_tokens_max=terms.output_tokens_max,
                timeout_seconds=terms.timeout_seconds,
            )
            for terms in sorted(thinking.models.values(), key=lambda terms: named.index(terms.name))
        ),
        routes=thinking.routes, cheaper=thinking.cheaper, horizon=horizon_of(thinking), reassess=thinking.reassess,
        interpret=thinking.interpret,
        asks={
            name: f"weighed ({one.cost_of_asking:g} to ask, {one.cost_of_wrong:g} to be wrong)"
            if one.policy == "weigh" else one.policy
            for name, one in thinking.asking.items()
        },
        confidence_min=thinking.confidence_min, repairs_max=thinking.repairs_max, failures_max=thinking.failures_max,
        recall=thinking.recall, accept=accept_words(accept), limits=limits,
    )  # fmt: skip


def accept_words(accept: Acceptance | None) -> str:
    """What counts as done; empty where a result is taken as it is."""
    if accept is None:
        return ""
    parts = [f"where {accept.that}" if accept.that else "", f"where {accept.tool} says so" if accept.tool else ""]
    return f"{' and '.join(filter(None, parts))}; refused at most {accept.finishes_max} times"
