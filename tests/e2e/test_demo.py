"""`make demo`, as a user runs it: what it says, what it leaves, and how it stops."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.support import requirements
from tests.support.polling import eventually
from tests.support.rabbitmq import MISSING, available
from tests.support.seeds import is_large

CHECKOUT = Path(__file__).parents[2]
GOOD = ("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "examples_ybr_color.dcm")


@pytest.fixture(autouse=True)
def _rabbitmq() -> None:
    if not available():
        requirements.missing(MISSING)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Instances, one without StudyDate, a text file; in folders with blanks."""
    folder = tmp_path / "my data"
    (folder / "deeper down").mkdir(parents=True)
    for name in GOOD:
        shutil.copy(str(get_testdata_file(name)), folder)
    (folder / "notes.txt").write_text("no DICOM")
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    del dataset.StudyDate
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.save_as(folder / "deeper down" / "no date.dcm")
    return folder


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """The folder of temporary files: empty before and after."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def _start(temporary: Path, **options: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if name != "AMQP_URL"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=CHECKOUT,
        env={**environ, "TMPDIR": str(temporary), **options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(temporary: Path, **options: str) -> tuple[int, str]:
    process = _start(temporary, **options)
    try:
        output, _ = process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, output


def _processes_below(folder: Path) -> list[str]:
    """Command lines and environments of running processes that name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            about = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in about:
            found.append(about.split(b"\0", 1)[0].decode())
    return found


def test_a_run_proves_what_it_says_and_leaves_only_the_storage_root(
    data: Path, temporary: Path, tmp_path: Path
) -> None:
    root = tmp_path / "kept root"
    status, output = _run(temporary, DATA=str(data), FILES_ROOT=str(root), CALLING_AET="MY_PACS")
    assert output.splitlines()[-1] == ("demo: 5 sent, 4 stored, 4 registered, 1 refused, 0 dead letters"), (
        output
    )
    assert status == 0
    assert "1 are no DICOM files" in output
    assert "StudyDate (0008,0020) is missing (no date.dcm)" in output
    stored = [path.relative_to(root) for path in root.rglob("*.dcm")]
    assert "1 were replaced by a later one" in output  # two of the files are one instance
    assert len(stored) == 3
    assert all(path.parts[:3] == ("SERVICES", "PACS", "MY_PACS") for path in stored)
    eventually(lambda: _processes_below(temporary) == [], 20, what="what was killed has ended")


def test_with_cube_6_series_are_registered_whole(data: Path, temporary: Path) -> None:
    quick = {"SERIES_SETTLE_SECONDS": "1", "CHRIS_RETRY_DELAYS": "1"}
    status, output = _run(temporary, DATA=str(data), CUBE="6", **quick)
    assert status == 0, output
    assert "demo: 5 sent, 4 stored, 4 registered, 1 refused, 0 dead letters" in output
    assert len(re.findall(r"^series of 1: SERVICES/PACS/DEMO/.*", output, re.MULTILINE)) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM] if is_large() else [signal.SIGINT])
def test_an_interrupted_run_leaves_nothing(data: Path, temporary: Path, number: signal.Signals) -> None:
    process = _start(temporary, DATA=str(data))
    eventually(lambda: len(_processes_below(temporary)) >= 5, 60, what="the services run")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    eventually(lambda: _processes_below(temporary) == [], 20, what="what was killed has ended")


@pytest.mark.usefixtures("dcmtk")
def test_a_kept_run_goes_on_until_its_script_stops_it(data: Path, temporary: Path) -> None:
    status, output = _run(temporary, DATA=str(data), KEEP="1")
    assert status == 0, output
    script = re.search(r"stop +(/.*)", output)
    send = re.search(r"send +(dcmsend .*) FILE", output)
    assert script
    assert send
    try:
        assert len(_processes_below(temporary)) >= 5
        again = subprocess.run([*send[1].split(), data / GOOD[0]], check=False, timeout=30)
        assert again.returncode == 0
        status = _as_told(re.search(r"operate +(.*)", output))
        assert status.returncode == 0, status.stdout
        assert "dead letters" in status.stdout
    finally:
        subprocess.run([script[1].strip()], check=False, timeout=60)
    eventually(lambda: not _processes_below(temporary), 20, what="all processes end")


def _as_told(line: re.Match[str] | None) -> subprocess.CompletedProcess[str]:
    """What a shell does with a line of the demo's output."""
    assert line
    return subprocess.run(
        line[1], shell=True, cwd=CHECKOUT, check=False, text=True, stdout=subprocess.PIPE, timeout=60
    )


def test_a_directory_without_dicom_is_no_success(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, output = _run(temporary, DATA=str(tmp_path / "empty"))
    assert (status, output.splitlines()[-1]) == (1, "nothing to send")


def test_a_wrong_option_is_told_in_one_line(temporary: Path) -> None:
    status, output = _run(temporary, DATA="/does/not/exist")
    assert (status, output) == (1, "demo: DATA=/does/not/exist is not a directory\n")
