"""Text from bytes by pydicom's rules for Specific Character Set; no bytes whatever are refused.

The rules are those of PS3.5 section 6.1.2 and PS3.3 section C.12.1.1.2. pydicom has the tables; its functions
are not called, because they tell of wrong bytes by warnings, which no thread can silence for itself alone.
"""

import re
from typing import Final

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, default_encoding

from lapidicom.common.instance.character_sets import CODECS, LATIN_9, LONGEST_TERM, meant_term
from lapidicom.common.instance.tags import InstanceTags, RawValues

_ESCAPE = b"\x1b"
_SEPARATOR_TEXT: Final = "\x1f"
_SEPARATOR: Final = _SEPARATOR_TEXT.encode()
_MAX_CHARACTER_SETS = 32
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_DELIMITER = re.compile(rb"[\t\n\f\r]")
_FOUR_BYTE_ESCAPES = (b"\x1b$(", b"\x1b$)")

_CODEC_OF_ESCAPE: Final = {**CODES_TO_ENCODINGS, b"\x1b-b": LATIN_9}
"""pydicom 3.0 does not know Latin-9 (PS3.3 table C.12-3)."""

_OWN_ESCAPES = frozenset({"iso2022_jp", "iso2022_jp_2"})
"""Python's codecs of these understand their escape sequences themselves."""

_UNDELIMITED = frozenset({"iso_ir_58"})
"""In force up to the next escape sequence: as pydicom has it, no delimiter ends it."""

_IN_CHARACTER_SET: Final = tuple(
    InstanceTags._fields.index(keyword)
    for keyword in (
        "AccessionNumber",
        "StudyDescription",
        "SeriesDescription",
        "PatientName",
        "PatientID",
        "ProtocolName",
    )
)
"""The wanted values of VR SH, LO and PN; all others are in the default repertoire (PS3.5 section 6.1.2.2)."""


def decode(raw: RawValues) -> InstanceTags:
    """Decode all wanted values; bytes that cannot be decoded become U+FFFD.

    Of several values (PS3.5 section 6.4) the first counts. A person name is the stored text with its `^` and
    `=`. A value of ASCII without escape sequences, as most are, is the same in every character set.
    """
    joined = _SEPARATOR.join([value or b"" for value in raw])
    if b"\\" in joined or joined.count(_SEPARATOR) != len(raw) - 1:
        values = [decode_plain(value) for value in raw]
    else:  # together, which costs half
        text = joined.decode("latin_1").replace("\0", "")
        values = [value.strip() or None for value in text.split(_SEPARATOR_TEXT)]
    if joined.isascii() and _ESCAPE not in joined:
        return InstanceTags._make(values)
    codecs: list[str] | None = None
    for index in _IN_CHARACTER_SET:
        value = raw[index]
        if value is not None and (_ESCAPE in value or not value.isascii()):
            codecs = codecs or python_codecs(raw.SpecificCharacterSet or b"")
            values[index] = _first(decode_text(value, codecs))
    return InstanceTags._make(values)


def decode_plain(value: bytes | None) -> str | None:
    """Decode a value in the default repertoire: a UID, a date, a number, a code; None: absent."""
    return None if value is None else _first(value.decode("latin_1"))


def python_codecs(specific_character_set: bytes) -> list[str]:
    """Return the Python codecs that the value of (0008,0005) stands for: the initial one, then those allowed.

    Misspelt terms are understood, unknown ones stand for the default repertoire.
    """
    terms = [meant_term(name) or "" for name in _names(specific_character_set)]
    if terms[0] in STAND_ALONE_ENCODINGS:
        terms = terms[:1]
    allowed = terms[:1] + [term for term in terms[1:] if term not in STAND_ALONE_ENCODINGS]
    return [CODECS[term] for term in allowed]


def misspelt_terms(specific_character_set: bytes) -> dict[str, str]:
    """Return the terms in (0008,0005) that the standard does not define, and what they are read as.

    A term that nobody knows may be anything, a name too: it is returned as `unknown`.
    """
    meant = {name: meant_term(name) for name in _names(specific_character_set)}
    return {
        "unknown" if term is None else name: term or "ISO_IR 6"
        for name, term in meant.items()
        if name != term
    }


def _names(specific_character_set: bytes) -> list[str]:
    values = specific_character_set.decode("latin_1").split("\\", _MAX_CHARACTER_SETS)
    return [name.strip("\0 ")[:LONGEST_TERM] for name in values[:_MAX_CHARACTER_SETS]]


def decode_text(value: bytes, codecs: list[str]) -> str:
    """Decode a value with code extensions (PS3.5 section 6.1.2.5).

    Args:
        value: all bytes of the value.
        codecs: what `python_codecs` returned.
    """
    if _ESCAPE not in value:
        return value.decode(codecs[0], errors="replace")
    return "".join(_decode_fragment(fragment, codecs) for fragment in _FRAGMENT.findall(value))


def _decode_fragment(fragment: bytes, codecs: list[str]) -> str:
    """Decode what follows one escape sequence, or precedes the first."""
    initial = codecs[0]
    if fragment.startswith(_ESCAPE):
        size = 4 if fragment.startswith(_FOUR_BYTE_ESCAPES) else 3
        codec = _CODEC_OF_ESCAPE.get(fragment[:size])
        if codec is not None and (codec in codecs or codec == default_encoding):
            try:
                return _decode_escaped(fragment, size, codec, initial)
            except UnicodeError:
                pass  # the initial character set, with replacements, is what remains
    return fragment.decode(initial, errors="replace")


def _decode_escaped(fragment: bytes, size: int, codec: str, initial: str) -> str:
    if codec in _OWN_ESCAPES:
        return fragment.decode(codec)
    text = fragment[size:]
    delimiter = None if codec in _UNDELIMITED else _DELIMITER.search(text)
    if delimiter is None:
        return text.decode(codec)
    return text[: delimiter.start()].decode(codec) + text[delimiter.start() :].decode(initial)


def _first(text: str) -> str | None:
    """The first of several values, without NULs, trimmed; None if nothing remains."""
    if "\\" in text:
        text = text[: text.index("\\")]
    if "\0" in text:
        text = text.replace("\0", "")
    return text.strip() or None
