"""Why there is no connection to RabbitMQ: in its own words, and where it was sought."""

import asyncio
import socket

import pytest

from lapidicom.common.broker import ConnectionLost, connection
from tests.support.broker import PASSWORD, USER, Broker
from tests.support.ports import free_port


def why_not(url: str, seconds: float = 5) -> str:
    async def connect() -> None:
        async with connection(url, "test", seconds=seconds):
            pytest.fail("it is connected")

    with pytest.raises(ConnectionLost) as caught:
        asyncio.run(connect())
    return str(caught.value)


def test_a_virtual_host_that_does_not_exist(broker: Broker) -> None:
    assert why_not(broker.url("no-such-vhost")) == (
        "refused the connection: 530 NOT_ALLOWED - vhost no-such-vhost not found"
    )


def test_a_wrong_password(broker: Broker) -> None:
    url = broker.url("test-001").replace(f":{PASSWORD}@", ":hush@")
    told = why_not(url)
    assert told.startswith("refused the connection: 403 ACCESS_REFUSED - Login was refused")
    assert "hush" not in told


def test_a_user_without_rights_in_the_virtual_host(broker: Broker) -> None:
    broker.ctl("add_user", "stranger", "hush")
    url = broker.url("test-001").replace(f"{USER}:{PASSWORD}@", "stranger:hush@")
    told = why_not(url)
    assert told.startswith(
        "refused the connection: 530 NOT_ALLOWED - access to vhost 'test-001' refused for user 'stranger'"
    )
    assert "hush" not in told


def test_a_limit_of_connections(broker: Broker) -> None:
    vhost = broker.fresh_vhost()
    broker.ctl("set_vhost_limits", "-p", vhost, '{"max-connections": 0}')
    assert why_not(broker.url(vhost)).startswith(
        "refused the connection: 530 NOT_ALLOWED - access to vhost "
        f"'{vhost}' refused for user '{USER}': connection limit (0) is reached"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("amqp://user:hush@name.invalid/vhost", "name.invalid:5672: the host name cannot be resolved ("),
        (
            "amqp://user:hush@127.0.0.1:{free}/vhost",
            "127.0.0.1:{free}: connection refused: nothing listens there",
        ),
        ("amqps://user:hush@127.0.0.1:{port}/vhost", "127.0.0.1:{port}: no TLS there: a port without TLS?"),
    ],
)
def test_a_server_that_is_not_there(broker: Broker, url: str, reason: str) -> None:
    ports = {"free": free_port(), "port": broker.port}
    assert why_not(url.format(**ports)).startswith(f"{reason.format(**ports)}")


def test_a_broker_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        assert why_not(f"amqp://{where}/", 0.2) == f"{where}: no answer in time"
