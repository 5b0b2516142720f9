"""Crash walks: kill an agent at every boundary of its journal in turn, and see what the world saw.

A boundary is a write of the worker that advances a run: the run's creation, a claim, a batch of events. At each of them
the worker is killed once *before* it (the effect was done, its outcome is not written) and once *after* it (the intent
is written, the effect has not begun). Then it is started again until the run has ended, and the world is asked what
happened. An agent is right when the world looks the same after every one of these walks.

**Real processes, real SIGKILL, real services.** Name a factory that a child process can import. It is given `config`, a
JSON value from the world of this walk (addresses of services, file names), and returns what is to be run:

    # shop/walked.py
    def story(config):
        return Story(agent=agent_for(config["url"]), goal="Refund order 7", run_id="order-7", inputs={"order": 7})

    # tests/test_walk.py
    @contextmanager
    def world():                                    # anew for each walk
        with services() as shop:
            yield Site(config={"url": shop.url}, ledger=shop.ledger, answer=lambda asked: ("approve", None))

    for result in crash_walk("shop.walked:story", world):
        assert result.statuses == {"order-7": "completed"}
        assert len(result.ledger["refunds"]) == 1, result

A factory may return a list of stories; they are run one after the other. The walk knows how many boundaries there are by
walking: it goes on until a start came through without being killed. `answer` is the person: it is given the question
(`Asked`) and returns a decision and its value.

**In this process, on a jumping clock,** the same for agents whose world is made in memory; a hundred walks take a second:

    def make():
        bank = Bank()
        return Story(agent=agent_for(bank), goal="…", ledger=lambda: bank.transfers, answer=lambda asked: ("approve", None))

    for result in crash_walk_simulated(make): ...

`python -m holdfast.testing.crash_walk walk shop.walked:story --config '{"url": …}'` walks against services that are there
already and prints a table of what became of the runs.
"""

from __future__ import annotations

from holdfast.testing.crash_walk.real import crash_walk
from holdfast.testing.crash_walk.simulated import crash_walk_simulated
from holdfast.testing.crash_walk.walks import SIDES, Answer, Side, Site, Story, WalkFailed, WalkResult, table

__all__ = [
    "SIDES",
    "Answer",
    "Side",
    "Site",
    "Story",
    "WalkFailed",
    "WalkResult",
    "crash_walk",
    "crash_walk_simulated",
    "table",
]
