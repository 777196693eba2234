"""The receiver as a child process: its process tree and its log.

The supervisor is forked from the nursery; its children are new interpreters, as in the product.
"""

import contextlib
import fcntl
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.support import faults as fault_points
from tests.support import launcher
from tests.support.faults import Fault
from tests.support.nursery import fork
from tests.support.process_groups import Process

NO_BROKER = "amqp://guest:guest@127.0.0.1:1/"

SHORT = {
    "PORT": "0",
    "HEALTH_PORT": "0",
    "LOG_FORMAT": "json",
    "CHRIS_RECEIVER_ID": "receiver-1",
    "CHRIS_LISTENER_PROCESSES": "1",
    "CHRIS_MIN_FREE_SPACE": "1MiB",
    "CHRIS_SHUTDOWN_GRACE": "10",
    "CHRIS_JOURNAL_HEARTBEAT": "0.5",
    "CHRIS_JOURNAL_TAKEOVER": "4",
    "CHRIS_PROGRESS_SPACE": "no",  # a message more of each series: for the tests that are about it
    "CHRIS_RETRY_DELAYS": "1",
    "CHRIS_PARK_DELAY": "1",
}
"""Settings of tests: free ports, short waits, one listener on any machine."""

PAUSABLE = {"CHRIS_CHILD_TIMEOUT": "600"}
"""For tests that freeze children and want them back."""


class Receiver:
    """A receiver of its own storage root.

    Args:
        folder: a temporary folder; the storage root is `files` in it unless given.
        amqp_url: the broker; without, there is none.
        files_root: CUBE's storage root.
        faults: what shall happen in the children at which call; see `Fault`.
        settings: variables of the environment that differ from SHORT, such as CHRIS_LISTENER_PROCESSES=2.
    """

    def __init__(
        self,
        folder: Path,
        amqp_url: str = NO_BROKER,
        *,
        files_root: Path | None = None,
        faults: Sequence[Fault] = (),
        **settings: object,
    ) -> None:
        self.files_root = files_root or folder / "files"
        self.spool = self.files_root / ".lapidicom"
        self.lines: list[dict[str, Any]] = []
        self.other_output: list[str] = []
        self.scp_port = 0
        self.health_port = 0
        self._faults = faults
        self._folder = folder / f"receiver-{os.urandom(4).hex()}"
        self._settings = {
            **SHORT,
            "AMQP_URL": amqp_url,
            "CHRIS_FILES_ROOT": str(self.files_root),
            **{name: str(value) for name, value in settings.items()},
        }
        self._process: Process | None = None
        self._output: IO[bytes]
        self._news = threading.Condition()
        self._may_read = threading.Event()
        self._may_read.set()
        self._reader: threading.Thread | None = None

    # --- its life ---

    def start(self, *, ready: bool = True) -> Self:
        """Start it, and wait until it listens and (unless `ready` is false) is ready."""
        self.files_root.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        module = "tests.support.launcher" if self._faults else "lapidicom.receiver"
        reading, writing = os.pipe()
        self._output = os.fdopen(reading, "rb")
        with os.fdopen(writing, "wb") as output:
            self._process = fork(module, env=self._environ(), output=output)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        listening = self.wait_for("listening")
        self.scp_port, self.health_port = listening["scp_port"], listening["health_port"]
        if ready:
            self.wait_for("ready")
        return self

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
        self.read_the_log_again()
        for pid in self.children():  # a stopped one does not end by itself
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end_of_output()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> None:
        """Send SIGTERM to the supervisor."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self, seconds: float = 30) -> int:
        """Send SIGTERM and return the exit status."""
        self.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """Send SIGKILL to the supervisor and wait until it has ended; its children end by themselves."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait(5)

    def pause(self) -> None:
        """Freeze all its processes (SIGSTOP), the supervisor first: nothing is replaced."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def kill_whole(self) -> None:
        """Kill all its processes at one moment, as when the machine dies: nobody sees anybody end."""
        self.pause()
        self._signal_all(signal.SIGKILL)
        self.wait(5)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in (self.pid, *self.children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, seconds: float = 30) -> int:
        """Wait for the supervisor's end and return its exit status."""
        assert self._process is not None
        status = self._process.wait(seconds)
        self._end_of_output()
        return status

    # --- its children ---

    def children(self, role: str | None = None) -> list[int]:
        """Process ids of the children that live, by start: of a role, or all."""
        started = self.events("child_started", **({"role": role} if role else {}))
        return [line["child"] for line in started if _lives(line["child"], self._command_mark(line["role"]))]

    def child(self, role: str = "listener", index: int = 0) -> int:
        """Process id of the living child of a role and index."""
        for line in reversed(self.events("child_started", role=role, index=index)):
            if _lives(line["child"], self._command_mark(role)):
                pid: int = line["child"]
                return pid
        raise AssertionError(f"no {role} {index} lives")

    def wait_for_other_child(
        self, pid: int, role: str = "listener", index: int = 0, seconds: float = 20
    ) -> int:
        """Wait until the child `pid` is replaced; return the replacement's process id."""
        deadline = time.monotonic() + seconds
        while True:
            started = [line["child"] for line in self.events("child_started", role=role, index=index)]
            if started and started[-1] != pid and pid in started:
                later: int = started[-1]
                return later
            self._wait_for_news(deadline, f"another {role} than {pid}")

    # --- its log ---

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The log lines so far of an event with these fields."""
        with self._news:
            return [
                line for line in self.lines if line.get("event") == event and fields.items() <= line.items()
            ]

    def wait_for(
        self, event: str, seconds: float = 30, *, count: int = 1, **fields: object
    ) -> dict[str, Any]:
        """Wait until `count` log lines of an event with these fields are there; return the last of them."""
        deadline = time.monotonic() + seconds
        while len(found := self.events(event, **fields)) < count:
            self._wait_for_news(deadline, f"{count} x {event} {fields}")
        return found[count - 1]

    def stop_reading_the_log(self) -> None:
        """Leave the pipe of its log unread, and make it small: a page, some ten lines."""
        fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, 4096)
        self._may_read.clear()

    def read_the_log_again(self) -> None:
        """Read what is in the pipe, and go on reading."""
        self._may_read.set()

    def log_text(self) -> str:
        """All that it wrote, for a test's message or a search for what must not be there."""
        with self._news:
            return "\n".join([*map(json.dumps, self.lines), *self.other_output])

    # --- from outside ---

    def get(self, path: str) -> tuple[int, str]:
        """GET from its health port: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def reasons(self) -> list[str]:
        """Why it is not ready, as /readyz says; empty if it is."""
        status, body = self.get("/readyz")
        reasons: list[str] = json.loads(body)["reasons"]
        assert (status == 200) == (not reasons)
        return reasons

    def connect(self) -> socket.socket:
        """A bare TCP connection to its SCP."""
        return socket.create_connection(("127.0.0.1", self.scp_port), timeout=10)

    def release(self, number: int = 0) -> None:
        """Let go on what waits at the fault of this number (effect `hold`)."""
        (self._folder / f"released-{number}").touch()

    # --- inside ---

    def _command_mark(self, role: str) -> bytes:
        return f"launcher\0{role}".encode() if self._faults else f"lapidicom.receiver.{role}".encode()

    def _environ(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        return {
            **inherited,
            **self._settings,
            launcher.FAULTS: fault_points.encode(self._faults),
            launcher.FOLDER: str(self._folder),
        }

    def _read(self) -> None:
        with self._output as output:
            for raw in output:
                self._may_read.wait()
                try:
                    line = json.loads(raw)
                except ValueError:
                    line = None
                with self._news:
                    if isinstance(line, dict):
                        self.lines.append(line)
                    else:
                        self.other_output.append(raw.decode(errors="replace").rstrip())
                    self._news.notify_all()

    def _wait_for_news(self, deadline: float, what: str) -> None:
        with self._news:
            left = deadline - time.monotonic()
            ended = self._process is None or self._process.poll() is not None
            if left <= 0 or (ended and self._reader is not None and not self._reader.is_alive()):
                raise AssertionError(f"not seen: {what}; the log was:\n{self.log_text()}")
            self._news.wait(min(left, 0.2))

    def _end_of_output(self) -> None:
        if self._reader is not None:
            self._reader.join(10)


StartReceiver = Callable[..., Receiver]
"""A fixture's function: takes settings, and starts a receiver that ends with the test."""


def _is_setting(name: str) -> bool:
    prefixes = ("CHRIS_", "AMQP_URL", "PORT", "HEALTH_PORT", "LOG_FORMAT", "REGISTRATION_UNIT")
    return name.startswith(prefixes)


def _lives(pid: int, mark: bytes) -> bool:
    """Whether the process is still that child, and no zombie, and no other one that got its number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return mark in command
    except OSError:
        return False
