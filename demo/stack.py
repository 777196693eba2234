"""The whole system on this machine: RabbitMQ, receiver, registrar, and a stand-in for CUBE."""

import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Self

from demo.options import Options
from demo.queues import dead_letters, forget_queues, in_use
from demo.service import Service, ServiceError
from demo.verification import files_by_folder, stored_paths
from tests.support.cube.process import CubeProcess
from tests.support.rabbitmq import Broker, open_broker

RECEIVER_ID = "demo"


class Stack:
    """Starts everything, and leaves nothing behind: unless it is told to `leave`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="lapidicom-demo-"))
        self.files_root = options.files_root or self.folder / "files"
        self._had_spool = (self.files_root / ".lapidicom").exists()
        self._bound = not options.keep
        self._left = False
        self._own_queues = False
        self._broker: Broker | None = None
        self._cube: CubeProcess | None = None
        self._services: list[Service] = []
        self.amqp_url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._left:
            self._end()

    @property
    def cube(self) -> CubeProcess:
        """The stand-in CUBE."""
        if self._cube is None:
            raise RuntimeError("the stack is not started")
        return self._cube

    @property
    def scp_port(self) -> int:
        """The receiver's DICOM port."""
        return self._services[0].ports["scp_port"]

    def registrations(self) -> dict[str, int]:
        """How often each instance's file was registered: with CUBE 6 as its series, if that is whole."""
        series, counts = self.series(), self.cube.control.counts()
        if self._options.cube == 5:  # beside progress files
            return {path: count for path, count in counts.items() if path.endswith(".dcm")}
        by_folder = files_by_folder(stored_paths(self.files_root))
        return {
            path: counts[folder]
            for folder, ndicom in series.items()
            for path in by_folder[folder]
            if len(by_folder[folder]) == ndicom
        }

    def series(self) -> dict[str, int]:
        """How many files each registered series has, by its folder: of CUBE 6."""
        rows = self.cube.control.registrations() if self._options.cube == 6 else []
        return {row["path"]: row["ndicom"] for row in rows}

    def dead_letters(self) -> int:
        """Messages in the dead-letter queue."""
        return dead_letters(self.amqp_url)

    def leave(self) -> Path:
        """Leave everything running; returns the script that stops it."""
        self._left = True
        script = self.folder / "stop"
        script.write_text(self._stop_script())
        script.chmod(0o755)
        return script

    def write_operator_settings(self) -> Path:
        """Write a file for a shell's `.`: with it the `lapidicom` command looks at this stack."""
        path = self.folder / "settings"
        settings = self._registrar_settings()
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        path.touch(mode=0o600)
        path.write_text("".join(lines))
        return path

    def log_ends(self) -> str:
        """What the services said last."""
        return "\n".join(service.log_end() for service in self._services)

    def _start(self) -> None:
        self.files_root.mkdir(parents=True, exist_ok=True)
        self._start_broker()
        cube = CubeProcess(
            self.files_root,
            forked=False,
            die_with_parent=self._bound,
            folder=self.folder / "cube",
            generation=self._options.cube,
        )
        self._cube = cube
        cube.start()
        self._serve(
            "lapidicom-receiver",
            {
                **self._shared_settings(),
                "PORT": "0",
                "CHRIS_RECEIVER_ID": RECEIVER_ID,
                "CHRIS_MIN_FREE_SPACE": "64MiB",
            },
            started="listening",
        )
        self._serve("lapidicom-registrar", self._registrar_settings(), started="registrar_started")
        for service in self._services:
            service.wait_until_ready()

    def _shared_settings(self) -> dict[str, str]:
        return {"AMQP_URL": self.amqp_url, "CHRIS_FILES_ROOT": str(self.files_root)}

    def _registrar_settings(self) -> dict[str, str]:
        return {
            **self._shared_settings(),
            "CHRIS_URL": self.cube.url,
            "CHRIS_USERNAME": self.cube.username,
            "CHRIS_PASSWORD": self.cube.password,
        }

    def _start_broker(self) -> None:
        if self._options.amqp_url:
            self.amqp_url = self._options.amqp_url
            use = in_use(self.amqp_url)
            if use:
                raise ServiceError(
                    f"the virtual host of AMQP_URL is in use ({use}): give the demo one of its own"
                )
            self._own_queues = use is None
            return
        self._broker = open_broker(1, self.folder / "rabbitmq", die_with_parent=self._bound)
        self._broker.start()
        self.amqp_url = self._broker.url()

    def _serve(self, command: str, settings: dict[str, str], *, started: str) -> None:
        log = self.folder / f"{command}.log"
        self._services.append(Service(command, settings, log, started=started, die_with_parent=self._bound))

    def _end(self) -> None:
        for service in self._services:
            service.stop()
        if self._cube is not None:
            self._cube.destroy()
        if self._broker is not None:
            self._broker.destroy()
        elif self._own_queues:
            forget_queues(self.amqp_url)
        if not self._had_spool:
            shutil.rmtree(self.files_root / ".lapidicom", ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop_script(self) -> str:
        services = " ".join(str(service.pid) for service in self._services)
        broker = "\n".join(self._broker.stop_commands if self._broker else ())
        spool = "" if self._had_spool else f"rm -rf {shlex.quote(str(self.files_root / '.lapidicom'))}\n"
        return (
            "#!/bin/sh\n# Stops what `make demo KEEP=1` left running.\n"
            f"kill {services} 2>/dev/null\n"
            "tries=0\n"
            f"while kill -0 {services.replace(' ', ' 2>/dev/null || kill -0 ')} 2>/dev/null; do\n"
            '  tries=$((tries + 1)); [ "$tries" -gt 100 ] && kill -9 ' + services + "; sleep 0.2\ndone\n"
            f"kill -9 {self.cube.pid} 2>/dev/null\n{broker}\n"
            f"{spool}rm -rf {shlex.quote(str(self.folder))}\n"
        )

    def log_files(self) -> list[str]:
        """The services' logs, for who wants to look on."""
        return [os.fspath(path) for path in sorted(self.folder.glob("*.log"))]
