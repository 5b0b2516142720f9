"""What holdfast adds to each turn of a model, and how a long conversation grows; beside raw commits measured in the same run."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench import floor
from holdfast import Agent, Holdfast, Limits, tool
from holdfast.core.models import Part, Usage
from holdfast.journal.sqlite import SqliteJournal
from holdfast.models import Models
from holdfast.reasoners.model import Answer, Listener, Request

TURNS = 400
RESULT_BYTES = 1000


@tool(safety="read")
async def look(page: int) -> str:
    """Look at a page; 1 KB."""
    return f"{page:06d}" + "x" * (RESULT_BYTES - 6)


class Clocked:
    """Asks for one page after the other, and keeps what time it was when it was asked and when it had answered."""

    name = "scripted:clocked"

    def __init__(self, turns: int):
        self.turns = turns
        self.asked: list[float] = []
        self.answered: list[float] = []

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """The next page, or the end."""
        self.asked.append(time.perf_counter())
        turn = len(self.asked)
        said = (
            Part(kind="text", text="All pages are read.")
            if turn > self.turns
            else Part(kind="call", id=f"call_{turn}", tool="look", args={"page": turn})
        )
        self.answered.append(time.perf_counter())
        return Answer(
            said=(said,), usage=Usage(input_tokens=1000, output_tokens=20), finish="stop" if turn > self.turns else "tool"
        )


async def turns(folder: Path) -> None:
    """A run of 400 turns with a result of 1 KB each: time per turn early and late, and the size of its journal."""
    floors = floor.alone(folder / "floor.db", 200)
    model = Clocked(TURNS)
    limits = Limits(turns_max=TURNS + 10, attempts_max=TURNS + 10)
    agent = Agent("bench", model=Models(model, context_bytes_max=60_000), tools=[look], limits=limits)
    cpu = time.process_time()
    async with Holdfast(folder / "turns.db") as app:
        done = await app.run(agent, "Read all pages", id="turns")
        assert done.status == "completed", done
        assert isinstance(app.journal, SqliteJournal)
        commits = app.journal.file.commits
    cpu = time.process_time() - cpu
    # From one answer to the next request: the call, its result, two commits, and what the model is shown next.
    gaps = [asked - answered for answered, asked in zip(model.answered, model.asked[1:], strict=False)]
    base = statistics.median(floors) * 1000
    early, late = statistics.median(gaps[50:150]) * 1000, statistics.median(gaps[-100:]) * 1000
    size = sum(path.stat().st_size for path in folder.glob("turns.db*"))
    logical = TURNS * RESULT_BYTES
    print(
        f"{TURNS} turns            p50 {early:.3f} ms a turn early, {late:.3f} ms late   {late / early - 1:+.1%}   (target within 10 %)"
    )
    print(
        f"                     floor {base:.3f} ms a commit, {commits / TURNS:.2f} commits a turn; cpu {cpu / TURNS * 1000:.3f} ms a turn"
    )
    print(f"                     above its commits {early - base * commits / TURNS:.3f} ms a turn   (target 1 ms)")
    print(
        f"                     store {size / 1e6:.2f} MB for {logical / 1e6:.2f} MB of results   {size / logical:.2f} x   (target 3 x)"
    )
