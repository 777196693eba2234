"""InstanceStored messages for tests, and the files that they speak of."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lapidicom.common.messages import InstanceStored


def instance_stored(number: int = 1, **changes: Any) -> InstanceStored:
    """A message as a receiver would send it."""
    uid = f"1.2.826.0.1.3680043.2.1143.{number}"
    fields: dict[str, Any] = {
        "path": f"SERVICES/PACS/ORTHANC/p-DOE_JANE-/MR-a-20240102/00001-T1-0123abc/{number:04}-{uid}.dcm",
        "pacs_name": "ORTHANC",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "SOPInstanceUID": uid,
        "TransferSyntaxUID": "1.2.840.10008.1.2.1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientID": "p",
        "StudyDate": "20240102",
        "PatientName": "DOE^JANE",
        "Modality": "MR",
        "size": 3,
        "association_id": "a1",
        "calling_ae_title": "ORTHANC",
        "called_ae_title": "ChRIS",
        "peer_address": "127.0.0.1:4242",
        "receiver": "receiver-0",
        "received_at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return InstanceStored(**(fields | changes))


def store(root: Path, message: InstanceStored) -> InstanceStored:
    """Write the file that the message speaks of."""
    file = root / message.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"dcm")
    return message
