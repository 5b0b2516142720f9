"""Stories that are kept as a runner would commit them: what golden journals are recorded with."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from tests.core.mind import Mind
from tests.core.story import Story


class Recorder(Story):
    """A story whose history is kept in batches, one for each decision, as a runner would commit it."""

    def __init__(self, run_id: str, *given: Any, **options: Any):
        self.run_id = run_id
        self.batches: list[list[e.Entry]] = []
        start = {"run_id": run_id, "agent": "shop", **options.pop("start", {})}
        super().__init__(*given, start=start, **options)
        self.cut()

    def cut(self) -> None:
        """What was told since the last batch is the next one, or several where the fence or the time changed."""
        done = sum(map(len, self.batches))
        for entry in self.entries[done:]:
            last = self.batches[-1][-1] if self.batches and len(self.batches) and sum(map(len, self.batches)) > done else None
            if last is not None and (last.fence, last.at) == (entry.fence, entry.at):
                self.batches[-1].append(entry)
            else:
                self.batches.append([entry])

    def decide(self, *given: Any, **options: Any) -> Any:
        """As a story does, and commit."""
        found = super().decide(*given, **options)
        self.cut()
        return found


class MindRecorder(Recorder, Mind):
    """The same of a run that asks models."""
