"""The receiver's process tree with real processes: who is replaced, who ends, and when."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.processes import connections, is_closed, is_gone
from tests.support.receiver import PAUSABLE, Receiver, StartReceiver


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory, amqp_url_of_module: str) -> Iterator[Receiver]:
    """A receiver whose children the tests kill and freeze; each leaves it ready."""
    folder = tmp_path_factory.mktemp("receiver")
    with Receiver(folder, amqp_url_of_module, **PAUSABLE) as running:  # type: ignore[arg-type]
        yield running


def test_health_is_served_on_ipv4_and_the_scp_knows_the_peers_ipv4_address(receiver: Receiver) -> None:
    assert receiver.get("/livez") == (200, "ok\n")
    assert receiver.reasons() == []
    with receiver.connect() as violator:
        violator.sendall(b"\xff" * 6 + bytes(100))
        violation = receiver.wait_for("protocol_violation")
        assert violation["peer"] == f"127.0.0.1:{violator.getsockname()[1]}"


def test_a_taken_port_ends_the_start_with_one_line(receiver: Receiver, tmp_path: Path) -> None:
    second = Receiver(tmp_path, PORT=receiver.scp_port)
    with pytest.raises(AssertionError):
        second.start()
    assert second.wait() == 1
    [line] = second.events("start_failed")
    assert line["reason"] == f"PORT={receiver.scp_port} cannot be bound: Address already in use"


def test_a_killed_relay_is_replaced_and_readiness_does_not_notice(receiver: Receiver) -> None:
    not_ready = receiver.events("not_ready")
    victim = receiver.child("relay")
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for_other_child(victim, "relay")
    assert receiver.reasons() == []
    assert receiver.events("not_ready") == not_ready


def test_a_receiver_whose_only_listener_is_silent_is_not_ready_and_closes_connections(
    receiver: Receiver,
) -> None:
    before = {event: len(receiver.events(event)) for event in ("not_ready", "ready", "connections_closed")}
    os.kill(receiver.child("listener"), signal.SIGSTOP)
    not_ready = receiver.wait_for("not_ready", count=before["not_ready"] + 1)
    assert not_ready["reasons"][0].startswith("listener 0: silent for")
    with receiver.connect() as refused:
        eventually(lambda: is_closed(refused))
    closed = receiver.wait_for("connections_closed", count=before["connections_closed"] + 1)
    assert (closed["count"], closed["reason"]) == (1, "no listener can take them")
    os.kill(receiver.child("listener"), signal.SIGCONT)
    receiver.wait_for("ready", count=before["ready"] + 1)
    assert receiver.reasons() == []


def test_no_child_outlives_a_killed_supervisor_by_five_seconds(start: StartReceiver) -> None:
    receiver = start(CHRIS_LISTENER_PROCESSES=3)
    eventually(lambda: len(receiver.children()) == 4)
    children = receiver.children()
    with receiver.connect() as open_connection:
        os.kill(receiver.pid, signal.SIGKILL)
        eventually(lambda: all(map(is_gone, children)), seconds=5)
        eventually(lambda: is_closed(open_connection), seconds=1)


def test_sigterm_with_bare_connections_does_not_wait_for_them(start: StartReceiver) -> None:
    receiver = start(CHRIS_SHUTDOWN_GRACE=60, CHRIS_SCP_ACSE_TIMEOUT=60)
    listener = receiver.child("listener")
    with receiver.connect() as bare:
        eventually(lambda: connections(listener) == 1)
        receiver.terminate()
        receiver.wait_for("child_ended", role="listener", seconds=20)
        assert is_closed(bare)


def test_sigint_to_the_whole_group_drains_like_sigterm(start: StartReceiver) -> None:
    receiver = start()
    children = receiver.children()
    os.killpg(receiver.pid, signal.SIGINT)
    ended = receiver.wait_for("child_ended", role="listener")
    assert (ended["status"], ended["signal"]) == (0, None)
    assert receiver.wait() == 0
    assert receiver.wait_for("stopped")["associations"] == 0
    assert all(map(is_gone, children))
    assert receiver.other_output == []


def test_after_sigterm_nothing_listens_and_livez_still_answers(start: StartReceiver) -> None:
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


def test_an_unusable_volume_is_logged_with_the_remedy_and_tried_again(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, CHRIS_FILES_ROOT=tmp_path / "not" / "mounted")
    with receiver.start(ready=False):
        line = receiver.wait_for("volume_unusable", count=2)
        assert str(tmp_path / "not" / "mounted") in line["reason"]
        status, _ = receiver.get("/readyz")
        assert status == 503
        (tmp_path / "not" / "mounted").mkdir(parents=True)
        receiver.wait_for("ready")
