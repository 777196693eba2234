"""The whole system, not yet started, and a collector that takes all spans."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cube.process import CubeProcess
from tests.support.otlp_collector import OtlpCollector
from tests.support.stack import Stack


@pytest.fixture
def stack(amqp_url: str, cube: CubeProcess, tmp_path: Path) -> Iterator[Stack]:
    made = Stack(amqp_url, cube, tmp_path)
    yield made
    made.close()


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as made:
        yield made
