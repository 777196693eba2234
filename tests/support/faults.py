"""Faults at exact points of a receiver's child: the n-th call of a named operation kills it, say."""

import errno as errnos
import functools
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lapidicom.common.file_system import FileSystem

Effect = Literal["kill", "stop", "hold", "error", "short"]


@dataclass(frozen=True)
class Fault:
    """What shall happen at which call.

    Attributes:
        operation: a name of the FileSystem port, or `publish`.
        effect: `kill` (SIGKILL to the own process), `stop` (SIGSTOP to it), `hold` (the calling thread
            waits until the test calls `Receiver.release`), `error` (fails with `errno`), `short`
            (half of the bytes are written, and no more).
        role: whose call it is.
        nth: the call at which it happens, counted from 1 over those whose path matches `where`.
        calls: how many calls from the nth on are concerned.
        or_later: whether a later call will do where the nth went by while the fault was another process's.
        where: a regular expression to be found in the path, or in the path behind the descriptor.
        after: whether it happens after the call was done; `error` then fails a call that was done.
        errno: of `error`.
        once: whether only the first process that comes to it is concerned, and not its replacement.
    """

    operation: str
    effect: Effect
    role: Literal["listener", "relay"] = "listener"
    nth: int = 1
    calls: int = 1
    or_later: bool = False
    where: str = ""
    after: bool = False
    errno: int = errnos.EIO
    once: bool = True


def encode(faults: Sequence[Fault]) -> str:
    """For the environment of the launcher."""
    return json.dumps([asdict(fault) for fault in faults])


def decode(text: str) -> list[Fault]:
    """From the environment of the launcher."""
    return [Fault(**values) for values in json.loads(text)]


class Claims:
    """Which faults that happen once belong to this process, and to no other one.

    At most one that stops it: its threads may run on for a moment, but the next stop is another's.

    Attributes:
        striking: held by the thread that lets a fault happen.
    """

    def __init__(self) -> None:
        self.striking = threading.Lock()
        self._lock = threading.Lock()
        self._mine: dict[int, Fault] = {}

    def claim(self, number: int, fault: Fault, folder: Path) -> bool:
        """Claim a fault, now or before."""
        with self._lock:
            if number in self._mine:
                return True
            if fault.effect == "stop" and any(one.effect == "stop" for one in self._mine.values()):
                return False
            try:
                os.close(os.open(folder / f"struck-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return False
            self._mine[number] = fault
            return True


class Armed:
    """A fault in a process, waiting for its call.

    Args:
        fault: what happens.
        number: its number among the faults of the run.
        folder: where processes tell each other, and the test tells them, what has happened.
        claims: the claims of this process.
    """

    def __init__(self, fault: Fault, number: int, folder: Path, claims: "Claims") -> None:
        if fault.effect not in get_args(Effect):
            raise ValueError(fault.effect)
        self._fault = fault
        self._number = number
        self._folder = folder
        self._calls = 0
        self._happened = 0
        self._lock = threading.Lock()
        self._claims = claims
        self._where = re.compile(fault.where)

    def wrap(self, call: Callable[..., Any], path_of: Callable[..., str]) -> Callable[..., Any]:
        """The call with the fault in it."""

        @functools.wraps(call)
        def faulty(*args: Any, **kwargs: Any) -> Any:
            fault = self._fault
            if not self.is_due(path_of(*args, **kwargs)):
                return call(*args, **kwargs)
            if fault.effect == "short":
                if not self._struck():
                    return call(*args, **kwargs)
                return call(args[0], _half(args[1]), *args[2:], **kwargs)
            if fault.after:
                result = call(*args, **kwargs)
                self.strike()
                return result
            self.strike()
            return call(*args, **kwargs)

        return faulty

    @property
    def after(self) -> bool:
        """Whether it happens after the call."""
        return self._fault.after

    def is_due(self, path: str) -> bool:
        """Count a call; whether the fault belongs to it, if it belongs to this process."""
        fault = self._fault
        if not self._where.search(path):
            return False
        with self._lock:
            self._calls += 1
            return fault.nth <= self._calls and (fault.or_later or self._calls < fault.nth + fault.calls)

    def _claim(self) -> bool:
        """Whether it belongs to this process. Asked last: another thread may kill the process before."""
        with self._lock:
            if self._happened == self._fault.calls:
                return False
            mine = not self._fault.once or self._claims.claim(self._number, self._fault, self._folder)
            self._happened += mine
            return mine

    def strike(self) -> None:
        """Let it happen, if it belongs to this process."""
        if not self._struck():
            return
        match self._fault.effect:
            case "hold":
                while not (self._folder / f"released-{self._number}").exists():
                    time.sleep(0.01)
            case "error":
                raise OSError(self._fault.errno, os.strerror(self._fault.errno))

    def _struck(self) -> bool:
        """Claim it, report it, and end or stop the process if that is its effect; False: it is another's.

        One thread at a time: a fault that a thread has claimed when another one kills the process would
        never be reported, and nobody else could claim it.
        """
        with self._claims.striking:
            if not self._claim():
                return False
            self._report()
            match self._fault.effect:
                case "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                    threading.Event().wait()  # no other thread may claim a fault in the last moment
                case "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)
        return True

    def _report(self) -> None:
        line = {"event": "fault_struck", "number": self._number, "pid": os.getpid(), **asdict(self._fault)}
        os.write(2, json.dumps(line).encode() + b"\n")


def _half(data: Any) -> Any:
    if isinstance(data, list | tuple):
        data = b"".join(data)
        return [data[: len(data) // 2]]
    return data[: len(data) // 2]


def arm(faults: Iterable[Fault], role: str, folder: Path) -> list[tuple[Fault, Armed]]:
    """The faults of this process."""
    claims = Claims()
    return [
        (fault, Armed(fault, number, folder, claims))
        for number, fault in enumerate(faults)
        if fault.role == role
    ]


class FaultyFileSystem(FileSystem):
    """The real system calls with faults in some of them."""

    def __init__(self, armed: Iterable[tuple[Fault, Armed]]) -> None:
        for fault, trap in armed:
            if hasattr(FileSystem, fault.operation):
                call = getattr(self, fault.operation)
                setattr(self, fault.operation, trap.wrap(call, path_of_call))


def path_of_call(
    target: Any, *_: Any, dir_fd: int | None = None, src_dir_fd: int | None = None, **__: Any
) -> str:
    """The path that a call is about: its first argument, made absolute where a descriptor tells how."""
    if isinstance(target, int):
        return _path_of_descriptor(target)
    folder = dir_fd if dir_fd is not None else src_dir_fd
    path = os.fsdecode(target)
    return path if folder is None else f"{_path_of_descriptor(folder)}/{path}"


def _path_of_descriptor(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""
