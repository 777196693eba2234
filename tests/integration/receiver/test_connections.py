"""Which listener takes a connection, and what is left of it."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.byte_scu import ByteSCU, request
from tests.support.polling import eventually
from tests.support.processes import connections, descriptors, is_closed, threads
from tests.support.receiver import PAUSABLE, Receiver, StartReceiver

VERIFICATION = ("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])


@pytest.fixture(scope="module")
def two_listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("two"), CHRIS_LISTENER_PROCESSES=2, **PAUSABLE) as running:
        yield running


@pytest.fixture(scope="module")
def only_listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("one")) as running:
        yield running


def spread(receiver: Receiver, listeners: int, opened: ExitStack) -> list[socket.socket]:
    """Open connections until every listener has as many as the others, or one more or less."""
    eventually(lambda: len(receiver.children("listener")) == listeners, seconds=20)
    pids = receiver.children("listener")
    eventually(lambda: not any(map(connections, pids)), what="nothing is left of the test before")
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


def test_who_waits_for_a_place_is_not_closed_for_a_flood_of_bare_connections(
    start: StartReceiver,
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
    assert receiver.stop() == 0
    assert receiver.wait_for("stopped")["connections_closed_bare"] >= 150 - 64 - 1


def test_no_descriptor_or_thread_is_left_of_five_hundred_connections(
    only_listener: Receiver,
) -> None:
    receiver = only_listener
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


def test_connections_wait_while_the_only_listener_is_replaced(only_listener: Receiver) -> None:
    receiver = only_listener
    victim = receiver.child("listener")
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for("child_ended", child=victim)
    with receiver.connect() as waiting:
        replacement = receiver.wait_for_other_child(victim)
        eventually(lambda: connections(replacement) == 1)
        assert not is_closed(waiting)


def test_a_silent_listener_gets_no_new_connection(two_listeners: Receiver) -> None:
    receiver = two_listeners
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


def test_a_killed_listener_is_replaced_and_the_others_go_on(two_listeners: Receiver) -> None:
    receiver = two_listeners
    kept = connections(receiver.pid)
    with ExitStack() as opened:
        sockets = spread(receiver, 2, opened)
        victim = receiver.child("listener", 0)
        of_the_victim = connections(victim)
        eventually(lambda: connections(receiver.pid) <= kept)  # the supervisor keeps none of them
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
