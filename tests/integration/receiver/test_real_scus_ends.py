"""How associations end: released, aborted, cut, idle; and connections that never become one."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lapidicom.common.journal import records
from tests.support.byte_scripts import RELEASE, echo, p_data, pdv, store_command
from tests.support.byte_scu import Aborted, ByteSCU, Closed, data_pdus, request
from tests.support.instances import CT, EXPLICIT, IMPLICIT, Instance, instance, leaks
from tests.support.journals import all_records, records_of
from tests.support.on_disk import check_stored, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver

VERIFICATION = ("1.2.840.10008.1.1", [IMPLICIT])
LARGE = 5_000_000
"""Bytes that do not fit into the buffer of an association: a temporary file is there before the end."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_VERBOSE="yes") as running:
        yield running
        check_quiet(running)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver whose time-outs are short."""
    folder = tmp_path_factory.mktemp("impatient")
    with Receiver(folder, CHRIS_SCP_ACSE_TIMEOUT="0.6", CHRIS_SCP_IDLE_TIMEOUT="0.8") as running:
        yield running
        check_quiet(running)


def check_quiet(receiver: Receiver) -> None:
    """Nothing was left behind, nobody failed, nothing was shown."""
    assert eventually(lambda: temporary_files(receiver.spool) == [])
    assert leaks(receiver.log_text()) == []
    for event in ("association_failed", "connection_failed", "uncaught_exception", "instance_failed"):
        assert receiver.events(event) == []


def open_descriptors(receiver: Receiver) -> int:
    return len(list(Path(f"/proc/{receiver.child('listener')}/fd").iterdir()))


def receiver_is_idle(receiver: Receiver) -> bool:
    """All associations that began have ended."""
    accepted = len(receiver.events("association_accepted"))
    return accepted == len(receiver.events("association_ended"))


def end_of(receiver: Receiver, calling: str) -> tuple[object, object, object]:
    """How an association's record says that it ended, and its counts."""

    def ended() -> list[dict[str, object]]:
        return records_of(receiver.spool, records.ASSOCIATION_ENDED, calling)

    (end,) = eventually(ended, what=f"the end record of {calling}")
    return end["how"], end["received"], end["refused"]


def part_of_data_set(scu: ByteSCU, one: Instance, size: int) -> None:
    """Send a request and some of its data set."""
    scu.send(p_data(pdv(1, 3, store_command(9, one.sop_instance))))
    for pdu in data_pdus(1, one.data_set[:size] + b"--", 16_384):
        scu.send(pdu.replace(b"\1\2", b"\1\0", 1) if pdu[10:12] == b"\1\2" else pdu)


# -- release -------------------------------------------------------------------------------------------------


def test_a_released_association_is_recorded_behind_its_series(receiver: Receiver) -> None:
    one = instance(1)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="RELEASED")
        assert scu.store(one).status == 0
        scu.send(RELEASE)
        assert scu.read_pdu()[0] == 6
        scu.socket.shutdown(socket.SHUT_WR)
        assert scu.is_closed()
    assert end_of(receiver, "RELEASED") == ("released", 1, 0)
    check_stored(receiver.files_root, "RELEASED", [one])
    kinds = [
        record.kind
        for record in all_records(receiver.spool)
        if record.fields().get("calling_ae_title") == "RELEASED"
    ]
    assert kinds == ["series_started", "instance_received", "series_ended", "association_ended"]


def test_a_peer_that_stays_after_its_release_is_left_by_the_artim_timer(impatient: Receiver) -> None:
    with ByteSCU(impatient.scp_port) as scu:
        scu.associate(VERIFICATION)
        scu.send(RELEASE)
        assert scu.read_pdu()[0] == 6
        assert scu.is_closed()


# -- abort and cut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 100, 50_000, LARGE - 1000])
@pytest.mark.parametrize("how", ["abort", "cut", "close"])
def test_an_association_that_ends_inside_a_data_set_leaves_nothing_of_it(
    receiver: Receiver, size: int, how: str
) -> None:
    calling = f"{how}{size}"
    good, unfinished = instance(1), instance(2, size=LARGE)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling=calling)
        assert scu.store(good).status == 0
        part_of_data_set(scu, unfinished, size)
        end: dict[str, Callable[[], None]] = {
            "abort": scu.abort,
            "cut": scu.cut,
            "close": scu.socket.close,
        }
        end[how]()
    assert end_of(receiver, calling) == ("aborted", 1, 0)
    assert eventually(lambda: temporary_files(receiver.spool) == [])
    check_stored(receiver.files_root, calling, [good])
    (series,) = records_of(receiver.spool, records.SERIES_ENDED, calling)
    assert (series["received"], series["ok"]) == (1, True)


def test_while_a_large_data_set_arrives_it_is_in_the_spool_and_nowhere_else(receiver: Receiver) -> None:
    good, unfinished = instance(1), instance(2, size=LARGE)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="ARRIVING")
        assert scu.store(good).status == 0
        part_of_data_set(scu, unfinished, LARGE - 1000)
        (part,) = eventually(lambda: temporary_files(receiver.spool))
        assert part.endswith(".part")
        check_stored(receiver.files_root, "ARRIVING", [good])
        scu.cut()
    assert eventually(lambda: temporary_files(receiver.spool) == [])


@pytest.mark.parametrize("cut_at", [1, 5, 6, 9, 12, 20, 300])
def test_a_connection_cut_in_the_middle_of_a_pdu_leaves_nothing(receiver: Receiver, cut_at: int) -> None:
    calling, one = f"CUT{cut_at}", instance(1)
    data, *_ = data_pdus(1, one.data_set, 16_384)
    assert cut_at < len(data)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling=calling)
        scu.send(p_data(pdv(1, 3, store_command(1, one.sop_instance))) + data[:cut_at])
        scu.socket.shutdown(socket.SHUT_WR)
        assert scu.is_closed()
    assert end_of(receiver, calling) == ("aborted", 0, 0)
    assert not (receiver.files_root / "SERVICES/PACS" / calling).exists()


def test_an_answer_that_nobody_reads_does_not_undo_the_store(receiver: Receiver) -> None:
    one = instance(1, size=100_000)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="NOREADER")
        scu.send_store(one)
        scu.socket.close()
    how, received, refused = end_of(receiver, "NOREADER")
    assert (how, refused) == ("aborted", 0)
    assert received == 1
    check_stored(receiver.files_root, "NOREADER", [one])


def test_a_violation_of_the_protocol_is_answered_by_an_abort_and_ends_alone(receiver: Receiver) -> None:
    good = instance(1)
    with ByteSCU(receiver.scp_port) as other, ByteSCU(receiver.scp_port) as scu:
        other.associate((CT, [EXPLICIT]), calling="OTHER")
        scu.associate((CT, [EXPLICIT]), calling="VIOLATION")
        assert scu.store(good).status == 0
        part_of_data_set(scu, instance(2), 100)
        scu.send(p_data(pdv(1, 3, store_command(3, "1.2.3"))))
        with pytest.raises(Aborted) as aborted:
            scu.read_response()
        assert aborted.value.args == (2, 6)
        assert other.store(good).status == 0
        other.release()
    assert end_of(receiver, "VIOLATION") == ("aborted", 1, 0)
    assert end_of(receiver, "OTHER") == ("released", 1, 0)
    check_stored(receiver.files_root, "VIOLATION", [good])
    check_stored(receiver.files_root, "OTHER", [good])


def test_no_descriptor_is_kept_of_associations_that_ended_badly(receiver: Receiver) -> None:
    def end_badly(number: int) -> None:
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate((CT, [EXPLICIT]), calling=f"LEAK{number}")
            part_of_data_set(scu, instance(2, size=LARGE), 3_000_000)
            scu.cut()
        assert end_of(receiver, f"LEAK{number}") == ("aborted", 0, 0)

    end_badly(0)
    assert eventually(lambda: receiver_is_idle(receiver))
    before = open_descriptors(receiver)
    for number in range(1, 6):
        end_badly(number)
    assert eventually(lambda: open_descriptors(receiver) <= before)


# -- silence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside_data_set", [False, True])
def test_an_association_without_a_byte_for_too_long_is_aborted(
    impatient: Receiver, inside_data_set: bool
) -> None:
    calling, good = f"IDLE{inside_data_set}", instance(1)
    with ByteSCU(impatient.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling=calling)
        assert scu.store(good).status == 0
        if inside_data_set:
            part_of_data_set(scu, instance(2, size=LARGE), 2_000_000)
        began = time.monotonic()
        with pytest.raises(Aborted) as aborted:
            scu.read_response()
        assert aborted.value.args == (0, 0)
        assert time.monotonic() - began > 0.5
    assert end_of(impatient, calling) == ("aborted", 1, 0)
    assert impatient.wait_for("association_idle")["seconds"] == 0.8
    check_stored(impatient.files_root, calling, [good])


def test_a_slow_sender_is_not_a_silent_one(impatient: Receiver) -> None:
    """It takes twice the idle time-out, but is never silent for as long."""
    one = instance(1)
    data = p_data(pdv(1, 3, store_command(1, one.sop_instance))) + b"".join(data_pdus(1, one.data_set, 400))
    with ByteSCU(impatient.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling="SLOW")
        step = len(data) // 16 + 1
        for start in range(0, len(data), step):
            scu.send(data[start : start + step])
            _pass(0.1)
        assert scu.read_response().status == 0
        scu.release()
    check_stored(impatient.files_root, "SLOW", [one])


def _pass(seconds: float) -> None:
    """Be slow, as the peer under test is: not a wait for something."""
    time.sleep(seconds)


def test_a_request_that_drips_in_is_cut_by_the_artim_timer(impatient: Receiver) -> None:
    """However slowly the bytes come: the time is for all of them together."""
    data = request((CT, [EXPLICIT]), calling="DRIP")
    began = time.monotonic()
    with ByteSCU(impatient.scp_port) as scu:
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 -- the first or a later write finds it closed
            for position in range(len(data)):
                scu.send(data[position : position + 1])
                _pass(0.05)
        assert time.monotonic() - began < 0.05 * len(data)
        with pytest.raises((Closed, OSError)):
            scu.read_pdu()
    assert impatient.events("association_accepted", calling="DRIP") == []


def test_a_connection_that_says_nothing_is_closed_by_the_artim_timer(impatient: Receiver) -> None:
    with ByteSCU(impatient.scp_port) as scu:
        began = time.monotonic()
        assert scu.is_closed()
        assert 0.4 < time.monotonic() - began < 10


def test_a_peer_that_never_reads_does_not_hold_its_place_for_ever(impatient: Receiver) -> None:
    """Responses fill the buffers of both sides; then the send time-out (the ACSE one) ends it."""
    with ByteSCU(impatient.scp_port) as scu:
        scu.associate(VERIFICATION, calling="NEVERREADS", max_length=10)
        scu.socket.settimeout(0.2)
        requests = echo(1, 1) * 500
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 -- as above
            for _ in range(2000):
                scu.send(requests)
        assert end_of(impatient, "NEVERREADS") == ("aborted", 0, 0)


def test_bare_connections_leave_no_trace_but_a_count(impatient: Receiver) -> None:
    before = len(impatient.lines)
    for _ in range(10):
        impatient.connect().close()
    for _ in range(5):
        with ByteSCU(impatient.scp_port) as scu:
            scu.cut()
    with ByteSCU(impatient.scp_port) as scu:
        scu.associate(VERIFICATION)
        assert scu.echo().status == 0
        scu.release()
    assert [line for line in impatient.lines[before:] if line["level"] not in ("info", "debug")] == []
