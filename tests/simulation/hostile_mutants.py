"""Rules about models, each broken on purpose: hostile models must find every one of them. See `mutants.py`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

import msgspec

from holdfast.core import budget, routing
from holdfast.core import events as e
from holdfast.core.decide import beliefs as believing
from holdfast.core.decide.decider import Decider
from holdfast.core.evolve import beliefs, minds, runs
from holdfast.core.evolve.fold import RULES
from holdfast.core.models import Usage
from holdfast.reasoners import answers, base, calls, claims
from holdfast.reasoners.briefing import Briefer
from holdfast.reasoners.mind import ModelReasoner
from holdfast.reasoners.model import ModelFailure
from holdfast.runner import perform

Patch = Callable[[], AbstractContextManager[Any]]


def _replaced(*patched: tuple[Any, str, Any]) -> Patch:
    @contextmanager
    def patch() -> Any:
        with ExitStack() as stack:
            for target, name, value in patched:
                stack.enter_context(mock.patch.object(target, name, value))
            yield

    return patch


def _rule(event: type[e.Event], rule: Callable[..., Any]) -> Patch:
    """The fold with another rule for an event."""
    return lambda: mock.patch.dict(RULES, {event: rule})


_means, _until_after, _reservation, _request = budget.means, routing.until_after, routing.reservation, Briefer.request
_propose, _ask, _interpreted, _failed = Decider._propose, ModelReasoner.propose, minds.goal_interpreted, minds.model_failed


def _nothing_is_held(limits: Any, spent: Any, reserved: Any) -> Any:
    return _means(limits, spent, {})


def _half_is_held(terms: Any, input_bytes: int, output_tokens: int | None = None) -> Any:
    whole = _reservation(terms, input_bytes, output_tokens)
    return msgspec.structs.replace(whole, cost_usd=whole.cost_usd / 2)


def _for_nothing(reserved: Any, requests: int = 1) -> Usage:
    return Usage(requests=requests)


def _as_long_as_it_likes(self: Any, state: Any, asked: Any, now: float) -> Any:
    return _request(self, state, _with_room(asked), now)


def _with_room(asked: Any) -> Any:
    return msgspec.structs.replace(asked, reserved=msgspec.structs.replace(asked.reserved, input_tokens=10**7))


async def _asks_twice(self: Any, briefing: Any) -> Any:
    try:
        return await _ask(self, briefing)
    except ModelFailure:
        return await _ask(self, briefing)


def _without_limit(**limits: int) -> Callable[[Any], None]:
    """The reasoner is asked as if these limits were others."""

    def propose(self: Any) -> None:
        real = self.state.limits
        self.state = msgspec.structs.replace(self.state, limits=msgspec.structs.replace(real, **limits))
        _propose(self)
        self.state = msgspec.structs.replace(self.state, limits=real)

    return propose


def _at_once(*args: Any, **named: Any) -> float:
    return _until_after(*args, **{**named, "retry_after_seconds": None})


def _any_interpretation(state: Any, event: Any, entry: Any) -> Any:
    """What is said to be assumed is believed, whatever somebody told."""
    after = _interpreted(state, event, entry)
    return msgspec.structs.replace(after, facts=after.facts | {fact.name: fact for fact in event.facts})


def _a_failure_costs_nothing(state: Any, event: Any, entry: Any) -> Any:
    return _failed(state, msgspec.structs.replace(event, usage=Usage()), entry)


def _accepted(self: Any, result: Any) -> bool:
    return True


def _all_notes(thought: Any, state: Any) -> Any:
    return thought.notes


def _steps_stay(state: Any, *_: Any) -> Any:
    return state


def _nothing_is_cached(price: Any, usage: Any) -> Any:
    return (price.input_usd * usage.input_tokens // 3 + price.output_usd * usage.output_tokens) / 1_000_000


def _all_is_said(claim: Any, state: Any) -> bool:
    return True


MONEY: dict[str, Patch] = {
    "what is held is not counted": _replaced((budget, "means", _nothing_is_held)),
    "half of what a request may cost is held": _replaced((routing, "reservation", _half_is_held)),
    "a request that is lost costs nothing": _replaced((budget, "lost", _for_nothing)),
    "a request that may have been answered costs nothing": _replaced((perform, "lost", _for_nothing)),
    "what a failure cost is not spent": _rule(e.ModelFailed, _a_failure_costs_nothing),
    "what is read from a cache is free": _replaced((base, "cost", _nothing_is_cached)),
    "a tool may cost what it likes": _replaced((Decider, "_is_too_dear", lambda self, step, cost_usd, key: False)),
    "a request is as long as it likes": _replaced((Briefer, "request", _as_long_as_it_likes)),
}
REQUESTS: dict[str, Patch] = {
    "nobody hears that a request was lost": _replaced((Decider, "_lose_request", lambda self: None)),
    "a request that failed is made again in silence": _replaced((ModelReasoner, "propose", _asks_twice)),
    "calls keep whatever id they have": _replaced((answers._Ear, "_give_ids", lambda self: None)),
    "the time that a provider named is forgotten": _replaced((routing, "until_after", _at_once)),
    "who let nobody in is asked again": _replaced((routing, "AFTER", {**routing.AFTER, "denied": ("again", "who knows")})),
}
BOUNDS: dict[str, Patch] = {
    "turns have no end": _replaced((Decider, "_propose", _without_limit(turns_max=10**6))),
    "turns that teach nothing have no end": _replaced((Decider, "_propose", _without_limit(idle_turns_max=10**6))),
    "repairs have no end": _replaced((Decider, "_think", lambda self: self._propose())),
    "plans have no end": _replaced((base, "plans_left", lambda state: 9), (Decider, "_is_out_of_plans", lambda self: False)),
}
BELIEFS: dict[str, Patch] = {
    "a guess takes the place of what is known": _replaced(
        (beliefs, "replaces", lambda new, old: True), (base, "_notes", _all_notes)
    ),
    "what is assumed takes the place of what was told": _rule(e.GoalInterpreted, _any_interpretation),
    "whatever a model says was said by the goal": _replaced((claims, "_is_said", _all_is_said)),
    "nobody is asked about guesses": _replaced((Decider, "_asks_about_guesses", lambda self, step, contract, args: False)),
    "what a call takes from a guess is not seen": _replaced((calls, "resting_on", lambda args, facts: ())),
    "a guess counts as confirmed": _replaced((believing, "is_guess", lambda fact: False)),
}
PLANS: dict[str, Patch] = {
    "a dropped step stays": _replaced((runs, "drop_steps", _steps_stay)),
    "what is done is done again": _replaced(
        (Decider, "_done_before", lambda self, step, contract, args: False),
        (base, "_repeats", lambda plan, state: []),
        (calls, "repeated", lambda step, state: None),
        (answers, "same_twice", lambda steps, state: {}),
    ),
    "any result will do": _replaced((Decider, "_is_accepted", _accepted)),
}
HOSTILE: dict[str, Patch] = {**MONEY, **REQUESTS, **BOUNDS, **BELIEFS, **PLANS}
