"""SCPs that answer C-FIND: dcmtk's dcmqrscp, and one of pynetdicom's that says what a test wants."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from lapidicom.common.pacs_address import PacsAddress
from tests.support.instances import Instance
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.process_groups import leash
from tests.support.requirements import tool

Answers = Callable[[Dataset], Iterable[tuple[int, Dataset | None]]]
"""From an identifier to statuses and matches."""


@contextmanager
def query_scp(answers: Answers, *, model: str = StudyRootQueryRetrieveInformationModelFind) -> Iterator[int]:
    """An SCP at a port of the loopback interface that answers each C-FIND of a model so."""
    entity = AE("PACS")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    entity.add_supported_context(model)
    entity.add_supported_context(Verification)

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield from answers(event.identifier)

    server = entity.start_server(("127.0.0.1", 0), evt_handlers=[(evt.EVT_C_FIND, find)], block=False)
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


def match(series_uid: str, count: object = None) -> Dataset:
    """A match at the level SERIES."""
    row = Dataset()
    row.QueryRetrieveLevel = "SERIES"
    row.SeriesInstanceUID = series_uid
    if count is not None:
        row.NumberOfSeriesRelatedInstances = count
    return row


@contextmanager
def dcmqrscp(folder: Path, instances: Iterable[Instance], title: str = "PACS") -> Iterator[PacsAddress]:
    """A dcmqrscp that has these instances."""
    port, storage = free_port(), folder / "storage"
    storage.mkdir(parents=True)
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{title} {storage} RW (200, 1024mb) ANY\nAETable END\n"
    )
    files = [str(one.write(folder)) for one in instances]
    index = [str(tool("dcmqridx", "dcmtk")), str(storage), *files]
    subprocess.run(index, check=True, capture_output=True, timeout=50)
    program = [*leash(), str(tool("dcmqrscp", "dcmtk")), "-c", str(configuration)]
    process = subprocess.Popen(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: _is_open(port), 30, what="dcmqrscp's port")
        yield PacsAddress(title, "127.0.0.1", port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, 9)
        process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
