"""A TCP relay between SCU and receiver that notes what was really sent and answered.

SCUs such as dcmsend re-encode what they read: the data set that an SCU had is the one that it sent
over the wire, not the one in its file. The relay passes all bytes on unchanged.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import Self

from demo.dimse_reader import DimseReader, StoreRequest, StoreResponse

CHUNK = 1 << 18
SUCCESS = 0x0000


@dataclass(frozen=True)
class Exchange:
    """A C-STORE request and its answer."""

    sop_instance_uid: str
    digest: bytes
    status: int
    comment: str

    @property
    def accepted(self) -> bool:
        """Whether the SCP answered with success."""
        return self.status == SUCCESS


class WireTap:
    """Listens on `port` and relays each connection to the receiver's port.

    Attributes:
        exchanges: all answered requests, in the order of their answers.
    """

    def __init__(self, receiver_port: int) -> None:
        self._receiver_port = receiver_port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self.exchanges: list[Exchange] = []
        self._unanswered = 0
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._accepting.join(5)

    @property
    def unanswered(self) -> int:
        """Requests that were sent whole and got no answer."""
        with self._lock:
            return self._unanswered

    def _accept(self) -> None:
        while True:
            try:
                scu, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(scu,), daemon=True).start()

    def _relay(self, scu: socket.socket) -> None:
        try:
            scp = socket.create_connection(("127.0.0.1", self._receiver_port), 10)
        except OSError:
            scu.close()
            return
        with self._lock:
            self._connections |= {scu, scp}
        pending: dict[int, StoreRequest] = {}
        back = threading.Thread(target=self._pump, args=(scp, scu, pending), daemon=True)
        back.start()
        self._pump(scu, scp, pending)
        back.join()
        with self._lock:
            self._connections -= {scu, scp}
        scu.close()
        scp.close()

    def _pump(self, source: socket.socket, target: socket.socket, pending: dict[int, StoreRequest]) -> None:
        source.settimeout(None)
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = DimseReader()
        try:
            while True:
                # An SCU with Nagle's algorithm on waits for this acknowledgement; the option is one-shot.
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                data = source.recv(CHUNK)
                if not data:
                    break
                messages = list(reader.feed(data))  # before it is passed on: the answer must find its request
                self._note(messages, pending)
                target.sendall(data)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    def _note(self, messages: list[StoreRequest | StoreResponse], pending: dict[int, StoreRequest]) -> None:
        with self._lock:
            for message in messages:
                if isinstance(message, StoreRequest):
                    pending[message.message_id] = message
                    self._unanswered += 1
                elif message.message_id in pending:
                    request = pending.pop(message.message_id)
                    self._unanswered -= 1
                    self.exchanges.append(
                        Exchange(request.sop_instance_uid, request.digest, message.status, message.comment)
                    )
