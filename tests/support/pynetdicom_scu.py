"""Keeps pynetdicom, as an SCU, from losing the answers of a quick SCP."""

from typing import Any

from pynetdicom.association import Association


def serve_nobody(association: Association) -> None:
    """Keep pynetdicom's reactor from taking a response for a request.

    It looks for requests of the peer once more after a sender has paused it, and throws away a response
    that is there already: the sender then waits for its DIMSE time-out (association.py, `_run_reactor`).
    About one store in a hundred was hit. An SCU has no requests to serve.
    """
    get_msg = association.dimse.get_msg

    def only_for_senders(block: bool = False) -> Any:
        return get_msg(block=True) if block else (None, None)

    association.dimse.get_msg = only_for_senders  # type: ignore[method-assign]
