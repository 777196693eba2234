"""Text from bytes by pydicom's rules for Specific Character Set; no bytes whatever are refused.

The rules are those of PS3.5 section 6.1.2 and PS3.3 section C.12.1.1.2. pydicom has the tables; its functions
are not called, because they tell of wrong bytes by warnings, which no thread can silence for itself alone.
"""

import encodings
import encodings.aliases
import re
from typing import Final

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, default_encoding, python_encoding

from lapidicom.common.instance.tags import InstanceTags, RawValues

_ESCAPE = b"\x1b"
_SEPARATOR_TEXT: Final = "\x1f"
_SEPARATOR: Final = _SEPARATOR_TEXT.encode()
_MAX_CHARACTER_SETS = 32
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_DELIMITER = re.compile(rb"[\t\n\f\r]")
_FOUR_BYTE_ESCAPES = (b"\x1b$(", b"\x1b$)")

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


def _codec_name(name: str) -> str:
    name = encodings.normalize_encoding(name).lower()
    return encodings.aliases.aliases.get(name, name)


# pydicom also takes the name of any Python codec. Here only those to which the table leads anyway: others are
# slow or make no text, and looking up any name that a peer sends imports modules and is remembered for ever.
_CODECS: Final = frozenset(map(_codec_name, (*python_encoding.values(), "ascii")))


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

    Names with common spelling errors are understood, unknown ones stand for the default repertoire.
    """
    values = specific_character_set.decode("latin_1").split("\\", _MAX_CHARACTER_SETS)
    names = [name.strip("\0 ") for name in values[:_MAX_CHARACTER_SETS]]
    if names[0] in STAND_ALONE_ENCODINGS:
        names = names[:1]
    allowed = names[:1] + [name for name in names[1:] if name not in STAND_ALONE_ENCODINGS]
    return [_python_codec(name) for name in allowed]


def _python_codec(name: str) -> str:
    known = python_encoding.get(name)
    if known is None and re.match("ISO[^_]IR", name):
        known = python_encoding.get(f"ISO_IR{name[6:]}")
    if known is None and re.match("ISO.2022.IR.", name):
        known = python_encoding.get(f"ISO 2022 IR {name[12:]}")
    if known is None:
        codec = _codec_name(name)
        known = codec if codec in _CODECS else default_encoding
    return known


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
        codec = CODES_TO_ENCODINGS.get(fragment[:size])
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
