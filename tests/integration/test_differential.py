"""The differential suite: the same bytes to our SCP, to pynetdicom's and to dcmtk's.

Ours must say what PS3.7 and PS3.8 ask for, as the scripts quote it; the others must say the same, but for the
differences that are listed with their reasons.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.byte_scripts import SCRIPTS, Script, run
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.process_groups import leash
from tests.support.receiver import Receiver
from tests.support.requirements import tool
from tests.support.scp_differences import DIFFERENCES

Outcomes = Mapping[str, tuple[str, ...]]

CHECKOUT = Path(__file__).parents[2]
BY_NAME = {script.name: script for script in SCRIPTS}
SHORT_PATIENCE = 2.0
"""Seconds for a script to which a peer is known to say nothing."""


@contextlib.contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*leash(), *command],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # storescp --fork has children of its own
        process.communicate(timeout=5)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def play(port: int, patience: Callable[[Script], float]) -> Outcomes:
    """Play all scripts, some at once: the others' silence takes its time."""
    with ThreadPoolExecutor(8) as pool:
        said = pool.map(lambda script: run(script, port, patience(script)), SCRIPTS)
        return dict(zip(BY_NAME, said, strict=True))


def patience_with(peer: str) -> Callable[[Script], float]:
    silent = {name for name, difference in DIFFERENCES[peer].items() if "silent" in difference.theirs}
    return lambda script: SHORT_PATIENCE if script.name in silent else 20.0


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    with Receiver(tmp_path_factory.mktemp("ours"), CHRIS_LISTENER_THREADS=32) as receiver:
        yield play(receiver.scp_port, lambda _: 20.0)


@pytest.fixture(scope="module")
def pynetdicom() -> Iterator[Outcomes]:
    with child(sys.executable, "-m", "tests.support.pynetdicom_scp") as process:
        assert process.stdout is not None
        yield play(int(process.stdout.readline()), patience_with("pynetdicom"))


@pytest.fixture(scope="module")
def dcmtk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    port = free_port()
    options = [
        "--quiet",
        "--fork",
        "--promiscuous",
        "--accept-all",
        "--bit-preserving",
        "--disable-host-lookup",
    ]
    folder = ("--output-directory", str(tmp_path_factory.mktemp("storescp")))
    with child(str(tool("storescp", "dcmtk")), *options, *folder, str(port)) as process:
        eventually(lambda: listens(port), 20, what="storescp listens")
        yield play(port, patience_with("dcmtk"))
        assert process.poll() is None, "another program listened at this port"


def kinds(words: Sequence[str]) -> tuple[str, ...]:
    """The words without source and reason of an A-ABORT."""
    return tuple("ABORT" if word.startswith("ABORT") else word for word in words)


def check(peer: str, name: str, said: tuple[str, ...]) -> None:
    """Whether a peer says what ours does, or what is listed."""
    allowed = [kinds(BY_NAME[name].expected)]
    listed = DIFFERENCES[peer].get(name)
    if listed is not None:
        allowed.append(listed.theirs)
    assert kinds(said) in allowed, f"{peer} said {said}: a difference that is not listed"


@pytest.mark.parametrize("name", BY_NAME)
def test_our_scp_says_what_the_standard_asks_for(ours: Outcomes, name: str) -> None:
    assert ours[name] == BY_NAME[name].expected


@pytest.mark.parametrize("name", BY_NAME)
def test_pynetdicoms_scp_says_the_same_or_a_listed_difference(pynetdicom: Outcomes, name: str) -> None:
    check("pynetdicom", name, pynetdicom[name])


@pytest.mark.parametrize("name", BY_NAME)
def test_dcmtks_scp_says_the_same_or_a_listed_difference(dcmtk: Outcomes, name: str) -> None:
    check("dcmtk", name, dcmtk[name])


@pytest.mark.parametrize("peer", DIFFERENCES)
def test_each_listed_difference_is_one_and_has_its_reason(peer: str) -> None:
    for name, difference in DIFFERENCES[peer].items():
        assert difference.theirs != kinds(BY_NAME[name].expected), name
        assert difference.reason


def test_every_script_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(SCRIPTS)
