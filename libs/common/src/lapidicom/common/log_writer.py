"""Writes log lines in a thread of its own, so that whoever logs never waits for who reads the log.

A pipe that nobody reads, a terminal that was stopped (Ctrl-S) or a disk that hangs blocks a write. The
descriptor cannot be made non-blocking: that flag belongs to the open file description, which all our
processes, and our parent, share.
"""

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

MOST_WAITING: Final = 1_000
"""Lines that wait for the writer; those beyond are dropped and counted."""

FLUSH_SECONDS: Final = 2.0
"""How long the end of a process may wait for a log that takes nothing."""


class LineWriter:
    """Takes lines from all threads, and writes them in their order, each with one write().

    When too many wait, new lines are dropped until all that wait are written; then the number of those
    dropped is logged, at the place where they are missing. Lines that cannot be written (closed pipe, full
    disk) are counted likewise.

    Args:
        descriptor: where to.
        dropped_line: the line that gives the number of dropped ones.
    """

    def __init__(self, descriptor: int, dropped_line: Callable[[int], str]) -> None:
        self._descriptor = descriptor
        self._dropped_line = dropped_line
        self._begin()
        atexit.register(self.flush)
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin without thread and lines, as after a fork: the parent writes those that wait."""
        # Reentrant, for a line may be logged by a destructor in the midst of logging another.
        self._lock = threading.RLock()
        self._has_line = threading.Condition(self._lock)
        self._is_done = threading.Condition(self._lock)
        self._waiting: deque[bytes] = deque()
        self._thread: threading.Thread | None = None
        self._is_dropping = self._is_writing = False
        self._dropped = 0

    def msg(self, line: str) -> None:
        """Hand a line over; never blocks, never raises."""
        data = encoded(line)
        with self._lock:
            if self._is_dropping or len(self._waiting) >= MOST_WAITING:
                self._is_dropping = True
                self._dropped += 1
                return
            self._waiting.append(data)
            if self._thread is None:
                self._start()
            self._has_line.notify()

    debug = info = warning = error = critical = msg

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all lines are written, but no longer than so many seconds."""
        deadline = monotonic() + seconds
        with self._lock:
            while self._waiting or self._is_writing:
                if not self._is_done.wait(max(0.0, deadline - monotonic())):
                    return

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread to be had now; the next line tries again
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._lock:
                self._is_writing = False
                while not self._waiting:
                    self._is_done.notify_all()
                    self._has_line.wait()
                line = self._waiting.popleft()
                self._is_writing = True
            if not self._write(line):
                with self._lock:
                    self._dropped += 1
            if not self._waiting:
                self._report_dropped()

    def _report_dropped(self) -> None:
        with self._lock:
            count = self._dropped
            self._is_dropping = False
        if count and self._write(encoded(self._dropped_line(count))):
            with self._lock:
                self._dropped -= count

    def _write(self, line: bytes) -> bool:
        """Write a line, however long it takes; False if it is lost."""
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # another process made the shared descriptor non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:
                return False
        return True


def encoded(line: str) -> bytes:
    """A line as it is written."""
    return line.encode("utf-8", "backslashreplace") + b"\n"
