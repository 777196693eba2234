import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from lapidicom.registrar.cube.availability import DATABASE, NOT_CUBE, WRONG_ACCOUNT
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.http import HttpClient
from lapidicom.registrar.cube.replies import Answer, Fault, NoAnswer
from lapidicom.registrar.cube.token import NoTokenError, TokenAuth

URL = "http://cube.example/api/v1/"


class FakeCube:
    """Answers requests of the client, and remembers them."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.tokens = iter(f"token{n}" for n in range(1, 100))
        self.valid: str | None = None
        self.token_answer: httpx.Response | Exception | None = None
        self.answers: list[httpx.Response | Exception] = []
        self.seconds = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(self.seconds)
        if request.url.path.endswith("/auth-token/"):
            return self._take(self.token_answer) or self._new_token()
        if request.headers.get("authorization") != f"Token {self.valid}":
            return httpx.Response(401, json={"detail": "Invalid token."})
        return self._take(self.answers.pop(0) if self.answers else None) or httpx.Response(
            201, json={"id": 1}
        )

    def count(self, end: str) -> int:
        return len([request for request in self.requests if request.url.path.endswith(end)])

    def _take(self, answer: httpx.Response | Exception | None) -> httpx.Response | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _new_token(self) -> httpx.Response:
        self.valid = next(self.tokens)
        return httpx.Response(200, json={"token": self.valid})


def run(fake: FakeCube, test: Callable[[list[Cube]], Awaitable[None]]) -> None:
    async def with_clients() -> None:
        async with HttpClient(httpx.MockTransport(fake), connect_seconds=1, seconds=1) as http:
            auth = TokenAuth(URL, "chris", "chris1234")
            await test([Cube(http, URL, auth) for _ in range(8)])

    asyncio.run(with_clients())


def test_a_registration_is_posted_as_cube_wants_it() -> None:
    fake = FakeCube()

    async def test(cubes: list[Cube]) -> None:
        assert await cubes[0].register(b'{"path":"x"}') == Answer(201, "application/json", b'{"id":1}')

    run(fake, test)
    login, post = fake.requests
    assert (login.method, str(login.url)) == ("POST", f"{URL}auth-token/")
    assert json.loads(login.content) == {"username": "chris", "password": "chris1234"}
    assert "authorization" not in login.headers
    assert (post.method, str(post.url)) == ("POST", f"{URL}pacsfiles/")
    assert post.content == b'{"path":"x"}'
    assert post.headers["accept"] == "application/json"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["authorization"] == "Token token1"


def test_one_token_is_fetched_for_all_workers() -> None:
    fake = FakeCube()

    async def test(cubes: list[Cube]) -> None:
        for _ in range(3):
            replies = await asyncio.gather(*[cube.register(b"{}") for cube in cubes])
            assert {reply.status for reply in replies if isinstance(reply, Answer)} == {201}

    run(fake, test)
    assert fake.count("/auth-token/") == 1


def test_a_refused_token_is_renewed_once_for_all_workers() -> None:
    fake = FakeCube()

    async def test(cubes: list[Cube]) -> None:
        await cubes[0].register(b"{}")
        fake.valid = "revoked"
        replies = await asyncio.gather(*[cube.register(b"{}") for cube in cubes])
        assert {reply.status for reply in replies if isinstance(reply, Answer)} == {201}

    run(fake, test)
    assert fake.count("/auth-token/") == 2


def test_a_token_that_is_refused_again_ends_as_401() -> None:
    fake = FakeCube()
    fake.answers = [httpx.Response(401, json={}), httpx.Response(401, json={})]

    async def test(cubes: list[Cube]) -> None:
        reply = await cubes[0].register(b"{}")
        assert isinstance(reply, Answer)
        assert reply.status == 401

    run(fake, test)
    assert fake.count("/auth-token/") == 2
    assert fake.count("/pacsfiles/") == 2


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (httpx.Response(400, json={"non_field_errors": ["no"]}), WRONG_ACCOUNT),
        (httpx.Response(500, json={"error": "x"}), DATABASE),
        (httpx.Response(200, text="<html>"), f"{NOT_CUBE} (it answers 200 instead of a token)"),
        (
            httpx.Response(200, json={"token": "two\r\nlines"}),
            f"{NOT_CUBE} (it answers 200 instead of a token)",
        ),
        (httpx.Response(200, json={"token": None}), f"{NOT_CUBE} (it answers 200 instead of a token)"),
        (
            httpx.ConnectTimeout("slow"),
            "cube.example:80: no connection in time: a firewall, or a host that is down?",
        ),
        (httpx.ReadTimeout("slow"), "cube.example:80: no answer in time"),
    ],
)
def test_without_a_token_nothing_is_sent(answer: httpx.Response | Exception, detail: str) -> None:
    fake = FakeCube()
    fake.token_answer = answer

    async def test(cubes: list[Cube]) -> None:
        assert await cubes[0].register(b"{}") == NoAnswer(Fault.NO_TOKEN, detail)

    run(fake, test)
    assert fake.count("/pacsfiles/") == 0


@pytest.mark.parametrize(
    ("error", "fault", "tries"),
    [
        (httpx.ConnectError("refused"), Fault.NOT_CONNECTED, 1),
        (httpx.ConnectTimeout("slow"), Fault.NOT_CONNECTED, 1),
        (httpx.PoolTimeout("busy"), Fault.NOT_CONNECTED, 1),
        (httpx.ReadTimeout("slow"), Fault.NO_ANSWER, 1),
        (httpx.WriteTimeout("slow"), Fault.NO_ANSWER, 1),
        (httpx.ReadError("reset"), Fault.NO_ANSWER, 2),
        (httpx.WriteError("reset"), Fault.NO_ANSWER, 2),
        (httpx.RemoteProtocolError("disconnected"), Fault.NO_ANSWER, 2),
    ],
)
def test_every_failure_of_the_connection_is_a_reply(error: Exception, fault: Fault, tries: int) -> None:
    fake = FakeCube()
    fake.answers = [error] * tries

    async def test(cubes: list[Cube]) -> None:
        reply = await cubes[0].register(b"{}")
        assert isinstance(reply, NoAnswer)
        assert reply.fault is fault
        assert reply.detail.startswith("cube.example:80: ")

    run(fake, test)
    assert fake.count("/pacsfiles/") == tries


def test_a_connection_that_the_server_had_closed_is_no_failure() -> None:
    fake = FakeCube()
    fake.answers = [httpx.RemoteProtocolError("Server disconnected")]

    async def test(cubes: list[Cube]) -> None:
        reply = await cubes[0].register(b"{}")
        assert isinstance(reply, Answer)
        assert reply.status == 201

    run(fake, test)


class Dripping(httpx.AsyncByteStream):
    """A body of which a byte comes now and then, for ever: httpx's own time-out begins anew with each."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            self.sent += 1
            yield b" "


def test_a_request_has_one_deadline_however_slowly_its_answer_comes() -> None:
    fake = FakeCube()
    body = Dripping()
    fake.answers = [httpx.Response(201, stream=body)]

    async def test(cubes: list[Cube]) -> None:
        async with asyncio.timeout(30):
            assert await cubes[0].register(b"{}") == NoAnswer(
                Fault.NO_ANSWER, "cube.example:80: no answer in time"
            )

    run(fake, test)
    assert body.sent > 1
    assert fake.count("/pacsfiles/") == 1


def test_a_registration_and_the_renewal_of_its_token_have_one_deadline() -> None:
    fake = FakeCube()

    async def test(cubes: list[Cube]) -> None:
        await cubes[0].register(b"{}")
        fake.valid = "revoked"
        fake.seconds = 0.6  # each request alone is in time, two of them are not
        reply = await cubes[0].register(b"{}")
        assert reply == NoAnswer(Fault.NO_TOKEN, "cube.example:80: no answer in time")

    run(fake, test)
    assert fake.count("/auth-token/") == 2
    assert fake.count("/pacsfiles/") == 2


def test_who_gives_up_waiting_for_a_token_does_not_keep_the_others_from_it() -> None:
    fake = FakeCube()

    async def test(cubes: list[Cube]) -> None:
        first, *others = [asyncio.create_task(cube.register(b"{}")) for cube in cubes]
        while not fake.requests:
            await asyncio.sleep(0)
        first.cancel()
        replies = await asyncio.gather(*others)
        assert {reply.status for reply in replies if isinstance(reply, Answer)} == {201}

    run(fake, test)
    assert fake.count("/auth-token/") == 2


def test_the_token_is_an_authentication_of_any_client_of_httpx() -> None:
    fake = FakeCube()

    async def test() -> None:
        auth = TokenAuth(URL, "chris", "chris1234")
        async with httpx.AsyncClient(transport=httpx.MockTransport(fake), auth=auth) as client:
            for _ in range(2):
                assert (await client.post(f"{URL}pacsfiles/")).status_code == 201
            fake.valid = "revoked"
            assert (await client.post(f"{URL}pacsfiles/")).status_code == 201
            fake.valid = "revoked"
            fake.token_answer = httpx.Response(400, json={"non_field_errors": ["no"]})
            with pytest.raises(NoTokenError, match="knows no such user"):
                await client.post(f"{URL}pacsfiles/")

    asyncio.run(test())
    assert fake.count("/auth-token/") == 3


def test_a_redirect_is_not_followed() -> None:
    fake = FakeCube()
    fake.answers = [httpx.Response(301, headers={"Location": f"{URL}elsewhere/"})]

    async def test(cubes: list[Cube]) -> None:
        reply = await cubes[0].register(b"{}")
        assert isinstance(reply, Answer)
        assert reply.status == 301

    run(fake, test)
    assert fake.count("/elsewhere/") == 0


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("17", 17, 17),
        ("0", 0, 0),
        ("99999999999999", 999999999, 999999999),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 1e9, 1e11),
        ("soon", None, None),
        ("-5", None, None),
        ("", None, None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None, None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, least: float | None, most: float | None) -> None:
    fake = FakeCube()
    fake.answers = [httpx.Response(503, headers={"Retry-After": value})]

    async def test(cubes: list[Cube]) -> None:
        reply = await cubes[0].register(b"{}")
        assert isinstance(reply, Answer)
        if least is None or most is None:
            assert reply.retry_after is None
        else:
            assert reply.retry_after is not None
            assert least <= reply.retry_after <= most

    run(fake, test)
