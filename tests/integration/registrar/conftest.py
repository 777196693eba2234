"""A stand-in CUBE for each test, with a storage root of its own, and a way to start registrars."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lapidicom.common.topology import Topology, topology
from tests.support.cube.process import CubeProcess
from tests.support.queues import envelope, publish
from tests.support.registrar.__main__ import Options
from tests.support.registrar.process import RegistrarProcess
from tests.support.stored import instance_stored, store

StartRegistrar = Callable[..., RegistrarProcess]


@pytest.fixture
def declared() -> Topology:
    return topology([1], 1)


@pytest.fixture
def cube(tmp_path: Path) -> Iterator[CubeProcess]:
    """Registers twice what comes twice, unless the test has it refuse duplicates."""
    root = tmp_path / "files"
    (root / "SERVICES/PACS").mkdir(parents=True)
    with CubeProcess(root, unique=False) as process:
        yield process


@pytest.fixture
def start_registrar(amqp_url: str, cube: CubeProcess, tmp_path: Path) -> Iterator[StartRegistrar]:
    """Start a registrar, ready; every one is killed at the end of the test."""
    with ExitStack() as stack:
        started = 0

        def start(
            options: Options | None = None, url: str = amqp_url, ready: bool = True, **settings: str
        ) -> RegistrarProcess:
            nonlocal started
            started += 1
            process = RegistrarProcess(url, cube, tmp_path / f"registrar-{started}.log", options, **settings)
            stack.callback(process.kill)
            process.start()
            if ready:
                process.wait_until_ready()
            return process

        yield start


@pytest.fixture
def send(amqp_url: str, cube: CubeProcess, declared: Topology) -> Callable[..., set[str]]:
    """Store instances and publish their messages, as a receiver would; returns their paths."""

    def store_and_publish(first: int = 1, last: int = 1, url: str = amqp_url) -> set[str]:
        messages = [store(cube.root, instance_stored(number)) for number in range(first, last + 1)]
        publish(url, declared, [envelope(message, f"life.{n}") for n, message in enumerate(messages, first)])
        return {message.path for message in messages}

    return store_and_publish
