"""RabbitMQ or CUBE is away while SCUs send: they are served, no attempt is spent, nothing is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.rabbitmq import Broker
from tests.support.seeds import is_large
from tests.support.whole_path import WholePath

COUNT = 30


def instances(first: int = 1, count: int = COUNT) -> list[Instance]:
    return [instance(number, size=10_000) for number in range(first, first + count)]


@pytest.mark.parametrize("end", ["stop", "kill"] if is_large() else ["stop"])
def test_a_broker_that_ends_starts_and_freezes_is_never_noticed_by_an_scu(
    tmp_path: Path, own_broker: Broker, end: str
) -> None:
    url = own_broker.url(own_broker.fresh_vhost(), heartbeat=1)
    with WholePath(tmp_path, url) as path:
        registrar = path.registrar()
        path.cube.control.slow(0.02)
        scu = path.scu("BROKER_AWAY")
        with path.receiver() as receiver:
            own_broker.settled()
            scu.send(instances(1))  # on their way through the broker when it stops
            getattr(own_broker, end)()
            scu.send(instances(101))
            own_broker.start()
            receiver.wait_for("broker_publisher_connected", 60, count=2)
            scu.send(instances(201))
            own_broker.pause()
            scu.send(instances(301))
            assert set(scu.ledger.statuses()) == {0x0000}
            assert scu.ledger.sent == 4 * COUNT
            assert receiver.reasons() == []
            receiver.wait_for("relay_goes_back", 60, count=2)
            own_broker.resume()
            report = path.report(scu, seconds=60)
            report.check()
            assert len(report.registered) == 4 * COUNT
            assert report.dead_lettered == frozenset()
            assert receiver.events("not_ready") == []
        assert registrar.events("registration_retried") == []


def stopped(path: WholePath) -> None:
    path.cube.stop()


def without_database(path: WholePath) -> None:
    path.cube.control.database_down()


@pytest.mark.parametrize("away", [stopped, without_database])
def test_a_cube_that_is_away_costs_no_attempt_and_no_scu_notices(
    path: WholePath, away: Callable[[WholePath], None]
) -> None:
    [registrar] = path.registrars
    outages = len(registrar.events("cube_outage"))
    scu = path.scu(f"CUBE_{away.__name__.upper()}"[:16])
    with path.receiver():
        path.cube.control.slow(0.05)
        scu.start(instances())
        eventually(lambda: path.report_now(scu).registered, what="some are registered, others not yet")
        away(path)
        scu.join()
        scu.send(instances(101))
        assert set(scu.ledger.statuses()) == {0x0000}
        eventually(lambda: len(registrar.events("cube_outage")) > outages, 20, what="the outage is noticed")
        path.cube.start()
        path.cube.control.heal()
        report = path.report(scu)
        report.check()
        assert len(report.registered) == 2 * COUNT
        assert report.dead_lettered == frozenset()
    assert registrar.events("registration_retried") == []
    assert registrar.events("message_dead_lettered") == []
