"""A collector that hangs or refuses: the services lose spans, and nothing else."""

import pytest

from tests.support.instances import instance
from tests.support.otlp_collector import Manner, OtlpCollector
from tests.support.whole_path import WholePath

CALLING = "TRACED"


@pytest.mark.parametrize("manner", ["hangs", "refuses"])
def test_a_collector_that_takes_nothing_stops_nothing(path: WholePath, manner: Manner) -> None:
    with OtlpCollector(manner) as collector:
        queue = {"OTEL_BSP_MAX_QUEUE_SIZE": "32", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8"}
        path.start(**collector.settings, **queue)
        count = 120
        assert path.send(CALLING, *(instance(number) for number in range(1, count + 1))) == [0] * count
        path.until_registered(count)
        assert collector.requests > 0
        path.stop()  # while the collector still hangs
        assert set(path.cube.control.counts().values()) == {1}
    if manner == "refuses":  # said once by each process, not for each batch
        lost = [line["process"] for line in path.receivers[0].events("spans_lost")]
        assert sorted(lost) == ["listener", "relay"]
        assert len(path.registrars[0].events("spans_lost")) == 1
