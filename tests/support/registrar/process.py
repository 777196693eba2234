"""Starts, ends, kills and asks a registrar."""

import http.client
import json
import os
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from lapidicom.common.spool import SENTINEL
from tests.support.cube.process import CubeProcess
from tests.support.nursery import fork
from tests.support.polling import eventually
from tests.support.process_groups import Process, end
from tests.support.registrar.__main__ import Options


def claim(root: Path, identity: str = "the receivers' volume") -> None:
    """Do what the first receiver does to a volume at its start."""
    sentinel = root / ".lapidicom" / SENTINEL
    if not sentinel.exists():
        sentinel.parent.mkdir(exist_ok=True)
        sentinel.write_text(identity)


class RegistrarProcess:
    """A registrar as a child process; used as a context it starts, is ready, and is killed at the end.

    Args:
        amqp_url: of RabbitMQ.
        cube: the stand-in.
        log: file for its log lines.
        options: how it differs from the product.
        settings: further environment variables.
    """

    def __init__(
        self,
        amqp_url: str,
        cube: CubeProcess,
        log: Path,
        options: Options | None = None,
        **settings: str,
    ) -> None:
        self._root = cube.root
        self._environment = {
            "AMQP_URL": amqp_url,
            "CHRIS_URL": cube.url,
            "CHRIS_USERNAME": cube.username,
            "CHRIS_PASSWORD": cube.password,
            "CHRIS_FILES_ROOT": str(cube.root),
            "CHRIS_RETRY_DELAYS": "1",
            "CHRIS_PARK_DELAY": "1",
            "CHRIS_HTTP_RETRIES": "2",
            "HEALTH_PORT": "0",
            "LOG_FORMAT": "json",
            "CHRIS_VERBOSE": "yes",
        } | settings
        self._log = log
        self._options = options or Options()
        self._process: Process | None = None
        self._lines_before = 0

    def __enter__(self) -> Self:
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on a volume that receivers use."""
        if self._options.claimed:
            claim(self._root)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHRIS_", "AMQP_", "LOG_", "HEALTH_"))
        }
        self._lines_before = len(self.log())
        with self._log.open("ab") as log:
            self._process = fork(
                "tests.support.registrar",
                json.dumps(asdict(self._options)),
                env=inherited | self._environment,
                output=log,
            )

    def wait_until_ready(self) -> None:
        """Wait until /readyz answers 200."""
        eventually(lambda: not self.reasons(), 20, what="the registrar is ready")

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, seconds: float = 20) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        if self._process is None:
            raise AssertionError("not started")
        return self._process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        end(self._process, signal.SIGKILL, 10)
        self._process = None

    def log(self) -> list[dict[str, Any]]:
        """All log lines of all lives so far."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [line for line in self.log() if line["event"] == name]

    @property
    def health_port(self) -> int:
        """Of /livez and /readyz."""
        port: int | None = next(
            (line["health_port"] for line in self.log()[self._lines_before :] if "health_port" in line), None
        )
        assert port is not None, self._log.read_text()[-2000:]
        return port

    def reasons(self) -> list[str]:
        """Why it is not ready."""
        reasons: list[str] = self.readyz()["reasons"]
        return reasons

    def readyz(self) -> Any:
        """What /readyz answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return json.loads(connection.getresponse().read())
        except OSError as error:
            raise AssertionError("the health port does not answer") from error
        finally:
            connection.close()
