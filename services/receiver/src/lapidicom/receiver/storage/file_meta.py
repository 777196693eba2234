"""The head of a DICOM file: preamble, prefix and File Meta Information (PS3.10 section 7.1).

All of it but the SOP Instance UID is the same for each instance of a presentation context, so it is
encoded once and only the UID is put in.
"""

import struct

from lapidicom.receiver.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


class FileMeta:
    """Encodes the head of files that one association stores for one presentation context.

    Args:
        sop_class_uid: Media Storage SOP Class UID (0002,0002), from the command.
        transfer_syntax_uid: as negotiated.
        calling_ae_title, called_ae_title: of the association; characters that an AE title cannot
            hold (PS3.5 section 6.2) are written as `_`.
    """

    __slots__ = ("_after", "_before", "_rest")

    def __init__(
        self, sop_class_uid: str, transfer_syntax_uid: str, calling_ae_title: str, called_ae_title: str
    ) -> None:
        calling, called = _ae_title(calling_ae_title), _ae_title(called_ae_title)
        before = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
        before += _short(0x0002, b"UI", _uid(sop_class_uid))
        before += struct.pack("<HH2s", 0x0002, 0x0003, b"UI")
        after = _short(0x0010, b"UI", _uid(transfer_syntax_uid))
        after += _short(0x0012, b"UI", _uid(IMPLEMENTATION_CLASS_UID))
        after += _short(0x0013, b"SH", _text(IMPLEMENTATION_VERSION_NAME.encode("ascii")))
        after += (
            _short(0x0016, b"AE", calling) + _short(0x0017, b"AE", calling) + _short(0x0018, b"AE", called)
        )
        self._before = before
        self._after = after
        self._rest = len(before) + 2 + len(after)

    def encode(self, sop_instance_uid: bytes) -> bytes:
        """Return all that stands before the data set in the file of this instance."""
        if len(sop_instance_uid) & 1:
            sop_instance_uid += b"\0"
        size = len(sop_instance_uid)
        return b"".join(
            (
                _PREAMBLE,
                _GROUP_LENGTH.pack(self._rest + size),
                self._before,
                _UINT16.pack(size),
                sop_instance_uid,
                self._after,
            )
        )


_PREAMBLE = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00"
_UINT16 = struct.Struct("<H")
_GROUP_LENGTH = struct.Struct("<I")


def _short(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def _uid(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) & 1)


def _text(value: bytes) -> bytes:
    return value + b" " * (len(value) & 1)


def _ae_title(title: str) -> bytes:
    cleaned = "".join(c if " " <= c <= "~" and c != "\\" else "_" for c in title)
    return _text(cleaned.encode("ascii")[:16])
