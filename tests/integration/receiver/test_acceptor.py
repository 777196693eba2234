"""The listening socket: a connection waits for a listener that is busy, and is closed only if none lives."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from lapidicom.common.listening_socket import listening_socket
from lapidicom.receiver.control import Connection
from lapidicom.receiver.supervisor.acceptor import Acceptor


class Taker:
    """A listener whose control socket is full at first."""

    def __init__(self, full_for: int) -> None:
        self.taken: list[int] = []
        self.tries = 0
        self._full_for = full_for

    def hand_over(self, connection: Connection, sock: socket.socket) -> bool:
        self.tries += 1
        if self.tries <= self._full_for:
            return False
        assert sock.fileno() >= 0
        self.taken.append(connection.port)
        return True


async def accepted(takers: Sequence[Taker], connections: int) -> tuple[list[int], int]:
    """Connect so often, and wait until each is taken or closed: the ports, and how many were closed."""
    with listening_socket(0, backlog=64) as listening, ExitStack() as opened:
        acceptor = Acceptor(listening, lambda: takers, lambda: False)
        ports = []
        for _ in range(connections):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", acceptor.port)))
            ports.append(client.getsockname()[1])

        def settled() -> int:
            return acceptor.closed_untaken + sum(len(taker.taken) for taker in takers)

        async with asyncio.timeout(20):
            while settled() < connections:
                await asyncio.sleep(0.01)
        acceptor.close()
        return ports, acceptor.closed_untaken


def test_connections_wait_in_their_order_while_the_control_sockets_are_full() -> None:
    taker = Taker(full_for=5)
    ports, closed = asyncio.run(accepted([taker], 20))
    assert (taker.taken, closed) == (ports, 0)


def test_a_second_listener_takes_what_the_first_has_no_room_for() -> None:
    full, free = Taker(full_for=1000), Taker(full_for=0)
    ports, closed = asyncio.run(accepted([full, free], 5))
    assert (free.taken, closed) == (ports, 0)


def test_where_no_listener_lives_or_will_live_connections_are_closed() -> None:
    assert asyncio.run(accepted([], 3))[1] == 3
