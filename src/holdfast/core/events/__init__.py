"""What happened: one frozen record each. A journal is a list of these and nothing else.

Events are past tense. *Intents* are written before an effect, *outcomes* after it, *rulings* are what was decided in
between and why; the rest are words from outside (start, answers, cancel). An `Entry` is an event with its place:
sequence, time, and the fence of the claim it was written under.

The name on disk is the class name in snake case (`call_intended`). A shape that changes gets a new class with a
version in its name and an upcast in `journal/codec.py`; fields with a default may be added freely.
"""

# ruff: noqa: I001
from holdfast.core.events.base import (
    BY_A_PERSON as BY_A_PERSON,
    BY_A_POLICY as BY_A_POLICY,
    Change as Change,
    Cut as Cut,
    DecisionName as DecisionName,
    Event as Event,
    Failure as Failure,
    FailureKind as FailureKind,
    InterruptKind as InterruptKind,
    InterruptSubject as InterruptSubject,
    OnStop as OnStop,
    Option as Option,
    Verdict as Verdict,
)
from holdfast.core.events.words import (
    AgentChanged as AgentChanged,
    AnswerVoided as AnswerVoided,
    Answered as Answered,
    CallbackReceived as CallbackReceived,
    CallbackRefused as CallbackRefused,
    CancelRequested as CancelRequested,
    ChildEnded as ChildEnded,
    RunResumed as RunResumed,
    RunStarted as RunStarted,
    SignalReceived as SignalReceived,
)
from holdfast.core.events.effects import (
    CallDeferred as CallDeferred,
    CallFailed as CallFailed,
    CallIntended as CallIntended,
    CallPartial as CallPartial,
    CallSucceeded as CallSucceeded,
    CallUnknown as CallUnknown,
    FinishProposed as FinishProposed,
    GiveUpProposed as GiveUpProposed,
    PlanAdopted as PlanAdopted,
    ProbeAnswered as ProbeAnswered,
    ProbeIntended as ProbeIntended,
    ProposalFailed as ProposalFailed,
)
from holdfast.core.events.rulings import (
    Asked as Asked,
    CallHeld as CallHeld,
    CallRefused as CallRefused,
    FallbackRuled as FallbackRuled,
    FollowUpSuppressed as FollowUpSuppressed,
    InterruptExpired as InterruptExpired,
    LimitReached as LimitReached,
    PendingRuled as PendingRuled,
    RecoveryRuled as RecoveryRuled,
    RestPlanned as RestPlanned,
    RetryRuled as RetryRuled,
    ReuseRuled as ReuseRuled,
    RunCancelled as RunCancelled,
    RunCompleted as RunCompleted,
    RunFailed as RunFailed,
    StepFailed as StepFailed,
    StepSkipped as StepSkipped,
    UndoPlanned as UndoPlanned,
)
from holdfast.core.events.people import (
    ApprovalGiven as ApprovalGiven,
    ChecksAnswered as ChecksAnswered,
    ChecksIntended as ChecksIntended,
    Commented as Commented,
    Escalated as Escalated,
    HandoffRequested as HandoffRequested,
    Instructed as Instructed,
    InterruptWithdrawn as InterruptWithdrawn,
    PolicyChanged as PolicyChanged,
    PolicyRuled as PolicyRuled,
    Reminded as Reminded,
    RunContinued as RunContinued,
    RunPaused as RunPaused,
    StepDoneByHand as StepDoneByHand,
    WordVoided as WordVoided,
)
from holdfast.core.events.thinking import (
    CheckPlanned as CheckPlanned,
    FactsInvalidated as FactsInvalidated,
    FactsLearned as FactsLearned,
    FinishRuled as FinishRuled,
    GoalChanged as GoalChanged,
    GoalInterpreted as GoalInterpreted,
    Inferred as Inferred,
    MemoryRecalled as MemoryRecalled,
    ModelAnswered as ModelAnswered,
    ModelCallLost as ModelCallLost,
    ModelFailed as ModelFailed,
    PlanKept as PlanKept,
    PlanSuspected as PlanSuspected,
    ProposalRequested as ProposalRequested,
    QuestionsProposed as QuestionsProposed,
    ReasonerHeld as ReasonerHeld,
    RecallIntended as RecallIntended,
    ReobservationPlanned as ReobservationPlanned,
    ThinkingChanged as ThinkingChanged,
)
from holdfast.core.events.record import (
    ForkMode as ForkMode,
    Outcome as Outcome,
    Recorded as Recorded,
    RoomRefused as RoomRefused,
    RulingDeferred as RulingDeferred,
    RunForked as RunForked,
    Scripted as Scripted,
)
from holdfast.core.events.entry import (
    AnyEvent as AnyEvent,
    Entry as Entry,
    INTENTS as INTENTS,
    OUTCOMES as OUTCOMES,
)
