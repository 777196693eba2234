"""The control loop of a listener with a stand-in service: what it reports, and when it ends."""

import itertools
import os
import socket
import threading
from collections.abc import Mapping
from typing import NoReturn

import pytest

from lapidicom.receiver.association.places import Places
from lapidicom.receiver.control import Connection, ControlSocket, Drain, Report
from lapidicom.receiver.errors import Refusal
from lapidicom.receiver.listener import control_loop
from lapidicom.receiver.listener.control_loop import ListenerControlLoop
from tests.support.polling import eventually

PEER = Connection("192.0.2.1", 104)


class StandInAssociation:
    """Lasts until its peer closes or it is stopped; is bare if the test says so."""

    def __init__(self, sock: socket.socket, *, is_bare: bool, stubborn: bool) -> None:
        self.is_bare = is_bare
        self._sock = sock
        self._stubborn = stubborn

    def run(self) -> None:
        with self._sock:
            while self._sock.recv(100):
                pass

    work = 0

    def give_up(self, _: Refusal) -> None:
        raise AssertionError("no volume holds it up")

    def stop(self) -> None:
        if not self._stubborn:
            self._sock.shutdown(socket.SHUT_RD)


class StandInService:
    """A service whose state the test sets."""

    def __init__(self) -> None:
        self.fault_now: str | None = None
        self.degraded_now: str | None = None
        self.restart = False
        self.failures: list[str] = []
        """The calls that raise now."""
        self.is_bare = False
        self.stubborn = False

    def handler(self, sock: socket.socket, _: Connection) -> StandInAssociation:
        self._happened("association")
        return StandInAssociation(sock, is_bare=self.is_bare, stubborn=self.stubborn)

    def look_for_hangs(self, _: Mapping[int, object]) -> None:
        self._happened("look_for_hangs")

    def journal(self) -> str:
        return "here.1"

    def fault(self) -> str | None:
        return self.fault_now

    def degraded(self) -> str | None:
        return self.degraded_now

    def counters(self) -> Mapping[str, int]:
        self._happened("counters")
        return {"instances_stored": 3}

    def _happened(self, call: str) -> None:
        if call in self.failures:
            raise KeyError(call)

    def must_restart(self) -> bool:
        return self.restart

    def close(self) -> None:
        raise AssertionError("the composition root closes it")


class Orphaned(BaseException):
    """Stands in for the end of the process."""


def orphaned() -> NoReturn:
    raise Orphaned


class Running:
    """A loop in a thread, and the supervisor's end of its control socket."""

    def __init__(self) -> None:
        self.service = StandInService()
        self.control, theirs = ControlSocket.pair()
        self.orphaned = False
        self._theirs = ControlSocket(theirs)
        self._loop = ListenerControlLoop(self._theirs, self.service, Places(2), 600, orphaned)
        self.thread = threading.Thread(target=self._run)
        self._peers: list[socket.socket] = []

    def _run(self) -> None:
        try:
            self._loop.run()
        except Orphaned:
            self.orphaned = True

    def __enter__(self) -> "Running":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self._peers:
            peer.close()
        self.control.close()
        self.thread.join(10)
        self._theirs.close()

    def report(self) -> Report:
        """The next report."""

        def next_packet() -> object:
            try:
                return self.control.receive()[0]
            except BlockingIOError:
                return None

        found = eventually(next_packet)
        assert isinstance(found, Report)
        return found

    def report_with(self, **fields: object) -> Report:
        """The next report that says so."""
        while True:
            report = self.report()
            if all(getattr(report, name) == value for name, value in fields.items()):
                return report

    def connect(self) -> socket.socket:
        theirs, ours = socket.socketpair()
        assert self.control.send(PEER, ours.fileno())
        ours.close()
        self._peers.append(theirs)
        return theirs

    def send_raw(self, data: bytes) -> None:
        with socket.socket(fileno=os.dup(self.control.fileno())) as raw:
            raw.send(data)

    @property
    def has_failed(self) -> bool:
        return self._loop.has_failed

    def has_ended(self) -> bool:
        self.thread.join(0.01)
        return not self.thread.is_alive()


def test_the_first_report_comes_at_once_and_tells_everything() -> None:
    with Running() as running:
        assert running.report() == Report(
            journal="here.1",
            counters={"instances_stored": 3, "connections_closed_bare": 0, "connections_lost": 0},
        )


def test_what_is_wrong_is_reported() -> None:
    with Running() as running:
        running.service.fault_now, running.service.degraded_now = (
            "journal: gone",
            "no free inodes on the volume",
        )
        report = running.report_with(fault="journal: gone")
        assert report.degraded == "no free inodes on the volume"


def test_open_and_taken_connections_are_reported_and_an_end_is_reported_soon() -> None:
    with Running() as running:
        peer = running.connect()
        running.report_with(connections=1, taken=1)
        peer.close()
        running.report_with(connections=0, taken=1)


def test_reports_have_their_turn_while_connections_come_without_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_loop, "REPORT_INTERVAL", 0.0)
    running = Running()
    for _ in range(100):
        assert running.control.send(PEER)  # without a descriptor: lost, but taken
    with running:
        taken = [running.report().taken]
        while taken[-1] < 100:
            taken.append(running.report().taken)
        assert max(later - before for before, later in itertools.pairwise(taken)) < 50


def test_it_ends_with_the_supervisor() -> None:
    with Running() as running:
        running.report()
        running.control.close()
        eventually(running.has_ended)
        assert running.orphaned


def test_without_connections_a_drain_ends_it_at_once() -> None:
    with Running() as running:
        running.report()
        assert running.control.send(Drain(600))
        eventually(running.has_ended)
        assert not running.orphaned


def test_an_association_has_its_grace_and_a_bare_connection_has_not() -> None:
    with Running() as running:
        association = running.connect()
        running.report_with(connections=1)
        running.service.is_bare = True
        bare = running.connect()
        running.report_with(connections=2)
        assert running.control.send(Drain(600))
        assert bare.recv(1) == b""
        assert not running.has_ended()
        association.close()
        eventually(running.has_ended)


def test_after_the_grace_associations_are_aborted() -> None:
    with Running() as running:
        association = running.connect()
        running.report_with(connections=1)
        assert running.control.send(Drain(0.05))
        assert association.recv(1) == b""
        eventually(running.has_ended)


def test_an_association_that_does_not_end_when_aborted_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_loop, "ABORT_SECONDS", 0.1)
    with Running() as running:
        running.service.stubborn = True
        running.connect()
        running.report_with(connections=1)
        assert running.control.send(Drain(0))
        eventually(running.has_ended)


def test_a_volume_that_was_mounted_anew_ends_it_so_that_a_fresh_process_takes_over() -> None:
    with Running() as running:
        running.report()
        running.service.restart = True
        eventually(running.has_ended)
        assert not running.orphaned


def test_a_connection_whose_descriptor_was_lost_counts_as_taken_and_is_not_open() -> None:
    with Running() as running:
        running.report()
        assert running.control.send(PEER)  # as the kernel delivers it to a process without a free descriptor
        report = running.report_with(taken=1)
        assert report.connections == 0
        assert report.counters["connections_lost"] == 1


def test_a_turn_of_the_loop_that_fails_ends_no_association_and_is_reported() -> None:
    with Running() as running:
        association = running.connect()
        running.report_with(connections=1)
        running.service.failures = ["counters"]
        assert running.report_with(fault="internal error (KeyError)").journal == "here.1"
        running.service.failures = []
        assert running.report_with(fault=None).connections == 1
        association.send(b"still served")
        assert not running.has_ended()


def test_a_connection_that_cannot_be_served_is_closed_and_disturbs_no_other() -> None:
    with Running() as running:
        first = running.connect()
        running.report_with(connections=1)
        running.service.failures = ["association"]
        assert running.connect().recv(1) == b""
        running.service.failures = []
        running.connect()
        running.report_with(connections=2, taken=3)
        first.close()
        running.report_with(connections=1)


def test_a_packet_that_is_none_is_left_out() -> None:
    with Running() as running:
        running.send_raw(b"nonsense")
        running.connect()
        running.report_with(connections=1)


def test_a_loop_that_fails_again_and_again_lets_associations_end_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_loop, "REPORT_INTERVAL", 0.05)
    with Running() as running:
        association = running.connect()
        running.report_with(connections=1)
        running.service.failures = ["counters"]
        eventually(lambda: running.has_failed)
        running.report_with(connections=1)
        assert not running.has_ended()
        association.close()
        eventually(running.has_ended)
