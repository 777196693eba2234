from pathlib import Path

import pytest

from lapidicom.common.settings import SettingsError
from lapidicom.registrar.__main__ import read_settings


def environment(root: Path, **changes: str) -> dict[str, str]:
    return {
        "AMQP_URL": "amqp://u:s3cret@rabbit:5672/cube",
        "CHRIS_URL": "http://chris:8000/api/v1/",
        "CHRIS_USERNAME": "chris",
        "CHRIS_PASSWORD": "s3cret",
        "CHRIS_FILES_ROOT": str(root),
    } | changes


def test_the_required_settings_are_enough(tmp_path: Path) -> None:
    settings = read_settings(environment(tmp_path))
    assert (settings.pusher_threads, settings.http_retries, settings.park_delay) == (4, 3, 30)


@pytest.mark.parametrize(
    ("name", "value", "lines"),
    [
        ("AMQP_URL", "http://rabbit/", ["AMQP_URL=***: must look like amqp://user:password@host:5672/vhost"]),
        ("CHRIS_FILES_ROOT", "/no/such", ["CHRIS_FILES_ROOT=/no/such: not an existing directory"]),
        ("CHRIS_PUSHER_THREADS", "0", ["CHRIS_PUSHER_THREADS='0'"]),
        ("CHRIS_HTTP_RETRIES", "-1", ["CHRIS_HTTP_RETRIES='-1'"]),
        ("CHRIS_RETRY_DELAYS", "5,x", ["CHRIS_RETRY_DELAYS='5,x'"]),
        ("CHRIS_URL", "http://chris:port/api/v1/", ["CHRIS_URL='http://chris:port/api/v1/': not a URL"]),
        ("CHRIS_URL", "chris:8000", ["CHRIS_URL='chris:8000'"]),
        ("CHRIS_USERNAME", "", ["CHRIS_USERNAME is not set"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    tmp_path: Path, name: str, value: str, lines: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment(tmp_path, **{name: value}))
    told = str(caught.value).splitlines()
    assert [found[: len(line)] for found, line in zip(told, lines, strict=True)] == lines
    assert "s3cret" not in str(caught.value)
