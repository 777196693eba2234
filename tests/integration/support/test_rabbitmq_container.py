"""A broker in a container, against an engine that keeps its promises: a stand-in for `docker`."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.support import rabbitmq_container
from tests.support.broker import BrokerError
from tests.support.polling import eventually
from tests.support.rabbitmq import kinds, open_broker
from tests.support.rabbitmq_container import ContainerBroker

ENGINE = """
import os, shutil, signal, subprocess, sys, time, pathlib, json
home = pathlib.Path({home!r})
SERVER = '''
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        connection, _ = server.accept()
        connection.sendall(b"\\\\x01")
        connection.close()
'''
command, arguments = sys.argv[1], sys.argv[2:]
with (home / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + chr(10))
pid = lambda: int((home / "pid").read_text())
if command == "image":
    sys.exit(0 if arguments[1] == "there" else 1)
elif command == "create":
    (home / "port").write_text(arguments[arguments.index("--publish") + 1].split(":")[1])
elif command == "cp":
    shutil.copytree(arguments[0], home / "etc")
elif command == "start":
    nowhere = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = subprocess.Popen([sys.executable, "-c", SERVER, (home / "port").read_text()], **nowhere)
    (home / "pid").write_text(str(server.pid))
elif command in ("exec", "stop", "kill", "rm"):
    try:
        os.kill(pid(), signal.SIGKILL)
    except (OSError, ValueError):
        pass
elif command in ("pause", "unpause"):
    os.kill(pid(), signal.SIGSTOP if command == "pause" else signal.SIGCONT)
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    engine = tmp_path / "engine.py"
    engine.write_text(ENGINE.format(home=str(tmp_path)))
    command = shlex.join([sys.executable, str(engine)])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')  # a first line cannot name a path with a blank
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def _calls(engine: Path) -> list[list[str]]:
    return [json.loads(line) for line in (engine / "calls").read_text().splitlines()]


@pytest.mark.usefixtures("engine")
def test_a_container_is_taken_where_the_engine_has_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAPIDICOM_RABBITMQ", raising=False)
    monkeypatch.setenv("LAPIDICOM_RABBITMQ_IMAGE", "there")
    assert isinstance(open_broker(), ContainerBroker)
    monkeypatch.setenv("LAPIDICOM_RABBITMQ", "package")
    assert "container" not in kinds()
    monkeypatch.setenv("LAPIDICOM_RABBITMQ_IMAGE", "absent")
    assert rabbitmq_container.image() is None
    monkeypatch.setenv("LAPIDICOM_RABBITMQ", "container")
    with pytest.raises(BrokerError, match="no RabbitMQ"):
        open_broker()


def test_it_starts_stops_and_starts_again_on_its_port(engine: Path) -> None:
    with ContainerBroker(2, "there") as broker:
        port = broker.port
        assert broker.speaks_amqp()
        definitions = json.loads((engine / "etc" / "lapidicom-definitions.json").read_text())
        assert [vhost["name"] for vhost in definitions["vhosts"]] == ["test-001", "test-002"]
        for end in (broker.stop, broker.kill):
            end()
            eventually(lambda: not broker.speaks_amqp(), 5)
            broker.start()
            assert broker.speaks_amqp()
        assert broker.port == port
    assert [call[0] for call in _calls(engine)] == [
        *("create", "cp", "start", "exec", "stop", "start", "kill", "start", "rm")
    ]
    assert _calls(engine)[-1] == ["rm", "--force", "--volumes", broker.name]


def test_a_frozen_one_answers_when_it_is_resumed(engine: Path) -> None:
    with ContainerBroker(1, "there") as broker:
        broker.pause()
        assert not broker.speaks_amqp()
        broker.resume()
        assert broker.speaks_amqp()
        broker.resume()
    assert [call[0] for call in _calls(engine)].count("unpause") == 1


def test_what_the_engine_refuses_is_told(engine: Path) -> None:
    (engine / "bin" / "docker").write_text("#!/bin/sh\necho no such image >&2\nexit 1\n")
    with pytest.raises(BrokerError, match="docker create: no such image"):
        ContainerBroker(1, "there").start()
