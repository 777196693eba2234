"""The series of one association: where their instances go, what their records say, and their end.

All that instances of a series have in common is decoded, checked and encoded once: the folder, and
the JSON of the record but for four values. The key is everything that was sent, so a series whose
instances differ in a description simply has two templates.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lapidicom.common.instance.charset import decode, decode_plain, misspelt_terms
from lapidicom.common.instance.path import file_name_of, series_folder
from lapidicom.common.instance.registration import cut_fields, registration_fields
from lapidicom.common.instance.tags import RawValues, check
from lapidicom.common.journal import records
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.journal.writer import Entry, Journal, SeriesKey
from lapidicom.receiver.storage.folders import SeriesFolder, SeriesFolders
from lapidicom.receiver.storage.volume import cannot_write
from lapidicom.receiver.upper_layer.presentation_context import ContextResult

MAX_OPEN_SERIES: Final = 128
"""Of one association at the same time; when one more begins, the one that was idle longest is ended."""

_MOST_TEMPLATES: Final = 64
"""Per association; interleaved series beyond that are decoded anew."""


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
    """A series in this association, and its counts.

    Attributes:
        fields: of its SeriesReceived message, all but the counts.
        started: the record that opens it is durable.
    """

    __slots__ = ("fields", "key", "received", "refused", "started")

    def __init__(self, key: SeriesKey, fields: Mapping[str, object]) -> None:
        self.key = key
        self.fields = fields
        self.received = 0
        self.refused = 0
        self.started = False


class InstanceTemplate:
    """What instances with the same header values share: folder, and the record but for four values."""

    __slots__ = ("SeriesInstanceUID", "_after", "_before", "folder", "series")

    def __init__(self, series: Series, uid: str, before: bytes, after: bytes) -> None:
        self.series = series
        self.SeriesInstanceUID = uid
        self.folder: SeriesFolder | None = None
        self._before = before
        self._after = after

    @staticmethod
    def file_name(instance_number: bytes | None, sop_instance_uid: str) -> str:
        """Name of the instance's file."""
        return file_name_of(decode_plain(instance_number), sop_instance_uid)

    def record(self, name: str, sop_instance_uid: str, size: int, received_at: bytes) -> bytes:
        """The instance's record. Name and UID have no character that JSON escapes."""
        return b'%b/%b","SOPInstanceUID":"%b","size":%d,"received_at":"%b",%b' % (
            self._before,
            name.encode("ascii"),
            sop_instance_uid.encode("ascii"),
            size,
            received_at,
            self._after,
        )


class SeriesBook:
    """All series that an association has met.

    Args:
        association: who sends.
        folders: the series folders of the listener.
        journal: where records go.
        log: bound to the association.

    Attributes:
        trace: what the next records carry besides, made by `records.trace`; empty without a trace.
    """

    def __init__(
        self, association: AssociationInfo, folders: SeriesFolders, journal: Journal, log: Any
    ) -> None:
        self._association = association
        self._folders = folders
        self._journal = journal
        self._log = log
        self._templates: dict[tuple[object, ...], InstanceTemplate] = {}
        self._series: dict[SeriesKey, Series] = {}  # the one that was idle longest first
        self._latest: Series | None = None
        self._received = self._refused = 0  # of what is in no open series
        self.trace = b""

    def template(self, raw: RawValues, context: ContextResult) -> InstanceTemplate:
        """Look up what the header values lead to, or work it out.

        Raises:
            HeaderError: if a required tag is missing or malformed.
            PathError: if no safe path can be made of the values.
        """
        key = (raw.but_instance(), context.transfer_syntax)
        template = self._templates.get(key)
        if template is None or raw.SOPInstanceUID is None:
            template = self._work_out(raw, context)
            if len(self._templates) >= _MOST_TEMPLATES:
                del self._templates[next(iter(self._templates))]
            self._templates[key] = template
        if template.series is not self._latest:
            self._latest = series = template.series
            self._series[series.key] = self._series.pop(series.key)
        return template

    def _work_out(self, raw: RawValues, context: ContextResult) -> InstanceTemplate:
        tags = decode(raw)
        check(tags)
        association = self._association
        folder_path = series_folder(association.pacs_name, tags)
        uid = tags.SeriesInstanceUID or ""
        values = registration_fields(tags)
        if tags.PatientAge is not None and values["PatientAge"] is None:
            self._log.warning("patient_age_unparsable", SeriesInstanceUID=uid)
        if misspelt := misspelt_terms(raw.SpecificCharacterSet or b""):
            self._log.warning("character_set_misspelt", SeriesInstanceUID=uid, read_as=misspelt)
        if cut := cut_fields(tags):
            self._log.warning("values_cut", SeriesInstanceUID=uid, tags=cut)
        common = {
            "pacs_name": association.pacs_name,
            **values,
            "association_id": association.association_id,
            "calling_ae_title": association.calling_ae_title,
            "called_ae_title": association.called_ae_title,
            "peer_address": association.peer_address,
            "receiver": association.receiver,
        }
        key = SeriesKey(association.association_id, folder_path)
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= MAX_OPEN_SERIES:
                self._end_idle()
            series = self._series[key] = Series(key, {"folder": folder_path, **common})
        before = records.instance_received(b'{"path":"%b' % folder_path.encode("ascii"))
        constant = {"SOPClassUID": tags.SOPClassUID, "TransferSyntaxUID": context.transfer_syntax, **common}
        after = json.dumps(constant, separators=(",", ":")).encode("ascii")[1:]
        return InstanceTemplate(series, uid, before, after)

    def folder(self, template: InstanceTemplate) -> SeriesFolder:
        """Return the open series folder of a template.

        Raises:
            OutOfResources: if it cannot be made durable.
        """
        if template.folder is None:
            try:
                template.folder = self._folders.get(template.series.key.folder)
            except OSError as error:
                raise cannot_write(error) from error
        return template.folder

    def append(self, template: InstanceTemplate, record: bytes) -> Entry:
        """Hand an instance's record to the journal, behind the one that opens its series.

        Raises:
            JournalUnavailable: if the journal takes no such record.
        """
        series = template.series
        starts = None if series.started else records.series_started(series.fields)
        return self._journal.append((record + self.trace,), series=series.key, starts=starts)

    def refused(self, template: InstanceTemplate | None, refusal: Refusal, uids: dict[str, str]) -> None:
        """Record a refusal; nobody waits for its sync, since nothing was promised."""
        series = template.series if template is not None else None
        if series is None:
            self._refused += 1
        else:
            series.refused += 1
        record = records.instance_refused(
            association_id=self._association.association_id,
            calling_ae_title=self._association.calling_ae_title,
            peer_address=self._association.peer_address,
            status=refusal.status,
            reason=refusal.comment,
            offending=refusal.offending,
            folder=series.key.folder if series else None,
            uids=uids,
        )
        self._journal.append_quietly((record,), series=series.key if series else None)

    def end(self, *, released: bool) -> None:
        """Record the end of each series, behind its instances, and of the association."""
        ended_at = datetime.now(UTC)
        ended, bodies = [], []
        for series in self._series.values():
            self._count(series)
            if series.started:
                ended.append(series.key)
                bodies.append(self._end_record(series, ended_at))
        self._series.clear()
        bodies.append(
            records.association_ended(
                association_id=self._association.association_id,
                calling_ae_title=self._association.calling_ae_title,
                called_ae_title=self._association.called_ae_title,
                peer_address=self._association.peer_address,
                how="released" if released else "aborted",
                received=self._received,
                refused=self._refused,
                ended_at=ended_at,
            )
        )
        if ended:
            self._journal.end(bodies, ended)
        else:
            self._journal.append_quietly(bodies)

    def _end_idle(self) -> None:
        """End the series that was idle longest; if it comes back, it begins again, with counts from zero."""
        series = self._series.pop(next(iter(self._series)))
        self._templates = {
            key: template for key, template in self._templates.items() if template.series is not series
        }
        self._count(series)
        if series.started:
            self._journal.end((self._end_record(series, datetime.now(UTC)),), (series.key,))

    def _count(self, series: Series) -> None:
        """Count what has come of a series among what the association has brought."""
        self._received += series.received
        self._refused += series.refused

    def _end_record(self, series: Series, ended_at: datetime) -> bytes:
        message = records.series_received_of(
            series.fields, received=series.received, refused=series.refused, ok=True, ended_at=ended_at
        )
        return records.series_ended(message) + self.trace
