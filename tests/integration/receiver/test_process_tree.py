"""The receiver's process tree with real processes: who serves, who is replaced, who ends, and when."""

import http.client
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.receiver import Receiver


@pytest.fixture
def start(tmp_path: Path, amqp_url: str) -> Iterator[Callable[..., Receiver]]:
    """Start receivers that are ended with the test, whatever happens."""
    with ExitStack() as running:

        def starter(**settings: object) -> Receiver:
            return running.enter_context(Receiver(tmp_path, amqp_url, **settings))  # type: ignore[arg-type]

        yield starter


def connections(listener: int) -> int:
    """The connections that a listener process has open: its sockets but for the control socket."""
    sockets = 0
    for entry in Path(f"/proc/{listener}/fd").iterdir():
        try:
            sockets += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return sockets - 1


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has ended the connection; reads what it sent before."""
    sock.settimeout(0.01)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


def test_a_receiver_becomes_ready_and_ends_with_status_0(start: Callable[..., Receiver]) -> None:
    receiver = start()
    assert receiver.get("/livez") == (200, "ok\n")
    assert receiver.reasons() == []
    children = receiver.children()
    assert receiver.stop() == 0
    assert receiver.wait_for("stopped")["associations"] == 0
    assert all(map(is_gone, children))
    assert receiver.other_output == []


def spread(receiver: Receiver, listeners: int, opened: ExitStack) -> list[socket.socket]:
    """Open connections until every listener has as many as the others, or one more or less."""
    eventually(lambda: len(receiver.children("listener")) == listeners, seconds=20)
    pids = receiver.children("listener")
    sockets: list[socket.socket] = []

    def connect() -> None:
        sockets.append(opened.enter_context(receiver.connect()))

    def all_have_one() -> bool:
        connect()
        return all(connections(pid) > 0 for pid in pids)

    def all_have_arrived_and_are_evenly_shared() -> bool:
        each = [connections(pid) for pid in pids]
        return sum(each) == len(sockets) and max(each) - min(each) <= 1

    eventually(all_have_one, seconds=20, every=0.1)
    for _ in range(listeners * len(sockets)):  # makes good what the first one took before the others lived
        connect()
    eventually(all_have_arrived_and_are_evenly_shared, seconds=20)
    return sockets


def test_connections_are_shared_out_evenly(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_PROCESSES=3)
    with ExitStack() as opened:
        sockets = spread(receiver, 3, opened)
        assert connections(receiver.pid) < len(sockets)  # the supervisor keeps none


def test_a_killed_listener_is_replaced_and_the_others_go_on(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_PROCESSES=2)
    with ExitStack() as opened:
        sockets = spread(receiver, 2, opened)
        victim = receiver.child("listener", 0)
        of_the_victim = connections(victim)
        assert not any(map(is_closed, sockets))
        os.kill(victim, signal.SIGKILL)
        ended = receiver.wait_for("child_ended", role="listener", index=0)
        assert (ended["child"], ended["signal"], ended["status"]) == (victim, "SIGKILL", None)
        eventually(lambda: sum(map(is_closed, sockets)) == of_the_victim)
        assert receiver.reasons() == []
        replacement = receiver.wait_for_other_child(victim, "listener", 0)

        def is_used() -> bool:
            opened.enter_context(receiver.connect())
            return connections(replacement) > 0

        eventually(is_used, seconds=20, every=0.1)


def test_connections_wait_while_the_only_listener_is_replaced(start: Callable[..., Receiver]) -> None:
    receiver = start()
    victim = receiver.child("listener")
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for("child_ended", child=victim)
    with receiver.connect() as waiting:
        replacement = receiver.wait_for_other_child(victim)
        eventually(lambda: connections(replacement) == 1)
        assert not is_closed(waiting)


def test_a_killed_relay_is_replaced_and_readiness_does_not_notice(start: Callable[..., Receiver]) -> None:
    receiver = start()
    victim = receiver.child("relay")
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for_other_child(victim, "relay")
    assert receiver.reasons() == []
    assert receiver.events("not_ready") == []


def test_no_child_outlives_a_killed_supervisor_by_five_seconds(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_PROCESSES=3)
    eventually(lambda: len(receiver.children()) == 4)
    children = receiver.children()
    with receiver.connect() as open_connection:
        os.kill(receiver.pid, signal.SIGKILL)
        eventually(lambda: all(map(is_gone, children)), seconds=5)
        eventually(lambda: is_closed(open_connection), seconds=1)


def test_sigterm_with_bare_connections_does_not_wait_for_them(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_SHUTDOWN_GRACE=60, CHRIS_SCP_ACSE_TIMEOUT=60)
    listener = receiver.child("listener")
    with receiver.connect() as bare:
        eventually(lambda: connections(listener) == 1)
        receiver.terminate()
        receiver.wait_for("child_ended", role="listener", seconds=20)
        assert is_closed(bare)


def test_sigint_to_the_whole_group_drains_like_sigterm(start: Callable[..., Receiver]) -> None:
    receiver = start()
    os.killpg(receiver.pid, signal.SIGINT)
    ended = receiver.wait_for("child_ended", role="listener")
    assert (ended["status"], ended["signal"]) == (0, None)


def test_after_sigterm_nothing_listens_and_livez_still_answers(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_SHUTDOWN_GRACE=60)
    listener = receiver.child("listener")
    os.kill(listener, signal.SIGSTOP)  # holds the drain up
    receiver.terminate()
    receiver.wait_for("stopping")
    with pytest.raises(ConnectionRefusedError):
        receiver.connect()
    assert receiver.get("/livez")[0] == 200
    assert receiver.reasons() == ["shutting down"]
    os.kill(listener, signal.SIGCONT)
    assert receiver.wait() == 0


def test_a_silent_listener_gets_no_new_connection(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_PROCESSES=2)
    with ExitStack() as opened:
        spread(receiver, 2, opened)
        silent, other = receiver.child("listener", 0), receiver.child("listener", 1)
        had = connections(silent)
        os.kill(silent, signal.SIGSTOP)

        def the_next_four_go_to_the_other() -> bool:
            before = connections(other)
            for _ in range(4):
                opened.enter_context(receiver.connect())
            try:
                return eventually(lambda: connections(other) == before + 4, seconds=0.5)
            except AssertionError:
                return False

        eventually(the_next_four_go_to_the_other, seconds=15)
        assert receiver.reasons() == []
        # What it was handed before it fell silent waits for it in its control socket.
        os.kill(silent, signal.SIGCONT)
        eventually(lambda: connections(silent) > had)


def test_a_receiver_whose_only_listener_is_silent_is_not_ready_and_closes_connections(
    start: Callable[..., Receiver],
) -> None:
    receiver = start()
    os.kill(receiver.child("listener"), signal.SIGSTOP)
    not_ready = receiver.wait_for("not_ready")
    assert not_ready["reasons"][0].startswith("listener 0: silent for")
    with receiver.connect() as refused:
        eventually(lambda: is_closed(refused))
    closed = receiver.wait_for("connections_closed")
    assert (closed["count"], closed["reason"]) == (1, "no listener can take them")
    os.kill(receiver.child("listener"), signal.SIGCONT)
    receiver.wait_for("ready", count=2)
    assert receiver.reasons() == []


def test_bare_connections_are_bounded(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_THREADS=2)
    with ExitStack() as opened:
        sockets = [opened.enter_context(receiver.connect()) for _ in range(80)]
        eventually(lambda: sum(map(is_closed, sockets)) == 80 - 64 - 2, every=0.1)
    assert receiver.stop() == 0
    assert receiver.wait_for("stopped")["connections_closed_bare"] == 14


def test_no_descriptor_or_thread_is_left_of_five_hundred_connections(start: Callable[..., Receiver]) -> None:
    receiver = start()
    listener = receiver.child("listener")
    with receiver.connect():  # what is opened at the first connection only is open now
        pass
    processes = (receiver.pid, listener)
    eventually(lambda: threads(listener) < 12)
    before = [(descriptors(pid), threads(pid)) for pid in processes]
    for _ in range(10):
        with ExitStack() as opened:
            for _ in range(50):
                opened.enter_context(receiver.connect())
    eventually(lambda: [(descriptors(pid), threads(pid)) for pid in processes] <= before)


def test_health_is_served_on_ipv4_and_the_scp_knows_the_peers_ipv4_address(
    start: Callable[..., Receiver],
) -> None:
    receiver = start()
    connection = http.client.HTTPConnection("127.0.0.1", receiver.health_port, timeout=5)
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    connection.close()
    with receiver.connect() as violator:
        violator.sendall(b"\xff" * 6 + bytes(100))
        violation = receiver.wait_for("protocol_violation")
        assert violation["peer"] == f"127.0.0.1:{violator.getsockname()[1]}"


def test_a_taken_port_ends_the_start_with_one_line(start: Callable[..., Receiver]) -> None:
    first = start()
    second = Receiver(first.files_root.parent, PORT=first.scp_port)
    with pytest.raises(AssertionError):
        second.start()
    assert second.wait() == 1
    [line] = second.events("start_failed")
    assert line["reason"] == f"PORT={first.scp_port} cannot be bound: Address already in use"


def test_an_unusable_volume_is_told_with_the_remedy_and_tried_again(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, CHRIS_FILES_ROOT=tmp_path / "not" / "mounted")
    with receiver.start(ready=False):
        line = receiver.wait_for("volume_unusable", count=2)
        assert str(tmp_path / "not" / "mounted") in line["reason"]
        status, _ = receiver.get("/readyz")
        assert status == 503
        (tmp_path / "not" / "mounted").mkdir(parents=True)
        receiver.wait_for("ready")
