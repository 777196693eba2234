"""The demo's wire tap reads what an SCU really sent, however the bytes are cut."""

import hashlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from demo.dimse_reader import DimseReader, StoreRequest, StoreResponse


def _element(number: int, value: bytes) -> bytes:
    return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


def _pdv(header: int, fragment: bytes) -> bytes:
    return (len(fragment) + 2).to_bytes(4, "big") + b"\x01" + bytes([header]) + fragment


def _p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return b"\x04\0" + len(body).to_bytes(4, "big") + body


DATA_SET = bytes(range(256)) * 3
REQUEST = b"".join(
    (
        _element(0x0100, b"\x01\x00"),
        _element(0x0110, b"\x07\x00"),
        _element(0x1000, b"1.2.3\0"),
    )
)
RESPONSE = b"".join(
    (
        _element(0x0100, b"\x01\x80"),
        _element(0x0120, b"\x07\x00"),
        _element(0x0900, b"\x00\xc0"),
        _element(0x0902, b"missing "),
    )
)
STREAM = (
    b"\x01\0\0\0\0\x05hello"  # a PDU that is not P-DATA-TF
    + _p_data(_pdv(1, REQUEST[:9]), _pdv(3, REQUEST[9:]))
    + _p_data(_pdv(0, DATA_SET[:100]))
    + _p_data(_pdv(0, DATA_SET[100:101]), _pdv(2, DATA_SET[101:]))
    + b"\x05\0\0\0\0\x04\0\0\0\0"
    + _p_data(_pdv(3, RESPONSE))
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_messages_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    reader = DimseReader()
    messages = []
    bounds = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(bounds):
        messages += reader.feed(STREAM[start:end])
    assert messages == [
        StoreRequest(7, "1.2.3", hashlib.sha256(DATA_SET).digest()),
        StoreResponse(7, 0xC000, "missing"),
    ]
