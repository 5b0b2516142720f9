"""Files by which the services tell a driver that something has happened.

A reader polls for the file, so it must never see half of one: it appears whole or not at all.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

SERVICES = "services.json"
"""Written once all ports are bound: {pid, lab, http, smtp_host, smtp_port}."""

HELD = "held.json"
"""Written each time a hold begins: {service, subject, at}."""


def post_notice(path: Path, notice: Mapping[str, object]) -> None:
    """Write `notice` as JSON, replacing an older one in a single step."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(notice) + "\n", encoding="utf-8")
    os.replace(draft, path)


def timestamp() -> str:
    """The time now, ISO 8601 in UTC with microseconds: every `at` that the services write has this form."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
