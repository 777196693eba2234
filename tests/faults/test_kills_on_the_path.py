"""kill -9 at random moments, while SCUs send: nothing acknowledged is lost, nothing is registered twice."""

import os
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.processes import is_gone
from tests.support.receiver import NO_BROKER, PAUSABLE, Receiver
from tests.support.resending_scu import ResendingSCU
from tests.support.seeds import is_large, rounds, seeded
from tests.support.whole_path import WholePath

COUNT = 60


def instances(first: int = 1) -> list[Instance]:
    return [instance(number, size=20_000) for number in range(first, first + COUNT)]


def wait_for_some(rng: random.Random, *scus: ResendingSCU) -> None:
    """Wait until some more are acknowledged, or all is sent."""

    def acknowledged() -> int:
        return sum(len(scu.ledger.acknowledged) for scu in scus)

    wanted = acknowledged() + rng.randrange(1, COUNT * len(scus) // 3)
    eventually(lambda: acknowledged() >= wanted or not any(scu.is_sending for scu in scus), 30, every=0.001)


def wait_for_the_middle(rng: random.Random, *scus: ResendingSCU) -> None:
    """Wait for a moment in the middle of what they send: what is killed then has something in hand."""
    wait_for_some(rng, *scus)
    assert any(scu.is_sending for scu in scus), "all was sent before the kill"


def check_all(path: WholePath, *scus: ResendingSCU) -> None:
    """All that was sent was acknowledged in the end, and nothing of it is lost."""
    for scu in scus:
        scu.join()
    report = path.report(*scus)
    report.check()
    assert len(report.acknowledged) == COUNT * len(scus)


def kill_listener(receiver: Receiver) -> None:
    victim = receiver.child()
    os.kill(victim, signal.SIGKILL)
    receiver.wait_for_other_child(victim)


def kill_relay(receiver: Receiver) -> None:
    os.kill(receiver.child("relay"), signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_listener, kill_relay])
def test_a_killed_child_costs_nothing_that_was_acknowledged(
    path: WholePath, kill: Callable[[Receiver], None]
) -> None:
    for number in rounds(1, 20):
        rng = seeded(f"{kill.__name__}-{number}")
        with path.receiver() as receiver:
            scu = path.scu(f"{kill.__name__}{number}")
            scu.start(instances(), per_association=25)
            wait_for_the_middle(rng, scu)
            kill(receiver)
            check_all(path, scu)


def test_a_killed_supervisor_leaves_no_orphan_and_its_successor_nothing_undone(path: WholePath) -> None:
    for number in rounds(1, 20):
        rng = seeded(f"supervisor-{number}")
        scu = path.scu(f"SUPERVISOR{number}")
        with path.receiver(CHRIS_LISTENER_PROCESSES=2) as receiver:
            scu.start(instances(), per_association=25)
            wait_for_the_middle(rng, scu)
            children = receiver.children()
            receiver.kill()
            eventually(lambda: all(map(is_gone, children)), 5, what="no orphan")  # noqa: B023
        with path.receiver(CHRIS_LISTENER_PROCESSES=2):
            check_all(path, scu)


def test_a_killed_registrar_costs_nothing_and_registers_nothing_twice(path: WholePath) -> None:
    for number in rounds(1, 20):
        rng = seeded(f"registrar-{number}")
        [registrar] = path.registrars
        path.cube.control.slow(0.02)
        with path.receiver():
            scu = path.scu(f"REGISTRAR{number}")
            wanted = len(path.cube.control.paths()) + rng.randrange(1, COUNT // 2)
            scu.start(instances())
            eventually(lambda: len(path.cube.control.paths()) >= wanted, 30, every=0.001)  # noqa: B023
            registrar.kill()
            registrar.start()
            path.cube.control.heal()
            check_all(path, scu)


def test_what_a_receiver_left_that_was_killed_whole_is_finished_by_another(path: WholePath) -> None:
    for number in rounds(1, 20):
        rng = seeded(f"receiver-{number}")
        scu = path.scu(f"RECEIVER{number}")
        with (
            path.receiver(CHRIS_RECEIVER_ID="survivor") as survivor,
            path.receiver(amqp_url=NO_BROKER, CHRIS_RECEIVER_ID="victim") as victim,
        ):
            # By turns to both, the victim first. What the victim had acknowledged, and could not publish,
            # is not sent again.
            scu.start(instances(), per_association=20)
            wait_for_the_middle(rng, scu)
            victim.kill_whole()
            check_all(path, scu)
            taken = survivor.events("journal_taken_over", end_seen=False)
            assert any(line["life"].startswith("victim.") for line in taken)


def living(receiver: Receiver) -> list[int]:
    """The listeners that have begun their journals."""
    return [pid for pid in receiver.children("listener") if any(map(is_in_a_journal, descriptors(pid)))]


def descriptors(pid: int) -> list[Path]:
    try:
        return [*Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def is_in_a_journal(descriptor: Path) -> bool:
    try:
        return "/journals/" in str(descriptor.readlink())
    except OSError:
        return False


def pause_until_taken_over(receiver: Receiver, listener: int) -> None:
    """Freeze a listener until its journal is taken over; it goes on beside whoever finishes it."""
    before = len(receiver.events("journal_taken_over"))
    os.kill(listener, signal.SIGSTOP)
    try:
        eventually(lambda: len(receiver.events("journal_taken_over")) > before, 20)
    finally:
        os.kill(listener, signal.SIGCONT)


def test_everything_is_killed_and_paused_again_and_again(path: WholePath) -> None:
    rng = seeded("storm")
    scus = [path.scu("STORM_A", patience=3), path.scu("STORM_B", patience=3)]
    [registrar] = path.registrars
    for number in rounds(1, 10):
        victims = ["listener", "relay", "registrar", "pause"] * (2 if is_large() else 1)
        rng.shuffle(victims)
        with path.receiver(CHRIS_LISTENER_PROCESSES=2, **PAUSABLE) as receiver:
            for scu in scus:
                scu.start(instances(1 + number * COUNT), per_association=30)
            for victim in victims:
                wait_for_some(rng, *scus)
                listeners, relays = receiver.children("listener"), receiver.children("relay")
                match victim:
                    case "registrar":
                        registrar.kill()
                        registrar.start()
                    case "listener" if listeners:
                        os.kill(killed := rng.choice(listeners), signal.SIGKILL)
                        eventually(partial(is_gone, killed))  # a dying one must not be the next to be frozen
                    case "relay" if relays:
                        os.kill(relays[0], signal.SIGKILL)
                    case "pause":
                        pause_until_taken_over(receiver, rng.choice(eventually(partial(living, receiver))))
            for scu in scus:
                scu.join()
            path.report(*scus).check()
