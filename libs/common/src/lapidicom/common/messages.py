"""The messages that travel through RabbitMQ: one model per type, JSON bodies.

The contract is docs/messages.md. New optional fields do not change a version; unknown fields are
ignored. `type` stands in the AMQP property of that name, the integer version in a header
(AMQP 0-9-1 has no property for it).
"""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from lapidicom.common.headers import HEADER_ID as HEADER_ID  # part of the contract: found here, too
from lapidicom.common.headers import HEADER_VERSION as HEADER_VERSION
from lapidicom.common.topology import WORK_QUEUE


class Message(BaseModel):
    """What every message type has: its name, its version and the routing key of its first publication."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    ROUTING_KEY: ClassVar[str]


class _OfSeries(Message):
    """What messages about a series, or an instance of one, have in common.

    Tag fields bear their DICOM keywords (PS3.6) and hold decoded, trimmed text; absent tags are null.
    """

    pacs_name: str = Field(description="sanitised calling AE title, third component of the path")
    StudyInstanceUID: str
    SeriesInstanceUID: str
    PatientID: str
    StudyDate: str
    PatientName: str | None = None
    PatientBirthDate: str | None = None
    PatientAge: int | None = Field(default=None, description="days")
    PatientSex: str | None = None
    AccessionNumber: str | None = None
    Modality: str | None = None
    ProtocolName: str | None = None
    StudyDescription: str | None = None
    SeriesDescription: str | None = None
    association_id: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str = Field(description="host:port of the SCU")
    receiver: str = Field(description="CHRIS_RECEIVER_ID of the receiver")


class InstanceStored(_OfSeries):
    """One instance is durable on the volume and waits for its registration (unit = instance)."""

    TYPE: ClassVar[str] = "InstanceStored"
    ROUTING_KEY: ClassVar[str] = "instance.stored"

    path: str = Field(description="path of the file, relative to CUBE's storage root")
    SOPClassUID: str
    SOPInstanceUID: str
    TransferSyntaxUID: str
    size: int = Field(description="length of the file, bytes")
    received_at: datetime = Field(description="when the instance was stored, UTC")


class SeriesStarted(_OfSeries):
    """An association has begun to bring this series, and its PACS was asked how many instances it has.

    Of a series whose PACS is slow it may come behind its SeriesReceived.
    """

    TYPE: ClassVar[str] = "SeriesStarted"
    ROUTING_KEY: ClassVar[str] = "series.started"

    folder: str = Field(description="series folder, relative to CUBE's storage root")
    NumberOfSeriesRelatedInstances: int | None = Field(
        default=None, description="what the PACS has of the series; null if it did not tell"
    )


class SeriesReceived(_OfSeries):
    """An association that stored instances of this series has ended; sent behind those instances.

    An association with very many series ends the one that was idle longest, and may begin it again.
    """

    TYPE: ClassVar[str] = "SeriesReceived"
    ROUTING_KEY: ClassVar[str] = "series.received"

    folder: str = Field(description="series folder, relative to CUBE's storage root")
    received: int = Field(description="instances of this series answered with success in this association")
    refused: int = Field(description="instances of this series answered with a failure in this association")
    ok: bool = Field(description="false: the receiver ended before the association did")
    ended_at: datetime = Field(description="when the association ended, UTC")
    files: int | None = Field(
        default=None, description="files of the folder as the receiver counted them then, `.dcm` only"
    )


class SeriesSettling(_OfSeries):
    """A series waits until nothing more comes of it, to be registered as a whole (unit = series).

    A registrar makes it of a SeriesReceived or an InstanceStored, and publishes it for itself and all others
    through a delay queue, again and again, with what the last look has found. No receiver publishes it.
    """

    TYPE: ClassVar[str] = "SeriesSettling"
    ROUTING_KEY: ClassVar[str] = WORK_QUEUE

    folder: str = Field(description="series folder, relative to CUBE's storage root")
    files: int | None = Field(
        default=None, description="files of the folder, as far as a receiver has counted them"
    )
    expected: int | None = Field(default=None, description="instances that the PACS has of the series")
    count: int | None = Field(default=None, description="files of the folder at the last look, `.dcm` only")
    touched: int | None = Field(
        default=None, description="newest change of the folder or of its markers' at the last look, ns"
    )
    since: datetime | None = Field(default=None, description="when both were seen first, UTC")
    first_look: datetime | None = Field(default=None, description="when the series was first looked at, UTC")


AnyMessage = InstanceStored | SeriesStarted | SeriesReceived | SeriesSettling
"""A message of any type that this version knows."""
