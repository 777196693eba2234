"""The open connections of a listener: one daemon thread each, bounded in number, abortable."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final

import structlog

from lapidicom.receiver.control import Connection
from lapidicom.receiver.listener.service import Association

MOST_BARE: Final = 64
"""Connections without a place, beyond the number of places: probes of load balancers, slow peers."""

Make = Callable[[socket.socket, Connection], Association]
"""Makes what serves a connection."""


class Connections:
    """All connections that were handed to this process and are still open.

    Args:
        make: makes what serves a connection.
        places: the number of places for associations.
        on_end: called from the thread of a connection that has ended.
    """

    def __init__(self, make: Make, places: int, on_end: Callable[[], None]) -> None:
        self.taken = 0
        self.closed_bare = 0
        self.lost = 0
        self._make = make
        self._most_bare = MOST_BARE + places
        self._on_end = on_end
        self._lock = threading.Lock()
        self._open: dict[int, Association] = {}
        self._log = structlog.get_logger()

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self._open)

    def take(self, descriptor: int, peer: Connection) -> None:
        """Serve a connection in a thread of its own, or close it when too many have no place.

        Args:
            descriptor: the connection; owned from now on.
            peer: the other side.
        """
        sock = socket.socket(fileno=descriptor)
        self.taken += 1
        if self.open >= self._most_bare and self._bare() >= self._most_bare:
            self._refuse(sock)
            return
        with contextlib.suppress(OSError):  # the peer may have gone already; serving will find out
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            number, association = self.taken, self._make(sock, peer)
        except Exception as error:  # noqa: BLE001 -- one connection never disturbs another
            self._log.error("connection_failed", exc_info=error)
            sock.close()
            return
        with self._lock:
            self._open[number] = association
        try:
            threading.Thread(
                target=self._run, args=(number, association), name=f"connection-{number}", daemon=True
            ).start()
        except RuntimeError as error:  # no more threads to be had
            self._log.error("thread_not_started", exc_info=error)
            del self._open[number]
            self._refuse(sock)

    def lose(self) -> None:
        """Count a connection that was handed over but did not arrive: no descriptor was free for it."""
        self.taken += 1
        self.lost += 1

    def stop_bare(self) -> None:
        """Cut the connections that have no place: nothing was promised to them."""
        for association in self._present():
            if not association.has_place:
                association.stop()

    def stop_all(self) -> None:
        """Abort all associations."""
        for association in self._present():
            association.stop()

    def _present(self) -> list[Association]:
        with self._lock:
            return list(self._open.values())

    def _bare(self) -> int:
        return sum(not association.has_place for association in self._present())

    def _refuse(self, sock: socket.socket) -> None:
        self.closed_bare += 1
        sock.close()

    def _run(self, number: int, association: Association) -> None:
        try:
            association.run()
        except Exception as error:  # noqa: BLE001 -- one bad association never disturbs another
            self._log.error("connection_failed", exc_info=error)
        finally:
            with self._lock:
                del self._open[number]
            self._on_end()
