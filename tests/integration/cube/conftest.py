"""The stand-in of v5 without a network, over a storage root with two files."""

from pathlib import Path

import pytest

from tests.support.cube.app import StandInCube
from tests.support.cube.in_process import CubeInProcess
from tests.support.cube.rows import OTHER, PATH

GAP = 0.02
"""Seconds within which simultaneous requests find each other."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in (PATH, OTHER):
        file = tmp_path / "root" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"DICM")
    return tmp_path / "root"


@pytest.fixture
def cube(root: Path) -> CubeInProcess:
    return CubeInProcess(StandInCube(root, race=GAP))
