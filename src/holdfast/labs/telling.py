"""The timeline of a run that a model plans: what it did, and what it had in mind."""

from collections.abc import Sequence

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.labs.workshop import Workshop
from holdfast.views import told


def timeline(shop: Workshop, entries: Sequence[Entry]) -> None:
    """A journal, a line for each entry that means something to people, with the seconds since its run was started."""
    for entry in entries:
        if isinstance(entry.event, e.RunResumed):
            shop.line("        ---- another worker goes on ----")
        elif words := told(entry.event):
            shop.entry(entry.at - entries[0].at, words)
