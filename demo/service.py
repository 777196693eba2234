"""lapidicom's services, started as a user starts them: a command and environment variables."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.process_groups import end, leash, wait

START_SECONDS = 60.0
STOP_SECONDS = 20.0


class ServiceError(Exception):
    """A service does not start; the text ends with the end of its log."""


class Service:
    """A running `lapidicom-receiver` or `lapidicom-registrar`.

    Args:
        command: its name.
        settings: its environment variables.
        log: file for what it prints.
        started: the event of its log that bears its ports.
        die_with_parent: whether it ends with this process.
    """

    def __init__(
        self, command: str, settings: dict[str, str], log: Path, *, started: str, die_with_parent: bool
    ) -> None:
        self._command = command
        self._log = log
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHRIS_", "OTEL_")) and name not in ("PORT", "HEALTH_PORT", "DATA")
        }
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*(leash() if die_with_parent else []), str(Path(sys.prefix) / "bin" / command)],
                env=inherited | {"LOG_FORMAT": "json", "HEALTH_PORT": "0"} | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started = started
        self.ports: dict[str, int] = {}

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until it says its ports and /readyz is well.

        Raises:
            ServiceError: it ended, or it is not ready in time.
        """
        try:
            wait(self._is_ready, START_SECONDS)
        except TimeoutError:
            raise ServiceError(
                f"{self._command} is not ready after {START_SECONDS:g} s:\n{self.log_end()}"
            ) from None

    def stop(self) -> None:
        """Let it end in order (SIGTERM), or end it."""
        end(self._process, signal.SIGTERM, STOP_SECONDS)

    def log_end(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise ServiceError(f"{self._command} ended with {self._process.returncode}:\n{self.log_end()}")
        if not self.ports:
            event = self._event(self._started)
            if event is None:
                return False
            self.ports = {name: value for name, value in event.items() if name.endswith("_port")}
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["health_port"], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _event(self, name: str) -> dict[str, Any] | None:
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("event") == name:
                return event
        return None
