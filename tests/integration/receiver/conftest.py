"""Starts receivers on one virtual host per module: who counts messages asks for one of its own."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.receiver import Receiver, StartReceiver


@pytest.fixture
def start(tmp_path: Path, amqp_url_of_module: str) -> Iterator[StartReceiver]:
    """Start receivers that are ended with the test, whatever happens."""
    with ExitStack() as running:

        def starter(**settings: object) -> Receiver:
            return running.enter_context(Receiver(tmp_path, amqp_url_of_module, **settings))  # type: ignore[arg-type]

        yield starter
