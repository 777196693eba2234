"""A private RabbitMQ node as a container, where an engine answers and the image is there."""

import base64
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.broker import START_SECONDS, Broker, BrokerError
from tests.support.ports import free_port
from tests.support.process_groups import wait

IMAGE = "rabbitmq:4"
AMQP_PORT = 5672
CONFIGURATION = """\
load_definitions = /etc/rabbitmq/lapidicom-definitions.json
disk_free_limit.absolute = 1MB
log.console.level = warning
"""


def image() -> str | None:
    """The image to run, if an engine answers and has it."""
    name = os.environ.get("LAPIDICOM_RABBITMQ_IMAGE") or IMAGE
    if shutil.which("docker") is None:
        return None
    try:
        _docker("image", "inspect", name, seconds=10)
    except BrokerError:
        return None
    return name


class ContainerBroker(Broker):
    """The image, run with its AMQP port on the loopback interface."""

    def __init__(self, vhosts: int, image: str) -> None:
        super().__init__(vhosts)
        self._image = image
        self.name = f"lapidicom-{base64.b32encode(os.urandom(10)).decode().lower()}"
        self._runs = False
        self._frozen = False

    def start(self) -> None:
        """Create the container if there is none, start it, wait until it takes connections."""
        if self._runs:
            return
        if not self.port:
            self._create()
        _docker("start", self.name)
        self._runs = True
        try:
            wait(self.speaks_amqp, START_SECONDS)
        except TimeoutError:
            text = _docker("logs", "--tail", "20", self.name)
            self.destroy()
            raise BrokerError(f"RabbitMQ did not start:\n{text}") from None

    def stop(self) -> None:
        """End the node in order, and with it the container."""
        self.resume()
        if self._runs:
            # By RabbitMQ's own command: not in every image does SIGTERM reach the node.
            with contextlib.suppress(BrokerError):  # may be cut off by the end that it brings about
                self.ctl("stop")
            _docker("stop", "--time", "30", self.name)
        self._runs = False

    def kill(self) -> None:
        """Kill the container (SIGKILL)."""
        self.resume()
        if self._runs:
            _docker("kill", self.name)
        self._runs = False

    def pause(self) -> None:
        """Freeze the container."""
        _docker("pause", self.name)
        self._frozen = True

    def resume(self) -> None:
        """Let a frozen container go on."""
        if self._frozen:
            _docker("unpause", self.name)
        self._frozen = False

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl in the container."""
        return _docker("exec", self.name, "rabbitmqctl", "--quiet", *arguments)

    def destroy(self) -> None:
        """Remove the container and its volume."""
        if self.port:
            _docker("rm", "--force", "--volumes", self.name)
        self.port, self._runs, self._frozen = 0, False, False

    @property
    def stop_commands(self) -> Sequence[str]:
        """Shell commands that remove it."""
        return [f"docker rm --force --volumes {self.name} >/dev/null"]

    def _create(self) -> None:
        self.port = free_port()
        publish = f"127.0.0.1:{self.port}:{AMQP_PORT}"
        _docker("create", "--name", self.name, "--hostname", "rabbitmq", "--publish", publish, self._image)
        # Copied, not mounted: the engine may have another file system than we. Folders, not files: conf.d
        # is not there in every image.
        with tempfile.TemporaryDirectory(prefix="lapidicom-rabbitmq-") as folder:
            for name, text in (
                ("lapidicom-definitions.json", self.definitions()),
                ("conf.d/90-lapidicom.conf", CONFIGURATION),
            ):
                file = Path(folder, name)
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
                file.chmod(0o644)  # the server runs as another user
            _docker("cp", f"{folder}/.", f"{self.name}:/etc/rabbitmq")


def _docker(*arguments: str, seconds: float = 120) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments], check=False, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise BrokerError(f"docker {arguments[0]} does not end") from None
    if done.returncode:
        raise BrokerError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
