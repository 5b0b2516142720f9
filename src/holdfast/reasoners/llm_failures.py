"""What each failure of a provider becomes: one table, a row for each class that the provider library raises.

The rows name classes rather than import them, so that the table can be read, and shown in the documentation, without the
library. The first row that fits counts; a test holds the names against the library that is installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from holdfast.core.events import FailureKind
from holdfast.reasoners.model import ModelFailure

MESSAGE_CHARACTERS_MAX = 500
# The longest wait that a provider may ask for. What is longer is a quota rather than a rate, or nonsense.
RETRY_AFTER_SECONDS_MAX = 7 * 86_400.0
HIDDEN = "[hidden]"

_FILTERED = {"content_filter", "content_policy_violation", "invalid_prompt"}
_TIMED_OUT = (408, 409, 425)
# Shorter ones are placeholders, and would be found in words that mean nothing by it.
_SECRET_CHARACTERS_MIN = 6
# Keys as providers give them out, and whatever stands behind `Bearer`: providers like to quote what they refuse.
_KEYS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key)[-_][\w*.-]{6,}|\bAIza[\w-]{10,}|(?<=Bearer )\S+", re.IGNORECASE)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """raised: the class, by name; empty where none is. when: in words. fits: what else must hold. context: the request was too long. charged: the
    provider may have answered, and counted that."""

    raised: str
    when: str
    kind: FailureKind
    context: bool = False
    charged: bool = False
    fits: Callable[[BaseException], bool] | None = None


def _status(*codes: int) -> Callable[[BaseException], bool]:
    return lambda error: getattr(error, "status_code", None) in codes


def _filtered(error: BaseException) -> bool:
    # Anthropic has no code of its own for it.
    return getattr(error, "provider_error_code", None) in _FILTERED or "content filtering policy" in str(error)


def _rejected(error: BaseException) -> bool:
    return 400 <= getattr(error, "status_code", 0) < 500


def _named(error: BaseException) -> bool:
    """Whether the provider said that something is wrong, as opposed to something that could not be read."""
    said = (getattr(error, name, None) for name in ("provider_error_code", "provider_error_type", "body"))
    return bool(getattr(error, "in_stream", False)) or any(part is not None for part in said)


def _unknown_model(error: BaseException) -> bool:
    return str(error).startswith("Unknown model")


def _no_key(error: BaseException) -> bool:
    return "environment variable" in str(error)


# What is seen in an answer that the library takes for one; nothing is raised.
BROKEN_OFF = Row(raised="", kind="invalid_output", charged=True, when="a streamed answer ends without saying that it ends")
SILENT = Row(raised="", kind="invalid_output", when="the answer says nothing, and not why it ends")

TABLE: tuple[Row, ...] = (
    Row(raised="ModelRateLimitError", kind="rate_limited", when="429, or `rate_limit_error`; with the seconds that the provider named"),
    Row(raised="ModelOverloadedError", kind="unavailable", when="529, `overloaded_error`, or a 503 that says so"),
    Row(raised="ModelUnavailableError", kind="unavailable", when="503"),
    Row(raised="ModelServerError", kind="transient", charged=True, when="502, 504: something in between lost the answer", fits=_status(502, 504)),
    Row(raised="ModelServerError", kind="transient", when="500 and its like"),
    Row(raised="ModelRequestTimeout", kind="transient", charged=True, when="the whole answer is not there in `timeout_seconds`"),
    Row(raised="ModelTimeoutError", kind="transient", charged=True, when="nothing is heard for `timeout_seconds`"),
    Row(raised="ModelConnectionError", kind="transient", charged=True, when="the connection is reset, or cut in the middle; where it was never made, nothing is spent"),
    Row(raised="ModelContextWindowExceededError", kind="invalid_input", context=True, when="the request is longer than the model takes"),
    Row(raised="ModelQuotaExceededError", kind="too_expensive", when="402, `insufficient_quota`, `billing_error`: the account has no money left"),
    Row(raised="ModelAuthenticationError", kind="denied", when="401, 403: the key is wrong, or may not do this"),
    Row(raised="ModelNotFoundError", kind="not_found", when="404: there is no such model"),
    Row(raised="ModelRequestRejectedError", kind="denied", when="400 from a content filter", fits=_filtered),
    Row(raised="ModelRequestRejectedError", kind="invalid_input", when="400, 422: the provider does not take the request as it is"),
    Row(raised="ModelHTTPError", kind="invalid_input", context=True, when="413: the request has too many bytes", fits=_status(413)),
    Row(raised="ModelHTTPError", kind="transient", when="408, 409, 425", fits=_status(*_TIMED_OUT)),
    Row(raised="ModelHTTPError", kind="invalid_input", when="any other 4xx", fits=_rejected),
    Row(raised="ModelHTTPError", kind="transient", when="any other status"),
    Row(raised="ModelAPIError", kind="transient", when="an error that the provider names, and nobody here knows", fits=_named),
    Row(raised="ModelAPIError", kind="invalid_output", charged=True, when="the answer is no JSON, or a part of one"),
    Row(raised="ContentFilterError", kind="denied", when="a content filter stopped the request"),
    Row(raised="UnexpectedModelBehavior", kind="invalid_output", charged=True, when="the answer is JSON of a wrong shape"),
    Row(raised="UserError", kind="not_found", when="no provider of this name is known", fits=_unknown_model),
    Row(raised="UserError", kind="denied", when="the provider's key is not set", fits=_no_key),
    Row(raised="UserError", kind="invalid_input", when="the library cannot make such a request for this model"),
    Row(raised="ImportError", kind="not_found", when="the library, or its part for this provider, is not installed"),
    Row(raised="TransportError", kind="transient", charged=True, when="the connection broke, outside of what the library reports"),
    Row(raised="OSError", kind="transient", charged=True, when="as above; a `TimeoutError` is one of them"),
    Row(raised="Exception", kind="invalid_output", charged=True, when="anything else (`TypeError`, `ValidationError` …): the answer has a shape that nobody expects"),
    BROKEN_OFF,
    SILENT,
)  # fmt: skip


def failure_of(error: Exception, secrets: Iterable[str] = ()) -> ModelFailure:
    """The failure that an exception of the library means. secrets: what never gets into its message."""
    names = {base.__name__ for base in type(error).__mro__}
    row = next(row for row in TABLE if row.raised in names and (row.fits is None or row.fits(error)))
    said = _said(error)
    if row.fits is _no_key and (named := re.search(r"`([A-Z][A-Z0-9_]+)`", said)) is not None:
        said = f"no key for it: set {named[1]}"
    if row.raised == "Exception":
        said = f"the answer cannot be read: {type(error).__name__}: {said}"
    return ModelFailure(
        row.kind,
        told(said, secrets),
        retry_after_seconds=_retry_after(error),
        context=row.context,
        charged=getattr(error, "in_stream", False) or (row.charged and _was_sent(error)),
    )


def told(text: str, secrets: Iterable[str] = ()) -> str:
    """Foreign words as they may be written down: without keys and control characters, and cut."""
    for secret in secrets:
        if len(secret) >= _SECRET_CHARACTERS_MIN:
            text = text.replace(secret, HIDDEN)
    text = " ".join(_KEYS.sub(HIDDEN, text).split()).encode("utf-8", "replace").decode()
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= MESSAGE_CHARACTERS_MAX else text[: MESSAGE_CHARACTERS_MAX - 1] + "…"


def _was_sent(error: Exception) -> bool:
    return getattr(error, "phase", None) not in ("pool", "connect")


def _said(error: Exception) -> str:
    """What the provider said of it, as far as it did: the library's own text is the whole body."""
    status = getattr(error, "status_code", None)
    said = _message(getattr(error, "body", None)) or str(error) or type(error).__name__
    return f"{status}: {said}" if isinstance(status, int) else said


def _message(body: Any) -> str:
    if isinstance(body, dict):
        inner = body.get("error", body)
        message = inner.get("message") if isinstance(inner, dict) else inner
        return message if isinstance(message, str) else ""
    return ""


def _retry_after(error: Exception) -> float | None:
    seconds = getattr(error, "retry_after", None)
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        return None
    return min(float(seconds), RETRY_AFTER_SECONDS_MAX)
