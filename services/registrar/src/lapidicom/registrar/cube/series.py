"""Registers series with CUBE v6: one POST with the number of files, and the questions that it raises."""

from collections.abc import Awaitable, Callable

from lapidicom.common.messages import SeriesReceived
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import BEHIND_ALL
from lapidicom.registrar.cube.first_contacts import FirstContacts
from lapidicom.registrar.cube.mending import Request, Unregistrable, series_request
from lapidicom.registrar.cube.outcomes import Outcome, Question, Verdict, judge_after_probe, verdict_on
from lapidicom.registrar.cube.replies import Answer, NoAnswer, Reply
from lapidicom.registrar.cube.series_outcomes import Found, SeriesKey, judge_found, judge_series

AskTrouble = Callable[[], Awaitable[str | None]]
CountFiles = Callable[[str], Awaitable[int]]
"""The DICOM files of a folder."""


class SeriesGateway:
    """Registers series, for all workers of a registrar.

    Args:
        trouble: why CUBE is not well, after what was just seen; None if it is.
        count: the DICOM files of a folder on our mount.
    """

    def __init__(self, trouble: AskTrouble, count: CountFiles) -> None:
        self._trouble = trouble
        self._count = count
        self._first_contacts = FirstContacts()

    async def register(self, cube: Cube, message: SeriesReceived, ndicom: int) -> Verdict:
        """Take a settled series to its outcome; never raises for what CUBE does.

        Args:
            cube: of the worker.
            message: the series' tags and folder.
            ndicom: as counted when the series had settled. CUBE waits for no file that is missing there.

        Raises:
            OSError: our mount does not answer.
        """
        prepared = series_request(message, ndicom)
        if isinstance(prepared, Unregistrable):
            return Verdict(Outcome.INVALID, f"unregistrable: {prepared.reason}")
        series = SeriesKey(message.pacs_name, message.SeriesInstanceUID, message.folder)
        async with self._first_contacts.turn(series.folder):
            if await self._count(series.folder) != ndicom:
                return Verdict(Outcome.NOT_YET_VISIBLE, "count-differs")
            verdict = await self._register(cube, prepared, series)
            if verdict.again:
                verdict = await self._register(cube, prepared, series)
        if verdict.outcome is Outcome.REGISTERED:
            self._first_contacts.succeeded(series.folder)
        return verdict

    async def _register(self, cube: Cube, prepared: Request, series: SeriesKey) -> Verdict:
        reply = await cube.register_series(prepared.body)
        judged = judge_series(reply, series)
        if judged is Question.IS_CUBE_WELL:
            judged = judge_after_probe(reply, await self._trouble())
        if isinstance(judged, Verdict):
            return judged
        found = await self._search(cube, series)
        if not isinstance(found, Found):
            return verdict_on(found, Outcome.HELD_UP)
        return judge_found(reply, series, found, await self._count(series.folder))

    async def _search(self, cube: Cube, series: SeriesKey) -> Found | Reply:
        """What CUBE says of the series and of our folder; an answer that says nothing of them as it is."""
        rows = await cube.search_series(
            {"pacs_identifier": series.pacs_name, "SeriesInstanceUID": series.uid, "limit": "1"}
        )
        files = await cube.search_files_of_series(
            {"fname": f"{series.folder}/", "fname_icontains": ".dcm", "limit": "1", "offset": BEHIND_ALL}
        )
        match rows, files:
            case (
                Answer(status=200, fields={"results": [dict(row), *_]}),
                Answer(status=200, fields={"count": int(count)}),
            ) if (row.get("pacs_identifier"), row.get("SeriesInstanceUID")) == (series.pacs_name, series.uid):
                return Found(row.get("folder_path"), row.get("deletion_status", "inactive"), count)
            case (
                Answer(status=200, fields={"results": [], "count": 0}),
                Answer(status=200, fields={"count": int(count)}),
            ):
                return Found(None, "inactive", count)
            case Answer(status=200), NoAnswer() | Answer(status=500):
                return files
            case _:
                return rows
