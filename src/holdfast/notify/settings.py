"""Channels from the environment, for the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import cast, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from holdfast.errors import UsageError
from holdfast.notify.apprise import Apprise
from holdfast.notify.base import Channel
from holdfast.notify.mail import Mail, Security
from holdfast.notify.webhook import Webhook

WEBHOOK_URL, WEBHOOK_SECRET = "HOLDFAST_WEBHOOK_URL", "HOLDFAST_WEBHOOK_SECRET"
SMTP_URL, NOTIFY_URLS = "HOLDFAST_SMTP_URL", "HOLDFAST_NOTIFY_URLS"
SMTP_FORM = "smtp://USER:PASSWORD@HOST:PORT?security=starttls&from=ADDRESS&to=ADDRESS"
_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}


def channels_from(environment: Mapping[str, str]) -> list[Channel]:
    """The channels that the environment names; none where it names none. No error repeats a value: they are secrets.

    HOLDFAST_WEBHOOK_URL with HOLDFAST_WEBHOOK_SECRET (several, parted by spaces, while they are rotated); HOLDFAST_SMTP_URL, as
    SMTP_FORM shows, where a user or password has its special characters as %XX; HOLDFAST_NOTIFY_URLS, URLs of Apprise parted by
    spaces, of which each is a channel. UsageError where one of them cannot be.
    """
    found: list[Channel] = []
    if url := environment.get(WEBHOOK_URL, "").strip():
        found.append(_webhook(url, environment.get(WEBHOOK_SECRET, "").split()))
    if url := environment.get(SMTP_URL, "").strip():
        found.append(_mail(url))
    found += [_apprise(url) for url in dict.fromkeys(environment.get(NOTIFY_URLS, "").split())]
    return found


def _webhook(url: str, secrets: list[str]) -> Webhook:
    if not secrets:
        raise UsageError(f"{WEBHOOK_URL} is set, and {WEBHOOK_SECRET} is not", hint="what is sent is signed with it; set it")
    return Webhook(url, secrets)


def _mail(url: str) -> Mail:
    try:
        parts = urlsplit(url)
        port, query = parts.port, parts.query.replace("+", "%2B")  # A plus is part of an address, not a space.
        options = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise UsageError(f"{SMTP_URL} cannot be read", hint=f"write {SMTP_FORM}") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/"):
        raise UsageError(f"{SMTP_URL} is no URL of a mail server", hint=f"write {SMTP_FORM}")
    if unknown := sorted(options.keys() - {"security", "from", "to"}):
        raise UsageError(f"{SMTP_URL} has an option that is not known: {unknown[0]}", hint=f"write {SMTP_FORM}")
    if len(options.get("from", ())) != 1:
        raise UsageError(f"{SMTP_URL} does not say from whom mail comes", hint=f"write {SMTP_FORM}")
    security = _security(options.get("security", ["tls" if parts.scheme == "smtps" else "starttls"])[-1])
    return Mail(
        parts.hostname,
        port or _PORTS[security],
        sender=options["from"][0],
        to=[mail.strip() for several in options.get("to", ()) for mail in several.split(",") if mail.strip()],
        user=unquote(parts.username) if parts.username is not None else None,
        password=unquote(parts.password) if parts.password is not None else None,
        security=security,
    )


def _security(word: str) -> Security:
    if word not in get_args(Security):
        raise UsageError(f"{SMTP_URL} has security={word!r}", hint=f"it is one of {', '.join(get_args(Security))}")
    return cast(Security, word)


def _apprise(url: str) -> Apprise:
    # Named after the URL and not after its place, so that what was sent stays sent when another one is added before it.
    return Apprise(url, name=f"apprise-{hashlib.sha256(url.encode()).hexdigest()[:8]}")
