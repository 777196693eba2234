"""Times, ages, rates and sizes as operators type and read them. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"([0-9]+)([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SLOWEST: Final = 0.1


def parse_time(text: str | datetime) -> datetime:
    """Read a time: so long ago (30m, 2h, 3d), or an ISO date or time, UTC unless it says otherwise.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(text, datetime):  # typer parses defaults, too
        return text
    if ago := _AGO.fullmatch(text):
        try:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        example = "30m, 2h or 3d ago, or an ISO date such as 2026-11-24 or 2026-11-24T03:00+01:00"
        raise ValueError(f"{text!r} is no time: give {example}") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def parse_rate(text: str | float) -> float:
    """Read a rate, `50` or `50/s`.

    Raises:
        ValueError: it is none, or slower than one in ten seconds.
    """
    try:
        rate = float(text.removesuffix("/s")) if isinstance(text, str) else text
    except ValueError:
        rate = 0.0
    if not _SLOWEST <= rate < float("inf"):
        raise ValueError(f"{text!r} is no rate: give, say, 50 or 50/s; at least {_SLOWEST}")
    return rate


def span(length: timedelta) -> str:
    """A span of time in two units at most, such as `3d 4h`."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes}m"
    if hours < 24:
        return f"{hours}h {minutes % 60}m"
    return f"{hours // 24}d {hours % 24}h"


def age(when: datetime) -> str:
    """How long ago."""
    return span(datetime.now(UTC) - when)


def moment(when: datetime | None) -> str:
    """A time as people read it, UTC."""
    return "unknown" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def size(number: float) -> str:
    """Bytes with a binary prefix, such as `1.5 GiB`."""
    for prefix in ("", "Ki", "Mi", "Gi"):
        if number < 1024:
            return f"{number:.1f} {prefix}B" if prefix else f"{number} B"
        number /= 1024
    return f"{number:.1f} TiB"
