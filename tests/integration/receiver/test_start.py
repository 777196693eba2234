"""How the receiver's command answers to its environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receiver import NO_BROKER, Receiver

COMMAND = str(Path(sys.executable).with_name("lapidicom-receiver"))


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX")}
    return subprocess.run([COMMAND], env=bare | environ, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"AMQP_URL": NO_BROKER},
            "CHRIS_FILES_ROOT is not set "
            "(CUBE's storage root, as this process sees it: an existing directory.)",
        ),
        (
            {"AMQP_URL": NO_BROKER, "CHRIS_FILES_ROOT": "/data", "PORT": "eleven"},
            "PORT='eleven': Input should be a valid integer, unable to parse string as an integer "
            "(TCP port of the SCP; 0 takes a free one and logs it.)",
        ),
        (
            {"AMQP_URL": "http://user:s3cret@rabbit/", "CHRIS_FILES_ROOT": "/data"},
            "AMQP_URL=***: must look like amqp://user:password@host:5672/vhost "
            "(RabbitMQ, as amqp://user:password@host:5672/vhost. One vhost per CUBE.)",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_status_2(environ: dict[str, str], line: str) -> None:
    result = run(**environ)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"{line}\n")


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    settings = {"CHRIS_LISTENER_TREADS": 3, "CHRIS_URL": "http://cube/api/v1/", "CHRIS_FSYNC": "no"}
    with Receiver(tmp_path_factory.mktemp("start"), "amqp://user:hush@127.0.0.1:1/", **settings) as running:
        yield running


def test_a_misspelt_setting_is_warned_about_with_the_nearest_known_name(receiver: Receiver) -> None:
    [line] = receiver.events("setting_unknown")
    assert (line["name"], line["nearest"], line["level"]) == (
        "CHRIS_LISTENER_TREADS",
        "CHRIS_LISTENER_THREADS",
        "warning",
    )


def test_switching_fsync_off_is_warned_about(receiver: Receiver) -> None:
    assert receiver.events("fsync_off", level="warning")


def test_secrets_are_not_in_the_environment_of_children(receiver: Receiver) -> None:
    for pid in receiver.children():
        assert b"hush" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert "hush" not in receiver.log_text()


def test_the_supervisor_imports_neither_pynetdicom_nor_aio_pika() -> None:
    code = (
        "import sys, lapidicom.receiver.__main__;"
        "print(*sorted({'pynetdicom', 'pydicom', 'aio_pika', 'aiormq', 'httpx'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout) == (0, "\n")


def test_a_listener_imports_no_aio_pika() -> None:
    code = (
        "import sys, lapidicom.receiver.listener.app;"
        "print(*sorted({'aio_pika', 'aiormq', 'httpx'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout) == (0, "\n")
