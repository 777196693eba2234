"""pynetdicom's SCP at its best: large PDUs, data sets in chunks to the file, no validators, no log, no Nagle.

The file that pynetdicom writes while it receives (in TMPDIR) is given its name; nothing is decoded or copied.
"""

import argparse
import os
import socket
from pathlib import Path

import pydicom.config
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]


def serve(port: int, folder: Path, max_pdu_length: int) -> None:
    """Serve until the process is killed."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.VALIDATORS = dict.fromkeys(_config.VALIDATORS, _valid)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE

    def store(event: evt.Event) -> int:
        uid = event.request.AffectedSOPInstanceUID  # type: ignore[union-attr]
        os.rename(event.dataset_path, f"{folder}/{uid}.dcm")  # noqa: PTH104 -- a Path costs 10 us more
        return 0x0000

    def without_nagle(event: evt.Event) -> None:
        connection = event.assoc.dul.socket.socket  # type: ignore[union-attr]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[union-attr]

    entity = AE("PYNETDICOM")
    entity.maximum_pdu_size = max_pdu_length
    entity.maximum_associations = 64
    entity.supported_contexts = AllStoragePresentationContexts
    entity.add_supported_context(Verification)
    entity.start_server(
        ("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_CONN_OPEN, without_nagle)]
    )


def _valid(_: object) -> tuple[bool, str]:
    return True, ""


def main() -> None:
    """Serve on a port of the loopback interface."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where instances are stored")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-pdu", type=int, required=True)
    arguments = parser.parse_args()
    serve(arguments.port, arguments.folder, arguments.max_pdu)


if __name__ == "__main__":
    main()
