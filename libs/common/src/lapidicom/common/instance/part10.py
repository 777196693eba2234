"""The head of a DICOM file, read: File Meta Information (PS3.10 section 7.1). Pure."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lapidicom.common.instance.errors import HeaderError

PREFIX_END: Final = 132
"""Offset of File Meta Information: preamble of 128 bytes, then `DICM`."""

HEAD_LENGTH: Final = 64 * 1024
"""Bytes of a file in which File Meta Information must end."""

_ELEMENT: Final = struct.Struct("<HH2s")
_LONG_VRS: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT"})

_TRANSFER_SYNTAX_UID: Final = 0x0010
_SOURCE_AE_TITLE: Final = 0x0016
_SENDING_AE_TITLE: Final = 0x0017
_RECEIVING_AE_TITLE: Final = 0x0018


@dataclass(frozen=True, slots=True)
class FileMetaInformation:
    """What a file says about itself.

    Attributes:
        data_set: offset of the data set.
        transfer_syntax_uid: of the data set.
        calling_ae_title: of the association that brought it; empty if unknown.
        called_ae_title: likewise.
    """

    data_set: int
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str


def read_file_meta(head: bytes) -> FileMetaInformation:
    """Read File Meta Information, which is always explicit VR little endian.

    Its group length is not believed: the group ends where another one begins.

    Args:
        head: the first HEAD_LENGTH bytes of a file, or all of a shorter one.

    Raises:
        HeaderError: it is no DICOM file, or names no transfer syntax.
    """
    if head[128:PREFIX_END] != b"DICM":
        raise HeaderError("the file is no DICOM file (PS3.10)")
    values, end = _group_2(head)
    syntax = _text(values, _TRANSFER_SYNTAX_UID)
    if not syntax:
        raise HeaderError("the file names no transfer syntax (0002,0010)", 0x0002_0010)
    return FileMetaInformation(
        end,
        syntax,
        _text(values, _SOURCE_AE_TITLE) or _text(values, _SENDING_AE_TITLE),
        _text(values, _RECEIVING_AE_TITLE),
    )


def _group_2(head: bytes) -> tuple[dict[int, bytes], int]:
    values: dict[int, bytes] = {}
    offset = PREFIX_END
    while offset + 8 <= len(head):
        group, element, vr = _ELEMENT.unpack_from(head, offset)
        if group != 0x0002:
            return values, offset
        if vr in _LONG_VRS:
            if offset + 12 > len(head):
                break
            start, length = offset + 12, int.from_bytes(head[offset + 8 : offset + 12], "little")
        else:
            start, length = offset + 8, int.from_bytes(head[offset + 6 : offset + 8], "little")
        if start + length > len(head):
            break
        values[element] = head[start : start + length]
        offset = start + length
    if offset == len(head):
        return values, offset  # nothing but File Meta Information: the data set is empty
    raise HeaderError("the file ends inside its File Meta Information, or that is longer than 64 KiB")


def _text(values: Mapping[int, bytes], element: int) -> str:
    return values.get(element, b"").decode("latin_1").strip("\0 ")
