"""Headers of a message: ours go along when it is published again, the broker's do not.

A copy that carries `x-death` may be dropped by RabbitMQ 3.10 as a cycle, without a trace.
"""

from collections.abc import Mapping
from datetime import datetime

Header = str | int | float | bool | bytes | datetime | None


def own_headers(headers: Mapping[str, object]) -> dict[str, Header]:
    """The headers that may be published again: none that begins with `x-`, and plain values only."""
    return {
        name: value
        for name, value in headers.items()
        if not name.lower().startswith("x-")
        and isinstance(value, str | int | float | bool | bytes | datetime | None)
    }
