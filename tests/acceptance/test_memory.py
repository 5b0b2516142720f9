"""What is remembered, by workers that die at any moment: once, with the end of the run, and there for the next one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from holdfast import Holdfast
from holdfast.core.events import MemoryRecalled
from holdfast.testing.crash_walk import Site, crash_walk, table
from holdfast.views.memory import recalled_views

ROOT = Path(__file__).resolve().parents[2]
LEARNED = {"home": "told", "preference:room": "inferred", "price": "observed", "lesson:search:not_found": "observed"}


async def test_a_killed_run_leaves_each_memory_once_and_the_next_run_begins_with_it(tmp_path: Path) -> None:
    """kill -9 at each write of two runs, on either side of it: whoever goes on leaves behind what one that lived would have."""
    results = crash_walk(
        "tests.acceptance.remembering:stories", lambda: nullcontext(Site()), folder=tmp_path, lease_seconds=0.2,
        environment={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )  # fmt: skip
    said = table(results)
    assert len(results) > 20, said
    assert any("run_completed" in result.what for result in results), said
    assert any("recall_intended" in result.what for result in results), said
    for result in results:
        assert result.statuses == {"first": "completed", "second": "completed"}, said
        await _check(tmp_path / f"{result.boundary}-{result.side}.db", said)


async def _check(store: Path, said: str) -> None:
    async with Holdfast(store) as app:
        kept = await app.memories(history=True)
        first = {memory.name: memory.source for memory in kept if memory.run_id == "first"}
        assert first == LEARNED, said
        assert len(kept) == len({(memory.run_id, memory.name) for memory in kept}), said
        # What the second run only recalled is not its own, nor what it guessed over that; what it saw and went through is.
        again = {"price", "lesson:search:not_found"}
        assert {memory.name for memory in kept if memory.run_id == "second"} == again, said
        in_force = {memory.name: memory.run_id for memory in await app.memories("ann")}
        assert in_force == {name: "second" if name in again else "first" for name in LEARNED}, said

        history = await app.history("second")
        recalls = [entry.event for entry in history if isinstance(entry.event, MemoryRecalled)]
        assert {fact.name for fact in recalls[-1].facts} == LEARNED.keys(), said
        assert {fact.source for fact in recalls[-1].facts} == {"remembered"}
        assert {fact.by for fact in recalls[-1].facts} == {"run first"}
        became = {view.name: view.became for view in recalled_views(history, await app.state("second"))}
        assert became["home"] == "believed", said
        assert became["price"] == "confirmed", said
