"""How much of what is long is tested: `make test` plays a part of the seeds, breaks every twelfth rule and kills at every sixth
boundary, always the same ones; `make exhaustive` does all of it."""

from __future__ import annotations

import os

ALL = os.environ.get("HOLDFAST_TESTS") == "all"
