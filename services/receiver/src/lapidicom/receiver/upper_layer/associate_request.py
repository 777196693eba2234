"""A-ASSOCIATE-RQ (PS3.8 section 9.3.2, PS3.7 annex D.3): what it says, and its decoder.

pynetdicom's codec is the oracle of the tests, not the decoder: it raises on what real devices send (odd AE
titles, sub-items of later editions, which PS3.8 D.2 tells an acceptor to ignore), and for a padded UID it
warns and logs the value.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from lapidicom.receiver.upper_layer.items import ITEM_HEADER, ItemType
from lapidicom.receiver.upper_layer.pdu import PDUError
from lapidicom.receiver.upper_layer.presentation_context import PresentationContext

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


HEAD: Final = struct.Struct(">H2x64s")
"""Protocol version, and the 64 bytes that A-ASSOCIATE-AC sends back as they came."""

_PADDING = "\0 "
_MOST_UID = 64

# 128 contexts with 60 transfer syntaxes each fit twice; beyond it is only meant to keep a processor busy
_MOST_ITEMS = 16_384


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
        self._implementation_class_uid = ""
        self._implementation_version = ""
        self._application_context = ""

    def decode(self, body: bytes) -> AssociateRequest:
        if len(body) < HEAD.size:
            raise PDUError(f"A-ASSOCIATE-RQ of {len(body)} bytes")
        protocol_version, reserved = HEAD.unpack_from(body)
        for item_type, item in self._items(body, HEAD.size):
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
        # The peer's names are informative: what is odd about them ends no association
        elif sub_item_type == ItemType.IMPLEMENTATION_CLASS_UID:
            self._implementation_class_uid = _text(sub_item[4:])[:64]
        elif sub_item_type == ItemType.IMPLEMENTATION_VERSION_NAME:
            self._implementation_version = _text(sub_item[4:])[:16]


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
