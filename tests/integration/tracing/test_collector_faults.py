"""A collector that hangs or refuses: the services lose spans, and nothing else."""

import pytest

from tests.support.instances import instance
from tests.support.otlp_collector import Manner, OtlpCollector
from tests.support.stack import Stack


@pytest.mark.parametrize("manner", ["hangs", "refuses"])
def test_a_collector_that_takes_nothing_stops_nothing(stack: Stack, manner: Manner) -> None:
    with OtlpCollector(manner) as collector:
        queue = {"OTEL_BSP_MAX_QUEUE_SIZE": "32", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}
        stack.start(**collector.settings, **queue)
        count = 120
        assert stack.send(*(instance(number) for number in range(1, count + 1))) == [0] * count
        stack.until_registered(count)
        assert collector.requests > 0
        stack.stop()  # while the collector still hangs
        assert set(stack.cube.control.counts().values()) == {1}
    if manner == "refuses":  # said once by each process, not for each batch
        lost = [line["process"] for line in stack.receiver.events("spans_lost")]
        assert sorted(lost) == ["listener", "relay"]
        assert len(stack.registrar.events("spans_lost")) == 1
