"""What the tests of attacks on approvals share: a store, a bank that counts, a clock that can be set, people and agents.

`at_the_bank` and `at_the_counter` are loaded by real workers too (see `stage.py`): they change the world of `agents.py`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast import Agent, Call, Holdfast, Policy, Rule, Run, Tool, tool
from holdfast.core import events as e
from holdfast.core.state import State
from holdfast.errors import AnswerRefused
from holdfast.journal.base import Message
from holdfast.runner.clock import SystemClock
from holdfast.testing.models import ScriptedModel
from tests.acceptance.agents import POLL_SECONDS, _append, _world

LARGE = Rule(name="large", when="amount > 500", tools=("pay",))
DAY = 86400.0


class SetClock(SystemClock):
    """The clock of a machine, which a test can set forward and back."""

    ahead = 0.0

    def now(self) -> float:
        return round(super().now() + self.ahead, 3)

    def jump(self, seconds: float) -> None:
        """Set it."""
        self.ahead += seconds


class Office:
    """A store with a worker, and a bank. paid: each payment that was made, as (to, amount)."""

    def __init__(self, app: Holdfast, clock: SetClock, db: Path):
        self.app = app
        self.clock = clock
        self.db = db
        self.paid: list[tuple[str, Any]] = []

    # --- agents ---------------------------------------------------------------------------------------------------

    def pay(self, **promise: Any) -> Tool[..., Any]:
        """A tool that pays once for each key, and counts."""
        promise = {"safety": "keyed", "key_ttl": "24h", "timeout": "20s", **promise}
        if promise["safety"] != "keyed":
            promise.pop("key_ttl")
        keys: set[str] = set()

        @tool(name="pay", **promise)
        async def pay(to: str, amount: float, call: Call) -> str:
            """Pay somebody."""
            if call.key not in keys:
                keys.add(call.key)
                self.paid.append((to, amount))
                if "changes" in promise:
                    call.changed("usd", amount)
            return f"paid {to}"

        return pay

    def payer(
        self, *rules: Rule, amount: Any = 900, tools: Iterable[Tool[..., Any]] = (), promise: dict[str, Any] | None = None,
        plan: dict[str, Any] | None = None, version: str = "1", policy: Policy | None = None, **options: Any,
    ) -> Agent:  # fmt: skip
        """An agent that pays x, as its policy lets it. rules: of the policy; promise: what the tool `pay` promises."""
        steps = plan or {"pay": {"tool": "pay", "args": {"to": "x", "amount": amount}}}
        policy = policy or Policy(name="money", version=version, rules=rules or (LARGE,))
        return Agent("payer", tools=[self.pay(**promise or {}), *tools], plan=steps, policy=policy, **options)

    def thinker(
        self, script: Any, *rules: Rule, tools: Iterable[Tool[..., Any]] = (), policy: Policy | None = None,
        promise: dict[str, Any] | None = None, **options: Any,
    ) -> Agent:  # fmt: skip
        """An agent that a model plans, by a script."""
        policy = policy or Policy(name="money", rules=rules or (LARGE,))
        return Agent("thinker", tools=[self.pay(**promise or {}), *tools], model=ScriptedModel(script), policy=policy, **options)

    # --- verbs ----------------------------------------------------------------------------------------------------

    async def go(self, agent: Agent, id: str = "r", **options: Any) -> Run:
        """Start the run, or go on with it."""
        return await self.app.run(agent, id=id, patience_seconds=5.0, **options)

    async def asked(self, id: str = "r") -> e.Asked:
        """The one question that is open."""
        (asked,) = (await self.app.state(id)).interrupts.values()
        return asked

    async def yes(self, id: str = "r", by: str = "ann", **options: Any) -> str:
        """Approve what is asked."""
        return await self.app.answer(id, "approve", by=by, **options)

    async def refused(self, decision: str = "approve", by: str = "ann", id: str = "r", **options: Any) -> str:
        """What is said to somebody whose word is refused; AssertionError where it is taken."""
        try:
            await self.app.answer(id, decision, by=by, **options)
        except AnswerRefused as refused:
            return str(refused)
        raise AssertionError(f"{decision} by {by} was taken")

    async def send(self, body: dict[str, Any], id: str = "r", slot: str | None = None) -> None:
        """Put an answer into the mailbox as somebody would who does not go through the inbox."""
        whole = {"decision": "approve", "by": "eve", "value": None, "note": "", **body}
        await self.app.journal.send(id, Message(kind="answer", slot=slot, body=whole, at=self.clock.now()))

    async def events(self, kind: type[Any], id: str = "r") -> list[Any]:
        """What happened of this kind, in order."""
        return [entry.event for entry in await self.app.history(id) if isinstance(entry.event, kind)]

    async def voided(self, id: str = "r") -> list[str]:
        """Why answers were not taken."""
        return [event.reason for event in await self.events(e.AnswerVoided, id)]

    async def state(self, id: str = "r") -> State:
        return await self.app.state(id)

    async def staff(self, **roles: tuple[str, ...] | str) -> None:
        """Put people into the directory, each with a role or several."""
        for name, given in roles.items():
            await self.app.inbox.put_person(name, (given,) if isinstance(given, str) else given)


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Office]:
    """An office in a directory of its own."""
    directory.mkdir(exist_ok=True)
    clock, db = SetClock(), directory / "runs.db"
    async with Holdfast(db, clock=clock, poll_seconds=0.02, secrets={"TOKEN": "s3cret"}.get) as app:
        yield Office(app, clock, db)


def check(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function under a name that a rule can give."""
    function.__name__ = name
    return function


# --- for workers in processes of their own ------------------------------------------------------------------------


def _through(gate: str) -> None:
    """Wait while the gate is shut, and say so."""
    while (_world() / "gates" / f"{gate}.shut").exists():
        (_world() / "gates" / f"{gate}.waits").touch()
        time.sleep(POLL_SECONDS)


def is_open(proposed: dict[str, Any]) -> bool:
    """A check that can be made to wait: it is asked before each call, also after the answer."""
    _append("checks", "is_open")
    _through("check")
    return True


def _payment(safety: str, **promise: Any) -> Tool[..., Any]:
    @tool(name=safety, safety=safety, timeout="60s", **promise)
    def pay(subject: str, call: Call) -> str:
        """Pay, once for each key where the bank knows keys; there is a gate before it, and one after it."""
        _append("calls", safety, subject, call.key)
        _through("before")
        ledger = _world() / "ledger"
        keys = {line.split()[1] for line in ledger.read_text().splitlines()} if ledger.exists() else set()
        if safety != "keyed" or call.key not in keys:
            _append("ledger", subject, call.key)
        _through("after")
        return "paid"

    return pay


at_the_bank, at_the_counter = (
    Agent(
        name,
        tools=[_payment(safety, **promise)],
        plan={"pay": {"tool": safety, "args": {"subject": "x"}}},
        policy=Policy(name="money", rules=(Rule(name="open", check="is_open"),)),
        checks=[is_open],
    )
    for name, safety, promise in (("at-the-bank", "keyed", {"key_ttl": "24h"}), ("at-the-counter", "irreversible", {}))
)
"""A payment that a person approves, at a bank that knows keys, and at one that does not."""
