"""Process trees that a benchmark starts: their CPU time from /proc, and their end by process id."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_PPID, _UTIME = 1, 11  # fields of /proc/<pid>/stat behind the command's name (proc_pid_stat(5))
_END_SECONDS = 10.0


class ProcessTree:
    """A command and all processes below it; leaving the context kills them.

    It runs in a session of its own, so that Ctrl-C reaches the benchmark alone, which ends it in order.

    Args:
        command: what to run.
        environment: all of it.
        log: file that takes its standard output and error.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def ended(self) -> bool:
        """Whether the command itself has ended."""
        return self._process.poll() is not None

    def wait(self, seconds: float) -> int:
        """Wait for the command's end and return its exit status.

        Raises:
            subprocess.TimeoutExpired: it still runs after `seconds`.
        """
        return self._process.wait(seconds)

    def cpu_seconds(self) -> float:
        """User and system time of all processes of the tree, also of those that ended and were reaped."""
        return sum(_cpu_seconds(pid, stat) for pid, stat in self._stats().items())

    def memory(self) -> int:
        """Proportional set size of the tree, bytes: a page that n processes share counts 1/n in each."""
        return sum(_memory(pid, ("Pss",)) for pid in self._stats())

    def private_memory(self) -> int:
        """What the tree shares with nobody, bytes: it grows by what is allocated, whatever others do."""
        return sum(_memory(pid, ("Private_Clean", "Private_Dirty")) for pid in self._stats())

    def kill(self) -> None:
        """Kill the tree. Nothing that a benchmark starts holds anything that an orderly end would save."""
        pids = set(self._stats())
        if not self.ended:
            self._process.kill()
        self._process.wait()
        pids.discard(self._process.pid)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _END_SECONDS
        while pids := {pid for pid in pids if _runs(pid)}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes {sorted(pids)} do not end")
            time.sleep(0.005)

    def _stats(self) -> dict[int, list[str]]:
        """The fields of /proc/<pid>/stat of each process of the tree."""
        root = self._process.pid
        everyone = _all_stats()
        tree = {root: everyone[root]} if root in everyone else {}
        while True:
            below = {
                pid: stat for pid, stat in everyone.items() if int(stat[_PPID]) in tree and pid not in tree
            }
            if not below:
                return tree
            tree |= below


def _all_stats() -> dict[int, list[str]]:
    stats = (
        (int(entry.name), _stat(int(entry.name))) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    )
    return {pid: stat for pid, stat in stats if stat is not None}


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _cpu_seconds(pid: int, stat: Sequence[str]) -> float:
    """Own time and that of reaped children; those still to be seen are counted by themselves."""
    own, reaped = stat[_UTIME : _UTIME + 2], stat[_UTIME + 2 : _UTIME + 4]
    try:
        # The CPU clock of another process (clock_getcpuclockid(3)): stat counts in ticks of 10 ms.
        seconds = time.clock_gettime(~pid << 3 | 2)
    except OSError:
        seconds = sum(map(int, own)) / _TICKS
    return seconds + sum(map(int, reaped)) / _TICKS


def _memory(pid: int, names: Sequence[str]) -> int:
    """Sum of these lines of smaps_rollup (proc_pid_smaps(5)), bytes; 0 for a process that has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = (line.split() for line in text.splitlines()[1:])
    return sum(int(field[1]) << 10 for field in fields if field[0].rstrip(":") in names)


def _runs(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"
