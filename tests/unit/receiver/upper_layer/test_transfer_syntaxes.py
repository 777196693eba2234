"""The accepted transfer syntaxes, held against the tables of pydicom and pynetdicom."""

import pynetdicom  # adds to pydicom's table what it lacks
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from lapidicom.receiver.upper_layer.transfer_syntaxes import (
    ACCEPTED_TRANSFER_SYNTAXES,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    UNCOMPRESSED_TRANSFER_SYNTAXES,
)

REFUSED = {
    "1.2.840.10008.1.2.4.94": "JPIP Referenced",
    "1.2.840.10008.1.2.4.95": "JPIP Referenced Deflate",
    "1.2.840.10008.1.2.4.204": "JPIP HTJ2K Referenced",
    "1.2.840.10008.1.2.4.205": "JPIP HTJ2K Referenced Deflate",
    "1.2.840.10008.1.2.6.1": "RFC 2557 MIME encapsulation",
    "1.2.840.10008.1.2.6.2": "XML Encoding",
    "1.2.840.10008.1.2.7.1": "SMPTE ST 2110-20 Uncompressed Progressive Active Video",
    "1.2.840.10008.1.2.7.2": "SMPTE ST 2110-20 Uncompressed Interlaced Active Video",
    "1.2.840.10008.1.2.7.3": "SMPTE ST 2110-30 PCM Digital Audio",
    "1.2.840.10008.1.20": "Papyrus 3 Implicit VR Little Endian",
}


def _known() -> set[str]:
    return {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"} | set(
        pynetdicom.ALL_TRANSFER_SYNTAXES
    )


def test_what_pydicom_knows_is_either_accepted_or_refused_on_purpose() -> None:
    assert set(ACCEPTED_TRANSFER_SYNTAXES) | set(REFUSED) == _known()


def test_none_is_listed_twice_or_on_both_sides() -> None:
    assert len(set(ACCEPTED_TRANSFER_SYNTAXES)) == len(ACCEPTED_TRANSFER_SYNTAXES) == 53
    assert set(REFUSED).isdisjoint(ACCEPTED_TRANSFER_SYNTAXES)


def test_the_refused_ones_are_those_that_are_meant() -> None:
    assert {uid: UID(uid).name for uid in REFUSED} == REFUSED


def test_the_retired_jpeg_processes_are_accepted() -> None:
    assert {f"1.2.840.10008.1.2.4.{n}" for n in range(50, 67)} <= set(ACCEPTED_TRANSFER_SYNTAXES)


def test_exactly_the_native_little_endian_ones_are_uncompressed() -> None:
    standard = {uid for uid in ACCEPTED_TRANSFER_SYNTAXES if uid not in REFUSED and _is_native(UID(uid))}

    assert set(UNCOMPRESSED_TRANSFER_SYNTAXES) == standard


def _is_native(uid: UID) -> bool:
    return (
        uid in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1") and uid.is_little_endian and not uid.is_deflated
    )


def test_only_one_of_the_accepted_ones_is_deflated_as_a_whole() -> None:
    named = [uid for uid in ACCEPTED_TRANSFER_SYNTAXES if "Deflated Explicit" in UID(uid).name]

    assert named == [DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]
