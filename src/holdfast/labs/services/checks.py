"""Background checks: taken at once, done later. The result is brought back by the token that came with the request.

The other side of a deferred call. It brings its results by the `holdfast callback` command, in a process of its own each
time, as it knows nothing else of us. Like every such service it may call back before its own answer is out, when nobody
listens any more, twice, or never.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.labs.services.faults import Faults
from holdfast.labs.services.ids import Ids
from holdfast.labs.services.keys import Keys
from holdfast.labs.services.ledger import Ledger
from holdfast.labs.services.web import Refusal, Reply, Request, Route, text

BY = "background check"
DELIVERY_SECONDS_MAX = 30.0
# The exit code of a command whose store could not be used just then; see docs/operations.md.
STORE_TROUBLE = 5
TRIES_MAX = 5
DUE_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class _Check:
    id: str
    user: str
    token: str
    store: str


class Checks:
    def __init__(self, ledger: Ledger, ids: Ids, faults: Faults) -> None:
        self._ledger = ledger
        self._ids = ids
        self._faults = faults
        self._keys = Keys()
        self._lock = threading.Lock()
        self._taken: dict[str, _Check] = {}

    def routes(self) -> Sequence[Route]:
        return [
            Route("POST", "/checks", self._take),
            Route("POST", "/checks/{user}/deliver", self._deliver_now, is_control=True),
        ]

    def _take(self, request: Request) -> Reply:
        """{user, name, token, store} → 202 {id, due_seconds}; the result {cleared, report} is brought to `token` in `store`."""
        body = request.json()
        user, token, store = text(body, "user"), text(body, "token"), text(body, "store")
        text(body, "name")

        def act(key: str) -> Reply:
            check = _Check(id=self._ids.next("check", user), user=user, token=token, store=store)
            row = self._ledger.append("background", "taken", user, key, id=check.id)
            with self._lock:
                self._taken[user] = check
            self._begin(check)
            is_silent = user in self._faults.never_checked
            due = self._faults.silent_due_seconds if is_silent else DUE_SECONDS
            return Reply(status=202, body={"id": check.id, "due_seconds": due}, effect=row)

        # The token is part of the request: one that came again with another token would be another request.
        return self._keys.once(request, (user, token, store), act)

    def _begin(self, check: _Check) -> None:
        faults = self._faults
        if check.user in faults.checked_early:
            self._deliver(check)
        elif check.user not in faults.never_checked | faults.checked_late:
            times = 2 if check.user in faults.checked_twice else 1
            threading.Thread(target=self._work, args=(check, times), name=f"check {check.user}", daemon=True).start()

    def _work(self, check: _Check, times: int) -> None:
        time.sleep(self._faults.check_seconds)
        for _ in range(times):
            self._deliver(check)

    def _deliver_now(self, request: Request) -> Reply:
        """The driver says that a check is done now. → {code, said}; 404 where none was asked for."""
        with self._lock:
            check = self._taken.get(request.params["user"])
        if check is None:
            raise Refusal(404, "no check was asked for")
        code, said = self._deliver(check)
        return Reply(body={"code": code, "said": said})

    def _deliver(self, check: _Check) -> tuple[int, str]:
        """Bring the result: the exit code of the command, and the first line of what it answered. A store that cannot be used
        is tried again."""
        result = json.dumps({"cleared": True, "report": self._ids.next("report", check.user)})
        words = ["callback", check.token, result, "--by", BY, "--db", check.store]
        done = _holdfast(words)
        for _ in range(TRIES_MAX):
            if done.returncode != STORE_TROUBLE:
                break
            done = _holdfast(words)
        answer = (done.stderr if done.returncode else done.stdout).strip() or f"exit code {done.returncode}"
        said = answer.splitlines()[0].replace(check.token, "TOKEN")
        action = "delivered" if done.returncode == 0 else "refused"
        self._ledger.append("callbacks", action, check.user, None, check=check.id, code=str(done.returncode), said=said)
        return done.returncode, said


def _holdfast(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # Without -P a file in the directory that we were started in could stand for a module.
    return subprocess.run(
        [sys.executable, "-P", "-m", "holdfast", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DELIVERY_SECONDS_MAX, check=False,
    )  # fmt: skip
