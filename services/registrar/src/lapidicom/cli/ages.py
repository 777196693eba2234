"""Ages as people read them: two units at most. Pure code."""

from datetime import datetime


def age(when: datetime | None, now: datetime) -> str:
    """How long ago, such as `3d 4h`; empty if nobody knows when."""
    if when is None:
        return ""
    seconds = max(0, int((now - when).total_seconds()))
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h"
