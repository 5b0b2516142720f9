"""Laws of the record: what is read back is what was known, and walked again it rules what was ruled."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.core.evolve import fold
from holdfast.core.replay import replay
from holdfast.core.state import State
from holdfast.errors import JournalCorrupt
from holdfast.journal.base import EMPTY
from holdfast.testing.memory import MemoryStore


def check_record(store: MemoryStore, run_id: str, state: State, broken: Callable[[str, str], None]) -> None:
    """What a store has of a run, read anew. state: what whoever watched it knows; broken: told of a law and how it does not
    hold."""
    try:
        entries = store.read(run_id, EMPTY).entries
        batches = store.batches(run_id)
    except JournalCorrupt as corrupt:
        broken("what is read back is what was known", str(corrupt))
        return
    walk = replay(entries[batch.first - 1 : batch.first - 1 + batch.count] for batch in batches)
    if walk.state != state:
        broken("what is read back is what was known", f"{run_id}: the fold of what is stored is another state")
    half = len(entries) // 2
    if half and fold(entries[half:], fold(entries[:half])) != state:
        broken("a prefix and the rest give the whole", f"{run_id}: split at {half}")
    for found in walk.divergences:
        said = f"{run_id}: entry {found.sequence} is {found.recorded}, and it would be {found.ruled}"
        broken("a replay rules what was ruled", said)
