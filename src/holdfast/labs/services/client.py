"""The driver's side of the services: start them, read their ledger, hold an effect, stop them.

Standard library only, and synchronous: drivers do one thing after the other.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlsplit

from holdfast.labs.services.ledger import LedgerRow, RequestRow
from holdfast.labs.services.notices import HELD, SERVICES

START_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 5.0
POLL_SECONDS = 0.005
# A delivery is a process of its own, on a machine that may be busy.
CALL_SECONDS_MAX = 60.0

T = TypeVar("T")


def start_services(
    lab: Literal[
        "approvals", "drift", "flight", "forty_seven", "morning_after", "news", "onboarding", "payment", "runaway", "second_run",
        "weekend",
    ],
    directory: Path,
    faults: Mapping[str, object] | None = None,
    *,
    seed: int = 7,
    lifetime_seconds: float = 600.0,
) -> "Services":  # fmt: skip
    """Start the services of `lab` in a process of their own and wait until they listen.

    `directory` is made when missing and takes services.json, ledger.jsonl, held.json, faults.json and services.log;
    `faults` has the fields of `faults.Faults`. The process ends with ours, whatever becomes of us. Raises RuntimeError
    with the end of its log when it ends early, as for an unknown fault, or takes longer than 10 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    notice = directory / SERVICES
    notice.unlink(missing_ok=True)
    faults_file = directory / "faults.json"
    faults_file.write_text(json.dumps(dict(faults or {}), default=list), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "holdfast.labs.services", lab, "--dir", str(directory)]
    command += ["--seed", str(seed), "--faults", str(faults_file), "--lifetime", str(lifetime_seconds)]
    with (directory / "services.log").open("wb") as log:
        # A session of its own, so that a Ctrl-C meant for the driver leaves it a ledger to read on its way out.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
    services = _wait_for(lambda: _read_notice(notice) or process.poll() is not None, START_SECONDS_MAX)
    if not isinstance(services, dict):
        process.kill()
        process.wait()
        said = (directory / "services.log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"the services of {lab} did not start: {said[-2000:].strip() or 'no word of why'}")
    return Services(process, directory, str(services["http"]), str(services["smtp_host"]), int(services["smtp_port"]))


class Services:
    """Running services. As a context manager it stops them at the end."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, http: str, smtp_host: str, smtp_port: int) -> None:
        self.process = process
        self.directory = directory
        self.http = http
        """The base URL, without a slash at the end."""
        self.smtp_host = smtp_host
        """Empty in a lab without mail."""
        self.smtp_port = smtp_port
        """0 in a lab without mail."""

    def ledger(self) -> list[LedgerRow]:
        """What really happened, oldest first. Once stopped, read `directory / "ledger.jsonl"` instead."""
        rows: list[LedgerRow] = self._call("GET", "/ledger")
        return rows

    def requests(self) -> list[RequestRow]:
        """All that came in, oldest first, the refused and the repeated too."""
        rows: list[RequestRow] = self._call("GET", "/requests")
        return rows

    def hold(self, service: str, subject: str, seconds: float = 5.0) -> None:
        """Keep back the answer of the next effect of `service` on `subject`. Forgets an earlier hold's notice.

        Raises RuntimeError when the lab has no such service.
        """
        self._call("POST", "/hold", {"service": service, "subject": subject, "seconds": seconds})

    def release(self) -> int:
        """Let all held answers go; returns how many there were."""
        return int(self._call("POST", "/release")["released"])

    def wait_held(self, timeout_seconds: float = 10.0) -> dict[str, str]:
        """Wait until an effect is done and its answer held: {service, subject, at}. Each hold is reported once.

        Raises TimeoutError when none begins in time.
        """
        # Taken away in one step, so that a second hold's notice cannot be the one removed.
        notice, taken = self.directory / HELD, self.directory / ".held.json.taken"

        def take() -> bool:
            try:
                os.replace(notice, taken)
            except FileNotFoundError:
                return False
            return True

        if not _wait_for(take, timeout_seconds):
            raise TimeoutError(f"no effect was held within {timeout_seconds} s")
        held: dict[str, str] = json.loads(taken.read_text(encoding="utf-8"))
        return held

    def deliver(self, user: str) -> tuple[int, str]:
        """Have the background check of a user brought back now: how the command ended, and what it said first.

        Raises RuntimeError where no check was asked for.
        """
        told = self._call("POST", f"/checks/{quote(user)}/deliver")
        return int(told["code"]), str(told["said"])

    def change_price(self, guest: str, town: str, usd: str) -> None:
        """From now on a room in this town costs this guest so much."""
        self._call("POST", "/prices", {"guest": guest, "town": town, "usd": usd})

    def sell_out(self, traveller: str, flight: str) -> None:
        """From now on there is no seat on this flight for this traveller."""
        self._call("POST", "/flights/sold", {"traveller": traveller, "flight": flight})

    def stop(self) -> None:
        """End the process and wait for it. Does nothing the second time."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # JSON of several shapes comes back, which only the callers above know.
    def _call(self, method: str, path: str, body: object = None) -> Any:
        # Not urllib.request: where a proxy is set it would ask that for a loopback address.
        connection = HTTPConnection(urlsplit(self.http).netloc, timeout=CALL_SECONDS_MAX)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {answer['error']}")
        return answer


def _environment() -> dict[str, str]:
    """Ours, and the package this file belongs to can be found even when only our sys.path knew of it."""
    root = str(Path(__file__).resolve().parents[3])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root}


def _read_notice(path: Path) -> dict[str, Any] | None:
    try:
        notice: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return notice


def _wait_for(look: Callable[[], T], timeout_seconds: float) -> T:
    """What `look` returns as soon as that is true, or what it returned last when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return seen
