"""The table of connections: bounded, counted, and each one's fault its own."""

import socket
import threading

from lapidicom.receiver.control import Connection
from lapidicom.receiver.listener.connections import MOST_BARE, Connections
from tests.support.polling import eventually

PEER = Connection("192.0.2.1", 104)


class StandIn:
    """An association that lasts until it is stopped."""

    def __init__(self, sock: socket.socket, *, has_place: bool = False, fails: bool = False) -> None:
        self.is_bare = not has_place
        self.stopped = threading.Event()
        self.is_stuck = False
        self._ends = threading.Event()
        self._sock = sock
        self._fails = fails

    def run(self) -> None:
        try:
            if self._fails:
                raise RuntimeError
            self._ends.wait(20)
        finally:
            self._sock.close()

    def stop(self) -> None:
        self.stopped.set()
        if not self.is_stuck:
            self._ends.set()


class Table:
    """Connections whose associations the test chooses."""

    def __init__(self, places: int = 1) -> None:
        self.made: list[StandIn] = []
        self.ends = 0
        self.next_has_place = self.next_fails = self.next_is_stuck = False
        self.connections = Connections(self._make, places, self._ended)
        self._theirs: list[socket.socket] = []

    def _make(self, sock: socket.socket, _: Connection) -> StandIn:
        self.made.append(StandIn(sock, has_place=self.next_has_place, fails=self.next_fails))
        self.made[-1].is_stuck = self.next_is_stuck
        return self.made[-1]

    def _ended(self) -> None:
        self.ends += 1

    def take(self, *, has_place: bool = False, fails: bool = False, host: str = PEER.host) -> socket.socket:
        self.next_has_place, self.next_fails = has_place, fails
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        self._theirs.append(theirs)
        self.connections.take(ours.detach(), Connection(host, 104))
        return theirs

    def close(self) -> None:
        self.connections.stop_all()
        eventually(lambda: self.connections.open == 0)
        for theirs in self._theirs:
            theirs.close()


def test_a_connection_is_open_until_its_association_has_ended() -> None:
    table = Table()
    table.take()
    assert (table.connections.open, table.connections.taken, table.ends) == (1, 1, 0)
    table.made[0].stop()
    eventually(lambda: table.connections.open == 0)
    eventually(lambda: table.ends == 1)
    assert table.connections.taken == 1
    table.close()


def test_a_small_write_is_not_delayed_and_a_dead_peer_is_noticed() -> None:
    table = Table()
    table.take()
    ours = table.made[0]._sock
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    table.close()


def test_an_association_that_fails_disturbs_no_other() -> None:
    table = Table()
    table.take()
    table.take(fails=True)
    eventually(lambda: table.connections.open == 1)
    table.take()
    assert table.connections.open == 2
    table.close()


def test_when_too_many_have_no_place_the_oldest_of_them_makes_room_for_the_newcomer() -> None:
    table = Table(places=2)
    table.take(has_place=True)
    for _ in range(MOST_BARE + 2):
        table.take()
    assert table.connections.closed_bare == 0
    table.take()
    assert table.connections.closed_bare == 1
    assert [number for number, one in enumerate(table.made) if one.stopped.is_set()] == [1]
    eventually(lambda: table.connections.open == MOST_BARE + 3)
    table.close()


def test_the_address_that_has_most_bare_connections_loses_its_oldest() -> None:
    table = Table(places=2)
    table.take(host="192.0.2.9")
    for _ in range(MOST_BARE + 1):
        table.take()
    table.take(host="192.0.2.9")
    assert [number for number, one in enumerate(table.made) if one.stopped.is_set()] == [1]
    table.close()


def test_connections_that_were_asked_to_stop_and_do_not_end_are_bounded() -> None:
    table = Table(places=2)
    table.next_is_stuck = True
    for _ in range(2 * (MOST_BARE + 2)):
        table.take()
    assert table.connections.closed_bare == MOST_BARE + 2
    refused = table.take()
    assert refused.recv(1) == b""
    assert table.connections.open == 2 * (MOST_BARE + 2)
    for one in table.made:
        one.is_stuck = False
        one.stop()
    table.close()


def test_only_bare_connections_are_cut_at_first() -> None:
    table = Table(places=2)
    table.take(has_place=True)
    table.take()
    table.connections.stop_bare()
    eventually(lambda: table.connections.open == 1)
    assert not table.made[0].stopped.is_set()
    table.close()
