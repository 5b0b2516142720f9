"""Rules about people, each broken on purpose: the seeds that have an office must find every one of them. See `mutants.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain, zip_longest
from typing import Any
from unittest import mock

import msgspec

from holdfast.core import events as e
from holdfast.core import ladder as ladders
from holdfast.core.commands import CheckCall
from holdfast.core.contract import digest
from holdfast.core.decide import desk
from holdfast.core.decide import gates as gating
from holdfast.core.decide.decider import Decider
from holdfast.core.evolve import words
from holdfast.core.evolve.fold import RULES
from holdfast.core.evolve.steps import following
from holdfast.core.policy import Check, Ruling, evaluate
from holdfast.core.state import State
from holdfast.inbox import taking
from holdfast.journal import inbox as listing
from holdfast.runner import advance, asked
from holdfast.testing.simulation.office import has_office

Patch = Callable[[], AbstractContextManager[Any]]
# What `make test` plays of each kind.
SCRIPTED, HOSTILE = 2_000, 1_000


def seeds() -> Iterator[int]:
    """The seeds that have an office, of those that `make test` plays; two of a script for each of a model."""
    scripted = [seed for seed in range(1, SCRIPTED + 1) if has_office(seed)]
    hostile = [seed for seed in range(-1, -HOSTILE - 1, -1) if has_office(seed)]
    turns = zip_longest(scripted[::2], scripted[1::2], hostile)
    return (seed for seed in chain.from_iterable(turns) if seed is not None)


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


def _bound_to(what: Callable[..., list[Any]]) -> Patch:
    """Approvals that are bound to something else."""

    def shown(tool: str, args: Any, contract: Any, ruling: Ruling | None = None, revision: int = 0) -> str:
        return digest(what(tool, args, contract, ruling, revision))

    return _replaced((gating, "shown_digest", shown), (words, "shown_digest", shown))


def _parts(ruling: Ruling | None, *names: str) -> list[Any]:
    return [getattr(ruling, name) for name in names] if ruling is not None and ruling.digest else []


_answered, _withdrawn, _expired = RULES[e.Answered], RULES[e.InterruptWithdrawn], RULES[e.InterruptExpired]
_void, _ask, _ruling_of, _covers = taking._void, desk.Desk._ask, gating.Gates._ruling, listing.covers
_next_due = ladders.next_due


def _steps_with(change: Callable[[Any], Any], rule: Callable[..., State]) -> Callable[..., State]:
    """A rule of the fold after which the step that a question was about is changed."""

    def changed(state: State, event: Any, entry: e.Entry) -> State:
        name = state.interrupts[event.interrupt].step
        after = rule(state, event, entry)
        if name not in after.steps:
            return after
        return msgspec.structs.replace(after, steps=after.steps.insert(name, change(after.steps[name])))

    return changed


def _with(**fields: Any) -> Callable[[Any], Any]:
    return lambda step: msgspec.structs.replace(step, **fields)


def _checks_stay(state: State, event: Any, entry: e.Entry) -> State:
    """What functions said before a person did counts after that as well."""
    name = state.interrupts[event.interrupt].step
    said = state.steps[name].checks if name in state.steps else None
    return _steps_with(lambda step: msgspec.structs.replace(step, checks=step.checks or said), _answered)(state, event, entry)


def _approved_all_the_same(state: State, event: Any, entry: e.Entry) -> State:
    """A question that is withdrawn leaves a yes behind."""
    digest_of = state.interrupts[event.interrupt].digest
    change = _with(approved=digest_of, approved_by=("nobody", "anybody"), approved_until=None, was_asked=0)
    return _steps_with(change, _withdrawn)(state, event, entry)


def _ends_in_yes(state: State, event: Any, entry: e.Entry) -> State:
    """Silence is a yes."""
    question = state.interrupts[event.interrupt]
    if question.about != "call":
        return _expired(state, event, entry)
    yes = e.Answered(interrupt=event.interrupt, decision="approve", by="ann")
    later = _answered(state, yes, entry)
    change = _with(approved_until=None, approved_by=("ann", "bob"))
    return msgspec.structs.replace(later, steps=later.steps.insert(question.step, change(later.steps[question.step])))


def _by_number(state: State, interrupt: str) -> tuple[str, ...]:
    return tuple(f"somebody-{number}" for number, _ in enumerate(state.standings[interrupt].approvals))


def _anybody(addressed: Any, approvals: Any, speaker: Any, tenant: str) -> str | None:
    return None


def _never_expired(state: State, asked_: Any, message: Any, now: float) -> str | None:
    later = msgspec.structs.replace(asked_, expires_at=float("inf")) if asked_ is not None else None
    return _void(state, later, message, now)


def _milder(find: Callable[[Ruling], Ruling]) -> Patch:
    """Rulings that are taken for others, where calls are begun."""

    def evaluated(*args: Any, **named: Any) -> Any:
        found = evaluate(*args, **named)
        return find(found) if isinstance(found, Ruling) else found

    return _replaced((gating, "evaluate", evaluated))


def _never(ruling: Ruling) -> Ruling:
    return msgspec.structs.replace(ruling, verdict="never", asks=False)


def _block_as_never(ruling: Ruling) -> Ruling:
    return _never(ruling) if ruling.verdict == "block" else ruling


def _unsure_as_no(ruling: Ruling) -> Ruling:
    return _never(ruling) if ruling.why else ruling


def _one_is_enough(ruling: Ruling) -> Ruling:
    return msgspec.structs.replace(ruling, people=1)


_DRAWS = iter(range(10**9))


def _drawn_anew(*args: Any, **named: Any) -> Any:
    named["seed"] = f"{named.get('seed')} {next(_DRAWS)}"
    return evaluate(*args, **named)


def _without_policy(self: Any, step: Any, contract: Any, args: Any, *, settled: bool = False) -> Any:
    """What was asked before is forgotten."""
    return _ruling_of(self, msgspec.structs.replace(step, was_asked=0), contract, args, settled=settled)


def _not_held(field: str) -> Patch:
    """A step that waits is begun though people hold the run up."""

    def is_held(self: Any) -> bool:
        kept = self.state
        self.state = msgspec.structs.replace(kept, **{field: None})
        try:
            return _is_held(self)
        finally:
            self.state = kept

    return _replaced((desk.Desk, "_is_held", is_held))


_is_held = desk.Desk._is_held


def _nobody_refused(state: State, event: Any, entry: e.Entry) -> State:
    after = _answered(state, event, entry)
    return msgspec.structs.replace(after, refused_calls=dict.fromkeys(after.refused_calls, ()))


def _refused_by_nobody(self: Any, *args: Any, **named: Any) -> None:
    named.pop("not_by", None)
    _ask(self, *args, **named)


def _whatever(approval: Any, asked_: Any, now: float, **changes: Any) -> bool:
    return _covers(msgspec.structs.replace(approval, **changes), asked_, now)


def _early(ladder: Any, **named: Any) -> Any:
    due = _next_due(ladder, **named)
    return msgspec.structs.replace(due, at=due.at - 1.0) if due.act in ("remind", "escalate") else due


def _skips_a_rung(ladder: Any, **named: Any) -> Any:
    due = _next_due(ladder, **named)
    last = len(ladder.rungs) - 1
    return msgspec.structs.replace(due, rung=last) if due.act == "escalate" else due


def _all_is_well(command: CheckCall, *_: Any) -> Any:
    async def answered() -> e.ChecksAnswered:
        return e.ChecksAnswered(call=command.call, step=command.step, answers={n: Check(holds=False) for n in command.checks})

    return answered()


def _as_first_asked(before: State, *rest: Any) -> Any:
    """What is open, without what became of it."""
    rows, closed = _opened(before, *rest)
    return tuple(row for row in rows if row.interrupt not in before.interrupts), closed


_opened = asked.opened


def _standing_stays(state: State, event: Any, entry: e.Entry) -> State:
    return following(state, entry)


_BOUND: dict[str, Patch] = {
    "an approval does not look at the world": _bound_to(
        lambda tool, args, contract, ruling, revision: [tool, args, contract, *_parts(ruling, "digest", "rule"), revision]
    ),
    "an approval does not look at the rule": _bound_to(
        lambda tool, args, contract, ruling, revision: [tool, args, contract, *_parts(ruling, "digest", "world"), revision]
    ),
    "an approval does not look at the tool's promises": _bound_to(
        lambda tool, args, contract, ruling, revision: [tool, args, *_parts(ruling, "digest", "rule", "world"), revision]
    ),
    "an approval does not look at the revision": _bound_to(
        lambda tool, args, contract, ruling, revision: [tool, args, contract, *_parts(ruling, "digest", "rule", "world")]
    ),
}
_APPROVALS: dict[str, Patch] = {
    "an answer after the end is taken": _replaced((taking, "_void", _never_expired)),
    "an approval never lapses": _replaced((gating.Gates, "_has_lapsed", lambda self, step: False)),
    "a withdrawn question leaves a yes": _rule(e.InterruptWithdrawn, _approved_all_the_same),
    "silence is a yes": _rule(e.InterruptExpired, _ends_in_yes),
    "two people are counted, and not named": _replaced((taking, "_approvals", _by_number)),
    "one of two people is enough": _milder(_one_is_enough),
    "whoever says yes has a say": _replaced((taking, "may_decide", _anybody)),
    "functions are not asked again after an approval": _rule(e.Answered, _checks_stay),
    "who was asked before is forgotten": _replaced((gating.Gates, "_ruling", _without_policy)),
    "refusals are not counted": _rule(e.Answered, _nobody_refused),
    "who refused is asked again": _replaced((desk.Desk, "_ask", _refused_by_nobody)),
}
_RULINGS: dict[str, Patch] = {
    "a block is a never": _milder(_block_as_never),
    "what cannot be worked out is a no": _milder(_unsure_as_no),
    "a draw is drawn anew": _replaced((gating, "evaluate", _drawn_anew)),
    "functions that fail said no": _replaced((advance, "check_call", _all_is_well)),
}
_HOLDS: dict[str, Patch] = {
    "a pause holds no retry": _not_held("paused"),
    "a pause holds nothing": _replaced((Decider, "_waits_for_people", lambda self: False)),
    "a pause is over at once": _replaced(
        (Decider, "_continue", lambda self: self._rule(e.RunContinued()) if self.state.paused else None)
    ),
    "a plan begins before it is ruled on": _replaced((Decider, "_judges_plan", lambda self: False)),
}
_LADDERS: dict[str, Patch] = {
    "people are reminded early": _replaced((desk, "next_due", _early)),
    "a rung is passed over": _replaced((desk, "next_due", _skips_a_rung)),
    "a reminder is not kept": _rule(e.Reminded, _standing_stays),
}
_STANDING: dict[str, Patch] = {
    "an approval in advance is for all arguments": _replaced(
        (listing, "covers", lambda a, q, now: _whatever(a, q, now, args={}, amount_max=None)),
    ),
    "an approval in advance has no end": _replaced(
        (listing, "covers", lambda a, q, now: _whatever(a, q, now, until=float("inf"))),
    ),
    "an approval in advance is used without end": _replaced(
        (listing, "covers", lambda a, q, now: _whatever(a, q, now, uses_max=None))
    ),
    "an approval in advance cannot be taken back": _replaced(
        (listing, "covers", lambda a, q, now: _whatever(a, q, now, revoked_at=None))
    ),
    "an approval in advance is for two people": _replaced(
        (listing, "covers", lambda a, q, now: _whatever(a, msgspec.structs.replace(q, people=1, standing=True), now)),
    ),
}
_STORED: dict[str, Patch] = {
    "who is asked by now is not told to the store": _replaced((asked, "opened", _as_first_asked)),
    "what came of a question is not told to the store": _replaced((asked, "decided", lambda *_: ())),
    "a ruling is not told to the store": _replaced((asked, "judged", lambda *_: ())),
}
OFFICE: dict[str, Patch] = {**_BOUND, **_APPROVALS, **_RULINGS, **_HOLDS, **_LADDERS, **_STANDING, **_STORED}
