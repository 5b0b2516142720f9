"""What only the store that a redacted copy comes from can check.

The link of a commit is a digest over what was left out, too. Whoever has it can try one value after the other, and of a short
one that succeeds. So a copy carries the link only under the secret of its store.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def seal(secret: bytes, link: bytes) -> str:
    """A link as the store with this secret knows it again, as hex."""
    return hmac.new(secret, b"holdfast archive" + link, hashlib.sha256).hexdigest()


def digest_of(seals: Iterable[str]) -> str:
    """A digest over the seals of all commits, as hex."""
    return hashlib.sha256("".join(seals).encode()).hexdigest()
