"""What a tool promises: how its calls may be repeated, how long they may take, who must be asked.

A contract is data. It is journalled when a run starts, so that recovery and replay judge by what held then, and
compared when the agent's code has changed in between (`differences`).
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

from holdfast.errors import DefinitionError

Safety = Literal["read", "idempotent", "keyed", "reconcilable", "irreversible"]
Gate = Literal["always", "never"]
AtDeadline = Literal["ask", "fail", "repeat", "give_up"]
Scope = Literal["run", "store"]
Oversize = Literal["store", "cut", "fail"]

# From the strongest promise to none at all: an agent that moved a tool to the right made a promise weaker.
SAFETIES: tuple[Safety, ...] = get_args(Safety)


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whether and when a failed call is tried again.

    attempts_max: tries in all, the first included. backoff_seconds: the wait after the first failure; it grows by
    `factor` up to backoff_seconds_max. jitter: the share of each wait that is drawn (0: none, 1: all of it).
    """

    attempts_max: int = 4
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 60.0
    factor: float = 2.0
    jitter: float = 0.5


class Rate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most `calls` calls in any stretch of `per_seconds`, over all runs and workers of a store."""

    calls: int
    per_seconds: float


class Breaker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a tool is left alone: after `failures_max` failures in a row within `within_seconds` nobody calls it for
    `open_seconds`; then one call is let through to find out, and its outcome closes the circuit or opens it again."""

    failures_max: int = 5
    within_seconds: float = 60.0
    open_seconds: float = 30.0


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The promises of one tool.

    tool: its name in plans. input_schema, output_schema: JSON Schema, enforced going in and coming out.
    timeout_seconds: for one attempt. probe: the tool can tell whether a call happened. probe_seconds: the wait
    between two probes that said "not yet" (it doubles each time); probe_window_seconds: after that a person is asked.
    settles_within_seconds: how long after a call was lost its effect may still land. key_ttl_seconds: how long the
    other side remembers a key (None: for ever; only for `keyed`). business_key: the arguments that make two calls
    the same call in the eyes of the business; business_scope: whether only within a run, or in all runs of a store.
    fallback: the name of another tool. approve: whether a person is asked first (None: by safety). parallel_max: calls at
    once, over all workers of a store. secrets: arguments that are never written down.

    What is owed: callback: the other side is given a token and may deliver the result by it. poll: the tool can ask for a
    result that is owed (else its probe is asked); poll_seconds: the first wait between two looks, which doubles up to
    poll_seconds_max. owed_within_seconds: the deadline where the call names none. at_deadline: what happens then: a person
    is asked, the call counts as failed, it is made again under a new key (`repeat`, up to repeats_max times, then a person
    is asked), or it is given up and flagged. visible_within_seconds: for so long after a success its effect may not be
    seen yet by those who look; until a probe sees it, or that time is over, it is owed that it shows.

    What is enough: sufficient: a jmespath expression over the result that must be true, or `function` where code of the
    tool's decides. check: the tool reads the world back after each call. result_bytes_max: of the result as JSON; oversize:
    whether a larger one is cut and stored whole beside (`store`), only cut, or counts as broken (`fail`).

    undo: the tool that takes a call back; undo_args: its arguments, with references to `args` and `result` (None: by
    name). changes: what else a call may change. rate, breaker: see there. heartbeat_seconds: a call that reports no progress
    for so long is given up (None: only its timeout counts). agent: a call of it starts a run of this agent.

    observes: the facts that a call reports: a jmespath expression over the result by name, in which `{argument}` stands for the
    value of one; valid_seconds: how long they stay true (None: for ever). cost_usd: the most that a call may cost.

    Who is asked: approve_when: a condition over the arguments; where it holds, or cannot be worked out, a person is asked first.
    approvers: roles or names of those who may decide about a call. amount: the argument that says how much it is about.
    untrusted: its results come from outside, and what rests on them is tainted."""

    tool: str
    safety: Safety = "irreversible"
    description: str = ""
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] = {}
    timeout_seconds: float = 60.0
    retry: Retry = Retry()
    probe: bool = False
    probe_seconds: float = 1.0
    probe_window_seconds: float = 3600.0
    settles_within_seconds: float = 0.0
    key_ttl_seconds: float | None = None
    business_key: tuple[str, ...] = ()
    business_scope: Scope = "run"
    fallback: str | None = None
    undo: str | None = None
    undo_args: dict[str, Any] | None = None
    approve: Gate | None = None
    parallel_max: int | None = None
    secrets: tuple[str, ...] = ()
    callback: bool = False
    poll: bool = False
    poll_seconds: float = 30.0
    poll_seconds_max: float = 600.0
    owed_within_seconds: float = 86400.0
    at_deadline: AtDeadline = "ask"
    repeats_max: int = 1
    visible_within_seconds: float | None = None
    sufficient: str | None = None
    check: bool = False
    result_bytes_max: int = 16_000_000
    oversize: Oversize = "store"
    changes: tuple[str, ...] = ()
    rate: Rate | None = None
    breaker: Breaker | None = None
    heartbeat_seconds: float | None = None
    agent: str | None = None
    observes: dict[str, str] = {}
    valid_seconds: float | None = None
    cost_usd: Decimal | None = None
    approve_when: str = ""
    approvers: tuple[str, ...] = ()
    amount: str = ""
    untrusted: bool = False

    @property
    def asks_first(self) -> bool:
        """Whether a person is asked before each call: as declared, else only for what cannot be taken back."""
        undeclared = self.approve is None and not self.approve_when
        return self.approve == "always" or (undeclared and self.safety == "irreversible")


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way in which a tool of today's agent differs from what the run started with."""

    tool: str
    field: str
    before: str
    after: str
    weaker: bool = False


def differences(before: dict[str, Contract], after: dict[str, Contract]) -> tuple[Difference, ...]:
    """Compare the contracts a run holds with those of the agent as loaded; empty when they are the same.

    A difference is `weaker` when something that the run may rely on is no longer promised: a tool is gone, its
    safety moved towards irreversible, its keys live shorter, its probe is gone, its effects settle later, a person is no
    longer asked, or a secret of it would be written down.
    """
    found: list[Difference] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None:
            found.append(Difference(tool=name, field="tool", before="absent", after="present"))
        elif new is None:
            found.append(Difference(tool=name, field="tool", before="present", after="absent", weaker=True))
        elif old is not new and old != new:
            found.extend(_changed_fields(old, new))
    return tuple(found)


def weakest(sent: Contract, now: Contract) -> Contract:
    """What may be relied on for a call that was sent under one contract and would be repeated under another: the less of
    both. Nothing that is promised later makes an earlier call safer, and a repeat gets only what is promised now."""
    lives = [ttl for ttl in (sent.key_ttl_seconds, now.key_ttl_seconds) if ttl is not None]
    return msgspec.structs.replace(
        now,
        safety=max(sent.safety, now.safety, key=SAFETIES.index),
        key_ttl_seconds=min(lives, default=None),
        settles_within_seconds=max(sent.settles_within_seconds, now.settles_within_seconds),
    )


def _changed_fields(old: Contract, new: Contract) -> list[Difference]:
    weaker = {
        "safety": SAFETIES.index(new.safety) > SAFETIES.index(old.safety),
        "key_ttl_seconds": _life(new) < _life(old),
        "probe": old.probe and not new.probe,
        "settles_within_seconds": new.settles_within_seconds > old.settles_within_seconds,
        "approve": old.asks_first and not new.asks_first,
        "approve_when": bool(old.approve_when) and old.approve_when != new.approve_when and not new.asks_first,
        "approvers": (bool(old.approvers) and not set(new.approvers) <= set(old.approvers))
        or bool(old.approvers and not new.approvers),
        "untrusted": old.untrusted and not new.untrusted,
        "business_key": bool(old.business_key) and old.business_key != new.business_key,
        "secrets": not set(old.secrets) <= set(new.secrets),
        "business_scope": (old.business_scope, new.business_scope) == ("store", "run"),
        "sufficient": old.sufficient is not None and old.sufficient != new.sufficient,
        "check": old.check and not new.check,
        "undo": old.undo is not None and old.undo != new.undo,
    }
    return [
        Difference(
            tool=old.tool,
            field=field,
            before=_shown(getattr(old, field)),
            after=_shown(getattr(new, field)),
            weaker=weaker.get(field, False),
        )
        for field in Contract.__struct_fields__
        if getattr(old, field) != getattr(new, field)
    ]


def _life(contract: Contract) -> float:
    return float("inf") if contract.key_ttl_seconds is None else contract.key_ttl_seconds


def digest(value: Any) -> str:
    """A short digest of any JSON value or record, the same in every process (keys sorted)."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:32]


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)\s*")
# A thousand years: what is longer is a slip of the pen, or no number that a clock can hold.
_LONGEST_SECONDS = 1000 * 366 * 86400.0


def duration(value: Any, *, what: str = "duration") -> float:
    """Seconds from a number or from words like `20s`, `1h30m`, `24h`, `7d`; DefinitionError on anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if 0 <= value <= _LONGEST_SECONDS:
            return float(value)
    elif isinstance(value, str):
        total, end = 0.0, 0
        for found in _DURATION.finditer(value):
            if found.start() != end:
                break
            total, end = total + float(found[1]) * _UNITS[found[2]], found.end()
        if end == len(value) and end and total <= _LONGEST_SECONDS:
            return total
    raise DefinitionError(
        f"{what}: {_brief(value)} is not a duration", hint="write seconds as a number, or 500ms, 20s, 5m, 24h, 7d"
    )


def retry_of(value: Any, *, what: str = "retry", default: Retry | None = None) -> Retry:
    """A Retry from what authors write: a Retry, a number of attempts, or `{attempts: 5, backoff: 2s..60s}`."""
    base = default or Retry()
    if isinstance(value, Retry):
        retry = value
    elif isinstance(value, int) and not isinstance(value, bool):
        retry = msgspec.structs.replace(base, attempts_max=value)
    elif isinstance(value, dict):
        unknown = sorted(set(value) - {"attempts", "backoff", "factor", "jitter"}, key=str)
        if unknown:
            raise DefinitionError(
                f"{what}: {unknown[0]!r} is not a part of retry", hint="it has attempts, backoff, factor and jitter"
            )
        low, _, high = str(value.get("backoff", "")).partition("..")
        backoff = duration(_number(low), what=f"{what}.backoff") if low else base.backoff_seconds
        ceiling = duration(_number(high), what=f"{what}.backoff") if high else max(backoff, base.backoff_seconds_max)
        try:
            retry = msgspec.convert(
                {
                    "attempts_max": value.get("attempts", base.attempts_max),
                    "backoff_seconds": backoff,
                    "backoff_seconds_max": ceiling,
                    "factor": value.get("factor", base.factor),
                    "jitter": value.get("jitter", base.jitter),
                },
                Retry,
            )
        except msgspec.ValidationError as error:
            raise DefinitionError(f"{what}: {error}") from error
    else:
        raise DefinitionError(
            f"{what}: {_brief(value)} is neither a number of attempts nor a table",
            hint="write `retry: {attempts: 5, backoff: 2s..60s}`",
        )
    if not is_sound(retry):
        raise DefinitionError(
            f"{what}: needs 1 to 1000 attempts, a factor of at least 1, a jitter between 0 and 1, and a backoff that grows"
        )
    return retry


def is_sound(retry: Retry) -> bool:
    """Whether its waits are times and its attempts come to an end."""
    try:
        msgspec.convert(msgspec.to_builtins(retry), Retry)
    except msgspec.ValidationError:
        return False
    return (
        1 <= retry.attempts_max <= 1000
        and 1 <= retry.factor <= 1000
        and 0 <= retry.jitter <= 1
        and 0 <= retry.backoff_seconds <= retry.backoff_seconds_max <= _LONGEST_SECONDS
    )


def _brief(value: Any) -> str:
    """A value as it was written, short; also one too large to be written at all."""
    try:
        text = repr(value)
    except ValueError:
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= 60 else text[:60] + "…"


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"schema {digest(value)[:8]}"
    if isinstance(value, msgspec.Struct):
        return msgspec.json.encode(value).decode()
    return str(value)
