"""The command itself: `python -m lapidicom.registrar`, as the container starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually

COMMAND = [sys.executable, "-m", "lapidicom.registrar"]
BARE = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX")}


def test_wrong_settings_end_it_with_one_line_each_and_status_2(tmp_path: Path) -> None:
    environment = BARE | {"CHRIS_URL": "chris", "CHRIS_FILES_ROOT": str(tmp_path)}
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert sorted(line.split("=")[0].split(" ")[0] for line in done.stderr.splitlines()) == [
        "AMQP_URL",
        "CHRIS_PASSWORD",
        "CHRIS_URL",
        "CHRIS_USERNAME",
    ]


def test_it_registers_and_ends_at_sigterm(
    amqp_url: str, cube: CubeProcess, send: Callable[..., set[str]], tmp_path: Path
) -> None:
    paths = send(1, 3)
    environment = BARE | {
        "AMQP_URL": amqp_url,
        "CHRIS_URL": cube.url.rstrip("/"),
        "CHRIS_USERNAME": cube.username,
        "CHRIS_PASSWORD": cube.password,
        "CHRIS_FILES_ROOT": str(cube.root),
        "HEALTH_PORT": "0",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(COMMAND, env=environment, stderr=log)
    try:
        eventually(lambda: cube.control.paths() == paths, 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert "registrar_stopped" in (tmp_path / "log").read_text()
