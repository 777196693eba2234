"""Child processes that end with their parent, and how a whole group of them is ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Protocol


class Process(Protocol):
    """What `subprocess.Popen` and the nursery give."""

    pid: int

    def poll(self) -> int | None:
        """The exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit status."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, unless it has ended."""

    def kill(self) -> None:
        """SIGKILL."""


def leash() -> list[str]:
    """A prefix for a command line: the child is killed when the thread that starts it ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def end(process: Process | None, how: signal.Signals, seconds: float) -> None:
    """End a child that leads a session of its own, with all that it started; SIGKILL after `seconds`."""
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a frozen process takes no SIGTERM
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def wait(condition: Callable[[], bool], seconds: float) -> None:
    """Ask until the condition is true.

    Raises:
        TimeoutError: it was not, in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
