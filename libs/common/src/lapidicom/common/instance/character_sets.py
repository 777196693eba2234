"""Defined terms of Specific Character Set (PS3.3 section C.12.1.1.2), and what misspelt ones mean."""

import re
from functools import lru_cache
from typing import Final

from pydicom.charset import python_encoding

LATIN_9: Final = "iso8859_15"

CODECS: Final = {**python_encoding, "ISO_IR 203": LATIN_9, "ISO 2022 IR 203": LATIN_9}
"""The Python codec of each term: those of pydicom, and Latin-9, which it does not know."""

_UNSPACED: Final = {re.sub("[^A-Z0-9]", "", term): term for term in CODECS}

_BY_OTHER_NAMES: Final = {
    "UTF8": "ISO_IR 192",
    "UNICODE": "ISO_IR 192",
    "ASCII": "ISO_IR 6",
    "USASCII": "ISO_IR 6",
    "LATIN1": "ISO_IR 100",
    "LATIN2": "ISO_IR 101",
    "LATIN5": "ISO_IR 148",
    "LATIN9": "ISO_IR 203",
    "CP1252": "ISO_IR 100",
    "WINDOWS1252": "ISO_IR 100",
    "SHIFTJIS": "ISO_IR 13",
    "SJIS": "ISO_IR 13",
    "ISO2022JP": "ISO 2022 IR 87",
    "ISO2022JP2": "ISO 2022 IR 159",
    "EUCKR": "ISO 2022 IR 149",
    "KSC5601": "ISO 2022 IR 149",
    "GB2312": "ISO 2022 58",
}
_OF_PARTS_OF_8859: Final = {
    "1": "ISO_IR 100",
    "2": "ISO_IR 101",
    "3": "ISO_IR 109",
    "4": "ISO_IR 110",
    "5": "ISO_IR 144",
    "6": "ISO_IR 127",
    "7": "ISO_IR 126",
    "8": "ISO_IR 138",
    "9": "ISO_IR 148",
    "11": "ISO_IR 166",
    "15": "ISO_IR 203",
}
_REGISTERED = re.compile(r"(?:ISO)?(2022)?(?:IR)?0*([1-9][0-9]{0,2})")
_PART_OF_8859 = re.compile(r"(?:ISO)?(?:IEC)?8859([0-9]{1,2})")

LONGEST_TERM: Final = 32
"""Characters of a name that are looked at; a defined term has 16 at most (VR CS)."""


@lru_cache(maxsize=256)
def meant_term(name: str) -> str | None:
    """Return the defined term that a name stands for, itself if it is one; None if nobody can tell.

    Case, blanks, hyphens and underscores do not count (`ISO_IR192`, `iso-ir 100`), nor whether the name tells
    of code extensions where there is only one form of the character set (`ISO_IR 149`, `ISO 2022 IR 192`).
    """
    if name in CODECS:
        return name
    plain = re.sub("[^A-Z0-9]", "", name.upper())
    if plain in _UNSPACED:
        return _UNSPACED[plain]
    if plain in _BY_OTHER_NAMES:
        return _BY_OTHER_NAMES[plain]
    if part := _PART_OF_8859.fullmatch(plain):
        return _OF_PARTS_OF_8859.get(part[1])
    if registered := _REGISTERED.fullmatch(plain):
        plain_term, extended = f"ISO_IR {registered[2]}", f"ISO 2022 IR {registered[2]}"
        first, second = (extended, plain_term) if registered[1] else (plain_term, extended)
        return first if first in CODECS else second if second in CODECS else None
    return None
