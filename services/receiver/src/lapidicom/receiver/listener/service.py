"""What the shell of a listener process asks of the service inside it."""

import socket
from collections.abc import Mapping
from typing import Protocol

from lapidicom.receiver.control import Connection


class ConnectionHandler(Protocol):
    """Serves one transport connection, with or without an established association."""

    def run(self) -> None:
        """Serve it in the calling thread until it is closed."""

    def stop(self) -> None:
        """Ask, from another thread, that it be aborted now."""

    @property
    def is_bare(self) -> bool:
        """Whether it is no association, nor one that waits for a place: it may be cut at any time."""


class Service(Protocol):
    """Store, journal and upper layer of one listener."""

    def handler(self, sock: socket.socket, peer: Connection) -> ConnectionHandler:
        """Make what serves a connection; it closes the socket at its end."""

    def life(self) -> str:
        """Name of the folder of the present journal."""

    def fault(self) -> str | None:
        """Why it takes no instances while another process might; None if it does."""

    def degraded(self) -> str | None:
        """What is wrong and would be so for every process on this volume; None if nothing is."""

    def counters(self) -> Mapping[str, int]:
        """What was counted since the process began."""

    def must_restart(self) -> bool:
        """Whether only a fresh process can go on, because the volume was mounted anew."""

    def close(self) -> None:
        """Commit what waits, and let go of journal and volume."""
