"""Starts Python programs of the tests without the cost of their imports.

A new interpreter needs half a second of CPU until it is a registrar, and the tests start hundreds. The
nursery is one process that has imported what the programs need, and forks for each start. What then runs is
the same module as with `python -m`, in a session of its own. It is killed when the nursery ends, and that
ends with the thread that first used it.
"""

import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.support.process_groups import leash

CHECKOUT = Path(__file__).parents[2]
IMPORTED = (
    "lapidicom.receiver.supervisor.app",
    "lapidicom.registrar.__main__",
    "tests.support.cube.app",
    *("uvloop", "uvicorn.protocols.http.h11_impl", "uvicorn.protocols.http.httptools_impl"),
    *("httpcore", "anyio.streams.memory", "anyio.streams.tls"),
)
"""The modules that make the start of a program slow."""

_LARGEST = 1 << 17
_PR_SET_PDEATHSIG = 1


class Forked:
    """A process that the nursery started; of `subprocess.Popen` it has what tests use.

    Args:
        life: brings the process id, then the exit status.
    """

    def __init__(self, life: socket.socket) -> None:
        self._life = life
        life.settimeout(20)
        self.pid = int(life.recv(100))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit status.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            self._life.settimeout(timeout)
            try:
                self.returncode = int(self._life.recv(100) or -signal.SIGKILL)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._life.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fork(module: str, *arguments: str, env: Mapping[str, str], output: IO[Any]) -> Forked:
    """Run a module as `python -m` does, in the checkout, without standard input."""
    request = {"module": module, "arguments": arguments, "env": dict(env)}
    life, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        descriptors = [theirs.fileno(), output.fileno()]
        socket.send_fds(_nursery().control, [json.dumps(request).encode()], descriptors)
    return Forked(life)


class Opened(NamedTuple):
    """This process's nursery."""

    control: socket.socket
    process: subprocess.Popen[bytes]


@functools.cache
def _nursery() -> Opened:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [*leash(), sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())],
            cwd=CHECKOUT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Opened(ours, process)


class Nursery:
    """The process that forks.

    Args:
        control: brings the requests; its end is the nursery's.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lives: dict[int, socket.socket] = {}
        self._news, self._wake_up = socket.socketpair()
        self._wake_up.setblocking(False)
        signal.set_wakeup_fd(self._wake_up.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> str | None:
        """Fork and reap until the control socket ends; in a child, return the module that it shall run."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._news, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._news:
                        self._news.recv(4096)
                        self._reap()
                        continue
                    text, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST, 2)
                    if not text:
                        return None
                    life, output = descriptors
                    parent = os.getpid()
                    if (pid := os.fork()) == 0:
                        os.close(life)
                        self._close()
                        return _be_born(json.loads(text), output, parent)
                    os.close(output)
                    self._lives[pid] = socket.socket(fileno=life)
                    self._lives[pid].send(str(pid).encode())

    def _reap(self) -> None:
        while self._lives:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._lives.pop(pid) as life:
                try:
                    life.send(str(os.waitstatus_to_exitcode(status)).encode())
                except OSError:
                    continue  # nobody asks any more

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for opened in (self._control, self._news, self._wake_up, *self._lives.values()):
            opened.close()


def _be_born(request: dict[str, Any], output: int, parent: int) -> str:
    """Become what a new interpreter would be."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["env"])
    module: str = request["module"]
    sys.argv = [module, *request["arguments"]]
    return module


def main() -> None:
    """Serve; in a child, be the program."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    control = socket.socket(fileno=int(sys.argv[1]))
    program = Nursery(control).serve()
    if program is not None:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
