"""Every error of holdfast, by who must act next.

    HoldfastError
    ├── UsageError                 the caller: something asked for cannot be
    │   ├── DefinitionError        … in how a tool or an agent is declared
    │   ├── PlanError              … in a plan; carries every problem at once
    │   ├── LoadError              … in a file or module that was named
    │   ├── GoalMismatch           … this id already belongs to another goal
    │   ├── RunNotFound            … no such run
    │   │   └── RunPruned          … it was there; only the proof of it is left
    │   ├── AnswerRefused          … an answer that is late, second or not allowed
    │   ├── CallbackRefused        … a delivery by token that is late, second or of no result
    │   ├── CallbackUnknown        … a token that nobody was given
    │   ├── MissingSecret          … a secret that no provider has
    │   └── OutsideStore           … an effect tool called where nothing is recorded
    ├── JournalError               the operator: the record cannot be kept
    │   ├── JournalUnavailable     … not now (disk full, locked, read-only, I/O error)
    │   ├── JournalCorrupt         … what was read is not what was written
    │   │   └── ArchiveRefused     … in the file of an export; names the line
    │   └── JournalTooNew          … written by a later release
    ├── Superseded                 nobody: another worker has the run now
    └── ToolFailure                the runtime: a tool says that its call failed; a ruling follows
        ├── Transient, RateLimited, InvalidInput, InvalidOutput, Insufficient, NotFound,
        │   Conflict, Denied, Unavailable, TooExpensive
        └── (a tool raises Unknown when it cannot say; that is no failure)

A ToolFailure says that the call's effect did *not* happen. Whoever cannot promise that raises `Unknown`, or lets
the exception of the library below go through: for a tool that changes the world that counts as unknown too.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HoldfastError(Exception):
    """What happened, to which run and step, and what to do now; rendered late from its data."""

    def __init__(self, what: str, *, run_id: str | None = None, step: str | None = None, hint: str | None = None):
        super().__init__(what)
        self.what = what
        self.run_id = run_id
        self.step = step
        self.hint = hint

    def __str__(self) -> str:
        where = "".join(f"{noun} {name}: " for noun, name in (("run", self.run_id), ("step", self.step)) if name)
        return f"{where}{self.what}" + (f" — {self.hint}" if self.hint else "")


class UsageError(HoldfastError):
    """The caller asked for something that cannot be."""


class DefinitionError(UsageError):
    """A tool or an agent is declared in a way that cannot be kept."""


class PlanError(UsageError):
    """A plan that is not sound. `problems` has every one of them, each a sentence that names its step."""

    def __init__(self, problems: list[str], *, source: str | None = None):
        self.problems = problems
        self.source = source
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{source or 'the plan'} has {count}:\n" + "\n".join(f"  - {problem}" for problem in problems))


class LoadError(UsageError):
    """A file or module that was named cannot be read as what it should be."""


class GoalMismatch(UsageError):
    """The id belongs to a run with another goal, other inputs or another agent."""


class RunNotFound(UsageError):
    """There is no run of that id in this store."""


class RunPruned(RunNotFound):
    """The run was pruned: only the proof of it is left, and its id is not taken again."""


class AnswerRefused(UsageError):
    """An answer that cannot be taken: nothing is open, it expired, somebody was first, or it is not an option."""


class CallbackRefused(UsageError):
    """A delivery that cannot be taken: the token was used, it expired, the run has ended, or it brings no result of the
    call. It is recorded, unless it brought no result of the call; then the token is still good."""


class CallbackUnknown(UsageError):
    """A token that nobody was given; nothing is said about what others there are."""


class MissingSecret(UsageError):
    """A secret that a call needs and no provider has."""


class OutsideStore(UsageError):
    """An effect tool was called as a plain function, where nothing would record what it did."""


class JournalError(HoldfastError):
    """The record cannot be kept or trusted; no effect begins until an operator has looked."""


class JournalUnavailable(JournalError):
    """The store did not take a write or a read. Whether a write arrived is not known."""


class JournalCorrupt(JournalError):
    """A row does not carry the digest that its content has. `sequence` is the first bad entry, if known."""

    def __init__(self, what: str, *, run_id: str | None = None, sequence: int | None = None, hint: str | None = None):
        super().__init__(what, run_id=run_id, hint=hint)
        self.sequence = sequence


class ArchiveRefused(JournalCorrupt):
    """An exported file is not what was written. `line` is the first bad one, counted from 1."""

    def __init__(self, what: str, *, line: int, run_id: str | None = None, sequence: int | None = None, hint: str | None = None):
        super().__init__(what, run_id=run_id, sequence=sequence, hint=hint)
        self.line = line

    def __str__(self) -> str:
        return f"line {self.line}: {super().__str__()}"


class JournalTooNew(JournalError):
    """The store or an event in it was written by a later release than this one."""


class Superseded(HoldfastError):
    """The claim is lost: another worker advances the run, or somebody wrote first. Drop what you hold and go on."""


class ToolFailure(HoldfastError):
    """A tool says: this call failed, and its effect did not happen.

    kind: the failure class that the ruling is made from. retry_after_seconds: what the other side asked for.
    """

    kind: ClassVar[str] = "transient"

    def __init__(self, what: str = "", *, retry_after_seconds: float | None = None, detail: Any = None):
        super().__init__(what or self.kind)
        self.retry_after_seconds = retry_after_seconds
        self.detail = detail


class Transient(ToolFailure):
    """It may work in a moment (connection refused, 503)."""


class RateLimited(ToolFailure):
    """The other side asks for patience; give `retry_after_seconds` where it named a time."""

    kind = "rate_limited"


class InvalidInput(ToolFailure):
    """These arguments cannot work; other arguments may."""

    kind = "invalid_input"


class InvalidOutput(ToolFailure):
    """The other side answered with what its contract forbids."""

    kind = "invalid_output"


class Insufficient(ToolFailure):
    """A well-formed answer that is not enough."""

    kind = "insufficient"


class NotFound(ToolFailure):
    """What the call is about does not exist."""

    kind = "not_found"


class Conflict(ToolFailure):
    """The world changed under us (409, sold out, version mismatch)."""

    kind = "conflict"


class Denied(ToolFailure):
    """Not allowed, and asking again will not help (401, 403)."""

    kind = "denied"


class Unavailable(ToolFailure):
    """Nobody is served at present (circuit open, maintenance)."""

    kind = "unavailable"


class TooExpensive(ToolFailure):
    """It would cost more than is allowed."""

    kind = "too_expensive"


class Unknown(Exception):
    """Raised by a tool that cannot say whether its effect happened (time-out after sending, connection lost)."""
