"""Receiver, registrar and stand-in CUBE on one broker: the whole system, and what it tells."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.cube.process import CubeProcess
from tests.support.faults import Fault
from tests.support.instances import Instance
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.registrar.__main__ import Options
from tests.support.registrar.process import RegistrarProcess
from tests.support.scus import pynetdicom_store

CALLING = "TRACED"


class Stack:
    """Receiver, RabbitMQ, registrar and stand-in CUBE.

    Args:
        amqp_url: of the broker.
        cube: the stand-in; its storage root is the receiver's.
        tmp_path: for logs and what the SCU sends.
    """

    def __init__(self, amqp_url: str, cube: CubeProcess, tmp_path: Path) -> None:
        self.amqp_url = amqp_url
        self.cube = cube
        self.tmp_path = tmp_path
        self.receiver: Receiver
        self.registrar: RegistrarProcess
        self._open = ExitStack()

    def start(self, faults: Sequence[Fault] = (), options: Options | None = None, **settings: str) -> None:
        """Start receiver and registrar; settings go to both."""
        self.receiver = Receiver(
            self.tmp_path, self.amqp_url, files_root=self.cube.root, faults=faults, **settings
        )
        self.registrar = RegistrarProcess(
            self.amqp_url, self.cube, self.tmp_path / "registrar.log", options, **settings
        )
        self._open.enter_context(self.receiver)
        self._open.enter_context(self.registrar)

    def send(self, *instances: Instance, calling: str = CALLING) -> list[int]:
        """C-STORE by pynetdicom in one association; returns the statuses."""
        return pynetdicom_store(self.receiver.scp_port, calling, instances, self.tmp_path / "scu")

    def until_registered(self, count: int, seconds: float = 30) -> None:
        """Wait until that many files are registered."""
        eventually(lambda: len(self.cube.control.paths()) == count, seconds, what="all registered")

    def stop(self) -> None:
        """End both by SIGTERM."""
        assert self.receiver.stop() == 0
        assert self.registrar.stop() == 0

    def text(self) -> str:
        """All that both wrote to their logs."""
        registrar = (self.tmp_path / "registrar.log").read_text()
        return f"{self.receiver.log_text()}\n{registrar}"

    def close(self) -> None:
        """Kill what still runs."""
        self._open.close()
