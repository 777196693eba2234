"""The cutting proxy cuts where and how it is told, and passes on everything else."""

import socket
import threading
from collections.abc import Iterator
from random import Random

import pytest

from tests.support.cutting_proxy import Cut, CuttingProxy, Way, seeded_cuts, through, with_query
from tests.support.polling import eventually


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it reads."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(65536):
                        connection.sendall(data)
                except ConnectionError:
                    return

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (part := connection.recv(count - len(data))):
        data += part
    return data


def connect(proxy: CuttingProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=20)


def test_without_a_cut_all_bytes_pass_and_an_end_is_passed_on(echo: int) -> None:
    sent = Random(1).randbytes(3_000_000)
    with CuttingProxy("127.0.0.1", echo) as proxy, connect(proxy) as connection:
        writer = threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(1)))
        writer.start()
        assert read(connection, len(sent) + 1) == sent
        writer.join()
        assert proxy.happened == []


@pytest.mark.parametrize("way", [Way.RESET, Way.END])
def test_a_connection_is_cut_at_the_byte_and_the_next_one_is_not(echo: int, way: Way) -> None:
    cut = Cut(way, 15)
    with CuttingProxy("127.0.0.1", echo, [cut]) as proxy:
        with connect(proxy) as connection:
            connection.sendall(b"0123456789")  # ten bytes there, five of the ten back
            if way is Way.RESET:
                with pytest.raises(ConnectionResetError):
                    read(connection, 10)
            else:
                assert read(connection, 10) == b"01234"
        assert proxy.happened == [cut]
        with connect(proxy) as connection:
            connection.sendall(b"0123456789")
            assert read(connection, 10) == b"0123456789"


def test_a_cut_that_a_connection_ended_before_is_the_next_ones(echo: int) -> None:
    cut = Cut(Way.END, 15)
    with CuttingProxy("127.0.0.1", echo, [cut]) as proxy:
        with connect(proxy) as connection:
            connection.sendall(b"0123")
            assert read(connection, 4) == b"0123"
            connection.shutdown(socket.SHUT_WR)
            assert read(connection, 1) == b""
        eventually(lambda: proxy.is_idle)
        with connect(proxy) as connection:
            connection.sendall(b"0123456789")
            assert read(connection, 10) == b"01234"
        assert proxy.happened == [cut]


def test_after_silence_nothing_comes_and_nothing_ends(echo: int) -> None:
    with CuttingProxy("127.0.0.1", echo, [Cut(Way.SILENCE, 15)]) as proxy, connect(proxy) as connection:
        connection.sendall(b"0123456789")
        assert read(connection, 5) == b"01234"
        connection.sendall(b"more")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.parametrize("way", list(Way))
def test_what_is_open_is_cut_at_once(echo: int, way: Way) -> None:
    with CuttingProxy("127.0.0.1", echo) as proxy, connect(proxy) as connection:
        connection.sendall(b"x")
        assert read(connection, 1) == b"x"
        assert proxy.cut(way) == 1
        assert proxy.happened == [Cut(way, 0)]
        connection.settimeout(0.3 if way is Way.SILENCE else 20)
        match way:
            case Way.RESET:
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)
            case Way.END:
                assert connection.recv(1) == b""
            case Way.SILENCE:
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        assert proxy.cut(way) == 0


def test_a_server_that_is_not_there_is_told_to_the_client() -> None:
    with (
        CuttingProxy("127.0.0.1", 1) as proxy,
        pytest.raises(ConnectionResetError),  # of the connect already, if it takes long enough
        connect(proxy) as connection,
    ):
        connection.recv(1)


def test_seeded_cuts_take_each_way_and_are_the_same_again() -> None:
    cuts = seeded_cuts(Random(7), 6, 10, 20)
    assert sorted(cut.way for cut in cuts) == sorted([*Way, *Way])
    assert all(10 <= cut.after < 20 for cut in cuts)
    assert cuts == seeded_cuts(Random(7), 6, 10, 20)


def test_a_url_by_way_of_a_proxy_keeps_all_but_the_place() -> None:
    assert through("amqp://u:p@h:1/v%2Fh?a=b", 5) == "amqp://u:p@127.0.0.1:5/v%2Fh?a=b"
    assert with_query(through("http://h:1/api/", 5), "x=1") == "http://127.0.0.1:5/api/?x=1"
