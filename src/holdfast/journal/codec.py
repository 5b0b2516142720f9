"""Event ⇄ bytes: form on disk, versions and upcasts, large values by content, redaction, the hash chain.

A batch is stored as one JSON array of events. Contracts and plans are the same for many runs, and large values for many
events: they are stored once by the digest of their content, and `{"$blob": digest}` stands in their place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from holdfast.core.events import AgentChanged, AnyEvent, Entry, PlanAdopted, PolicyChanged, RunForked, RunStarted, ThinkingChanged
from holdfast.core.values import REDACTED
from holdfast.errors import JournalCorrupt, JournalTooNew
from holdfast.journal.base import StoredBatch

BLOB = "$blob"
# A name of the user's that looks like our mark gets one more `$` in front, and loses it when it is read.
_MARKED = re.compile(r"\$+blob")
LARGE_BYTES = 16_384

# The parts of an event that are always stored by content, because many runs share them: what was declared with the agent, and
# a plan that was written down as a whole. What a reasoner proposes turn by turn is no one else's.
_SHARED = {
    "run_started": ("contracts", "thinking", "policy"),
    "run_forked": ("contracts", "thinking", "policy"),
    "agent_changed": ("contracts",),
    "thinking_changed": ("thinking",),
    "policy_changed": ("policy",),
    "plan_adopted": ("plan",),
}
_SHARED_TYPES = frozenset({RunStarted, RunForked, AgentChanged, ThinkingChanged, PolicyChanged})
_BLOB_MARK = BLOB.encode()

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[AnyEvent, ...]).decode
_decode_any = msgspec.json.Decoder().decode

# Old shape → next shape, by the name on disk: an upcast takes and returns the plain table of one event. Every name that
# was ever written stays readable; see tests/histories.
UPCASTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def encode(events: Sequence[AnyEvent]) -> tuple[bytes, dict[str, bytes]]:
    """A batch as bytes, and the contents that it refers to by digest."""
    body = _encode(events)
    if len(body) < LARGE_BYTES and _BLOB_MARK not in body and not any(map(_is_shared, events)):
        return body, {}
    blobs: dict[str, bytes] = {}
    return _encode([_shrink_event(event, blobs) for event in _decode_any(body)]), blobs


def decode(body: bytes, fetch: Callable[[str], bytes]) -> tuple[AnyEvent, ...]:
    """The events of a batch. fetch: the content of a digest. JournalTooNew for an event that this release has not."""
    if _BLOB_MARK not in body:
        try:
            return _decode(body)
        except msgspec.ValidationError:
            pass  # Perhaps an older shape: the slow way knows those.
    stored = _decode_any(body)
    if not isinstance(stored, list) or not all(isinstance(event, dict) for event in stored):
        raise JournalCorrupt("a batch that cannot be read: it is no list of events")
    plain = [_upcast(_grow(event, fetch)) for event in stored]
    try:
        return msgspec.convert(plain, tuple[AnyEvent, ...])
    except msgspec.ValidationError as error:
        if "Invalid value" in str(error) and ".event" in str(error):
            names = ", ".join(str(event.get("event")) for event in plain)
            raise JournalTooNew(f"an event of a later release: {names}", hint="read it with that release") from error
        raise JournalCorrupt(f"an event that cannot be read: {error}") from error


def entries(body: bytes, first: int, fence: int, at: float, fetch: Callable[[str], bytes]) -> list[Entry]:
    """The entries of a stored batch."""
    return [Entry(first + offset, at, fence, event) for offset, event in enumerate(decode(body, fetch))]


def link(previous: bytes, run_id: str, first: int, fence: int, at: float, body: bytes) -> bytes:
    """The next link of a run's chain: a digest over the link before, the place of the batch, and its content."""
    chain = hashlib.sha256(previous)
    chain.update(f"{run_id}\x1f{first}\x1f{fence}\x1f{at!r}\x1f".encode("utf-8", "surrogatepass"))
    chain.update(body)
    return chain.digest()


def check_chain(run_id: str, batches: Iterable[StoredBatch], version: int, head: bytes) -> None:
    """That these batches are a run's whole journal, which has so many entries and ends with this link; else JournalCorrupt, with
    the first entry that is wrong."""
    known, previous = 0, b""
    for batch in batches:
        if batch.first != known + 1 or not batch.count:
            raise JournalCorrupt(f"entry {known + 1} is missing", run_id=run_id, sequence=known + 1)
        previous = link(previous, run_id, batch.first, batch.fence, batch.at, batch.body)
        if previous != batch.link:
            raise JournalCorrupt(f"entry {batch.first} is not what was written", run_id=run_id, sequence=batch.first)
        known = batch.first + batch.count - 1
    if known != version or previous != head:
        raise JournalCorrupt(f"the journal ends at entry {known} instead of {version}", run_id=run_id, sequence=known + 1)


def blob_digest(content: bytes) -> str:
    """The name of a stored content."""
    return hashlib.sha256(content).hexdigest()


def redact(value: Any, names: frozenset[str]) -> Any:
    """A JSON value with what stands under these names replaced; the very same object where there is nothing to do."""
    if not names or not _mentions(value, names):
        return value
    if isinstance(value, dict):
        return {key: REDACTED if key in names else redact(part, names) for key, part in value.items()}
    return [redact(part, names) for part in value]


def _mentions(value: Any, names: frozenset[str]) -> bool:
    if isinstance(value, dict):
        return any(key in names or _mentions(part, names) for key, part in value.items())
    return isinstance(value, (list, tuple)) and any(_mentions(part, names) for part in value)


def _is_shared(event: AnyEvent) -> bool:
    return type(event) in _SHARED_TYPES or (type(event) is PlanAdopted and event.plan.final)


def _shrink_event(event: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, Any]:
    shared = _SHARED.get(event["event"], ())
    if shared == ("plan",) and not event["plan"].get("final", True):
        shared = ()
    return {name: _shrink_part(part, name in shared, blobs) for name, part in event.items()}


def _shrink_part(part: Any, is_shared: bool, blobs: dict[str, bytes]) -> Any:
    if is_shared and part is not None:
        return _share(part, blobs)
    return _shrink(part, blobs) if isinstance(part, (dict, list, str)) else part


def _share(value: Any, blobs: dict[str, bytes]) -> Any:
    """A part that is stored by content however small it is."""
    encoded = _encode(value)
    if _BLOB_MARK not in encoded:
        return _put(encoded, blobs)
    shrunk = _shrink(value, blobs)
    return shrunk if isinstance(shrunk, dict) and shrunk.keys() == {BLOB} else _put(_encode(shrunk), blobs)


def _shrink(value: Any, blobs: dict[str, bytes]) -> Any:
    """Replace the large parts of a value. A table whose parts are small one by one is kept whole, as one content."""
    encoded = _encode(value)
    if len(encoded) < LARGE_BYTES and _BLOB_MARK not in encoded:
        return value
    if isinstance(value, dict):
        value = {_escaped(key): _shrink(part, blobs) for key, part in value.items()}
        encoded = _encode(value)
    elif isinstance(value, list) and _BLOB_MARK in encoded:
        value = [_shrink(part, blobs) for part in value]
        encoded = _encode(value)
    return value if len(encoded) < LARGE_BYTES else _put(encoded, blobs)


def _escaped(key: str) -> str:
    return "$" + key if _MARKED.fullmatch(key) else key


def _unescaped(key: str) -> str:
    return key[1:] if _MARKED.fullmatch(key) and key != BLOB else key


def _put(content: bytes, blobs: dict[str, bytes]) -> dict[str, str]:
    digest = blob_digest(content)
    blobs[digest] = content
    return {BLOB: digest}


def _grow(value: Any, fetch: Callable[[str], bytes]) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(digest := value.get(BLOB), str):
            content = fetch(digest)
            if blob_digest(content) != digest:
                raise JournalCorrupt(f"the stored content {digest[:12]} is not what was written")
            return _grow(_decode_any(content), fetch)
        return {_unescaped(key): _grow(part, fetch) for key, part in value.items()}
    if isinstance(value, list):
        return [_grow(part, fetch) for part in value]
    return value


def _upcast(event: dict[str, Any]) -> dict[str, Any]:
    while (upcast := UPCASTS.get(event.get("event", ""))) is not None:
        event = upcast(event)
    return event
