"""What telemetry costs: the crowd of `bench.run` with it and without, in turns of a quarter of a second, in one run.

    python -m bench.telemetry [SECONDS] [spans|metrics|logs|all ...]        (default: 40 seconds, all)

With telemetry: every attempt becomes a span, sent as OTLP to a receiver in another process that reads it and forgets it; everything
is counted; and lines go to a file as JSON. It is switched on and off while the crowd goes on, for the machine is noisy, and what else
goes on there is then in both. A turn with it ends when what was committed in it has been told and encoded. A figure is the mean over
the turns, with its standard error; the slowest and the fastest tenth of the turns are left out on both sides.
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
from holdfast.runner.observing import Committed
from holdfast.telemetry import Telemetry, from_settings, names
from holdfast.telemetry.logs import write_to

STEPS, AT_ONCE = 20, 50
TURN_SECONDS = 0.25
# More runs than any machine gets through in a second.
RUNS_A_SECOND = 500
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


class Switch:
    """An observer that counts commits, and passes them on while it is on."""

    def __init__(self, telemetry: Telemetry):
        self._telemetry = telemetry
        self.on = False
        self.commits = 0

    def committed(self, commit: Committed) -> None:
        """See `Observer`."""
        self.commits += 1
        if self.on:
            self._telemetry.committed(commit)


@contextmanager
def telemetry_of(kind: str, address: str, folder: Path) -> Iterator[Telemetry]:
    """Telemetry of one kind, or with all of them."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_METRIC_EXPORT_INTERVAL": "10000"}
    if kind == "metrics":
        environment["OTEL_TRACES_EXPORTER"] = "none"
    logs = kind in ("logs", "all")
    with (folder / "log.jsonl").open("w", encoding="utf-8") as file:
        end = write_to(file, form="json") if logs else lambda: None
        try:
            with from_settings(environment, version="bench", target="none" if kind == "logs" else "otlp", logs=logs) as telemetry:
                yield telemetry
        finally:
            end()


async def crowd(folder: Path, telemetry: Telemetry, seconds: float) -> dict[bool, list[tuple[float, float]]]:
    """Turns without and with it: commits a second, and CPU seconds a commit."""
    agent, switch = chain(STEPS), Switch(telemetry)
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    async with Holdfast(folder / "crowd.db", parallel_runs=AT_ONCE, observers=(switch,)) as app:
        await asyncio.gather(*(app.start(agent, id=f"r{n}") for n in range(int(seconds * RUNS_A_SECOND))))
        # A full collection walks all that was ever imported: 50 to 150 ms, in one turn or in another.
        gc.collect()
        gc.freeze()
        working = asyncio.create_task(app.work(agent, until_idle=True))
        await asyncio.sleep(1)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and not working.done():
            commits, used, begun = switch.commits, cpu(), time.perf_counter()
            await asyncio.sleep(TURN_SECONDS)
            if switch.on:
                telemetry.flush()
            made = switch.commits - commits
            if made:
                found[switch.on].append((made / (time.perf_counter() - begun), (cpu() - used) / made))
            switch.on = not switch.on
        await app.stop()
        await working
    return found


def middle(values: list[float]) -> tuple[float, float]:
    """The mean without the outer tenths, and its standard error."""
    cut = len(values) // 10
    kept = sorted(values)[cut : len(values) - cut]
    return statistics.mean(kept), statistics.stdev(kept) / len(kept) ** 0.5


def measure(kind: str, seconds: float, address: str) -> None:
    """Print the two beside one another."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as place:
        with telemetry_of(kind, address, Path(place)) as telemetry:
            found = asyncio.run(crowd(Path(place), telemetry, seconds))
        numbers = {series.metric.name: dict(series.numbers()) for series in telemetry.series()}
    (off, _), (on, _) = (middle([each[0] for each in found[side]]) for side in (False, True))
    (cpu_off, error_off), (cpu_on, error_on) = (middle([each[1] * 1e6 for each in found[side]]) for side in (False, True))
    print(
        f"{kind:<8} off {off:,.0f} commits/s, {cpu_off:.1f} ± {error_off:.1f} µs CPU a commit   on {on:,.0f}, {cpu_on:.1f} ± {error_on:.1f}"
        f"   throughput by the wall {on / off - 1:+.1%}, by CPU {cpu_off / cpu_on - 1:+.1%}   (target: at most 10 % less)   {len(found[True])} turns"
        f"   spans sent {numbers[names.EXPORTED].get(('spans',), 0):,.0f}, dropped {sum(numbers[names.DROPPED].values()):.0f}"
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
    seconds = next((float(word) for word in arguments if word.isdecimal()), 40.0)
    with receiving() as address:
        for kind in [word for word in arguments if word in KINDS] or ["all"]:
            measure(kind, seconds, address)


if __name__ == "__main__":
    main(sys.argv[1:])
