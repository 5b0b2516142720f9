"""The world of a case: real functions with a ledger on their side, which stand in for the agent's tools.

A stand-in is called where the tool of the same name would be. What the tool promises stays as the agent declares it: contract and
schemas are those that are put to the test. A tool without a stand-in is called as it is where it only reads; one that changes
something is refused, unless the evaluation may use real tools.

    def make_world(setting: Setting) -> World:      # world.py, named in the case file as `world: world.py:make_world`
        return Shop(seed=setting.seed)
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import msgspec

from holdfast.agent import Agent
from holdfast.errors import DefinitionError, Denied
from holdfast.evaluation.records import Case
from holdfast.reasoners.verbs import READ_MORE
from holdfast.runner.clock import Clock
from holdfast.tools.call import Call
from holdfast.tools.function import Tool
from holdfast.tools.toolbox import Toolbox

NO_STAND_IN = "has no stand-in in this evaluation"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the world. args: as they arrived there, plain JSON. key: that the request carried; empty where
    the world does not know it, and then the journal is held against the ledger by counting alone."""

    tool: str
    args: dict[str, Any] = {}
    key: str = ""


class World(Protocol):
    """What a case needs of a world. tools: stand-ins, by the names of the tools that they stand in for. ledger: what really
    happened, in order; it is read once nothing is under way any more. close: let go of what it holds."""

    def tools(self) -> Iterable[Tool[..., Any]]: ...
    def ledger(self) -> Sequence[Effect]: ...
    def close(self) -> None: ...


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a world may know of the run that it is for. seed: of this case and repeat. agent: whose tools it stands in for.
    clock: of the run. deliver: brings a result by the token of a call, as `Holdfast.callback` does."""

    case: Case
    repeat: int
    seed: int
    agent: Agent
    clock: Clock
    deliver: Callable[..., Awaitable[Any]]


def made(factory: Callable[..., Any], setting: Setting) -> World:
    """The world that a factory makes, with the setting where it takes something. DefinitionError for what is no world."""
    world: Any = factory(setting) if inspect.signature(factory).parameters else factory()
    missing = [name for name in ("tools", "ledger", "close") if not callable(getattr(world, name, None))]
    if missing:
        what = f"{getattr(factory, '__name__', factory)} gives {type(world).__name__}, which has no {missing[0]}()"
        raise DefinitionError(what, hint="a world has tools(), ledger() and close()")
    found: World = world
    return found


class Equipped(msgspec.Struct, frozen=True, kw_only=True):
    """An agent in a world. witnessed: the tools whose calls the ledger knows. bare: those that change something and are
    refused, for nothing stands in for them. own: those that are called as they are, and awaited. idle: stand-ins for tools that
    nobody has."""

    agent: Agent
    witnessed: frozenset[str]
    bare: tuple[str, ...]
    own: tuple[str, ...]
    idle: tuple[str, ...]


def equipped(agent: Agent, stand_ins: Iterable[Tool[..., Any]], *, real_tools: bool = False) -> Equipped:
    """The agent, and all below it, with these in place of their tools. DefinitionError for a stand-in that cannot stand in."""
    known = {tool.name: tool for tool in stand_ins}
    everybody = (agent, *agent.family().values())
    names = {name for one in everybody for name in one.toolbox if name not in one.agents}
    tools = {id(tool): tool for one in everybody for tool in one.toolbox.values() if tool.name not in one.agents}
    problems = [problem for tool in tools.values() if (problem := _unfit(tool, known.get(tool.name)))]
    if problems:
        raise DefinitionError(f"the world does not fit agent {agent.name}: " + "; ".join(problems))
    left = [tool for tool in tools.values() if tool.name not in known and tool.name != READ_MORE]
    refused = [] if real_tools else [tool for tool in left if tool.contract.safety != "read"]
    swapped: dict[str, Agent] = {}
    return Equipped(
        agent=_swapped(agent, known, real_tools, swapped),
        witnessed=frozenset(known),
        bare=tuple(sorted({tool.name for tool in refused})),
        own=tuple(sorted({tool.name for tool in left if tool.is_async and tool not in refused})),
        idle=tuple(name for name in known if name not in names),
    )


def _unfit(tool: Tool[..., Any], stand_in: Tool[..., Any] | None) -> str | None:
    """Why something cannot stand in for a tool."""
    if stand_in is None:
        return None
    for role in ("probe", "poll", "check"):
        if getattr(tool, role) is not None and getattr(stand_in, role) is None:
            return f"{tool.name} has a {role}, and what stands in for it has none"
    if any(one.kind is one.VAR_KEYWORD for one in inspect.signature(stand_in.function).parameters.values()):
        return None
    if missing := sorted(tool.argument_names - stand_in.argument_names):
        return f"{tool.name} has the argument {missing[0]}, which what stands in for it does not take"
    return None


def _swapped(agent: Agent, known: Mapping[str, Tool[..., Any]], real_tools: bool, done: dict[str, Agent]) -> Agent:
    if agent.name in done:
        return done[agent.name]
    other = copy(agent)
    other.agents = {name: _swapped(child, known, real_tools, done) for name, child in agent.agents.items()}
    other.toolbox = Toolbox(
        [tool if name in agent.agents else _stand_in(tool, known.get(name), real_tools) for name, tool in agent.toolbox.items()]
    )
    done[agent.name] = other
    return other


def _stand_in(tool: Tool[..., Any], other: Tool[..., Any] | None, real_tools: bool) -> Tool[..., Any]:
    if other is None:
        free = tool.contract.safety == "read" or tool.name == READ_MORE or real_tools
        return tool if free else put_in(tool, _refusal(tool.name), probe=_cannot_look, poll=_cannot_look, check=_cannot_look)
    inquiries = {role: asked.function for role in ("probe", "poll", "check") if (asked := getattr(other, role)) is not None}
    return put_in(tool, other.function, **inquiries)


def put_in(tool: Tool[..., Any], function: Callable[..., Any], **inquiries: Callable[..., Any]) -> Tool[..., Any]:
    """The tool with another function behind it; its contract and schemas stay. inquiries: probe, poll and check, of which it
    takes those that it has."""
    asked = {role: inquiries[role] for role in ("probe", "poll", "check") if getattr(tool, role) is not None}
    return Tool(function, tool.contract, tool.arguments, tool.output, sufficient=tool.sufficient, **asked)


def _refusal(name: str) -> Callable[..., Any]:
    async def refuse(holdfast_call: Call, **arguments: Any) -> Any:
        raise Denied(f"{name} {NO_STAND_IN}, and changes something")

    return refuse


async def _cannot_look(holdfast_call: Call, **arguments: Any) -> Any:
    raise Denied("nobody looks at a world that is not there")
