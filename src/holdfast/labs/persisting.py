"""A run is seen through: started again and again until it has ended, killed in the middle of effects, answered where it asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.labs.services import Services
from holdfast.labs.workshop import Worker, Workshop

HOLD_SECONDS = 12.0
"""Less than tools and scripts wait for an answer, and far more than it takes to kill a process."""

STARTS_MAX = 16
WAITS = 3
"""The exit code of a run that waits for a person."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Where a worker is killed: in the middle of the next effect of a service on a subject. words: what is seen of it then."""

    service: str
    subject: str
    words: str


def see_through(
    shop: Workshop,
    services: Services,
    command: Sequence[str],
    *,
    kills: Sequence[Kill],
    answer: Callable[[], None],
    ahead: str = "",
) -> int:
    """Start a run until it does not wait for a person any more; how many of its workers were killed. answer: answers what it
    asks. ahead: how far its clock is ahead."""
    left, deaths = list(kills), 0
    for _ in range(STARTS_MAX):
        if left:
            services.hold(left[0].service, left[0].subject, seconds=HOLD_SECONDS)
        worker = shop.start(*command, ahead=ahead)
        if left and _is_held(services, worker):
            shop.note(left.pop(0).words)
            deaths += shop.kill(worker)
            shop.note("now the very same command once more")
            continue
        if shop.follow(worker) != WAITS:
            break
        answer()
    return deaths


def _is_held(services: Services, worker: Worker) -> bool:
    """Whether an effect is held; False where the worker comes to rest first."""
    while not worker.has_ended():
        try:
            services.wait_held(0.2)
            return True
        except TimeoutError:
            pass
    return False
