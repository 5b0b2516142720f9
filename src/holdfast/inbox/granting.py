"""A yes in advance: what may be allowed, by whom, and for how long."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from holdfast.core.contract import digest, duration
from holdfast.core.values import SECRET_NAMES, plain, plain_secrets
from holdfast.errors import AnswerRefused, UsageError
from holdfast.inbox.speech import TEXT_MAX, written
from holdfast.inbox.who import Speaker, may_decide
from holdfast.journal.people import OpenInterrupt, StandingApproval, is_cut, listed

UNTIL_SECONDS_MAX = 366 * 86400.0


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a standing approval is wanted for; see `StandingApproval`."""

    tool: str
    args: dict[str, Any] = {}
    agent: str = ""
    run_id: str = ""
    tenant: str | None = None
    amount_max: float | None = None
    uses_max: int | None = None


def granted(
    scope: Scope, speaker: Speaker, like: OpenInterrupt | None, until: float | str, note: str, now: float
) -> StandingApproval:
    """The standing approval that somebody gives. like: an open question that it is given for: its tool, its agent and what the
    tool promises are taken from it. until: seconds from now, or `7d`. AnswerRefused where they may not; UsageError for what
    cannot be."""
    _check_speaker(speaker)
    seconds = duration(until, what="until")
    if not 0 < seconds <= UNTIL_SECONDS_MAX:
        raise UsageError("a standing approval ends after a year at the latest, and not at once", hint="as in 7d")
    contract = ""
    if like is not None:
        scope, contract = _like(scope, like, speaker), like.contract
    scope = _checked(scope, speaker)
    fields = {name: getattr(scope, name) for name in Scope.__struct_fields__}
    return StandingApproval(
        id=f"yes-{digest([fields, speaker.name, now, until])[:12]}", by=speaker.name, roles=speaker.roles, at=now,
        until=now + seconds, contract=contract, note=written(note)[:TEXT_MAX], **fields,
    )  # fmt: skip


def _check_speaker(speaker: Speaker) -> None:
    if not speaker.name:
        raise AnswerRefused("a standing approval needs the name of who gives it", hint="--by NAME")
    if not speaker.known:
        raise AnswerRefused(f"nobody knows {speaker.name}", hint="only people of the directory approve in advance")


def _like(scope: Scope, like: OpenInterrupt, speaker: Speaker) -> Scope:
    """The scope, as narrow as the question that it is given for."""
    where: dict[str, Any] = {"run_id": like.run_id, "step": like.step or None}
    if (why := may_decide(like, like.approvals, speaker, like.tenant)) is not None:
        raise AnswerRefused(f"{like.interrupt}: {why}", **where)
    if like.about != "call" or like.kind != "approval" or like.people > 1 or not like.standing:
        why = "it needs several people" if like.people > 1 else "nothing that is said in advance answers it"
        raise AnswerRefused(f"{like.interrupt}: {why}", **where, hint="answer it by itself")
    for name, wanted, there in (("tool", scope.tool, like.tool), ("agent", scope.agent, like.agent)):
        if wanted not in ("", there):
            raise UsageError(f"{like.interrupt} is about the {name} {there}, not {wanted}", **where)
    return msgspec.structs.replace(scope, tool=like.tool, agent=like.agent)


def _checked(scope: Scope, speaker: Speaker) -> Scope:
    if not scope.tool:
        raise UsageError("a standing approval is for one tool", hint="name the tool, or give it like an open question")
    if scope.uses_max is not None and scope.uses_max < 1:
        raise UsageError(f"uses_max is {scope.uses_max}", hint="it is at least 1")
    if scope.amount_max is not None and not math.isfinite(scope.amount_max):
        raise UsageError("amount_max is no number", hint="leave it out where any amount will do")
    if speaker.tenants and scope.tenant is None and len(speaker.tenants) == 1:
        scope = msgspec.structs.replace(scope, tenant=speaker.tenants[0])
    if speaker.tenants and scope.tenant not in speaker.tenants:
        hint = f"name one of {', '.join(speaker.tenants)}"
        raise AnswerRefused(f"{speaker.name} does not decide for {scope.tenant or 'all tenants'}", hint=hint)
    try:
        args = plain(scope.args)
    except ValueError as error:
        raise UsageError(f"the arguments cannot be written as JSON: {error}") from error
    for name in plain_secrets(args, SECRET_NAMES):
        raise UsageError(f"{name} is never written down, and a standing approval is", hint="leave it out")
    for name, value in listed(args).items():
        if is_cut(value):
            raise UsageError(f"{name} is too long to be compared", hint="leave it out")
    return msgspec.structs.replace(scope, args=args)
