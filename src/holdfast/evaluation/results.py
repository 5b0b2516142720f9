"""What came of an evaluation, and the file in which it is kept: JSON lines, a header first, then a line for each run of a case.

Lines are only ever added. One that was cut off by a crash is the last one, and is passed over: its run is done again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from holdfast.errors import LoadError
from holdfast.evaluation.world import Effect

FILE = "results.jsonl"
FORM = 1
T = TypeVar("T")
Outcome = Literal["held", "failed", "wrong", "unfinished"]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What was evaluated. cases: how often each was to be run. file_digest: of the case file; agent_digest: of what the agent
    declares and of its file. agent_spec, file: as they were named. model: that answered; empty where none is asked. release: of
    holdfast. began_at: seconds since the epoch."""

    name: str
    file: str
    file_digest: str
    agent: str
    agent_version: str
    agent_digest: str
    agent_spec: str
    model: str
    release: str
    seed: int
    cases: dict[str, int]
    began_at: float
    time: str = ""
    real_tools: bool = False
    form: int = FORM


class CaseRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a case. outcome: `held` (all that is expected), `failed` (not all), `wrong` (its journal and the ledger
    disagree), or `unfinished` (the money of the evaluation was used up, or it was stopped: it says nothing about the agent, and
    is done again). unmet: what did not hold; disagreements: where journal and ledger differ; both in sentences. store: its
    file, from the folder of the results. effects: the ledger. questions: what people were asked; unheard: answers of the case
    file that could not be taken. calls: of tools, retries included. tokens, cost_usd: of models and tools. seconds: of the
    run's own time; wall_seconds: on the wall."""

    case: str
    repeat: int
    seed: int
    run_id: str
    store: str
    outcome: Outcome
    status: str = ""
    reason: str = ""
    unmet: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    result: Any = None
    effects: tuple[Effect, ...] = ()
    questions: int = 0
    calls: int = 0
    turns: int = 0
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether it counts as a success."""
        return self.outcome == "held"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation as it is kept. runs: one for each case and repeat, the last that was written of it."""

    folder: str
    header: Header
    runs: tuple[CaseRun, ...]

    @property
    def counted(self) -> tuple[CaseRun, ...]:
        """The runs that say something about the agent."""
        return tuple(run for run in self.runs if run.outcome != "unfinished")

    @property
    def finished(self) -> bool:
        """Whether every run of every case was done."""
        return len(self.counted) >= sum(self.header.cases.values())


class Writer:
    """Writes a results file, each line at once and whole."""

    def __init__(self, folder: Path, header: Header | None):
        """header: of a new file; None goes on with one that is there."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        if header is None:
            _mend(path)
        self._file = path.open("xb" if header is not None else "ab")
        if header is not None:
            self._write({"eval": header})

    def add(self, run: CaseRun) -> None:
        """One run of a case."""
        self._write({"run": run})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """All is written."""
        self._file.close()


def read(place: Path) -> Results:
    """The results in a folder, or in a file. LoadError where there are none, or they are not ours."""
    path = place / FILE if place.is_dir() else place
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        hint = "`holdfast eval list` shows what is kept"
        raise LoadError(f"there are no results in {place}: {error.strerror or error}", hint=hint) from error
    whole = lines[:-1]  # What stands behind the last line end was cut off.
    if not whole:
        raise LoadError(f"{path} is empty, or was cut off in its first line")
    header = _line(path, 1, whole[0], _HeaderLine).eval
    if header.form != FORM:
        raise LoadError(f"{path} was written by another release of holdfast ({header.release})", hint="run the evaluation anew")
    runs: dict[tuple[str, int], CaseRun] = {}
    for number, line in enumerate(whole[1:], 2):
        run = _line(path, number, line, _RunLine).run
        runs[run.case, run.repeat] = run
    order = {case: at for at, case in enumerate(header.cases)}
    placed = sorted(runs.values(), key=lambda run: (order.get(run.case, len(order)), run.case, run.repeat))
    return Results(folder=str(path.parent), header=header, runs=tuple(placed))


def kept(folder: Path) -> Sequence[Results]:
    """All results below a folder, the latest first; those that cannot be read are passed over."""
    found = []
    for path in folder.rglob(FILE):
        try:
            found.append(read(path))
        except LoadError:
            continue
    return sorted(found, key=lambda one: (-one.header.began_at, one.folder))


class _HeaderLine(msgspec.Struct):
    eval: Header


class _RunLine(msgspec.Struct):
    run: CaseRun


def _line(path: Path, number: int, line: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LoadError(f"{path} line {number} is no line of results: {error}") from error


def _mend(path: Path) -> None:
    """Take away a last line that was cut off."""
    with path.open("rb+") as file:
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)
