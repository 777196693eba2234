"""Which CUBE the contract is tried on: the stand-in of both generations, or the real one that is named.

`make contract` names a real one by CHRIS_URL, CHRIS_USERNAME, CHRIS_PASSWORD and FILES_ROOT, which is its
storage root.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cube.app import StandInCube
from tests.support.cube.in_process import CubeInProcess
from tests.support.cube.under_test import CubeUnderTest, RealCube, stand_in

GAP = 0.02
"""Seconds within which simultaneous requests of the stand-in find each other."""

SECOND = 0.01
"""The stand-in's second while it waits for files."""

_REAL = os.environ.get("LAPIDICOM_CONTRACT") == "real"
_NAMES = ("CHRIS_URL", "CHRIS_USERNAME", "CHRIS_PASSWORD", "FILES_ROOT")
_left_behind: list[str] = []
_met: list[RealCube] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs on each generation, unless it is of one alone; a row names its own."""
    if "cube" in metafunc.fixturenames and "row" not in metafunc.fixturenames:
        mark = next((mark for mark in metafunc.definition.iter_markers("generation")), None)
        generations = mark.args if mark else (5, 6)
        metafunc.parametrize("cube", generations, ids=[f"v{n}" for n in generations], indirect=True)


@pytest.fixture(scope="session")
def real() -> RealCube | None:
    """The real CUBE; None where the stand-in is tried."""
    if not _REAL:
        return None
    missing = [name for name in _NAMES if not os.environ.get(name)]
    if missing:
        pytest.exit(f"not set: {', '.join(missing)}", returncode=2)
    url, username, password, root = (os.environ[name] for name in _NAMES)
    real = RealCube(url, username, password, Path(root))
    _met.append(real)
    return real


@pytest.fixture
def cube(request: pytest.FixtureRequest, real: RealCube | None, tmp_path: Path) -> Iterator[CubeUnderTest]:
    """A CUBE of this generation; the file of the contract's rows is in the storage, in a PACS of its own."""
    generation, pacs = request.param, f"LCT{uuid.uuid4().hex[:12]}"
    if real is None:
        root = tmp_path / "root"
        root.mkdir()
        app = StandInCube(root, race=GAP, generation=generation, second=SECOND)
        cube = stand_in(CubeInProcess(app), generation, root, pacs)
        cube.write()
        yield cube
        return
    if real.generation != generation:
        pytest.skip(f"this CUBE is v{real.generation}")
    cube = real.for_test(pacs)
    cube.write()
    try:
        yield cube
    finally:
        cube.clean_up()
        _left_behind.extend(cube.left_behind)


@pytest.fixture
def switches(cube: CubeUnderTest) -> CubeUnderTest:
    """The same, for a test that needs the stand-in's switches."""
    if cube.stand_in is None:
        pytest.skip("only the stand-in can be told to be so")
    return cube


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which CUBE was met, and what could not be taken away again."""
    for real in _met:
        what = "single files" if real.generation == 5 else "whole series"
        terminalreporter.write_line(f"CUBE at {real.url}: v{real.generation}, which registers {what}")
    for line in _left_behind:
        terminalreporter.write_line(f"left behind, as it cannot be removed by CUBE's API: {line}")
