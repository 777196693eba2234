"""The broker room against a real RabbitMQ: each way to lose a message without noticing is noticed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aio_pika
import pytest

from lapidicom.common.broker import (
    BrokerError,
    ConnectionLost,
    Consumer,
    Envelope,
    Publisher,
    Refused,
    UnknownOutcome,
    Unroutable,
    connection,
    consumer,
    declare,
    publishers,
)
from lapidicom.common.topology import (
    DEAD_LETTER_EXCHANGE,
    DEAD_LETTER_QUEUE,
    EXCHANGE,
    WORK_QUEUE,
    Topology,
    delay_queue,
    topology,
)
from tests.support.polling import eventually_async
from tests.support.queues import look, take_all
from tests.support.rabbitmq import USER, Broker

DECLARED = topology([1], 2)

# What aiormq leaves behind when a connection is cut.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'FutureStore.reject_all' was never awaited:RuntimeWarning"),
]


def run(test: Callable[[], Awaitable[None]], seconds: float = 60) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await test()

    asyncio.run(bounded())


def envelope(
    number: int = 1, key: str = "instance.stored", exchange: str = EXCHANGE, **headers: Any
) -> Envelope:
    return Envelope(exchange, key, "InstanceStored", 1, f"life.{number}", b'{"n":%d}' % number, headers)


def supply(url: str, declared: Topology = DECLARED, **parameters: Any) -> Any:
    times = {"first_pause": 0.05, "longest_pause": 0.3, "publish_seconds": 2.0} | parameters
    return aclosing(publishers(url, declared, name="test", **times))


@asynccontextmanager
async def publisher(url: str) -> AsyncIterator[Publisher]:
    async with supply(url) as connected:
        yield await anext(connected)


def consuming(url: str, prefetch: int = 4, look_seconds: float = 30) -> Any:
    return consumer(url, DECLARED, WORK_QUEUE, name="test", prefetch=prefetch, look_seconds=look_seconds)


def test_a_message_arrives_with_everything_that_was_said_about_it(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            await publishing.publish(envelope(7, **{"x-death": "no", "traceparent": "00-1-2-01"}))

    run(test)
    (message,) = take_all(amqp_url, WORK_QUEUE)
    assert message.body == b'{"n":7}'
    assert message.type == "InstanceStored"
    assert message.content_type == "application/json"
    assert message.app_id == "test"
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.timestamp is not None
    own = {name: value for name, value in message.headers.items() if name != "x-delivery-count"}
    assert own == {"lapidicom-id": "life.7", "lapidicom-version": 1, "traceparent": "00-1-2-01"}


def test_each_publish_has_a_message_id_of_its_own(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            await asyncio.gather(*[publishing.publish(envelope(1)) for _ in range(20)])

    run(test)
    assert len({message.message_id for message in take_all(amqp_url, WORK_QUEUE)}) == 20


def test_every_unroutable_message_is_noticed_among_routable_ones(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            keys = ["instance.stored", "nobody.listens"] * 20
            results = await asyncio.gather(
                *[publishing.publish(envelope(1, key)) for key in keys], return_exceptions=True
            )
            assert [type(result) for result in results] == [type(None), Unroutable] * 20
            assert publishing.confirmed == 20

    run(test)


def test_messages_published_at_once_arrive_in_their_order_whatever_their_length(amqp_url: str) -> None:
    numbers = range(200)

    def message(number: int) -> Envelope:
        body = b"%d," % number + bytes(300_000 if number % 50 == 7 else 10)
        return Envelope(EXCHANGE, "instance.stored", "InstanceStored", 1, f"life.{number}", body)

    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            await asyncio.gather(*(publishing.publish(message(number)) for number in numbers))

    run(test)
    arrived = [taken.body for taken in take_all(amqp_url, WORK_QUEUE)]
    assert arrived == [message(number).body for number in numbers]


def test_a_message_for_an_exchange_that_does_not_exist_is_no_success(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            with pytest.raises(BrokerError):
                await publishing.publish(envelope(exchange="lapidicom.nowhere"))
            with pytest.raises(BrokerError):
                await publishing.publish(envelope())

    run(test)


def test_a_full_queue_refuses_and_drops_nothing(own_broker: Broker) -> None:
    vhost = own_broker.fresh_vhost()
    url = own_broker.url(vhost)

    async def test() -> None:
        async with publisher(url) as publishing:
            await publishing.publish(envelope(1))
            own_broker.ctl(
                "set_policy",
                "-p",
                vhost,
                "full",
                f"^{WORK_QUEUE}$",
                '{"max-length":1}',
                "--apply-to",
                "queues",
            )

            async def refused() -> bool:
                try:
                    await publishing.publish(envelope(2))
                except Refused:
                    return True
                return False

            await eventually_async(refused, 20)

    run(test)
    assert take_all(url, WORK_QUEUE)[0].body == b'{"n":1}'


def test_declaring_again_changes_nothing_and_makes_what_is_missing(amqp_url: str) -> None:
    async def test() -> None:
        for _ in range(2):
            async with connection(amqp_url, "test") as link:
                await declare(link, DECLARED)
                channel = await link.channel()
                await channel.queue_delete(delay_queue(1))
                await channel.exchange_delete(DEAD_LETTER_EXCHANGE)
        async with connection(amqp_url, "test") as link:
            await asyncio.gather(*[declare(link, DECLARED) for _ in range(3)])

    run(test)
    for queue in DECLARED.queues:
        assert look(amqp_url, queue.name).ready == 0


def test_our_own_names_are_all_the_rights_that_are_needed(own_broker: Broker) -> None:
    vhost = own_broker.fresh_vhost()
    url = own_broker.url(vhost)
    ours = r"^lapidicom(\..*)?$"
    own_broker.ctl("set_permissions", "-p", vhost, USER, ours, ours, ours)

    async def use() -> None:
        async with publisher(url) as publishing, consuming(url) as taking:
            await publishing.publish(envelope())
            await (await taking.deliveries.get()).ack()

    run(use)
    own_broker.ctl("set_permissions", "-p", vhost, USER, "", ours, ours)
    run(use)

    async def declare_without_the_right() -> None:
        async with connection(url, "test") as link:
            with pytest.raises(Refused, match="refused"):
                await declare(link, topology([1, 5], 2))

    run(declare_without_the_right)


def test_a_delayed_message_comes_back_to_the_work_queue(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing, consuming(amqp_url) as taking:
            await publishing.publish(envelope(3, delay_queue(1)))
            delivery = await taking.deliveries.get()
            assert (delivery.lapidicom_id, delivery.type, delivery.version, delivery.count) == (
                "life.3",
                "InstanceStored",
                1,
                0,
            )
            assert "x-death" not in delivery.headers
            await delivery.ack()

    run(test)


def test_a_delivery_that_is_not_acknowledged_comes_back_with_a_higher_count(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            await publishing.publish(envelope())
        for count in range(3):
            async with consuming(amqp_url) as taking:
                assert (await taking.deliveries.get()).count == count

    run(test)


def test_no_more_than_the_prefetch_is_in_hand(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing, consuming(amqp_url, prefetch=3) as taking:
            await asyncio.gather(*[publishing.publish(envelope(n)) for n in range(10)])
            await eventually_async(lambda: taking.deliveries.full())
            for expected in range(10):
                delivery = await taking.deliveries.get()
                assert delivery.body == b'{"n":%d}' % expected
                assert taking.deliveries.qsize() <= 3
                await delivery.ack()

    run(test)


@pytest.mark.parametrize("stopped_before", [False, True])
def test_closing_loses_no_ack(amqp_url: str, stopped_before: bool) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            await asyncio.gather(*[publishing.publish(envelope(n)) for n in range(500)])
        async with consuming(amqp_url, prefetch=500) as taking:
            deliveries = [await taking.deliveries.get() for _ in range(500)]
            if stopped_before:
                await taking.stop()
            for delivery in deliveries:
                await delivery.ack()

    run(test)
    assert take_all(amqp_url, WORK_QUEUE) == []


def test_a_stopped_consumer_gets_nothing_more_and_can_still_acknowledge(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing, consuming(amqp_url, prefetch=2) as taking:
            await asyncio.gather(*[publishing.publish(envelope(n)) for n in range(5)])
            await eventually_async(lambda: taking.deliveries.full())
            await taking.stop()
            for _ in range(2):
                await (await taking.deliveries.get()).ack()
            assert taking.deliveries.empty()

    run(test)
    assert [message.redelivered for message in take_all(amqp_url, WORK_QUEUE)] == [False] * 3


async def _end(taking: Consumer) -> BaseException:
    with pytest.raises(BrokerError) as caught:
        async with asyncio.timeout(30):
            await taking.ended()
    return caught.value


def test_a_consumer_ends_when_its_queue_is_deleted(amqp_url: str) -> None:
    async def test() -> None:
        async with consuming(amqp_url) as taking, connection(amqp_url, "test") as link:
            channel = await link.channel()
            await channel.queue_delete(WORK_QUEUE)
            assert isinstance(await _end(taking), ConnectionLost)

    run(test)


def test_a_consumer_that_the_queue_does_not_know_any_more_is_noticed(amqp_url: str) -> None:
    async def test() -> None:
        async with consuming(amqp_url, look_seconds=0.2) as taking:
            channel = await taking._channel.get_underlay_channel()
            await channel.basic_cancel(taking._tag)  # behind its back: the tag is still set
            assert "knows no consumer" in str(await _end(taking))

    run(test)


def test_a_killed_broker_ends_consumer_and_publisher_and_both_find_it_again(own_broker: Broker) -> None:
    url = own_broker.url(own_broker.fresh_vhost())

    async def test() -> None:
        async with supply(url) as connected:
            publishing = await anext(connected)
            await publishing.publish(envelope(1))
            await asyncio.to_thread(own_broker.settled)
            async with consuming(url) as taking:
                await asyncio.to_thread(own_broker.kill)
                await _end(taking)
            with pytest.raises(BrokerError):
                await publishing.publish(envelope(2))
            own_broker.start()  # in this thread: the node ends with the thread that starts it
            publishing = await anext(connected)
            await publishing.publish(envelope(2))

    run(test)
    assert [message.body for message in take_all(url, WORK_QUEUE)] == [b'{"n":1}', b'{"n":2}']


def test_a_frozen_broker_is_an_unknown_outcome_and_work_goes_on_afterwards(own_broker: Broker) -> None:
    url = own_broker.url(own_broker.fresh_vhost(), heartbeat=1)

    async def test() -> None:
        async with supply(url, publish_seconds=0.5) as connected:
            publishing = await anext(connected)
            own_broker.pause()
            with pytest.raises(UnknownOutcome):
                await publishing.publish(envelope(1))
            own_broker.resume()
            publishing = await anext(connected)
            await publishing.publish(envelope(1))

    run(test)
    assert {message.body for message in take_all(url, WORK_QUEUE)} == {b'{"n":1}'}


def test_a_consumer_of_a_frozen_broker_ends_by_its_heartbeat(own_broker: Broker) -> None:
    url = own_broker.url(own_broker.fresh_vhost(), heartbeat=1)

    async def test() -> None:
        async with consuming(url) as taking:
            own_broker.pause()
            await _end(taking)
        own_broker.resume()

    run(test)


def test_in_an_alarm_a_publish_is_unknown_and_no_connection_is_wasted_until_it_ends(
    own_broker: Broker,
) -> None:
    url = own_broker.url(own_broker.fresh_vhost())

    async def test() -> None:
        async with supply(url, publish_seconds=0.5) as connected, consuming(url) as taking:
            publishing = await anext(connected)
            own_broker.ctl("set_vm_memory_high_watermark", "0.0000001")
            with pytest.raises(UnknownOutcome):
                await publishing.publish(envelope(1))
            assert await publishing.is_blocked()
            following = asyncio.create_task(anext(connected))
            await asyncio.wait([following], timeout=2)
            assert not following.done()
            own_broker.ctl("set_vm_memory_high_watermark", "0.4")
            publishing = await following
            await publishing.publish(envelope(2))
            bodies = set()
            while b'{"n":2}' not in bodies:  # the first one may have arrived as well
                delivery = await taking.deliveries.get()
                bodies.add(delivery.body)
                await delivery.ack()

    run(test)


def test_a_broker_that_is_not_there_is_tried_again_with_growing_pauses() -> None:
    async def test() -> None:
        async with supply("amqp://u:p@127.0.0.1:1/", first_pause=0.01) as connected:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(connected)
        with pytest.raises(ConnectionLost) as caught:
            async with connection("amqp://u:s3cret@127.0.0.1:1/", "test"):
                raise AssertionError("connected")
        assert "s3cret" not in str(caught.value)

    run(test)


def test_a_dead_letter_reaches_its_queue_by_any_key(amqp_url: str) -> None:
    async def test() -> None:
        async with publisher(amqp_url) as publishing:
            await publishing.publish(envelope(1, WORK_QUEUE, DEAD_LETTER_EXCHANGE))

    run(test)
    assert len(take_all(amqp_url, DEAD_LETTER_QUEUE)) == 1
