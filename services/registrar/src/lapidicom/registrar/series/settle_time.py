"""For how long a series must be still before it has come, and why: fast on a local volume, else patient."""

from dataclasses import dataclass
from typing import Final

from lapidicom.registrar.series.settling import SeriesPatience
from lapidicom.registrar.settings import SeriesSection

LOCAL_SECONDS: Final = 10.0
"""On a local file system: a file that is there is seen at once."""

_MORE: Final = 1.0
"""Seconds beyond twice the age to which a client of a network file system keeps a directory."""


@dataclass(frozen=True, slots=True)
class SettleTime:
    """How long series must be still.

    Attributes:
        seconds: by default.
        why: it is so long, for the log and for `lapidicom doctor`.
        by_title: seconds of calling AE titles of their own.
        incomplete: seconds for which the rest of a series is waited for that the PACS has more of.
    """

    seconds: float
    why: str
    by_title: dict[str, float]
    incomplete: float

    def patience(self, calling_ae_title: str) -> SeriesPatience:
        """How long the series of a calling AE title may take."""
        return SeriesPatience(self.by_title.get(calling_ae_title, self.seconds), self.incomplete)


def settle_time(settings: SeriesSection, cache_seconds: float) -> SettleTime:
    """Choose it. Pure.

    Args:
        settings: what is set.
        cache_seconds: for which a client of the volume may show an old directory; 0 on a local file system.
    """
    if settings.settle_seconds != "auto":
        seconds, why = settings.settle_seconds, "SERIES_SETTLE_SECONDS"
    elif not cache_seconds:
        seconds, why = LOCAL_SECONDS, "auto: the volume is local, or keeps no old directories"
    else:
        seconds = 2 * cache_seconds + _MORE
        why = f"auto: the volume is a network's, whose directories may be {cache_seconds:g} s old"
    return SettleTime(seconds, why, settings.settle_seconds_by_title, settings.incomplete_seconds)
