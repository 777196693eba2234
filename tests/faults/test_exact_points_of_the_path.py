"""Each process killed, or paused, at each exact point where it matters, while SCUs send."""

import os
import signal

import pytest

from tests.support.faults import Fault
from tests.support.instances import Instance, instance
from tests.support.ledger import SUCCESS
from tests.support.polling import eventually, never
from tests.support.queues import look
from tests.support.receiver import PAUSABLE, Receiver
from tests.support.registrar.__main__ import Options
from tests.support.resending_scu import ResendingSCU
from tests.support.seeds import is_large, seeded
from tests.support.whole_path import OBSERVER_QUEUE, WholePath

PART = r"incoming/.*\.part$"
SEGMENT = r"journals/.*\.log$"
MARK = r"journals/.*/committed$"
CURSOR = r"journals/.*/cursor"
SERIES_FOLDER = r"SERVICES/PACS/EXACT[^/]*/[^/]+/[^/]+/[^/]+$"

POINTS_OF_A_LISTENER = (
    ("writev", PART, True),  # the data, at its first call: more of a large instance is to come
    ("fsync", PART, False),
    ("rename", PART, False),
    ("rename", PART, True),
    ("write", SEGMENT, False),
    ("write", SEGMENT, True),
    ("fdatasync", SEGMENT, False),
    ("fdatasync", SEGMENT, True),
    ("fsync", SERIES_FOLDER, True),
    ("pwrite", MARK, False),
)
"""Operation, path, and whether it happens after the call: the life of an instance, step by step."""

POINTS_OF_A_RELAY = (
    ("publish", "^InstanceStored", False),
    ("publish", "^InstanceStored", True),
    ("publish", "^SeriesReceived", True),
    ("rename", CURSOR, False),
)

COUNT = 40
MOST_SERIES = 40


def instances(series: int, count: int = COUNT) -> list[Instance]:
    """A series; its fourth instance is longer than the receiver's buffer."""
    return [
        instance(number, series=series, size=3_000_000 if number == 4 else 10_000)
        for number in range(1, count + 1)
    ]


def unstruck(receiver: Receiver, faults: list[Fault]) -> list[Fault]:
    """The faults that have not happened yet."""
    struck = {line["number"] for line in receiver.events("fault_struck")}
    return [fault for number, fault in enumerate(faults) if number not in struck]


def three_scus(path: WholePath, name: str) -> list[ResendingSCU]:
    """Three SCUs that have begun to send, and do not wait long for an answer; there are as many listeners."""
    scus = [path.scu(f"{name}{number}", patience=3) for number in range(3)]
    for number, scu in enumerate(scus):
        scu.start(instances(number + 1), per_association=20)
    return scus


def test_a_listener_and_a_relay_killed_at_any_step_lose_nothing(path: WholePath) -> None:
    rng = seeded("exact")
    for number in range(10 if is_large() else 1):
        faults = [
            Fault(operation, "kill", where=where, nth=rng.randrange(3, 9), or_later=True, after=after)
            for operation, where, after in POINTS_OF_A_LISTENER
        ] + [
            Fault(
                operation,
                "kill",
                role="relay",
                where=where,
                nth=rng.randrange(1, 5),
                or_later=True,
                after=after,
            )
            for operation, where, after in POINTS_OF_A_RELAY
        ]
        with path.receiver(faults=faults, CHRIS_LISTENER_PROCESSES=3) as receiver:
            scus = three_scus(path, f"EXACT{number}_")
            for scu in scus:
                scu.join()
            series = len(scus)
            # A process may be struck before it gets as far as another fault: its successors go on.
            while (missed := unstruck(receiver, faults)) and series < MOST_SERIES:
                series += 1
                scus.append(path.scu(f"EXACT{number}_{series}", patience=3))
                scus[-1].send(instances(series), per_association=20)
            assert missed == []
            report = path.report(*scus)
            report.check()
            assert len(report.acknowledged) == series * COUNT


def test_nothing_is_in_rabbitmq_and_no_success_is_answered_before_both_syncs(path: WholePath) -> None:
    faults = [
        Fault("fsync", "hold", where=SERIES_FOLDER),
        Fault("fdatasync", "hold", where=SEGMENT, nth=3),  # behind the segment's own and the first instance's
    ]
    scu = path.scu("EXACT_SYNC")

    def is_known() -> bool:
        return SUCCESS in scu.ledger.answers.get(scu.path(sent[number]), ()) or bool(
            look(path.amqp_url, OBSERVER_QUEUE).ready
        )

    sent = instances(1, count=2)
    with path.receiver(faults=faults) as receiver:
        assert path.report(seconds=5).attempted == frozenset()  # and the observer's queue is empty
        scu.start(sent)
        for number in range(2):
            receiver.wait_for("fault_struck", number=number)
            assert (path.files_root / scu.path(sent[number])).exists()
            never(is_known, 1, what="known before the sync")
            receiver.release(number)
            eventually(lambda: scu.path(sent[number]) in path.report_now(scu).published)  # noqa: B023
        scu.join()
        path.report(scu).check()


def test_paused_listeners_are_taken_over_and_go_on_and_nothing_is_lost(path: WholePath) -> None:
    """Each at another step: before the rename, before the sync of its record, before the folder's."""
    faults = [
        Fault("rename", "stop", where=PART, nth=5, or_later=True),
        Fault("fdatasync", "stop", where=SEGMENT, nth=5, or_later=True),
        Fault("fsync", "stop", where=SERIES_FOLDER, nth=5, or_later=True),
    ]
    with path.receiver(faults=faults, CHRIS_LISTENER_PROCESSES=3, **PAUSABLE) as receiver:
        scus = three_scus(path, "EXACT_PAUSED")
        receiver.wait_for("fault_struck", count=3)
        paused = [line["pid"] for line in receiver.events("fault_struck")]
        receiver.wait_for("journal_finished", count=3)
        assert not all(scu.ledger.acknowledged >= scu.ledger.instances.keys() for scu in scus)
        for pid in paused:
            os.kill(pid, signal.SIGCONT)
        for scu in scus:
            scu.join()
        report = path.report(*scus)
        report.check()
        assert len(report.acknowledged) == 3 * COUNT


def test_a_registrar_killed_at_any_step_loses_nothing_and_registers_nothing_twice(path: WholePath) -> None:
    [registrar] = path.registrars
    registrar.kill()
    scu = path.scu("EXACT_REG")
    with path.receiver():
        scu.send(instances(1))
        for options in (
            Options(kill_at=5),  # before a POST
            Options(kill_at=5, answered=True),  # after it, before the ack
            Options(kill_publish="before"),
            Options(kill_publish="after"),  # before the ack of what was published onward
        ):
            if options.kill_publish:
                path.cube.control.fail(500, path_contains="SERVICES/PACS")
            doomed = path.registrar(options, ready=False)
            assert doomed.wait() == -signal.SIGKILL
            path.cube.control.heal()
        registrar.start()
        report = path.report(scu)
        report.check()
        assert len(report.registered) == COUNT


@pytest.mark.skipif(not is_large(), reason="only in the large form: twenty seconds")
def test_an_instance_that_kills_every_registrar_ends_alone_as_a_dead_letter(path: WholePath) -> None:
    registrar, *_ = path.registrars
    registrar.kill()
    scu = path.scu("EXACT_POISON")
    sent = instances(1, count=12)
    poison = sent[2]
    options = Options(kill_on=scu.path(poison), pace={"suspect": 0.05, "first_pause": 0.02}, lives=40)
    with path.receiver():
        path.registrar(options, ready=False)
        scu.send(sent)
        report = path.report(scu, seconds=180)
        report.check()
        assert report.dead_lettered == {scu.path(poison)}
        assert report.registered.keys() == {scu.path(one) for one in sent} - report.dead_lettered
