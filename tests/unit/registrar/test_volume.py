import errno
from pathlib import Path

import pytest

from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.volume import Claim, Volume, look

FILE = "SERVICES/PACS/X/a.dcm"
MISSING = "SERVICES/PACS/X/b.dcm"


def claim(root: Path, identity: str = "one") -> None:
    """Do as a receiver does at its start."""
    (root / ".lapidicom").mkdir(exist_ok=True)
    (root / ".lapidicom/volume-id").write_text(identity)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "SERVICES/PACS/X").mkdir(parents=True)
    (tmp_path / FILE).write_bytes(b"")
    return tmp_path


@pytest.fixture
def volume(root: Path) -> Volume:
    claim(root)
    volume = Volume(root, root / ".lapidicom")
    assert volume.claim() is Claim.RECEIVERS
    return volume


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (FILE, Sight.THERE),
        (MISSING, Sight.ABSENT),
        ("SERVICES/PACS/Y/a.dcm", Sight.ABSENT),
        ("SERVICES/PACS/X", Sight.ABSENT),
        ("SERVICES/PACS/X/a.dcm/b.dcm", Sight.ABSENT),
        ("SERVICES/PACS/X/" + "a" * 300, Sight.ABSENT),
    ],
)
def test_a_look_shows_whether_the_file_is_there(
    root: Path, volume: Volume, path: str, expected: Sight
) -> None:
    assert look(root, path) is expected
    assert volume.look(path) is expected


def test_a_volume_that_is_not_mounted_is_no_missing_file(tmp_path: Path) -> None:
    assert look(tmp_path, FILE) is Sight.VOLUME_GONE
    assert look(tmp_path / "no such", FILE) is Sight.VOLUME_GONE


def test_nothing_is_missing_from_a_volume_that_no_receiver_has_used(root: Path) -> None:
    volume = Volume(root, root / ".lapidicom")
    assert volume.claim() is Claim.NONE_YET
    assert volume.look(MISSING) is Sight.VOLUME_GONE
    assert volume.look(FILE) is Sight.THERE


def test_the_first_receiver_may_come_later(root: Path) -> None:
    volume = Volume(root, root / ".lapidicom")
    assert volume.claim() is Claim.NONE_YET
    claim(root)
    assert volume.look(MISSING) is Sight.ABSENT
    assert volume.claim() is Claim.RECEIVERS


def test_nothing_is_missing_from_another_volume_than_before(root: Path, volume: Volume) -> None:
    claim(root, "another")
    assert volume.look(MISSING) is Sight.VOLUME_GONE
    assert volume.claim() is Claim.OTHER
    claim(root, "one")
    assert volume.look(MISSING) is Sight.ABSENT


def test_nothing_is_missing_where_the_sentinel_has_gone(root: Path, volume: Volume) -> None:
    (root / ".lapidicom/volume-id").unlink()
    assert volume.look(MISSING) is Sight.VOLUME_GONE
    assert volume.claim() is Claim.OTHER


def test_a_volume_that_cannot_be_read_is_no_missing_file(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    assert volume.claim() is Claim.UNREADABLE
    assert volume.look(MISSING) is Sight.VOLUME_GONE
