"""What is remembered between the runs of a thread: what a run learned, and which of several memories of a name is in force.

A memory belongs to a thread of a tenant. All that were ever kept there under one kind and name are its *line*, and one of them
is in force. Which one follows from the line alone, in whatever order its memories were written (`in_force`), so a run that ends
late, with older news than what is known by then, changes nothing:

- what was told or seen takes over from what is older, and from any guess;
- a guess takes over from an older guess, or from what has expired; never from what a person said, and never with a value that
  a person has said is wrong;
- what a person prefers is theirs to say: no observation overrules it.

Nothing here reads a clock or a store; `journal/remembering.py` has what stores do with it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from holdfast.core.events import BY_A_PERSON, FailureKind
from holdfast.core.facts import RANK, STEP_PREFIX, Fact, Source
from holdfast.core.provenance import is_tainted
from holdfast.core.state import State, StepState, secret_names
from holdfast.core.values import plain_secrets, redacted_in

Kind = Literal["fact", "lesson", "preference"]
# How the names of preferences and lessons begin, as facts of a run and as memories.
PREFERENCE, LESSON = "preference:", "lesson:"
# What one run leaves behind, at most: memories, lessons among them, the bytes of a value, the letters of its words.
MEMORIES_MAX, LESSONS_MAX, VALUE_BYTES_MAX, WORDS_MAX, LESSON_CHARS_MAX = 200, 20, 4_000, 2_000, 300
QUERY_WORDS_MAX = 64
# An outage tells of the next days; that a call cannot be made so is true for longer.
PASSING_SECONDS, LASTING_SECONDS = 3 * 86_400.0, 90 * 86_400.0
_PASSING: frozenset[FailureKind] = frozenset({"transient", "rate_limited", "unavailable", "crashed", "overdue"})
# Letters and digits; of scripts without spaces each sign is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a run learned.

    tenant, thread: whose it is. agent, run_id, step: from which run it comes, and from which step where one observed it. by:
    who or what said so. at: when it was so, in seconds since the epoch. valid_until: None for ever. confidence: 0 to 1. text:
    the words by which it is searched. rests_on: the names that it was inferred from. superseded_by: the one that took over;
    empty for the one in force. corrected_by: the person who put it in place of a wrong one. forgotten_at, forgotten_by: its
    content is gone, and it does not come back.
    """

    id: str
    tenant: str
    thread: str
    kind: Kind = "fact"
    name: str = ""
    value: Any = None
    text: str = ""
    agent: str = ""
    source: Source = "observed"
    by: str = ""
    confidence: float = 1.0
    run_id: str = ""
    step: str = ""
    at: float = 0.0
    valid_until: float | None = None
    rests_on: tuple[str, ...] = ()
    superseded_by: str = ""
    corrected_by: str = ""
    forgotten_at: float | None = None
    forgotten_by: str = ""
    line: str = ""

    def expired(self, now: float) -> bool:
        """Whether it is too old to be believed."""
        return self.valid_until is not None and now >= self.valid_until

    @property
    def holds(self) -> bool:
        """Whether it is the one in force of its line."""
        return not self.superseded_by and self.forgotten_at is None


# --- names --------------------------------------------------------------------------------------------------------


def memory_id(run_id: str, kind: Kind, name: str) -> str:
    """The id of what a run learned under a name: the same however often the commit that carries it is tried."""
    return "m-" + _digest(run_id, kind, name)[:16]


def line_of(tenant: str, thread: str, kind: Kind, name: str) -> str:
    """The name of a line. It says nothing of the name that it stands for, and so outlives it."""
    return _digest(tenant, thread, kind, name)[:32]


def kind_of(name: str) -> Kind:
    """What kind of memory a fact of this name becomes."""
    return "preference" if name.startswith(PREFERENCE) else "lesson" if name.startswith(LESSON) else "fact"


def _digest(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def words_of(*parts: Any) -> str:
    """The words by which something is found, once each: those of names, apart, and of all texts and numbers of a value; in small
    letters and without accents."""
    found: dict[str, None] = {}
    length = 0
    for text in _texts(parts):
        for word in _WORD.findall(_folded(_HUMP.sub(" ", text))):
            if word not in found:
                length += len(word) + 1
                if length > WORDS_MAX:
                    return " ".join(found)
                found[word] = None
    return " ".join(found)


def query_words(query: str) -> list[str]:
    """The words that a text asks for."""
    return words_of(query).split()[:QUERY_WORDS_MAX]


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(sign for sign in apart if unicodedata.category(sign) != "Mn")).lower()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


# --- which one is in force ----------------------------------------------------------------------------------------


def in_force(line: Iterable[Memory]) -> list[Memory]:
    """The memories of a line with `superseded_by` as it follows from them, the oldest first; forgotten ones are left out."""
    known = sorted((memory for memory in line if memory.forgotten_at is None), key=_order)
    wrong: set[bytes] = set()
    stands: Memory | None = None
    successor: dict[str, str] = {}
    for memory in known:
        if stands is None:
            stands = memory
            continue
        if not takes_over(memory, stands, wrong):
            successor[memory.id] = stands.id
            continue
        successor[stands.id] = memory.id
        if memory.corrected_by and _same(memory) != _same(stands):
            wrong.add(_same(stands))
        wrong.discard(_same(memory))
        stands = memory
    return [
        memory
        if memory.superseded_by == (by := successor.get(memory.id, ""))
        else msgspec.structs.replace(memory, superseded_by=by)
        for memory in known
    ]


def takes_over(new: Memory, stands: Memory, wrong: Iterable[bytes] = ()) -> bool:
    """Whether a memory that is no older than the one in force takes its place. wrong: values that a person refused."""
    if new.source in ("told", "observed"):
        return new.source == "told" or stands.kind != "preference" or stands.source != "told"
    if _same(new) in wrong or stands.corrected_by:
        return False
    return stands.source not in ("told", "observed") or stands.expired(new.at)


def _order(memory: Memory) -> tuple[float, bool, int, float, str]:
    return memory.at, bool(memory.corrected_by), RANK[memory.source], memory.confidence, memory.id


def _same(memory: Memory) -> bytes:
    return msgspec.json.encode(memory.value, order="deterministic")


def corrected(memory: Memory, value: Any, by: str, at: float) -> Memory:
    """What a person puts in the place of a memory. It comes after it, whatever their clocks say."""
    return msgspec.structs.replace(
        memory,
        id="m-" + _digest(memory.id, "corrected", by, repr(at))[:16],
        value=value,
        text=words_of(memory.name, value),
        source="told",
        by=by,
        confidence=1.0,
        step="",
        at=max(at, memory.at),
        valid_until=None,
        rests_on=(),
        superseded_by="",
        corrected_by=by,
    )


def forgotten(memory: Memory, by: str, at: float) -> Memory:
    """What is left of a memory that is to be forgotten: that there was one, whose it was, and who wanted it gone."""
    return Memory(
        id=memory.id, tenant=memory.tenant, thread=memory.thread, kind=memory.kind, at=memory.at, line=memory.line,
        forgotten_at=at, forgotten_by=by,
    )  # fmt: skip


def is_outdated(memory: Memory, changed: Memory) -> bool:
    """Whether a guess that rests on a value is no good any more, as that was changed. What was found later, or by the very run
    that found the new value, was found knowing it."""
    knew = memory.run_id == changed.run_id and not changed.corrected_by
    return memory.source == "inferred" and memory.at <= changed.at and not knew and not memory.expired(changed.at)


def believed(memory: Memory, now: float) -> Fact:
    """What a run is told of a memory: as old as it is, and no surer. One that has expired is stale: shown, and not believed."""
    corrected = f", corrected by {memory.corrected_by}" if memory.corrected_by else ""
    step = f", step {memory.step}" if memory.step else ""
    who = f" by {memory.by}" if memory.by and memory.by not in (memory.corrected_by, f"step {memory.step}", memory.step) else ""
    return Fact(
        name=memory.name,
        value=memory.value,
        source="remembered",
        by=f"run {memory.run_id}{corrected}",
        at=memory.at,
        ttl_seconds=None if memory.valid_until is None else max(memory.valid_until - memory.at, 0.0),
        confidence=memory.confidence,
        basis=f"{memory.source}{who} in run {memory.run_id}{step}",
        stale=memory.expired(now),
        pinned=bool(memory.corrected_by),
    )


# --- what a run learned -------------------------------------------------------------------------------------------


def remembers(state: State) -> bool:
    """Whether a run takes part in the memory of its thread."""
    return bool(state.thread) and state.thinking is not None and state.thinking.recall > 0


def learned(state: State, now: float) -> tuple[Memory, ...]:
    """What a run leaves behind when it ends: facts that are still believed, preferences, and what went wrong for good. What it
    only remembered itself is not among them, nor anything under the name of a secret."""
    if not remembers(state):
        return ()
    secrets = secret_names(state)
    facts = [memory for fact in state.facts.values() if (memory := _of_fact(state, fact, secrets, now)) is not None]
    facts.sort(key=lambda memory: (memory.kind != "preference", -RANK[memory.source], -memory.at, memory.name))
    lessons = list(_lessons(state, now))[:LESSONS_MAX]
    return (*facts[: MEMORIES_MAX - len(lessons)], *lessons)


def _of_fact(state: State, fact: Fact, secrets: frozenset[str], now: float) -> Memory | None:
    source: Source = "told" if fact.confirmed_by else fact.source
    if source == "remembered" or not fact.is_fresh(now) or fact.name.startswith(LESSON):
        return None
    if not fact.confirmed_by and any(is_tainted(state, name) for name in _steps_of(fact)):
        return None  # No later run would know that it came from outside.
    if is_secret(fact.name, fact.value, secrets) or len(msgspec.json.encode(fact.value)) > VALUE_BYTES_MAX:
        return None
    return _memory(
        state,
        kind_of(fact.name),
        fact.name,
        fact.value,
        text=words_of(fact.name, fact.value, fact.basis),
        source=source,
        by=fact.confirmed_by or fact.by,
        confidence=1.0 if fact.confirmed_by else fact.confidence,
        step=_observer(state, fact),
        at=fact.at,
        valid_until=None if fact.ttl_seconds is None else fact.at + fact.ttl_seconds,
        rests_on=tuple(name for name in fact.rests_on if not name.startswith("steps.")),
        corrected_by=(fact.confirmed_by or fact.by) if fact.pinned else "",
    )


def _steps_of(fact: Fact) -> tuple[str, ...]:
    return tuple(name.removeprefix(STEP_PREFIX) for name in fact.rests_on if name.startswith(STEP_PREFIX))


def _observer(state: State, fact: Fact) -> str:
    """The step that a fact was seen by, where one was."""
    rests = (name.removeprefix("steps.") for name in fact.rests_on if name.startswith("steps."))
    return state.observers.get(fact.name) or next(rests, "") if fact.source == "observed" else ""


def is_secret(name: str, value: Any, secrets: frozenset[str]) -> bool:
    """Whether something is never remembered: its name is one of a secret, or ends or begins like one; or a part of it is
    under such a name, or was not written down."""
    mine = _apart(name)
    named = any(f"_{_apart(secret)}_" in f"_{mine}_" for secret in secrets)
    return named or redacted_in(value) or any(True for _ in plain_secrets(value, secrets))


def _apart(name: str) -> str:
    return "_".join(_WORD.findall(_HUMP.sub("_", name))).casefold()


def _lessons(state: State, now: float) -> Iterator[Memory]:
    """What did not work, once for each tool and class of failure; the last of each is told."""
    found: dict[str, tuple[StepState, str, str, float]] = {}
    for step in (state.steps[name] for name in state.order):
        failure = step.failure
        if step.fallbacks_taken:  # Why is with the call that is over; that another tool was needed is left.
            told = f"{step.step.tool} did not work" + (f", {step.tool} did instead" if step.phase == "done" else "")
            found[f"{LESSON}{step.step.tool}:fallback"] = (step, step.step.tool, told, PASSING_SECONDS)
        if step.phase in ("failed", "skipped") and failure is not None and failure.detail != BY_A_PERSON:
            said = " ".join(failure.message.split())
            said = said if len(said) <= LESSON_CHARS_MAX else said[:LESSON_CHARS_MAX] + "…"
            told = f"{step.tool} failed for good: {failure.kind}" + (f", {said}" if said else "")
            seconds = PASSING_SECONDS if failure.kind in _PASSING else LASTING_SECONDS
            found[f"{LESSON}{step.tool}:{failure.kind}"] = (step, step.tool, told, seconds)
    for name, (step, tool, told, seconds) in found.items():
        yield _memory(
            state, "lesson", name, told, text=words_of(tool, told), source="observed", by=f"step {step.step.id}",
            step=step.step.id, at=now, valid_until=now + seconds,
        )  # fmt: skip


def _memory(state: State, kind: Kind, name: str, value: Any, **of: Any) -> Memory:
    return Memory(
        id=memory_id(state.run_id, kind, name), tenant=state.tenant, thread=state.thread, kind=kind, name=name, value=value,
        agent=state.agent, run_id=state.run_id, line=line_of(state.tenant, state.thread, kind, name), **of,
    )  # fmt: skip
