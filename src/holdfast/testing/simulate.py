"""Seeded simulation: the production code, with clock, world and journal swapped, and a crash possible between any two actions.

    python -m holdfast.testing.simulate --seed 7                  # one seed, its whole trace
    python -m holdfast.testing.simulate --seed 1 --runs 20000     # many, and what went wrong how often
    python -m holdfast.testing.simulate --seed -1 --runs 2000     # those below nothing: the reasoner is a hostile model
    python -m holdfast.testing.simulate --soak --seed 1 --runs 1000000 --resume build/soak.json

A seed draws a plan, its tools, its weather and its people, and plays them: workers are killed, stopped and continued, writes
are lost, late or torn, clocks jump, services lie, people answer twice. One below nothing draws models in place of the plan, which
say and do whatever a model may get wrong (`simulation/sayings.py`), of providers that fail in every way. Then laws are looked at
that must hold whatever went wrong (`simulation/laws.py`): no effect twice, nothing lost, nothing stuck, nothing reported that is
not so; nothing spent beyond the limit, nothing believed that nobody saw or said (`simulation/laws_thinking.py`). In some of the
seeds there is an office (`simulation/office.py`): a policy, people with roles who are slow, contradict themselves and answer
twice, pauses, handoffs; and nothing happens that they did not let (`simulation/laws_people.py`). The same seed gives the same
trace, byte for byte, in every process; so a seed that fails can be had again, and that is its report.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import msgspec

from holdfast.testing.simulation import office, providers
from holdfast.testing.simulation.faults import KINDS
from holdfast.testing.simulation.stage import Played, play

TAIL_LINES = 40
CHUNK_SEEDS = 250
# In a soak so many chunks have one of hostile models among them.
HOSTILE_CHUNKS = 4
BROKEN_MAX = 5


class Batch(msgspec.Struct, kw_only=True):
    """What came of many seeds. hostile: of hostile models, among them. broken: the seeds of which a law did not hold, with the
    law and how it was seen."""

    seeds: int = 0
    hostile: int = 0
    seconds: float = 0.0
    virtual_seconds: float = 0.0
    counter: dict[str, int] = {}
    statuses: dict[str, int] = {}
    broken: list[tuple[int, str, str]] = []

    def add(self, other: Batch) -> None:
        """Take in the results of other seeds."""
        self.seeds += other.seeds
        self.hostile += other.hostile
        self.seconds += other.seconds
        self.virtual_seconds += other.virtual_seconds
        self.counter = dict(Counter(self.counter) + Counter(other.counter))
        self.statuses = dict(Counter(self.statuses) + Counter(other.statuses))
        self.broken = sorted(self.broken + other.broken)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of faults that seeds like these have."""
        scripted = (*KINDS, *office.KINDS) if self.seeds > self.hostile else ()
        return (*scripted, *(providers.KINDS if self.hostile else ()))

    @property
    def never(self) -> list[str]:
        """Kinds of faults that did not happen once."""
        return [kind for kind in self.kinds if not self.counter.get(kind)]


def simulate(seeds: Iterable[int], *, broken_max: int = BROKEN_MAX) -> Batch:
    """Play seeds in this process. broken_max: stop after so many of which a law did not hold."""
    batch, counter, statuses = Batch(), Counter[str](), Counter[str]()
    began = time.perf_counter()
    for seed in seeds:
        played = play(seed)
        batch.seeds += 1
        batch.hostile += seed < 0
        batch.virtual_seconds += played.seconds
        counter += played.counter
        statuses.update(played.statuses.values())
        if batch.seeds % 50 == 0:
            gc.collect()
        if played.broken is not None:
            batch.broken.append((seed, played.broken.law, played.broken.what))
            if len(batch.broken) >= broken_max:
                break
    batch.seconds = time.perf_counter() - began
    batch.counter, batch.statuses = dict(counter), dict(statuses)
    return batch


def report(seed: int) -> str:
    """What somebody needs who meets a seed that fails: the law, the tail of the trace, and the command that shows it all."""
    played = play(seed)
    lines = played.lines()[-TAIL_LINES:]
    return "\n".join([*lines, "", verdict(played), f"python -m holdfast.testing.simulate --seed {seed}"])


def verdict(played: Played) -> str:
    """One line on a seed."""
    runs = ", ".join(f"{run_id} {status}" for run_id, status in played.statuses.items())
    said = f"BROKEN: {played.broken}" if played.broken is not None else "all laws hold"
    return f"seed {played.seed}: {said} ({runs}, {played.seconds:.1f} virtual s)"


def table(batch: Batch) -> str:
    """How often each kind of fault happened."""
    width = max((len(kind) for kind in batch.kinds), default=0)
    lines = [f"  {kind:<{width}}  {batch.counter.get(kind, 0):>9}" for kind in batch.kinds]
    ended = ", ".join(f"{status} {count}" for status, count in sorted(batch.statuses.items()))
    rate = batch.seeds / batch.seconds if batch.seconds else 0.0
    lines.append(f"{batch.seeds} seeds at {rate:.0f} a second and process; runs: {ended}; broken: {len(batch.broken)}")
    return "\n".join(lines)


# --- many seeds, many processes -----------------------------------------------------------------------------------


class Soak:
    """A long batch whose progress is kept in a file. See `holdfast.testing.simulate`."""

    def __init__(self, first: int, runs: int, file: Path | None, jobs: int):
        self._first = first
        self._runs = runs
        self._file = file
        self._jobs = jobs
        self.batch = Batch()
        self._done: dict[int, int] = {}  # How many seeds of each chunk have been played.
        self._load()

    def _load(self) -> None:
        if self._file is None or not self._file.exists():
            return
        kept: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        if kept["first"] != self._first or kept["chunk"] != CHUNK_SEEDS:
            raise SystemExit(f"{self._file} belongs to --seed {kept['first']}; give that seed, or another file")
        self.batch = msgspec.convert(kept["batch"], Batch)
        self._done = dict.fromkeys(range(kept["complete"]), CHUNK_SEEDS) | {int(n): m for n, m in kept["done"].items()}

    def _keep(self) -> None:
        if self._file is None:
            return
        complete = next(number for number in range(len(self._done) + 1) if self._done.get(number) != CHUNK_SEEDS)
        kept = {
            "first": self._first, "runs": self._runs, "chunk": CHUNK_SEEDS, "complete": complete,
            "batch": msgspec.to_builtins(self.batch),
            "done": {number: played for number, played in sorted(self._done.items()) if number >= complete},
        }  # fmt: skip
        written = self._file.with_suffix(".part")
        written.write_text(json.dumps(kept), encoding="utf-8")
        written.replace(self._file)

    def _chunks(self) -> Iterator[tuple[int, range]]:
        # The last chunk of a shorter soak was cut off; its rest is played when more is asked for.
        for number in range((self._runs + CHUNK_SEEDS - 1) // CHUNK_SEEDS):
            begin = self._first + number * CHUNK_SEEDS
            left = range(begin + self._done.get(number, 0), min(begin + CHUNK_SEEDS, self._first + self._runs))
            if left and number % HOSTILE_CHUNKS == HOSTILE_CHUNKS - 1:
                yield number, range(-left.start, -left.stop, -1)
            elif left:
                yield number, left

    def run(self) -> Batch:
        """Play what is left. Progress goes to stderr, and into the file after each chunk."""
        began, played_before, told_at = time.monotonic(), self.batch.seeds, 0.0
        chunks = self._chunks()
        with ProcessPoolExecutor(self._jobs) as pool:
            running: dict[Future[Batch], int] = {}
            while True:
                while len(running) < 2 * self._jobs and len(self.batch.broken) < BROKEN_MAX:
                    chunk = next(chunks, None)
                    if chunk is None:
                        break
                    running[pool.submit(simulate, chunk[1])] = chunk[0]
                if not running:
                    return self.batch
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    number = running.pop(done)
                    self._done[number] = self._done.get(number, 0) + done.result().seeds
                    self.batch.add(done.result())
                self._keep()
                if time.monotonic() - told_at > 5.0:
                    told_at = time.monotonic()
                    rate = (self.batch.seeds - played_before) / (told_at - began)
                    print(f"{self.batch.seeds} of {self._runs} seeds, {rate:.0f} a second", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when a law did not hold, or when a kind of fault never happened in a batch large enough for all."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.testing.simulate", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the seed, or the first one; below 0 of hostile models")
    parser.add_argument("--runs", type=int, help="play so many seeds, and print no trace")
    parser.add_argument("--soak", action="store_true", help="use all processors, and show progress")
    parser.add_argument("--resume", type=Path, help="keep progress in this file, and go on from it (with --soak)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes, with --soak")
    given = parser.parse_args(arguments)
    if given.runs is None:
        played = play(given.seed)
        print("\n".join(played.lines()))
        print(verdict(played), file=sys.stderr)
        return 1 if played.broken is not None else 0
    if given.soak and given.seed < 1:
        parser.error("a soak begins with a seed of at least 1; it plays those of hostile models as well")
    if given.soak:
        batch = Soak(given.seed, given.runs, given.resume, given.jobs).run()
    else:
        away = -1 if given.seed < 0 else 1
        batch = simulate(range(given.seed, given.seed + away * given.runs, away))
    print(table(batch))
    for seed, law, what in batch.broken:
        print(f"\nseed {seed}: {law}: {what}\n{report(seed)}")
    if batch.never and given.runs >= 5_000:
        print(f"never happened: {', '.join(batch.never)}")
        return 1
    return 1 if batch.broken else 0


if __name__ == "__main__":
    sys.exit(main())
