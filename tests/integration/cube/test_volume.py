"""CUBE's volume goes, or another one is in its place: what CUBE answers, and what others see who share it."""

import json
from pathlib import Path

import pytest

from tests.support.cube.contract import COULD_NOT_FIND_PATH, SERVER_ERROR
from tests.support.cube.in_process import PACS_FILES, CubeInProcess, body_of
from tests.support.cube.rows import PATH


@pytest.mark.parametrize(("when", "again"), [("before the row", 201), ("behind the row", 400)])
def test_a_volume_that_goes_during_a_registration_is_a_500_of_a_cube_whose_probe_is_well(
    cube: CubeInProcess, root: Path, when: str, again: int
) -> None:
    cube.control("volume-vanishes", when=when)
    status, _, text = cube.ask("POST", PACS_FILES, body_of())
    assert (status, text) == (500, SERVER_ERROR.body)
    assert list(root.iterdir()) == []
    assert cube.ask("GET", "/api/v1/chrisinstance/1/").status == 200
    assert json.loads(cube.ask("POST", PACS_FILES, body_of()).text) == json.loads(COULD_NOT_FIND_PATH.body)
    cube.control("heal")
    assert (root / PATH).read_bytes() == b"DICM"
    assert cube.register() == again
    assert cube.json("GET", "/_control/counts") == {PATH: 1}


def test_another_volume_in_its_place_has_the_folders_and_not_the_file(
    cube: CubeInProcess, root: Path
) -> None:
    cube.control("volume-swapped", other=True)
    assert cube.ask("POST", PACS_FILES, body_of()).text == COULD_NOT_FIND_PATH.body
    assert [str(path.relative_to(root)) for path in sorted(root.rglob("*"))] == ["SERVICES", "SERVICES/PACS"]
    cube.control("heal")
    assert cube.register() == 201


def test_a_mount_point_without_its_volume_is_an_empty_folder(cube: CubeInProcess, root: Path) -> None:
    cube.control("volume-swapped", other=False)
    assert cube.ask("POST", PACS_FILES, body_of()).text == COULD_NOT_FIND_PATH.body
    assert list(root.iterdir()) == []
