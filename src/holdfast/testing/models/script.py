"""A model that answers from a script, and words for a script that looks at what it is asked.

    model = ScriptedModel([call("search", query="trains"), call("book", train="IC 7"), "Booked."], name="traveller")

    def traveller(request):
        if not called(request, "search"):
            return call("search", query="trains")
        return "Nothing found." if "[]" in latest(request)[0][1] else call("book", train="IC 7")

    model = ScriptedModel(traveller)

A list answers by *where the conversation is* (how often the model has answered in it), never by how often it was asked: a
run that was killed and goes on in another process gets the answer that it would have got. A function gets the whole request;
one that looks at nothing else has the same property. `model.requests` is what it was asked, in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from holdfast.core.models import Part, Usage
from holdfast.reasoners.model import Answer, Finish, Listener, Message, ModelFailure, Request, size
from holdfast.testing.models.faults import CHARGED, MEANT, Fault
from holdfast.testing.models.turns import Said, Tries, Turn, spoiled, turn_of, written

Script = Sequence[Said] | Callable[[Request], Said]
# So many bytes make a token, where a turn does not say what it used.
BYTES_PER_TOKEN = 4
# What an id that was taken already may be given at its end is left out.
_OWN_ID = re.compile(r"call_(\d+)_\d+(?:-\d+)?")


class ScriptEnded(Exception):
    """The model was asked once more than its script has turns: the script is too short, or the run does not stop."""


class ScriptedModel:
    """See the module's text. It implements `Model`. name: as `scripted:NAME`, so that whoever sees it sees what it is."""

    def __init__(self, script: Script, *, name: str = "script"):
        self.name = f"scripted:{name.removeprefix('scripted:')}"
        self.requests: list[Request] = []
        self.script = script
        self._tries: Counter[tuple[str, str, int]] = Counter()
        # A server asks from several threads.
        self._lock = threading.Lock()

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """What the script says here; ModelFailure where it says so, ScriptEnded where it says nothing."""
        turn = spoiled(self.turn(request), request)
        await asyncio.sleep(turn.wait_seconds)
        if turn.fault is not None:
            await _fail(turn.fault, request)
        answer = answer_of(turn, request)
        if listener is not None:
            for kind, words in heard(answer):
                listener(kind, words)
                await asyncio.sleep(0)
        return answer

    def turn(self, request: Request) -> Turn:
        """The turn for this request, which counts as asked; its fault is not played yet."""
        place = asked(request)
        self.requests.append(request)
        turn = turn_of(self._said(request, place))
        if isinstance(turn, Tries):
            turn = self._next(turn, request, place)
        return turn

    def _next(self, turns: Tries, request: Request, place: int) -> Turn:
        first = msgspec.json.encode(request.messages[:1]).decode()
        key = (request.model, first, place)
        with self._lock:
            self._tries[key] += 1
            return turns.turns[min(self._tries[key], len(turns.turns)) - 1]

    def _said(self, request: Request, place: int) -> Said:
        if callable(self.script):
            return self.script(request)
        if place >= len(self.script):
            raise ScriptEnded(f"{self.name} has {len(self.script)} turns, and is asked for turn {place + 1}")
        return self.script[place]


async def _fail(fault: Fault, request: Request) -> None:
    kind, message = MEANT[fault.name]
    if fault.name == "timeout":
        await asyncio.sleep(request.timeout_seconds)
    raise ModelFailure(
        fault.kind or kind, fault.message or message, retry_after_seconds=fault.retry_after_seconds,
        context=fault.name == "context", usage=fault.usage, charged=fault.kind is None and fault.name in CHARGED,
    )  # fmt: skip


# --- what is answered ---------------------------------------------------------------------------------------------


def answer_of(turn: Turn, request: Request) -> Answer:
    """A turn as an answer to this request: with ids, signatures and what it used. The same for the same request."""
    place = asked(request)
    said = tuple(_whole(part, place, number) for number, part in enumerate(turn.said))
    return Answer(said=said, usage=turn.usage or counted(said, request), finish=turn.finish or _finish(said))


def _whole(part: Part, place: int, number: int) -> Part:
    if part.kind == "call" and not part.id:
        return msgspec.structs.replace(part, id=f"call_{place}_{number}")
    if part.kind == "thinking" and not part.signature:
        return msgspec.structs.replace(part, signature=signature(part.text))
    return part


def _finish(said: tuple[Part, ...]) -> Finish:
    return "tool" if any(part.kind == "call" for part in said) else "stop"


def signature(text: str) -> str:
    """What goes with a thought, so that one that was changed on its way back shows."""
    return f"sig_{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:24]}"


def counted(said: tuple[Part, ...], request: Request) -> Usage:
    """What an answer uses where its turn does not say: bytes, a few of them a token. Never more than was allowed."""
    output = sum(len(_words(part).encode("utf-8", "replace")) for part in said)
    return Usage(
        input_tokens=size(request) // BYTES_PER_TOKEN,
        output_tokens=min(max(output // BYTES_PER_TOKEN, 1), request.output_tokens_max),
        requests=1,
    )


def heard(answer: Answer) -> Iterator[tuple[str, str]]:
    """An answer as a listener hears it, piece by piece: of a call its tool first, then its arguments."""
    for part in answer.said:
        if part.kind == "call":
            yield part.kind, part.tool
        for piece in pieces(written(part.args) if part.kind == "call" else part.text):
            yield part.kind, piece


def pieces(text: str) -> list[str]:
    """A text in the pieces in which it is streamed; together they are the text."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def _words(part: Part) -> str:
    return part.tool + written(part.args) if part.kind == "call" else part.text


# --- what is asked ------------------------------------------------------------------------------------------------


def asked(request: Request) -> int:
    """How often the model has answered in this conversation: where it is. A conversation whose beginning was left out is
    placed by the ids of the calls that it still has."""
    place = 0
    for message in request.messages:
        if message.role == "assistant":
            place = max(place, _place_of(message)) + 1
    return place


def _place_of(message: Message) -> int:
    found = (_OWN_ID.fullmatch(part.id) for part in message.parts if part.kind == "call")
    return max((int(own[1]) for own in found if own), default=0)


def results(request: Request) -> list[tuple[str, str]]:
    """The results of all calls, as (tool, text), oldest first."""
    return [found for message in request.messages for found in _results_in(message, request)]


def latest(request: Request) -> list[tuple[str, str]]:
    """The results that came since the model last answered, as (tool, text)."""
    last = request.messages[-1:] if request.messages and request.messages[-1].role == "user" else ()
    return [found for message in last for found in _results_in(message, request)]


def _results_in(message: Message, request: Request) -> list[tuple[str, str]]:
    tools = {part.id: part.tool for said in request.messages for part in said.parts if part.kind == "call"}
    return [(part.tool or tools.get(part.id, ""), part.text) for part in message.parts if part.kind == "result"]


def called(request: Request, tool: str) -> int:
    """How often the model has called this tool."""
    return sum(part.kind == "call" and part.tool == tool for message in request.messages for part in message.parts)


def told(request: Request, *, ever: bool = False) -> str:
    """What the model is told, without results: the goal, what a phase asks for, corrections. ever: in the whole conversation,
    not just since it last answered."""
    messages = request.messages if ever else request.messages[-1:]
    parts = (part for message in messages if message.role == "user" for part in message.parts)
    return "\n".join(part.text for part in parts if part.kind == "text")
