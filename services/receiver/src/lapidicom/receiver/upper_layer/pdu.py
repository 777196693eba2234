"""Encode and decode the PDUs that set up and end an association (PS3.8 section 9.3).

P-DATA-TF is read elsewhere (it is the hot path); here is only its header for what the SCP sends.
pynetdicom's codec is the oracle of the tests, not the decoder: it raises on what real devices send (odd AE
titles, sub-items of later editions, which PS3.8 D.2 tells an acceptor to ignore), and for a padded UID it
warns and logs the value.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


class PDUType(IntEnum):
    """The first byte of a PDU (PS3.8 table 9-1 and following)."""

    A_ASSOCIATE_RQ = 0x01
    A_ASSOCIATE_AC = 0x02
    A_ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


PDU_HEADER_LENGTH: Final = 6
"""PDU type, a reserved byte and the 32-bit length of what follows."""

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""The one application context of DICOM (PS3.7 A.2.1)."""

UNKNOWN_AE_TITLE: Final = "UNKNOWN"
"""Stands for a calling AE title of blanks only."""

DEFAULT_PEER_MAX_PDU_LENGTH: Final = 16384
"""Assumed when the peer does not send the (mandatory) Maximum Length sub-item: what most peers default to."""

ABORT_SOURCE_SERVICE_USER: Final = 0
ABORT_SOURCE_SERVICE_PROVIDER: Final = 2


class AbortReason(IntEnum):
    """Reason/Diag of an A-ABORT by the service provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class PDUError(Exception):
    """The peer's PDU cannot be understood: the association ends with A-ABORT (source, reason).

    Args:
        detail: what is wrong, for the log; never a value other than a length, a number or an item type.
        reason: Reason/Diag of the A-ABORT (PS3.8 table 9-26).
    """

    source: Final = ABORT_SOURCE_SERVICE_PROVIDER

    def __init__(self, detail: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE) -> None:
        super().__init__(detail)
        self.reason = reason


class ContextResultCode(IntEnum):
    """Result/Reason of a presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """A presentation context as the SCU proposes it (PS3.8 9.3.2.2), its transfer syntaxes in its order."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to one proposed presentation context; `transfer_syntax` is empty unless it is accepted."""

    context_id: int
    result: ContextResultCode
    transfer_syntax: str
    abstract_syntax: str

    @property
    def accepted(self) -> bool:
        """Whether instances may be sent in this context."""
        return self.result is ContextResultCode.ACCEPTANCE


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ says (PS3.8 9.3.2, PS3.7 D.3.3).

    Attributes:
        called_ae_title: without the NULs and blanks around it; Latin-1 and control characters survive.
        calling_ae_title: likewise; `UNKNOWN` where nothing is left.
        contexts: the proposed presentation contexts in the peer's order, with different odd ids.
        max_pdu_length: the longest P-DATA-TF that the peer takes, bytes after the PDU header; 0 = unlimited.
        roles: SOP Class UID -> (SCU role, SCP role) proposed by the peer (PS3.7 D.3.3.4).
        service_classes: SOP Class UID -> Service Class UID (Common Extended Negotiation, PS3.7 D.3.3.6).
        implementation_class_uid: of the peer; empty where absent. Informative.
        implementation_version: of the peer; empty where absent. Informative.
        application_context: its name; empty where the item is absent.
        protocol_version: the bit field; bit 0 is version 1.
        reserved: bytes 11 to 74 of the PDU, which A-ASSOCIATE-AC sends back as they came (PS3.8 9.3.3).
    """

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[PresentationContext, ...]
    max_pdu_length: int
    roles: Mapping[str, tuple[bool, bool]]
    service_classes: Mapping[str, str]
    implementation_class_uid: str
    implementation_version: str
    application_context: str
    protocol_version: int
    reserved: bytes


_HEAD = struct.Struct(">H2x64s")
_ITEM_HEADER = struct.Struct(">BxH")
_PDU_HEADER = struct.Struct(">BxI")
_DATA_HEADER = struct.Struct(">BxIIBB")
_FOUR_BYTES = struct.Struct(">BxI4B")
_PADDING = "\0 "
_MOST_UID = 64

# 128 contexts with 60 transfer syntaxes each fit twice; beyond it is only meant to keep a processor busy
_MOST_ITEMS = 16_384

_APPLICATION_CONTEXT = 0x10
_PRESENTATION_CONTEXT_RQ = 0x20
_PRESENTATION_CONTEXT_AC = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS_UID = 0x52
_ROLE_SELECTION = 0x54
_IMPLEMENTATION_VERSION_NAME = 0x55
_COMMON_EXTENDED_NEGOTIATION = 0x57

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


def decode_associate_request(body: bytes) -> AssociateRequest:
    """Decode an A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Items and sub-items of unknown types are ignored (PS3.8 D.2), and so are those that decide nothing here:
    asynchronous operations window, extended negotiation, user identity.

    Args:
        body: the PDU without its 6-byte header.

    Raises:
        PDUError: whatever is wrong with it.
    """
    return _RequestDecoder().decode(body)


class _RequestDecoder:
    """Gathers what the items of one A-ASSOCIATE-RQ say."""

    def __init__(self) -> None:
        self._items_left = _MOST_ITEMS
        self._contexts: dict[int, PresentationContext] = {}
        self._max_pdu_length = DEFAULT_PEER_MAX_PDU_LENGTH
        self._roles: dict[str, tuple[bool, bool]] = {}
        self._service_classes: dict[str, str] = {}
        self._implementation_class_uid = ""
        self._implementation_version = ""
        self._application_context = ""

    def decode(self, body: bytes) -> AssociateRequest:
        if len(body) < _HEAD.size:
            raise PDUError(f"A-ASSOCIATE-RQ of {len(body)} bytes")
        protocol_version, reserved = _HEAD.unpack_from(body)
        for item_type, item in self._items(body, _HEAD.size):
            if item_type == _PRESENTATION_CONTEXT_RQ:
                self._presentation_context(item)
            elif item_type == _USER_INFORMATION:
                for sub_item_type, sub_item in self._items(item, 4):
                    self._user_data(sub_item_type, sub_item)
            elif item_type == _APPLICATION_CONTEXT:
                self._application_context = _uid(item[4:])
        return AssociateRequest(
            called_ae_title=_text(reserved[:16]),
            calling_ae_title=_text(reserved[16:32]) or UNKNOWN_AE_TITLE,
            contexts=tuple(self._contexts.values()),
            max_pdu_length=self._max_pdu_length,
            roles=MappingProxyType(self._roles),
            service_classes=MappingProxyType(self._service_classes),
            implementation_class_uid=self._implementation_class_uid,
            implementation_version=self._implementation_version,
            application_context=self._application_context,
            protocol_version=protocol_version,
            reserved=reserved,
        )

    def _items(self, data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield each item's type and its bytes, header included, from `offset` to the end of `data`."""
        end = len(data)
        while offset < end:
            if offset + 4 > end:
                raise PDUError("a header of an item is cut off")
            self._items_left -= 1
            if self._items_left < 0:
                raise PDUError(f"more than {_MOST_ITEMS} items")
            item_type, length = _ITEM_HEADER.unpack_from(data, offset)
            after = offset + 4 + length
            if after > end:
                raise PDUError(f"item 0x{item_type:02X} is longer than what holds it")
            yield item_type, data[offset:after]
            offset = after

    def _presentation_context(self, item: bytes) -> None:
        if len(item) < 8:
            raise PDUError("a presentation context item is cut off")
        context_id = item[4]
        if context_id % 2 == 0:
            raise PDUError(f"presentation context id {context_id} is even")
        if context_id in self._contexts:
            raise PDUError(f"presentation context id {context_id} comes twice")
        abstract_syntaxes: list[str] = []
        transfer_syntaxes: list[str] = []
        for sub_item_type, sub_item in self._items(item, 8):
            if sub_item_type == _TRANSFER_SYNTAX:
                transfer_syntaxes.append(_uid(sub_item[4:]))
            elif sub_item_type == _ABSTRACT_SYNTAX:
                abstract_syntaxes.append(_uid(sub_item[4:]))
        if len(abstract_syntaxes) != 1:
            raise PDUError(
                f"presentation context {context_id} has {len(abstract_syntaxes)} abstract syntaxes"
            )
        self._contexts[context_id] = PresentationContext(
            context_id, abstract_syntaxes[0], tuple(transfer_syntaxes)
        )

    def _user_data(self, sub_item_type: int, sub_item: bytes) -> None:
        if sub_item_type == _MAXIMUM_LENGTH:
            if len(sub_item) != 8:
                raise PDUError(f"maximum length sub-item of {len(sub_item) - 4} bytes")
            self._max_pdu_length = int.from_bytes(sub_item[4:], "big")
        elif sub_item_type == _ROLE_SELECTION:
            sop_class_uid, after = _counted_uid(sub_item, 4)
            roles = sub_item[after:]
            if len(roles) != 2:
                raise PDUError("the lengths in a role selection sub-item contradict one another")
            self._roles[sop_class_uid] = (bool(roles[0]), bool(roles[1]))
        elif sub_item_type == _COMMON_EXTENDED_NEGOTIATION:
            sop_class_uid, after = _counted_uid(sub_item, 4)
            # The related general SOP classes behind it decide nothing here
            self._service_classes[sop_class_uid], _ = _counted_uid(sub_item, after)
        # The peer's names are informative: what is odd about them ends no association
        elif sub_item_type == _IMPLEMENTATION_CLASS_UID:
            self._implementation_class_uid = _text(sub_item[4:])[:64]
        elif sub_item_type == _IMPLEMENTATION_VERSION_NAME:
            self._implementation_version = _text(sub_item[4:])[:16]


def encode_associate_accept(
    request: AssociateRequest,
    results: Sequence[ContextResult],
    *,
    max_pdu_length: int,
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID,
    implementation_version: str = IMPLEMENTATION_VERSION_NAME,
) -> bytes:
    """Encode the A-ASSOCIATE-AC that answers a request (PS3.8 9.3.3, PS3.7 D.3.3).

    Where the peer proposed roles for an accepted SOP class, the answer is that it is the SCU and not the SCP.
    There is no answer to an asynchronous operations window or a user identity: none is negotiated.

    Args:
        request: what is answered; its reserved fields go back as they came.
        results: one per proposed presentation context, in the request's order.
        max_pdu_length: the longest P-DATA-TF that we take, bytes after the PDU header; 0 = unlimited.
        implementation_class_uid: ours.
        implementation_version: ours, at most 16 characters.

    Returns:
        The PDU with its header.
    """
    parts = [_item(_APPLICATION_CONTEXT, APPLICATION_CONTEXT_NAME.encode("ascii"))]
    for result in results:
        # Not significant, and not to be tested, where the context is refused; but some peers expect a UID
        transfer_syntax = result.transfer_syntax or _IMPLICIT_VR_LITTLE_ENDIAN
        parts.append(
            _item(
                _PRESENTATION_CONTEXT_AC,
                bytes((result.context_id, 0, result.result, 0))
                + _item(_TRANSFER_SYNTAX, transfer_syntax.encode("ascii")),
            )
        )
    accepted = {result.abstract_syntax for result in results if result.accepted}
    user_data = [
        _item(_MAXIMUM_LENGTH, max_pdu_length.to_bytes(4, "big")),
        _item(_IMPLEMENTATION_CLASS_UID, implementation_class_uid.encode("ascii")),
        *(_role(sop_class_uid) for sop_class_uid in request.roles if sop_class_uid in accepted),
        _item(_IMPLEMENTATION_VERSION_NAME, implementation_version.encode("ascii")),
    ]
    parts.append(_item(_USER_INFORMATION, b"".join(user_data)))
    body = _HEAD.pack(1, request.reserved) + b"".join(parts)
    return _PDU_HEADER.pack(PDUType.A_ASSOCIATE_AC, len(body)) + body


def encode_associate_reject(result: int, source: int, reason: int) -> bytes:
    """Encode an A-ASSOCIATE-RJ (PS3.8 9.3.4, table 9-21).

    Args:
        result: 1 = permanent, 2 = transient.
        source: 1 = service user, 2 = service provider (ACSE), 3 = service provider (presentation).
        reason: its meaning depends on the source.
    """
    return _FOUR_BYTES.pack(PDUType.A_ASSOCIATE_RJ, 4, 0, result, source, reason)


def encode_release_request() -> bytes:
    """Encode an A-RELEASE-RQ (PS3.8 9.3.6)."""
    return _FOUR_BYTES.pack(PDUType.A_RELEASE_RQ, 4, 0, 0, 0, 0)


def encode_release_response() -> bytes:
    """Encode an A-RELEASE-RP (PS3.8 9.3.7)."""
    return _FOUR_BYTES.pack(PDUType.A_RELEASE_RP, 4, 0, 0, 0, 0)


def encode_abort(source: int, reason: int) -> bytes:
    """Encode an A-ABORT (PS3.8 9.3.8).

    Args:
        source: 0 = service user (the reason is then not significant), 2 = service provider.
        reason: one of `AbortReason`.
    """
    return _FOUR_BYTES.pack(PDUType.A_ABORT, 4, 0, 0, source, reason)


def decode_abort(body: bytes) -> tuple[int, int]:
    """Give source and reason of an A-ABORT; a malformed one is an abort all the same, as (0, 0).

    Args:
        body: the PDU without its 6-byte header.
    """
    return (body[2], body[3]) if len(body) >= 4 else (0, 0)


def encode_command_data(context_id: int, command: bytes, max_pdu_length: int = 0) -> bytes:
    """Encode a whole command set as P-DATA-TF, one PDV in each PDU (PS3.8 9.3.5, annex E.2).

    Args:
        context_id: of the presentation context.
        command: the encoded command set.
        max_pdu_length: what the peer takes; 0 = unlimited. Less than 8 bytes of it cannot hold a byte of data
            and a fragment is sent in spite of it.
    """
    size = len(command)
    if not max_pdu_length or size + 6 <= max_pdu_length:
        return _DATA_HEADER.pack(PDUType.P_DATA_TF, size + 6, size + 2, context_id, 0x03) + command
    step = max(max_pdu_length - 6, 2) & ~1  # fragments are of even length
    parts: list[bytes] = []
    for offset in range(0, size, step):
        fragment = command[offset : offset + step]
        control = 0x03 if offset + step >= size else 0x01
        length = len(fragment)
        parts.append(_DATA_HEADER.pack(PDUType.P_DATA_TF, length + 6, length + 2, context_id, control))
        parts.append(fragment)
    return b"".join(parts)


def _item(item_type: int, content: bytes) -> bytes:
    return _ITEM_HEADER.pack(item_type, len(content)) + content


def _role(sop_class_uid: str) -> bytes:
    uid = sop_class_uid.encode("ascii")
    return _item(_ROLE_SELECTION, len(uid).to_bytes(2, "big") + uid + b"\x01\x00")


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(_PADDING)


def _uid(value: bytes) -> str:
    """Decode a UID (PS3.8 annex F), leniently about the padding that belongs to data sets only."""
    uid = value.strip(b"\0 ")
    if len(uid) > _MOST_UID or not uid.isascii():
        raise PDUError(f"a UID of {len(uid)} bytes is too long or not ASCII")
    return uid.decode("ascii")


def _counted_uid(sub_item: bytes, offset: int) -> tuple[str, int]:
    """Decode a UID behind its 16-bit length; give it and the offset behind it."""
    start = offset + 2
    end = start + int.from_bytes(sub_item[offset:start], "big")
    if len(sub_item) < max(start, end):
        raise PDUError("a UID is longer than the sub-item that holds it")
    return _uid(sub_item[start:end]), end
