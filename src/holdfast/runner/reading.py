"""A model reads on in a result that it was shown in part: of the run's own steps, from what the store keeps."""

from __future__ import annotations

from typing import Any

import jmespath
import msgspec

from holdfast.core.commands import CallTool
from holdfast.core.events import AnyEvent, CallFailed, CallSucceeded, Failure, FailureKind
from holdfast.core.references import condition_problem
from holdfast.core.state import State
from holdfast.errors import JournalError
from holdfast.journal.base import Journal

# So much of a result is read at once, in characters.
READ_MAX = 8_000
# What a query finds is not written out where it is far more than any result is: parts of it may stand in it many times.
QUERY_BYTES_MAX = 20_000_000


async def read_on(command: CallTool, state: State, journal: Journal) -> AnyEvent:
    """A piece of the result of a step, as JSON text: {text, offset, characters (in all), more}."""
    name, query = str(command.args.get("step", "")), str(command.args.get("query", ""))
    offset = command.args.get("offset", 0)
    step = state.steps.get(name)
    if step is None or step.phase != "done":
        return _failed(command, "not_found", f"step {name} has no result" if step is not None else f"there is no step {name}")
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        return _failed(command, "invalid_input", "offset is a whole number of at least 0")
    if query and (wrong := condition_problem(query)) is not None:
        return _failed(command, "invalid_input", f"the query: {wrong}")
    try:
        value = await _whole(step.value, step.cut.digest if step.cut is not None else "", journal)
        if query:
            value = jmespath.search(query, value)
            if not _is_within(value, QUERY_BYTES_MAX):
                return _failed(command, "invalid_input", "the query finds too much; ask for less of it")
    except JournalError as error:
        return _failed(command, "transient", f"the result cannot be read now: {error}")
    except Exception as error:  # noqa: BLE001 — whatever the library thinks of an expression of a model's.
        return _failed(command, "invalid_input", f"the query cannot be worked out: {error}")
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    piece = text[offset : offset + READ_MAX]
    found = {"text": piece, "offset": offset, "characters": len(text), "more": offset + len(piece) < len(text)}
    return CallSucceeded(step=command.step, attempt=command.attempt, value=found)


async def _whole(value: Any, digest: str, journal: Journal) -> Any:
    stored = await journal.content(digest) if digest else None
    return value if stored is None else msgspec.json.decode(stored)


def _is_within(value: Any, most: int) -> bool:
    """Whether a value has no more than so many bytes as JSON, about; looked at no further than that."""
    left, total = [value], 0
    while left and total <= most:
        part = left.pop()
        total += 8 + (len(part) if isinstance(part, str) else 0)
        if isinstance(part, dict):
            left.extend(part.values())
            total += sum(map(len, part))
        elif isinstance(part, list):
            left.extend(part)
    return total <= most


def _failed(command: CallTool, kind: FailureKind, message: str) -> CallFailed:
    return CallFailed(step=command.step, attempt=command.attempt, failure=Failure(kind=kind, message=message[:2_000]))
