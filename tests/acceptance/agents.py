"""The agents of the acceptance tests, and a world of files that they change. Loaded by real workers.

The world is the directory in $WORLD. What is there survives every kill, as no process holds it:

    ledger    one line an effect: who it befell, under which key, by which process
    calls     one line each time a tool was entered, before anything happened
    keys/     one file for each key that was honoured; made whole or not at all
    gates/    a call on SUBJECT waits while SUBJECT.shut is there, and says so by SUBJECT.waits
"""

import os
import time
from pathlib import Path
from typing import Any

from holdfast import NOT_HAPPENED, Agent, Call, Happened, Limits, Tool, Transient, tool
from holdfast.tools.function import Probed

POLL_SECONDS = 0.005


def _world() -> Path:
    return Path(os.environ["WORLD"])


def _append(name: str, *fields: str) -> None:
    """One line, written in one piece, so that no kill and no second process can tear it."""
    descriptor = os.open(_world() / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (" ".join((*fields, str(os.getpid()))) + "\n").encode())
    finally:
        os.close(descriptor)


def _enter(kind: str, subject: str, call: Call, seconds: float) -> None:
    """Half of a call's time passes before its effect and half after it, so that a kill can meet either."""
    _append("calls", kind, subject, call.key)
    shut = _world() / "gates" / f"{subject}.shut"
    if shut.exists():
        (_world() / "gates" / f"{subject}.waits").touch()
        while shut.exists():
            time.sleep(POLL_SECONDS)
    time.sleep(seconds / 2)


@tool(safety="keyed", key_ttl="24h", timeout="60s", retry={"attempts": 4, "backoff": "50ms..200ms"})
def keyed(subject: str, call: Call, seconds: float = 0.0) -> str:
    """Befall the subject, unless this key did before."""
    _enter("keyed", subject, call, seconds)
    draft = _world() / "keys" / f"{call.key}.{os.getpid()}-{call.attempt}"
    draft.write_text(subject)
    try:
        # A link is there or it is not, and the second one is refused: that is the service's memory of keys.
        os.link(draft, _world() / "keys" / call.key)
    except FileExistsError:
        return "repeated"
    finally:
        draft.unlink()
    time.sleep(seconds / 2)
    return "done"


@tool(safety="idempotent", timeout="60s")
def idempotent(subject: str, call: Call, seconds: float = 0.0) -> str:
    """Set the subject's flag."""
    _enter("idempotent", subject, call, seconds)
    (_world() / "flags" / subject).touch()
    time.sleep(seconds / 2)
    return "set"


def happened(subject: str, call: Call, seconds: float = 0.0) -> Happened | Probed:
    """Whether the ledger has a line with this call's key."""
    ledger = _world() / "ledger"
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return Happened("found") if any(line.split()[1] == call.key for line in lines) else NOT_HAPPENED


@tool(safety="reconcilable", probe=happened, timeout="60s", probe_every="50ms")
def reconcilable(subject: str, call: Call, seconds: float = 0.0) -> str:
    """Befall the subject, each time again."""
    _enter("reconcilable", subject, call, seconds)
    _append("ledger", subject, call.key)
    time.sleep(seconds / 2)
    return "done"


@tool(timeout="60s")
def irreversible(subject: str, call: Call) -> str:
    """Befall the subject, each time again, and nobody can look."""
    _enter("irreversible", subject, call, 0.0)
    _append("ledger", subject, call.key)
    return "done"


@tool(safety="keyed", key_ttl="24h", timeout="60s", retry={"attempts": 2, "backoff": "800ms", "jitter": 0})
def second_time(subject: str, call: Call) -> str:
    """Fail at the first attempt, work at the second."""
    _append("calls", "second_time", subject, call.key)
    if call.attempt == 1:
        raise Transient("not at the first attempt")
    _append("ledger", subject, call.key)
    return "done"


def _step(name: str, subject: str, seconds: float = 0.0) -> dict[str, object]:
    return {"tool": name, "args": {"subject": {"$ref": f"join('-', [inputs.name, '{subject}'])"}, "seconds": seconds}}


_NAME = {"name": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}}
_TOOLS: list[Tool[..., Any]] = [keyed, idempotent, reconcilable, irreversible]

one_keyed = Agent(
    "one-keyed", tools=_TOOLS, inputs=_NAME, plan={"a": _step("keyed", "a"), "b": {**_step("idempotent", "b"), "after": "a"}}
)
"""A keyed call, then an idempotent one."""

retried = Agent(
    "retried",
    tools=[second_time],
    inputs=_NAME,
    plan={"a": {"tool": "second_time", "args": {"subject": {"$ref": "inputs.name"}}}},
)
"""A call that works when it is made again after 0.8 s."""

three = Agent(
    "three",
    tools=_TOOLS,
    inputs=_NAME,
    plan={
        "a": _step("keyed", "a", 0.01),
        "b": {**_step("reconcilable", "b", 0.01), "after": "a"},
        "c": {**_step("idempotent", "c", 0.01), "after": "b"},
    },
)
"""One call of each kind that needs no person, each of them short."""

twelve = Agent(
    "twelve",
    tools=_TOOLS,
    inputs=_NAME,
    # More than the kills of any test: a person would be asked about a call that was lost five times.
    limits=Limits(lost_max=100),
    plan={
        f"s{number}": {
            **_step(("keyed", "reconcilable", "idempotent")[number % 3], f"s{number}", 0.05),
            **({"after": f"s{number - 2}"} if number > 2 else {}),
        }
        for number in range(1, 13)
    },
)
"""Twelve calls in two chains, so that two are under way at any moment."""

asks = Agent(
    "asks", tools=_TOOLS, inputs=_NAME, plan={"a": {"tool": "irreversible", "args": {"subject": {"$ref": "inputs.name"}}}}
)
"""One call that a person must approve."""

many = Agent(
    "many",
    tools=_TOOLS,
    inputs=_NAME,
    plan={
        f"s{number}": {**_step("reconcilable", f"s{number}"), **({"after": f"s{number - 1}"} if number > 1 else {})}
        for number in range(1, 401)
    },
)
"""Four hundred calls in a row: enough to fill a small disk."""
