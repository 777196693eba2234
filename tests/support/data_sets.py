"""Data sets for tests, made byte by byte: what no DICOM library would write can be written, too."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.filewriter import write_dataset

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

UNDEFINED = 0xFFFFFFFF
LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


@dataclass(frozen=True)
class Coding:
    """Writes elements in one of the three codings of a data set."""

    implicit: bool
    big: bool = False

    @property
    def transfer_syntax(self) -> str:
        return IMPLICIT if self.implicit else BIG_ENDIAN if self.big else EXPLICIT

    @property
    def _order(self) -> str:
        return ">" if self.big else "<"

    def element(self, tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
        """One element; an unknown VR gets a 32-bit length; `length` may lie."""
        size = len(value) if length is None else length
        head = struct.pack(f"{self._order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return head + struct.pack(f"{self._order}I", size) + value
        if vr in LONG_VRS or vr not in SHORT_FORMS:
            return head + vr.encode() + b"\0\0" + struct.pack(f"{self._order}I", size) + value
        return head + vr.encode() + struct.pack(f"{self._order}H", size) + value

    def delimiter(self, tag: int, length: int = 0) -> bytes:
        """An item, or the end of an item or a sequence: without a VR in every coding."""
        return struct.pack(f"{self._order}HHI", tag >> 16, tag & 0xFFFF, length)

    def item(self, content: bytes, defined: bool) -> bytes:
        if defined:
            return self.delimiter(0xFFFEE000, len(content)) + content
        return self.delimiter(0xFFFEE000, UNDEFINED) + content + self.delimiter(0xFFFEE00D)

    def sequence(
        self, tag: int, items: list[bytes], defined: bool = False, vr: str = "SQ", items_defined: bool = False
    ) -> bytes:
        content = b"".join(self.item(item, items_defined) for item in items)
        if defined:
            return self.element(tag, vr, content)
        return self.element(tag, vr, content + self.delimiter(0xFFFEE0DD), UNDEFINED)


SHORT_FORMS = {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS"} | {
    *("LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US")
}

CODINGS = (Coding(implicit=True), Coding(implicit=False), Coding(implicit=False, big=True))


def padded(text: str, pad: bytes = b" ") -> bytes:
    """Text of even length."""
    value = text.encode("latin-1")
    return value + pad * (len(value) % 2)


def written_by_pydicom(data_set: Dataset, coding: Coding) -> bytes:
    """The bytes of a data set without preamble and File Meta."""
    out = DicomBytesIO()
    out.is_little_endian = not coding.big
    out.is_implicit_VR = coding.implicit
    write_dataset(out, data_set)
    return out.getvalue()


def data_set_bytes(file: Path) -> bytes:
    """The bytes of a DICOM file behind its File Meta, if it has one."""
    content = file.read_bytes()
    stream = io.BytesIO(content)
    read_preamble(stream, force=True)
    _read_file_meta_info(stream)
    return content[stream.tell() :]
