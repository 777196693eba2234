"""Registers series with CUBE v6: one POST with the number of files, and the questions that it raises."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.contract import BEHIND_ALL
from lapidicom.registrar.cube.first_contacts import FirstContacts
from lapidicom.registrar.cube.mending import Request
from lapidicom.registrar.cube.outcomes import Outcome, Question, Verdict, judge_after_probe, verdict_on
from lapidicom.registrar.cube.probe import AskTrouble
from lapidicom.registrar.cube.replies import Answer, NoAnswer, Reply
from lapidicom.registrar.cube.series_outcomes import Found, SeriesKey, judge_found, judge_series
from lapidicom.registrar.series.settling import Look

RECENT_SECONDS: Final = 120.0
"""For so long a registration is remembered: the messages of several associations end in one request."""

MOST_RECENT: Final = 10_000

LONGEST_JITTER: Final = 0.5
"""Seconds: registrars whose first contacts have met at CUBE do not meet again."""

CHANGED: Final = Verdict(Outcome.NOT_YET_VISIBLE, "count-differs")
"""The series is no longer what had settled: CUBE was not asked."""

LookAt = Callable[[SeriesKey], Awaitable[Look]]


class SeriesGateway:
    """Registers series, for all workers of a registrar.

    Args:
        trouble: why CUBE is not well, after what was just seen; None if it is.
        look: at a series on our mount.
        clock: in seconds.
    """

    def __init__(
        self, trouble: AskTrouble, look: LookAt, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trouble = trouble
        self._look = look
        self._clock = clock
        self._first_contacts = FirstContacts()
        self._recent: dict[SeriesKey, tuple[Look, float]] = {}

    async def register(self, cube: Cube, prepared: Request, series: SeriesKey, settled: Look) -> Verdict:
        """Take a settled series to its outcome; never raises for what CUBE does.

        Args:
            cube: of the worker.
            prepared: the request, with the number of files of `settled`.
            series: of the request.
            settled: what was seen when the series had settled. CUBE waits for no file that is missing there,
                and is not asked if it has changed: the verdict is then `CHANGED`.

        Raises:
            OSError: our mount does not answer.
        """
        async with self._first_contacts.turn(series.folder):
            if self._is_recent(series, settled):
                return Verdict(Outcome.ALREADY_REGISTERED, "already_registered")
            if await self._look(series) != settled:
                return CHANGED
            verdict = await self._register(cube, prepared, series)
            if verdict.again:
                await asyncio.sleep(random.uniform(0, LONGEST_JITTER))  # noqa: S311 (no secret)
                verdict = await self._register(cube, prepared, series)
            if verdict.outcome is Outcome.REGISTERED:
                self._first_contacts.succeeded(series.folder)
                self._remember(series, settled)
        return verdict

    def _is_recent(self, series: SeriesKey, settled: Look) -> bool:
        """Whether CUBE has just registered the series as it is now."""
        look, when = self._recent.get(series, (None, 0.0))
        return look == settled and self._clock() - when < RECENT_SECONDS

    def _remember(self, series: SeriesKey, settled: Look) -> None:
        self._recent.pop(series, None)
        if len(self._recent) >= MOST_RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[series] = settled, self._clock()

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
        return judge_found(reply, series, found, (await self._look(series)).count)

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
