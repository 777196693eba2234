"""Three counts of a series side by side: what the PACS has, what is on the volume, what is in CUBE."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final

from lapidicom.cli.answers import Answer, Display
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.in_thread import in_thread
from lapidicom.common.c_find import Count, NoCount, PacsQueries
from lapidicom.common.pacs_address import parse_pacs_addresses
from lapidicom.common.settings import PacsSection

_SPARE_SECONDS: Final = 5.0
"""Behind its own time limit a question is left to itself: a look-up of a name has none."""


class SeriesCounts(Answer):
    """How many instances of a series are where; null where that is not known, with the reason in `why`."""

    pacs_name: Annotated[str, Display("PACS")]
    StudyInstanceUID: Annotated[str, Display("study")]
    SeriesInstanceUID: Annotated[str, Display("series")]
    pacs: Annotated[int | None, Display("in the PACS", right=True)]
    volume: Annotated[int | None, Display("on the volume", right=True)]
    cube: Annotated[int | None, Display("in CUBE", right=True)]
    why: Annotated[str, Display("")] = ""

    @property
    def is_incomplete(self) -> bool:
        """The PACS has more than ever came; a series of which nothing came may not have been asked for."""
        return self.pacs is not None and 0 < max(self.volume or 0, self.cube or 0) < self.pacs


def series_counts(
    pacs_name: str, study_uid: str, series_uid: str, asked: Count, volume: int | None, cube: int | None
) -> SeriesCounts:
    """The three counts, with what the PACS has answered."""
    told = asked if not isinstance(asked, NoCount) else None
    return SeriesCounts(
        pacs_name=pacs_name,
        StudyInstanceUID=study_uid,
        SeriesInstanceUID=series_uid,
        pacs=told,
        volume=volume,
        cube=cube,
        why=f"PACS: {asked}" if isinstance(asked, NoCount) else "",
    )


class Pacs:
    """The PACS, asked in threads that nobody waits for longer than CHRIS_PACS_TIMEOUT.

    Args:
        settings: where they are.

    Raises:
        OperatorError: CHRIS_PACS_ADDRESS names none.
    """

    def __init__(self, settings: PacsSection) -> None:
        addresses = parse_pacs_addresses(settings.pacs_address)
        if not addresses:
            raise OperatorError("no PACS can be asked from here", "set CHRIS_PACS_ADDRESS")
        self._seconds = settings.pacs_timeout + _SPARE_SECONDS
        self._queries = PacsQueries(addresses, settings.aet, settings.pacs_timeout)

    async def of_series(self, pacs_name: str, study_uid: str, series_uid: str) -> Count:
        """How many instances a PACS has of a series."""
        try:
            ask = partial(self._queries.of_series, pacs_name, study_uid, series_uid)
            return await in_thread(ask, self._seconds)
        except TimeoutError:
            return NoCount.SLOW

    async def of_study(self, pacs_name: str, study_uid: str) -> Mapping[str, Count] | NoCount:
        """How many instances a PACS has of each series of a study."""
        try:
            return await in_thread(partial(self._queries.of_study, pacs_name, study_uid), self._seconds)
        except TimeoutError:
            return NoCount.SLOW
