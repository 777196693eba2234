"""Records, messages and a publisher for tests of journal and relay."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lapidicom.common.broker import BrokerError, Envelope
from lapidicom.common.journal import records
from lapidicom.common.journal.format import Line, lines
from lapidicom.common.journal.records import Record, SeriesKey

PACS = "SERVICES/PACS/MODALITY"


def series_folder(number: int = 1) -> str:
    """A series folder."""
    return f"{PACS}/1-A^B-19700101/Brain-2-20240102/0000{number}-T1-abcdef{number % 10}"


def key(association: str = "association-1", series: int = 1) -> SeriesKey:
    """The key of a series in an association."""
    return SeriesKey(association, series_folder(series))


def series_fields(association: str = "association-1", series: int = 1) -> dict[str, Any]:
    """All of a SeriesReceived but its counts, `ok` and `ended_at`."""
    return {
        "folder": series_folder(series),
        **_common(association, series),
    }


def _common(association: str, series: int) -> dict[str, Any]:
    return {
        "pacs_name": "MODALITY",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": f"1.2.3.{series}",
        "PatientID": "1",
        "StudyDate": "20240102",
        "association_id": association,
        "calling_ae_title": "MODALITY",
        "called_ae_title": "ChRIS",
        "peer_address": "127.0.0.1:1234",
        "receiver": "receiver-1",
    }


def instance_path(number: int, series: int = 1) -> str:
    """Path of an instance's file."""
    return f"{series_folder(series)}/{number:04d}-1.2.3.{series}.{number}.dcm"


def instance(number: int, association: str = "association-1", series: int = 1, size: int = 10) -> bytes:
    """An instance_received record."""
    message = {
        "path": instance_path(number, series),
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": f"1.2.3.{series}.{number}",
        "TransferSyntaxUID": "1.2.840.10008.1.2.1",
        "size": size,
        "received_at": "2024-01-02T03:04:05.678+00:00",
        **_common(association, series),
    }
    return records.instance_received(json.dumps(message, separators=(",", ":")).encode())


def started(association: str = "association-1", series: int = 1) -> bytes:
    """A series_started record."""
    return records.series_started(series_fields(association, series))


def ended(received: int, association: str = "association-1", series: int = 1) -> bytes:
    """A series_ended record."""
    return records.series_ended(
        records.series_received_of(
            series_fields(association, series),
            received=received,
            refused=0,
            ok=True,
            ended_at="2024-01-02T03:04:06Z",  # type: ignore[arg-type]
        )
    )


def read_all(folder: Path) -> Iterator[Record]:
    """All good records of a journal's folder, in order, whatever its mark says."""
    for segment in sorted(folder.glob("*.log")) + sorted(folder.glob("*.done")):
        for line in lines(segment.read_bytes(), 0):
            if isinstance(line, Line):
                yield records.parse(line.text)


def subject(envelope: Envelope) -> str:
    """What a message is about: the path of an instance, or a series' folder with its counts."""
    message = json.loads(envelope.body)
    if envelope.type == "InstanceStored":
        return str(message["path"])
    return f"{message['folder']} {message['received']} {'ok' if message['ok'] else 'broken off'}"


class FakePublisher:
    """A broker that keeps what it confirmed.

    Args:
        fault: decides by the number of the publish (from 0) whether, and with which error, it fails.
            An UnknownOutcome may come after the message was stored: `stores_unknown`.
    """

    def __init__(self, fault: Callable[[int], BrokerError | None] = lambda _: None) -> None:
        self.fault = fault
        self.stored: list[Envelope] = []
        self.tried: list[Envelope] = []
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def subjects(self) -> list[str]:
        """What the stored messages are about."""
        return [subject(envelope) for envelope in self.stored]

    async def publish(self, envelope: Envelope) -> None:
        """Store it, unless it shall fail."""
        number = len(self.tried)
        self.tried.append(envelope)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            error = self.fault(number)
            if error is not None:
                raise error
            self.stored.append(envelope)
        finally:
            self.in_flight -= 1
