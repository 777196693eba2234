"""RabbitMQ goes away, the registrar is killed or told to stop: nothing is lost, nothing counted wrongly."""

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import aio_pika
import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue
from tests.support.cube.process import CubeProcess
from tests.support.polling import eventually
from tests.support.queues import look, take_all
from tests.support.rabbitmq import Broker
from tests.support.registrar.__main__ import Options

Start = Callable[..., Any]
Send = Callable[..., set[str]]


def test_a_restarted_broker_is_found_again_and_nothing_is_lost(
    start_registrar: Start, send: Send, cube: CubeProcess, own_broker: Broker
) -> None:
    url = own_broker.url(own_broker.fresh_vhost())
    cube.refuse_duplicates()  # what was in hand comes again
    cube.control.slow(0.02)
    paths = send(1, 200, url=url)
    registrar = start_registrar(url=url)
    eventually(lambda: len(cube.control.paths()) > 20)
    own_broker.restart()
    eventually(lambda: cube.control.paths() == paths, 30, what="all registered")
    assert set(cube.control.counts().values()) == {1}
    assert registrar.stop() == 0
    assert look(url, DEAD_LETTER_QUEUE).ready == 0
    assert look(url, WORK_QUEUE).ready == 0


def test_what_must_be_parked_while_the_broker_is_away_is_not_lost(
    start_registrar: Start, send: Send, cube: CubeProcess, own_broker: Broker
) -> None:
    url = own_broker.url(own_broker.fresh_vhost(), heartbeat=1)
    registrar = start_registrar(url=url)
    cube.refuse_duplicates()  # what hangs is registered in the end, and asked for again
    cube.control.hang()
    paths = send(1, 8, url=url)
    eventually(lambda: cube.control.most_under_way() >= 4)
    own_broker.pause()
    eventually(lambda: registrar.events("onward_publish_failed"), 20, what="parking failed")
    own_broker.resume()
    cube.control.heal()
    eventually(lambda: cube.control.paths() == paths, 30, what="all registered")
    assert look(url, DEAD_LETTER_QUEUE).ready == 0


def test_a_deleted_queue_is_made_anew(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    async def delete() -> None:
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(WORK_QUEUE)

    registrar = start_registrar()
    asyncio.run(delete())
    eventually(lambda: len(registrar.events("consuming")) == 2, 15)
    paths = send(1, 3)
    eventually(lambda: cube.control.paths() == paths)


@pytest.mark.parametrize("answered", [False, True])
def test_a_killed_registrar_loses_nothing_and_registers_nothing_twice(
    answered: bool, start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.refuse_duplicates()  # what is in hand may be registered, and is not acknowledged
    paths = send(1, 60)
    doomed = start_registrar(Options(kill_at=17, answered=answered), ready=False)
    assert doomed.wait() == -signal.SIGKILL
    assert len(cube.control.paths()) < 60
    start_registrar()
    eventually(lambda: cube.control.paths() == paths, 20)
    assert set(cube.control.counts().values()) == {1}
    eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 0)
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_registrar_killed_around_its_onward_publish_loses_nothing_and_registers_nothing_twice(
    when: str, start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.fail(500, path_contains="SERVICES/PACS")
    cube.refuse_duplicates()  # what is in hand may be registered, and is not acknowledged
    paths = send(1, 20)
    doomed = start_registrar(Options(kill_publish=when), ready=False)
    assert doomed.wait() == -signal.SIGKILL
    cube.control.heal()
    start_registrar()
    eventually(lambda: cube.control.paths() == paths, 20)
    eventually(lambda: look(amqp_url, WORK_QUEUE).ready + look(amqp_url, delay_queue(1)).ready == 0)
    assert set(cube.control.counts().values()) == {1}
    assert look(amqp_url, DEAD_LETTER_QUEUE).ready == 0


def test_sigterm_ends_what_is_in_hand_and_nothing_that_was_begun_is_delivered_again(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    cube.control.slow(0.1)
    send(1, 60)
    registrar = start_registrar(CHRIS_PUSHER_THREADS="8")
    eventually(lambda: len(cube.control.paths()) >= 16)
    assert registrar.stop() == 0
    done = cube.control.paths()
    waiting = take_all(amqp_url, WORK_QUEUE)
    assert len(waiting) == 60 - len(done)
    # RabbitMQ may deliver behind its answer to the cancel, later than anybody waits; that is not begun.
    begun = set(cube.control.attempts())
    assert begun == set(done)
    assert not begun & {json.loads(message.body)["path"] for message in waiting}
    assert len(registrar.events("instance_registered")) == len(done)


def test_a_registration_that_outlasts_the_grace_comes_back(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(Options(pace={"read": 60}), CHRIS_SHUTDOWN_GRACE="0.5")
    cube.control.hang()
    send()
    eventually(lambda: cube.control.most_under_way() == 1)
    assert registrar.stop() == 0
    assert registrar.events("registrar_drain_cut")
    eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 1)


def test_a_second_sigterm_cuts_the_grace(
    start_registrar: Start, send: Send, cube: CubeProcess, amqp_url: str
) -> None:
    registrar = start_registrar(Options(pace={"read": 60}), CHRIS_SHUTDOWN_GRACE="300")
    cube.control.hang()
    send()
    eventually(lambda: cube.control.most_under_way() == 1)
    registrar.signal(signal.SIGTERM)
    eventually(lambda: "shutting down" in registrar.reasons())
    assert registrar.running
    assert registrar.stop() == 0
    eventually(lambda: look(amqp_url, WORK_QUEUE).ready == 1)
