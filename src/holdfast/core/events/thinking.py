"""What a run thinks and believes: requests to a model and what came of them, questions, facts, memories, verdicts."""

from __future__ import annotations

from typing import Literal

from holdfast.core.events.base import Event, Failure
from holdfast.core.facts import Drift, Fact
from holdfast.core.models import Part, Reserved, Usage
from holdfast.core.plan import Goal, Step
from holdfast.core.thinking import Phase, Question, Thinking

# --- words from outside -------------------------------------------------------------------------------------------


class ThinkingChanged(Event, frozen=True, kw_only=True):
    """The agent asks other models, or in another way, than when the run started."""

    thinking: Thinking


class GoalChanged(Event, frozen=True, kw_only=True):
    """Somebody wants something else. inputs: those that change."""

    goal: Goal
    by: str
    note: str = ""


# --- intents ------------------------------------------------------------------------------------------------------


class ProposalRequested(Event, frozen=True, kw_only=True):
    """The reasoner is about to be asked. model: which one, with the reason for that choice; reserved: the most that it may
    use. attempt: requests in this turn, counted from 1."""

    turn: int
    phase: Phase = "plan"
    model: str = ""
    reason: str = ""
    reserved: Reserved | None = None
    attempt: int = 1


class RecallIntended(Event, frozen=True, kw_only=True):
    """What earlier runs learned is about to be looked for."""

    query: str
    count: int


# --- outcomes -----------------------------------------------------------------------------------------------------


class ModelAnswered(Event, frozen=True, kw_only=True):
    """A model answered, and this is what it said; what it proposes follows as an event of its own. finish: why it stopped, in
    the provider's neutral words (stop, length, tool, refused). seconds: how long it took. bytes: of the request."""

    turn: int
    model: str
    usage: Usage
    said: tuple[Part, ...] = ()
    finish: str = ""
    seconds: float = 0.0
    bytes: int = 0


class ModelFailed(Event, frozen=True, kw_only=True):
    """A request to a model came to nothing. usage: what it used all the same."""

    turn: int
    model: str
    failure: Failure
    usage: Usage = Usage()


class PlanKept(Event, frozen=True, kw_only=True):
    """The reasoner looked at the plan again, and it stands."""

    turn: int
    reason: str = ""


class QuestionsProposed(Event, frozen=True, kw_only=True):
    """The reasoner does not know something. Whether a person is asked is weighed and ruled on, question by question."""

    turn: int
    questions: tuple[Question, ...]
    reason: str = ""


class GoalInterpreted(Event, frozen=True, kw_only=True):
    """What the goal means: the intent in plain words, what is known and assumed (facts), and what is missing."""

    turn: int
    intent: str
    facts: tuple[Fact, ...] = ()
    missing: tuple[Question, ...] = ()


class MemoryRecalled(Event, frozen=True, kw_only=True):
    """What was found in the memory. facts: as they may be believed now; ids: of the memories, one for each."""

    facts: tuple[Fact, ...] = ()
    ids: tuple[str, ...] = ()
    failure: str = ""


# --- rulings ------------------------------------------------------------------------------------------------------


class ModelCallLost(Event, frozen=True, kw_only=True):
    """The worker died while a model was asked. What was reserved counts as spent: nobody knows what it used."""

    turn: int
    model: str
    usage: Usage


class ReasonerHeld(Event, frozen=True, kw_only=True):
    """No model can be asked before `until`."""

    until: float
    reason: str


class Inferred(Event, frozen=True, kw_only=True):
    """A question was not put to a person: the guess is taken, and marked as one. why: how that was weighed."""

    question: Question
    why: str


class FactsLearned(Event, frozen=True, kw_only=True):
    """Facts that are believed from now on. drifts: those that are not as they were believed to be. step: which observed them."""

    facts: tuple[Fact, ...]
    drifts: tuple[Drift, ...] = ()
    step: str = ""
    reason: str = ""


class FactsInvalidated(Event, frozen=True, kw_only=True):
    """Facts that are believed no more, because of one that changed or expired. dropped: steps not begun that rested on them;
    outdated: steps already done that rested on them."""

    facts: tuple[str, ...]
    because: str
    dropped: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()


class ReobservationPlanned(Event, frozen=True, kw_only=True):
    """A fact that a step needs is too old: it is observed again by a step of its own."""

    fact: str
    for_step: str
    step: Step


class CheckPlanned(Event, frozen=True, kw_only=True):
    """The proposed result is looked at by a tool."""

    turn: int
    step: Step


class FinishRuled(Event, frozen=True, kw_only=True):
    """Whether the proposed result counts as done. by: the tool or the expression that said so."""

    turn: int
    accepted: bool
    by: str
    reason: str = ""


class PlanSuspected(Event, frozen=True, kw_only=True):
    """The plan may be wrong: the reasoner is asked again before anything new of it begins."""

    why: Literal["failures", "drift", "goal", "correction", "answer", "partial"]
    reason: str
