"""Callback tokens: how the other side proves that it may deliver the result of a call.

A token is made from the store's secret and the call's key, so every attempt of a call hands out the same one, whichever
worker makes it, and nothing about it is guessable from the outside. Stores and journals keep its digest only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

PREFIX = "hfcb_"


def token_for(secret: bytes, run_id: str, key: str) -> str:
    """The token of a call: 200 bits behind a prefix by which a leaked one can be told. secret: the store's."""
    mac = hmac.new(secret, f"callback\x1f{run_id}\x1f{key}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return PREFIX + base64.b32encode(mac[:25]).decode().lower()


def token_digest(token: str) -> str:
    """What is stored in place of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
