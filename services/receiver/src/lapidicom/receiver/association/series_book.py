"""The series of one association: where their instances go, what their records say, and their end.

A template's key is everything that was sent, so a series whose instances differ in a description simply has
two templates, and one folder.
"""

import json
import posixpath
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from lapidicom.common.instance.charset import decode, misspelt_terms
from lapidicom.common.instance.path import series_folder
from lapidicom.common.instance.registration import cut_fields, registration_fields
from lapidicom.common.instance.tags import RawValues, check
from lapidicom.common.journal import records
from lapidicom.common.open_series import marker_name
from lapidicom.receiver.association.series import AssociationInfo, InstanceTemplate, Series
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.journal.writer import Entry, Journal
from lapidicom.receiver.storage.fixed_folders import SeriesIdentity
from lapidicom.receiver.storage.folders import SeriesFolder, SeriesFolders
from lapidicom.receiver.storage.open_markers import OpenMarker, OpenMarkers
from lapidicom.receiver.storage.volume import cannot_write
from lapidicom.receiver.upper_layer.presentation_context import ContextResult

MAX_OPEN_SERIES: Final = 128
"""Of one association at the same time; when one more begins, the one that was idle longest is ended."""

_MOST_TEMPLATES: Final = 64
"""Per association; interleaved series beyond that are decoded anew."""

_MOST_FOLDERS: Final = 64
"""Descriptors that an association holds of them."""


class SeriesBook:
    """All series that an association has met.

    Args:
        association: who sends.
        folders: the series folders of the listener.
        markers: its open markers.
        journal: where records go.
        log: bound to the association.

    Attributes:
        trace: what the next records carry besides, made by `records.trace`; empty without a trace.
    """

    def __init__(
        self,
        association: AssociationInfo,
        folders: SeriesFolders,
        markers: OpenMarkers,
        journal: Journal,
        log: Any,
    ) -> None:
        self._association = association
        self._folders = folders
        self._markers = markers
        self._journal = journal
        self._log = log
        self._templates: dict[tuple[object, ...], InstanceTemplate] = {}
        self._series: dict[SeriesIdentity, Series] = {}  # the one that was idle longest first
        self._with_folder: deque[Series] = deque()
        self._has_ended_idle = False
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
            self._series[series.identity] = self._series.pop(series.identity)
        return template

    def _work_out(self, raw: RawValues, context: ContextResult) -> InstanceTemplate:
        tags = decode(raw)
        check(tags)
        association = self._association
        wanted = series_folder(association.pacs_name, tags)
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
        identity = SeriesIdentity(
            association.pacs_name, tags.PatientID or "", tags.StudyInstanceUID or "", uid
        )
        series = self._series.get(identity)
        if series is None:
            if len(self._series) >= MAX_OPEN_SERIES:
                self._end_idle()
            series = self._series[identity] = Series(identity, wanted, common)
        constant = {"SOPClassUID": tags.SOPClassUID, "TransferSyntaxUID": context.transfer_syntax, **common}
        return InstanceTemplate(series, json.dumps(constant, separators=(",", ":")).encode("ascii")[1:])

    def folder(self, series: Series) -> SeriesFolder:
        """Return the open folder of a series, which has a marker then, though perhaps no durable one.

        Raises:
            OutOfResources: if it cannot be made durable.
            SeriesBeingHealed: it is.
        """
        if series.folder is None:
            try:
                self._mark(series)
                folder = self._folders.get(series.identity, series.wanted)
            except OSError as error:
                raise cannot_write(error) from error
            series.lies_in(folder, self._association.association_id)
            self._with_folder.append(series)
            if len(self._with_folder) > _MOST_FOLDERS:
                self._with_folder.popleft().folder = None  # opened anew when its next instance comes
            return folder
        return series.folder

    def _mark(self, series: Series) -> OpenMarker:
        """Make the marker of the present life, unless that was done."""
        name = marker_name(self._journal.life, self._association.association_id)
        if series.marker is None or series.marker.name != name:
            pacs_name, uid = series.identity.pacs_name, series.identity.SeriesInstanceUID
            series.marker = self._markers.make(pacs_name, uid, name)
        return series.marker

    def keep_open(self, series: Series) -> None:
        """Make the marker of a series durable, in the present life: before the first success in it.

        Raises:
            OutOfResources: if it cannot be made durable.
            SeriesBeingHealed: this life has just begun, and somebody heals the series by now.
        """
        life, before = self._journal.life, series.marker
        try:
            marker = self._mark(series)
            marker.sync()
        except OSError as error:
            raise cannot_write(error) from error
        series.marked_in = life
        if before is not None and before is not marker:
            self._markers.remove((before.path,))

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
        key = series.key if series is not None else None
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
            folder=key.folder if key is not None else None,
            uids=uids,
        )
        self._journal.append_quietly((record,), series=key)

    def end(self, *, released: bool) -> None:
        """Record the end of each series, behind its instances, and of the association; remove its markers."""
        ended_at = datetime.now(UTC)
        ended, bodies = [], []
        for series in self._series.values():
            self._count(series)
            if series.started and series.key is not None:
                ended.append(series.key)
                bodies.append(self._end_record(series, ended_at))
        markers = self._markers_left()
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
        if markers:
            self._journal.end(bodies, ended, partial(self._unmark, markers))
        else:
            self._journal.append_quietly(bodies)

    def _unmark(self, markers: Sequence[str]) -> None:
        """Remove markers, and what has taken their places in a new life."""
        name = marker_name(self._journal.life, self._association.association_id)
        self._markers.remove({*markers, *(f"{posixpath.dirname(marker)}/{name}" for marker in markers)})

    def _markers_left(self) -> list[str]:
        """The markers of this association: of one that ended series early, all that are found."""
        if not self._has_ended_idle:
            return [series.marker.path for series in self._series.values() if series.marker is not None]
        association = self._association
        name = marker_name(self._journal.life, association.association_id)
        return self._markers.left_by(association.pacs_name, name)

    def _end_idle(self) -> None:
        """End the series that was idle longest; if it comes back, it begins again, with counts from zero.

        It keeps its marker until the association ends.
        """
        self._has_ended_idle = True
        series = self._series.pop(next(iter(self._series)))
        self._templates = {
            key: template for key, template in self._templates.items() if template.series is not series
        }
        self._count(series)
        if series.started and series.key is not None:
            self._journal.end((self._end_record(series, datetime.now(UTC)),), (series.key,))

    def _count(self, series: Series) -> None:
        """Count what has come of a series among what the association has brought."""
        self._received += series.received
        self._refused += series.refused

    def _end_record(self, series: Series, ended_at: datetime) -> bytes:
        message = records.series_received_of(
            series.fields,
            received=series.received,
            refused=series.refused,
            ok=True,
            ended_at=ended_at,
            files=None if series.key is None else self._folders.count(series.key.folder),
        )
        return records.series_ended(message) + self.trace
