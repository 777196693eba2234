"""An SCU that puts bytes on the wire as a test wants them, and tells all that comes back."""

import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.byte_scripts import (
    ABORT,
    RELEASE,
    associate,
    context,
    echo,
    item,
    p_data,
    pdv,
    store_command,
)
from tests.support.instances import Instance

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Response:
    """A DIMSE response."""

    command_field: int
    message_id: int
    status: int
    comment: str
    offending: tuple[int, ...]
    sop_class: str
    sop_instance: str


class Rejected(Exception):
    """A-ASSOCIATE-RJ: result, source, reason are the arguments."""


class Aborted(Exception):
    """A-ABORT: source, reason are the arguments."""


class Closed(Exception):
    """The connection ended without a word."""


class ByteSCU:
    """One connection to the SCP on this machine.

    Args:
        port: of the SCP.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.results: dict[int, tuple[int, str]] = {}
        """By context id: result and transfer syntax."""
        self.max_length = 0
        """The longest P-DATA-TF that the SCP wants, bytes."""
        self._messages = 0
        self._contexts: Mapping[int, tuple[str, Sequence[str]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    # -- association ----------------------------------------------------------------------------------

    def associate(
        self,
        *contexts: tuple[str, Sequence[str]],
        calling: bytes | str = "BYTE_SCU",
        called: bytes | str = "ChRIS",
        max_length: int = 65536,
    ) -> Self:
        """Propose contexts 1, 3, 5, ... of (abstract syntax, transfer syntaxes).

        Raises:
            Rejected, Aborted, Closed: what the SCP answered instead.
        """
        self.send(
            request(*contexts, calling=calling, called=called, max_length=max_length),
        )
        self._contexts = {2 * n + 1: one for n, one in enumerate(contexts)}
        kind, body = self.read_pdu()
        assert kind == 2, f"PDU type {kind}"
        self._read_accept(body)
        return self

    def associate_for(
        self, *instances: Instance, calling: bytes | str = "BYTE_SCU", called: bytes | str = "ChRIS"
    ) -> Self:
        """Propose a context for each pair of SOP class and transfer syntax that the instances need."""
        pairs = dict.fromkeys((one.sop_class, one.transfer_syntax) for one in instances)
        contexts = [(sop_class, [syntax]) for sop_class, syntax in pairs]
        return self.associate(*contexts, calling=calling, called=called)

    def context_for(self, one: Instance) -> int:
        """The accepted context for an instance."""
        for context_id, (result, syntax) in self.results.items():
            sop_class, _ = self._contexts[context_id]
            if result == 0 and sop_class == one.sop_class and syntax == one.transfer_syntax:
                return context_id
        raise AssertionError(f"no context was accepted for {one.sop_class} in {one.transfer_syntax}")

    def release(self) -> None:
        """Release the association in the orderly way."""
        self.send(RELEASE)
        kind, _ = self.read_pdu()
        assert kind == 6, f"PDU type {kind}"
        self.socket.close()

    def abort(self) -> None:
        """Abort it."""
        self.send(ABORT)
        self.socket.close()

    def cut(self) -> None:
        """Let the connection break: the peer reads a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- messages -------------------------------------------------------------------------------------

    def echo(self) -> Response:
        """C-ECHO in the context of Verification."""
        ids = [n for n, (abstract, _) in self._contexts.items() if abstract == "1.2.840.10008.1.1"]
        self.send(echo(ids[0], self._next_message()))
        return self.read_response()

    def store(
        self,
        one: Instance,
        *,
        pdu_length: int = 16384,
        sop_class: str | None = None,
        sop_instance: str | None = None,
        context_id: int | None = None,
    ) -> Response:
        """C-STORE; the command may lie about the instance."""
        self.send_store(
            one, pdu_length=pdu_length, sop_class=sop_class, sop_instance=sop_instance, context_id=context_id
        )
        return self.read_response()

    def send_store(
        self,
        one: Instance,
        *,
        pdu_length: int = 16384,
        sop_class: str | None = None,
        sop_instance: str | None = None,
        context_id: int | None = None,
    ) -> None:
        """The same without waiting for the answer."""
        number = context_id or self.context_for(one)
        command = store_command(
            self._next_message(),
            one.sop_instance if sop_instance is None else sop_instance,
            one.sop_class if sop_class is None else sop_class,
        )
        self.send(p_data(pdv(number, 3, command)))
        for pdu in data_pdus(number, one.data_set, pdu_length):
            self.send(pdu)

    def read_response(self) -> Response:
        """Read a response.

        Raises:
            Aborted, Closed: what came instead.
        """
        kind, body = self.read_pdu()
        assert kind == 4, f"PDU type {kind}"
        length, _, control = struct.unpack_from(">IBB", body)
        assert length + 4 == len(body), "a response in one PDV"
        assert control == 3
        return decode_response(body[6:])

    # -- bytes ----------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def read_pdu(self) -> tuple[int, bytes]:
        """Read a PDU: its type and body.

        Raises:
            Rejected, Aborted, Closed: that is what came.
        """
        kind, length = struct.unpack(">BxI", self._exactly(6))
        body = self._exactly(length)
        if kind == 3:
            raise Rejected(body[1], body[2], body[3])
        if kind == 7:
            raise Aborted(body[2], body[3])
        return kind, body

    def is_closed(self) -> bool:
        """Wait until the peer has closed the connection; False if it says something instead."""
        with suppress(ConnectionError):
            return self.socket.recv(1) == b""
        return True

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionError as error:
                raise Closed from error
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def _next_message(self) -> int:
        self._messages += 1
        return self._messages

    def _read_accept(self, body: bytes) -> None:
        for kind, content in _items(body[68:]):
            if kind == 0x21:
                syntax = "".join(name.decode() for _, name in _items(content[4:]))
                self.results[content[0]] = (content[2], syntax if content[2] == 0 else "")
            elif kind == 0x50:
                subs = dict(_items(content))
                self.max_length = int.from_bytes(subs[0x51], "big")


def request(
    *contexts: tuple[str, Sequence[str]],
    calling: bytes | str = "BYTE_SCU",
    called: bytes | str = "ChRIS",
    max_length: int = 65536,
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    user = item(
        0x50, item(0x51, max_length.to_bytes(4, "big")) + item(0x52, b"1.2.826.0.1.3680043.10.543.77.2")
    )
    items = [context(2 * n + 1, abstract, *syntaxes) for n, (abstract, syntaxes) in enumerate(contexts)]
    return associate(*items, calling=_title(calling), called=_title(called), user_information=user)


def data_pdus(context_id: int, data: bytes, pdu_length: int) -> Iterator[bytes]:
    """P-DATA-TFs of a data set, each with one PDV and at most this long (header aside)."""
    size = pdu_length - 6
    starts = range(0, len(data), size) or [0]
    for start in starts:
        control = 2 if start + size >= len(data) else 0
        yield p_data(pdv(context_id, control, data[start : start + size]))


def _title(title: bytes | str) -> bytes:
    return title if isinstance(title, bytes) else title.encode("latin-1")


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = struct.unpack_from(">BxH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def decode_response(data: bytes) -> Response:
    """Decode the command set of a response, and hold it against PS3.7's rules of form."""
    group_length = int.from_bytes(data[8:12], "little")
    assert group_length == len(data) - 12, "the group length"
    values: dict[int, bytes] = {}
    numbers = []
    while data:
        number, size = struct.unpack_from("<2xHI", data)
        assert size % 2 == 0
        values[number] = data[8 : 8 + size]
        numbers.append(number)
        data = data[8 + size :]
    assert numbers == sorted(numbers)
    assert values[0x0800] == b"\x01\x01", "no data set"
    tags = values.get(0x0901, b"")
    return Response(
        command_field=int.from_bytes(values[0x0100], "little"),
        message_id=int.from_bytes(values[0x0120], "little"),
        status=int.from_bytes(values[0x0900], "little"),
        comment=values.get(0x0902, b"").decode("ascii").rstrip(" "),
        offending=tuple(
            int.from_bytes(tags[n : n + 2], "little") << 16 | int.from_bytes(tags[n + 2 : n + 4], "little")
            for n in range(0, len(tags), 4)
        ),
        sop_class=values.get(0x0002, b"").rstrip(b"\0").decode("latin-1"),
        sop_instance=values.get(0x1000, b"").rstrip(b"\0").decode("latin-1"),
    )
