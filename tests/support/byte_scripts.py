"""Byte scripts for any SCP: what to put on the wire, and what an SCP that follows the standard says to it.

Everything is encoded here by hand, and not by the code under test. What a peer says is noted as words, such
as `AC 1:0/1.2.840.10008.1.2`, `RJ 1/1/2`, `C-STORE-RSP 1 0000`, `RP`, `ABORT 2/6`, `closed`. How long a
connection stays open after RJ, RP or ABORT is not noted: either side may close it.
"""

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
PRIVATE_CLASS: Final = "1.2.826.0.1.3680043.10.99999.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
PRIVATE_SYNTAX: Final = "1.2.840.113619.5.2"


class Do(Enum):
    """A step that is not bytes to send."""

    AWAIT = auto()
    """Wait for one PDU before sending on."""
    HALF_CLOSE = auto()
    """Send no more: the peer reads the end of the stream."""


Step = bytes | Do


@dataclass(frozen=True, slots=True)
class Script:
    """What is sent, and what comes back from an SCP that follows PS3.7 and PS3.8 as we read them."""

    name: str
    steps: tuple[Step, ...]
    expected: tuple[str, ...]


# -- encoding ----------------------------------------------------------------------------------------------


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU; a `length` other than that of the body is a lie."""
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def item(kind: int, content: bytes, length: int | None = None) -> bytes:
    """An item or sub-item of A-ASSOCIATE."""
    return struct.pack(">BxH", kind, len(content) if length is None else length) + content


def context(context_id: int, abstract_syntax: str, *transfer_syntaxes: str) -> bytes:
    """A proposed presentation context."""
    names = item(0x30, abstract_syntax.encode()) + b"".join(
        item(0x40, ts.encode()) for ts in transfer_syntaxes
    )
    return item(0x20, bytes((context_id, 0, 0, 0)) + names)


def role(sop_class: str, scu: int, scp: int) -> bytes:
    """A role selection sub-item."""
    uid = sop_class.encode()
    return item(0x54, len(uid).to_bytes(2, "big") + uid + bytes((scu, scp)))


MAX_LENGTH: Final = item(0x51, (65536).to_bytes(4, "big"))
IMPLEMENTATION: Final = item(0x52, b"1.2.826.0.1.3680043.10.99999.2")
NAME: Final = item(0x10, APPLICATION_CONTEXT.encode())


def user(*more: bytes) -> bytes:
    """The user information item."""
    return item(0x50, MAX_LENGTH + IMPLEMENTATION + b"".join(more))


def associate(
    *items: bytes,
    calling: bytes = b"BYTE_SCRIPT",
    called: bytes = b"ANY_SCP",
    version: int = 1,
    name: bytes = NAME,
    user_information: bytes | None = None,
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    head = struct.pack(">H2x16s16s32x", version, called.ljust(16), calling.ljust(16))
    return pdu(
        0x01, head + name + b"".join(items) + (user() if user_information is None else user_information)
    )


def element(number: int, value: bytes) -> bytes:
    """An element of a command set."""
    return struct.pack("<HHI", 0, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    """An element of VR US of a command set."""
    return element(number, value.to_bytes(2, "little"))


def uid(number: int, value: str) -> bytes:
    """An element of VR UI of a command set, padded."""
    return element(number, value.encode() + b"\0" * (len(value) % 2))


def command_set(*elements: bytes) -> bytes:
    """A command set with its group length."""
    body = b"".join(elements)
    return element(0, len(body).to_bytes(4, "little")) + body


def echo_command(message_id: int = 1) -> bytes:
    """C-ECHO-RQ."""
    return command_set(uid(2, VERIFICATION), us(0x0100, 0x30), us(0x0110, message_id), us(0x0800, 0x0101))


def store_command(
    message_id: int = 1, instance: str = "1.2.3.4.5", sop_class: str = CT, data_set_type: int = 1
) -> bytes:
    """C-STORE-RQ."""
    return command_set(
        uid(2, sop_class),
        us(0x0100, 1),
        us(0x0110, message_id),
        us(0x0700, 0),
        us(0x0800, data_set_type),
        uid(0x1000, instance),
    )


def pdv(context_id: int, control: int, data: bytes, length: int | None = None) -> bytes:
    """A PDV item: control 3 = the last of a command, 1 = more of it, 2 = the last of a data set, 0 = more."""
    return struct.pack(">IBB", len(data) + 2 if length is None else length, context_id, control) + data


def p_data(*pdvs: bytes) -> bytes:
    """A P-DATA-TF."""
    return pdu(0x04, b"".join(pdvs))


def data_set(instance: str = "1.2.3.4.5", *, sop_class: str = CT, study_date: str = "20130308") -> bytes:
    """A small CT instance, implicit VR little endian."""
    values = (
        (0x0008, 0x0016, sop_class),
        (0x0008, 0x0018, instance),
        (0x0008, 0x0020, study_date),
        (0x0008, 0x0060, "CT"),
        (0x0010, 0x0010, "Byte^Script"),
        (0x0010, 0x0020, "SCRIPT"),
        (0x0020, 0x000D, "1.2.3"),
        (0x0020, 0x000E, "1.2.3.4"),
        (0x0020, 0x0013, "1 "),
    )
    parts = []
    for group, number, value in values:
        text = value.encode()
        if text:
            text += (b"\0" if value[0].isdigit() and "." in value else b" ") * (len(text) % 2)
            parts.append(struct.pack("<HHI", group, number, len(text)) + text)
    return b"".join(parts)


def echo(context_id: int = 1, message_id: int = 1) -> bytes:
    """C-ECHO-RQ in one P-DATA-TF."""
    return p_data(pdv(context_id, 3, echo_command(message_id)))


def store(context_id: int = 1, message_id: int = 1, instance: str = "1.2.3.4.5") -> bytes:
    """C-STORE-RQ with its data set, two P-DATA-TF."""
    return p_data(pdv(context_id, 3, store_command(message_id, instance))) + p_data(
        pdv(context_id, 2, data_set(instance))
    )


RELEASE: Final = pdu(0x05, bytes(4))
RELEASE_RESPONSE: Final = pdu(0x06, bytes(4))
ABORT: Final = pdu(0x07, bytes(4))

# -- running -----------------------------------------------------------------------------------------------


def run(script: Script, port: int, patience: float = 20.0) -> tuple[str, ...]:
    """Play a script to the SCP at a port of the loopback interface; note what it says.

    Args:
        script: what to send.
        port: of the SCP.
        patience: seconds without a byte after which the SCP is said to be `silent`.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tuple(_play(script, sock))


def _play(script: Script, sock: socket.socket) -> Iterator[str]:
    for step in script.steps:
        if step is Do.AWAIT:
            word = _word(sock)
            yield word
            if _is_end(word):
                return
        else:
            # A peer that aborted in the middle has closed: what it said before is still there to be read
            with contextlib.suppress(OSError):
                if step is Do.HALF_CLOSE:
                    sock.shutdown(socket.SHUT_WR)
                elif isinstance(step, bytes):
                    sock.sendall(step)
    word = ""
    while not _is_end(word):
        word = _word(sock)
        yield word


def _is_end(word: str) -> bool:
    return word in ("closed", "silent", "RP") or word.startswith(("RJ", "ABORT"))


def _word(sock: socket.socket) -> str:
    """Read one PDU and say it in a word or two."""
    try:
        kind, length = struct.unpack(">BxI", _exactly(sock, 6))
        body = _exactly(sock, length)
    except TimeoutError:
        return "silent"
    except OSError:
        return "closed"
    try:
        return _said(kind, body)
    except (struct.error, IndexError, UnicodeError):
        return f"garbage of {length} bytes"


def _said(kind: int, body: bytes) -> str:
    match kind:
        case 0x02:
            return "AC " + " ".join(_results(body))
        case 0x03:
            return f"RJ {body[1]}/{body[2]}/{body[3]}"
        case 0x04:
            return _response(body)
        case 0x06:
            return "RP"
        case 0x07:
            return f"ABORT {body[2]}/{body[3]}"
        case _:
            return f"PDU type {kind}"


def _exactly(sock: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(count - len(parts))
        if not part:
            raise ConnectionError
        parts += part
    return bytes(parts)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = struct.unpack_from(">BxH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def _results(body: bytes) -> Iterator[str]:
    for kind, content in _items(body[68:]):
        if kind == 0x21:
            syntax = "".join(name.decode() for _, name in _items(content[4:]))
            yield f"{content[0]}:{content[2]}" + ("" if content[2] else f"/{syntax}")
        elif kind == 0x50:
            for sub_kind, sub_item in _items(content):
                if sub_kind == 0x54:
                    yield f"role:{sub_item[-2]}{sub_item[-1]}"
                elif sub_kind in (0x53, 0x58, 0x59):
                    yield f"sub-item:{sub_kind:02X}"


def _response(body: bytes) -> str:
    data = body[6:]
    fields = {}
    while data:
        number, length = struct.unpack_from("<2xHI", data)
        fields[number] = int.from_bytes(data[8 : 8 + length][:2], "little")
        data = data[8 + length :]
    names = {0x8001: "C-STORE-RSP", 0x8030: "C-ECHO-RSP"}
    field = fields.get(0x0100, 0)
    return f"{names.get(field, f'RSP-{field:04X}')} {fields.get(0x0120)} {fields.get(0x0900, 0):04X}"


# -- the scripts -------------------------------------------------------------------------------------------

_ECHO_CONTEXT = context(1, VERIFICATION, IMPLICIT)
_CT_CONTEXT = context(3, CT, IMPLICIT)
_BOTH = associate(_ECHO_CONTEXT, _CT_CONTEXT)
_AC_ECHO = f"AC 1:0/{IMPLICIT}"
_AC_BOTH = f"AC 1:0/{IMPLICIT} 3:0/{IMPLICIT}"


def _negotiated(name: str, request: bytes, accept: str) -> Script:
    return Script(name, (request, Do.AWAIT, RELEASE), (accept, "RP"))


def _refused(name: str, request: bytes, answer: str) -> Script:
    """A request after which there is no association; who accepts it reads the end of the stream."""
    return Script(name, (request, Do.AWAIT, Do.HALF_CLOSE), (answer,))


def _established(name: str, sent: bytes | tuple[bytes, ...], *answers: str) -> Script:
    """Messages, each answered before the next; a C-ECHO shows that the association lives; a release."""
    messages = (sent,) if isinstance(sent, bytes) else sent
    steps: list[Step] = [_BOTH, Do.AWAIT]
    for number, message in enumerate(messages):
        steps.append(message)
        if number < len(answers):
            steps.append(Do.AWAIT)
    return Script(
        name,
        (*steps, echo(1, 99), Do.AWAIT, RELEASE),
        (_AC_BOTH, *answers, "C-ECHO-RSP 99 0000", "RP"),
    )


def _fatal(name: str, sent: bytes, *answers: str) -> Script:
    """Bytes after which no association is left; who takes them reads the end of the stream."""
    return Script(name, (_BOTH, Do.AWAIT, sent, Do.AWAIT, Do.HALF_CLOSE), (_AC_BOTH, *answers))


_USERNAME = item(0x58, b"\x01\x01\0\4user\0\0")
_WINDOW = item(0x53, b"\0\5\0\5")
_ALL_CONTEXTS = [context(n, CT, IMPLICIT) for n in range(1, 256, 2)]
_PLAIN_STORE = store_command()
_DATA = data_set()

NEGOTIATION: Final = (
    _negotiated("verification", associate(_ECHO_CONTEXT), _AC_ECHO),
    _negotiated(
        "all 128 contexts",
        associate(*_ALL_CONTEXTS),
        "AC " + " ".join(f"{n}:0/{IMPLICIT}" for n in range(1, 256, 2)),
    ),
    _negotiated(
        "the first transfer syntax wins",
        associate(context(1, CT, JPEG_LOSSLESS, IMPLICIT, EXPLICIT)),
        f"AC 1:0/{JPEG_LOSSLESS}",
    ),
    _negotiated(
        "a private transfer syntax beside a good one",
        associate(context(1, CT, PRIVATE_SYNTAX), context(3, CT, EXPLICIT)),
        f"AC 1:4 3:0/{EXPLICIT}",
    ),
    _negotiated(
        "a query class beside storage",
        associate(context(1, STUDY_ROOT_FIND, IMPLICIT), context(3, CT, IMPLICIT)),
        f"AC 1:3 3:0/{IMPLICIT}",
    ),
    _negotiated("a private SOP class", associate(context(1, PRIVATE_CLASS, IMPLICIT)), f"AC 1:0/{IMPLICIT}"),
    _negotiated("nothing but refused contexts", associate(context(1, STUDY_ROOT_FIND, IMPLICIT)), "AC 1:3"),
    _negotiated(
        "a context without transfer syntaxes",
        associate(context(1, CT), _CT_CONTEXT),
        f"AC 1:4 3:0/{IMPLICIT}",
    ),
    _negotiated(
        "the SCU wants both roles",
        associate(_CT_CONTEXT, user_information=user(role(CT, 1, 1))),
        f"AC 3:0/{IMPLICIT} role:10",
    ),
    _negotiated(
        "the SCU wants to be the SCP", associate(_CT_CONTEXT, user_information=user(role(CT, 0, 1))), "AC 3:1"
    ),
    _negotiated(
        "user identity and operations window",
        associate(_ECHO_CONTEXT, user_information=user(_WINDOW, _USERNAME)),
        _AC_ECHO,
    ),
    _negotiated(
        "an unknown user information sub-item",
        associate(_ECHO_CONTEXT, user_information=user(item(0xEE, b"later"))),
        _AC_ECHO,
    ),
    _negotiated("an unknown item", associate(item(0xEE, b"later"), _ECHO_CONTEXT), _AC_ECHO),
    _negotiated("no user information", associate(_ECHO_CONTEXT, user_information=b""), _AC_ECHO),
    _negotiated("protocol version 1 among others", associate(_ECHO_CONTEXT, version=0x8001), _AC_ECHO),
    _negotiated("a calling AE title of blanks", associate(_ECHO_CONTEXT, calling=b" "), _AC_ECHO),
    _negotiated(
        "a calling AE title padded with NULs",
        associate(_ECHO_CONTEXT, calling=b"NULS".ljust(16, b"\0")),
        _AC_ECHO,
    ),
    _negotiated(
        "a calling AE title in Latin-1",
        associate(_ECHO_CONTEXT, calling="RÖNTGEN".encode("latin-1")),
        _AC_ECHO,
    ),
    _refused("a calling AE title of dots", associate(_ECHO_CONTEXT, calling=b".."), "RJ 1/1/3"),
    _refused("another application context", associate(_ECHO_CONTEXT, name=item(0x10, b"1.2.3")), "RJ 1/1/2"),
    _refused("no application context", associate(_ECHO_CONTEXT, name=b""), "RJ 1/1/2"),
    _refused("protocol version 2 only", associate(_ECHO_CONTEXT, version=2), "RJ 1/2/2"),
    _refused("no presentation context", associate(), "RJ 1/1/1"),
    _negotiated(
        "an even context id", associate(context(2, CT, IMPLICIT), _ECHO_CONTEXT), f"AC 2:2 1:0/{IMPLICIT}"
    ),
    _negotiated(
        "a context id twice",
        associate(context(3, CT, IMPLICIT), context(3, MR, IMPLICIT), _ECHO_CONTEXT),
        f"AC 3:2 1:0/{IMPLICIT}",
    ),
    _negotiated(
        "two abstract syntaxes",
        associate(
            item(0x20, b"\3\0\0\0" + 2 * item(0x30, CT.encode()) + item(0x40, IMPLICIT.encode())),
            _ECHO_CONTEXT,
        ),
        f"AC 3:2 1:0/{IMPLICIT}",
    ),
    _negotiated(
        "no abstract syntax",
        associate(item(0x20, b"\3\0\0\0" + item(0x40, IMPLICIT.encode())), _ECHO_CONTEXT),
        f"AC 3:2 1:0/{IMPLICIT}",
    ),
    _negotiated(
        "an abstract syntax of 70 characters",
        associate(context(3, "1." * 35, IMPLICIT), _ECHO_CONTEXT),
        f"AC 3:2 1:0/{IMPLICIT}",
    ),
    _refused(
        "an item longer than the PDU",
        associate(_ECHO_CONTEXT, user_information=item(0x50, MAX_LENGTH, 400)),
        "ABORT 2/6",
    ),
    _refused(
        "a maximum length of two bytes",
        associate(_ECHO_CONTEXT, user_information=item(0x50, item(0x51, b"\1\0") + IMPLEMENTATION)),
        "ABORT 2/6",
    ),
    _refused("a request cut off in its titles", pdu(0x01, b"\0\1\0\0SHORT"), "ABORT 2/6"),
)
"""A-ASSOCIATE-RQ and its answers."""

ORDER: Final = (
    Script("data before an association", (echo(),), ("ABORT 0/0",)),
    Script("release before an association", (RELEASE,), ("ABORT 0/0",)),
    Script("abort before an association", (ABORT,), ("closed",)),
    Script("HTTP", (b"GET / HTTP/1.1\r\nHost: scp\r\n\r\n",), ("ABORT 0/0",)),
    Script("nothing but a connection", (Do.HALF_CLOSE,), ("closed",)),
    Script("half a request", (_BOTH[:50], Do.HALF_CLOSE), ("closed",)),
    _fatal("a second A-ASSOCIATE-RQ", _BOTH, "ABORT 2/2"),
    _fatal("an A-ASSOCIATE-AC to an acceptor", pdu(0x02, bytes(68)), "ABORT 2/2"),
    _fatal("an A-RELEASE-RP without a request", RELEASE_RESPONSE, "ABORT 2/2"),
    _fatal("an unknown PDU type", pdu(0x42, b"what"), "ABORT 2/1"),
    _fatal("the peer's abort", ABORT, "closed"),
    Script("the end of the stream", (_BOTH, Do.AWAIT, Do.HALF_CLOSE), (_AC_BOTH, "closed")),
    Script("data behind a release", (_BOTH, Do.AWAIT, RELEASE + echo()), (_AC_BOTH, "RP")),
    Script(
        "the end of the stream inside a data set",
        (_BOTH, Do.AWAIT, p_data(pdv(3, 3, _PLAIN_STORE)) + p_data(pdv(3, 0, _DATA)), Do.HALF_CLOSE),
        (_AC_BOTH, "closed"),
    ),
)
"""PDUs in every order but the right one."""

MESSAGES: Final = (
    _established("an instance", store(3, 1), "C-STORE-RSP 1 0000"),
    _established(
        "two instances",
        (store(3, 1, "1.2.3.4.5.1"), store(3, 65535, "1.2.3.4.5.2")),
        "C-STORE-RSP 1 0000",
        "C-STORE-RSP 65535 0000",
    ),
    _established(
        "a command in pieces of one PDU",
        p_data(pdv(1, 1, echo_command(7)[:20]), pdv(1, 3, echo_command(7)[20:])),
        "C-ECHO-RSP 7 0000",
    ),
    _established(
        "a command a byte at a time",
        b"".join(p_data(pdv(1, 1, bytes((b,)))) for b in echo_command(7)[:-1])
        + p_data(pdv(1, 3, echo_command(7)[-1:])),
        "C-ECHO-RSP 7 0000",
    ),
    _established(
        "command and data set in one PDU",
        p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 2, _DATA)),
        "C-STORE-RSP 1 0000",
    ),
    _established(
        "a data set in odd pieces",
        p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 0, _DATA[:1]))
        + p_data(pdv(3, 0, _DATA[1:8]), pdv(3, 2, _DATA[8:])),
        "C-STORE-RSP 1 0000",
    ),
    _established(
        "an empty last fragment",
        p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 0, _DATA)) + p_data(pdv(3, 2, b"")),
        "C-STORE-RSP 1 0000",
    ),
    _established(
        "a wrong group length",
        p_data(pdv(1, 3, b"\0\0\0\0\4\0\0\0\xff\xff\0\0" + echo_command(7)[12:])),
        "C-ECHO-RSP 7 0000",
    ),
    _established(
        "elements out of order",
        p_data(
            pdv(1, 3, command_set(us(0x0800, 0x0101), us(0x0110, 7), us(0x0100, 0x30), uid(2, VERIFICATION)))
        ),
        "C-ECHO-RSP 7 0000",
    ),
    _established(
        "UIDs of odd length",
        p_data(
            pdv(
                1,
                3,
                command_set(
                    element(2, VERIFICATION.encode()), us(0x0100, 0x30), us(0x0110, 7), us(0x0800, 0x0101)
                ),
            )
        ),
        "C-ECHO-RSP 7 0000",
    ),
    _established(
        "C-CANCEL gets no answer",
        p_data(pdv(1, 3, command_set(us(0x0100, 0x0FFF), us(0x0120, 3), us(0x0800, 0x0101)))),
    ),
    _established(
        "a C-FIND to a storage SCP",
        p_data(
            pdv(
                3,
                3,
                command_set(
                    uid(2, STUDY_ROOT_FIND), us(0x0100, 0x20), us(0x0110, 7), us(0x0700, 0), us(0x0800, 1)
                ),
            ),
            pdv(3, 2, _DATA),
        ),
        "RSP-8020 7 0211",
    ),
    _established(
        "an unknown command",
        p_data(
            pdv(
                1, 3, command_set(uid(2, VERIFICATION), us(0x0100, 0x0777), us(0x0110, 7), us(0x0800, 0x0101))
            )
        ),
        "RSP-8777 7 0211",
    ),
    _established(
        "a store without data set",
        p_data(pdv(3, 3, store_command(data_set_type=0x0101))),
        "C-STORE-RSP 1 C000",
    ),
    _established(
        "a store of another SOP class",
        p_data(pdv(3, 3, store_command(sop_class=MR)), pdv(3, 2, data_set(sop_class=MR))),
        "C-STORE-RSP 1 0122",
    ),
    _established(
        "a store in the context of verification",
        p_data(pdv(1, 3, _PLAIN_STORE), pdv(1, 2, _DATA)),
        "C-STORE-RSP 1 0122",
    ),
    _established(
        "a malformed instance UID",
        p_data(pdv(3, 3, store_command(instance="1.2.x")), pdv(3, 2, data_set("1.2.x"))),
        "C-STORE-RSP 1 0117",
    ),
    _established(
        "another instance than announced",
        p_data(pdv(3, 3, store_command(instance="1.2.3.4.6")), pdv(3, 2, _DATA)),
        "C-STORE-RSP 1 A900",
    ),
    _established(
        "an instance without StudyDate",
        p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 2, data_set(study_date=""))),
        "C-STORE-RSP 1 C000",
    ),
    _established(
        "a data set cut off inside an element",
        p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 2, _DATA[:30])),
        "C-STORE-RSP 1 C000",
    ),
    _established(
        "a data set without SOP UIDs",
        p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 2, _DATA[_DATA.index(b"\x08\0\x20\0") :])),
        "C-STORE-RSP 1 A900",
    ),
    _fatal("a context that was not accepted", echo(5), "ABORT 2/6"),
    _fatal("a P-DATA-TF without a PDV", p_data(), "ABORT 2/6"),
    _fatal("a data set without a command", p_data(pdv(3, 2, _DATA)), "ABORT 2/6"),
    _fatal(
        "a command inside a data set", p_data(pdv(3, 3, _PLAIN_STORE), pdv(3, 0, _DATA)) + echo(), "ABORT 2/6"
    ),
    _fatal("a command set cut off", p_data(pdv(1, 3, echo_command()[:-3])), "ABORT 2/6"),
    _fatal("an empty command set", p_data(pdv(1, 3, b"")), "ABORT 2/6"),
    _fatal("a PDV longer than its PDU", p_data(pdv(1, 3, echo_command(), 4000)), "ABORT 2/6"),
    _fatal("a PDV without a header", p_data(pdv(1, 3, b"", 1)), "ABORT 2/6"),
    _fatal("a PDU that ends in a PDV header", p_data(b"\0\0\0"), "ABORT 2/6"),
    _fatal("an A-RELEASE-RQ of a gigabyte", pdu(0x05, b"", 1 << 30), "ABORT 2/6"),
)
"""Messages, whole and broken."""

SCRIPTS: Final = NEGOTIATION + ORDER + MESSAGES
