"""A volume that hangs, as a network file system does without its server: no command waits for it for ever."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.journal.format import CURSOR, FOLDERS, FORMAT, folder_name, segment_name
from tests.support.command import Ended, in_process
from tests.support.cube.process import CubeProcess

NOWHERE = "amqp://127.0.0.1:1/v"


@pytest.fixture
def hanging(files_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A storage root with one journal whose files nobody can open: opening a FIFO waits for a writer."""
    monkeypatch.setattr("lapidicom.cli.in_thread.VOLUME_SECONDS", 0.3)
    (files_root / "SERVICES/PACS").mkdir(parents=True)
    journal = files_root / ".lapidicom" / FOLDERS[FORMAT] / folder_name("receiver", "0" * 32)
    journal.mkdir(parents=True)
    fifos = [journal / name for name in (segment_name(1), CURSOR)]
    for fifo in fifos:
        os.mkfifo(fifo)
    yield files_root
    while waiting := [thread for thread in threading.enumerate() if thread.name == "may-block"]:
        for fifo in fifos:
            os.close(os.open(fifo, os.O_RDWR))  # whoever waits there goes on
        waiting[0].join(0.01)


def run(*arguments: str, root: Path, **settings: str) -> Ended:
    return in_process(*arguments, AMQP_URL=NOWHERE, CHRIS_FILES_ROOT=str(root), **settings)


def test_a_trace_says_that_the_journals_do_not_answer(hanging: Path) -> None:
    ended = run("trace", "1.2.3", "--json", root=hanging)
    assert ended.status == 1
    assert "the volume does not answer within 0.3 s" in ended.document["not_visible"]["journals"]


def test_a_status_says_so_too(hanging: Path) -> None:
    checks = run("status", "--json", root=hanging).document["checks"]
    (seen,) = [one["seen"] for one in checks if one["area"] == "journals"]
    assert seen == "the volume does not answer within 0.3 s"


def test_a_reconcile_ends_and_names_the_volume(hanging: Path, cube: CubeProcess) -> None:
    account = {"CHRIS_URL": cube.url, "CHRIS_USERNAME": cube.username, "CHRIS_PASSWORD": cube.password}
    ended = run("reconcile", "--yes", root=hanging, **account)
    assert ended.status == 2
    assert "the volume does not answer within 0.3 s" in ended.err
