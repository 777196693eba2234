"""The control socket: descriptors travel, nothing blocks, the ends notice one another's end."""

import os
import socket

import pytest

from lapidicom.receiver.control import (
    Connection,
    ControlClosedError,
    ControlError,
    ControlSocket,
    Drain,
    Report,
)


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


def test_what_a_child_had_sent_is_read_although_it_ended_with_packets_unread() -> None:
    ours, theirs = ControlSocket.pair()
    child = ControlSocket(theirs)
    assert ours.send(Drain(1))
    assert child.send(Report(taken=7))
    child.close()
    assert ours.receive() == (Report(taken=7), None)
    with pytest.raises(ControlClosedError):
        ours.receive()
    ours.close()
