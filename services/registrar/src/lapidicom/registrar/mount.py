"""Our mount of the volume, asked in threads that nobody waits for: a file system may hang for ever."""

import asyncio
import errno
from typing import Final

import structlog

from lapidicom.common.may_block import DaemonThreads
from lapidicom.common.spool import SENTINEL
from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.cube.volume import Claim, Volume
from lapidicom.registrar.series.folder import look
from lapidicom.registrar.series.settling import Look

log = structlog.get_logger(__name__)

WATCH_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 10.0


class Mount:
    """Looks at the volume, and keeps watch over whose it is.

    Args:
        volume: our mount.
        watch_seconds: between two looks at the receivers' sentinel.
        look_seconds: after which a look that has not come back means that the volume hangs.
    """

    def __init__(
        self, volume: Volume, watch_seconds: float = WATCH_SECONDS, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._volume = volume
        self._watch_seconds = watch_seconds
        self._looks = DaemonThreads(seconds=look_seconds)
        self._watches = DaemonThreads(most=1, seconds=look_seconds)
        self._claim: Claim | None = Claim.NONE_YET

    def fault(self) -> str | None:
        """What is wrong with our mount; None if nothing is."""
        where = f"our mount of the volume, CHRIS_FILES_ROOT={self._volume.files_root}"
        match self._claim:
            case Claim.RECEIVERS | Claim.NONE_YET:
                return None
            case Claim.OTHER:
                return f"{where}, is not the one of the start: {SENTINEL} in its spool is gone or another one"
            case Claim.UNREADABLE:
                return f"{where}, cannot be read"
            case None:
                return f"{where}, does not answer"

    def unclaimed(self) -> str | None:
        """Why it is not known whether our mount is the receivers' volume; None if it is."""
        if self._claim is not Claim.NONE_YET:
            return None
        return (
            f"no receiver has used the volume yet: there is no {self._volume.spool / SENTINEL}; "
            "CHRIS_FILES_ROOT and CHRIS_SPOOL_DIR must be the receivers'"
        )

    async def look(self, path: str) -> Sight:
        """Whether the file is there for us."""
        try:
            return await self._looks.run(lambda: self._volume.look(path))
        except (TimeoutError, OSError):
            return Sight.VOLUME_GONE

    async def look_at(self, series: SeriesKey) -> Look:
        """What is there of a series for us.

        Raises:
            OSError: the volume does not answer, or nothing is there and it is not the receivers'.
            ValueError: the series' PACS name or UID are none.
        """

        def blocking() -> Look:
            volume = self._volume
            seen = look(volume.files_root, volume.spool, series.pacs_name, series.uid, series.folder)
            if not seen.count and volume.claim() is not Claim.RECEIVERS:
                raise OSError(errno.ENODEV, "not the receivers' volume")
            return seen

        return await self._looks.run(blocking)

    async def watch(self) -> None:
        """Look whose volume it is, again and again; ends by cancellation only."""
        while True:
            before = self.fault()
            try:
                self._claim = await self._watches.run(self._volume.claim)
            except TimeoutError:
                self._claim = None
            fault = self.fault()
            if fault != before:
                log.warning("volume_changed", fault=fault)
            await asyncio.sleep(self._watch_seconds)
