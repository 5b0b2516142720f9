"""Values and times in the words that people and scripts read. Long values are cut, and say that they were."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from holdfast.core.models import ZERO, Reserved, Usage

VALUE_MAX = 400
FIELD_MAX = 120
NAMES_MAX = 12
# The years 1 to 9999, which is what a date can hold.
_FIRST, _LAST = -62_135_596_800.0, 253_402_300_799.0


def cut(value: Any, length: int = VALUE_MAX) -> str:
    """A value as one line of JSON of bounded length, which says that it was cut; text stands without its quotes."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters in all)"


def shortened(value: Any) -> tuple[Any, int]:
    """A value as it is, and 0; of a long one the beginning of its JSON as text, and how many characters the whole has."""
    text = msgspec.json.encode(value).decode()
    return (value, 0) if len(text) <= VALUE_MAX else (text[:VALUE_MAX], len(text))


def moment(at: float) -> str:
    """A time as people and scripts read it: ISO 8601, UTC, milliseconds; also one that no calendar has."""
    if not _FIRST <= at <= _LAST:
        return "the end of time" if at > 0 else "the beginning of time"
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(seconds: float) -> str:
    """A length of time as people write it: 90 → `1m30s`."""
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    parts, rest = [], round(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts[:2])


def bytes_of(value: Any) -> int:
    """How large a value is, as JSON."""
    return len(msgspec.json.encode(value))


def size(count: int) -> str:
    """A number of bytes as people write it, in powers of ten: 12_345_678 → `12.3 MB`."""
    amount, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}" if unit != "bytes" else f"{count} {'byte' if count == 1 else 'bytes'}"


def listed(names: Iterable[str], most: int = NAMES_MAX) -> str:
    """Names in one line, each cut, and how many more there are: `a, b and 3 more`."""
    every = list(names)
    shown = ", ".join(cut(name, FIELD_MAX) for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something: `1 step`, `1,204 entries`. many: their name, where it is not that of one with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def amount(number: float) -> str:
    """A number as people write it, without what is not needed: 3.0 → `3`."""
    return f"{number:.12g}".replace("-", "\u2212")


def shares(share: float) -> str:
    """A share as people write it: 0.05 → `5%`, 0.0025 → `0.25%`."""
    return f"{share * 100:.4g}%"


# --- money --------------------------------------------------------------------------------------------------------

# From here on an amount is shown to a hundredth of a cent; below it to two digits, so that a little is never nothing.
_FINE = Decimal("0.01")


def usd(money: Decimal) -> str:
    """An amount as people read it, in US dollars: `$2.00`, `$0.0123`, `$0.000057`. What is exact stands in the record."""
    places = 4 if money >= _FINE or money <= ZERO else 1 - money.adjusted()
    shown = money.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    whole, _, cents = f"{shown:f}".partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"


def usage_words(usage: Usage) -> str:
    """What a request used: `1,635 tokens in (1,024 from a cache), 9 out, $0.0012`."""
    cached = f" ({usage.cache_read_tokens:,} from a cache)" if usage.cache_read_tokens else ""
    money = f", {usd(usage.cost_usd)}" if usage.cost_usd else ""
    return f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out{money}"


def reserved_words(reserved: Reserved) -> str:
    """The most that something may use: `up to $0.0312 and 16,421 tokens`."""
    money = f"{usd(reserved.cost_usd)}" if reserved.cost_usd else ""
    tokens = f"{reserved.tokens:,} tokens" if reserved.tokens else ""
    return f"up to {' and '.join(filter(None, (money, tokens))) or 'nothing'}"
