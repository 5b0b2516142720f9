"""`python -m holdfast.testing.crash_walk`: see the package's text."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext

from holdfast.testing.crash_walk.real import LEASE_SECONDS, crash_walk
from holdfast.testing.crash_walk.walks import SIDES, Site, table
from holdfast.testing.crash_walk.worker import live, serve


def main(arguments: list[str] | None = None) -> int:
    """See the module's text. `child` is one life of a worker; `nursery` is what a walk forks its workers from."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.testing.crash_walk", description="Kill an agent at every boundary.")
    parser.add_argument("verb", choices=("walk", "child", "nursery"))
    parser.add_argument("factory", help="module:function, which makes the story from the config")
    parser.add_argument("--config", default="null", help="JSON, handed to the factory")
    parser.add_argument("--db", default="walk.db", help="the child's store")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS)
    parser.add_argument("--boundary", type=int, help="the write at which the child is killed")
    parser.add_argument("--side", choices=SIDES, default="before")
    given = parser.parse_args(arguments)
    if given.verb == "nursery":
        return serve(given.factory)
    try:
        config = json.loads(given.config)
    except json.JSONDecodeError as error:
        print(f"--config is not JSON: {error}", file=sys.stderr)
        return 2
    if given.verb == "child":
        return live(given.factory, config, given.db, given.lease, given.boundary, given.side)
    results = crash_walk(given.factory, lambda: nullcontext(Site(config=config)), lease_seconds=given.lease)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
