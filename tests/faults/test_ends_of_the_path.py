"""SIGTERM with open associations, and restarts that find less than was left: nothing acknowledged is lost."""

from pathlib import Path

import pytest

from tests.support.byte_scripts import p_data, pdv, store_command
from tests.support.byte_scu import Aborted, ByteSCU
from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.resending_scu import ResendingSCU
from tests.support.seeds import seeded
from tests.support.whole_path import WholePath

COUNT = 60


@pytest.fixture(autouse=True)
def _no_end_excuses_a_repetition(path: WholePath) -> None:
    path.cube.let_duplicates_through()


def instances() -> list[Instance]:
    return [instance(number, size=20_000) for number in range(1, COUNT + 1)]


def wait_for_some(scu: ResendingSCU) -> None:
    wanted = seeded(scu.calling).randrange(1, COUNT // 2)
    eventually(lambda: len(scu.ledger.acknowledged) >= wanted, 30, every=0.001)


def test_sigterm_lets_an_association_end_within_the_grace(path: WholePath) -> None:
    scu = path.scu("LONG_GRACE")
    with path.receiver(CHRIS_SHUTDOWN_GRACE=60) as receiver:
        scu.start(instances())
        wait_for_some(scu)
        receiver.terminate()
        scu.join()
        assert receiver.wait() == 0
        assert receiver.wait_for("stopped")["associations_aborted"] == 0
    assert (scu.ledger.sent, scu.ledger.associations) == (COUNT, 1)
    # The relay has sent the rest before the receiver ended: nobody is there to do it now.
    report = path.report(scu)
    report.check()
    assert len(report.registered) == COUNT


def test_sigterm_aborts_an_association_behind_the_grace_in_the_middle_of_an_instance(path: WholePath) -> None:
    scu = path.scu("SHORT_GRACE")
    half, *others = instances()
    with path.receiver(CHRIS_SHUTDOWN_GRACE=1) as receiver, ByteSCU(receiver.scp_port) as stuck:
        stuck.associate_for(half, calling="SHORT_GRACE")
        scu.ledger.begin(scu.path(half), half)
        context = stuck.context_for(half)
        stuck.send(p_data(pdv(context, 3, store_command(1, half.sop_instance, half.sop_class))))
        stuck.send(p_data(pdv(context, 0, half.data_set[:5000])))  # and no more of it
        scu.send(others)
        receiver.terminate()
        with pytest.raises(Aborted):
            stuck.read_response()
        assert receiver.wait() == 0
        assert receiver.wait_for("stopped")["associations_aborted"] == 1
    assert not (path.files_root / scu.path(half)).exists()
    with path.receiver() as receiver:
        scu.send([half])
        report = path.report(scu)
        report.check()
        assert len(report.acknowledged) == COUNT
        assert receiver.stop() == 0  # killed, it might not have noted yet what it published last


def test_sigterm_of_the_registrar_ends_what_is_in_hand_and_its_successor_does_the_rest(
    path: WholePath,
) -> None:
    [registrar] = path.registrars
    path.cube.control.slow(0.02)
    scu = path.scu("REGISTRAR_TERM")
    with path.receiver() as receiver:
        scu.start(instances())
        eventually(lambda: path.report_now(scu).registered)
        assert registrar.stop() == 0
        registrar.start()
        path.cube.control.heal()
        scu.join()
        report = path.report(scu)
        assert receiver.stop() == 0
    report.check()
    assert len(report.registered) == COUNT
    # No delivery came twice: each path was POSTed once.
    assert {path.cube.control.attempts()[one] for one in report.registered} == {1}


def test_lost_cursors_and_marks_only_send_twice(path: WholePath) -> None:
    path.cube.refuse_duplicates()
    scu = path.scu("CURSOR")
    with path.receiver() as receiver:
        scu.send(instances())
        first = path.report(scu)
        first.check()
        receiver.kill_whole()
    lost: list[Path] = [*path.spool.glob("journals/2/*/cursor"), *path.spool.glob("journals/2/*/committed")]
    assert len(lost) >= 2
    for file in lost:
        file.unlink()
    with path.receiver():

        def posts() -> set[int]:
            attempts = path.cube.control.attempts()
            return {attempts[one] for one in first.registered}

        eventually(lambda: posts() == {2}, 20, what="everything is sent again")
        scu.send([instance(COUNT + 1)])
        report = path.report(scu)
        report.check()
        assert len(report.registered) == COUNT + 1
