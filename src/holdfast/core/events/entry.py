"""Every event there is, and an event in its place."""

from __future__ import annotations

import msgspec

from holdfast.core.events.base import Event
from holdfast.core.events.effects import (
    CallDeferred,
    CallFailed,
    CallIntended,
    CallPartial,
    CallSucceeded,
    CallUnknown,
    FinishProposed,
    GiveUpProposed,
    PlanAdopted,
    ProbeAnswered,
    ProbeIntended,
    ProposalFailed,
)
from holdfast.core.events.people import (
    ApprovalGiven,
    ChecksAnswered,
    ChecksIntended,
    Commented,
    Escalated,
    HandoffRequested,
    Instructed,
    InterruptWithdrawn,
    PolicyChanged,
    PolicyRuled,
    Reminded,
    RunContinued,
    RunPaused,
    StepDoneByHand,
    WordVoided,
)
from holdfast.core.events.record import RoomRefused, RulingDeferred, RunForked
from holdfast.core.events.rulings import (
    Asked,
    CallHeld,
    CallRefused,
    FallbackRuled,
    FollowUpSuppressed,
    InterruptExpired,
    LimitReached,
    PendingRuled,
    RecoveryRuled,
    RestPlanned,
    RetryRuled,
    ReuseRuled,
    RunCancelled,
    RunCompleted,
    RunFailed,
    StepFailed,
    StepSkipped,
    UndoPlanned,
)
from holdfast.core.events.thinking import (
    CheckPlanned,
    FactsInvalidated,
    FactsLearned,
    FinishRuled,
    GoalChanged,
    GoalInterpreted,
    Inferred,
    MemoryRecalled,
    ModelAnswered,
    ModelCallLost,
    ModelFailed,
    PlanKept,
    PlanSuspected,
    ProposalRequested,
    QuestionsProposed,
    ReasonerHeld,
    RecallIntended,
    ReobservationPlanned,
    ThinkingChanged,
)
from holdfast.core.events.words import (
    AgentChanged,
    Answered,
    AnswerVoided,
    CallbackReceived,
    CallbackRefused,
    CancelRequested,
    ChildEnded,
    RunResumed,
    RunStarted,
    SignalReceived,
)

AnyEvent = (
    RunStarted | RunResumed | AgentChanged | CancelRequested | Answered | AnswerVoided | CallbackReceived | CallbackRefused
    | SignalReceived | ChildEnded | CallIntended | ProbeIntended | PlanAdopted | ProposalFailed | FinishProposed
    | GiveUpProposed | CallSucceeded | CallPartial | CallDeferred | CallFailed | CallUnknown | ProbeAnswered | RetryRuled
    | RecoveryRuled | FallbackRuled | ReuseRuled | StepSkipped | PendingRuled | RestPlanned | FollowUpSuppressed | CallHeld
    | CallRefused | UndoPlanned | StepFailed | Asked | InterruptExpired | LimitReached | RunCompleted | RunFailed
    | RunCancelled | ThinkingChanged | GoalChanged | ProposalRequested | RecallIntended | ModelAnswered | ModelFailed
    | PlanKept | QuestionsProposed | GoalInterpreted | MemoryRecalled | ModelCallLost | ReasonerHeld | Inferred
    | FactsLearned | FactsInvalidated | ReobservationPlanned | CheckPlanned | FinishRuled | PlanSuspected | PolicyChanged
    | PolicyRuled | ChecksIntended | ChecksAnswered | InterruptWithdrawn | Reminded | Escalated | ApprovalGiven | Commented
    | RunPaused | RunContinued | Instructed | HandoffRequested | StepDoneByHand | WordVoided | RoomRefused | RulingDeferred
    | RunForked
)  # fmt: skip

INTENTS: tuple[type[Event], ...] = (ProposalRequested, RecallIntended, CallIntended, ProbeIntended, ChecksIntended)
OUTCOMES: tuple[type[Event], ...] = (
    ModelAnswered, ModelFailed, PlanAdopted, PlanKept, ProposalFailed, QuestionsProposed, GoalInterpreted, FinishProposed,
    GiveUpProposed, MemoryRecalled, CallSucceeded, CallPartial, CallDeferred, CallFailed, CallUnknown, ProbeAnswered,
    ChecksAnswered,
)  # fmt: skip


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event in its place. sequence: from 1. at: seconds since the epoch. fence: of the claim that wrote it."""

    sequence: int
    at: float
    fence: int
    event: AnyEvent
