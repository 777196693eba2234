"""The peers of the benchmarks do what they are compared for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import roof
from benchmarks.contenders import sink
from benchmarks.instances import LARGE, SMALL, Kind, write_files
from benchmarks.run import Running
from benchmarks.sender import read_file

COUNT = 24


@pytest.mark.parametrize("kind", [LARGE, SMALL], ids=lambda kind: kind.name)
def test_the_roof_stores_each_data_set_byte_for_byte(kind: Kind, tmp_path: Path) -> None:
    executable = roof.compiled(tmp_path)
    if executable is None:
        pytest.skip("there is no C compiler (Debian, Ubuntu: the package gcc)")
    files = tmp_path / "files"
    write_files(kind, COUNT, files)
    with Running(sink(executable), tmp_path, 4) as running:
        sent = running.send(files, COUNT, 4)
        stored = {file.read_bytes()[132:] for file in running.stand.stored.rglob("*.dcm")}
    assert sent["statuses"] == {"0x0000": COUNT}
    assert stored == {read_file(file).data_set for file in files.iterdir()}


def test_the_bare_loop_stores_the_same_bytes(tmp_path: Path) -> None:
    files, target = tmp_path / "files", tmp_path / "target"
    write_files(SMALL, COUNT, files)
    target.mkdir()
    command = [sys.executable, "-m", "benchmarks.bare_loop", "--target", str(target), "--associations", "4"]
    done = subprocess.run([*command, str(files)], env=os.environ, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["instances"] == COUNT
    stored = sorted(file.read_bytes() for file in target.rglob("*.dcm"))
    assert stored == sorted(file.read_bytes() for file in files.iterdir())
    assert len(list(target.glob("journal*"))) == 4
