"""Rules of the machine, each broken on purpose: the simulation must find every one of them.

A mutant is a name and what it patches. Rows of the recovery table get a wrong action; fence checks, key rules and settle
times are left out or done wrong. `python -m tests.simulation.mutants [PART OF A NAME]` prints which seed finds which.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

import msgspec

from holdfast.core import diagnosis, gates, pending, recovery, undo
from holdfast.core import events as e
from holdfast.core.commands import call_key
from holdfast.core.decide import calls as calling
from holdfast.core.decide import decider as deciding
from holdfast.core.decide import gates as gating
from holdfast.core.decide.decider import Decider
from holdfast.core.evolve import calls as heard_of_calls
from holdfast.core.evolve import fold, words
from holdfast.core.evolve.steps import following
from holdfast.core.retry import next_wait
from holdfast.errors import Superseded
from holdfast.journal import mail
from holdfast.journal.base import Message
from holdfast.journal.mail import refusal as mail_refusal
from holdfast.runner import advance, children, holdings, perform
from holdfast.runner.advance import Advance
from holdfast.testing.memory import MemoryStore
from holdfast.testing.simulation.stage import Played, play
from tests.simulation import people_mutants
from tests.simulation.hostile_mutants import HOSTILE
from tests.simulation.people_mutants import OFFICE

Patch = Callable[[], AbstractContextManager[Any]]
SEEDS_MAX = 1_000


def first_found(name: str) -> Played | None:
    """The first seed that sees a mutant, of a thousand. Mutants of what only some of the seeds play get a thousand of those."""
    first, away = (-1, -1) if name in HOSTILE else (2, 2) if name in MESSY else (1, 2)
    played_seeds = people_mutants.seeds() if name in OFFICE else (first + away * number for number in range(SEEDS_MAX))
    with MUTANTS[name]():
        for number, seed in enumerate(played_seeds):
            played = play(seed)
            if number % 50 == 0:
                gc.collect()
            if played.broken is not None:
                return played
    return None


def _replaced(target: Any, name: str, value: Any) -> Patch:
    return lambda: mock.patch.object(target, name, value)


# --- the recovery table -------------------------------------------------------------------------------------------


def row(label: str, action: str) -> Patch:
    """The table with another action in one row."""

    def patch() -> AbstractContextManager[Any]:
        assert any(row.label == label and row.action != action for row in recovery.TABLE), label
        table = tuple(msgspec.structs.replace(row, action=action) if row.label == label else row for row in recovery.TABLE)
        return mock.patch.object(recovery, "TABLE", table)

    return patch


_PROBED = {
    "first": ("repeat", "ask", "fail"),
    "happened": ("repeat", "fail", "ask"),
    "no": ("ask", "fail", "take"),
    "no-often": ("repeat", "ask", "take"),
    "no-early": ("repeat", "fail", "ask"),
    "not-yet": ("repeat", "fail", "ask"),
    "not-yet-late": ("repeat", "fail", "probe"),
    "cannot-tell": ("repeat", "fail", "take", "probe"),
}
WRONG_ACTIONS: dict[str, tuple[str, ...]] = {
    "read": ("ask", "fail", "probe"),
    "read-often": ("repeat", "ask"),
    "idempotent": ("ask", "fail", "probe"),
    "idempotent-often": ("repeat", "fail"),
    "keyed-alive": ("ask", "fail", "probe"),
    "keyed-often": ("repeat", "fail"),
    "keyed-expired-blind": ("repeat", "fail", "probe"),
    "reconcilable-blind": ("repeat", "fail", "probe"),
    "irreversible": ("repeat", "fail", "probe"),
    **{f"keyed-expired-{label}": actions for label, actions in _PROBED.items()},
    **{f"reconcilable-{label}": actions for label, actions in _PROBED.items()},
}

# --- fences, keys, times ------------------------------------------------------------------------------------------


async def _always_holds(self: Advance) -> bool:
    return True


def _no_doubt(self: Any, step: Any) -> None:
    """An open intent of an older fence is waited for, as if its worker lived."""


def _give_up_at_once(self: Any, step: Any, contract: Any) -> None:
    """What an earlier attempt may have done is of no interest."""
    self._give_up(step, "it failed", step.step.on_failure)


def _unsettled_is_settled(self: Any, step: Any, contract: Any, spent: bool = False) -> recovery.Doubt:
    return msgspec.structs.replace(_doubt(self, step, contract, spent), settled=True)


_doubt = Decider._doubt
_begin = Decider._begin


def _key_made_with(about: Callable[[Any, Any], Any]) -> Patch:
    """Keys that something gets into which has no business there, taken from the decider or the step."""

    @contextmanager
    def patch() -> Any:
        def begin(self: Any, step: Any) -> None:
            def key(run_id: str, tool: str, *rest: Any) -> str:
                return call_key(run_id, f"{tool} {about(self, step)}", *rest)

            with mock.patch.object(calling, "call_key", key):
                _begin(self, msgspec.structs.replace(step, key=""))

        with mock.patch.object(Decider, "_begin", begin):
            yield

    return patch


def _key_without(**left_out: Any) -> Patch:
    """Keys in which something is missing."""
    names = ("business", "occurrence")

    def key(run_id: str, tool: str, step: str, business: tuple[str, ...], args: dict[str, Any], occurrence: int) -> str:
        given = {"business": business, "occurrence": occurrence, **left_out}
        return call_key(run_id, tool, step, given[names[0]], args, given[names[1]])

    return _replaced(calling, "call_key", key)


def _both(*patches: Patch) -> Patch:
    @contextmanager
    def patch() -> Any:
        with ExitStack() as stack:
            for one in patches:
                stack.enter_context(one())
            yield

    return patch


def _superseded() -> None:
    raise Superseded("another worker has written to it since")


FENCES: dict[str, Patch] = {
    "append does not look at the fence": _replaced(
        MemoryStore, "_check_writer", lambda self, run, batch: None if batch.head.version == run.version else _superseded()
    ),
    "append does not look at the version": _replaced(
        MemoryStore, "_check_writer", lambda self, run, batch: None if batch.fence == run.fence else _superseded()
    ),
    "a claim does not raise the fence": _replaced(MemoryStore, "_next_fence", lambda self, run: run.fence),
    "a claim is given while the lease runs": _replaced(MemoryStore, "_is_free", lambda self, run, now: True),
    "anybody may make a lease last": _replaced(MemoryStore, "holds", lambda self, claim: claim.run_id in self.runs),
    "the claim is not looked at before sending": _replaced(Advance, "_still_holds", _always_holds),
    "an open intent under an older fence is no doubt": _replaced(
        deciding, "SETTLERS", {**deciding.SETTLERS, "flying": _no_doubt}
    ),
}


KEYS: dict[str, Patch] = {
    "the key is made from the attempt": _key_made_with(lambda decider, step: step.attempt),
    "the key differs after a crash": _key_made_with(lambda decider, step: decider.state.fence),
    "the key ignores the business key": _key_without(business=()),
    "the key ignores the occurrence": _key_without(occurrence=1),
    "the life of a key is ignored": _both(
        _replaced(Decider, "_key_alive", lambda self, step, contract: True),
        _replaced(Decider, "_send_by", lambda self, step: None),
    ),
    "a key's life is not looked at when the call is sent": _replaced(Decider, "_send_by", lambda self, step: None),
}

TIMES: dict[str, Patch] = {
    "a probe's first no is final": _replaced(Decider, "_doubt", _unsettled_is_settled),
}


def _any_digest(*_: Any) -> str:
    return "any"


def _send_again(self: MemoryStore, run_id: str, message: Message) -> int:
    self.writes += 1
    return self._put(self.run(run_id), message)


PEOPLE: dict[str, Patch] = {
    "nobody is asked first": _replaced(Decider, "_is_gated", lambda self, *args, **named: False),
    "an approval counts for whatever is called": _both(
        _replaced(gating, "shown_digest", _any_digest), _replaced(words, "shown_digest", _any_digest)
    ),
    "a question never expires": _replaced(Decider, "_expire", lambda self, interrupt: None),
    "a second answer is taken": _replaced(MemoryStore, "send", _send_again),
}

OTHERS: dict[str, Patch] = {
    "a time that the other side named is forgotten": _replaced(
        diagnosis, "next_wait", lambda *args, **named: next_wait(*args, **{**named, "retry_after_seconds": None})
    ),
    "a doubt is forgotten when a later attempt fails": _replaced(Decider, "_last_look", _give_up_at_once),
    "a broken answer counts as no effect": _both(
        _replaced(heard_of_calls, "changed_the_world", lambda failure, contract: False),
        _replaced(diagnosis, "changed_the_world", lambda failure, contract: False),
    ),
    "places are not counted": _replaced(MemoryStore, "_full_slots", lambda self, batch: {}),
    "weaker promises are taken without a word": _replaced(Decider, "_held", lambda self: False),
    "what was sent is judged by today's promises": _replaced(words, "_held_for_what_was_sent", lambda step, old, new: None),
    "a checkpoint is believed without what came after it": _replaced(
        advance, "fold", lambda entries, state=None: state if state is not None else fold(entries)
    ),
}

# --- what is owed, shared and taken back --------------------------------------------------------------------------


def pending_row(label: str, action: str) -> Patch:
    """The table of what is owed with another action in one row."""

    def patch() -> AbstractContextManager[Any]:
        assert any(row.label == label and row.action != action for row in pending.TABLE), label
        table = tuple(msgspec.structs.replace(row, action=action) if row.label == label else row for row in pending.TABLE)
        return mock.patch.object(pending, "TABLE", table)

    return patch


def _changed(target: Any, name: str, change: Callable[[Any], Any]) -> Patch:
    """A function whose result is changed."""

    def patch() -> AbstractContextManager[Any]:
        whole = getattr(target, name)
        return mock.patch.object(target, name, lambda *args, **named: change(whole(*args, **named)))

    return patch


def _letters_without(unwanted: Callable[[Message], bool]) -> Patch:
    """A store that loses some of the messages that it makes itself."""

    def put(self: MemoryStore, run: Any, message: Message) -> int:
        return 0 if unwanted(message) else _put(self, run, message)

    return _replaced(MemoryStore, "_put", put)


def _letters_twice(kind: str) -> Patch:
    def put(self: MemoryStore, run: Any, message: Message) -> int:
        if message.kind == kind:
            _put(self, run, message)
        return _put(self, run, message)

    return _replaced(MemoryStore, "_put", put)


_put = MemoryStore._put
_settle_doubt = Decider._settle_doubt
_child_id = children.child_id


def _refusal(*, used_at: float | None, expires_at: float, status: Any, at: float) -> str:
    return mail_refusal(used_at=None, expires_at=expires_at, status=status, at=at)


def _without_callback(self: Any, step: Any) -> None:
    _settle_doubt(self, msgspec.structs.replace(step, callback=None))


def _fall_back_at_once(self: Any, step: Any, contract: Any, fallback: str) -> None:
    self._rule(e.FallbackRuled(step=step.step.id, tool=fallback, reason="whatever it did"))


def _in_any_order(steps: Any, key: Any) -> list[Any]:
    return sorted(steps, key=lambda step: step.done_at)


def _changed_contract(whole: Callable[..., Any], **changes: Any) -> Callable[..., Any]:
    def contract_of(*args: Any) -> Any:
        found = whole(*args)
        return msgspec.structs.replace(found, **changes) if found is not None else None

    return contract_of


async def _content(*_: Any) -> None:
    return None


def _all_that_ended(after: Any, events: tuple[Any, ...]) -> tuple[str, ...]:
    ended = [event.step for event in events if isinstance(event, holdings._CALL_OUTCOMES)]
    return tuple(once for name in ended if (once := holdings._once_of(after, after.steps[name])) is not None)


WRONG_AT_DEADLINES: dict[str, tuple[str, ...]] = {
    "came": ("fail",),
    "wait": ("look", "fail", "ask"),
    "last-look": ("ask", "fail"),
    "late-ask": ("fail", "repeat", "give_up"),
    "late-fail": ("ask", "repeat", "give_up"),
    "late-give-up": ("fail", "repeat"),
    "late-repeat": ("fail", "give_up"),
    "late-repeated": ("repeat", "fail"),
    "late-rest": ("repeat",),
}
DELIVERIES: dict[str, Patch] = {
    "a token is good for as many deliveries as come": _replaced(mail, "refusal", _refusal),
    "a delivery before the outcome is forgotten": _replaced(
        words, "_early", lambda state, entry, step, event: following(state, entry)
    ),
    "a delivery is heard twice": _letters_twice("callback"),
    "what was delivered does not settle a doubt": _both(
        _replaced(Decider, "_settle_doubt", _without_callback),
        _replaced(deciding, "SETTLERS", {**deciding.SETTLERS, "doubt": _without_callback}),
    ),
    "a refused delivery is not recorded": _letters_without(lambda message: message.kind == "refused"),
    "a token is not kept with the intent": _replaced(holdings, "tokens", lambda *_: ()),
}
FOLLOW_UPS: dict[str, Patch] = {
    "what is owed keeps nobody from asking again": _replaced(Decider, "_is_owed", lambda self, step, args: False),
    "the same call in another step is in nobody's way": _replaced(Decider, "_twin_in_the_way", lambda self, step, twin: False),
    "a deadline never comes": _changed(pending, "as_wait", lambda wait: msgspec.structs.replace(wait, late=False, looks="never")),
    "a deadline is there at once": _changed(
        pending, "as_wait", lambda wait: msgspec.structs.replace(wait, late=True, looks="never")
    ),
    "what is owed is not kept": _replaced(heard_of_calls, "open_pending", lambda state, owed, contract: {}),
    "the rest gets no step of its own": _replaced(Decider, "_plan_rests", lambda self: None),
    "nobody waits until it can be seen": _replaced(heard_of_calls, "can_look", lambda contract: False),
    "a probe's no is final before it can be seen": _replaced(
        heard_of_calls, "contract_of", _changed_contract(heard_of_calls.contract_of, visible_within_seconds=None)
    ),
    "what is not enough is a success": _replaced(perform, "judged", _content),
    "a call that failed for good is made again": _replaced(Decider, "_failed_before", lambda self, step, args: False),
    "what else a call changed is not counted": _replaced(heard_of_calls, "counted", lambda state, changes: {}),
}
SHARED: dict[str, Patch] = {
    "a rate is not counted": _replaced(gates, "_rate_room", lambda sent, rate: None),
    "a circuit never opens": _replaced(gates, "_failed", lambda state, now, breaker: state),
    "a circuit closes without a trial": _replaced(
        gates, "_circuit_room", lambda state, now, breaker: 0 if now < state.open_until else None
    ),
    "the time that a service named opens no circuit": _replaced(gates, "_paused", lambda state, *_: state),
    "a key of the store has many places": _changed(
        holdings,
        "slots",
        lambda slots: tuple(msgspec.structs.replace(slot, capacity=9) if slot.until is not None else slot for slot in slots),
    ),
    "a key of the store is free when the call has ended": _replaced(holdings, "settled", _all_that_ended),
}
UNDO: dict[str, Patch] = {
    "it is taken back in the order in which it was done": lambda: mock.patch.object(undo, "sorted", _in_any_order, create=True),
    "what a probe found is not taken back": _replaced(undo, "_BY_THE_RUN", ("call",)),
    "it is kept, whatever was said": _replaced(Decider, "_on_stop", lambda self: "keep"),
    "it is taken back, whatever was said": _replaced(Decider, "_on_stop", lambda self: "undo"),
    "another way is tried before the first is taken back": _replaced(Decider, "_compensate", _fall_back_at_once),
    "what was done by hand while it was taken back is not named": _replaced(Decider, "_kept", lambda self: self.state.kept),
}
CHILDREN: dict[str, Patch] = {
    "each attempt starts a run": _replaced(
        children, "child_id", lambda state, command: f"{_child_id(state, command)}-{command.attempt}"
    ),
    "nobody tells the children": _letters_without(lambda message: message.slot == "parent-ended"),
    "nobody tells the parent": _letters_without(lambda message: message.kind == "child"),
    "the parent is told twice": _letters_twice("child"),
}

CLASSIC: dict[str, Patch] = {
    **{f"row {label}: {action}": row(label, action) for label, actions in WRONG_ACTIONS.items() for action in actions},
    **FENCES,
    **KEYS,
    **TIMES,
    **PEOPLE,
    **OTHERS,
}
MESSY: dict[str, Patch] = {
    **{
        f"owed {label}: {action}": pending_row(label, action)
        for label, actions in WRONG_AT_DEADLINES.items()
        for action in actions
    },
    **DELIVERIES,
    **FOLLOW_UPS,
    **SHARED,
    **UNDO,
    **CHILDREN,
}
MUTANTS: dict[str, Patch] = {**CLASSIC, **MESSY, **HOSTILE, **OFFICE}


def main() -> int:
    """Print a table of all mutants, or of those with this in their names; 1 if one of them is not found."""
    logging.disable(logging.CRITICAL)
    missed = 0
    for name in MUTANTS:
        if sys.argv[1:] and sys.argv[1] not in name:
            continue
        found = first_found(name)
        missed += found is None
        said = f"seed {found.seed:>4}  {found.broken.law}" if found is not None and found.broken is not None else "NOT FOUND"
        print(f"{name:<52}  {said}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
