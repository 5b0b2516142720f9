"""A run with a model, told turn by turn: what the tests of the model reasoner are written in.

talk = Talk(tool("find"))
talk.says(call("find", name="ann"))      # the core asks, the model answers, its calls begin
talk.returns("find_1", {"id": 7})
request = talk.request()                 # what the model is shown next
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.core.commands import AskReasoner
from holdfast.core.contract import Contract
from holdfast.core.decide import Decision, Room
from holdfast.core.models import ModelTerms, Part, Price, Reserved, Usage
from holdfast.core.thinking import Thinking
from holdfast.reasoners.answers import thought
from holdfast.reasoners.base import Thought, events_of
from holdfast.reasoners.briefing import Briefer, overhead_bytes
from holdfast.reasoners.model import Answer, Request
from tests.core.story import Story

MODEL, OTHER = "one:strong", "two:cheap"
FREE = Price(input_usd=Decimal(1), output_usd=Decimal(1))


def schema(*names: str, **properties: Any) -> dict[str, Any]:
    """The input schema of a tool with these arguments, all of them needed."""
    known = {**{name: {"type": "string"} for name in names}, **properties}
    return {"type": "object", "properties": known, "required": list(known), "additionalProperties": False}


def thinks(context: int = 240_000, **fields: Any) -> Thinking:
    """How a run thinks, with two models."""
    models = {name: ModelTerms(name=name, price=FREE, context_bytes_max=context) for name in (MODEL, OTHER)}
    return Thinking(models=models, routes={"": (MODEL, OTHER)}, **fields)


def call(tool: str, id: str = "", **args: Any) -> Part:
    """A call in an answer."""
    return Part(kind="call", id=id, tool=tool, args=args)


def text(words: str) -> Part:
    """Words in an answer."""
    return Part(kind="text", text=words)


class Talk(Story):
    """See the module's text. room: what is reserved for each request, in place of what the core would; None leaves it."""

    def __init__(self, *contracts: Contract, thinking: Thinking | None = None, room: int | None = None, **fields: Any):
        thinking = thinking or thinks()
        if not thinking.overhead_bytes:
            told = {contract.tool: contract for contract in contracts}
            thinking = msgspec.structs.replace(thinking, overhead_bytes=overhead_bytes("Be good.", told, thinking))
        start = {"thinking": thinking, **fields.pop("start", {})}
        super().__init__(None, *contracts, start=start, **fields)
        self.room = room
        self.briefer = Briefer("Be good.")
        self.last_thought: Thought | None = None

    def decide(self, after: float = 0.0, full: Iterable[str] = ("-",), room: Room | None = None) -> Decision:
        """As a story does. Whether all was said that could be is a matter of the core's own tests."""
        return super().decide(after, full, room)

    @property
    def ask(self) -> AskReasoner:
        """What the reasoner is asked for now."""
        if self.run.proposing is None or not isinstance(self.commands[-1:] and self.commands[-1], AskReasoner):
            self.decide()
        asked = next(command for command in reversed(self.commands) if isinstance(command, AskReasoner))
        assert self.run.proposing is not None, f"the model is not asked: {self.phases}, {self.run.reason}"
        return self.roomy(asked)

    def roomy(self, asked: AskReasoner) -> AskReasoner:
        """The request with the room of this talk."""
        if self.room is None:
            return asked
        return msgspec.structs.replace(asked, reserved=Reserved(input_tokens=self.room, output_tokens=4096))

    def hears(self, *said: Part, finish: Any = "stop") -> Thought:
        """What an answer comes to; nothing is recorded."""
        named = [
            msgspec.structs.replace(part, id=part.id or f"c{self.ask.turn}_{number}") if part.kind == "call" else part
            for number, part in enumerate(said)
        ]
        return thought(Answer(said=tuple(named), usage=Usage(), finish=finish), self.run, self.ask, self.now)

    def says(self, *said: Part, finish: Any = "stop") -> Thought:
        """The model answers; what it proposes is recorded, and its calls begin."""
        found = self.hears(*said, finish=finish)
        self.tell(*events_of(found, self.run, self.ask.turn))
        self.decide()
        return found

    def returns(self, name: str, value: Any = None) -> Talk:
        """The call of a step comes back."""
        self.succeed(name, value)
        return self

    def returns_all(self, value: Any = None) -> Talk:
        """All calls under way come back."""
        for name in [name for name in self.run.active if self[name].phase == "flying"]:
            self.succeed(name, value)
        return self

    def request(self) -> Request:
        """What the model is shown."""
        return self.briefer.request(self.run, self.ask, self.now)[0]

    @property
    def situation(self) -> str:
        """The last text that the model is shown: the situation."""
        return self.request().messages[-1].parts[-1].text

    @property
    def results(self) -> dict[str, Any]:
        """The results of all calls that are shown, by the id of the call."""
        parts = [part for message in self.request().messages for part in message.parts if part.kind == "result"]
        return {part.id: msgspec.json.decode(part.text) for part in parts}
