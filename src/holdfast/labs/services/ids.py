"""Names for the things the services make: order numbers, profile names, transfer ids."""

import hashlib
import threading
from collections import Counter


class Ids:
    """Ids that depend on the seed, the subject and how many the subject already has, and on nothing else.

    Not on the order in which subjects are served: two hires on-boarded at the same time get the same ids in every run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._given: Counter[tuple[str, str]] = Counter()

    def next(self, kind: str, subject: str) -> str:
        """For example `order-1f09c2ab`."""
        with self._lock:
            self._given[kind, subject] += 1
            nth = self._given[kind, subject]
        digest = hashlib.sha256(f"{self._seed}\n{kind}\n{subject}\n{nth}".encode()).hexdigest()
        return f"{kind}-{digest[:8]}"
