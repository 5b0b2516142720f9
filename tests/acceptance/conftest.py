"""A fresh stage for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A store and a world of its own; whatever still runs at the end is ended."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()
