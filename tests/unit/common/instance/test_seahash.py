import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapidicom.common.instance.seahash import seahash


def test_the_reference_vector_is_met() -> None:
    assert seahash(b"to be or not to be") == 1988685042348123509


@pytest.mark.parametrize(
    ("uid", "head"),
    [
        ("1.3.12.2.1107.5.2.19.45152.2013030808061520200285270.0.0.0", "a27cf06"),
        ("1.2.826.0.1.3680043.2.1143.515404396022363061013111326823367652", "661b8fc"),
    ],
)
def test_the_series_folders_of_oxidicom_bear_the_same_digits(uid: str, head: str) -> None:
    assert f"{seahash(uid.encode()):x}"[:7] == head


@given(st.binary(max_size=100))
def test_every_hash_has_at_most_64_bits_and_the_length_counts(data: bytes) -> None:
    assert 0 <= seahash(data) < 2**64
    assert seahash(data) != seahash(data + b"\0")
