"""CHRIS_PACS_ADDRESS."""

import pytest

from lapidicom.common.pacs_address import PacsAddress, parse_pacs_addresses


@pytest.mark.parametrize(
    "text",
    [
        "OXITESTORTHANC=orthanc:4242",
        " OXITESTORTHANC = orthanc:4242 , ",
        '{OXITESTORTHANC="orthanc:4242"}',
    ],
)
def test_both_forms_of_oxidicom_are_read(text: str) -> None:
    assert parse_pacs_addresses(text) == {"OXITESTORTHANC": PacsAddress("OXITESTORTHANC", "orthanc", 4242)}


def test_a_pacs_is_found_by_its_name_in_paths() -> None:
    found = parse_pacs_addresses("BCH MAIN=1.2.3.4:104,MGH=[::1]:11112")
    assert found == {
        "BCH_MAIN": PacsAddress("BCH MAIN", "1.2.3.4", 104),
        "MGH": PacsAddress("MGH", "::1", 11112),
    }


def test_nothing_is_no_pacs() -> None:
    assert parse_pacs_addresses(" ") == parse_pacs_addresses("{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        *("BCH", "BCH=", "=1.2.3.4:104", "BCH=1.2.3.4", "BCH=1.2.3.4:0", "BCH=1.2.3.4:70000", "BCH=a b:104"),
        *("..=1.2.3.4:104", "ABCDEFGHIJKLMNOPQ=a:104", "A B=a:104,A_B=b:104", "BCH=http://a:104"),
    ],
)
def test_what_is_no_title_with_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"AETITLE=host:port|no port|twice|calling AE title"):
        parse_pacs_addresses(text)
