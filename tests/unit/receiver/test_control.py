"""Control packets: what is encoded is decoded, and nothing else is."""

import pytest

from lapidicom.receiver.control import (
    Connection,
    ControlError,
    Drain,
    OwnerEnded,
    Packet,
    Report,
    Settings,
    decode,
    encode,
)


@pytest.mark.parametrize(
    "packet",
    [
        Settings('{"files_root": "/a b", "aet": "ChRIS"}'),
        Connection("192.0.2.7", 51234),
        Connection("2001:db8::7", 1),
        OwnerEnded("host-1.0f8fad5bd9cb469fa16570867728950e"),
        Drain(0.5),
        Report(),
        Report(3, 17, 2, "h.1", "below CHRIS_MIN_FREE_SPACE", "no space", {"instances": 12}),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_what_is_encoded_is_decoded(packet: Packet) -> None:
    assert decode(encode(packet)) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"type":"unknown"}',
        b'{"type":"drain"}',
        b'{"type":"drain","x":1}',
        b"\xff",
    ],
)
def test_other_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(ControlError):
        decode(data)


def test_a_packet_too_long_for_the_socket_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="bytes"):
        encode(Settings("x" * 70_000))


def test_settings_are_not_shown_by_repr() -> None:
    assert "secret" not in repr(Settings("secret"))


@pytest.mark.parametrize(
    ("host", "address"), [("192.0.2.7", "192.0.2.7:104"), ("2001:db8::7", "[2001:db8::7]:104")]
)
def test_an_ipv6_host_stands_in_brackets(host: str, address: str) -> None:
    assert Connection(host, 104).address == address
