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

_TAG: Final = struct.Struct("<HH")
_LONG_VRS: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT"})

_GROUP_LENGTH: Final = 0x0000
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

    Its group length is believed if an element ends there: a data set may begin with elements of group 0002
    by mistake. Else the group ends where another one begins.

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
    announced = len(head)
    while offset not in (announced, len(head)):  # at the end of the file the data set is empty
        group, element, start, end = _element(head, offset)
        if group != 0x0002:
            break
        values[element] = head[start:end]
        offset = end
        if element == _GROUP_LENGTH and end - start == 4:
            announced = end + int.from_bytes(values[element], "little")
    return values, offset


def _element(head: bytes, offset: int) -> tuple[int, int, int, int]:
    """Group, element, and where the value begins and ends, which is checked for group 0002 only."""
    long = offset + 12 <= len(head) and head[offset + 4 : offset + 6] in _LONG_VRS
    if offset + 8 <= len(head):
        group, element = _TAG.unpack_from(head, offset)
        if long:
            start, length = offset + 12, int.from_bytes(head[offset + 8 : offset + 12], "little")
        else:
            start, length = offset + 8, int.from_bytes(head[offset + 6 : offset + 8], "little")
        if group != 0x0002 or start + length <= len(head):
            return group, element, start, start + length
    raise HeaderError("the file ends inside its File Meta Information, or that is longer than 64 KiB")


def _text(values: Mapping[int, bytes], element: int) -> str:
    return values.get(element, b"").decode("latin_1").strip("\0 ")
