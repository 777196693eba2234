"""One message's way to an outcome: read, mend, POST, and the questions that a reply may raise."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, assert_never

from lapidicom.common.broker import Delivery
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling, SeriesStarted
from lapidicom.registrar.consumer.progress import BehindInstances, progress_file_of
from lapidicom.registrar.consumer.reading import read
from lapidicom.registrar.consumer.result import Result
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.mending import Request, Unregistrable, progress_request, request
from lapidicom.registrar.cube.outcomes import (
    Outcome,
    Question,
    Sight,
    Verdict,
    judge,
    judge_after_look,
    judge_after_probe,
    verdict_on,
)
from lapidicom.registrar.cube.probe import AskTrouble

LookAtFile = Callable[[str], Awaitable[Sight]]
"""Whether the file of this path is there for us."""

_NOW_PER_SERIES: Final = Verdict(
    Outcome.OUTAGE, "registers-series", explanation="CUBE is another generation than it was"
)


class Registration:
    """Takes messages to their outcome where CUBE registers files (up to v5).

    Args:
        trouble: why CUBE is not well, after what was just seen; None if it is.
        look: at our mount of the volume.
        behind: says whether the instances of a series are in CUBE.
    """

    def __init__(self, trouble: AskTrouble, look: LookAtFile, behind: BehindInstances) -> None:
        self._trouble = trouble
        self._look = look
        self._behind = behind

    async def register(self, cube: Cube, delivery: Delivery) -> Result:
        """Take one message to its outcome; never raises for what CUBE or the message does."""
        message = read(delivery.type, delivery.version, delivery.body)
        match message:
            case Verdict():
                return Result(message)
            case SeriesStarted() | SeriesReceived():
                return await self._register_progress(cube, delivery, message)
            case InstanceStored():
                return await self._register(cube, message)
            case SeriesSettling():
                return Result(await self._judge_settling(cube), message)
            case _:
                assert_never(message)

    async def _judge_settling(self, cube: Cube) -> Verdict:
        """Another registrar has acknowledged instances for this message: is CUBE another one by now?"""
        match await cube.generation():
            case Generation.PER_FILE, _:
                return Verdict(Outcome.INVALID, "registers-files")  # it was rolled back
            case Generation.PER_SERIES, _:
                return _NOW_PER_SERIES
            case _, reply:
                return verdict_on(reply, Outcome.OUTAGE)

    async def _register(self, cube: Cube, message: InstanceStored) -> Result:
        return await self._send(cube, request(message), message.path, message)

    async def _register_progress(
        self, cube: Cube, delivery: Delivery, message: SeriesStarted | SeriesReceived
    ) -> Result:
        """Register the file that the receiver has written for a message about a series, if it has."""
        file = progress_file_of(message, delivery.headers)
        if file is None:
            return Result(None, message)
        if isinstance(message, SeriesReceived):
            hindrance = await self._behind.hindrance(cube, message, delivery.headers)
            if hindrance is not None:
                return Result(hindrance, message, path=file.path)
        result = await self._send(cube, progress_request(message, file), file.path, message)
        return replace(result, path=file.path)

    async def _send(
        self,
        cube: Cube,
        prepared: Request | Unregistrable,
        path: str,
        message: InstanceStored | SeriesStarted | SeriesReceived,
    ) -> Result:
        if isinstance(prepared, Unregistrable):
            return Result(Verdict(Outcome.INVALID, f"unregistrable: {prepared.reason}"), message)
        verdict = await self._ask(cube, prepared.body, path)
        if verdict.again:
            verdict = await self._ask_again(cube, prepared.body, path, verdict)
        return Result(verdict, message, prepared.mended, prepared.body)

    async def _ask_again(self, cube: Cube, body: bytes, path: str, verdict: Verdict) -> Verdict:
        repeated: Counter[str] = Counter()
        while repeated[verdict.reason] < verdict.again:
            repeated[verdict.reason] += 1
            verdict = await self._ask(cube, body, path)
        return verdict

    async def _ask(self, cube: Cube, body: bytes, path: str) -> Verdict:
        reply = await cube.register(body)
        verdict = judge(reply, path)
        if verdict is Question.IS_CUBE_WELL:
            verdict = judge_after_probe(reply, await self._trouble())
        if verdict is Question.IS_THE_FILE_THERE:
            verdict = judge_after_look(reply, await self._look(path))
        if isinstance(verdict, Question):
            raise AssertionError(verdict)
        return verdict
