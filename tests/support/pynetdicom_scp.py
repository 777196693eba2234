"""pynetdicom's SCP as a process: `python -m tests.support.pynetdicom_scp` prints its port."""

import logging
import threading

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.events import Event


def _stored(_: Event) -> int:
    return 0x0000


def main() -> None:
    """Serve verification and storage at a free port of the loopback interface."""
    logging.disable(logging.CRITICAL)
    entity = AE("ANY_SCP")
    entity.maximum_associations = 1000
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    entity.add_supported_context("1.2.840.10008.1.1", ALL_TRANSFER_SYNTAXES)
    for context in AllStoragePresentationContexts:
        assert context.abstract_syntax is not None
        # As ours: whoever connects is the SCU, whatever else it offers to be
        entity.add_supported_context(
            context.abstract_syntax, ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=False
        )
    server = entity.start_server(("127.0.0.1", 0), evt_handlers=[(evt.EVT_C_STORE, _stored)], block=False)
    assert server is not None
    print(server.server_address[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
