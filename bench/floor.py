"""The floor: the same SQLite file with one durable commit per 1 KB step, and nothing on top.

Alone: one connection, one insert and one commit at a time. In a crowd: as many coroutines as asked for, whose inserts
are committed together by one thread, as a runtime on asyncio would have it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from queue import SimpleQueue

import apsw

ROW = b"x" * 1024


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma wal_autocheckpoint = 4000")
    connection.execute("create table steps (id integer primary key, run integer, body blob)")
    return connection


def alone(path: Path, steps: int) -> list[float]:
    """Seconds of each commit."""
    connection = _open(path)
    times = []
    for _ in range(steps):
        begun = time.perf_counter()
        connection.execute("begin immediate")
        connection.execute("insert into steps (run, body) values (1, ?)", (ROW,))
        connection.execute("commit")
        times.append(time.perf_counter() - begun)
    connection.close()
    return times


async def crowd(path: Path, writers: int, steps_each: int) -> float:
    """Steps per second of so many coroutines that each wait for the disk at every step; one thread commits what gathered."""
    loop = asyncio.get_running_loop()
    requests: SimpleQueue[tuple[int, asyncio.Future[None]] | None] = SimpleQueue()

    def commit_all() -> None:
        connection = _open(path)
        while (request := requests.get()) is not None:
            group = [request]
            while not requests.empty():
                group.append(requests.get())  # type: ignore[arg-type]
            connection.execute("begin immediate")
            for writer, _ in group:
                connection.execute("insert into steps (run, body) values (?, ?)", (writer, ROW))
            connection.execute("commit")
            loop.call_soon_threadsafe(lambda group=group: [done.set_result(None) for _, done in group])
        connection.close()

    async def write(writer: int) -> None:
        for _ in range(steps_each):
            done = loop.create_future()
            requests.put((writer, done))
            await done

    thread = threading.Thread(target=commit_all)
    thread.start()
    begun = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    seconds = time.perf_counter() - begun
    requests.put(None)
    await loop.run_in_executor(None, thread.join)
    return writers * steps_each / seconds
