from pathlib import Path

import pytest

from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.volume import Invisible, look


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "SERVICES/PACS/X").mkdir(parents=True)
    (tmp_path / "SERVICES/PACS/X/a.dcm").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("SERVICES/PACS/X/a.dcm", Sight.THERE),
        ("SERVICES/PACS/X/b.dcm", Sight.ABSENT),
        ("SERVICES/PACS/Y/a.dcm", Sight.ABSENT),
        ("SERVICES/PACS/X", Sight.ABSENT),
        ("SERVICES/PACS/X/a.dcm/b.dcm", Sight.ABSENT),
        ("SERVICES/PACS/X/" + "a" * 300, Sight.ABSENT),
    ],
)
def test_a_look_tells_whether_the_file_is_there(root: Path, path: str, expected: Sight) -> None:
    assert look(root, path) is expected


def test_a_volume_that_is_not_mounted_is_no_missing_file(tmp_path: Path) -> None:
    assert look(tmp_path, "SERVICES/PACS/X/a.dcm") is Sight.VOLUME_GONE
    assert look(tmp_path / "no such", "SERVICES/PACS/X/a.dcm") is Sight.VOLUME_GONE


def test_ten_different_files_that_only_cube_does_not_see_mean_the_wrong_storage() -> None:
    invisible = Invisible(10)
    assert [invisible.add(f"{n}") for n in range(9)] == [False] * 9
    assert [invisible.add("0") for _ in range(20)] == [False] * 20
    assert invisible.add("9")
    assert invisible.add("0")


def test_a_success_between_them_begins_the_count_anew() -> None:
    invisible = Invisible(2)
    invisible.add("a")
    invisible.clear()
    assert not invisible.add("b")
    assert invisible.add("c")
