"""Damaged at random: each connection ends cleanly, and nothing but whole instances stays."""

import contextlib
import os
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lapidicom.common.journal import records
from tests.support.byte_scripts import RELEASE, echo, p_data, pdv, store_command
from tests.support.byte_scu import ByteSCU, data_pdus, request
from tests.support.instances import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, Instance, instance, leaks
from tests.support.journals import records_of
from tests.support.on_disk import stored_paths, temporary_files
from tests.support.polling import eventually
from tests.support.receiver import Receiver

EXAMPLES = int(os.environ.get("EXAMPLES", "250"))
VERIFICATION = "1.2.840.10008.1.1"
SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
LENGTHS = (b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0")


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    settings = {"CHRIS_SCP_ACSE_TIMEOUT": "0.3", "CHRIS_SCP_IDLE_TIMEOUT": "0.3", "CHRIS_FSYNC": "no"}
    with Receiver(tmp_path_factory.mktemp("receiver"), CHRIS_VERBOSE="yes", **settings) as running:
        yield running


def conversation(one: Instance) -> list[bytes]:
    """What an SCU sends, PDU by PDU: association, C-ECHO, three C-STOREs, release."""
    pdus = [request((VERIFICATION, [IMPLICIT]), (CT, [one.transfer_syntax]), calling="MUTANT"), echo(1, 1)]
    for message in (2, 3, 4):
        command = pdv(3, 3, store_command(message, one.sop_instance))
        pdus += [p_data(command), *data_pdus(3, one.data_set, 700)]
    return [*pdus, RELEASE]


def damaged(pdus: list[bytes], chance: random.Random) -> list[bytes]:
    """The same with one to three faults in one of its PDUs, or with PDUs out of order."""
    pdus = list(pdus)
    if chance.random() < 0.1:
        chance.shuffle(pdus)
        return pdus
    where = chance.randrange(len(pdus))
    data = bytearray(pdus[where])
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                length = chance.choice(LENGTHS)
                data[at : at + len(length)] = length
            case 2:
                del data[at : at + chance.randint(1, 20)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 20))
            case 4:
                data[at:at] = data[at : at + chance.randint(1, 40)]
            case _:
                data[2:6] = (len(data) - 6 + chance.randint(-3, 3)).to_bytes(4, "big", signed=True)
    pdus[where] = bytes(data)
    if chance.random() < 0.2:
        pdus = pdus[: where + 1]
    return pdus


def play(port: int, pdus: list[bytes]) -> None:
    """Send all, reading what comes, until the SCP closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(pdus[0])
            connection.recv(10_000)
            for pdu in pdus[1:]:
                connection.sendall(pdu)
        with contextlib.suppress(ConnectionError):
            while connection.recv(10_000):
                pass


def test_damaged_conversations_end_cleanly_and_leave_whole_instances_only(receiver: Receiver) -> None:
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    bases = [
        conversation(instance(number, series=number, size=2000, transfer_syntax=syntax))
        for number, syntax in enumerate(SYNTAXES, start=1)
    ]
    listener = receiver.child("listener")
    scripts = [damaged(chance.choice(bases), chance) for _ in range(EXAMPLES)]
    with ThreadPoolExecutor(12) as pool:
        for run in [pool.submit(play, receiver.scp_port, script) for script in scripts]:
            run.result(60)
    with ByteSCU(receiver.scp_port) as scu:
        scu.associate((VERIFICATION, [IMPLICIT]), calling="AFTERWARDS")
        assert scu.echo().status == 0
        scu.release()
    assert receiver.child("listener") == listener, "the process lives"
    for event in ("association_failed", "connection_failed", "instance_failed", "uncaught_exception"):
        assert receiver.events(event) == [], event
    assert receiver.other_output == []
    assert eventually(lambda: temporary_files(receiver.spool) == [])
    received = records_of(receiver.spool, records.INSTANCE_RECEIVED)
    assert stored_paths(receiver.files_root) == {one["path"] for one in received}
    for path in stored_paths(receiver.files_root):
        assert path.count("/") == 6
        assert path.endswith(".dcm")
    outside = {entry.name for entry in receiver.files_root.iterdir()} - {"SERVICES", ".lapidicom"}
    assert outside == set()
    assert leaks(receiver.log_text()) == []
