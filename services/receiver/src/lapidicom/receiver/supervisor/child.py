"""A child process: a fresh interpreter with a control socket, what it last reported, and how it ended."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

import structlog

from lapidicom.receiver.control import (
    Connection,
    ControlClosedError,
    ControlError,
    ControlSocket,
    Packet,
    Report,
    Settings,
    Unusable,
)


class Role(StrEnum):
    """What a child does."""

    LISTENER = "listener"
    RELAY = "relay"


@dataclass(frozen=True)
class ProcessEnd:
    """How a child's process ended: by exit status, or by signal."""

    status: int | None
    signal: str | None

    @classmethod
    def of(cls, returncode: int) -> "ProcessEnd":
        """From a return code of subprocess."""
        if returncode >= 0:
            return cls(returncode, None)
        try:
            return cls(None, signal.Signals(-returncode).name)
        except ValueError:
            return cls(None, str(-returncode))


class Child:
    """A running child. All methods return at once.

    Args:
        role: what it does.
        index: which one of its role it is.
        command: its command line, to which the number of its control descriptor is appended.
        environ: its environment.
        settings: its slice of the settings, as JSON.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(
        self, role: Role, index: int, command: Sequence[str], environ: Mapping[str, str], settings: str
    ) -> None:
        self.role = role
        self.index = index
        self.handed = 0
        self.report: Report | None = None
        self.unusable: str | None = None
        self.reported_at = self.started_at = monotonic()
        self.is_open = True
        self.takes_packets = True
        self._control, theirs = ControlSocket.pair()
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter, or a test's launcher
                    [*command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=environ,
                    stdin=subprocess.DEVNULL,
                )
        except OSError:
            self._control.close()
            raise
        self.send(Settings(settings))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def age(self) -> float:
        """Seconds since its last report; without one, since it was started."""
        return monotonic() - self.reported_at

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return monotonic() - self.started_at

    def fileno(self) -> int:
        """The control descriptor, for the event loop."""
        return self._control.fileno()

    def send(self, packet: Packet, descriptor: int | None = None) -> bool:
        """Send a packet; False if it cannot be taken now, or ever."""
        if not self.takes_packets:
            return False
        try:
            return self._control.send(packet, descriptor)
        except ControlClosedError:
            # What it reported before its end is still to be read.
            self.takes_packets = False
            return False

    def hand_over(self, connection: Connection, sock: socket.socket) -> bool:
        """Give it an accepted connection; our own copy stays ours to close. False if it cannot take it."""
        if not self.send(connection, sock.fileno()):
            return False
        self.handed += 1
        return True

    def read(self, on_report: Callable[["Child", Report], None]) -> None:
        """Take in all reports that have arrived."""
        while self.is_open:
            try:
                packet, descriptor = self._control.receive()
            except BlockingIOError:
                return
            except ControlClosedError:
                self.is_open = self.takes_packets = False
                return
            except ControlError:
                structlog.get_logger().error("child_unintelligible", role=self.role.value, child=self.pid)
                self.kill()
                self.is_open = self.takes_packets = False
                return
            if descriptor is not None:
                os.close(descriptor)
            if isinstance(packet, Report):
                self.reported_at = monotonic()
                on_report(self, packet)
                self.report = packet
            elif isinstance(packet, Unusable):
                self.unusable = packet.reason

    def poll(self) -> ProcessEnd | None:
        """How its process ended; None while it runs. Reaps it."""
        returncode = self._process.poll()
        return None if returncode is None else ProcessEnd.of(returncode)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Close the control socket, after the end of the process."""
        self.is_open = self.takes_packets = False
        self._control.close()


def reap_strangers(own: frozenset[int]) -> None:
    """Reap every ended process that is not in `own`; those are left to whoever started them.

    As process 1 of a container must: orphans of whoever lived in it become children of ours.

    Args:
        own: process ids of the children that subprocess knows of.
    """
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, options)
        except ChildProcessError:
            return
        # waitid shows one ended child at a time; while one of ours is in front, its owner reaps it
        # first and the next SIGCHLD or tick comes back here.
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, 0)
