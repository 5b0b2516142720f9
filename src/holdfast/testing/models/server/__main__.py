"""`python -m holdfast.testing.models.server --script module:NAME`: serve one script until told to stop.

Ends with 0 on SIGTERM or SIGINT, when the parent process is gone, and after `--lifetime` seconds; with 2 when used wrongly.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from holdfast.testing.models.script import Script, ScriptedModel
from holdfast.testing.models.server import ModelServer

WATCH_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    # First of all, because a parent that dies before this line is one whose death goes unseen.
    parent_pid = os.getppid()
    parser = argparse.ArgumentParser(prog="python -m holdfast.testing.models.server", description="Serve a scripted model.")
    parser.add_argument("--script", required=True, help="module:NAME of a list of turns, a function, or a ScriptedModel")
    parser.add_argument("--port", type=int, default=0, help="of the loopback (default 0: any that is free)")
    parser.add_argument("--lifetime", type=float, default=600.0, help="seconds until it ends by itself (default 600)")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        script = load_script(given.script)
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"--script {given.script}: {error}")
    server = ModelServer(script, port=given.port).start()
    told = {"url": server.url, "environment": server.environment, "pid": os.getpid(), "script": server.model.name}
    print(json.dumps(told), flush=True)
    deadline = time.monotonic() + given.lifetime
    while os.getppid() == parent_pid and time.monotonic() < deadline and not stop.wait(WATCH_SECONDS):
        pass
    server.close()
    return 0


def load_script(name: str) -> Script | ScriptedModel:
    """What `module:NAME` names."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError("name it as module:NAME")
    found: Script | ScriptedModel = getattr(importlib.import_module(module), attribute)
    return found


if __name__ == "__main__":
    sys.exit(main())
