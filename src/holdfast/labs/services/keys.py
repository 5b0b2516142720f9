"""Idempotency keys: do it once, and give everyone who asks again the first answer.

Follows draft-ietf-httpapi-idempotency-key-header-07, section 2.7: a key that comes back with another request is an
error of the caller (422). It differs where a request comes again while the first is under way: the draft answers 409,
here the repeat waits for the first answer, so that a caller sees one behaviour whatever the moment.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from holdfast.labs.services.web import Refusal, Reply, Request


@dataclass
class _Answered:
    content: tuple[str, ...]
    reply: Future[Reply] = field(default_factory=Future)
    at: float = 0.0
    """Monotonic seconds when the reply was known; without meaning before."""


class Keys:
    """The keys that one service remembers. A refused request leaves its key free. Safe to use from any thread."""

    def __init__(self, forget_after_seconds: float | None = None) -> None:
        self._forget_after_seconds = forget_after_seconds
        self._lock = threading.Lock()
        self._answered: dict[str, _Answered] = {}

    def once(self, request: Request, content: tuple[str, ...], act: Callable[[str], Reply]) -> Reply:
        """What `act(key)` returned the first time this key came; `act` runs only then.

        A repeat's reply carries no ledger row, as it caused none. Raises Refusal 400 without a key, 422 when the key
        came first with other content, and whatever `act` raises.
        """
        if not request.key:
            raise Refusal(400, "the header Idempotency-Key is missing")
        with self._lock:
            known = self._answered.get(request.key)
            is_first = known is None or self._is_forgotten(known)
            if known is None or is_first:
                known = self._answered[request.key] = _Answered(content)
        if known.content != content:
            raise Refusal(422, "this Idempotency-Key was used for another request")
        if not is_first:
            return replace(known.reply.result(), effect=None)
        try:
            reply = act(request.key)
        except BaseException as error:
            with self._lock:
                del self._answered[request.key]
            known.reply.set_exception(error)
            raise
        known.at = time.monotonic()
        known.reply.set_result(reply)
        return reply

    def _is_forgotten(self, known: _Answered) -> bool:
        if self._forget_after_seconds is None or not known.reply.done():
            return False
        return time.monotonic() - known.at >= self._forget_after_seconds
