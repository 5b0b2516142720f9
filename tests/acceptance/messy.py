"""Agents whose calls end in all the ways there are, in a world of files; loaded by real workers. See `agents.py` for the world."""

import os
import time
from pathlib import Path

from holdfast import Agent, Call, Deferred, Denied, Limits, tool


def _world() -> Path:
    return Path(os.environ["WORLD"])


def _append(name: str, *fields: object) -> None:
    descriptor = os.open(_world() / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (" ".join(map(str, (*fields, os.getpid()))) + "\n").encode())
    finally:
        os.close(descriptor)


@tool(safety="keyed", key_ttl="forever", owed_within="1h", timeout="60s")
def ask_bureau(subject: str, call: Call) -> dict | Deferred:
    """Ask the bureau, which answers by its token; the bureau knows keys, so asking twice is asking once."""
    _append("asked", subject, call.key)
    (_world() / f"token-{subject}").write_text(call.token)
    hold = _world() / "gates" / f"{subject}.shut"
    while hold.exists():
        time.sleep(0.005)
    return Deferred(handle=f"ticket-{subject}", by="the bureau")


@tool(safety="read")
def note(said: str) -> str:
    """What the bureau said."""
    return said


checked = Agent(
    "checked",
    tools=[ask_bureau, note],
    plan={
        "check": {"tool": "ask_bureau", "args": {"subject": {"$ref": "inputs.name"}}},
        "note": {"tool": "note", "args": {"said": {"$ref": "steps.check.said"}}},
    },
)


@tool(safety="keyed", key_ttl="forever", rate="5/1s")
def limited(subject: str, number: int) -> None:
    """Five in any second, whoever calls."""
    _append("limited", time.time(), subject, number)


rated = Agent(
    "rated",
    tools=[limited],
    plan={f"s{n}": {"tool": "limited", "args": {"subject": {"$ref": "inputs.name"}, "number": n}} for n in range(4)},
)


@tool(safety="keyed", key_ttl="forever", undo="release")
def hold(subject: str, what: str, call: Call) -> dict:
    """Hold something for the subject. A second call under the same key is dropped."""
    if call.key not in _keys("held"):
        _append("held", subject, what, call.key)
    time.sleep(0.05)
    return {"what": what}


@tool(safety="keyed", key_ttl="forever")
def release(subject: str, what: str, call: Call) -> None:
    """Give it back. A second call under the same key is dropped."""
    if call.key not in _keys("released"):
        _append("released", subject, what, call.key)
    time.sleep(0.05)


def _keys(name: str) -> set[str]:
    file = _world() / name
    return {line.split()[2] for line in file.read_text().splitlines()} if file.exists() else set()


@tool(safety="read")
def refuse() -> None:
    """It cannot be done."""
    raise Denied("not for you")


undone = Agent(
    "undone",
    tools=[hold, release, refuse],
    on_stop="undo",
    plan={
        **{
            name: {"tool": "hold", "args": {"subject": {"$ref": "inputs.name"}, "what": name}, "after": list(after)}
            for name, after in (("seat", ()), ("car", ("seat",)), ("room", ("car",)))
        },
        "end": {"tool": "refuse", "after": ["room"]},
    },
)

part = Agent(
    "part",
    tools=[hold, release],
    inputs={"name": {"type": "string"}},
    plan={name: {"tool": "hold", "args": {"subject": {"$ref": "inputs.name"}, "what": name}} for name in ("one", "two")},
)
whole = Agent(
    "whole",
    tools=[note],
    agents=[part],
    limits=Limits(parallel_max=2),
    plan={
        name: {"tool": "part", "args": {"inputs": {"name": {"$ref": "inputs.name"}}}, "after": list(after)}
        for name, after in (("first", ()), ("second", ("first",)))
    },
)
