"""Many SCUs at once: places, processes, and one instance from two sides."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from lapidicom.common.journal import records
from tests.support.byte_scu import ByteSCU, Rejected
from tests.support.instances import CT, EXPLICIT, IMPLICIT, MR, Instance, instance, leaks
from tests.support.journals import records_of
from tests.support.on_disk import check_stored, stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.scus import SECONDS, start

VERIFICATION = ("1.2.840.10008.1.1", [IMPLICIT])


def both_serve(receiver: Receiver) -> bool:
    """Whether associations come to both listeners: until the second one lives, the first gets all."""
    with ByteSCU(receiver.scp_port).associate(VERIFICATION) as scu:
        scu.release()
    return len({line["pid"] for line in receiver.events("association_accepted")}) == 2


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Two listeners with twelve places each: the ends of earlier associations may still hold some."""
    folder = tmp_path_factory.mktemp("receiver")
    with Receiver(
        folder, CHRIS_LISTENER_PROCESSES=2, CHRIS_LISTENER_THREADS=24, CHRIS_VERBOSE="yes"
    ) as running:
        eventually(lambda: both_serve(running), 20, what="both listeners serve")
        yield running
        assert leaks(running.log_text()) == []
        assert running.events("association_failed") == []
        assert eventually(lambda: temporary_files(running.spool) == [])


def store_all(port: int, calling: str, sent: list[Instance], ready: Callable[[], object]) -> set[int]:
    """Store, over one association that is established before all others go on."""
    with ByteSCU(port) as scu:
        scu.associate_for(*sent, calling=calling)
        ready()
        statuses = {scu.store(one, pdu_length=8000).status for one in sent}
        scu.release()
    return statuses


def test_sixteen_associations_with_mixed_series_store_at_once(receiver: Receiver) -> None:
    sent = {
        f"SCU{scu}": [
            instance(number, series=series, size=30_000, transfer_syntax=syntax)
            for number in range(1, 6)
            for series, syntax in ((scu, EXPLICIT), (scu + 100, IMPLICIT))
        ]
        for scu in range(16)
    }
    all_established = Barrier(16, timeout=30)
    with ThreadPoolExecutor(16) as pool:
        runs = [
            pool.submit(store_all, receiver.scp_port, calling, instances, all_established.wait)
            for calling, instances in sent.items()
        ]
        assert [run.result(60) for run in runs] == [{0}] * 16
    for calling, instances in sent.items():
        received = check_stored(receiver.files_root, calling, instances)
        assert len({one["association_id"] for one in received}) == 1
    listeners = {line["pid"] for line in receiver.events("association_accepted")}
    assert len(listeners) == 2, "both listener processes served some"


def test_one_series_over_many_associations_fills_one_folder(receiver: Receiver) -> None:
    sent = [[instance(scu * 10 + number, size=3000) for number in range(1, 5)] for scu in range(8)]
    together = Barrier(8, timeout=30)
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(store_all, receiver.scp_port, "ONESERIES", part, together.wait) for part in sent]
        assert [run.result(60) for run in runs] == [{0}] * 8
    check_stored(receiver.files_root, "ONESERIES", [one for part in sent for one in part])
    assert len({path.rpartition("/")[0] for path in stored_paths(receiver.files_root, "ONESERIES")}) == 1


def test_two_scus_sending_one_instance_at_once_both_succeed(receiver: Receiver) -> None:
    one = instance(1, size=200_000)
    for round_number in range(5):
        calling = f"BOTH{round_number}"
        together = Barrier(2, timeout=30)
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(store_all, receiver.scp_port, calling, [one] * 3, together.wait) for _ in range(2)
            ]
            assert [run.result(30) for run in runs] == [{0}] * 2
        check_stored(receiver.files_root, calling, [one], times=6)
    assert receiver.events("instance_replaced", SOPInstanceUID=one.sop_instance) == []


def test_two_programs_sending_one_series_at_once_both_succeed(receiver: Receiver, tmp_path: Path) -> None:
    sent = [instance(number, size=20_000) for number in range(1, 11)]
    files = [one.write(tmp_path) for one in sent]
    runs = [start(program, receiver.scp_port, "TWICE", files) for program in ("storescu", "dcmsend") * 2]
    for run in runs:
        output, _ = run.communicate(timeout=SECONDS)
        assert run.returncode == 0, output
    check_stored(receiver.files_root, "TWICE", sent, times=4)


def test_the_same_instance_again_keeps_the_file_and_is_recorded_again(receiver: Receiver) -> None:
    one = instance(1, size=1000)
    for _ in range(3):
        store_all(receiver.scp_port, "AGAIN", [one], lambda: None)
    file = receiver.files_root / one.path("AGAIN")
    inode = file.stat().st_ino
    store_all(receiver.scp_port, "AGAIN", [one, one], lambda: None)
    assert file.stat().st_ino == inode
    check_stored(receiver.files_root, "AGAIN", [one], times=5)
    assert receiver.events("instance_replaced", SOPInstanceUID=one.sop_instance) == []


def test_other_bytes_under_the_same_uid_replace_the_file(receiver: Receiver) -> None:
    first = instance(1, series=77, size=1000)
    second = instance(1, series=77, size=1002)
    assert store_all(receiver.scp_port, "REPLACE", [first, second], lambda: None) == {0}
    event = receiver.wait_for("instance_replaced", SOPInstanceUID=second.sop_instance)
    assert event["SeriesInstanceUID"] == second.tags.SeriesInstanceUID
    (path,) = stored_paths(receiver.files_root, "REPLACE")
    assert path == first.path("REPLACE") == second.path("REPLACE")
    assert (receiver.files_root / path).read_bytes().endswith(second.data_set)
    sizes = [record["size"] for record in records_of(receiver.spool, records.INSTANCE_RECEIVED, "REPLACE")]
    assert sizes[1] == sizes[0] + 2 == (receiver.files_root / path).stat().st_size


@pytest.fixture(scope="module")
def small_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One listener with two places, which waits half a second for one to come free."""
    folder = tmp_path_factory.mktemp("small-receiver")
    with Receiver(folder, CHRIS_LISTENER_THREADS=2, CHRIS_SCP_ADMISSION_WAIT="0.5") as running:
        yield running


def test_a_newcomer_over_the_limit_waits_and_is_rejected_for_now(small_receiver: Receiver) -> None:
    port = small_receiver.scp_port
    with ByteSCU(port).associate(VERIFICATION) as first, ByteSCU(port).associate(VERIFICATION) as second:
        began = time.monotonic()
        with ByteSCU(port) as third, pytest.raises(Rejected) as rejection:
            third.associate(VERIFICATION)
        assert rejection.value.args == (2, 3, 2)
        assert time.monotonic() - began >= 0.5
        assert [first.echo().status, second.echo().status] == [0, 0]
        first.release()
        second.release()

    def is_served() -> bool:
        with ByteSCU(port) as fourth:
            try:
                fourth.associate(VERIFICATION)
            except Rejected:
                return False
            fourth.release()
            return True

    assert eventually(is_served)


def test_a_newcomer_gets_the_place_of_one_that_leaves_in_time(tmp_path: Path) -> None:
    one = instance(1)
    with Receiver(tmp_path, CHRIS_LISTENER_THREADS=1, CHRIS_SCP_ADMISSION_WAIT="20") as receiver:
        with ByteSCU(receiver.scp_port).associate((CT, [EXPLICIT]), VERIFICATION, calling="FIRST") as first:
            waiting = Event()
            with ThreadPoolExecutor(1) as pool:
                newcomer = pool.submit(_store_with_news, receiver.scp_port, one, waiting)
                assert waiting.wait(20)
                assert first.echo().status == 0
                assert not newcomer.done()
                first.release()
                assert newcomer.result(20) == 0
        check_stored(receiver.files_root, "NEWCOMER", [one])
        assert receiver.events("association_rejected") == []


def _store_with_news(port: int, one: Instance, waiting: Event) -> int:
    with ByteSCU(port) as scu:
        waiting.set()
        scu.associate((MR, [IMPLICIT]), (CT, [EXPLICIT]), calling="NEWCOMER")
        status = scu.store(one).status
        scu.release()
    return status


def test_bare_connections_take_no_place(small_receiver: Receiver) -> None:
    bare = [small_receiver.connect() for _ in range(20)]
    with ByteSCU(small_receiver.scp_port) as scu:
        scu.associate(VERIFICATION)
        assert scu.echo().status == 0
        scu.release()
    before = len(small_receiver.lines)
    for one in bare:
        one.close()
    with ByteSCU(small_receiver.scp_port) as scu:
        scu.associate(VERIFICATION)
        scu.release()
    warnings = [line for line in small_receiver.lines[before:] if line["level"] != "info"]
    assert warnings == [], "probes of load balancers are silent"


def test_bare_connections_are_bounded_and_the_oldest_make_room(small_receiver: Receiver) -> None:
    """At most 64 + places without a place: of more the oldest are closed."""
    bare = [small_receiver.connect() for _ in range(80)]
    closed = [one for one in bare[:14] if _is_cut(one)]
    assert len(closed) == 14
    for one in bare[14:]:
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(1)
    for one in bare:
        one.close()


def _is_cut(connection: socket.socket) -> bool:
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
