"""Large instances, and P-DATA-TFs of every shape."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.byte_scripts import echo, p_data, pdv, store_command
from tests.support.byte_scu import Aborted, ByteSCU, data_pdus
from tests.support.instances import CT, EXPLICIT, IMPLICIT, Instance, data_set_of, encoded, instance, leaks
from tests.support.on_disk import check_stored, stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.scus import dcmsend, storescu

MIB = 1 << 20
VERIFICATION = ("1.2.840.10008.1.1", [IMPLICIT])


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_FSYNC="no", CHRIS_VERBOSE="yes") as running:
        yield running
        assert leaks(running.log_text()) == []
        assert running.events("association_failed") == []
        assert eventually(lambda: temporary_files(running.spool) == [])


def memory(pid: int, field: str) -> int:
    """VmRSS or VmHWM (its peak) of a process, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(field)


def forget_peak(pid: int) -> None:
    """Begin a new VmHWM (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def large(size: int) -> Instance:
    data_set = data_set_of(1, series=900)
    data_set.PixelData = bytes(range(256)) * (size // 256)
    data_set["PixelData"].VR = "OW"
    return encoded(data_set)


@pytest.mark.parametrize("pdu_length", [16_384, 1 << 30])
def test_memory_stays_flat_while_an_instance_over_100_mb_is_stored(
    receiver: Receiver, pdu_length: int
) -> None:
    listener = receiver.child("listener")
    with ByteSCU(receiver.scp_port) as scu:
        calling = f"LARGE{pdu_length}"
        one = large(110 * MIB)
        scu.associate_for(one, calling=calling)
        forget_peak(listener)
        before = memory(listener, "VmRSS")
        assert scu.store(one, pdu_length=pdu_length).status == 0
        assert memory(listener, "VmHWM") - before < 32 * MIB
        scu.release()
    check_stored(receiver.files_root, calling, [one])
    (receiver.files_root / one.path(calling)).unlink()


def test_storescu_sends_an_instance_over_100_mb(receiver: Receiver, tmp_path: Path) -> None:
    one = large(101 * MIB)
    run = storescu(receiver.scp_port, "LARGESTORE", [one.write(tmp_path)])
    assert run.status == 0, run.output
    check_stored(receiver.files_root, "LARGESTORE", [one])
    (receiver.files_root / one.path("LARGESTORE")).unlink()


@pytest.mark.parametrize("limit", [4096, 16_384, 131_072, 0])
def test_every_limit_of_the_pdu_length_is_sent_and_served(tmp_path: Path, limit: int) -> None:
    sent = [instance(number, size=300_000) for number in (1, 2, 3)]
    with Receiver(tmp_path, CHRIS_SCP_MAX_PDU_LENGTH=limit, CHRIS_FSYNC="no") as receiver:
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate_for(*sent, calling="BYTES")
            assert scu.max_length == limit
            length = limit or 10 * MIB
            assert [scu.store(one, pdu_length=length).status for one in sent] == [0, 0, 0]
            scu.release()
        check_stored(receiver.files_root, "BYTES", sent)
        run = dcmsend(receiver.scp_port, "DCMSEND", [one.write(tmp_path / "dcm") for one in sent])
        assert run.status == 0, run.output
        check_stored(receiver.files_root, "DCMSEND", sent)


@pytest.mark.parametrize("length", [7, 8, 9, 13, 100])
def test_tiny_pdus_are_put_together(receiver: Receiver, length: int) -> None:
    """The shortest has one byte of the data set."""
    one, calling = instance(1, size=2000), f"TINY{length}"
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(one, calling=calling)
        assert scu.store(one, pdu_length=length).status == 0
        scu.release()
    check_stored(receiver.files_root, calling, [one])


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_one_pdu_with_many_pdvs_is_taken_apart(receiver: Receiver, size: int) -> None:
    one, calling = instance(1, size=20_000), f"MANYPDVS{size}"
    data = one.data_set
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    pdvs = [pdv(1, 0, part) for part in parts[:-1]] + [pdv(1, 2, parts[-1])]
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(one, calling=calling)
        scu.send(p_data(pdv(1, 3, store_command(7, one.sop_instance)), *pdvs))
        response = scu.read_response()
        assert (response.status, response.message_id) == (0, 7)
        scu.release()
    check_stored(receiver.files_root, calling, [one])


def test_empty_pdvs_between_the_others_mean_nothing(receiver: Receiver) -> None:
    one = instance(1, size=500)
    half = len(one.data_set) // 2
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(one, calling="EMPTYPDVS")
        scu.send(p_data(pdv(1, 1, b""), pdv(1, 3, store_command(1, one.sop_instance))))
        scu.send(p_data(pdv(1, 0, b""), pdv(1, 0, one.data_set[:half])))
        scu.send(p_data(pdv(1, 0, one.data_set[half:]), pdv(1, 0, b"")) + p_data(pdv(1, 2, b"")))
        assert scu.read_response().status == 0
        scu.release()
    check_stored(receiver.files_root, "EMPTYPDVS", [one])


def test_requests_sent_without_waiting_are_answered_in_their_order(receiver: Receiver) -> None:
    """PS3.7 allows it only with an asynchronous operations window, but some senders do."""
    sent = [instance(number, size=700) for number in range(1, 21)]
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), VERIFICATION, calling="PIPELINE")
        for one in sent:
            scu.send_store(one, context_id=1)
        scu.send(echo(3, 99))
        assert [scu.read_response().message_id for _ in sent] == list(range(1, 21))
        assert scu.read_response().message_id == 99
        scu.release()
    check_stored(receiver.files_root, "PIPELINE", sent)


@pytest.mark.parametrize("max_length", [1, 8, 40, 131_072, 0])
def test_a_response_is_cut_as_the_scu_wants_it(receiver: Receiver, max_length: int) -> None:
    """A length too short for a fragment of two bytes cannot be meant."""
    one, calling = instance(1, size=100), f"CUT{max_length}"
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((CT, [EXPLICIT]), calling=calling, max_length=max_length)
        scu.send_store(one)
        command, last = b"", False
        while not last:
            kind, body = scu.read_pdu()
            assert kind == 4
            assert max_length < 8 or len(body) <= max_length
            assert body[4] == 1
            assert body[5] in (1, 3)
            command, last = command + body[6:], body[5] == 3
        assert b"\0\0\0\x09\2\0\0\0\0\0" in command, "Status (0000,0900) is success"
        scu.release()
    check_stored(receiver.files_root, calling, [one])


def test_a_pdu_longer_than_wanted_is_stored_all_the_same(receiver: Receiver) -> None:
    one = instance(1, size=3 * MIB)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate_for(one, calling="LONGPDU")
        assert scu.max_length == 131_072
        assert scu.store(one, pdu_length=4 * MIB).status == 0
        assert scu.store(one, pdu_length=131_073).status == 0
        scu.release()
    check_stored(receiver.files_root, "LONGPDU", [one], times=2)


def test_a_strict_receiver_aborts_upon_a_pdu_longer_than_wanted(tmp_path: Path) -> None:
    one, long = instance(1, size=1000), instance(2, size=50_000)
    with Receiver(tmp_path, CHRIS_SCP_STRICT="yes", CHRIS_SCP_MAX_PDU_LENGTH=4096) as receiver:
        with ByteSCU(receiver.scp_port) as scu:
            scu.associate_for(one, calling="STRICT")
            assert scu.store(one, pdu_length=4096).status == 0
            scu.send(p_data(pdv(1, 3, store_command(2, long.sop_instance))))
            fits, *_ = data_pdus(1, long.data_set, 4096)
            too_long, *_ = data_pdus(1, long.data_set[4090:], 4097)
            scu.send(fits + too_long)
            with pytest.raises(Aborted) as aborted:
                scu.read_response()
            assert aborted.value.args == (2, 6)
        check_stored(receiver.files_root, "STRICT", [one])
        assert eventually(lambda: receiver.events("protocol_violation"))
        assert eventually(lambda: temporary_files(receiver.spool) == [])
        assert len(stored_paths(receiver.files_root)) == 1
