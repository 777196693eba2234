"""The connection to RabbitMQ is cut with a traced delivery in hand: it comes again, in the same trace."""

from pathlib import Path

from lapidicom.common.topology import WORK_QUEUE
from tests.support.cutting_proxy import Way, proxy_of, through
from tests.support.instances import instance
from tests.support.otlp_collector import OtlpCollector
from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.registrar.__main__ import Options
from tests.support.whole_path import WholePath

CALLING = "TRACED"
DELIVERY = "process lapidicom:instance.stored"


def test_a_delivery_whose_connection_is_lost_is_traced_again(
    amqp_url: str, collector: OtlpCollector, tmp_path: Path
) -> None:
    with proxy_of(amqp_url) as proxy, WholePath(tmp_path, through(amqp_url, proxy.port)) as path:
        path.start(options=Options(pace={"read": 30}), **collector.settings)
        path.cube.control.hang()
        assert path.send(CALLING, instance(1)) == [0]
        eventually(lambda: collector.named("publish lapidicom:series.received"), what="all is published")
        eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 0, 20, what="all is in hand")
        proxy.cut(Way.RESET)
        eventually(lambda: path.registrars[0].events("broker_consumer_lost"), 30, what="it is seen")
        path.cube.control.heal()
        path.until_registered(1)  # maybe by the first delivery's POST: the second needs the connection
        eventually(lambda: len(collector.named(DELIVERY)) >= 2, 60, what="it is delivered again")
        path.stop()
        text = path.log_text()
    deliveries = collector.named(DELIVERY)
    assert len({span.trace_id for span in deliveries}) == 1
    assert len({span.parent_id for span in deliveries}) == 1
    assert "never retrieved" not in text
    assert "destroyed" not in text
