"""CHRIS_LISTENER_PROCESSES=auto, the default: a listener for each core that the receiver may use."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.process_groups import leash
from tests.support.receiver import NO_BROKER

CORES = sorted(os.sched_getaffinity(0))


@contextmanager
def log_on(cores: list[int], folder: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """The log of a receiver as it is shipped, which may use these cores alone."""
    environ = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ},
        "AMQP_URL": NO_BROKER,
        "CHRIS_FILES_ROOT": str(folder),
        "CHRIS_MIN_FREE_SPACE": "1MiB",
        "PORT": "0",
        "HEALTH_PORT": "0",
        "LOG_FORMAT": "json",
    }
    restricted = ["taskset", "--cpu-list", ",".join(map(str, cores))]
    command = [*leash(), *restricted, str(Path(sys.executable).with_name("lapidicom-receiver"))]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield map(json.loads, process.stderr)
        finally:
            process.terminate()
            process.stderr.read()


@pytest.mark.parametrize("count", [1, 2])
def test_a_listener_is_started_for_each_core_of_the_affinity(tmp_path: Path, count: int) -> None:
    if len(CORES) < count:
        pytest.skip(f"this machine has {len(CORES)} core")
    with log_on(CORES[:count], tmp_path) as log:
        started = []
        for line in log:
            if line["event"] == "listeners_counted":
                assert (line["listeners"], line["cores"]) == (count, count)
            if line["event"] == "child_started":
                started.append(line["role"])
            if line["event"] == "ready":
                break
    assert started == ["listener"] * count + ["relay"]
