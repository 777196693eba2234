"""C-STORE as an SCP (PS3.4 annex B, PS3.7 section 9.1.1): from a request and its data set to a status.

The bytes go to the file as they arrive. Beside that, the header scan picks the values that make the
path and the registration. One object serves one association, one request after the other: `begin`,
`feed`, `finish`, the answer, `settle`, `prepare`.
"""

import contextlib
import logging
import os
from typing import Any, Final

from lapidicom.common.instance.errors import HeaderError, InstanceError
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.tags import RawValues, is_uid, tag_name
from lapidicom.receiver.association.counters import Counters
from lapidicom.receiver.association.series import AssociationInfo, InstanceTemplate
from lapidicom.receiver.association.series_book import SeriesBook
from lapidicom.receiver.association.time_of_receipt import TimeOfReceipt
from lapidicom.receiver.dimse.command import Command
from lapidicom.receiver.errors import (
    CannotUnderstand,
    DoesNotMatchSOPClass,
    InvalidSOPInstance,
    OutOfResources,
    ProcessingFailure,
    Refusal,
    SOPClassNotSupported,
)
from lapidicom.receiver.journal.writer import Entry, Journal
from lapidicom.receiver.storage.file_meta import FileMeta
from lapidicom.receiver.storage.folders import SeriesFolder
from lapidicom.receiver.storage.instance_file import InstanceStore, TemporaryFile
from lapidicom.receiver.upper_layer.abstract_syntaxes import VERIFICATION_SOP_CLASS
from lapidicom.receiver.upper_layer.presentation_context import ContextResult

_MOST_CHUNKS: Final = os.sysconf("SC_IOV_MAX") - 1

SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018
AFFECTED_SOP_CLASS_UID: Final = 0x00000002
AFFECTED_SOP_INSTANCE_UID: Final = 0x00001000


class StoreSCP:
    """The C-STORE SCP of one association.

    Args:
        association: who sends.
        store: where instances are placed.
        journal: where their records go.
        counters: of this association.
        log: bound to the association.
    """

    def __init__(
        self,
        association: AssociationInfo,
        store: InstanceStore,
        journal: Journal,
        counters: Counters,
        log: Any,
    ) -> None:
        self._store = store
        self._journal = journal
        self._counters = counters
        self._log = log
        self._is_verbose = bool(log.is_enabled_for(logging.DEBUG))
        self._association = association
        self._series = SeriesBook(association, store.folders, store.markers, journal, log)
        self._time = TimeOfReceipt()
        self._scanners: dict[str, HeaderScanner] = {}
        self._file_meta: dict[tuple[str, str], FileMeta] = {}
        self._chunks: list[bytes | memoryview] = []
        self._command: Command
        self._context: ContextResult
        self._scanner: HeaderScanner
        self._file: TemporaryFile | None = None
        self._next_file: TemporaryFile | None = None
        self._placed: TemporaryFile | None = None
        self._written: Entry | None = None
        self._failure: Refusal | None = None
        self._has_data = False
        self._template: InstanceTemplate | None = None

    def begin(self, command: Command, context: ContextResult) -> None:
        """Take a C-STORE-RQ; its data set follows by `feed`."""
        self._command = command
        self._context = context
        self._failure = self._file = self._template = None
        self._has_data = False
        self._chunks.clear()
        syntax = context.transfer_syntax
        scanner = self._scanners.get(syntax)
        if scanner is None:
            scanner = self._scanners[syntax] = HeaderScanner(syntax)
        self._scanner = scanner
        sop_class = context.abstract_syntax
        if command.affected_sop_class_uid != sop_class or sop_class == VERIFICATION_SOP_CLASS:
            self._failure = SOPClassNotSupported(
                "Affected SOP Class UID is none of this context", (AFFECTED_SOP_CLASS_UID,)
            )
        elif not is_uid(command.affected_sop_instance_uid):
            self._failure = InvalidSOPInstance(
                "Affected SOP Instance UID is malformed", (AFFECTED_SOP_INSTANCE_UID,)
            )
        else:
            obstacle = self._store.volume.obstacle
            if obstacle is not None:
                self._failure = obstacle.refusal()

    def feed(self, data: memoryview) -> None:
        """Take a fragment of the data set. It is kept as a view until `spill` or `finish`."""
        if self._failure is not None or not data:
            return
        try:
            if not self._has_data:
                self._has_data = True
                self._chunks.append(self._meta())
                self._scanner.start(data)
            else:
                self._scanner.feed(data)
        except HeaderError as error:
            self._fail(_not_understood(error))
            return
        except Exception:  # noqa: BLE001 -- logged; one bad instance never ends an association
            self._fail(self._our_failure())
            return
        self._chunks.append(data)
        if len(self._chunks) >= _MOST_CHUNKS:
            self.spill()

    def spill(self) -> None:
        """Write out what is kept, because the buffer it lies in is needed."""
        if self._failure is not None or not self._chunks:
            return
        try:
            self._open_file().write(self._chunks)
        except OutOfResources as error:
            self._file = None
            self._fail(error)
        self._chunks.clear()

    def finish(self) -> None:
        """Store the instance whose last fragment was fed. The answer may be sent now, then comes `settle`.

        Raises:
            Refusal: the status to answer with; anything else means success (0x0000).
        """
        try:
            self._finish()
        except Refusal as error:
            self._refused(error)
            raise
        except Exception as error:  # likewise, and raised on
            refusal = self._our_failure()
            self._refused(refusal)
            raise refusal from error
        finally:
            self._drop()

    def _finish(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._has_data:
            raise CannotUnderstand("data set is absent")
        try:
            raw = self._scanner.finish()
            self._match(raw)
            self._template = template = self._series.template(raw, self._context)
            uid = self._command.affected_sop_instance_uid
            name = template.file_name(raw.InstanceNumber, uid)
        except InstanceError as error:
            raise _not_understood(error) from error
        file = self._open_file()
        if self._chunks:
            file.write(self._chunks)
        series = template.series
        series.folder, placed = file.place(self._series.folder(series), name)
        self._file, self._placed = None, file
        self._make_known(template, series.folder, template.record(name, uid, file.size, self._time.now()))
        self._stored(template, placed, file.size)

    def _make_known(self, template: InstanceTemplate, folder: SeriesFolder, record: bytes) -> None:
        """Make the file's name and its record durable, side by side, while its series counts as open."""
        if self._store.volume.hang is not None:  # the file got its name too late
            raise self._store.volume.hang.refusal()
        self._written = written = self._series.append(template, record)
        self._store.sync_folder(folder)
        series = template.series
        if not series.marked_in:  # behind the folder's sync, which on most file systems has done the work
            self._series.keep_open(series)
        self._journal.wait(written)
        if series.marked_in != self._journal.life:
            self._series.keep_open(series)
        series.started = True

    def settle(self) -> None:
        """Let the mark pass the record, and close the file; to be called after `finish`, whatever it did.

        The answer, if it can be sent, goes out before: its SCU need not wait for either.
        """
        written, self._written = self._written, None
        if written is not None:
            self._journal.settle(written)
        placed, self._placed = self._placed, None
        if placed is not None:
            placed.close()

    def prepare(self) -> None:
        """Make the file of the next instance while its SCU has it still to send. Need not succeed.

        Not while the volume hangs: this thread would be held up, and its SCU get no answer any more.
        """
        if self._next_file is None and self._store.volume.hang is None:
            with contextlib.suppress(OutOfResources):  # tried again, and answered, when it is needed
                self._next_file = self._store.new_file()

    def _open_file(self) -> TemporaryFile:
        """The file of this instance, made if need be.

        Raises:
            OutOfResources: if it cannot be made.
        """
        if self._file is None:
            prepared, self._next_file = self._next_file, None
            if prepared is not None and not prepared.is_fresh:
                prepared.discard()
                prepared = None
            self._file = prepared or self._store.new_file()
        return self._file

    def _match(self, raw: RawValues) -> None:
        """Compare the command's UIDs with the data set's (PS3.4 B.2.3, 0xA900)."""
        command = self._command
        for tag, found, wanted in (
            (SOP_CLASS_UID, raw.SOPClassUID, command.affected_sop_class_uid),
            (SOP_INSTANCE_UID, raw.SOPInstanceUID, command.affected_sop_instance_uid),
        ):
            if found is None or found.strip(b"\0 ") != wanted.encode("latin-1"):
                fault = "is absent" if found is None else "is not that of the command"
                raise DoesNotMatchSOPClass(f"{tag_name(tag)} {fault}", (tag,))

    def _meta(self) -> bytes:
        key = (self._context.abstract_syntax, self._context.transfer_syntax)
        meta = self._file_meta.get(key)
        if meta is None:
            meta = self._file_meta[key] = FileMeta(
                *key, self._association.calling_ae_title, self._association.called_ae_title
            )
        return meta.encode(self._command.affected_sop_instance_uid.encode("ascii"))

    def _fail(self, refusal: Refusal) -> None:
        """Remember why; the rest of the data set is read and thrown away."""
        self._failure = refusal
        self._drop()

    def _drop(self) -> None:
        self._chunks.clear()
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _our_failure(self) -> ProcessingFailure:
        """Log the exception under way, which is a fault of ours."""
        self._log.exception("instance_failed", **self._uids())
        return ProcessingFailure("receiver failed to process the instance")

    def _stored(self, template: InstanceTemplate, placed: str, size: int) -> None:
        counters = self._counters
        counters.instances_stored += 1
        counters.bytes_stored += size
        template.series.received += 1
        if placed == "replaced":
            counters.instances_replaced += 1
            self._log.warning("instance_replaced", **self._uids())
        elif placed == "kept":
            counters.instances_kept += 1
        if self._is_verbose:
            self._log.debug("instance_stored", **self._uids())

    def _refused(self, refusal: Refusal) -> None:
        self._counters.refuse(refusal.status)
        if isinstance(refusal, OutOfResources):
            self._store.refusals.add(refusal)
        uids = self._uids()
        self._series.refused(self._template, refusal, uids)
        self._log.warning(
            "instance_refused", status=f"0x{refusal.status:04X}", reason=refusal.comment, **uids
        )

    def _uids(self) -> dict[str, str]:
        """The UIDs known of the instance. What is no UID may be anything, a name too, and is left out."""
        uids = {
            "SOPClassUID": self._command.affected_sop_class_uid,
            "SOPInstanceUID": self._command.affected_sop_instance_uid,
        }
        if self._template is not None:
            uids["SeriesInstanceUID"] = self._template.series.identity.SeriesInstanceUID
        return {keyword: uid for keyword, uid in uids.items() if is_uid(uid)}

    def cancel(self) -> None:
        """Drop an instance whose data set will not be completed."""
        self._drop()

    def end(self, *, released: bool) -> None:
        """Record that the association and its series have ended."""
        try:
            self.cancel()
            prepared, self._next_file = self._next_file, None
            if prepared is not None:
                prepared.discard()
        finally:
            self._series.end(released=released)


def _not_understood(error: InstanceError) -> CannotUnderstand:
    tag = error.tag if isinstance(error, HeaderError) else None
    return CannotUnderstand(str(error), () if tag is None else (tag,))
