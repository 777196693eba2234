"""What a delivery has come to, with what the breaker, a log line and a message that travels on need of it."""

from dataclasses import dataclass

from lapidicom.common.messages import (
    AnyMessage,
    InstanceStored,
    SeriesReceived,
    SeriesSettling,
    SeriesStarted,
)
from lapidicom.registrar.consumer.breaker import Failure
from lapidicom.registrar.consumer.circuit import KnownGood
from lapidicom.registrar.cube.outcomes import Verdict
from lapidicom.registrar.cube.series_outcomes import SeriesKey


@dataclass(frozen=True, slots=True)
class Result:
    """What a delivery has come to.

    Attributes:
        verdict: the outcome; None if the delivery needs no registration, or another message will lead to it.
        message: the message, if it could be read.
        mended: what was left out or cut.
        request: the body that was sent to CUBE; may hold patient data.
        instead: what travels on in place of the message, if that is not registered.
        path: of the progress file that the message leads to; may hold patient data.
    """

    verdict: Verdict | None
    message: AnyMessage | None = None
    mended: tuple[str, ...] = ()
    request: bytes = b""
    instead: SeriesSettling | None = None
    path: str = ""

    def failure(self) -> Failure | None:
        """The message as the breaker counts it; None if CUBE was not to be asked about it."""
        message, verdict = self.message, self.verdict
        if verdict is None or message is None:
            return None
        if isinstance(message, SeriesStarted | SeriesReceived) and not self.path:
            return None
        patient = (message.pacs_name, message.PatientID)
        path = self.path or (message.path if isinstance(message, InstanceStored) else message.folder)
        return Failure(verdict.reason, path, patient, message.SeriesInstanceUID)

    def known_good(self) -> KnownGood | None:
        """The registration, if it can be sent again to see whether CUBE still takes it."""
        match self.message:
            case InstanceStored(path=path):
                return KnownGood(self.request, path)
            case SeriesSettling(pacs_name=name, SeriesInstanceUID=uid, folder=folder):
                return KnownGood(self.request, SeriesKey(name, uid, folder))
            case _:
                return None

    def log_fields(self) -> dict[str, object]:
        """UIDs and codes: no path (it holds a PatientName), no answer of CUBE's."""
        fields: dict[str, object] = {}
        message, verdict = self.message, self.verdict
        if message is not None:
            fields |= {
                "association_id": message.association_id,
                "SeriesInstanceUID": message.SeriesInstanceUID,
            }
        match message:
            case InstanceStored():
                fields["SOPInstanceUID"] = message.SOPInstanceUID
            case SeriesReceived():
                fields |= {"received": message.received, "refused": message.refused, "ok": message.ok}
            case SeriesSettling():
                fields |= {"count": message.count, "files": message.files, "expected": message.expected}
        if verdict is not None and verdict.status is not None:
            fields["status"] = verdict.status
        if self.mended:
            fields["mended"] = self.mended
        return fields
