"""Accepts connections and hands each over to a listener process; never blocks, and keeps one at most."""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from lapidicom.receiver.control import Connection
from lapidicom.receiver.supervisor.child import Child

_BATCH: Final = 64
"""Connections accepted before other events have their turn."""

_PAUSE: Final = 0.5
"""Seconds for which a process without free descriptors or memory leaves connections in the backlog."""

_RETRY: Final = 0.02
"""Seconds between two tries to hand over a connection while the control sockets of all listeners are full."""

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """The listening socket of the SCP.

    Args:
        listening: the bound socket; owned from now on.
        takers: who may take the next connection, the best one first.
        expects_taker: whether, while nobody can, somebody will be able to within seconds.
    """

    def __init__(
        self,
        listening: socket.socket,
        takers: Callable[[], Sequence[Child]],
        expects_taker: Callable[[], bool],
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self.closed_untaken = 0
        self._socket = listening
        self._takers = takers
        self._expects_taker = expects_taker
        self._loop = asyncio.get_running_loop()
        self._held: tuple[Connection, socket.socket] | None = None
        self._reported = 0
        self._paused_until = 0.0
        self._log = structlog.get_logger()
        listening.setblocking(False)
        self.resume()

    def resume(self) -> None:
        """Look for connections again; to be called when a listener has become live, and each second."""
        if self._socket.fileno() >= 0 and self._loop.time() >= self._paused_until:
            self._loop.add_reader(self._socket.fileno(), self._accept)
            if self._held is not None:
                self._accept()

    def close(self) -> None:
        """Stop listening; connections still in the backlog are reset by the kernel."""
        if self._socket.fileno() >= 0:
            self._pause()
            self._socket.close()
        self._close_held()

    def report(self) -> None:
        """Log what was closed since the last call: one line, for a flood of connections too."""
        count = self.closed_untaken - self._reported
        if count:
            self._reported = self.closed_untaken
            self._log.warning("connections_closed", count=count, reason="no listener can take them")

    def _pause(self) -> None:
        self._loop.remove_reader(self._socket.fileno())

    def _accept(self) -> None:
        for _ in range(_BATCH):
            takers = self._takers()
            if not takers and self._expects_taker():
                # The kernel keeps them in the backlog meanwhile; resume() comes with the first report.
                self._pause()
                return
            if self._held is None:
                try:
                    sock, address = self._socket.accept()
                except BlockingIOError:
                    return
                except OSError as error:
                    if error.errno in _EXHAUSTED:
                        self._log.error("accept_failed", exc_info=error)
                        self._pause_for(_PAUSE)
                        return
                    continue  # the peer has gone in between
                self._held = Connection(address[0].removeprefix("::ffff:"), address[1]), sock
            if not self._hand_over(*self._held, takers):
                self._pause_for(_RETRY)
                return

    def _hand_over(self, connection: Connection, sock: socket.socket, takers: Sequence[Child]) -> bool:
        """Give the held connection to a listener, or close it if none lives; False: try again soon."""
        if any(taker.hand_over(connection, sock) for taker in takers):
            sock.close()
            self._held = None
        elif takers:
            # They live, and have not yet read what was handed to them: the peer can wait for that.
            return False
        else:
            self.closed_untaken += 1
            self._close_held()
        return True

    def _close_held(self) -> None:
        if self._held is not None:
            self._held[1].close()
            self._held = None

    def _pause_for(self, seconds: float) -> None:
        self._paused_until = self._loop.time() + seconds
        self._pause()
        self._loop.call_later(seconds * 1.1, self.resume)
