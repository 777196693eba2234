"""Control packets: what is encoded is decoded, descriptors travel, the ends notice one another's end."""

import os
import socket

import pytest

from lapidicom.receiver.control import (
    Connection,
    ControlClosedError,
    ControlError,
    ControlSocket,
    Drain,
    LifeEnded,
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
        LifeEnded("host-1.0f8fad5bd9cb469fa16570867728950e"),
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


def test_a_descriptor_travels_with_its_packet_and_each_side_owns_a_copy() -> None:
    ours, theirs = ControlSocket.pair()
    child = ControlSocket(theirs)
    reading, writing = os.pipe()
    assert ours.send(Connection("192.0.2.7", 5), writing)
    os.close(writing)
    packet, descriptor = child.receive()
    assert packet == Connection("192.0.2.7", 5)
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert os.read(reading, 9) == b"x"
    assert os.read(reading, 9) == b""
    os.close(reading)
    ours.close()
    child.close()


def test_packets_keep_their_borders() -> None:
    ours, theirs = ControlSocket.pair()
    child = ControlSocket(theirs)
    for grace in (1, 2, 3):
        assert ours.send(Drain(grace))
    assert [child.receive() for _ in range(3)] == [(Drain(grace), None) for grace in (1, 2, 3)]
    ours.close()
    child.close()


def test_sending_to_an_end_that_does_not_read_ends_in_false_and_never_blocks() -> None:
    ours, theirs = ControlSocket.pair()
    sent = 0
    while ours.send(Connection("192.0.2.7", sent)):
        sent += 1
        assert sent < 100_000
    assert sent > 0
    ours.close()
    theirs.close()


def test_the_end_of_the_other_side_is_noticed_by_both_directions() -> None:
    ours, theirs = ControlSocket.pair()
    child = ControlSocket(theirs)
    ours.close()
    with pytest.raises(ControlClosedError):
        child.receive()
    with pytest.raises(ControlClosedError):
        child.send(Report())
    child.close()


def test_a_packet_that_is_none_leaves_no_descriptor_behind() -> None:
    ours, theirs = ControlSocket.pair()
    reading, writing = os.pipe()
    socket.send_fds(theirs, [b"nonsense"], [writing])
    os.close(writing)
    with pytest.raises(ControlError):
        ours.receive()
    assert os.read(reading, 9) == b""  # end of file: no copy of the writing end is open any more
    os.close(reading)
    ours.close()
    theirs.close()


def test_a_supervisor_that_has_nothing_to_read_does_not_wait() -> None:
    ours, theirs = ControlSocket.pair()
    with pytest.raises(BlockingIOError):
        ours.receive()
    ours.close()
    theirs.close()
