"""One message's way to an outcome: read, mend, POST, and the questions that a reply may raise."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.registrar.consumer.reading import read
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.mending import Unregistrable, request
from lapidicom.registrar.cube.outcomes import (
    Outcome,
    Question,
    Sight,
    Verdict,
    judge,
    judge_after_look,
    judge_after_probe,
)
from lapidicom.registrar.cube.volume import Invisible

Look = Callable[[str], Sight]


@dataclass(frozen=True, slots=True)
class Result:
    """What a delivery has come to, with what a log line may tell about it.

    Attributes:
        verdict: the outcome; None for a message that needs no registration.
        message: the message, if it could be read.
        mended: what was left out or cut.
    """

    verdict: Verdict | None
    message: InstanceStored | SeriesReceived | None = None
    mended: tuple[str, ...] = ()


class Registration:
    """Takes messages to their outcome.

    Args:
        is_well: whether CUBE is well after what was just seen.
        look: at our mount of the volume; blocks.
        invisible: the files that only CUBE does not see.
        look_seconds: after which a look that has not come back means that the volume hangs.
    """

    def __init__(
        self,
        is_well: Callable[[], Awaitable[bool]],
        look: Look,
        invisible: Invisible,
        look_seconds: float = 10.0,
    ) -> None:
        self._is_well = is_well
        self._look = look
        self._invisible = invisible
        self._look_seconds = look_seconds

    async def register(self, cube: Cube, message_type: str, version: int, body: bytes) -> Result:
        """Take one message to its outcome; never raises for what CUBE or the message does."""
        message = read(message_type, version, body)
        match message:
            case Verdict():
                return Result(message)
            case SeriesReceived():
                return Result(None, message)
            case InstanceStored():
                return await self._register(cube, message)
            case _:
                assert_never(message)

    async def _register(self, cube: Cube, message: InstanceStored) -> Result:
        prepared = request(message)
        if isinstance(prepared, Unregistrable):
            return Result(Verdict(Outcome.PERMANENT, f"unregistrable: {prepared.reason}"), message)
        reply = await cube.register(prepared.body)
        verdict = judge(reply)
        match verdict:
            case Question.IS_CUBE_WELL:
                verdict = judge_after_probe(reply, well=await self._is_well())
            case Question.IS_THE_FILE_THERE:
                verdict = self._count(judge_after_look(reply, await self._sight(message.path)), message.path)
            case Verdict():
                if verdict.outcome in {Outcome.REGISTERED, Outcome.ALREADY_REGISTERED}:
                    self._invisible.clear()
            case _:
                assert_never(verdict)
        return Result(verdict, message, prepared.mended)

    async def _sight(self, path: str) -> Sight:
        try:
            async with asyncio.timeout(self._look_seconds):
                return await asyncio.to_thread(self._look, path)
        except TimeoutError:
            return Sight.VOLUME_GONE

    def _count(self, verdict: Verdict, path: str) -> Verdict:
        if verdict.outcome is Outcome.NOT_YET_VISIBLE and self._invisible.add(path):
            return Verdict(Outcome.OUTAGE, "wrong_storage", verdict.status, verdict.excerpt)
        return verdict
