"""The user's verbs by which people and systems say something to a run: `Holdfast` has them all.

A word is checked, put into the run's mailbox durably, and taken at the run's next safe point, in the order in which it was said.
Where a verb has `id`, the same word with the same id is heard once, however often it is sent.
"""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Any, get_args

import msgspec

from holdfast import inbox
from holdfast.core.events import OnStop
from holdfast.core.evolve import fold
from holdfast.core.schedule import moment_of
from holdfast.core.state import State
from holdfast.core.tokens import token_digest
from holdfast.errors import CallbackRefused, CallbackUnknown, UsageError
from holdfast.inbox import Inbox
from holdfast.journal.base import Journal
from holdfast.runner.clock import Clock


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was taken: for which run and step."""

    run_id: str
    step: str


class Saying:
    """The part of `Holdfast` that says something to runs. by: who says it; left out, the user of the operating system."""

    journal: Journal
    inbox: Inbox
    _clock: Clock

    async def answer(
        self,
        run_id: str,
        decision: str,
        *,
        by: str | None = None,
        interrupt: str | None = None,
        value: Any = None,
        note: str = "",
    ) -> str:
        """Answer what a run asks; returns the interrupt's id. AnswerRefused where it cannot be taken.

        decision: approve, edit (value: arguments to change), reject, respond (value: the result) or cancel.
        """
        return await self.inbox.decide(run_id, decision, by or user(), interrupt=interrupt, value=value, note=note)

    async def cancel(
        self, run_id: str, *, by: str | None = None, reason: str = "", on_stop: OnStop | None = None, id: str | None = None
    ) -> None:
        """Ask a run to end: effects at hand are finished, nothing new begins. on_stop: what is to become of what it did:
        keep, undo or ask; None leaves it to its agent's policy."""
        if on_stop not in (None, *get_args(OnStop)):
            raise UsageError(f"on_stop is {on_stop!r}", run_id=run_id, hint=f"it is one of {', '.join(get_args(OnStop))}")
        now = self._clock.now()
        await self.journal.send(run_id, inbox.cancel(by=by or user(), now=now, reason=reason, on_stop=on_stop, id=id))

    # --- what the world delivers ----------------------------------------------------------------------------------

    async def callback(self, token: str, value: Any = None, *, failed: str | None = None, by: str = "") -> Delivered:
        """Deliver the result of a deferred call by the token that it was given, once.

        From any process, before the run has parked, while it is parked, and after its worker was killed. failed: it could not
        be done, and why. by: who delivers. CallbackUnknown for a token that nobody was given; CallbackRefused for one that
        was used, has expired or whose run has ended (which is recorded), and for a value that is no result of the call (the
        token is good for another try then).
        """
        digest = token_digest(token)
        found = await self.journal.token(digest)
        if found is None:
            raise CallbackUnknown("nobody was given this token", hint="deliver it as it was handed out, whole")
        run_id, step = found
        body = inbox.callback(await self._known(run_id), step, value, failed=failed, by=by)
        delivery = await self.journal.deliver(digest, body, self._clock.now())
        if delivery.refused:
            raise CallbackRefused(delivery.refused, run_id=delivery.run_id, step=delivery.step)
        return Delivered(run_id=delivery.run_id, step=delivery.step)

    async def signal(
        self, run_id: str, name: str, value: Any = None, *, by: str | None = None, id: str | None = None
    ) -> None:  # fmt: skip
        """Say a word by name to a run: it settles what waits for that name, now or later. What a step is owed waits for the
        name of its step, unless its tool named another."""
        state, now = await self._known(run_id), self._clock.now()
        await self.journal.send(run_id, inbox.signal(state, name, value, by=by or user(), now=now, id=id))

    # --- what is so, and what it is for ---------------------------------------------------------------------------

    async def correct(
        self, run_id: str, name: str, value: Any, *, by: str | None = None, id: str | None = None
    ) -> None:  # fmt: skip
        """Tell a run what is so. What it believed of that is replaced, what rests on it is invalidated, and no guess of a model
        or of a memory changes it back. AnswerRefused where it cannot be said."""
        state, now = await self._known(run_id), self._clock.now()
        await self.journal.send(run_id, inbox.correct(state, name, value, by=by or user(), now=now, id=id))

    async def change_goal(
        self, run_id: str, text: str = "", inputs: dict[str, Any] | None = None, *, by: str | None = None, note: str = "",
        id: str | None = None,
    ) -> None:  # fmt: skip
        """Tell a run that a model plans what it is for from now on. What is done stays done; nothing new begins before the model
        has looked at its plan again. text: empty leaves the words as they are. inputs: those that change. AnswerRefused where it
        cannot be said."""
        state, now = await self._known(run_id), self._clock.now()
        message = inbox.goal(state, text, inputs or {}, by=by or user(), now=now, note=note, id=id)
        await self.journal.send(run_id, message)

    async def instruct(self, run_id: str, text: str, *, by: str | None = None, id: str | None = None) -> None:
        """Tell a run that a model plans how it is to go about its work from now on; the model looks at its plan again.
        AnswerRefused for one that no model plans."""
        state, now = await self._known(run_id), self._clock.now()
        await self.journal.send(run_id, inbox.instruct(state, text, by=by or user(), now=now, id=id))

    # --- who has the run ------------------------------------------------------------------------------------------

    async def pause(
        self, run_id: str, *, by: str | None = None, reason: str = "", until: float | str | datetime | None = None,
        id: str | None = None,
    ) -> None:  # fmt: skip
        """Let nothing new of a run begin until it is resumed, or until then; effects at hand are finished, and what it asks can
        be answered. until: seconds since the epoch, a datetime with a zone, or a text such as "2026-12-01T09:00+01:00".
        AnswerRefused where it is paused already."""
        end = None if until is None else moment_of(until, "until")
        state, unread = await self._known(run_id), await self.journal.messages(run_id)
        message = inbox.pause(
            state, by=by or user(), now=self._clock.now(), reason=reason, until=end, id=id, unread=unread
        )  # fmt: skip
        await self.journal.send(run_id, message)

    async def resume(self, run_id: str, *, by: str | None = None, id: str | None = None) -> None:
        """Let a paused run go on. AnswerRefused where it is not paused."""
        state, unread = await self._known(run_id), await self.journal.messages(run_id)
        await self.journal.send(run_id, inbox.resume(state, by=by or user(), now=self._clock.now(), id=id, unread=unread))

    async def take_over(self, run_id: str, *, by: str | None = None, reason: str = "", id: str | None = None) -> None:
        """Take a run over: effects at hand are finished, nothing new begins, and it asks how it goes on. Steps can be done by
        hand meanwhile (`mark_done`); an answer hands it back. AnswerRefused where somebody has taken it over."""
        state, now = await self._known(run_id), self._clock.now()
        await self.journal.send(run_id, inbox.handoff(state, by=by or user(), now=now, reason=reason, id=id))

    async def mark_done(
        self, run_id: str, step: str, value: Any = None, *, by: str | None = None, note: str = "", id: str | None = None
    ) -> None:
        """Say that a person did what a step was for; the run goes on with that. value: the result that it would have had.
        AnswerRefused for a step that has ended, for which something is under way, or about which somebody else is asked, and for
        what is no result of its tool."""
        speaker = await self.inbox.speaker(by or user(), run_id)
        state, now = await self._known(run_id), self._clock.now()
        message = inbox.done(
            state, step, value, by=speaker.name, now=now, note=note, id=id, roles=speaker.roles, known=speaker.known,
            tenants=speaker.tenants,
        )  # fmt: skip
        await self.journal.send(run_id, message)

    async def _known(self, run_id: str) -> State:
        return fold((await self.journal.read(run_id)).entries)


def user() -> str:
    """The name of the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
