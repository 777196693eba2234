"""Decoding against pydicom, which decodes with warnings what we decode without."""

import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

from lapidicom.common.instance.charset import (
    decode,
    decode_plain,
    decode_text,
    misspelt_terms,
    python_codecs,
)
from lapidicom.common.instance.tags import InstanceTags, RawValues
from tests.support.seeds import examples

NONE = RawValues(*(None,) * len(RawValues._fields))


def by_pydicom(value: bytes, names: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codecs = convert_encodings(names.split("\\"))
        # It leaves the escape sequence of this one in the text (3.0); we take it out.
        text = decode_bytes(value, codecs, TEXT_VR_DELIMS)
        return text.replace("\x1b$)A", "") if "iso_ir_58" in codecs else text


def decoded_name(value: bytes, names: str) -> str | None:
    return decode(NONE._replace(SpecificCharacterSet=names.encode(), PatientName=value)).PatientName


@pytest.mark.parametrize(
    ("names", "value", "text"),
    [
        ("", b"Doe^John", "Doe^John"),
        ("ISO_IR 6", b"Doe^John", "Doe^John"),
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        ("ISO_IR 144", "ЛДж".encode("iso8859_5"), "ЛДж"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
        ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
            "Zhang^XiaoDong=张^小东",
        ),
        ("ISO_IR 100", b"no utf-8: \xc3\xa9", "no utf-8: Ã©"),
        ("ISO_IR 192", b"no latin: \xe9", "no latin: \ufffd"),
        ("ISO IR 100", b"J\xe9r\xf4me", "Jérôme"),
        ("ISO-IR 144", b"\xbb", "Л"),
        ("utf-8", b"\xc3\xa9", "é"),
        ("NO SUCH SET", b"\xe9", "é"),
        ("ISO_IR 203", b"\xbc\xa4", "Œ€"),
        ("ISO 2022 IR 203", b"\xbc\xa4", "Œ€"),
        ("\\ISO 2022 IR 203", b"A \x1b-b\xbc\xa4", "A Œ€"),
        ("ISO_IR 100\\ISO 2022 IR 203", b"\xe9\x1b-b\xa4\r\n", "é€"),
        ("ISO_IR192", "東".encode(), "東"),
        ("ISO 2022 IR 192", "東".encode(), "東"),
        ("iso_ir 144", b"\xbb", "Л"),
        ("UTF8", "é".encode(), "é"),
        ("UTF-8", "é".encode(), "é"),
        ("ISO-IR 100", b"\xe9", "é"),
        ("ISO_IR_100", b"\xe9", "é"),
        ("IR 101", b"\xb1", "ą"),
        ("ISO-8859-2", b"\xb1", "ą"),
        ("ISO8859-15", b"\xa4", "€"),
        ("ISO_IR 149", "홍".encode("euc_kr"), "홍"),
        ("\\ISO_IR 149", b"\x1b$)C" + "홍".encode("euc_kr"), "홍"),
        ("\\iso2022ir87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("gb18030", "小".encode("gb18030"), "小"),
        ("GB_18030", "小".encode("gb18030"), "小"),
        ("hex", b"\xe9", "é"),
        ("ISO_IR 192\\ISO 2022 IR 87", b"\xc3\xa9", "é"),
        ("ISO_IR 100\\ISO_IR 192", b"\xe9", "é"),
        ("ISO_IR 100 \\ISO 2022 IR 144 ", b"\x1b-L\xbb", "Л"),
    ],
)
def test_a_name_is_decoded(names: str, value: bytes, text: str) -> None:
    assert decoded_name(value, names) == text


@pytest.mark.parametrize("names", sorted(python_encoding))
def test_ascii_without_escapes_is_the_same_in_every_character_set(names: str) -> None:
    ascii_bytes = bytes(code for code in range(128) if code != 0x1B)
    assert decode_text(ascii_bytes, python_codecs(names.encode())) == ascii_bytes.decode("ascii")


@pytest.mark.parametrize("names", [*sorted(python_encoding), "ISO 2022 IR 6\\ISO 2022 IR 87"])
def test_a_character_set_leads_to_the_codecs_that_pydicom_takes(names: str) -> None:
    assert python_codecs(names.encode()) == convert_encodings(names.split("\\"))


@pytest.mark.parametrize(
    ("names", "read_as"),
    [
        ("", {}),
        ("ISO_IR 100", {}),
        ("ISO_IR 100 \\ISO 2022 IR 87", {}),
        ("\\ISO 2022 IR 203", {}),
        ("ISO_IR192", {"ISO_IR192": "ISO_IR 192"}),
        ("ISO_IR 149\\ISO 2022 IR 6", {"ISO_IR 149": "ISO 2022 IR 149"}),
        ("iso-ir 100\\UTF8", {"iso-ir 100": "ISO_IR 100", "UTF8": "ISO_IR 192"}),
        ("DOE^JOHN", {"unknown": "ISO_IR 6"}),
        ("ISO_IR 999", {"unknown": "ISO_IR 6"}),
        ("ISO_IR " + "1" * 5000, {"unknown": "ISO_IR 6"}),
    ],
)
def test_misspelt_terms_are_named_and_unknown_ones_are_not(names: str, read_as: dict[str, str]) -> None:
    assert misspelt_terms(names.encode()) == read_as


code_extensions = st.sampled_from(
    [
        *sorted(python_encoding),
        "\\ISO 2022 IR 87",
        "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
        "\\ISO 2022 IR 149",
        "\\ISO 2022 IR 58",
        "ISO 2022 IR 6\\ISO 2022 IR 126\\ISO 2022 IR 144\\ISO 2022 IR 100",
        "ISO_IR 192\\ISO 2022 IR 87",
        "ISO_IR 100\\GB18030\\ISO 2022 IR 144",
        "ISO IR 101",
        "ISO-2022-IR-101",
    ]
)
singles = (b"\x1b(B", b"\x1b-A", b"\x1b)I", b"\x1b(J", b"\x1b-F", b"\x1b-L")
multiples = (b"\x1b$B", b"\x1b$)C", b"\x1b$(D", b"\x1b$)A")
odd = (b"\x1b", b"\x1b$", b"\x1b(Q", b"^", b"=", b"\r\n", b"\t", b"A")
escapes = st.sampled_from([*singles, *multiples, *odd])
pieces = st.lists(st.one_of(escapes, st.binary(max_size=6)), max_size=8).map(b"".join)


@settings(max_examples=examples(300))
@given(code_extensions, pieces)
@example("\\ISO 2022 IR 87", b"\x1b$B\x30")
@example("\\ISO 2022 IR 159", b"\x1b$(D\xff\x1b(B")
def test_any_bytes_are_decoded_as_by_pydicom_or_replaced(names: str, value: bytes) -> None:
    text = decode_text(value, python_codecs(names.encode()))
    text.encode()  # no lone surrogates
    assert text.replace("\x1b$)A", "") == by_pydicom(value, names).replace("\x1b$)A", "")


@settings(max_examples=examples(200))
@given(
    st.sampled_from(["ISO_IR 100", "ISO_IR 144", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 149"]),
    st.text(alphabet="ABC^= 山田太郎김희중éöДж", max_size=20),
)
def test_what_pydicom_encodes_comes_back(names: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoded = encode_string(text, convert_encodings(names.split("\\")))
    assert decoded_name(encoded, names) == (by_pydicom(encoded, names).strip() or None)


@settings(max_examples=examples(300))
@given(st.lists(st.one_of(st.none(), pieces, st.binary(max_size=20)), min_size=18, max_size=18))
def test_no_bytes_raise_or_warn(values: list[bytes | None]) -> None:
    tags = decode(RawValues(*values))
    for raw, text in zip(values, tags, strict=True):
        assert text is None or (
            raw and text == text.strip() and "\0" not in text and "\\" not in text and text
        )


@settings(max_examples=examples(200))
@given(st.lists(st.one_of(st.none(), st.binary(max_size=12)), min_size=18, max_size=18))
def test_values_decoded_together_are_those_decoded_one_by_one(values: list[bytes | None]) -> None:
    raw = RawValues(*values)._replace(SpecificCharacterSet=b"ISO_IR 100")
    assert decode(raw) == InstanceTags(*map(decode_plain, raw))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (b"", None),
        (b"   ", None),
        (b"\0\0", None),
        (b" \0 ", None),
        (b"\\second", None),
        (b"1.2.3\0", "1.2.3"),
        (b" 7 ", "7"),
        (b"first \\second", "first"),
        (b"a\0b", "ab"),
        (b"\x1f", None),
    ],
)
def test_the_first_value_counts_without_nuls_and_blanks(value: bytes | None, text: str | None) -> None:
    assert decode_plain(value) == text
    assert decode(NONE._replace(PatientID=value)).PatientID == text


def test_a_separator_within_a_value_moves_no_value_to_another_tag() -> None:
    tags = decode(NONE._replace(PatientID=b"a\x1fb", Modality=b"MR"))
    assert (tags.PatientID, tags.Modality, tags.PatientSex) == ("a\x1fb", "MR", None)


def test_values_in_the_default_repertoire_ignore_the_character_set() -> None:
    raw = NONE._replace(
        SpecificCharacterSet=b"ISO_IR 192", Modality=b"\xc3\xa9", StudyDescription=b"\xc3\xa9"
    )
    tags = decode(raw)
    assert (tags.Modality, tags.StudyDescription) == ("Ã©", "é")


def test_backslashes_within_multi_byte_characters_do_not_split() -> None:
    value = "功\\x".encode("gb18030")  # PS3.5 section 6.1.2.5.3: a byte 5C may be half a character
    assert decode(NONE._replace(SpecificCharacterSet=b"GB18030", PatientID=value)).PatientID == "功"


def test_thousands_of_character_sets_are_looked_at_only_in_part() -> None:
    assert len(python_codecs(b"\\".join(b"X%d" % n for n in range(5000)))) <= 32
