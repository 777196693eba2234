"""A message that kills the process: it ends alone, and takes no neighbour along."""

from collections.abc import Callable
from typing import Any

from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_DELIVERY_LIMIT, WORK_QUEUE
from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.registrar.__main__ import Options

Start = Callable[..., Any]
Send = Callable[..., set[str]]


def test_a_message_that_kills_the_process_ends_alone_as_a_dead_letter(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.refuse_duplicates()  # what is in hand may be registered, and is not acknowledged
    paths = send(1, 12)
    poison = next(path for path in sorted(paths) if path.endswith(".3.dcm"))
    options = Options(kill_on=poison, pace={"suspect": 0.05, "first_pause": 0.02}, lives=40)
    registrar = start_registrar(options, ready=False)
    eventually(
        lambda: look(amqp_url, DEAD_LETTER_QUEUE).ready, 60, every=0.2, what="the poison is a dead letter"
    )
    eventually(lambda: cube.control.paths() == paths - {poison}, 20)
    (letter,) = take_all(amqp_url, DEAD_LETTER_QUEUE)
    assert poison in letter.body.decode()
    assert letter.routing_key == WORK_QUEUE
    assert set(cube.control.counts().values()) == {1}
    assert len(registrar.events("registrar_started")) > WORK_DELIVERY_LIMIT
