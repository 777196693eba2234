"""What those who watch a series come are told by a registrar: CUBE 6, RabbitMQ and NATS beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lapidicom.common.lonk import subject_of
from tests.support.cube.process import CubeProcess
from tests.support.nats_server import NatsServer, Subscriber
from tests.support.polling import eventually
from tests.support.stored import instance_stored

Start = Callable[..., Any]
Send = Callable[..., set[str]]


@pytest.fixture
def cube(tmp_path: Path) -> Iterator[CubeProcess]:
    root = tmp_path / "files"
    (root / "SERVICES/PACS").mkdir(parents=True)
    with CubeProcess(root, generation=6) as process:
        yield process


def test_a_series_is_done_when_cube_has_it_and_late_instances_are_an_error(
    start_registrar: Start, send: Send
) -> None:
    series = instance_stored(1)
    subject = subject_of(series.pacs_name, series.SeriesInstanceUID)
    with NatsServer() as server:
        registrar = start_registrar(CHRIS_NATS_URL=server.url, SERIES_SETTLE_SECONDS="1")
        with Subscriber(server.url) as seen:
            send(1, 5)
            eventually(lambda: seen.of(subject)[-1:] == [{"done": True}], what="done")
            send(6, 6)
            eventually(lambda: seen.of(subject)[-1:] == [{"error": "late-instances"}], what="an error")
        server.pause()
        assert registrar.stop() == 0
    log = registrar._log.read_text()
    assert not [word for word in ("DOE", "JANE", "SERVICES/PACS") if word in log]
