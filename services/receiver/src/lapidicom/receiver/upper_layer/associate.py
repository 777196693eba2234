"""A-ASSOCIATE-RQ and its answer A-ASSOCIATE-AC (PS3.8 sections 9.3.2 and 9.3.3, PS3.7 annex D.3). Pure.

pynetdicom's codec is the oracle of the tests, not the decoder: it raises on what real devices send (odd AE
titles, sub-items of later editions, which PS3.8 D.2 tells an acceptor to ignore), and for a padded UID it
warns and logs the value.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from lapidicom.receiver.upper_layer.pdu import ITEM_HEADER, ItemType, PDUError, PDUType, encode_item
from lapidicom.receiver.upper_layer.presentation_context import ContextResult, PresentationContext

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""The one application context of DICOM (PS3.7 A.2.1)."""

UNKNOWN_AE_TITLE: Final = "UNKNOWN"
"""Stands for a calling AE title of blanks only."""

DEFAULT_PEER_MAX_PDU_LENGTH: Final = 16384
"""Assumed when the peer does not send the (mandatory) Maximum Length sub-item: what most peers default to."""


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ says (PS3.8 9.3.2, PS3.7 D.3.3).

    Attributes:
        called_ae_title: without the NULs and blanks around it; Latin-1 and control characters survive.
        calling_ae_title: likewise; `UNKNOWN` where nothing is left.
        contexts: the proposed presentation contexts in the peer's order, each id once; malformed ones too.
        max_pdu_length: the longest P-DATA-TF that the peer takes, bytes after the PDU header; 0 = unlimited.
        roles: SOP Class UID -> (SCU role, SCP role) proposed by the peer (PS3.7 D.3.3.4).
        service_classes: SOP Class UID -> Service Class UID (Common Extended Negotiation, PS3.7 D.3.3.6).
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
    application_context: str
    protocol_version: int
    reserved: bytes


_HEAD = struct.Struct(">H2x64s")  # protocol version, and what A-ASSOCIATE-AC sends back as it came
_PDU_HEADER = struct.Struct(">BxI")
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_PADDING = "\0 "
_MOST_UID = 64

# 128 contexts with 60 transfer syntaxes each fit twice; beyond it is only meant to keep a processor busy
_MOST_ITEMS = 16_384


def decode_associate_request(body: bytes) -> AssociateRequest:
    """Decode an A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Items and sub-items of unknown types are ignored (PS3.8 D.2), and so are those that decide nothing here:
    the peer's implementation, asynchronous operations window, extended negotiation, user identity.

    Args:
        body: the PDU without its 6-byte header.

    Raises:
        PDUError: whatever is wrong with it.
    """
    return _RequestDecoder().decode(body)


class TooManyItemsError(PDUError):
    """The request is meant to keep a processor busy."""


class _RequestDecoder:
    """Gathers what the items of one A-ASSOCIATE-RQ say."""

    def __init__(self) -> None:
        self._items_left = _MOST_ITEMS
        self._contexts: dict[int, PresentationContext] = {}
        self._max_pdu_length = DEFAULT_PEER_MAX_PDU_LENGTH
        self._roles: dict[str, tuple[bool, bool]] = {}
        self._service_classes: dict[str, str] = {}
        self._application_context = ""

    def decode(self, body: bytes) -> AssociateRequest:
        if len(body) < _HEAD.size:
            raise PDUError(f"A-ASSOCIATE-RQ of {len(body)} bytes")
        protocol_version, reserved = _HEAD.unpack_from(body)
        for item_type, item in self._items(body, _HEAD.size):
            if item_type == ItemType.PRESENTATION_CONTEXT_RQ:
                self._presentation_context(item)
            elif item_type == ItemType.USER_INFORMATION:
                for sub_item_type, sub_item in self._items(item, 4):
                    self._user_data(sub_item_type, sub_item)
            elif item_type == ItemType.APPLICATION_CONTEXT:
                self._application_context = _uid(item[4:])
        return AssociateRequest(
            called_ae_title=_text(reserved[:16]),
            calling_ae_title=_text(reserved[16:32]) or UNKNOWN_AE_TITLE,
            contexts=tuple(self._contexts.values()),
            max_pdu_length=self._max_pdu_length,
            roles=MappingProxyType(self._roles),
            service_classes=MappingProxyType(self._service_classes),
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
                raise TooManyItemsError(f"more than {_MOST_ITEMS} items")
            item_type, length = ITEM_HEADER.unpack_from(data, offset)
            after = offset + 4 + length
            if after > end:
                raise PDUError(f"item 0x{item_type:02X} is longer than what holds it")
            yield item_type, data[offset:after]
            offset = after

    def _presentation_context(self, item: bytes) -> None:
        """Take a presentation context; what is malformed in it makes it refused, and nothing else."""
        if len(item) < 5:  # it has no id, so nobody can use it, and nobody could be answered
            return
        context_id = item[4]
        abstract_syntaxes: list[str] = []
        transfer_syntaxes: list[str] = []
        fault = "the id is even" if context_id % 2 == 0 else None
        try:
            for sub_item_type, sub_item in self._items(item, 8):
                if sub_item_type == ItemType.TRANSFER_SYNTAX:
                    transfer_syntaxes.append(_text(sub_item[4:]))
                elif sub_item_type == ItemType.ABSTRACT_SYNTAX:
                    abstract_syntaxes.append(_uid(sub_item[4:]))
        except TooManyItemsError:
            raise
        except PDUError as error:
            fault = fault or str(error)
        if len(abstract_syntaxes) != 1:
            fault = fault or f"{len(abstract_syntaxes)} abstract syntaxes"
        context = PresentationContext(
            context_id, next(iter(abstract_syntaxes), ""), tuple(transfer_syntaxes), fault
        )
        if context_id in self._contexts:
            # Nobody could tell which of them a message means.
            context = replace(self._contexts[context_id], fault="the id comes twice")
        self._contexts[context_id] = context

    def _user_data(self, sub_item_type: int, sub_item: bytes) -> None:
        if sub_item_type == ItemType.MAXIMUM_LENGTH:
            if len(sub_item) != 8:
                raise PDUError(f"maximum length sub-item of {len(sub_item) - 4} bytes")
            self._max_pdu_length = int.from_bytes(sub_item[4:], "big")
        elif sub_item_type == ItemType.ROLE_SELECTION:
            sop_class_uid, after = _counted_uid(sub_item, 4)
            roles = sub_item[after:]
            if len(roles) != 2:
                raise PDUError("the lengths in a role selection sub-item contradict one another")
            self._roles[sop_class_uid] = (bool(roles[0]), bool(roles[1]))
        elif sub_item_type == ItemType.COMMON_EXTENDED_NEGOTIATION:
            sop_class_uid, after = _counted_uid(sub_item, 4)
            # The related general SOP classes behind it decide nothing here
            self._service_classes[sop_class_uid], _ = _counted_uid(sub_item, after)


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


def encode_associate_accept(
    request: AssociateRequest, results: Sequence[ContextResult], *, max_pdu_length: int
) -> bytes:
    """Encode the A-ASSOCIATE-AC that answers a request (PS3.8 9.3.3, PS3.7 D.3.3).

    Where the peer proposed roles for an accepted SOP class, the answer is that it is the SCU and not the SCP.
    There is no answer to an asynchronous operations window or a user identity: none is negotiated.

    Args:
        request: what is answered; its reserved fields go back as they came.
        results: one per proposed presentation context, in the request's order.
        max_pdu_length: the longest P-DATA-TF that we take, bytes after the PDU header; 0 = unlimited.

    Returns:
        The PDU with its header.
    """
    parts = [encode_item(ItemType.APPLICATION_CONTEXT, APPLICATION_CONTEXT_NAME.encode("ascii"))]
    for result in results:
        # Not significant, and not to be tested, where the context is refused; but some peers expect a UID
        transfer_syntax = result.transfer_syntax or _IMPLICIT_VR_LITTLE_ENDIAN
        parts.append(
            encode_item(
                ItemType.PRESENTATION_CONTEXT_AC,
                bytes((result.context_id, 0, result.result, 0))
                + encode_item(ItemType.TRANSFER_SYNTAX, transfer_syntax.encode("ascii")),
            )
        )
    accepted = {result.abstract_syntax for result in results if result.accepted}
    user_data = [
        encode_item(ItemType.MAXIMUM_LENGTH, max_pdu_length.to_bytes(4, "big")),
        encode_item(ItemType.IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode("ascii")),
        *(_role(sop_class_uid) for sop_class_uid in request.roles if sop_class_uid in accepted),
        encode_item(ItemType.IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    ]
    parts.append(encode_item(ItemType.USER_INFORMATION, b"".join(user_data)))
    body = _HEAD.pack(1, request.reserved) + b"".join(parts)
    return _PDU_HEADER.pack(PDUType.A_ASSOCIATE_AC, len(body)) + body


def _role(sop_class_uid: str) -> bytes:
    uid = sop_class_uid.encode("ascii")
    return encode_item(ItemType.ROLE_SELECTION, len(uid).to_bytes(2, "big") + uid + b"\x01\x00")
