"""One message's way to an outcome: read, mend, POST, and the questions that a reply may raise."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.registrar.consumer.breaker import Failure
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

AskTrouble = Callable[[], Awaitable[str | None]]
Look = Callable[[str], Awaitable[Sight]]


@dataclass(frozen=True, slots=True)
class Result:
    """What a delivery has come to, with what a log line may show about it.

    Attributes:
        verdict: the outcome; None for a message that needs no registration.
        message: the message, if it could be read.
        mended: what was left out or cut.
        request: the body that was sent to CUBE; may hold patient data.
    """

    verdict: Verdict | None
    message: InstanceStored | SeriesReceived | None = None
    mended: tuple[str, ...] = ()
    request: bytes = b""

    def failure(self) -> Failure | None:
        """The message as the breaker counts it; None if CUBE was not asked about an instance."""
        message, verdict = self.message, self.verdict
        if verdict is None or not isinstance(message, InstanceStored):
            return None
        patient = (message.pacs_name, message.PatientID)
        return Failure(verdict.reason, message.path, patient, message.SeriesInstanceUID)

    def log_fields(self) -> dict[str, object]:
        """UIDs and codes: no path (it holds a PatientName), no answer of CUBE's."""
        fields: dict[str, object] = {}
        message, verdict = self.message, self.verdict
        if message is not None:
            fields |= {
                "association_id": message.association_id,
                "SeriesInstanceUID": message.SeriesInstanceUID,
            }
        if isinstance(message, InstanceStored):
            fields["SOPInstanceUID"] = message.SOPInstanceUID
        if isinstance(message, SeriesReceived):
            fields |= {"received": message.received, "refused": message.refused, "ok": message.ok}
        if verdict is not None and verdict.status is not None:
            fields["status"] = verdict.status
        if self.mended:
            fields["mended"] = self.mended
        return fields


class Registration:
    """Takes messages to their outcome.

    Args:
        trouble: why CUBE is not well, after what was just seen; None if it is.
        look: at our mount of the volume.
    """

    def __init__(self, trouble: AskTrouble, look: Look) -> None:
        self._trouble = trouble
        self._look = look

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
            return Result(Verdict(Outcome.INVALID, f"unregistrable: {prepared.reason}"), message)
        verdict = await self._ask(cube, prepared.body, message.path)
        if verdict.again:
            verdict = await self._ask_again(cube, prepared.body, message.path, verdict)
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
