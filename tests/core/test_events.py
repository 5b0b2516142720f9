"""What happened: one frozen record each, with a name on disk that never changes."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given

from holdfast.core import events as e
from holdfast.core.evolve.fold import RULES
from tests import strategies as s

CLASSES = get_args(e.AnyEvent)

# Every name that was ever written. A class that is renamed needs an upcast in the codec, and its old name stays here.
NAMES = {
    "agent_changed", "answer_voided", "answered", "asked", "call_deferred", "call_failed", "call_intended", "call_partial",
    "call_succeeded", "call_unknown", "cancel_requested", "fallback_ruled", "finish_proposed", "give_up_proposed",
    "interrupt_expired", "limit_reached", "plan_adopted", "probe_answered", "probe_intended", "proposal_failed",
    "proposal_requested", "recovery_ruled", "retry_ruled", "reuse_ruled", "run_cancelled", "run_completed", "run_failed",
    "run_resumed", "run_started", "step_failed", "step_skipped",
    "call_held", "call_refused", "callback_received", "callback_refused", "child_ended", "follow_up_suppressed", "pending_ruled",
    "rest_planned", "signal_received", "undo_planned",
    "check_planned", "facts_invalidated", "facts_learned", "finish_ruled", "goal_changed", "goal_interpreted", "inferred",
    "memory_recalled", "model_answered", "model_call_lost", "model_failed", "plan_kept", "plan_suspected", "questions_proposed",
    "approval_given", "checks_answered", "checks_intended", "commented", "escalated", "handoff_requested", "instructed",
    "interrupt_withdrawn", "policy_changed", "policy_ruled", "reminded", "run_continued", "run_paused", "step_done_by_hand",
    "word_voided",
    "room_refused", "ruling_deferred", "run_forked",
    "reasoner_held", "recall_intended", "reobservation_planned", "thinking_changed",
}  # fmt: skip


def test_the_union_has_every_event_class() -> None:
    """A new class that is left out could be written and never read."""
    defined = {
        found for found in vars(e).values() if isinstance(found, type) and issubclass(found, e.Event) and found is not e.Event
    }
    assert defined == set(CLASSES)
    assert set(s.EVENTS) == defined, "and the tests make each of them"


def test_names_on_disk_are_pinned() -> None:
    """Snake case of the class, for ever."""
    assert {str(found.__struct_config__.tag) for found in CLASSES} == NAMES
    assert msgspec.json.encode(e.InterruptExpired(interrupt="a-1")) == b'{"event":"interrupt_expired","interrupt":"a-1"}'


def test_every_event_is_folded() -> None:
    """Except the start, which begins the state."""
    assert set(RULES) == set(CLASSES) - {e.RunStarted}


def test_intents_and_outcomes_are_told_from_rulings() -> None:
    """Each effect has one of both; nothing is both."""
    assert not set(e.INTENTS) & set(e.OUTCOMES)
    assert set(e.INTENTS) | set(e.OUTCOMES) <= set(CLASSES)
    assert {found.__name__ for found in e.INTENTS} == {
        "ProposalRequested", "RecallIntended", "CallIntended", "ProbeIntended", "ChecksIntended",
    }  # fmt: skip
    assert len(e.OUTCOMES) == 17


@pytest.mark.parametrize("kind", CLASSES)
def test_events_are_frozen_records_of_names(kind: type[e.Event]) -> None:
    """Nothing changes what happened, and nobody relies on the order of fields."""
    assert kind.__struct_config__.frozen
    assert kind.__doc__
    with pytest.raises(TypeError):
        kind("by position")


@given(s.events)
def test_every_event_reads_back_as_it_was(event: e.AnyEvent) -> None:
    """Alone and in a list, also with values that look like marks of the journal."""
    assert msgspec.json.decode(msgspec.json.encode(event), type=e.AnyEvent) == event


def test_fields_that_a_later_release_added_are_passed_over() -> None:
    """In a rolling upgrade the old release reads what the new one wrote."""
    body = b'{"event":"run_resumed","worker":"w","mood":"good"}'
    assert msgspec.json.decode(body, type=e.AnyEvent) == e.RunResumed(worker="w")
