"""The message that registers a stored instance: from its record, else from its file alone."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from lapidicom.cli.reconcile.fate import Missing
from lapidicom.common.broker import Envelope
from lapidicom.common.instance.charset import decode
from lapidicom.common.instance.errors import HeaderError, InstanceError
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.part10 import HEAD_LENGTH, read_file_meta
from lapidicom.common.instance.registration import registration_fields
from lapidicom.common.instance.tags import InstanceTags, check
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import EXCHANGE, WORK_QUEUE

RECONCILE: Final = "lapidicom-reconcile"
"""Header: id of the run that made the message."""

UNKNOWN: Final = "unknown"
"""Stands for what no record tells of: association, peer, receiver."""

_CHUNK: Final = 1 << 18


class NoMessage(Exception):
    """No message can be made; the text names tags and fields, never a value."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A message and its stable id."""

    lapidicom_id: str
    message: InstanceStored

    def envelope(self, run: str) -> Envelope:
        """As it is published: to the work queue alone, so that sites' own queues get no event twice.

        Args:
            run: id of the run of reconcile.
        """
        body, of = self.message.model_dump_json().encode(), InstanceStored
        headers = {RECONCILE: run}
        return Envelope(EXCHANGE, WORK_QUEUE, of.TYPE, of.VERSION, self.lapidicom_id, body, headers)


def message_of(root: Path, missing: Missing) -> Registration:
    """Make the message of a file: its record's, with the same id; without a record its file's own.

    Raises:
        NoMessage: the file does not say what CUBE must know.
        OSError: it cannot be read.
    """
    record = missing.record
    if record is not None:
        with suppress(ValidationError):
            return Registration(record.lapidicom_id, InstanceStored.model_validate_json(record.message))
    return of_file(root, missing.path)


def id_of_path(path: str) -> str:
    """The stable id of a message that no record has made: of the path alone."""
    return f"reconcile.{sha256(path.encode()).hexdigest()[:32]}"


def of_file(root: Path, path: str) -> Registration:
    """Make the message of a file from its own header, as the receiver would have made it.

    Raises:
        NoMessage: the file does not say what CUBE must know.
        OSError: it cannot be read.
    """
    file = root / path
    with file.open("rb") as stream:
        head = stream.read(HEAD_LENGTH)
        try:
            meta = read_file_meta(head)
            tags = _tags(stream, head[meta.data_set :], meta.transfer_syntax_uid)
            if tags.SOPClassUID is None:
                raise HeaderError("SOPClassUID (0008,0016) is missing")
        except InstanceError as error:
            raise NoMessage(str(error)) from error
        found = file.stat()
    pacs = path.split("/")[2]
    fields = {
        **registration_fields(tags),
        "path": path,
        "pacs_name": pacs,
        "SOPClassUID": tags.SOPClassUID,
        "SOPInstanceUID": tags.SOPInstanceUID,
        "TransferSyntaxUID": meta.transfer_syntax_uid,
        "size": found.st_size,
        "received_at": datetime.fromtimestamp(found.st_mtime, UTC),
        "association_id": UNKNOWN,
        "calling_ae_title": meta.calling_ae_title or pacs,
        "called_ae_title": meta.called_ae_title or UNKNOWN,
        "peer_address": UNKNOWN,
        "receiver": UNKNOWN,
    }
    return Registration(id_of_path(path), InstanceStored.model_validate(fields))


def _tags(stream: Any, data: bytes, transfer_syntax_uid: str) -> InstanceTags:
    scanner = HeaderScanner(transfer_syntax_uid)
    scanner.start(data)
    while data := stream.read(_CHUNK):
        scanner.feed(data)
    tags = decode(scanner.finish())
    check(tags)
    return tags
