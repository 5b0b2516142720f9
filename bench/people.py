"""People: 10,000 open questions listed, a decision on its way to the tool, another policy over 100,000 rulings.

Beside each figure stands a floor, measured on the same disk and at the same moment: a plain indexed SELECT of a hundred rows of
the same file; one durable commit; the rows of the record read and decoded, and nothing on top.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import apsw
import msgspec

from bench import floor
from holdfast import Agent, Holdfast, Plan, Step, tool
from holdfast.core import events as e
from holdfast.core.plan import Goal
from holdfast.core.policy import Policy, Rule
from holdfast.figures import what_if
from holdfast.journal.base import Batch, Claim, Head, NewRun, Release
from holdfast.journal.people import Judged, JudgedFilter, OpenInterrupt, Person
from holdfast.journal.sqlite import SqliteJournal

T0 = 1_700_000_000.0
LIST_BAR_MS, DISPATCH_BAR_MS, WHAT_IF_BAR_SECONDS = 20.0, 50.0, 5.0
RULES = ("large", "tainted", "first time", "abroad")
TENANTS = ("acme", "bolt", "coil", "dyne", "ever")


async def measure(folder: Path) -> None:
    """All three."""
    await listing(folder / "inbox.db")
    await dispatch(folder)
    await replay(folder / "record.db")


# --- the first page -----------------------------------------------------------------------------------------------


# What is wanted, and how many of 10,000 that are.
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "those of one person": {"by": "ann"},
    "by kind and tenant": {"kind": "approval", "tenant": "coil"},
    "by rule and age": {"rule": "tainted", "asked_before": T0 + 5_000.0, "order": "oldest"},
    "by amount": {"amount_min": 900.0, "order": "amount"},
    "by tool and due": {"tool": "refund", "due_before": T0 + 90_000.0},
    "by a rare rule": {"rule": "never seen before"},
    "by a word": {"search": "ORDER 777"},
}


async def listing(path: Path, count: int = 10_000, looks: int = 50) -> None:
    """10,000 open questions of as many runs: the first page of a hundred."""
    journal = SqliteJournal(path)
    await journal.open()
    for first in range(0, count, 2000):
        await asyncio.gather(*(_ask(journal, number) for number in range(first, min(first + 2000, count))))
    await journal.close()
    raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    floors: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in FILTERS}
    found: dict[str, int] = {}
    async with Holdfast(path) as app:
        await app.journal.put_person(Person(name="ann", roles=("clerk",), tenants=("acme", "coil")))
        for _ in range(looks):
            floors.append(_raw(raw, "select * from inbox order by due, run_id, interrupt limit 100"))
            for name, wanted in FILTERS.items():
                begun = time.perf_counter()
                rows = await app.inbox.list(**wanted)
                times[name].append((time.perf_counter() - begun) * 1e3)
                found[name] = len(rows)
    raw.close()
    print(
        f"first page of {count:,} open questions   floor (indexed select, limit 100) {_spread(floors)}   (target {LIST_BAR_MS:.0f} ms)"
    )
    for name, took in times.items():
        missed = "" if sorted(took)[-1 - looks // 100] < LIST_BAR_MS else "   MISSED"
        print(f"  {name:20} {found[name]:4} rows   {_spread(took)}{missed}")


async def _ask(journal: SqliteJournal, number: int) -> None:
    asked = OpenInterrupt(
        run_id=f"run-{number:05}", interrupt="ask-pay-1", kind="approval" if number % 5 else "question", about="call", agent="bench",
        question=f"Refund order {number} in full?", digest="d" * 64, asked_at=T0 + number, expires_at=T0 + 86_400 + number * 7 % 9_973,
        tenant=TENANTS[number % 5], tool="refund" if number % 3 else "send_mail", step="pay",
        args={"order": number, "amount": number % 1000, "reason": "x" * 200}, options=("approve", "edit", "reject"),
        rule="never seen before" if number % 2000 == 1999 else RULES[number % 4], policy="refunds@1", amount=float(number % 1000),
        who=("clerk",) if number % 2 else ("head", "clerk"), not_by=("ann",) if number % 50 == 0 else (), standing=True,
    )  # fmt: skip
    claim, head = await _begun(journal, asked.run_id)
    event = e.Asked(
        interrupt=asked.interrupt, kind="approval", about="call", question=asked.question, options=(), digest=asked.digest,
        expires_at=asked.expires_at, step="pay", tool=asked.tool, args=asked.args,
    )  # fmt: skip
    release = Release(status="blocked", due_at=asked.expires_at, waits_for="a decision")
    wanted = Batch(
        run_id=asked.run_id, fence=claim.fence, head=head, at=T0 + number, events=(event,), opened=(asked,), release=release
    )
    assert isinstance(await journal.append(wanted), Head)


async def _begun(journal: SqliteJournal, run_id: str) -> tuple[Claim, Head]:
    started = (e.RunStarted(run_id=run_id, agent="bench", goal=Goal(), contracts=()),)
    new = NewRun(run_id=run_id, agent="bench", goal_digest="g")
    claim = await journal.create(new, started, T0, worker="w", lease_seconds=1e9)
    assert claim is not None
    return claim, (await journal.read(run_id)).head


# --- from a decision to the tool ----------------------------------------------------------------------------------


async def dispatch(folder: Path, runs: int = 200, parked: int = 1000) -> None:
    """One decision after the other, beside a worker and more parked runs: until the tool's function is entered."""
    entered: dict[int, float] = {}
    called = asyncio.Event()

    @tool(safety="irreversible")
    async def pay(number: int) -> str:
        """Note when it was entered."""
        entered[number] = time.perf_counter()
        called.set()
        return "paid"

    agent = Agent(
        "payer", tools=[pay], plan=Plan(steps=(Step(id="pay", tool="pay", args={"number": {"$ref": "inputs.number"}}),))
    )
    floors = [seconds * 1e3 for seconds in floor.alone(folder / "floor.db", runs)]
    waits: list[float] = []
    async with Holdfast(folder / "dispatch.db", parallel_runs=100) as app:
        await asyncio.gather(*(app.start(agent, inputs={"number": n}, id=f"p{n}") for n in range(runs + parked)))
        await app.work(agent, until_idle=True)
        working = asyncio.create_task(app.work(agent))
        await asyncio.sleep(1.0)
        for number in range(runs):
            called.clear()
            begun = time.perf_counter()
            await app.inbox.decide(f"p{number}", "approve", "bench")
            async with asyncio.timeout(10):
                await called.wait()
            waits.append((entered[number] - begun) * 1e3)
        await app.stop()
        await working
    missed = "" if statistics.median(waits) < DISPATCH_BAR_MS else "   MISSED"
    print(
        f"decide to dispatch, {runs} one by one beside {parked:,} parked   {_spread(waits)}   floor (one durable commit) {_spread(floors)}"
        f"   (target {DISPATCH_BAR_MS:.0f} ms){missed}"
    )


# --- another policy over the record -------------------------------------------------------------------------------


OTHER = Policy(
    name="refunds",
    version="2",
    rules=(
        Rule(name="forbidden", then="block", when="amount > 990 && tainted"),
        Rule(name="large", when="amount > 500"),
        Rule(name="new customer", when="facts.customer == 'new' && amount > 200"),
        Rule(name="some", then="sample", rate=0.1, when="amount > 100"),
        Rule(name="rest", then="never"),
    ),
)


async def replay(path: Path, count: int = 100_000, batch: int = 1000) -> None:
    """100,000 rulings: read, and run through another policy."""
    journal = SqliteJournal(path)
    await journal.open()
    for first in range(0, count, batch):
        claim, head = await _begun(journal, f"run-{first}")
        rows = tuple(_ruled(f"run-{first}", number) for number in range(first, min(first + batch, count)))
        wrote = await journal.append(Batch(run_id=claim.run_id, fence=claim.fence, head=head, at=T0, events=(), judged=rows))
        assert isinstance(wrote, Head)
    decoding = _decode_all(path, count)
    begun, cpu = time.perf_counter(), time.process_time()
    judged = await journal.judged(JudgedFilter())
    reading = time.perf_counter() - begun
    begun = time.perf_counter()
    found = what_if(OTHER, judged)
    replaying, used = time.perf_counter() - begun, time.process_time() - cpu
    await journal.close()
    assert found.rows == count and found.proposed.unmatched == 0
    whole = reading + replaying
    print(
        f"what-if over {count:,} rulings   {whole:.2f} s (read {reading:.2f} s, ruled {replaying:.2f} s; {used:.2f} s CPU)   floor (read and decoded) "
        f"{decoding:.2f} s   (target {WHAT_IF_BAR_SECONDS:.0f} s){'' if whole < WHAT_IF_BAR_SECONDS else '   MISSED'}"
    )
    print(
        f"  recorded {found.recorded.asked:,} asked; proposed {found.proposed.asked:,} asked, {found.proposed.blocked:,} blocked"
    )
    print(f"  {found.people.caught:,} caught, {found.people.let_through:,} let through, {found.people.saved:,} saved")


def _ruled(run_id: str, number: int) -> Judged:
    """Half of them asked, one in twenty of these rejected."""
    amount, asked = float(number * 7919 % 1000), number % 2 == 0
    document = {
        "args": {"order": number, "amount": amount, "reason": "x" * 80}, "amount": amount, "tool": "refund", "safety": "irreversible",
        "confidence": 0.9, "facts": {"customer": "new" if number % 3 else "known", "city": "Bonn"}, "inferred": False,
        "tainted": number % 7 == 0, "agent": "bench", "tenant": "acme", "labels": {"team": "blue"}, "inputs": {"order": number},
        "revision": 1, "spent_usd": 0.25,
    }  # fmt: skip
    row = Judged(
        run_id=run_id, entry=2 + number, at=T0 + number, agent="bench", rule="large", verdict="always" if asked else "never",
        asked=asked, step=f"pay{number}", tool="refund", policy="refunds@1", amount=amount, document=document, tenant="acme",
    )  # fmt: skip
    if not asked:
        return row
    return msgspec.structs.replace(
        row, kind="approval", interrupt=f"i{number}", decision="approve" if number % 40 else "reject", by=("ann",),
        seen_at=T0 + number + 5, decided_at=T0 + number + 25,
    )  # fmt: skip


def _decode_all(path: Path, count: int) -> float:
    """Seconds of reading all rows on a connection of its own, and decoding them."""
    raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    decode = msgspec.json.Decoder(Judged).decode
    begun = time.perf_counter()
    read = 0
    for (body,) in raw.execute("select body from judged order by at, run_id, entry"):
        decode(body)
        read += 1
    seconds = time.perf_counter() - begun
    raw.close()
    assert read == count
    return seconds


def _raw(connection: apsw.Connection, sql: str) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    rows = list(connection.execute(sql))
    assert len(rows) == 100
    return (time.perf_counter() - begun) * 1e3


def _spread(times: list[float]) -> str:
    """p50 and p99."""
    return f"p50 {statistics.median(times):.2f} ms, p99 {sorted(times)[-1 - len(times) // 100]:.2f} ms"
