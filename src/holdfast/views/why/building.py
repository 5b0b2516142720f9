"""A run, a step or an entry, explained from its journal. Pure: entries in, records out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from holdfast.core import events as e
from holdfast.core.state import State, status
from holdfast.views.entries import entry_line
from holdfast.views.minds import TurnView, spent_view, turn_views
from holdfast.views.why.asks import asks_of
from holdfast.views.why.causes import chain, work_out
from holdfast.views.why.first import first, told
from holdfast.views.why.links import link, near, said
from holdfast.views.why.past import Past
from holdfast.views.why.records import EntryWhy, ForkWhy, Link, Why
from holdfast.views.why.steps import followed, plain, step_line, step_why
from holdfast.views.words import cut

GOAL_MAX = 500
OTHERS_MAX = 40


class NoSuchStep(LookupError):
    """What was asked about is neither a step nor an entry of the run. close: steps of about that name."""

    def __init__(self, name: str, close: tuple[str, ...], steps: int, entries: int):
        super().__init__(name)
        self.name = name
        self.close = close
        self.steps = steps
        self.entries = entries


def why(entries: Sequence[e.Entry], now: float, about: str = "", *, every: bool = False) -> Why:
    """Why a run is as it is. entries: its whole journal. about: a step, or the number of an entry; empty: the run, with the steps
    on the chain of causes. every: all steps in full. NoSuchStep where there is nothing of that name."""
    past = Past(entries)
    state = past.state
    line, links = first(past, now)
    entry = None
    if about in state.steps:
        wanted = [about]
        links = _of_step(past, about)
    elif about:
        entry = _entry_why(past, about)
        wanted = []
    else:
        wanted = list(state.order) if every else _on_chain(past, links)
    if every:
        work_out(past)
    turns = _turns(past, wanted)
    steps = tuple(step_why(past, name, turns) for name in wanted)
    others = () if about else _others(past, set(wanted))
    return Why(
        run_id=state.run_id, agent=" ".join(filter(None, (state.agent, state.agent_version))), status=status(state, now), at=now,
        started_at=state.started_at, entries=len(entries), goal=cut(state.goal.text, GOAL_MAX), first=line, chain=links,
        steps=steps, others=tuple(step_line(past, name) for name in others[:OTHERS_MAX]),
        others_more=max(len(others) - OTHERS_MAX, 0), steps_in_all=len(state.order),
        asks=() if about else asks_of(past, ""), entry=entry, fork=_fork(past), parent=state.parent,
        parent_step=state.parent_step, children=_children(past), spent=spent_view(state),
    )  # fmt: skip


def _of_step(past: Past, name: str) -> tuple[Link, ...]:
    """The chain of a step: from what ended it, or was said of it last, back."""
    end = len(past.entries) + 1
    start = past.ended(name) or past.last_of(name, end) or past.brought.get(name, 0)
    numbers = list(chain(past, start))
    return tuple(link(past, number, is_told=number in told(past, numbers)) for number in numbers)


def _on_chain(past: Past, links: Sequence[Link]) -> list[str]:
    """The steps of a chain of causes, as far as they matter."""
    named = dict.fromkeys(one.step for one in near(links) if one.step in past.state.steps)
    return [name for name in named if not plain(past, name)]


def _others(past: Past, wanted: set[str]) -> list[str]:
    """The rest of the steps, those first that did not go as planned."""
    left = [name for name in past.state.order if name not in wanted]
    return sorted(left, key=lambda name: plain(past, name))


def _turns(past: Past, wanted: Iterable[str]) -> dict[int, TurnView]:
    if past.state.thinking is None or not wanted:
        return {}
    return {turn.turn: turn for turn in turn_views(past.entries, past.state)}


def _entry_why(past: Past, about: str) -> EntryWhy:
    number = int(about) if about.isascii() and about.isdecimal() and len(about) < 10 else 0
    if not 0 < number <= len(past.entries):
        close = tuple(difflib.get_close_matches(about, past.state.order, n=3))
        raise NoSuchStep(about, close, len(past.state.order), len(past.entries))
    entry = past.entries[number - 1]
    line = entry_line(entry)
    before = list(chain(past, number))[1:]
    this = link(past, number)
    return EntryWhy(
        entry=number, at=entry.at, event=line.event, said=said(past, number), fields=line.fields, fence=entry.fence,
        chain=tuple(link(past, other) for other in before), followed=followed(past, number),
        step=this.step if this.step in past.state.steps else "",
    )  # fmt: skip


def _fork(past: Past) -> ForkWhy | None:
    fork = past.state.fork
    if fork is None:
        return None
    before = past.before(past.forked)
    return ForkWhy(
        source=fork.source, entries=past.forked - 1, entry=past.forked, at=past.at(past.forked), mode=fork.mode, by=fork.by,
        reason=fork.reason, done=_done(before),
    )  # fmt: skip


def _done(state: State) -> tuple[str, ...]:
    return tuple(name for name in state.order if state.steps[name].phase == "done")


def _children(past: Past) -> tuple[str, ...]:
    """The runs that its steps started, as far as the journal has their names."""
    ended = [past.event(number) for number in past.of_kind.get(e.ChildEnded, ())]
    found = [event.child for event in ended if isinstance(event, e.ChildEnded)]
    return tuple(dict.fromkeys((*found, *(one.child for one in past.state.pending.values() if one.child))))
