"""What a scripted model says in one turn, in words that read well in a test.

    "done"                                             # a text
    call("book", seat="12A")                           # a call
    [think("Two at once."), call("book", seat="12A"), call("mail", to="ann")]
    call_with("book", '{"seat": ')                     # arguments that are no JSON; or any, with an id of their own
    used([call("book", seat="12A")], input_tokens=900, output_tokens=40)
    cut("The first half of")                           # ended at the most tokens it may have
    refuse("I cannot help with that.")
    fail("rate_limited", retry_after=2)                # comes to nothing, for a reason of this kind
    fault("timeout"), fault("malformed_arguments", upon=call("book", seat="12A"))
    after(3.5, "late")                                 # seconds
    tries(fault("overloaded"), fault("overloaded"), "at last")    # asked at the same place of a conversation, one after the other

Calls without an id are given one by their place in the conversation, the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from holdfast.core.events import FailureKind
from holdfast.core.models import Part, Usage
from holdfast.reasoners.model import Answer, Finish, Request
from holdfast.testing.models.faults import OF_KIND, OF_THE_WAY, Fault, FaultName


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What is said. finish: None for what it is by what is said. usage: None counts bytes. fault: what becomes of the request
    instead, or upon it. wait_seconds: until the answer, or the failure, comes."""

    said: tuple[Part, ...] = ()
    finish: Finish | None = None
    usage: Usage | None = None
    fault: Fault | None = None
    wait_seconds: float = 0.0


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """Turns for one place of a conversation: the next each time that it is asked there, then the last one for ever."""

    turns: tuple[Turn, ...]


Said = Turn | Tries | Answer | Part | str | Sequence[Part | str]


def say(text: str) -> Part:
    """A text."""
    return Part(kind="text", text=text)


def think(text: str, signature: str = "") -> Part:
    """A thought. signature: what the provider wants to see again with it; made from the text where none is given."""
    return Part(kind="thinking", text=text, signature=signature)


def call(tool: str, /, **args: Any) -> Part:
    """A call of a tool."""
    return Part(kind="call", tool=tool, args=args)


def call_with(tool: str, args: Any, *, id: str = "") -> Part:
    """A call with any arguments at all: a text is sent as it stands, JSON or not. id: the same one twice is a fault."""
    return Part(kind="call", tool=tool, args=args, id=id)


def used(
    said: Said, *, input_tokens: int = 0, output_tokens: int = 0, cache_read_tokens: int = 0, cache_write_tokens: int = 0
) -> Turn:
    """The same, and what the provider counts for it. input_tokens: all of them, those of the cache included."""
    counted = Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens, requests=1,
    )  # fmt: skip
    return msgspec.structs.replace(_turn(said), usage=counted)


def cut(said: Said) -> Turn:
    """The answer ends in the middle: it has all the tokens that it may have."""
    return msgspec.structs.replace(_turn(said), finish="length")


def refuse(text: str = "I cannot help with that.") -> Turn:
    """The model does not want to. An empty text: a filter of the provider cut it off, and says nothing."""
    return Turn(said=(say(text),) if text else (), finish="refused")


def after(seconds: float, said: Said) -> Turn:
    """The same, later."""
    return msgspec.structs.replace(_turn(said), wait_seconds=seconds)


def fail(
    kind: FailureKind, message: str = "", *, retry_after: float | None = None, context: bool = False, usage: Usage | None = None
) -> Turn:
    """The request comes to nothing, for a reason of this kind. context: it was longer than the model takes."""
    name: FaultName = "context" if context else OF_KIND.get(kind, "server_error")
    return Turn(fault=Fault(name=name, message=message, retry_after_seconds=retry_after, kind=kind, usage=usage))


def fault(name: FaultName, message: str = "", *, retry_after: float | None = None, upon: Said | None = None) -> Turn:
    """The request meets this fault; see `faults`. upon: the answer that is spoiled, where the fault is one of an answer or of
    its way."""
    turn = Turn() if upon is None else _turn(upon)
    if not turn.said and name in OF_THE_WAY:
        turn = msgspec.structs.replace(turn, said=(say("Half of this answer does not arrive."),))
    return msgspec.structs.replace(turn, fault=Fault(name=name, message=message, retry_after_seconds=retry_after))


def tries(*said: Said) -> Tries:
    """See `Tries`. How often it was asked is known to this process only; a new one begins with the first again."""
    if not said:
        raise ValueError("tries needs a turn")
    return Tries(turns=tuple(map(_turn, said)))


def turn_of(said: Said) -> Turn | Tries:
    """Whatever a script may hold, as a turn; TypeError for what is none."""
    match said:
        case Turn() | Tries():
            return said
        case Answer():
            return Turn(said=said.said, finish=said.finish, usage=said.usage)
        case Part():
            return Turn(said=(said,))
        case str():
            return Turn(said=(say(said),))
        case list() | tuple():
            return Turn(said=tuple(_part(part) for part in said))
        case _:
            raise TypeError(f"{type(said).__name__} is no turn of a script: give a text, a part, a list of parts, or a turn")


def _turn(said: Said) -> Turn:
    turn = turn_of(said)
    if isinstance(turn, Tries):
        raise TypeError("tries stand alone: put what belongs to each of them inside")
    return turn


def _part(part: object) -> Part:
    if isinstance(part, str):
        return say(part)
    if isinstance(part, Part):
        return part
    raise TypeError(f"{type(part).__name__} is no part of a turn: give texts, thoughts and calls")


def spoiled(turn: Turn, request: Request) -> Turn:
    """The turn with a fault of the answer played upon it: what is left is an answer as any."""
    if turn.fault is None:
        return turn
    plain = msgspec.structs.replace(turn, fault=None)
    match turn.fault.name:
        case "refusal":
            return msgspec.structs.replace(
                plain, said=refuse(turn.fault.message or "I cannot help with that.").said, finish="refused"
            )
        case "content_filter":
            return msgspec.structs.replace(plain, said=(), finish="refused")
        case "nothing":
            return msgspec.structs.replace(plain, said=(), finish="stop")
        case "cut":
            return msgspec.structs.replace(plain, said=_halved(turn.said), finish="length")
        case "malformed_arguments":
            return _with_calls(plain, request, lambda part: msgspec.structs.replace(part, args=_half(part.args)))
        case "wrong_arguments":
            return _with_calls(plain, request, lambda part: msgspec.structs.replace(part, args=_wrong(part.args)))
        case "duplicate_ids":
            return _with_calls(plain, request, lambda part: msgspec.structs.replace(part, id="call_twice"), at_least=2)
        case _:
            return turn


def written(args: Any) -> str:
    """Arguments as a model writes them."""
    return args if isinstance(args, str) else msgspec.json.encode(args).decode()


def _half(args: Any) -> str:
    text = written(args)
    return text[: max(1, len(text) // 2)]


def _wrong(args: Any) -> dict[str, Any]:
    """Arguments whose types no schema takes, where there are any."""
    return {name: {"wrong": value} for name, value in args.items()} if isinstance(args, dict) and args else {"wrong": [None]}


def _halved(said: tuple[Part, ...]) -> tuple[Part, ...]:
    *whole, last = said or (say("The first half of an answer"),)
    if last.kind == "call":
        return (*whole, msgspec.structs.replace(last, args=_half(last.args)))
    return (*whole, msgspec.structs.replace(last, text=last.text[: max(1, len(last.text) // 2)]))


def _with_calls(turn: Turn, request: Request, spoil: Callable[[Part], Part], at_least: int = 1) -> Turn:
    """The turn with its calls spoiled; one that has too few is given some of the first tool, so that there is a fault."""
    said = list(turn.said)
    tool = request.tools[0].name if request.tools else "no_such_tool"
    while sum(part.kind == "call" for part in said) < at_least:
        said.append(Part(kind="call", tool=tool, args={"value": len(said)}))
    spoiled_parts = tuple(spoil(part) if part.kind == "call" else part for part in said)
    return msgspec.structs.replace(turn, said=spoiled_parts, finish=None)
