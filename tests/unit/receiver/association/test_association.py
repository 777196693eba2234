"""One association: what its thread shows to those who look for threads that the volume holds up."""

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lapidicom.receiver.association.association import Association
from lapidicom.receiver.upper_layer.transport import PeerClosed
from tests.support.store_fakes import FakeLog


class FakeSocket:
    """A connected socket whose peer may read or not."""

    def __init__(self, on_send: Callable[[], None]) -> None:
        self._on_send = on_send

    def setsockopt(self, *_: object) -> None:
        pass

    def recv_into(self, *_: object) -> int:
        return 0

    def send(self, _: bytes, flags: int) -> int:
        assert flags == socket.MSG_DONTWAIT
        raise BlockingIOError

    def sendall(self, _: bytes) -> None:
        self._on_send()


@pytest.mark.parametrize("reads", [True, False])
def test_a_peer_that_does_not_read_its_answer_holds_up_no_mark_and_is_no_volume_that_hangs(
    *, reads: bool
) -> None:
    works: list[int] = []
    settled: list[bool] = []

    def send() -> None:
        assert settled  # the mark, and with it all other associations, wait for no peer
        works.append(association.work)
        if not reads:
            raise BlockingIOError

    log = FakeLog()
    entity: Any = SimpleNamespace(
        log=SimpleNamespace(bind=lambda **_: log),
        tally=SimpleNamespace(begin=lambda: None),
        strict=False,
        max_pdu_length=0,
    )
    sock: Any = FakeSocket(send)
    association = Association(sock, "192.0.2.1:4242", entity)
    store: Any = SimpleNamespace(settle=lambda: settled.append(True))
    association._scp = store
    association.work = before = 7  # its thread has taken the last fragment of an instance
    try:
        association._send_command(1, b"answer")
    except PeerClosed:
        assert not reads
    assert [work & 1 for work in works] == [0]
    assert association.work & 1
    assert association.work != before
