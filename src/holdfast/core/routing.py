"""Which model is asked, and with how much: the route of the phase, what came of the last requests, and the money that is left.

The models of a phase stand in an order. The first one is asked that may be: none of its requests failed in a way that asking
again does not mend, it is not waited for, its provider's circuit is closed, and the budget pays for it. When the money does not
reach, cheaper models come next, then a shorter context. Each choice comes with its reason, which is written down.

What each kind of failure does to a model is the table `AFTER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from holdfast.core.budget import Means, dollars
from holdfast.core.events import FailureKind
from holdfast.core.gates import Why
from holdfast.core.models import ModelTerms, Reserved, reservation
from holdfast.core.retry import next_wait
from holdfast.core.thinking import Phase, Thinking, gate_name

After = Literal["again", "later", "out", "shorter"]

# What follows for the model whose request failed so. again: it is asked again after a wait that grows; later: not for an
# hour; out: not in this run any more; shorter: again at once, with half the context. Another model of the route is asked in
# the meantime, if there is one.
AFTER: dict[FailureKind, tuple[After, str]] = {
    "transient": ("again", "the connection or the provider failed in passing"),
    "unavailable": ("again", "the provider is overloaded or down"),
    "rate_limited": ("again", "the provider said to wait"),
    "invalid_output": ("again", "the answer could not be read"),
    "crashed": ("out", "its client failed in a way of its own"),
    "too_expensive": ("later", "the quota with the provider is used up"),
    "denied": ("out", "the provider does not let us in, or refuses to answer this"),
    "not_found": ("out", "the provider has no such model"),
    "invalid_input": ("out", "the provider does not take the request"),
}
# A request that was too long is invalid input of its own kind.
AFTER_CONTEXT: tuple[After, str] = ("shorter", "the request is longer than the model takes")
LATER_SECONDS = 3600.0
# So often is the context halved before the model counts as too small.
SHORTER_MAX = 3
# Not in this run any more; a number, for the end of time is none that JSON has.
NEVER = 1e12
# Where the money does not reach for a whole answer: a fourth of it, but no less than this.
SHORT_ANSWER = 4
ANSWER_TOKENS_MIN = 512
# What the situation at the end of a request may need, beside what is known of the conversation.
TAIL_BYTES = 6_000
FACT_BYTES = 400
CALL_BYTES = 200
GATE_WORDS: dict[Why, str] = {"circuit": "the circuit of its provider is open", "rate": "the rate of its provider is used up"}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Ask this model, with at most so much."""

    terms: ModelTerms
    reason: str
    reserved: Reserved


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody can be asked before that."""

    until: float
    reason: str


class Poor(msgspec.Struct, frozen=True, kw_only=True):
    """The budget pays for no request any more. limit: which one."""

    limit: str


class Nobody(msgspec.Struct, frozen=True, kw_only=True):
    """No model of the route will answer."""

    reason: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the requests to one model since it last answered. failures: how many; until: not before; kind, message:
    of the last one; input_bytes: the most that a request may have, since a longer one was too long (None: it is not known)."""

    failures: int = 0
    until: float = 0.0
    kind: FailureKind = "transient"
    message: str = ""
    input_bytes: int | None = None


def until_after(
    thinking: Thinking, kind: FailureKind, *, context: bool, failures: int, at: float, run_id: str, model: str,
    retry_after_seconds: float | None = None,
) -> float:  # fmt: skip
    """When a model may be asked again after its request failed so; NEVER where not in this run. failures: in a row, this one
    included."""
    after, _ = AFTER_CONTEXT if context else AFTER.get(kind, AFTER["crashed"])
    if after == "shorter":
        return at if failures <= SHORTER_MAX else NEVER
    if after == "out":
        return NEVER
    if after == "later":
        if failures >= thinking.retry.attempts_max:
            return NEVER
        return min(at + max(LATER_SECONDS, retry_after_seconds or 0.0), NEVER)
    wait = next_wait(thinking.retry, failures, run_id=run_id, step=model, retry_after_seconds=retry_after_seconds)
    return NEVER if wait is None else min(at + wait, NEVER)


def estimate(thinking: Thinking, conversation_bytes: int, turns: int, facts: int, owed: int) -> int:
    """How many bytes a request would have with the whole conversation in it."""
    talk = conversation_bytes + turns * CALL_BYTES
    return thinking.overhead_bytes + talk + talk // 8 + TAIL_BYTES + FACT_BYTES * (facts + owed)


def least(thinking: Thinking, facts: int, owed: int) -> int:
    """How many bytes a request needs at least: what is always in it."""
    return thinking.overhead_bytes + TAIL_BYTES + FACT_BYTES * (facts + owed)


def route(
    thinking: Thinking,
    phase: Phase,
    *,
    tried: Mapping[str, Tried],
    held: Mapping[str, tuple[float, Why]],
    means: Means,
    wanted: int,
    least: int,
    now: float,
) -> Choice | Wait | Poor | Nobody:
    """See the module's text. wanted, least: bytes of the request, see `estimate` and `least`."""
    names = thinking.routes.get(phase) or thinking.routes.get("", ())
    passed: list[str] = []
    waits: list[float] = []
    open_ones: list[ModelTerms] = []
    for name in names:
        terms = thinking.models[name]
        why, until = _obstacle(terms, tried.get(name), held, least, now)
        if why is None:
            open_ones.append(terms)
            continue
        passed.append(f"{name}: {why}")
        if until < NEVER:
            waits.append(until)
    cheaper = [thinking.models[name] for name in thinking.cheaper if name not in names]
    cheaper = [terms for terms in cheaper if _obstacle(terms, tried.get(terms.name), held, least, now)[0] is None]
    if open_ones:
        return _affordable(phase, open_ones, cheaper, passed, means, tried, wanted, least)
    if waits:
        return Wait(until=min(waits), reason="; ".join(passed))
    return Nobody(reason="; ".join(passed) or f"no model is named for the phase {phase}")


def _obstacle(
    terms: ModelTerms, tried: Tried | None, held: Mapping[str, tuple[float, Why]], least: int, now: float
) -> tuple[str | None, float]:
    """Why a model is not asked now, and until when; None where it may be."""
    if (most := _bytes_max(terms, tried)) < least:
        return f"a request has at least {least} bytes, and it takes {most}", NEVER
    if tried is not None and tried.until > now:
        said = f"{tried.kind} ({tried.message})" if tried.message else tried.kind
        return said, tried.until
    gate = held.get(gate_name(terms))
    return (None, 0.0) if gate is None else (GATE_WORDS[gate[1]], max(gate[0], now + 0.001))


def _affordable(
    phase: Phase,
    open_ones: list[ModelTerms],
    cheaper: list[ModelTerms],
    passed: list[str],
    means: Means,
    tried: Mapping[str, Tried],
    wanted: int,
    least: int,
) -> Choice | Poor:
    """The first model that the budget pays for: with all that is wanted, else with a shorter context, the cheapest last."""
    passed = list(passed)
    limit = "cost_usd_max"
    candidates = [*open_ones, *cheaper]
    for terms in candidates:
        need = reservation(terms, _bytes(terms, tried, wanted))
        lack = means.lacks(need)
        if lack is None:
            return Choice(terms=terms, reason=_reason(phase, terms, passed, terms in cheaper), reserved=need)
        limit = lack
        left = dollars(means.cost_usd) if lack == "cost_usd_max" and means.cost_usd is not None else f"{means.tokens} tokens"
        asked = dollars(need.cost_usd) if lack == "cost_usd_max" else f"{need.tokens} tokens"
        passed.append(f"{terms.name}: it may take {asked}, and {left} are left")
    for share in (1, SHORT_ANSWER):
        for terms in reversed(candidates):
            short = _shortened(terms, means, _bytes(terms, tried, wanted), least, share)
            if short is not None:
                reason = _reason(phase, terms, passed, terms in cheaper)
                length = "a shorter context" + (" and answer" if share > 1 else "")
                return Choice(terms=terms, reason=f"{reason}; with {length}", reserved=short)
    return Poor(limit=limit)


def _shortened(terms: ModelTerms, means: Means, size: int, least: int, share: int) -> Reserved | None:
    """The longest request that the budget pays for, halved until it does; None where it pays for none. share: of the longest
    answer, as a fraction of one."""
    output = max(terms.output_tokens_max // share, min(terms.output_tokens_max, ANSWER_TOKENS_MIN))
    while True:
        need = reservation(terms, size, output)
        if means.allows(need):
            return need
        if size <= least:
            return None
        size = max(size // 2, least)


def _bytes(terms: ModelTerms, tried: Mapping[str, Tried], wanted: int) -> int:
    return min(wanted, _bytes_max(terms, tried.get(terms.name)))


def _bytes_max(terms: ModelTerms, tried: Tried | None) -> int:
    known = tried.input_bytes if tried is not None else None
    return terms.context_bytes_max if known is None else min(known, terms.context_bytes_max)


def _reason(phase: Phase, terms: ModelTerms, passed: list[str], is_cheaper: bool) -> str:
    if not passed:
        return f"the first choice for {phase}"
    return f"{'a cheaper one' if is_cheaper else 'the next'}, for {'; '.join(passed)}"
