"""Holds what the receiver promised beside what lies on the volume and in the journal."""

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom

from lapidicom.common.instance.path import pacs_name
from lapidicom.common.journal import records
from lapidicom.common.messages import InstanceStored
from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.support.instances import Instance
from tests.support.journals import records_of


def stored_paths(files_root: Path, pacs: str = "") -> set[str]:
    """All files of a PACS, or of all, relative to the storage root."""
    folder = files_root / "SERVICES" / "PACS" / pacs
    return {path.relative_to(files_root).as_posix() for path in folder.rglob("*") if path.is_file()}


def temporary_files(spool: Path) -> list[str]:
    """What lies in the folders of temporary files."""
    return sorted(str(path.relative_to(spool)) for path in (spool / "incoming").rglob("*") if path.is_file())


def check_stored(
    files_root: Path,
    calling: str,
    sent: Iterable[Instance],
    *,
    called: str = "ChRIS",
    times: int = 1,
    title_in_file: str | None = None,
) -> list[dict[str, Any]]:
    """Check files, modes and journal: exactly these instances were stored for this AE title.

    Args:
        files_root: CUBE's storage root, the spool in its default place.
        calling: the calling AE title, used by nobody else on this volume.
        sent: the instances, each once.
        called: the called AE title.
        times: how often each was answered with success.
        title_in_file: the calling AE title as File Meta can hold it, where it differs.

    Returns:
        The journal's records of these instances.
    """
    by_path = {one.path(calling): one for one in sent}
    found = stored_paths(files_root, pacs_name(calling))
    assert found == set(by_path), f"missing: {set(by_path) - found}, not sent: {found - set(by_path)}"
    for path, one in by_path.items():
        _check_file(files_root / path, one, title_in_file or calling, called)
    received = records_of(files_root / ".lapidicom", records.INSTANCE_RECEIVED, calling)
    assert sorted(one["path"] for one in received) == sorted([*by_path] * times)
    for record in received:
        one = by_path[record["path"]]
        _check_record(record, files_root / record["path"], one, called)
    for folder in {(files_root / path).parent for path in by_path}:
        while folder != files_root:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o775, folder
            folder = folder.parent
    return received


def _check_file(file: Path, sent: Instance, calling: str, called: str) -> None:
    content = file.read_bytes()
    assert content[:132] == bytes(128) + b"DICM"
    meta = pydicom.filereader.read_file_meta_info(file)
    length = int.from_bytes(content[140:144], "little")
    assert content[144 + length :] == sent.data_set, f"{sent.name} {file.name}: the data set was changed"
    assert meta.MediaStorageSOPClassUID == sent.sop_class
    assert meta.MediaStorageSOPInstanceUID == sent.sop_instance
    assert meta.TransferSyntaxUID == sent.transfer_syntax
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert (meta.SourceApplicationEntityTitle, meta.SendingApplicationEntityTitle) == (calling, calling)
    assert meta.ReceivingApplicationEntityTitle == called
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


def _check_record(message: dict[str, Any], file: Path, sent: Instance, called: str) -> None:
    stored = InstanceStored.model_validate(message)
    assert stored.model_dump(mode="json").keys() == message.keys()
    assert stored.size == file.stat().st_size
    assert stored.TransferSyntaxUID == sent.transfer_syntax
    assert stored.called_ae_title == called
    assert stored.peer_address.startswith("127.0.0.1:")
    for keyword, value in sent.tags._asdict().items():
        if keyword in message and keyword != "PatientAge":
            assert message[keyword] == value, f"{keyword}: {message[keyword]!r}, not {value!r}"
