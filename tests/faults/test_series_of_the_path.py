"""Receivers, relays and registrars are killed while series come: CUBE 6 has each once, and whole."""

import os
import random
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.processes import is_gone
from tests.support.receiver import NO_BROKER
from tests.support.registrar.__main__ import Options
from tests.support.resending_scu import ResendingSCU
from tests.support.seeds import is_large, rounds, seeded
from tests.support.whole_path import WholePath

SERIES, INSTANCES = 3, 20
SETTLE = "4"
"""Seconds; longer than an SCU is away whose receiver was killed."""


@pytest.fixture(scope="module")
def path_6(amqp_url_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePath]:
    """The whole path with a CUBE that registers series, and two registrars."""
    folder = tmp_path_factory.mktemp("path")
    with WholePath(folder, amqp_url_of_module, unique=True, generation=6) as whole:
        for _ in range(2):
            whole.registrar(Options(), SERIES_SETTLE_SECONDS=SETTLE)
        yield whole


def instances(first: int) -> list[Instance]:
    """Several series, mixed: each comes over many associations."""
    return [
        instance(number, series=first + series, size=20_000)
        for number in range(1, INSTANCES + 1)
        for series in range(SERIES)
    ]


def wait_for_some(rng: random.Random, scu: ResendingSCU) -> None:
    """Wait until some more are acknowledged, or all is sent."""
    wanted = len(scu.ledger.acknowledged) + rng.randrange(3, SERIES * INSTANCES // 4)
    eventually(lambda: len(scu.ledger.acknowledged) >= wanted or not scu.is_sending, 30, every=0.001)


def check(path: WholePath, scu: ResendingSCU) -> None:
    """All was acknowledged, nothing is lost, each series is registered with one 201 and all of its files."""
    scu.join()
    report = path.report(scu, seconds=60)
    report.check()
    assert len(report.acknowledged) == SERIES * INSTANCES
    assert not path.dead_letters
    ours = [row for row in path.cube.control.registrations() if f"/{scu.calling}/" in row["path"]]
    assert [row["ndicom"] for row in ours] == [INSTANCES] * SERIES
    created = path.cube.control.created()
    assert {created[row["path"]] for row in ours} == {1}


def test_whatever_is_killed_in_turn(path_6: WholePath) -> None:
    for number in rounds(1, 10):
        rng = seeded(f"series-{number}")
        scu = path_6.scu(f"SERIES{number}", patience=3)
        with (
            path_6.receiver(CHRIS_RECEIVER_ID="one", CHRIS_LISTENER_PROCESSES=2) as one,
            path_6.receiver(CHRIS_RECEIVER_ID="two"),
        ):
            scu.start(instances(number * SERIES), per_association=5)
            victims = ["listener", "relay", "registrar", "listener"]
            rng.shuffle(victims)
            for victim in victims:
                wait_for_some(rng, scu)
                if victim == "registrar":
                    registrar = rng.choice(path_6.registrars)
                    registrar.kill()
                    registrar.start()
                elif children := one.children(victim):
                    os.kill(killed := rng.choice(children), signal.SIGKILL)
                    eventually(partial(is_gone, killed))
            check(path_6, scu)


def test_a_receiver_that_is_killed_whole_leaves_its_series_to_another(path_6: WholePath) -> None:
    for number in rounds(1, 10):
        rng = seeded(f"whole-{number}")
        scu = path_6.scu(f"WHOLE{number}", patience=3)
        with (
            path_6.receiver(CHRIS_RECEIVER_ID="survivor"),
            path_6.receiver(amqp_url=NO_BROKER, CHRIS_RECEIVER_ID="victim") as victim,
        ):
            scu.start(instances(1000 + number * SERIES), per_association=5)
            wait_for_some(rng, scu)
            victim.kill_whole()
            check(path_6, scu)


@pytest.mark.skipif(not is_large(), reason="played in tests/unit/registrar/series")
def test_cube_that_is_away_for_longer_than_any_delay(path_6: WholePath) -> None:
    scu = path_6.scu("AWAY")
    with path_6.receiver():
        path_6.cube.kill()
        scu.send(instances(2000), per_association=30)
        eventually(lambda: any(registrar.events("cube_outage") for registrar in path_6.registrars), 30)
        path_6.cube.start()
        check(path_6, scu)
