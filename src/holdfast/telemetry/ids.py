"""Ids of traces and spans that follow from the run, so that every process finds the same ones without asking anybody.

A trace is a run, wherever it goes on and however long it takes. Two runs of the same id in two stores share a trace, for there is
nothing else in a run that a child run, or a fork, could know of it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2s

# What a span is of. An attempt: the step and the number; a request to a model: its turn and attempt; and so on.
RUN, ATTEMPT, CHAT, PLAN, PROBE, ASK, AWAIT = "run", "attempt", "chat", "plan", "probe", "ask", "await"


@lru_cache(maxsize=8192)
def trace_id(run_id: str) -> bytes:
    """The trace of a run: 16 bytes."""
    return blake2s(run_id.encode("utf-8", "surrogatepass"), digest_size=16, person=b"holdfast").digest()


def span_id(trace: bytes, what: str, name: str = "", number: int = 0) -> bytes:
    """A span of a trace: 8 bytes. The name stands last, so nothing in it can make two of them the same."""
    return blake2s(trace + _prefix(what, number) + name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@lru_cache(maxsize=1024)
def _prefix(what: str, number: int) -> bytes:
    return f"{what} {number} ".encode()


@lru_cache(maxsize=8192)
def run_span(run_id: str) -> bytes:
    """The span of a whole run."""
    return span_id(trace_id(run_id), RUN)


def traceparent(run_id: str, step: str, attempt: int) -> str:
    """The W3C header by which what a call asks of others can be put below its span (https://www.w3.org/TR/trace-context/)."""
    trace = trace_id(run_id)
    return f"00-{trace.hex()}-{span_id(trace, ATTEMPT, step, attempt).hex()}-01"
