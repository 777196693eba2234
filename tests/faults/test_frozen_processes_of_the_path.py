"""Registrar and relay frozen (SIGSTOP) while SCUs send: what they held is taken up by another, or by them.

A frozen listener is killed and replaced here. Those that go on later are in
test_exact_points_of_the_path and test_kills_on_the_path, a frozen RabbitMQ in test_rabbitmq_of_the_path.
"""

import os
import signal
from pathlib import Path

from lapidicom.common.topology import WORK_QUEUE
from tests.support.cutting_proxy import with_query
from tests.support.instances import Instance, instance
from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.receiver import PAUSABLE
from tests.support.seeds import rounds, seeded
from tests.support.whole_path import WholePath

COUNT = 40


def instances(first: int) -> list[Instance]:
    return [instance(number, size=10_000) for number in range(first, first + COUNT)]


def test_what_a_frozen_relay_and_a_frozen_registrar_held_is_registered_once(
    tmp_path: Path, amqp_url: str
) -> None:
    with WholePath(tmp_path, amqp_url) as path:
        url = with_query(amqp_url, "heartbeat=1")  # so that RabbitMQ gives a frozen consumer up soon
        first = path.registrar(AMQP_URL=url)
        second = path.registrar(AMQP_URL=url, ready=False)
        for number in rounds(1, 10):
            rng = seeded(f"frozen-{number}")
            path.cube.control.slow(0.05)
            scu = path.scu(f"FROZEN{number}")
            with path.receiver(amqp_url=url, **PAUSABLE) as receiver:
                second.kill()
                scu.start(instances(1 + number * COUNT))
                wanted = rng.randrange(1, COUNT // 2)
                eventually(lambda: len(path.report_now(scu).registered) >= wanted, 60)  # noqa: B023
                first.signal(signal.SIGSTOP)
                relay = receiver.child("relay")
                os.kill(relay, signal.SIGSTOP)
                scu.join()
                later = instances(100_001 + number * COUNT)
                scu.send(later)
                assert set(scu.ledger.statuses()) == {0x0000}
                assert receiver.children("relay") == [relay]
                assert not path.report_now(scu).published & {scu.path(one) for one in later}
                eventually(lambda: look(amqp_url, WORK_QUEUE).consumers == 0, 60, what="it is given up")
                before = len(second.events("instance_registered"))
                lost = len(first.events("broker_consumer_lost"))
                second.start()
                os.kill(relay, signal.SIGCONT)
                eventually(lambda: len(second.events("instance_registered")) > before, 60)  # noqa: B023
                first.signal(signal.SIGCONT)
                eventually(lambda: len(first.events("broker_consumer_lost")) > lost, 60)  # noqa: B023
                path.cube.control.heal()
                report = path.report(scu, seconds=90)
                report.check()
                assert len(report.registered) == 2 * COUNT
                assert report.dead_lettered == frozenset()
            assert first.events("registration_retried") + second.events("registration_retried") == []


def test_a_frozen_listener_is_killed_and_replaced_and_loses_nothing(path: WholePath) -> None:
    for number in rounds(1, 10):
        rng = seeded(f"hung-{number}")
        scu = path.scu(f"HUNG{number}")
        earlier = set(path.spool.glob("journals/2/*"))
        with path.receiver(CHRIS_CHILD_TIMEOUT=3, CHRIS_JOURNAL_TAKEOVER=600) as receiver:
            [journal] = set(path.spool.glob("journals/2/*")) - earlier
            hung = receiver.child()
            scu.start(instances(1 + number * COUNT))
            wanted = rng.randrange(1, COUNT // 2)
            eventually(lambda: len(scu.ledger.acknowledged) >= wanted, 60)  # noqa: B023
            os.kill(hung, signal.SIGSTOP)
            receiver.wait_for("child_hung", child=hung)
            receiver.wait_for("journal_finished", life=journal.name.removeprefix("receiver-1."))
            scu.join()
            scu.send(instances(100_001 + number * COUNT))
            report = path.report(scu)
            report.check()
            assert len(report.acknowledged) == 2 * COUNT
            assert receiver.stop() == 0
