"""A run told event by event (see `tests/core/story.py`) that is kept in a real store, and takes its words without a worker."""

from __future__ import annotations

from typing import Any

from holdfast import inbox
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.policy import Policy, Rule
from holdfast.journal.base import Batch, Head, Journal, Message, NewRun
from holdfast.runner import asked
from tests.core.story import T0, Story, step, tool

PAY = tool(
    "pay", "irreversible",
    input_schema={"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "number"}},
                  "required": ["to", "amount"], "additionalProperties": False},
    output_schema={"type": "object", "properties": {"receipt": {"type": "string"}}, "required": ["receipt"]},
)  # fmt: skip


def paying(
    run_id: str = "r1", *, amount: float = 5, tenant: str = "", other: tuple[Rule, ...] = (), start: dict[str, Any] | None = None,
    **rule: Any,
) -> Story:  # fmt: skip
    """A run that asks by a rule whether it may pay. rule: fields of it; other: rules before it."""
    policy = Policy(name="money", rules=(*other, Rule(**{"name": "pays", "tools": ("pay",), **rule})))
    given = {"run_id": run_id, "tenant": tenant, "policy": policy, **(start or {})}
    story = Story([step("a", "pay", args={"to": "x", "amount": amount}), step("b", "t", after=("a",))], PAY, tool(), start=given)
    story.decide()
    assert story.asked.about == "call"
    return story


class Still:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = T0):
        self.at = now

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.at


class Kept:
    """A story in a store; `take` lets it hear what was said."""

    def __init__(self, journal: Journal, story: Story):
        self.journal = journal
        self.story = story
        self.before = fold(story.entries[:1])
        self.head = Head(0, b"")

    async def begin(self) -> Kept:
        """Create the run with all that was told so far."""
        run = NewRun(run_id=self.story.run.run_id, agent="a", goal_digest="g", tenant=self.story.run.tenant)
        first = tuple(entry.event for entry in self.story.entries[:1])
        assert await self.journal.create(run, first, self.story.now, worker="w", lease_seconds=1e9) is not None
        self.head = (await self.journal.read(run.run_id)).head
        await self.write()
        return self

    async def write(self, taken: tuple[int, ...] = ()) -> None:
        """Write what was told since."""
        after = self.story.run
        events = tuple(entry.event for entry in self.story.entries[self.head.version :])
        opened, closed = asked.opened(self.before, after, events)
        head = await self.journal.append(
            Batch(
                run_id=after.run_id,
                fence=self.story.fence,
                head=self.head,
                at=self.story.now,
                events=events,
                taken=taken,
                opened=opened,
                closed=closed,
                commented=asked.commented(events),
            )
        )
        assert isinstance(head, Head)
        self.head, self.before = head, after

    async def take(self) -> list[e.AnyEvent]:
        """Take all words, one after the other; what they became."""
        messages = await self.journal.messages(self.story.run.run_id)
        found = []
        for message in messages:
            found.append(inbox.taken(self.story.run, message, self.story.now))
            self.story.tell(found[-1])
        self.story.decide()
        await self.write(tuple(message.id for message in messages))
        return found


def said(kind: Any, at: float = T0, **body: Any) -> Message:
    """A message as a store gives it to a run."""
    return Message(kind=kind, body=body, at=at)
