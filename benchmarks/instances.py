"""Synthetic CT instances of an exact file size: distinct UIDs and numbers, a header like a scanner's.

No patient, no image: the values are made up and the pixels are zeros. As in real series the last component
of the SOP Instance UID and the Instance Number grow by a digit now and then: layouts of a few lengths occur.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_IMPLEMENTATION_CLASS_UID: Final = "2.25.176503118046893245604410384931275562017"
_ROOT: Final = "2.25.4177093826"
_LONG = frozenset(("OB", "OW", "SQ", "UN"))


@dataclass(frozen=True, slots=True)
class Kind:
    """A size of instance.

    Attributes:
        name: as tables show it.
        rows, columns: of the image, two bytes a pixel.
        file_size: bytes of the Part 10 file; Image Comments (0020,4000) fills up to it.
    """

    name: str
    rows: int
    columns: int
    file_size: int


LARGE: Final = Kind("512 KiB", 512, 512, 525_768)
SMALL: Final = Kind("20 KB", 100, 96, 20_680)
SERIES: Final = 4
"""All instances of a kind are of one study with this many series, one for each of four associations."""


def write_files(kind: Kind, count: int, folder: Path) -> None:
    """Write `count` files of one kind into an empty folder, in the order in which they are sent."""
    folder.mkdir()
    for index, content in enumerate(encode(kind, count)):
        (folder / f"{index:06}.dcm").write_bytes(content)


def series_of(index: int, count: int) -> int:
    """Which series (from 0) the file of that index belongs to, of `count` that were written."""
    return index // -(-count // SERIES)


def encode(kind: Kind, count: int) -> Iterator[bytes]:
    """Encode `count` Part 10 files of one kind: series after series."""
    block = -(-count // SERIES)
    pixels = _element(0x7FE0, 0x0010, "OW", bytes(kind.rows * kind.columns * 2))
    for index in range(count):
        series, number = index // block + 1, index % block + 1
        sop_instance_uid = f"{_ROOT}.{kind.rows}.{series}.{number}"
        meta = _file_meta(sop_instance_uid)
        before, after = _header(kind, series, number, sop_instance_uid)
        filler = kind.file_size - len(meta) - len(before) - len(after) - len(pixels) - 8
        comments = _element(0x0020, 0x4000, "LT", b"synthetic ".ljust(filler, b"-"))
        yield b"".join((meta, before, comments, after, pixels))


def before_pixels(kind: Kind) -> tuple[bytes, str]:
    """All elements before Pixel Data of one instance, and its SOP Instance UID."""
    uid = f"{_ROOT}.{kind.rows}.0.1"
    return b"".join(_header(kind, 0, 1, uid)), uid


def _element(group: int, element: int, vr: str, value: str | bytes) -> bytes:
    raw = value.encode("ascii") if isinstance(value, str) else value
    if len(raw) & 1:
        raw += b"\0" if vr in ("UI", "OB") else b" "
    if vr in _LONG:
        return struct.pack("<HH2s2xI", group, element, vr.encode(), len(raw)) + raw
    return struct.pack("<HH2sH", group, element, vr.encode(), len(raw)) + raw


def _elements(rows: Sequence[tuple[int, str, str | bytes]]) -> bytes:
    return b"".join(_element(tag >> 16, tag & 0xFFFF, vr, value) for tag, vr, value in rows)


def _file_meta(sop_instance_uid: str) -> bytes:
    body = _elements(
        [
            (0x00020001, "OB", b"\0\x01"),
            (0x00020002, "UI", CT_IMAGE_STORAGE),
            (0x00020003, "UI", sop_instance_uid),
            (0x00020010, "UI", EXPLICIT_VR_LITTLE_ENDIAN),
            (0x00020012, "UI", _IMPLEMENTATION_CLASS_UID),
        ]
    )
    return bytes(128) + b"DICM" + _element(0x0002, 0x0000, "UL", struct.pack("<I", len(body))) + body


def _header(kind: Kind, series: int, number: int, sop_instance_uid: str) -> tuple[bytes, bytes]:
    """The elements before Image Comments, and those between it and Pixel Data."""
    study_uid = f"{_ROOT}.{kind.rows}"
    before: list[tuple[int, str, str | bytes]] = [
        (0x00080005, "CS", "ISO_IR 100"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        (0x00080012, "DA", "20240131"),
        (0x00080016, "UI", CT_IMAGE_STORAGE),
        (0x00080018, "UI", sop_instance_uid),
        (0x00080020, "DA", "20240131"),
        (0x00080021, "DA", "20240131"),
        (0x00080030, "TM", "101112"),
        (0x00080031, "TM", "101314"),
        (0x00080050, "SH", "A0012345"),
        (0x00080060, "CS", "CT"),
        (0x00080070, "LO", "SYNTHETIC"),
        (0x00080080, "LO", "BENCH"),
        (0x00080090, "PN", ""),
        (0x00081010, "SH", "CT01"),
        (0x00081030, "LO", "CT THORAX ABD."),
        (0x0008103E, "LO", f"AXIAL {series}.0 MM"),
        (0x00081090, "LO", "MODEL X"),
        # A private group, as scanners write before the patient's.
        (0x00090010, "LO", "SYNTHETIC 01"),
        (0x00091001, "LO", "V1.0"),
        (0x00091002, "SL", struct.pack("<i", number)),
        (0x00100010, "PN", "BENCH^SYNTHETIC"),
        (0x00100020, "LO", "SYN-0001"),
        (0x00100030, "DA", "19700101"),
        (0x00100040, "CS", "O"),
        (0x00101010, "AS", "054Y"),
        (0x00180015, "CS", "CHEST"),
        (0x00180022, "CS", "HELICAL"),
        (0x00180050, "DS", f"{series}.0"),
        (0x00180060, "DS", "120"),
        (0x00180090, "DS", "500"),
        (0x00181020, "LO", "7.1"),
        (0x00181030, "LO", "THORAX ROUTINE"),
        (0x00181100, "DS", "360"),
        (0x00181150, "IS", "500"),
        (0x00181151, "IS", "240"),
        (0x00181152, "IS", "120"),
        (0x00181210, "SH", "B30f"),
        (0x00185100, "CS", "FFS"),
        (0x0020000D, "UI", study_uid),
        (0x0020000E, "UI", f"{study_uid}.{series}"),
        (0x00200010, "SH", "1"),
        (0x00200011, "IS", str(series)),
        (0x00200012, "IS", "1"),
        (0x00200013, "IS", str(number)),
        (0x00200032, "DS", f"-180\\-180\\{number}"),
        (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        (0x00200052, "UI", f"{study_uid}.0"),
        (0x00201040, "LO", ""),
        (0x00201041, "DS", str(number)),
    ]
    after: list[tuple[int, str, str | bytes]] = [
        (0x00280002, "US", struct.pack("<H", 1)),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", struct.pack("<H", kind.rows)),
        (0x00280011, "US", struct.pack("<H", kind.columns)),
        (0x00280030, "DS", "0.7\\0.7"),
        (0x00280100, "US", struct.pack("<H", 16)),
        (0x00280101, "US", struct.pack("<H", 12)),
        (0x00280102, "US", struct.pack("<H", 11)),
        (0x00280103, "US", struct.pack("<H", 0)),
        (0x00281050, "DS", "40"),
        (0x00281051, "DS", "400"),
        (0x00281052, "DS", "-1024"),
        (0x00281053, "DS", "1"),
        (0x00281054, "LO", "HU"),
    ]
    return _elements(before), _elements(after)
