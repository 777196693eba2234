"""C-FIND of a series and of a study: real PACS, and SCPs that misbehave."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset

from lapidicom.common.c_find import Count, NoCount, count_of_series, counts_of_study
from lapidicom.common.pacs_address import PacsAddress
from tests.support.instances import Instance, instance
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port
from tests.support.query_scps import Answers, dcmqrscp, match, query_scp

STUDY, SERIES = "1.2.3", "1.2.3.4"
SHORT = 1.0
PENDING = 0xFF00


def of_series(port: int, seconds: float = 20) -> Count:
    return count_of_series(PacsAddress("PACS", "127.0.0.1", port), "ChRIS", STUDY, SERIES, seconds=seconds)


def instances() -> list[Instance]:
    """Three of one series, two of another, of one study."""
    return [instance(number, series=series) for series, most in ((1, 3), (2, 2)) for number in range(most)]


@contextmanager
def real_pacs(kind: str, folder: Path) -> Iterator[PacsAddress]:
    if kind == "dcmqrscp":
        with dcmqrscp(folder, instances()) as address:
            yield address
        return
    with Orthanc(folder, free_port(), "PACS") as orthanc:
        orthanc.take(one.file for one in instances())
        yield orthanc.address


@pytest.mark.parametrize("kind", ["dcmqrscp", "Orthanc"])
def test_a_real_pacs_says_how_many_instances_it_has(kind: str, tmp_path: Path) -> None:
    one, other = instances()[0].tags, instances()[3].tags
    study, series = one.StudyInstanceUID or "", one.SeriesInstanceUID or ""
    with real_pacs(kind, tmp_path) as pacs:
        assert count_of_series(pacs, "ChRIS", study, series, seconds=30) == 3
        assert counts_of_study(pacs, "ChRIS", study, seconds=30) == {series: 3, other.SeriesInstanceUID: 2}
        assert count_of_series(pacs, "ChRIS", study, f"{series}.9", seconds=30) is NoCount.NO_SUCH_SERIES
        assert counts_of_study(pacs, "ChRIS", f"{study}.9", seconds=30) is NoCount.NO_SUCH_SERIES


def says(*answers: tuple[int, Dataset | None]) -> Answers:
    return lambda _: answers


def endlessly(_: Dataset) -> Iterable[tuple[int, Dataset | None]]:
    while True:
        yield PENDING, match("1.2.3.5", 7)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (says((PENDING, match("1.2.3.5", 9)), (PENDING, match(SERIES, 7)), (0, None)), 7),
        (says((PENDING, match("1.2.3.5", 9)), (0, None)), NoCount.NO_SUCH_SERIES),
        (says((0, None)), NoCount.NO_SUCH_SERIES),
        (says((PENDING, match(SERIES, 7)), (0xA700, None)), NoCount.REFUSED),
        (says((0xC001, None)), NoCount.WRONG),
        (says((0x0122, None)), NoCount.NOT_SUPPORTED),
        (endlessly, NoCount.SLOW),
    ],
)
def test_the_answer_counts_only_if_it_is_whole_and_of_the_series(answers: Answers, expected: Count) -> None:
    with query_scp(answers) as port:
        assert of_series(port, SHORT if answers is endlessly else 20) == expected


def test_instances_are_counted_where_a_pacs_leaves_the_number_out() -> None:
    def answers(identifier: Dataset) -> Iterable[tuple[int, Dataset | None]]:
        for _ in range(5 if identifier.QueryRetrieveLevel == "IMAGE" else 1):
            yield PENDING, match(SERIES)
        yield 0, None

    with query_scp(answers) as port:
        assert of_series(port) == 5


def test_a_number_that_is_none_is_wrong() -> None:
    row = match(SERIES)
    row.add_new(0x00201209, "LO", "many")  # the VR that is sent does not matter: implicit VR
    with query_scp(says((PENDING, row), (0, None))) as port:
        assert of_series(port) is NoCount.WRONG


def test_a_pacs_without_the_model_does_not_support_it() -> None:
    with query_scp(says((0, None)), model="1.2.840.10008.5.1.4.1.2.1.1") as port:
        assert of_series(port) is NoCount.NOT_SUPPORTED


# pynetdicom leaves a socket that was never connected to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_at_the_address_is_absent() -> None:
    assert of_series(free_port()) is NoCount.ABSENT
    nowhere = PacsAddress("PACS", "no-such-host.invalid", 104)
    assert count_of_series(nowhere, "ChRIS", STUDY, SERIES, seconds=20) is NoCount.ABSENT


REJECTED = bytes.fromhex("03000000000400010107")
ABORTED = bytes.fromhex("07000000000400000000")
LONG_PDU = bytes.fromhex("0200000000ff")


@pytest.mark.parametrize(
    ("answer", "trickles", "expected"),
    [
        (b"", False, NoCount.SLOW),
        (REJECTED, False, NoCount.REFUSED),
        (ABORTED, False, NoCount.WRONG),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, NoCount.WRONG),
        (LONG_PDU, True, NoCount.SLOW),
    ],
    ids=["silent", "rejects", "aborts", "speaks-http", "byte-by-byte"],
)
def test_a_peer_that_is_no_pacs_ends_within_the_time_limit(
    answer: bytes, trickles: bool, expected: NoCount
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=misbehave, args=(server, answer, trickles), daemon=True).start()
        began = time.monotonic()
        assert of_series(server.getsockname()[1], SHORT if expected is NoCount.SLOW else 20) is expected
        assert time.monotonic() - began < 15


def misbehave(server: socket.socket, answer: bytes, trickles: bool) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(answer)
        try:
            while trickles:
                connection.sendall(b"\0")
                time.sleep(0.05)
            while connection.recv(1 << 16):
                pass
        except OSError:
            return


def test_pynetdicom_is_imported_by_the_first_question_only() -> None:
    code = "import sys, lapidicom.common.c_find; print('pynetdicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
