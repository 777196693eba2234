"""The message that registers a stored instance: from its record, else from its file alone."""

from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lapidicom.cli.reconcile.fate import Missing
from lapidicom.common.broker import Envelope
from lapidicom.common.instance.charset import decode
from lapidicom.common.instance.errors import HeaderError, InstanceError
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.part10 import HEAD_LENGTH, read_file_meta
from lapidicom.common.instance.registration import registration_fields
from lapidicom.common.instance.tags import check
from lapidicom.common.messages import InstanceStored
from lapidicom.common.topology import EXCHANGE, WORK_QUEUE

RECONCILE: Final = "lapidicom-reconcile"
"""Header: id of the run that made the message."""

UNKNOWN: Final = "unknown"
"""Stands for what no record tells of: association, peer, receiver."""

_CHUNK: Final = 1 << 18


class NoMessage(Exception):
    """No message can be made; the text names tags and fields, never a value."""


def message_of(root: Path, missing: Missing, run: str) -> Envelope:
    """Make the message of a file: its record's, with the same id; without a record its file's own.

    It goes to the work queue alone, so that sites' own queues get no event twice.

    Args:
        root: CUBE's storage root, as we see it.
        missing: the file.
        run: id of the run of reconcile.

    Raises:
        NoMessage: the file does not say what CUBE must know.
        OSError: it cannot be read.
    """
    name, body = id_of_path(missing.path), b""
    if missing.record is not None:
        with suppress(ValidationError):
            InstanceStored.model_validate_json(missing.record.record.body)
            name, body = missing.record.lapidicom_id, missing.record.record.body
    body = body or of_file(root, missing.path).model_dump_json().encode()
    of = InstanceStored
    return Envelope(EXCHANGE, WORK_QUEUE, of.TYPE, of.VERSION, name, body, {RECONCILE: run})


def id_of_path(path: str) -> str:
    """The stable id of a message that no record has made: of the path alone."""
    return f"reconcile.{sha256(path.encode()).hexdigest()[:32]}"


def of_file(root: Path, path: str) -> InstanceStored:
    """What the receiver would have sent, by the file's own header.

    Raises:
        NoMessage: the file does not say what CUBE must know.
        OSError: it cannot be read.
    """
    file = root / path
    with file.open("rb") as stream:
        head = stream.read(HEAD_LENGTH)
        try:
            meta = read_file_meta(head)
            scanner = HeaderScanner(meta.transfer_syntax_uid)
            scanner.start(head[meta.data_set :])
            while data := stream.read(_CHUNK):
                scanner.feed(data)
            tags = decode(scanner.finish())
            check(tags)
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
        "calling_ae_title": meta.calling_ae_title or pacs,
        "called_ae_title": meta.called_ae_title or UNKNOWN,
        **dict.fromkeys(("association_id", "peer_address", "receiver"), UNKNOWN),
    }
    return InstanceStored.model_validate(fields)
