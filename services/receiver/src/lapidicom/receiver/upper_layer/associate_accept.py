"""A-ASSOCIATE-AC (PS3.8 section 9.3.3, PS3.7 annex D.3): its encoder."""

import struct
from collections.abc import Sequence
from typing import Final

from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from lapidicom.receiver.upper_layer.associate_request import HEAD, AssociateRequest
from lapidicom.receiver.upper_layer.items import ItemType, encode_item
from lapidicom.receiver.upper_layer.pdu import PDUType
from lapidicom.receiver.upper_layer.presentation_context import ContextResult

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""The one application context of DICOM (PS3.7 A.2.1)."""

_PDU_HEADER = struct.Struct(">BxI")
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


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
        encode_item(ItemType.IMPLEMENTATION_CLASS_UID, implementation_class_uid.encode("ascii")),
        *(_role(sop_class_uid) for sop_class_uid in request.roles if sop_class_uid in accepted),
        encode_item(ItemType.IMPLEMENTATION_VERSION_NAME, implementation_version.encode("ascii")),
    ]
    parts.append(encode_item(ItemType.USER_INFORMATION, b"".join(user_data)))
    body = HEAD.pack(1, request.reserved) + b"".join(parts)
    return _PDU_HEADER.pack(PDUType.A_ASSOCIATE_AC, len(body)) + body


def _role(sop_class_uid: str) -> bytes:
    uid = sop_class_uid.encode("ascii")
    return encode_item(ItemType.ROLE_SELECTION, len(uid).to_bytes(2, "big") + uid + b"\x01\x00")
