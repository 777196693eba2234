"""The paths of progress files, as oxidicom's clients look for them."""

import pytest

from lapidicom.common.instance.path import MAX_SERIES_FOLDER
from lapidicom.common.progress import (
    DEFAULT_SPACE,
    NUMBER_OF_INSTANCES,
    PUSH_COUNT,
    is_space,
    progress_file,
)
from lapidicom.registrar.cube.contract import PATH_LIMIT

FOLDER = (
    "SERVICES/PACS/HOSPITAL/1449c1d-anonymized-20090701/MR-Brain_w_o_Contrast-98edede8b2-20130308/"
    "00005-SAG_MPRAGE_220_FOV-a27cf06"
)
ASSOCIATION = "d72b714f-c001-487d-b441-70a4f4f69174"


def test_the_path_is_that_of_oxidicoms_specification() -> None:
    file = progress_file(DEFAULT_SPACE, FOLDER, ASSOCIATION, NUMBER_OF_INSTANCES, 192)
    assert file.path == (
        f"SERVICES/PACS/org.fnndsc.oxidicom/{FOLDER}/{ASSOCIATION}/NumberOfSeriesRelatedInstances=192"
    )
    assert (file.space, file.key, file.value) == (DEFAULT_SPACE, "NumberOfSeriesRelatedInstances", "192")


def test_what_is_not_known_is_called_so() -> None:
    assert progress_file(DEFAULT_SPACE, FOLDER, ASSOCIATION, NUMBER_OF_INSTANCES, None).value == "unknown"


def test_the_longest_series_folder_leaves_room_for_it() -> None:
    folder = "x" * MAX_SERIES_FOLDER
    for key in (NUMBER_OF_INSTANCES, PUSH_COUNT):
        assert len(progress_file(DEFAULT_SPACE, folder, ASSOCIATION, key, 4_294_967_295).path) <= PATH_LIMIT


@pytest.mark.parametrize(
    ("space", "folder", "association"),
    [
        ("a/b", FOLDER, ASSOCIATION),
        ("..", FOLDER, ASSOCIATION),
        (DEFAULT_SPACE, "", ASSOCIATION),
        (DEFAULT_SPACE, "/etc", ASSOCIATION),
        (DEFAULT_SPACE, "SERVICES/../..", ASSOCIATION),
        (DEFAULT_SPACE, FOLDER, ".."),
        (DEFAULT_SPACE, FOLDER, "a/b"),
        (DEFAULT_SPACE, FOLDER, ""),
    ],
)
def test_no_path_leads_elsewhere(space: str, folder: str, association: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        progress_file(space, folder, association, PUSH_COUNT, 1)


def test_a_space_is_a_name_that_cube_takes() -> None:
    assert is_space(DEFAULT_SPACE)
    assert not any(is_space(name) for name in ("", ".", "a_b", "x" * 21, "a b", 5, None))
