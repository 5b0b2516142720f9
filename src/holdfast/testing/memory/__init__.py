"""A journal in memory: the same rules and the same bytes as the one on disk, and nothing to clean up.

    journal = MemoryJournal()
    async with Holdfast(journal) as app: ...

`MemoryStore` is the disk, `MemoryJournal` one process's way to it: `journal.handle()` gives another one to the same
store. Events are kept encoded, chained and with large values apart, so that what is read was really written and read.
A handle that is killed never comes back from a call, and nothing that its owner does afterwards reaches the store.
"""

from holdfast.testing.memory.journal import MemoryJournal as MemoryJournal
from holdfast.testing.memory.journal import WorkerKilled as WorkerKilled
from holdfast.testing.memory.store import MemoryStore as MemoryStore
