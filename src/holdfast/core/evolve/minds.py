"""The reasoner as a model: its requests and answers, what it asks, when its plan is in doubt, whether its result will do."""

from __future__ import annotations

from holdfast.core import events as e
from holdfast.core.evolve.steps import following
from holdfast.core.state import State


def thinking_changed(state: State, event: e.ThinkingChanged, entry: e.Entry) -> State:
    return following(state, entry)


def model_answered(state: State, event: e.ModelAnswered, entry: e.Entry) -> State:
    return following(state, entry)


def model_failed(state: State, event: e.ModelFailed, entry: e.Entry) -> State:
    return following(state, entry)


def model_call_lost(state: State, event: e.ModelCallLost, entry: e.Entry) -> State:
    return following(state, entry)


def reasoner_held(state: State, event: e.ReasonerHeld, entry: e.Entry) -> State:
    return following(state, entry)


def plan_kept(state: State, event: e.PlanKept, entry: e.Entry) -> State:
    return following(state, entry)


def questions_proposed(state: State, event: e.QuestionsProposed, entry: e.Entry) -> State:
    return following(state, entry)


def goal_interpreted(state: State, event: e.GoalInterpreted, entry: e.Entry) -> State:
    return following(state, entry)


def goal_changed(state: State, event: e.GoalChanged, entry: e.Entry) -> State:
    return following(state, entry)


def inferred(state: State, event: e.Inferred, entry: e.Entry) -> State:
    return following(state, entry)


def plan_suspected(state: State, event: e.PlanSuspected, entry: e.Entry) -> State:
    return following(state, entry)


def check_planned(state: State, event: e.CheckPlanned, entry: e.Entry) -> State:
    return following(state, entry)


def finish_ruled(state: State, event: e.FinishRuled, entry: e.Entry) -> State:
    return following(state, entry)
