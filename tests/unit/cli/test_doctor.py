"""The checks that need no broker: version, flags, policies, settings, the volume."""

import asyncio
import errno
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lapidicom.cli.answers import Check, NotVisible, Result
from lapidicom.cli.broker_checks import BREAKS, check_flags, check_policies, check_version
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.verbs.doctor import check_settings, check_settle_time, installed
from lapidicom.cli.volume import check_volume
from lapidicom.common.file_system import FileSystem
from lapidicom.common.topology import WORK_QUEUE, topology
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.registrar.settings import RegistrarSettings

DECLARED = topology((1,), 1)
WORK = DECLARED.queues[0]


@pytest.mark.parametrize(
    ("version", "result"),
    [
        ("3.9.29", Result.FAIL),
        ("3.10.0", Result.PASS),
        ("4.0.5", Result.PASS),
        ("3.13.0-rc.1", Result.PASS),
        ("", Result.NOT_VISIBLE),
    ],
)
def test_rabbitmq_must_be_3_10_or_later(version: str, result: Result) -> None:
    assert check_version(version).result is result


def test_feature_flags_that_are_off_are_named_with_the_command_that_enables_them() -> None:
    on, off = {"name": "quorum_queue", "state": "enabled"}, {"name": "stream_queue", "state": "disabled"}
    assert check_flags([on]).result is Result.PASS
    check = check_flags([on, off])
    assert check.result is Result.FAIL
    assert check.remedy == "rabbitmqctl enable_feature_flag stream_queue"
    other = {"name": "another", "state": "disabled"}
    assert check_flags([other]).result is Result.PASS  # newer ones list none that all have
    assert check_flags(NotVisible("no")).result is Result.NOT_VISIBLE


def test_a_misspelt_setting_is_told_with_the_one_that_is_meant() -> None:
    models = {"receiver": ReceiverSettings, "cli": CommandSettings}
    *_, check = check_settings(models, {"CHRIS_SCP_AETT": "x", "CHRIS_URL": "y", "PATH": ""})
    assert check.result is Result.FAIL
    assert check.remedy == "CHRIS_SCP_AETT: is CHRIS_SCP_AET meant?"
    assert check_settings(models, {"CHRIS_SCP_AET": "x"})[-1].result is Result.PASS


def test_settings_with_which_a_service_could_not_start_are_told() -> None:
    models = {"registrar": RegistrarSettings}
    wrong = {"AMQP_URL": "amqp://h", "CHRIS_RETRY_DELAYS": "soon"}
    assert check_settings(models, wrong)[0].result is Result.FAIL
    assert "CHRIS_RETRY_DELAYS='soon'" in check_settings(models, wrong)[0].seen
    assert check_settings(models, {})[0].result is Result.NOT_VISIBLE  # they may stand elsewhere


def test_without_the_receivers_model_nobody_knows_its_names() -> None:
    assert (
        check_settings({"cli": CommandSettings}, {"CHRIS_SCP_STRICT": "x"})[-1].result is Result.NOT_VISIBLE
    )


def volume(root: Path | None, spool: Path | None = None, needed: int = 1) -> list[Check]:
    settings = CommandSettings.model_construct(files_root=root, spool_dir=spool, min_free_space=needed)
    return asyncio.run(check_volume(settings))


def results(checks: list[Check]) -> Mapping[str, Result]:
    return {check.name: check.result for check in checks}


def test_a_volume_that_a_receiver_uses_passes_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    spool = tmp_path / ".lapidicom"
    spool.mkdir()
    (spool / "volume-id").write_text("5a0b6d0e-0000")
    assert set(results(volume(tmp_path)).values()) == {Result.PASS}
    assert [path.name for path in spool.iterdir()] == ["volume-id"]


def test_an_empty_mount_point_fails_by_its_missing_sentinel(tmp_path: Path) -> None:
    found = results(volume(tmp_path, needed=1 << 62))
    assert (found["mounted"], found["free space"]) == (Result.DEGRADED, Result.DEGRADED)
    assert "writable" not in found


def test_a_spool_elsewhere_fails(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as spool:
        found = results(volume(tmp_path, Path(spool)))
    assert found["one file system for spool and SERVICES/PACS"] is Result.FAIL
    assert found["hard links"] is Result.PASS


def test_a_volume_that_only_receivers_may_write_to_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EROFS, "Read-only file system")

    (tmp_path / ".lapidicom").mkdir()
    monkeypatch.setattr(FileSystem, "write", refuse)
    check = next(one for one in volume(tmp_path) if one.name == "writable")
    assert check.result is Result.NOT_VISIBLE
    assert check.seen.startswith("the spool takes no files (Read-only file system) for uid")


def test_a_volume_that_is_not_set_is_not_visible() -> None:
    assert results(volume(None)) == {"mounted": Result.NOT_VISIBLE}
    assert results(volume(Path("/no such"))) == {"mounted": Result.FAIL}


@pytest.mark.parametrize(
    ("environ", "seen"),
    [
        ({}, "after 10 s: auto: the volume is local"),
        ({"SERIES_SETTLE_SECONDS": "25"}, "after 25 s: SERIES_SETTLE_SECONDS"),
    ],
)
def test_it_says_how_long_series_settle_and_why(tmp_path: Path, environ: dict[str, str], seen: str) -> None:
    settings = CommandSettings.model_validate({"AMQP_URL": "amqp://h/", "CHRIS_FILES_ROOT": tmp_path})
    check = asyncio.run(check_settle_time(settings, environ))
    assert (check.result, check.seen[: len(seen)]) == (Result.PASS, seen)


def test_without_the_volume_or_with_wrong_settings_that_is_not_visible(tmp_path: Path) -> None:
    for environ, root in (({}, None), ({"SERIES_SETTLE_SECONDS": "soon"}, tmp_path)):
        settings = CommandSettings.model_validate({"AMQP_URL": "amqp://h/", "CHRIS_FILES_ROOT": root})
        assert asyncio.run(check_settle_time(settings, environ)).result is Result.NOT_VISIBLE


def of_queue(**changes: Any) -> list[Check]:
    return check_policies(DECLARED, {WORK_QUEUE: changes, "another": {"effective_policy_definition": []}})


@pytest.mark.parametrize("key", BREAKS)
def test_each_key_that_breaks_a_guarantee_is_found_with_its_reason(key: str) -> None:
    (check,) = of_queue(policy="p", effective_policy_definition={key: 1, "ha-mode": "all"})
    assert check.seen == f"p sets {key}=1 on {WORK_QUEUE}: {BREAKS[key]}"
    assert check.remedy == "rabbitmqctl clear_policy -p VHOST p"


def test_of_two_policies_in_effect_both_are_named() -> None:
    (check,) = of_queue(policy="p", operator_policy="o", effective_policy_definition={"expires": 1})
    assert check.seen.startswith(f"p or o sets expires=1 on {WORK_QUEUE}")
    remedies = ("rabbitmqctl clear_policy -p VHOST p", "rabbitmqctl clear_operator_policy -p VHOST o")
    assert check.remedy == " or ".join(remedies)


def test_a_policy_of_other_things_breaks_nothing() -> None:
    harmless = {"queue-leader-locator": "balanced"}
    for seen in ({}, {"policy": "p", "effective_policy_definition": harmless}):
        assert [check.result for check in of_queue(**seen)] == [Result.PASS]
    assert check_policies(DECLARED, NotVisible("no"))[0].result is Result.NOT_VISIBLE


def test_each_installed_service_names_its_settings() -> None:
    models = installed()
    assert models == {"cli": CommandSettings, "receiver": ReceiverSettings, "registrar": RegistrarSettings}
    assert list(models) == ["cli", "receiver", "registrar"]
