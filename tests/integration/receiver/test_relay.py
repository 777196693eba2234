"""The relay as a process of its own, against a real RabbitMQ."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.file_system import FileSystem
from lapidicom.common.topology import WORK_QUEUE
from lapidicom.receiver.control import ControlSocket, Drain, OwnerEnded, Report, Settings
from lapidicom.receiver.journal.folder import process_identity
from lapidicom.receiver.journal.writer import Journal
from tests.support.cutting_proxy import proxy_of, through
from tests.support.journal_records import ended, instance, instance_path, key, started
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.process_groups import leash
from tests.support.queues import look, take_all


class RelayProcess:
    """`python -m lapidicom.receiver.relay`, and its supervisor's end of the control socket."""

    def __init__(self, root: Path, amqp_url: str, takeover: float = 2.0) -> None:
        self._control, theirs = ControlSocket.pair()
        with theirs:
            self.process = subprocess.Popen(
                [*leash(), sys.executable, "-m", "lapidicom.receiver.relay", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )
        settings = {
            "files_root": str(root),
            "receiver_id": "receiver-1",
            "journal_takeover": takeover,
            "journal_heartbeat": takeover / 4,
            "amqp_url": amqp_url,
            "retry_delays": [1],
            "park_delay": 1,
            "log_format": "json",
        }
        self._control.send(Settings(json.dumps(settings)))
        self._last = Report()

    def report(self) -> Report:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, _ = self._control.receive()
                assert isinstance(packet, Report)
                self._last = packet
        return self._last

    def published(self) -> int:
        return self.report().counters.get("messages_published", 0)

    def tell_end(self, name: str) -> None:
        assert self._control.send(OwnerEnded(name))

    def drain(self, grace: float = 10) -> int:
        assert self._control.send(Drain(grace))
        return self.process.wait(grace + 20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def let_go(self) -> None:
        self._control.close()


@pytest.fixture
def processes() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def start(processes: contextlib.ExitStack, root: Path, amqp_url: str) -> RelayProcess:
    relay = RelayProcess(root, amqp_url)
    processes.callback(relay.let_go)
    processes.callback(relay.kill)
    return relay


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / ".lapidicom").mkdir()
    owner = Journal.open(
        tmp_path / ".lapidicom",
        "receiver-1",
        fsync=True,
        heartbeat=0.5,
        takeover=60,
        file_system=FileSystem(),
        parent=process_identity(os.getpid()),
    )
    yield owner
    owner.close()


def store(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        entry = journal.append([instance(number)], series=key(), starts=started() if number == 0 else None)
        journal.wait(entry)
        journal.settle(entry)


def subjects(amqp_url: str) -> list[str]:
    found = []
    for message in take_all(amqp_url, WORK_QUEUE):
        body = json.loads(message.body)
        found.append(body.get("path") or f"ended {body['received']} {body['ok']}")
    return found


def paths(*numbers: int) -> list[str]:
    return [instance_path(number) for number in numbers]


def test_records_reach_the_work_queue_in_order(
    processes: contextlib.ExitStack, journal: Journal, tmp_path: Path, amqp_url: str
) -> None:
    relay = start(processes, tmp_path, amqp_url)
    store(journal, *range(200))
    journal.end([ended(200)], [key()])
    eventually(lambda: relay.published() == 201, 20)
    (messages) = take_all(amqp_url, WORK_QUEUE)
    assert [m.headers["lapidicom-id"] for m in messages] == [f"{journal.life}.{n}" for n in range(3, 204)]
    assert len({m.message_id for m in messages}) == 201
    assert {m.type for m in messages[:200]} == {"InstanceStored"}
    assert [json.loads(m.body)["path"] for m in messages[:200]] == paths(*range(200))
    assert relay.drain() == 0


def test_a_relay_killed_in_the_middle_loses_nothing(
    processes: contextlib.ExitStack, journal: Journal, tmp_path: Path, amqp_url: str
) -> None:
    first = start(processes, tmp_path, amqp_url)
    store(journal, *range(300))
    eventually(lambda: first.published() > 0, 20)
    first.kill()
    store(journal, *range(300, 400))
    second = start(processes, tmp_path, amqp_url)
    eventually(lambda: second.published() > 0, 20)
    journal.close()  # a heartbeat that goes on would say that it lives
    second.tell_end(journal.folder)
    assert second.drain() == 0
    found = subjects(amqp_url)
    assert set(found) == {*paths(*range(400)), "ended 400 False"}
    assert found[-1] == "ended 400 False"


def test_the_relay_waits_for_rabbitmq_and_ends_with_its_supervisor(
    processes: contextlib.ExitStack, journal: Journal, tmp_path: Path, amqp_url: str
) -> None:
    port = free_port()
    relay = start(processes, tmp_path, through(amqp_url, port))
    store(journal, *range(50))
    eventually(lambda: relay.report().counters.get("messages_published") == 0, 20)
    with proxy_of(amqp_url, listening=port):  # RabbitMQ comes up
        eventually(lambda: relay.published() == 50, 60)
        assert look(amqp_url, WORK_QUEUE).ready == 50
        relay.let_go()
        assert relay.process.wait(20) == 4


def test_signals_are_left_to_the_supervisor(
    processes: contextlib.ExitStack, journal: Journal, tmp_path: Path, amqp_url: str
) -> None:
    relay = start(processes, tmp_path, amqp_url)
    store(journal, 0)
    eventually(lambda: relay.published() == 1, 20)
    for number in (signal.SIGINT, signal.SIGTERM):
        relay.process.send_signal(number)
    store(journal, 1)
    eventually(lambda: relay.published() == 2, 20)
    assert relay.drain() == 0


def test_a_drain_without_a_broker_ends_with_its_grace(
    processes: contextlib.ExitStack, journal: Journal, tmp_path: Path
) -> None:
    relay = start(processes, tmp_path, "amqp://guest:guest@127.0.0.1:1/")
    store(journal, 0)
    eventually(lambda: "messages_published" in relay.report().counters, 20)
    assert relay.drain(0.5) == 0
