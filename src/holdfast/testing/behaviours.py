"""What becomes of one request to the scripted world: see `holdfast.testing.world`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from holdfast import errors
from holdfast.core.events import FailureKind

Reply = Literal["ok", "failure", "surprise", "unknown", "lie", "partial", "deferred"]

# The failures that a tool can say of itself; each promises that the effect did not happen.
FAILURES: Mapping[FailureKind, type[errors.ToolFailure]] = {
    cls.kind: cls  # type: ignore[misc]
    for cls in (
        errors.Transient, errors.RateLimited, errors.InvalidInput, errors.InvalidOutput, errors.Insufficient, errors.NotFound,
        errors.Conflict, errors.Denied, errors.Unavailable, errors.TooExpensive,
    )
}  # fmt: skip


class CallBack(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery by the token of a request. after: seconds from the request. failed: it could not be done, and why; one that
    has landed by then is delivered as a result all the same. wrong: by a token that nobody was given. name: for the trace."""

    after: float = 0.0
    failed: str | None = None
    wrong: bool = False
    name: str = "delivered"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one request. lands: seconds until its effect happens, None for never. replies: seconds until the
    reply, None for never (the caller hangs until it times out). visible: seconds after landing until a probe can see it.
    until: the deadline that a deferring service names, in seconds from now. stubborn: the tool ignores its cancellation.

    fails: seconds after which the other side says, when asked, that what it owes will not come. left: what a part leaves
    undone. rest: whether the caller is to do that by another call (else the other side does it by itself, after `completes`
    seconds, or never). short: it is done, and not enough of it: the receipt is about an amount of nothing. changes: what else
    the call reports to have changed. calls_back: what is delivered by the token, where the tool hands one out."""

    name: str
    lands: float | None = 0.0
    replies: float | None = 0.0
    reply: Reply = "ok"
    failure: FailureKind = "transient"
    retry_after_seconds: float | None = None
    visible: float = 0.0
    until: float | None = None
    stubborn: bool = False
    fails: float | None = None
    left: tuple[str, ...] = ("the rest",)
    rest: bool = False
    completes: float | None = None
    short: bool = False
    changes: tuple[tuple[str, float], ...] = ()
    calls_back: tuple[CallBack, ...] = ()


def ok(seconds: float = 0.0) -> Behaviour:
    """It works."""
    return Behaviour(name="ok", replies=seconds)


def fail(kind: FailureKind = "transient", seconds: float = 0.0) -> Behaviour:
    """It does not happen, and the tool says why."""
    return Behaviour(name=f"failure {kind}", lands=None, replies=seconds, reply="failure", failure=kind)


def rate_limited(retry_after_seconds: float, seconds: float = 0.0) -> Behaviour:
    """It does not happen, and the other side asks for patience."""
    return Behaviour(
        name="429 with a time", lands=None, replies=seconds, reply="failure", failure="rate_limited",
        retry_after_seconds=retry_after_seconds,
    )  # fmt: skip


def surprise(*, effect: bool, seconds: float = 0.0) -> Behaviour:
    """The tool raises what nobody thought of, before or after its effect."""
    lands, when = (0.0, "after") if effect else (None, "before")
    return Behaviour(name=f"exception {when} the effect", lands=lands, replies=seconds, reply="surprise")


def unsure(*, effect: bool, seconds: float = 0.0) -> Behaviour:
    """The tool says that it cannot tell whether it happened."""
    return Behaviour(name="tool says unknown", lands=0.0 if effect else None, replies=seconds, reply="unknown")


def hang() -> Behaviour:
    """Nothing happens, and no answer comes."""
    return Behaviour(name="tool hangs", lands=None, replies=None)


def stubborn(seconds: float) -> Behaviour:
    """It works, but takes its time and does not listen when it is cancelled."""
    return Behaviour(name="tool ignores its cancellation", lands=seconds, replies=seconds, stubborn=True)


def reply_lost(seconds: float = 0.0, visible: float = 0.0) -> Behaviour:
    """It happens, and no answer comes."""
    return Behaviour(name="reply lost after the effect", lands=seconds, replies=None, visible=visible)


def lands_late(seconds: float, broken_after: float | None = None, visible: float = 0.0) -> Behaviour:
    """The connection breaks (or nothing comes until the caller times out), and the request lands all the same, later."""
    return Behaviour(
        name="request lands late", lands=seconds, replies=broken_after, reply="surprise" if broken_after is not None else "ok",
        visible=visible,
    )  # fmt: skip


def lie(seconds: float = 0.0) -> Behaviour:
    """It happens, and what comes back is not what the contract says."""
    return Behaviour(name="tool lies", replies=seconds, reply="lie")


def partial(
    seconds: float = 0.0, *, left: Sequence[str] = ("the rest",), rest: bool = False, completes: float | None = None,
    until: float | None = None, calls_back: Sequence[CallBack] = (),
) -> Behaviour:  # fmt: skip
    """Some of it happens. See `Behaviour` for what becomes of the rest."""
    name = "partial, the rest by another call" if rest else "partial"
    return Behaviour(
        name=name, replies=seconds, reply="partial", left=tuple(left), rest=rest, completes=completes, until=until,
        calls_back=tuple(calls_back),
    )  # fmt: skip


def deferred(
    lands: float | None, until: float | None = None, seconds: float = 0.0, visible: float = 0.0, *,
    fails: float | None = None, calls_back: Sequence[CallBack] = (), lost: bool = False,
) -> Behaviour:  # fmt: skip
    """The other side takes the call, and does it later, or never. lost: and the answer that says so gets lost."""
    return Behaviour(
        name="deferred, the answer lost" if lost else "deferred", lands=lands, replies=None if lost else seconds,
        reply="deferred", until=until, visible=visible, fails=fails, calls_back=tuple(calls_back),
    )  # fmt: skip


def short(seconds: float = 0.0) -> Behaviour:
    """It happens, and what came of it is not enough."""
    return Behaviour(name="not sufficient", replies=seconds, short=True)


def unseen(visible: float, seconds: float = 0.0) -> Behaviour:
    """It works, and for so long nobody who looks can see it."""
    return Behaviour(name="done, and seen later", replies=seconds, visible=visible)
