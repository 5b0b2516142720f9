"""How a store is, as findings that say what to do. Pure: drawn from what the store said of itself and from who works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol, get_args

import msgspec

from holdfast.core.gates import GateState
from holdfast.core.state import Status
from holdfast.views.gates import gate_view
from holdfast.views.words import listed, size, span

Level = Literal["ok", "warning", "broken"]
Command = Callable[..., str]

# A worker says that it is there every few seconds; one of which so long nothing was heard is not counted on.
SEEN_SECONDS = 60.0
# A claim whose lease has been over for less is taken over at once where a worker has the agent.
MOMENT_SECONDS = 60.0
# A store lists so many of a kind at most.
LISTED_MAX = 100
# From when on something that a person or the other side owes is worth a look.
ASKED_SECONDS = 86_400.0
OWED_SECONDS = 7 * 86_400.0
# What should be free on the disk: a store that cannot be written stops its runs.
FREE_LOW, FREE_NONE = 1_000_000_000, 50_000_000
NAMED_MAX = 5
_STATUSES = get_args(Status)


class LateRow(Protocol):
    """A run whose time is over; `journal.keeping.Late` is one."""

    @property
    def run_id(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def worker(self) -> str: ...


class StoreHealth(Protocol):
    """How a store is; `journal.keeping.Health` is one."""

    @property
    def problems(self) -> Sequence[str]: ...
    @property
    def form(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def runs(self) -> Mapping[str, int]: ...
    @property
    def unclaimed(self) -> Sequence[LateRow]: ...
    @property
    def expired(self) -> Sequence[LateRow]: ...
    @property
    def parked(self) -> Sequence[LateRow]: ...
    @property
    def oldest_owed(self) -> float | None: ...
    @property
    def oldest_asked(self) -> float | None: ...
    @property
    def letters(self) -> int: ...
    @property
    def contents(self) -> int: ...
    @property
    def pruned(self) -> int: ...


class LiveWorker(Protocol):
    """A process that advances runs; `journal.base.Worker` is one."""

    @property
    def name(self) -> str: ...
    @property
    def agents(self) -> Sequence[str]: ...
    @property
    def seen_at(self) -> float: ...


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. level: `broken` is what is wrong or stuck until somebody acts, `warning` what may become so.
    name: what was looked at; several findings may have the same. hint: what to do now, mostly a command; empty where nothing
    is to be done."""

    level: Level
    name: str
    what: str
    hint: str = ""


def findings(
    health: StoreHealth, *, workers: Sequence[LiveWorker], gates: Mapping[str, GateState], now: float, release: str,
    deep: bool = False, free_bytes: int | None = None, others: tuple[Finding, ...] = (), command: Command | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
    """What is found, in the order in which it is read. workers: those that the store knows, seen at any time; free_bytes: of the
    disk, None where that is not known; others: found by others, put behind ours; command: makes a command to paste."""
    paste = command or _plain
    lately = [worker for worker in workers if worker.seen_at >= now - SEEN_SECONDS and worker.agents]
    return (
        *_integrity(health, deep, paste),
        Finding(level="ok", name="version", what=f"holdfast {release}; the store has form {health.form}"),
        Finding(level="ok", name="size", what=_size_words(health)),
        *([_disk(free_bytes)] if free_bytes is not None else []),
        Finding(level="ok", name="runs", what=_runs_words(health)),
        _workers(health, lately, paste),
        *_late(health, lately, paste),
        _owed(health, now, paste),
        _asked(health, now, paste),
        _letters(health, lately),
        *_gates(gates, now, paste),
        *others,
    )


def worst(found: Iterable[Finding]) -> Level:
    """The level that most needs somebody."""
    levels = {one.level for one in found}
    return "broken" if "broken" in levels else "warning" if "warning" in levels else "ok"


def _plain(*words: str) -> str:
    return " ".join(("holdfast", *words))


# --- the file -----------------------------------------------------------------------------------------------------


def _integrity(health: StoreHealth, deep: bool, command: Command) -> list[Finding]:
    if health.problems:
        hint = f"stop the workers and restore a backup; {command('verify', '--all')} names the runs that are whole"
        return [Finding(level="broken", name="integrity", what=problem, hint=hint) for problem in health.problems]
    if deep:
        return [Finding(level="ok", name="integrity", what="every page, every chain and every large value is what was written")]
    what = "what was looked at can be read; not every page was"
    return [Finding(level="ok", name="integrity", what=what, hint=f"{command('doctor', '--deep')} reads all of it")]


def _size_words(health: StoreHealth) -> str:
    values = f"{health.contents} large value{'s' * (health.contents != 1)}"
    return f"{size(health.bytes)}, with {values}"


def _disk(free: int) -> Finding:
    level: Level = "broken" if free < FREE_NONE else "warning" if free < FREE_LOW else "ok"
    hint = "" if level == "ok" else "free space: a store that cannot be written stops its runs"
    return Finding(level=level, name="disk", what=f"{size(free)} are free", hint=hint)


def _runs_words(health: StoreHealth) -> str:
    parts = [f"{number} {status}" for status in _STATUSES if (number := health.runs.get(status))]
    parts += [f"{number} {status}" for status, number in sorted(health.runs.items()) if status not in _STATUSES]
    parts += [f"{health.pruned} pruned"] if health.pruned else []
    return ", ".join(parts) or "none yet"


# --- who works on it ----------------------------------------------------------------------------------------------


def _workers(health: StoreHealth, lately: Sequence[LiveWorker], command: Command) -> Finding:
    if lately:
        names = listed((f"{worker.name} ({', '.join(worker.agents)})" for worker in lately), NAMED_MAX)
        return Finding(level="ok", name="workers", what=f"{len(lately)} seen in the last {span(SEEN_SECONDS)}: {names}")
    what = f"none was seen in the last {span(SEEN_SECONDS)}"
    goes_on = any(health.runs.get(status) for status in ("running", "waiting", "blocked"))
    if not goes_on:
        return Finding(level="ok", name="workers", what=f"{what}, and no run needs one")
    return Finding(level="warning", name="workers", what=what, hint=f"start one: {command('work', 'FILE')}")


def _late(health: StoreHealth, lately: Sequence[LiveWorker], command: Command) -> list[Finding]:
    served = {agent for worker in lately for agent in worker.agents}
    kinds = (
        ("expired", health.expired, "claimed, and the lease is over"),
        ("unclaimed", health.unclaimed, "due, and nobody has taken"),
        ("parked", health.parked, "waited, their time has come, and nobody has taken up"),
    )
    found = [
        _late_of(name, words, agent, [late for late in those if late.agent == agent], agent in served, command)
        for name, those, words in kinds
        for agent in dict.fromkeys(late.agent for late in those)
    ]
    return found or [Finding(level="ok", name="stuck", what="no run is due that nobody has")]


def _late_of(name: str, words: str, agent: str, those: Sequence[LateRow], is_served: bool, command: Command) -> Finding:
    longest = those[0]
    count = f"{len(those)}{' or more' * (len(those) >= LISTED_MAX)} run{'s' * (len(those) != 1)}"
    which = listed((late.run_id for late in those), NAMED_MAX)
    who = f"; {longest.worker} had {longest.run_id}" if longest.worker else ""
    what = f"{count} of agent {agent}: {words}, for up to {span(longest.seconds)}{who}: {which}"
    # A worker that is there takes over what another one has left, within moments.
    if is_served and longest.seconds < MOMENT_SECONDS:
        return Finding(level="warning", name=name, what=what, hint="a worker has the agent, and takes it over in a moment")
    if is_served:
        hint = f"a worker has the agent and does not keep up: start another one, or see {command('show', longest.run_id)}"
    else:
        hint = f"no worker has the agent: {command('work', 'FILE')}, or see {command('show', longest.run_id)}"
    return Finding(level="broken", name=name, what=what, hint=hint)


# --- what is waited for -------------------------------------------------------------------------------------------


def _owed(health: StoreHealth, now: float, command: Command) -> Finding:
    if health.oldest_owed is None:
        return Finding(level="ok", name="pending", what="nothing is owed")
    age = now - health.oldest_owed
    level: Level = "warning" if age >= OWED_SECONDS else "ok"
    what = f"the oldest pending operation has been owed for {span(max(age, 0.0))}"
    return Finding(level=level, name="pending", what=what, hint=command("pending"))


def _asked(health: StoreHealth, now: float, command: Command) -> Finding:
    if health.oldest_asked is None:
        return Finding(level="ok", name="questions", what="nobody is asked anything")
    age = now - health.oldest_asked
    level: Level = "warning" if age >= ASKED_SECONDS else "ok"
    what = f"the oldest question has been open for {span(max(age, 0.0))}"
    return Finding(level=level, name="questions", what=what, hint=command("inbox"))


def _letters(health: StoreHealth, lately: Sequence[LiveWorker]) -> Finding:
    if not health.letters:
        return Finding(level="ok", name="mail", what="every word has been taken")
    many = health.letters != 1
    what = f"{health.letters} word{'s' * many} {'wait' if many else 'waits'} for {'their runs' if many else 'its run'} to take"
    if lately:
        return Finding(level="ok", name="mail", what=what)
    return Finding(level="warning", name="mail", what=what, hint="they are taken as soon as a worker has these runs")


def _gates(gates: Mapping[str, GateState], now: float, command: Command) -> list[Finding]:
    views = [gate_view(tool, gates[tool], now) for tool in sorted(gates)]
    found = [
        Finding(
            level="warning", name="gates", what=f"the circuit of {view.tool} is {view.circuit.replace('_', '-')}: {view.words}",
            hint=f"if it works again: {command('gates', 'reset', view.tool)}",
        )
        for view in views
        if view.circuit != "closed"
    ]  # fmt: skip
    return found or [Finding(level="ok", name="gates", what="no tool is held back by its circuit")]
