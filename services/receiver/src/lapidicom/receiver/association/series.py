"""A series in one association, and what the records of its instances have in common.

All that instances of a series share is decoded, checked and encoded once: the JSON of the record but for the
file and four values.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lapidicom.common.instance.charset import decode_plain
from lapidicom.common.instance.path import file_name_of
from lapidicom.common.journal import records
from lapidicom.receiver.journal.writer import SeriesKey
from lapidicom.receiver.storage.fixed_folders import SeriesIdentity
from lapidicom.receiver.storage.folders import SeriesFolder
from lapidicom.receiver.storage.open_markers import OpenMarker


@dataclass(frozen=True, slots=True)
class AssociationInfo:
    """An accepted association.

    Args:
        association_id: a UUID made when the association was accepted.
        calling_ae_title, called_ae_title: as received, trimmed.
        pacs_name: the sanitised calling AE title; third component of each path.
        peer_address: host:port of the SCU.
        receiver: CHRIS_RECEIVER_ID.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    pacs_name: str
    peer_address: str
    receiver: str


class Series:
    """A series in this association: its place, its open marker and its counts.

    Args:
        identity: of the series.
        wanted: the folder that its first instance's values make.
        fields: of its SeriesReceived message, all but folder and counts.

    Attributes:
        folder: where its instances go, once that is known.
        key: in the journal, likewise.
        marker: the latest one, once it was made.
        marked_in: the life of the listener in which its marker is durable; empty before that.
        started: the record that opens it is durable.
        path_in_record: how its instances' records begin.
    """

    __slots__ = (
        "fields",
        "folder",
        "identity",
        "key",
        "marked_in",
        "marker",
        "path_in_record",
        "received",
        "refused",
        "started",
        "wanted",
    )

    def __init__(self, identity: SeriesIdentity, wanted: str, fields: Mapping[str, object]) -> None:
        self.identity = identity
        self.wanted = wanted
        self.fields = fields
        self.folder: SeriesFolder | None = None
        self.key: SeriesKey | None = None
        self.marker: OpenMarker | None = None
        self.marked_in = ""
        self.path_in_record = b""
        self.received = 0
        self.refused = 0
        self.started = False

    def lies_in(self, folder: SeriesFolder, association_id: str) -> None:
        """From now on its instances go there."""
        self.folder = folder
        self.key = SeriesKey(association_id, folder.path)
        self.fields = {**self.fields, "folder": folder.path}
        self.path_in_record = records.instance_received(b'{"path":"%b/' % folder.path.encode("ascii"))


class InstanceTemplate:
    """What instances with the same header values share: the series, and the record but for its path."""

    __slots__ = ("_after", "series")

    def __init__(self, series: Series, after: bytes) -> None:
        self.series = series
        self._after = after

    @staticmethod
    def file_name(instance_number: bytes | None, sop_instance_uid: str) -> str:
        """Name of the instance's file."""
        return file_name_of(decode_plain(instance_number), sop_instance_uid)

    def record(self, name: str, sop_instance_uid: str, size: int, received_at: bytes) -> bytes:
        """The instance's record. Name and UID have no character that JSON escapes."""
        return b'%b%b","SOPInstanceUID":"%b","size":%d,"received_at":"%b",%b' % (
            self.series.path_in_record,
            name.encode("ascii"),
            sop_instance_uid.encode("ascii"),
            size,
            received_at,
            self._after,
        )
