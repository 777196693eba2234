"""The checks that need no broker: version, flags, clock, settings, the volume."""

import errno
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lapidicom.cli.doctor.broker import check_flags, check_version
from lapidicom.cli.doctor.check import Check, Result
from lapidicom.cli.doctor.environment import check_clock, check_settings
from lapidicom.cli.doctor.volume import check_volume
from lapidicom.cli.errors import NotVisible
from lapidicom.cli.settings import CommandSettings
from lapidicom.common.file_system import FileSystem
from lapidicom.receiver.settings import ReceiverSettings

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "result"),
    [
        ("3.9.29", Result.FAIL),
        ("3.10.0", Result.PASS),
        ("4.0.5", Result.PASS),
        ("3.13.0-rc.1", Result.PASS),
        ("", Result.NOT_VISIBLE),
    ],
)
def test_rabbitmq_must_be_3_10_or_later(told: str, result: Result) -> None:
    assert check_version(told).result is result


def test_feature_flags_that_are_off_are_named_with_the_command_that_enables_them() -> None:
    assert check_flags({"quorum_queue": "enabled", "stream_queue": "enabled"}).result is Result.PASS
    check = check_flags({"quorum_queue": "enabled", "stream_queue": "disabled"})
    assert check.result is Result.FAIL
    assert check.remedy == "rabbitmqctl enable_feature_flag stream_queue"
    assert check_flags({"another": "disabled"}).result is Result.PASS  # newer ones list none that all have
    assert check_flags(NotVisible("no")).result is Result.NOT_VISIBLE


@pytest.mark.parametrize(
    ("away", "result"),
    [(0, Result.PASS), (5, Result.PASS), (-5, Result.PASS), (6, Result.FAIL), (-6, Result.FAIL)],
)
def test_clocks_may_be_five_seconds_apart(away: int, result: Result) -> None:
    assert check_clock("CUBE", NOW + timedelta(seconds=away), NOW).result is result


def test_a_misspelt_setting_is_told_with_the_one_that_is_meant() -> None:
    models = {"receiver": ReceiverSettings, "cli": CommandSettings}
    check = check_settings(models, {"CHRIS_SCP_AETT": "x", "CHRIS_URL_FILE": "y", "PATH": ""})
    assert check.result is Result.FAIL
    assert check.remedy == "CHRIS_SCP_AETT: is CHRIS_SCP_AET meant?"
    assert check_settings(models, {"CHRIS_SCP_AET": "x"}).result is Result.PASS


def test_without_the_receivers_model_nobody_knows_its_names() -> None:
    assert check_settings({"cli": CommandSettings}, {"CHRIS_SCP_AET": "x"}).result is Result.NOT_VISIBLE


def results(checks: list[Check]) -> Mapping[str, Result]:
    return {check.name: check.result for check in checks}


def test_a_volume_that_a_receiver_uses_passes_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    spool = tmp_path / ".lapidicom"
    spool.mkdir()
    (spool / "volume-id").write_text("5a0b6d0e-0000")
    assert set(results(check_volume(tmp_path, spool, 1)).values()) == {Result.PASS}
    assert [path.name for path in spool.iterdir()] == ["volume-id"]


def test_an_empty_mount_point_fails_by_its_missing_sentinel(tmp_path: Path) -> None:
    found = results(check_volume(tmp_path, tmp_path / ".lapidicom", 1 << 62))
    assert found["mounted"] is Result.FAIL
    assert found["free space"] is Result.FAIL
    assert "writable" not in found


def test_a_spool_elsewhere_fails(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as spool:
        found = results(check_volume(tmp_path, Path(spool), 1))
    assert found["one file system for spool and SERVICES/PACS"] is Result.FAIL
    assert found["hard links"] is Result.PASS


def test_a_volume_that_only_receivers_may_write_to_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EROFS, "Read-only file system")

    (tmp_path / ".lapidicom").mkdir()
    monkeypatch.setattr(FileSystem, "write", refuse)
    check = next(one for one in check_volume(tmp_path, tmp_path / ".lapidicom", 1) if one.name == "writable")
    assert check.result is Result.NOT_VISIBLE
    assert check.told.startswith("the spool takes no files (Read-only file system) for uid")


def test_a_volume_that_is_not_set_is_not_visible() -> None:
    assert results(check_volume(None, None, 1)) == {"mounted": Result.NOT_VISIBLE}
    assert results(check_volume(Path("/no such"), Path("/no such"), 1)) == {"mounted": Result.FAIL}
