"""The open connections of a listener: one daemon thread each, bounded in number, abortable."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from lapidicom.receiver.association.association import Association
from lapidicom.receiver.control import Connection

MOST_BARE: Final = 64
"""Bare connections, beyond the number of places: probes of load balancers, slow peers.

When there are more, the oldest of them makes room for the newcomer: a flood of connections that say nothing
keeps nobody out.
"""


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
        self._open: dict[int, tuple[str, Association]] = {}
        self._stopping: set[int] = set()
        self._log = structlog.get_logger()

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self._open)

    def take(self, descriptor: int, peer: Connection) -> None:
        """Serve a connection in a thread of its own; when too many are bare, one of them is closed.

        Args:
            descriptor: the connection; owned from now on.
            peer: the other side.
        """
        sock = socket.socket(fileno=descriptor)
        self.taken += 1
        if self.open >= self._most_bare and not self._make_room():
            self._refuse(sock)
            return
        with contextlib.suppress(OSError):  # the peer may have gone already; serving will find out
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            number, handler = self.taken, self._make(sock, peer)
        except Exception as error:  # noqa: BLE001 -- one connection never disturbs another
            self._log.error("connection_failed", exc_info=error)
            sock.close()
            return
        with self._lock:
            self._open[number] = (peer.host, handler)
        try:
            threading.Thread(
                target=self._run, args=(number, handler), name=f"connection-{number}", daemon=True
            ).start()
        except RuntimeError as error:  # no more threads to be had
            self._log.error("thread_not_started", exc_info=error)
            self._forget(number)
            self._refuse(sock)

    def lose(self) -> None:
        """Count a connection that was handed over but did not arrive: no descriptor was free for it."""
        self.taken += 1
        self.lost += 1

    def present(self) -> dict[int, Association]:
        """What serves the open connections, by their number."""
        with self._lock:
            return {number: handler for number, (_, handler) in self._open.items()}

    def stop_bare(self) -> None:
        """Cut the bare connections: nothing was promised to them."""
        for handler in self.present().values():
            if handler.is_bare:
                handler.stop()

    def stop_all(self) -> None:
        """Abort all associations."""
        for handler in self.present().values():
            handler.stop()

    def _make_room(self) -> bool:
        """Close the oldest bare connection of the address that has most of them, if there are too many.

        Returns:
            False if as many as are allowed are stopping.
        """
        with self._lock:
            bare = {
                number: host
                for number, (host, handler) in self._open.items()
                if number not in self._stopping and handler.is_bare
            }
            if len(bare) < self._most_bare:
                return True
            if len(self._stopping) >= self._most_bare:
                return False
            counts = Counter(bare.values())
            victim = min(bare, key=lambda number: (-counts[bare[number]], number))
            self._stopping.add(victim)
            handler = self._open[victim][1]
        self.closed_bare += 1
        handler.stop()
        return True

    def _forget(self, number: int) -> None:
        with self._lock:
            del self._open[number]
            self._stopping.discard(number)

    def _refuse(self, sock: socket.socket) -> None:
        self.closed_bare += 1
        sock.close()

    def _run(self, number: int, handler: Association) -> None:
        try:
            handler.run()
        except Exception as error:  # noqa: BLE001 -- one bad association never disturbs another
            self._log.error("connection_failed", exc_info=error)
        finally:
            self._forget(number)
            self._on_end()
