"""Headers of a message: ours go along when it is published again, the broker's do not.

A copy that carries `x-death` may be dropped by RabbitMQ 3.10 as a cycle, without a trace.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

HEADER_ID: Final = "lapidicom-id"
"""Header of the stable id: made once per journal record, kept through retries, dead letter and replay."""

HEADER_VERSION: Final = "lapidicom-version"
"""Header of the integer version of the body's format."""

HEADER_EXPECTED: Final = "lapidicom-expected"
"""Header of a SeriesReceived: how many instances the PACS has of the series."""

HEADER_PROGRESS_SPACE: Final = "lapidicom-progress-space"
"""Header of a SeriesStarted or SeriesReceived: where its receiver has written a progress file for it."""

Header = str | int | float | bool | bytes | datetime | None


def own_headers(headers: Mapping[str, object]) -> dict[str, Header]:
    """The headers that may be published again: none that begins with `x-`, and plain values only."""
    return {
        name: value
        for name, value in headers.items()
        if not name.lower().startswith("x-")
        and isinstance(value, str | int | float | bool | bytes | datetime | None)
    }
