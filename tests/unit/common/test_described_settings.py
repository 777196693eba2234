"""Settings for people: value, source, default, meaning; never a secret."""

from pathlib import Path

import pytest

from lapidicom.common.settings.described import MASK, Effective, Source, describe, effective
from lapidicom.common.settings.installed import installed
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.registrar.settings import RegistrarSettings


def of(name: str, environ: dict[str, str]) -> Effective:
    return next(one for one in effective(RegistrarSettings, environ) if one.described.name == name)


def test_each_installed_service_names_its_settings() -> None:
    models = installed()
    assert models["receiver"] is ReceiverSettings
    assert models["registrar"] is RegistrarSettings
    assert list(models) == ["cli", "receiver", "registrar"]


@pytest.mark.parametrize(
    ("name", "environ", "value", "source"),
    [
        ("CHRIS_URL", {}, "", Source.MISSING),
        ("CHRIS_URL", {"CHRIS_URL": "http://c/"}, "http://c/", Source.ENVIRONMENT),
        ("CHRIS_PUSHER_THREADS", {}, "4", Source.DEFAULT),
        ("CHRIS_PUSHER_THREADS", {"CHRIS_PUSHER_THREADS": ""}, "4", Source.DEFAULT),
        ("CHRIS_PASSWORD", {"CHRIS_PASSWORD": "geheim"}, MASK, Source.ENVIRONMENT),
        ("AMQP_URL", {"AMQP_URL": "amqp://u:geheim@h:1/v?x=geheim"}, "amqp://h:1/v", Source.ENVIRONMENT),
        ("CHRIS_URL", {"CHRIS_URL_FILE": "/no such file"}, "", Source.UNREADABLE),
    ],
)
def test_a_value_is_told_with_its_source(
    name: str, environ: dict[str, str], value: str, source: Source
) -> None:
    told = of(name, environ)
    assert (told.value, told.source) == (value, source)


def test_a_value_from_a_file_names_the_file_and_masks_its_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    told = of("CHRIS_PASSWORD", {"CHRIS_PASSWORD_FILE": str(tmp_path / "password")})
    assert (told.value, told.source, told.file) == (MASK, Source.FILE, str(tmp_path / "password"))


def test_defaults_are_told_as_they_would_be_written() -> None:
    told = {one.name: one.default for one in describe(ReceiverSettings)}
    assert told["CHRIS_MIN_FREE_SPACE"] == "1GiB"
    assert told["CHRIS_RETRY_DELAYS"] == "5,30,120,600"
    assert told["CHRIS_FSYNC"] == "yes"
    assert told["CHRIS_RECEIVER_ID"] == "host name"
    assert told["CHRIS_SPOOL_DIR"] == ""


def test_required_settings_come_first() -> None:
    names = [one.name for one in describe(RegistrarSettings)]
    assert names[:3] == ["AMQP_URL", "CHRIS_FILES_ROOT", "CHRIS_PASSWORD"]
