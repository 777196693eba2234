"""The management API's answers, in the shapes that RabbitMQ 3.10 gives, and what stands for no answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lapidicom.cli.answers import NotVisible
from lapidicom.cli.by_http import UNSET, Management, _processes, management, number
from lapidicom.cli.settings import CommandSettings
from lapidicom.common.settings import load
from lapidicom.registrar.cube.http import HttpClient

Handler = Callable[[httpx.Request], httpx.Response]


def ask(handler: Handler, question: Callable[[Management], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(handler)
        async with HttpClient(transport, connect_seconds=1, seconds=1) as http:
            return await question(Management(http, "/", httpx.URL("http://rabbit/"), httpx.Auth()))

    return asyncio.run(run())


def answering(status: int, document: object) -> Handler:
    return lambda _: httpx.Response(status, json=document)


def test_an_alarm_is_told_by_resource_and_node_though_its_status_is_503() -> None:
    document = {
        "alarms": [{"node": "rabbit@a", "resource": "memory"}],
        "reason": "There are alarms in effect in the cluster",
        "status": "failed",
    }
    assert ask(answering(503, document), lambda api: api.alarms()) == "memory on rabbit@a"
    assert ask(answering(200, {"status": "ok"}), lambda api: api.alarms()) == ""


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answering(401, {"error": "not_authorised"}), "refuses AMQP_MANAGEMENT_URL's user: /api/queues/%2F"),
        (
            answering(401, {"error": "not_authorized", "reason": "Not management user"}),
            "refuses AMQP_MANAGEMENT_URL's user (Not management user)",
        ),
        (answering(503, {}), "answers 503"),
        (lambda _: httpx.Response(200, text="<html>"), "is not RabbitMQ's management API"),
    ],
)
def test_what_is_no_answer_is_not_visible_with_its_reason(handler: Handler, expected: str) -> None:
    found = ask(handler, lambda api: api.queues())
    assert isinstance(found, NotVisible)
    assert expected in found.reason


def test_a_server_that_is_away_is_not_visible() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request) from ConnectionRefusedError(111, "Connection refused")

    for question in (Management.alarms, Management.queues):
        found = ask(away, question)
        assert isinstance(found, NotVisible)
        assert "rabbit:80: connection refused" in found.reason


def settings(url: str, management_url: str = "") -> CommandSettings:
    return load(CommandSettings, {"AMQP_URL": url, "AMQP_MANAGEMENT_URL": management_url})


def test_without_its_address_nothing_of_it_is_visible() -> None:
    async def run() -> list[Any]:
        async with management(settings("amqp://h/v")) as api:
            return [await api.alarms(), await api.queues(), await api.get("overview")]

    assert asyncio.run(run()) == [UNSET] * 3


@pytest.mark.parametrize(
    ("url", "user"),
    [("http://a:b%40@rabbit:15672/", ("a", "b@")), ("http://rabbit:15672", ("chris", "geheim"))],
)
def test_without_a_user_of_its_own_the_one_of_amqp_is_taken(url: str, user: tuple[str, str]) -> None:
    async def run() -> tuple[str, str]:
        async with management(settings("amqp://chris:geheim@rabbit/v", url)) as api:
            assert str(api.url).rstrip("/") == "http://rabbit:15672"
            request = httpx.Request("GET", "http://rabbit/")
            sent = next(api.auth.auth_flow(request)).headers["authorization"]
            expected = next(httpx.BasicAuth(*user).auth_flow(httpx.Request("GET", "http://rabbit/")))
            return sent, expected.headers["authorization"]

    sent, expected = asyncio.run(run())
    assert sent == expected


@pytest.mark.parametrize(
    ("url", "vhost"),
    [("amqp://h", "/"), ("amqp://h/", "/"), ("amqp://h/%2F", "/"), ("amqp://h/a%20b?heartbeat=2", "a b")],
)
def test_the_vhost_is_the_one_that_amqp_means(url: str, vhost: str) -> None:
    async def run() -> str:
        async with management(settings(url)) as api:
            return api.vhost

    assert asyncio.run(run()) == vhost


@pytest.mark.parametrize(
    ("queue", "count"),
    [
        ({}, NotVisible("RabbitMQ has not counted it yet")),
        ({"messages_ready": 0}, 0),
        ({"messages_ready": 0, "messages_dlx": 2}, 2),
    ],
)
def test_a_number_that_rabbitmq_has_not_counted_yet_is_not_visible(queue: dict[str, Any], count: Any) -> None:
    assert number({"q": queue}, "q", "messages_dlx") == count
    assert number(UNSET, "q", "messages_dlx") == UNSET


def resolve(names: dict[str, list[str]], url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The processes behind a URL, where names have these addresses."""

    async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[tuple[Any, ...]]:
        if host not in names:
            raise OSError("no such name")
        return [(10 if ":" in one else 2, 1, 6, "", (one, port)) for one in names[host]]

    async def run() -> list[str]:
        return [str(one) for one in await _processes(httpx.URL(url))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "processes"),
    [
        ("http://one:8080", ["http://one:8080"]),
        ("http://several:8080", ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]),
        ("http://nobody:8080", ["http://nobody:8080"]),  # who asks it hears why
        ("https://several", ["https://several"]),
    ],
)
def test_each_address_of_a_name_is_a_process(
    url: str, processes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"one": ["10.0.0.1"], "several": ["::1", "10.0.0.2", "10.0.0.1", "10.0.0.1"]}
    assert resolve(names, url, monkeypatch) == processes
