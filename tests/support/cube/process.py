"""The stand-in CUBE as a child process that can be stopped, killed and frozen, and remembers."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Self

from tests.support.cube.accounts import USERS
from tests.support.cube.control import CubeControl
from tests.support.nursery import fork
from tests.support.ports import free_port
from tests.support.process_groups import Process, end, leash, wait

CHECKOUT = Path(__file__).parents[3]


class CubeProcess:
    """A running stand-in; `control` tells it what to do.

    Args:
        root: CUBE's storage root.
        connection_close: no keep-alive, as CUBE v5; v6 keeps connections.
        forked: whether the tests' nursery starts it, instead of an interpreter of its own.
        die_with_parent: whether one of its own ends when the thread that started it does.
        folder: where its state and log are kept; without it a temporary folder.
        unique: whether a path that is registered is refused, as CUBE does. Without it a registration that
            comes twice is carried out twice, and seen in `control.counts()`.
        race: seconds between the look into the database and each change of it; see `control.race`.
        generation: 5, which registers files, or 6, which registers series.
        second: how long the second lasts that v6 lets pass between two counts of a folder's files.
    """

    username = "chris"
    password = USERS["chris"]

    def __init__(
        self,
        root: Path,
        *,
        connection_close: bool | None = None,
        forked: bool = True,
        die_with_parent: bool = True,
        folder: Path | None = None,
        unique: bool = True,
        race: float = 0.0,
        generation: int = 5,
        second: float = 1.0,
    ) -> None:
        self.root = root
        self.port = 0
        self.connection_close = generation == 5 if connection_close is None else connection_close
        self._generation = ("--generation", str(generation), "--second", str(second))
        self._unique = unique
        self._race = race
        self._forked = forked
        self._die_with_parent = die_with_parent
        self._folder = folder or Path(tempfile.mkdtemp(prefix="lapidicom-cube-"))
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    @property
    def url(self) -> str:
        """CHRIS_URL."""
        return f"http://127.0.0.1:{self.port}/api/v1/"

    @property
    def pid(self) -> int:
        """Process id, 0 when it does not run."""
        return self._process.pid if self._process else 0

    @property
    def control(self) -> CubeControl:
        """The client of its control endpoints."""
        return CubeControl(self.port)

    def start(self) -> None:
        """Start it, on the same port as before if it ran before; return when it answers."""
        if self._process is not None:
            return
        for attempts_left in (2, 1, 0) if not self.port else (0,):
            port = self.port or free_port()
            if self._answers_on(port):
                self.port = port
                return
            if not attempts_left:
                raise RuntimeError(f"the stand-in CUBE did not start:\n{self._log()}")

    def let_duplicates_through(self) -> None:
        """Register a path as often as it is asked for, also after a restart."""
        self._unique = False
        self.control.unique(yes=False)

    def refuse_duplicates(self) -> None:
        """Refuse a path that is registered, as CUBE does: for a test whose fault excuses a repetition."""
        self._unique = True
        self.control.unique(yes=True)

    def stop(self) -> None:
        """Stop it (SIGTERM): connections are refused until `start`."""
        end(self._process, signal.SIGTERM, 10)
        self._process = None

    def kill(self) -> None:
        """Kill it in the middle of whatever it does."""
        end(self._process, signal.SIGKILL, 10)
        self._process = None

    def pause(self) -> None:
        """Freeze it: connections are taken by the kernel and never answered."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def destroy(self) -> None:
        """End it and forget its state."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers_on(self, port: int) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        arguments = [
            *("--port", str(port), "--root", str(self.root), "--state", str(self._folder / "state")),
            *(["--connection-close"] if self.connection_close else []),
            *([] if self._unique else ["--let-duplicates-through"]),
            *("--race", str(self._race)),
            *self._generation,
        ]
        with (self._folder / "log").open("ab") as log:
            process = self._start(arguments, log)
        control = CubeControl(port)

        def answers() -> bool:
            if process.poll() is not None:
                raise TimeoutError
            try:
                control.counts()
            except OSError:
                return False
            return True

        try:
            wait(answers, 20)
        except TimeoutError:
            end(process, signal.SIGKILL, 5)
            return False
        self._process = process
        return True

    def _start(self, arguments: list[str], log: IO[bytes]) -> Process:
        if self._forked:
            return fork("tests.support.cube", *arguments, env=os.environ, output=log)
        return subprocess.Popen(
            [
                *(leash() if self._die_with_parent else []),
                *(sys.executable, "-m", "tests.support.cube", *arguments),
            ],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]
