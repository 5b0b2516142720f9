"""What telemetry costs: the crowd of `bench.run` with it beside the same without, in turns, in one process.

    python -m bench.telemetry [ROUNDS] [spans|metrics|logs|all ...]        (default: 15 rounds, all)

With telemetry: every attempt becomes a span, sent as OTLP to a receiver in another process that reads it and forgets it; everything
is counted; and lines go to a file as JSON. A round is one crowd with and one without, in changing order. Two figures of each: the
median of the rounds, and the best round, for the machine is noisy, and its disk more so. What telemetry does when the work is over
(the last spans) is in its CPU.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.run import chain, cpu
from holdfast import Holdfast
from holdfast.telemetry import Telemetry, from_settings, names
from holdfast.telemetry.logs import write_to

RUNS, STEPS, AT_ONCE = 200, 20, 50
KINDS = ("spans", "metrics", "logs", "all")

RECEIVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    def log_message(self, *args):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def telemetry_of(kind: str, address: str, folder: Path) -> Iterator[Telemetry | None]:
    """Telemetry of one kind, with all of them, or (`off`) none."""
    if kind == "off":
        yield None
        return
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    if kind == "metrics":
        environment["OTEL_TRACES_EXPORTER"] = "none"
    logs = kind in ("logs", "all")
    with (folder / "log.jsonl").open("w", encoding="utf-8") as file:
        end = write_to(file, form="json") if logs else lambda: None
        try:
            yield from_settings(environment, version="bench", target="none" if kind == "logs" else "otlp", logs=logs)
        finally:
            end()


async def crowd(folder: Path, telemetry: Telemetry | None) -> tuple[float, float]:
    """Seconds of the wall, and of CPU in all threads, of one crowd."""
    agent = chain(STEPS)
    observers = () if telemetry is None else (telemetry,)
    async with Holdfast(folder / "crowd.db", parallel_runs=AT_ONCE, observers=observers) as app:
        for n in range(RUNS):
            await app.start(agent, id=f"r{n}")
        # A full collection walks all that was ever imported: 50 to 150 ms, in one round or in the other.
        gc.collect()
        gc.freeze()
        before, begun = cpu(), time.perf_counter()
        await app.work(agent, until_idle=True)
        seconds = time.perf_counter() - begun
        if telemetry is not None:
            telemetry.close(30)
        used = cpu() - before
        assert len(await app.runs(status="completed")) == RUNS
    return seconds, used


def once(kind: str, address: str) -> tuple[float, float, float, float]:
    """One crowd in a folder of its own: seconds, CPU seconds, spans that were sent, and what was dropped."""
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as place,
        telemetry_of(kind, address, Path(place)) as telemetry,
    ):
        seconds, used = asyncio.run(crowd(Path(place), telemetry))
        numbers = {} if telemetry is None else {series.metric.name: dict(series.numbers()) for series in telemetry.series()}
    sent = numbers.get(names.EXPORTED, {}).get(("spans",), 0.0)
    return seconds, used, sent, sum(numbers.get(names.DROPPED, {}).values())


def measure(kind: str, rounds: int, address: str) -> None:
    """Print the two beside one another."""
    found: dict[str, list[tuple[float, float, float, float]]] = {"off": [], kind: []}
    for number in range(rounds + 1):
        for which in (kind, "off") if number % 2 else ("off", kind):
            result = once(which, address)
            if number:  # The first is to warm up.
                found[which].append(result)
    total = RUNS * STEPS
    off, on = found["off"], found[kind]
    wall = [total / statistics.median(seconds for seconds, *_ in side) for side in (off, on)]
    used = [statistics.median(each[1] for each in side) / total * 1e6 for side in (off, on)]
    best_wall, best_used = (1 - min(each[n] for each in off) / min(each[n] for each in on) for n in (0, 1))
    print(
        f"{kind:<8} off {wall[0]:,.0f} steps/s, {used[0]:.0f} µs CPU a step   on {wall[1]:,.0f} steps/s, {used[1]:.0f} µs"
        f"   throughput {wall[1] / wall[0] - 1:+.1%} (of the best rounds {-best_wall:+.1%})"
        f"   throughput by CPU {used[0] / used[1] - 1:+.1%} (best {-best_used:+.1%})   target -10 %"
        f"   spans a round {on[-1][2]:,.0f}, dropped in all {sum(each[3] for each in on):.0f}"
    )


@contextmanager
def receiving() -> Iterator[str]:
    """A receiver in a process of its own, that forgets what it gets."""
    with subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(receiver.stdout.readline())}"
        finally:
            receiver.kill()


def main(arguments: list[str]) -> None:
    """See the module's text."""
    rounds = next((int(word) for word in arguments if word.isdecimal()), 15)
    with receiving() as address:
        for kind in [word for word in arguments if word in KINDS] or ["all"]:
            measure(kind, rounds, address)


if __name__ == "__main__":
    main(sys.argv[1:])
