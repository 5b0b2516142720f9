"""Tools and plans for the tests of the command line, and what a command left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import holdfast

SOURCE = str(Path(holdfast.__file__).parents[1])

TOOLS = '''
import os, time
from pathlib import Path
from holdfast import Call, Conflict, Happened, NOT_HAPPENED, Transient, tool

WORLD = Path(__file__).parent / "world.txt"

def happened(line):
    with WORLD.open("a") as file:
        file.write(line + "\\n")

@tool(safety="read")
def look(name: str) -> dict[str, str]:
    """Look somebody up."""
    return {"name": name}

@tool(safety="keyed", key_ttl="24h", timeout="20s")
async def grant(name: str, level: int = 1, call: Call = None) -> str:
    """Grant access."""
    happened(f"grant {name} {level} {call.key}")
    return f"granted {name}"

@tool(safety="irreversible")
def pay(to: str, amount: float = 1.0) -> str:
    """Pay once."""
    happened(f"pay {to} {amount}")
    return "paid"

@tool(safety="idempotent", retry=1)
def refuse(why: str = "sold out") -> str:
    """Never works."""
    raise Conflict(why)

@tool(safety="idempotent", retry={"attempts": 3, "backoff": "30s", "jitter": 0})
def later() -> str:
    """Not now."""
    raise Transient("503")

@tool(safety="read")
def hostile() -> str:
    """Says what it must not."""
    return "\\x1b]0;owned\\x07\\x1b[31mred\\x1b[0m [bold]b[/bold] \\u202eabc\\u202c \\x9b1mdone\\r!"

@tool(safety="read")
def long() -> str:
    """Says much."""
    return "x" * 5000

@tool(safety="keyed", key_ttl="24h")
def slow(name: str) -> str:
    """Takes its time, and says when it began."""
    happened(f"began {name}")
    while not (WORLD.parent / "go").exists():
        time.sleep(0.01)
    happened(f"slow {name}")
    return name
'''

PLANS: dict[str, str] = {
    "quick.yaml": "goal: quick\ntools: tools.py\nsteps: {a: {tool: look, args: {name: ann}}}\n",
    "grant.yaml": """
goal: grant access
tools: tools.py
inputs: {name: {type: string}}
steps:
  who: {tool: look, args: {name: {$ref: inputs.name}}}
  access: {tool: grant, args: {name: {$ref: steps.who.name}}}
""",
    "pay.yaml": "goal: pay\ntools: tools.py\nsteps: {money: {tool: pay, args: {to: ann, amount: 2.5}}}\n",
    "hire.yaml": """
goal: onboard
tools: tools.py
inputs: {hire: {type: object, required: [user], properties: {user: {type: string, pattern: '^[a-z]+$'}}}}
steps:
  access: {tool: grant, args: {name: {$ref: inputs.hire.user}}}
""",
    "fails.yaml": "goal: fail\ntools: tools.py\nsteps: {bad: {tool: refuse}}\n",
    "later.yaml": "goal: later\ntools: tools.py\nsteps: {soon: {tool: later}}\n",
    "asks.yaml": "goal: ask\ntools: tools.py\nsteps: {bad: {tool: refuse, on_failure: ask}, pay: {tool: pay, args: {to: bob}}}\n",
    "slow.yaml": """
goal: slow
tools: tools.py
steps:
  a: {tool: slow, args: {name: one}}
  b: {tool: look, args: {name: x}, after: [a]}
""",
    "hostile.yaml": "goal: hostile\ntools: tools.py\nsteps: {bad: {tool: hostile}, long: {tool: long}}\n",
}

# Tools whose calls end in more ways than done and failed, for the plans of `MESSY`.
MESSY_TOOLS = '''
from pathlib import Path
from holdfast import Call, Conflict, Deferred, Partial, Unavailable, tool

HERE = Path(__file__).parent

@tool(safety="keyed", key_ttl="24h", callback=True)
def check_person(name: str, call: Call) -> dict[str, str]:
    """Ask for a check; its result comes by a callback."""
    (HERE / f"token-{name}").write_text(call.token)
    return Deferred(handle="case \\x1b[31m7", by="checks \\x1b]0;owned\\x07agency", until="1h")

@tool(safety="idempotent")
def reserve(call: Call) -> dict[str, str]:
    """Reserve a table; the restaurant confirms by hand."""
    return Deferred(by="the restaurant", signal="confirmed", until="30m")

@tool(safety="keyed", key_ttl="24h")
def fly(to: str) -> dict[str, str]:
    """Book a flight; the seat comes later."""
    return Partial({"flight": "SK1"}, left=("seat", "meal"), by="airline", until="2h")

@tool(safety="read", result_max=1000)
def report() -> str:
    """Says too much; the store has it whole."""
    return "r" * 20000

@tool(safety="read", result_max=1000, oversize="cut")
def gossip() -> str:
    """Says too much, and nobody wants to keep it."""
    return "g" * 20000

@tool(safety="idempotent", retry=1, breaker={"failures": 1, "within": "1m", "open": "1h"})
def flaky() -> str:
    """Is down."""
    raise Unavailable("503")

@tool(safety="read", rate="100/1h")
def counted(call: Call) -> str:
    """Uses something up."""
    call.changed("credit", 3, note="of this month")
    return "ok"

@tool(safety="idempotent", undo={"tool": "release", "args": {"what": {"$ref": "args.what"}}})
def hold(what: str) -> str:
    """Hold something."""
    return f"held {what}"

@tool(safety="idempotent")
def release(what: str) -> str:
    """Let go of it."""
    return f"released {what}"

@tool(safety="idempotent", retry=1)
def refuse() -> str:
    """Never works."""
    raise Conflict("sold out")
'''

MESSY: dict[str, str] = {
    "check.yaml": "goal: check\ntools: messy.py\nsteps: {check: {tool: check_person, args: {name: ann}}}\n",
    "table.yaml": "goal: dine\ntools: messy.py\nsteps: {table: {tool: reserve}}\n",
    "trip.yaml": "goal: fly\ntools: messy.py\nsteps: {flight: {tool: fly, args: {to: Oslo}}}\n",
    "big.yaml": "goal: report\ntools: messy.py\nsteps: {big: {tool: report}, lost: {tool: gossip}, small: {tool: counted}}\n",
    "down.yaml": "goal: call\ntools: messy.py\nsteps: {a: {tool: flaky, on_failure: skip}, b: {tool: counted}}\n",
    "after.yaml": "goal: call\ntools: messy.py\nsteps: {a: {tool: flaky}}\n",
    "part.yaml": "goal: part\ntools: messy.py\nsteps: {a: {tool: counted}, b: {tool: refuse, on_failure: flag}}\n",
    "other.yaml": "goal: other\ntools: messy.py\nsteps: {a: {tool: refuse, fallback: counted}}\n",
    "held.yaml": """
goal: hold
tools: messy.py
steps:
  room: {tool: hold, args: {what: room}}
  seat: {tool: counted}
  table: {tool: reserve, after: [room, seat]}
""",
}


# The stores of `stored`, by name.
_stores: dict[str, bytes] = {}


def stored(name: str, folder: Path, make: Callable[[], None]) -> None:
    """The store that several tests begin with: made by the first of them, copied for the others. Commands made it, all of which
    have ended, so it is one file."""
    store = folder / "holdfast.db"
    if name in _stores:
        store.write_bytes(_stores[name])
        return
    make()
    assert list(folder.glob("holdfast.db*")) == [store]
    _stores[name] = store.read_bytes()


class Ended:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str):
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def records(self) -> list[Any]:
        """The lines of `--json`."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


class Process:
    """A command as a process of its own. What it prints goes into files, which may be read meanwhile."""

    def __init__(self, words: tuple[str, ...], folder: Path, name: str):
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "holdfast.cli.main", *words], cwd=folder, env=environment, stdout=out, stderr=err
            )

    @property
    def said(self) -> str:
        """What it has said on stderr so far."""
        return self._err.read_text()

    @property
    def printed(self) -> str:
        """What it has printed on stdout so far."""
        return self._out.read_text()

    def until(self, there: Callable[[], bool]) -> Process:
        """Wait until something is so; the process must live that long."""
        limit = time.monotonic() + 30
        while not there():
            assert self.popen.poll() is None, f"ended too early: {self.end()}"
            assert time.monotonic() < limit, "it never came to that"
            time.sleep(0.01)
        return self

    def send(self, name: str) -> Process:
        """Send it a signal."""
        self.popen.send_signal(getattr(signal, name))
        return self

    def end(self) -> Ended:
        """Wait for its end."""
        code = self.popen.wait(timeout=30)
        return Ended(code, self._out.read_text(), self._err.read_text())
