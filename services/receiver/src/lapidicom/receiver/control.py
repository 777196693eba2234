"""The control socket between supervisor and child: one JSON object per packet (AF_UNIX SOCK_SEQPACKET).

Supervisor to child: `Settings` (always first), `Connection` (with the connection's descriptor),
`OwnerEnded` (to the relay), `Drain`. Child to supervisor: `Report`, each second, or `Unusable` instead of
the first. End of file on the child's end means that the supervisor is gone: the child ends at once.
"""

import array
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

PACKET_LIMIT: Final = 1 << 16
"""Bytes of the longest packet."""

REPORT_INTERVAL: Final = 1.0
"""Seconds between two reports of a child."""


class ControlError(Exception):
    """A packet that is none of ours: the two ends are of different versions, or one is broken."""


class ControlClosedError(Exception):
    """The other end of the control socket is gone."""


@dataclass(frozen=True)
class Settings:
    """The child's slice of the settings, as `Section.dump_slice` wrote it. Holds secrets: never logged."""

    slice: str = field(repr=False)


@dataclass(frozen=True)
class Connection:
    """An accepted TCP connection; its descriptor comes with the packet.

    Attributes:
        host: the peer's IP address; IPv4 in its own notation even where the socket is an IPv6 one.
        port: the peer's TCP port.
    """

    host: str
    port: int

    @property
    def address(self) -> str:
        """host:port; an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class OwnerEnded:
    """The supervisor saw the listener process of this journal end: the relay may finish it at once.

    Attributes:
        journal: name of its folder, `<receiver id>.<life>`.
    """

    journal: str


@dataclass(frozen=True)
class Drain:
    """Take nothing new, finish, and end. A later one with less grace cuts the earlier one's.

    Attributes:
        grace: seconds from now for what is under way.
    """

    grace: float


@dataclass(frozen=True)
class Report:
    """How a child is; sent each second, and the first one as soon as the child is ready to work.

    Attributes:
        connections: TCP connections open now.
        taken: connections taken over since the process began.
        places: places in use.
        journal: name of the folder of the listener's journal; None for the relay.
        fault: why it takes no instances while another process might; None if it does.
        degraded: what is wrong and would be so for every process on this volume; None if nothing is.
        counters: what was counted since the process began; only ever grows.
    """

    connections: int = 0
    taken: int = 0
    places: int = 0
    journal: str | None = None
    fault: str | None = None
    degraded: str | None = None
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Unusable:
    """A child cannot begin its work, and ends; the supervisor will start another.

    Attributes:
        reason: what is wrong and what to do.
    """

    reason: str


Packet = Settings | Connection | OwnerEnded | Drain | Report | Unusable

_TYPES: Final[Mapping[str, type[Packet]]] = {
    "settings": Settings,
    "connection": Connection,
    "owner_ended": OwnerEnded,
    "drain": Drain,
    "report": Report,
    "unusable": Unusable,
}
_NAMES: Final[Mapping[type[Packet], str]] = {kind: name for name, kind in _TYPES.items()}


def encode(packet: Packet) -> bytes:
    """The bytes of a packet.

    Raises:
        ValueError: it is longer than PACKET_LIMIT.
    """
    data = json.dumps({"type": _NAMES[type(packet)], **asdict(packet)}, separators=(",", ":")).encode()
    if len(data) > PACKET_LIMIT:
        raise ValueError(f"a control packet of {len(data)} bytes")
    return data


def decode(data: bytes) -> Packet:
    """The packet of these bytes.

    Raises:
        ControlError: they are none.
    """
    try:
        values: dict[str, Any] = json.loads(data)
        return _TYPES[values.pop("type")](**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ControlError(f"not a control packet ({type(error).__name__})") from None


class ControlSocket:
    """One end of the control socket. Sending never blocks; receiving blocks as the socket is set."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """The supervisor's end, non-blocking, and the child's, to be passed to it and closed."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        return cls(ours), theirs

    @classmethod
    def of_descriptor(cls, descriptor: int) -> Self:
        """The child's end, from the number in its arguments; blocking, not passed on to its children."""
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)
        return cls(sock)

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    def setblocking(self, blocking: bool) -> None:
        """Whether `receive` waits; an event loop wants it not to."""
        self._socket.setblocking(blocking)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def send(self, packet: Packet, descriptor: int | None = None) -> bool:
        """Send a packet, and with it a descriptor, of which the sender keeps its own copy.

        Returns:
            False when the other end has too many packets waiting: nothing was sent.

        Raises:
            ControlClosedError: the other end is gone.
        """
        ancillary = (
            []
            if descriptor is None
            else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        )
        try:
            self._socket.sendmsg([encode(packet)], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError) as error:
            raise ControlClosedError("the other end of the control socket is gone") from error
        except OSError:
            # EAGAIN: full. ETOOMANYREFS, ENOBUFS: too many descriptors or packets are on their way.
            return False
        return True

    def receive(self) -> tuple[Packet, int | None]:
        """Receive a packet, and the descriptor that came with it, which then is the caller's to close.

        Raises:
            ControlClosedError: the other end is gone.
            ControlError: what came is no packet.
            BlockingIOError: the socket does not block and nothing is there.
        """
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(PACKET_LIMIT, room, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            # The other end closed with packets unread. That error comes once, ahead of what it had sent.
            data, ancillary, _, _ = self._socket.recvmsg(PACKET_LIMIT, room, socket.MSG_CMSG_CLOEXEC)
        descriptor = _descriptor(ancillary)
        if not data:
            raise ControlClosedError("the other end of the control socket is gone")
        try:
            return decode(data), descriptor
        except ControlError:
            if descriptor is not None:
                os.close(descriptor)
            raise


def _descriptor(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            return numbers[0] if numbers else None
    return None
