"""The receiver's process tree with real processes: who is replaced, who ends, and when."""

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.journals import journal_folders
from tests.support.polling import eventually
from tests.support.processes import connections, is_closed, is_gone
from tests.support.receiver import PAUSABLE, Receiver


@pytest.fixture
def start(tmp_path: Path, amqp_url: str) -> Iterator[Callable[..., Receiver]]:
    """Start receivers that are ended with the test, whatever happens."""
    with ExitStack() as running:

        def starter(**settings: object) -> Receiver:
            return running.enter_context(Receiver(tmp_path, amqp_url, **settings))  # type: ignore[arg-type]

        yield starter


def test_a_receiver_becomes_ready_and_ends_with_status_0(start: Callable[..., Receiver]) -> None:
    receiver = start()
    assert receiver.get("/livez") == (200, "ok\n")
    assert receiver.reasons() == []
    children = receiver.children()
    assert receiver.stop() == 0
    assert receiver.wait_for("stopped")["associations"] == 0
    assert all(map(is_gone, children))
    assert receiver.other_output == []


def test_a_killed_relay_is_replaced_and_readiness_does_not_notice(start: Callable[..., Receiver]) -> None:
    receiver = start()
    victim = receiver.child("relay")
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for_other_child(victim, "relay")
    assert receiver.reasons() == []
    assert receiver.events("not_ready") == []


def test_the_journal_of_a_killed_listener_is_taken_over_at_once(
    start: Callable[..., Receiver],
) -> None:
    receiver = start(CHRIS_JOURNAL_TAKEOVER=600)
    [journal] = journal_folders(receiver.spool)
    os.kill(receiver.child("listener"), signal.SIGKILL)
    assert receiver.wait_for("journal_taken_over", life=journal.name)["told"] is True


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
    receiver = start(CHRIS_SHUTDOWN_GRACE=60, **PAUSABLE)
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


def test_a_receiver_whose_only_listener_is_silent_is_not_ready_and_closes_connections(
    start: Callable[..., Receiver],
) -> None:
    receiver = start(**PAUSABLE)
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
