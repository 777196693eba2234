"""Which listener takes a connection, and what is left of it."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.byte_scu import ByteSCU, request
from tests.support.polling import eventually
from tests.support.processes import connections, descriptors, is_closed, threads
from tests.support.receiver import PAUSABLE, Receiver

VERIFICATION = ("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])


@pytest.fixture
def start(tmp_path: Path, amqp_url: str) -> Iterator[Callable[..., Receiver]]:
    """Start receivers that are ended with the test, whatever happens."""
    with ExitStack() as running:

        def starter(**settings: object) -> Receiver:
            return running.enter_context(Receiver(tmp_path, amqp_url, **settings))  # type: ignore[arg-type]

        yield starter


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


def test_a_silent_listener_gets_no_new_connection(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_PROCESSES=2, **PAUSABLE)
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


def test_bare_connections_are_bounded(start: Callable[..., Receiver]) -> None:
    receiver = start(CHRIS_LISTENER_THREADS=2)
    with ExitStack() as opened:
        sockets = [opened.enter_context(receiver.connect()) for _ in range(80)]
        eventually(lambda: sum(map(is_closed, sockets)) == 80 - 64 - 2, every=0.1)
    assert receiver.stop() == 0
    assert receiver.wait_for("stopped")["connections_closed_bare"] == 14


def test_who_waits_for_a_place_is_not_closed_for_a_flood_of_bare_connections(
    start: Callable[..., Receiver],
) -> None:
    receiver = start(CHRIS_LISTENER_THREADS=1, CHRIS_SCP_ADMISSION_WAIT=120)
    with ByteSCU(receiver.scp_port) as first, ByteSCU(receiver.scp_port) as waiting, ExitStack() as opened:
        first.associate(VERIFICATION)
        waiting.send(request(VERIFICATION))
        bare = [opened.enter_context(receiver.connect()) for _ in range(150)]
        eventually(lambda: sum(map(is_closed, bare)) >= 150 - 64 - 1, every=0.1)
        first.release()
        kind, _ = waiting.read_pdu()
        assert kind == 2
        waiting.release()


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


def test_connections_wait_while_the_only_listener_is_replaced(start: Callable[..., Receiver]) -> None:
    receiver = start()
    victim = receiver.child("listener")
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for("child_ended", child=victim)
    with receiver.connect() as waiting:
        replacement = receiver.wait_for_other_child(victim)
        eventually(lambda: connections(replacement) == 1)
        assert not is_closed(waiting)


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
