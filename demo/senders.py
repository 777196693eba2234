"""SCUs: dcmtk's dcmsend where it is installed, and pynetdicom for what it cannot send as it is."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import AE, _config
from pynetdicom.association import Association

from demo.files import InstanceFile
from tests.support.process_groups import end, leash
from tests.support.pynetdicom_scu import serve_nobody

CALLED_AET = "ChRIS"
CONTEXTS = 128  # presentation contexts of an association (PS3.8 9.3.2.2)
ARGUMENT_BYTES = 100_000  # of file names per command line


@dataclass(frozen=True)
class Target:
    """Where to send to, and in whose name."""

    port: int
    calling_aet: str


@dataclass(frozen=True)
class Unsent:
    """A file that was offered in vain: its presentation context was refused, or it could not be sent."""

    file: InstanceFile
    refused: bool
    reason: str


def dcmsend_program() -> str | None:
    """The program dcmsend of dcmtk, if it is installed."""
    own = str(Path(sys.prefix) / "bin")
    folders = [name for name in os.environ.get("PATH", os.defpath).split(os.pathsep) if name != own]
    return shutil.which("dcmsend", path=os.pathsep.join(folders))


def dcmsend_arguments(target: Target) -> list[str]:
    """Go on after a refusal, propose what the files hold."""
    return [
        *("--no-halt", "--decompress-never", "--read-file-only", "--quiet"),
        *("--timeout", "10", "--dimse-timeout", "120"),
        *("--aetitle", target.calling_aet, "--call", CALLED_AET),
        *("127.0.0.1", str(target.port)),
    ]


def send_by_dcmsend(
    program: str, files: Sequence[InstanceFile], target: Target, meanwhile: Callable[[], None]
) -> None:
    """Send files by dcmsend; what it could not send is missing at the wire tap.

    Args:
        program: its path.
        files: what to send.
        target: where to.
        meanwhile: called several times a second.
    """
    for names in _batches([str(file.path) for file in files]):
        process = subprocess.Popen(
            [*leash(), program, *dcmsend_arguments(target), *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    meanwhile()
                else:
                    break
        finally:
            end(process, signal.SIGTERM, 5)


def send_by_pynetdicom(
    files: Sequence[InstanceFile], target: Target, meanwhile: Callable[[], None]
) -> list[Unsent]:
    """Send the data sets of files byte for byte; returns those that the SCP would not take at all."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.ENFORCE_UID_CONFORMANCE = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    unsent: list[Unsent] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for group in _by_contexts(files):
            unsent += _send_group(group, target, meanwhile)
    return unsent


def _send_group(files: Sequence[InstanceFile], target: Target, meanwhile: Callable[[], None]) -> list[Unsent]:
    entity = AE(ae_title=target.calling_aet)
    entity.maximum_pdu_size = 0
    for sop_class, transfer_syntax in dict.fromkeys(_context(file) for file in files):
        entity.add_requested_context(sop_class, transfer_syntax)
    association: Association | None = None
    unsent = []
    try:
        for file in files:
            if association is None or not association.is_established:
                association = entity.associate("127.0.0.1", target.port, ae_title=CALLED_AET)
                serve_nobody(association)
            if not association.is_established:
                unsent.append(Unsent(file, refused=True, reason="association refused"))
                continue
            accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}
            if _context(file) not in accepted:
                reason = f"presentation context refused (transfer syntax {file.transfer_syntax_uid})"
                unsent.append(Unsent(file, refused=True, reason=reason))
                continue
            try:
                association.send_c_store(file.path)
            except (ValueError, AttributeError, RuntimeError, OSError) as error:
                unsent.append(Unsent(file, refused=False, reason=f"pynetdicom cannot send it: {error}"))
            meanwhile()
    finally:
        if association is not None and association.is_established:
            association.release()
    return unsent


def _context(file: InstanceFile) -> tuple[str, str]:
    return file.sop_class_uid, file.transfer_syntax_uid


def _by_contexts(files: Iterable[InstanceFile]) -> Iterator[list[InstanceFile]]:
    """Groups that need no more presentation contexts than an association may have."""
    group: list[InstanceFile] = []
    contexts: set[tuple[str, str]] = set()
    for file in files:
        if len(contexts | {_context(file)}) > CONTEXTS:
            yield group
            group, contexts = [], set()
        contexts.add(_context(file))
        group.append(file)
    if group:
        yield group


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        if batch and sum(map(len, batch)) + len(name) > ARGUMENT_BYTES:
            yield batch
            batch = []
        batch.append(name)
    if batch:
        yield batch
