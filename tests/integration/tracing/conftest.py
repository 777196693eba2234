"""The whole path, nothing of it started but CUBE, and a collector that takes all spans."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.otlp_collector import OtlpCollector
from tests.support.whole_path import WholePath


@pytest.fixture
def path(amqp_url: str, tmp_path: Path) -> Iterator[WholePath]:
    with WholePath(tmp_path, amqp_url) as made:
        yield made


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as made:
        yield made
