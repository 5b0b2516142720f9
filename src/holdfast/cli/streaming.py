"""What models say while they say it, on stderr: dim, and thinking marked as such."""

from __future__ import annotations

import sys

from holdfast.cli.text import clean, one_line

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_MARKS = {"text": "says", "thinking": "thinks", "call": "calls"}


class Stream:
    """Where the words of a run's models go, and those of the runs that it starts. A line is open while words come; whoever
    writes another one closes it first. heard: the turns of this run that somebody has read."""

    def __init__(self, run_id: str) -> None:
        self.heard: set[int] = set()
        self._run_id = run_id
        self._open: tuple[str, int, str] | None = None
        self._last = ""
        self._dim = sys.stderr.isatty()

    def __call__(self, run_id: str, turn: int, kind: str, words: str) -> None:
        """Words that are new; see `Holdfast(on_words=…)`."""
        said = (run_id, turn, kind)
        # Of a call its tool comes first, then its arguments; that those have ended is all that tells of the next one.
        begins = said != self._open or (kind == "call" and self._last.endswith("}") and words.isidentifier())
        if begins:
            self.close()
            self._open = said
            whose = "" if run_id == self._run_id else f"{one_line(run_id)}, "
            self._write(f"  {whose}turn {turn} {_MARKS.get(kind, kind)}: ")
        if kind == "text" and run_id == self._run_id:
            self.heard.add(turn)
        self._last = words.rstrip() or self._last
        # Lines of a model's own stay under the mark, so that none of them looks like one of ours.
        self._write(clean(words).replace("\n", "\n    | ") + (" " if begins and kind == "call" else ""))

    def close(self) -> None:
        """End the line that is open, if one is."""
        if self._open is not None:
            self._open, self._last = None, ""
            print(file=sys.stderr, flush=True)

    def _write(self, words: str) -> None:
        print(f"{_DIM}{words}{_PLAIN}" if self._dim and words else words, end="", file=sys.stderr, flush=True)
