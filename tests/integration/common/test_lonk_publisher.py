"""Messages of LONK by a real NATS server: away, frozen, restarted; nobody waits and nothing piles up."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator

import pytest
from structlog.testing import capture_logs

from lapidicom.cli.answers import Result
from lapidicom.cli.verbs.doctor import check_nats
from lapidicom.common import lonk, lonk_publisher
from lapidicom.common.lonk import GOODBYE_SECONDS, MOST_SERIES, Outbox, publishing, subject_of
from lapidicom.common.lonk_publisher import LonkPublisher
from tests.support.nats_server import NatsServer, Subscriber
from tests.support.polling import eventually, eventually_async

UID = "1.2.3"
SUBJECT = subject_of("PACS", UID)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(100):
            await test()

    asyncio.run(bounded())


class Sending:
    """A publisher with short pauses, and its outbox."""

    def __init__(self, url: str, answer_seconds: float = 60) -> None:
        self.outbox = Outbox()
        self.publisher = LonkPublisher(
            url, self.outbox, name="test", answer_seconds=answer_seconds, longest_pause=0.05
        )

    async def __aenter__(self) -> Outbox:
        self._task = asyncio.create_task(self.publisher.run())
        return self.outbox

    async def __aexit__(self, *_: object) -> None:
        self.outbox.close()
        self._task.cancel()
        await asyncio.wait((self._task,))


def test_cube_reads_what_it_reads_of_oxidicom(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lonk, "GOODBYE_SECONDS", 30)  # however busy the machine is

    async def test(seen: Subscriber) -> None:
        async with publishing(server.url, name="test") as outbox:
            outbox.count("MY PACS.1", UID, 1)
            await eventually_async(lambda: seen.of("oxidicom.MY_PACS_1.1_2_3"))
            for instances in range(2, 385):
                outbox.count("MY PACS.1", UID, instances)
            outbox.count("MY PACS.1", UID, 385, last=True)
            outbox.failed("MY PACS.1", "1.2.4", "late-instances")
            await eventually_async(lambda: len(seen.messages) == 3)
            outbox.done("MY PACS.1", UID)  # sent while the service ends

    with Subscriber(server.url) as seen:
        run(lambda: test(seen))
        eventually(lambda: len(seen.messages) == 4)
        assert seen.of("oxidicom.MY_PACS_1.1_2_3") == [{"ndicom": 1}, {"ndicom": 385}, {"done": True}]
        assert seen.of("oxidicom.MY_PACS_1.1_2_4") == [{"error": "late-instances"}]


def test_a_server_that_comes_later_and_one_that_is_restarted_get_the_newest_messages() -> None:
    server = NatsServer()

    async def test() -> None:
        async with Sending(server.url) as outbox:
            outbox.count("PACS", UID, 1)
            await eventually_async(lambda: "nats_away" in events(logs))
            outbox.count("PACS", UID, 2, last=True)
            await asyncio.to_thread(server.start)
            await eventually_async(lambda: "nats_connected" in events(logs))
            with Subscriber(server.url) as seen:
                for number in range(3):
                    outbox.count("PACS", UID, number)
                    outbox.done("PACS", f"1.{number}")
                    await eventually_async(lambda number=number: seen.of(subject_of("PACS", f"1.{number}")))
                    await asyncio.to_thread(server.kill)
                    outbox.failed("PACS", f"2.{number}", "other-folder")
                    await eventually_async(lambda: events(logs)[-1] == "nats_away")
                    await asyncio.to_thread(server.start)
                    await eventually_async(lambda: events(logs)[-1] == "nats_connected")

    with capture_logs() as logs:
        try:
            run(test)
        finally:
            server.kill()
    assert events(logs) == ["nats_away", "nats_connected"] * 4  # one line for each change
    assert logs[0]["reason"] == f"127.0.0.1:{server.port}: connection refused: nothing listens there"


def test_while_the_server_is_frozen_nobody_waits_and_memory_stays_flat(server: NatsServer) -> None:
    async def test() -> None:
        sending = Sending(server.url, answer_seconds=0.5)
        async with sending as outbox:
            await eventually_async(lambda: sending.publisher.connected)
            server.pause()
            try:
                fill(outbox)
                await eventually_async(lambda: "nats_away" in events(logs))
                tracemalloc.start()
                fill(outbox)
                before, _ = tracemalloc.get_traced_memory()
                for _ in range(20):
                    fill(outbox)
                    await asyncio.sleep(0.05)  # connects again and again meanwhile
                after, _ = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                assert after - before < 1 << 20
            finally:
                server.resume()
            with Subscriber(server.url) as seen:
                await eventually_async(lambda: sending.publisher.connected)
                outbox.done("PACS", UID)
                await eventually_async(lambda: seen.of(SUBJECT) == [{"done": True}])

    def fill(outbox: Outbox) -> None:
        for number in range(2 * MOST_SERIES):
            outbox.count("PACS", f"1.{number}", number, last=bool(number % 2))

    with capture_logs() as logs:
        run(test)
    # One line for each change; a machine that is busy may hold up an answer once more.
    assert events(logs) == (["nats_connected", "nats_away"] * len(logs))[: len(logs)]
    assert len(logs) >= 3


@pytest.mark.parametrize("frozen", ["when it is left", "from the start"])
def test_a_service_ends_although_the_server_is_frozen(server: NatsServer, frozen: str) -> None:
    async def test() -> None:
        async with publishing(server.url, name="test") as outbox:
            if frozen == "when it is left":
                await eventually_async(lambda: "nats_connected" in events(logs))
                server.pause()
            outbox.done("PACS", UID)
            await asyncio.sleep(0)

    if frozen == "from the start":
        server.pause()
    with capture_logs() as logs:
        run(test)
    assert 2 * GOODBYE_SECONDS <= 1  # what it may last; a machine that is busy needs longer


def test_what_the_server_has_not_taken_when_the_connection_ends_is_sent_again() -> None:
    taken: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A server that dies at the first message, and is there again."""
        writer.write(b'INFO {"max_payload":1048576}\r\n')
        async for line in reader:
            if line.startswith(b"PUB"):
                taken.append(line.split()[1])
                if len(taken) == 1:
                    break
            elif line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with Sending(f"nats://127.0.0.1:{port}") as outbox:
                outbox.done("PACS", UID)
                await eventually_async(lambda: len(taken) == 2)

    run(test)
    assert taken == [SUBJECT.encode()] * 2


def test_a_wrong_password_is_named_as_such_and_not_shown() -> None:
    async def test(url: str) -> None:
        async with Sending(url):
            await eventually_async(lambda: "nats_away" in events(logs))

    with (
        NatsServer('authorization { user: "lapidicom", password: "right" }') as server,
        capture_logs() as logs,
    ):
        run(lambda: test(server.url.replace("nats://", "nats://lapidicom:secret@")))
    assert logs[0]["reason"] == f"127.0.0.1:{server.port}: nats: 'Authorization Violation'"
    assert "secret" not in str(logs)


def test_a_user_without_the_right_to_publish_is_reported_once() -> None:
    async def test(url: str) -> None:
        async with Sending(url) as outbox:
            for number in range(5):
                outbox.done("PACS", f"1.{number}")
            await eventually_async(lambda: "nats_refuses_messages" in events(logs))
            outbox.done("PACS", UID)
            await outbox_is_empty(outbox)

    async def outbox_is_empty(outbox: Outbox) -> None:
        await eventually_async(lambda: not outbox._urgent)

    users = 'authorization { users: [{ user: "u", password: "p", permissions: { publish: "other.>" } }] }'
    with NatsServer(users) as server, capture_logs() as logs:
        run(lambda: test(server.url.replace("nats://", "nats://u:p@")))
    assert events(logs) == ["nats_connected", "nats_refuses_messages"]


def test_doctor_says_whether_nats_can_be_reached(server: NatsServer) -> None:
    async def test() -> None:
        assert await check_nats(None) == []
        (check,) = await check_nats(server.url)
        assert (check.result, check.seen) == (Result.PASS, f"127.0.0.1:{server.port}")
        server.kill()
        (check,) = await check_nats(server.url)
        assert (check.result, check.seen) == (
            Result.DEGRADED,
            f"127.0.0.1:{server.port}: connection refused: nothing listens there",
        )

    run(test)


def test_what_nats_own_client_raises_unexpectedly_ends_nothing(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(lonk_publisher.Client):
        faults = 3

        async def rtt(self, timeout: int = 1) -> float:
            if Faulty.faults:
                Faulty.faults -= 1
                raise AttributeError("a fault of the library")
            return await super().rtt(timeout)

    async def test(seen: Subscriber) -> None:
        async with Sending(server.url) as outbox:
            outbox.done("PACS", UID)
            await eventually_async(lambda: Faulty.faults == 0 and seen.of(SUBJECT))

    monkeypatch.setattr(lonk_publisher, "Client", Faulty)
    with Subscriber(server.url) as seen:
        run(lambda: test(seen))


def events(logs: list[dict[str, object]]) -> list[object]:
    return [line["event"] for line in logs]
