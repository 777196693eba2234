"""A RabbitMQ of the tests' own: what every kind of it can do."""

import base64
import hashlib
import itertools
import json
import os
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Self
from urllib.parse import quote

from tests.support.process_groups import wait

USER = "lapidicom"
PASSWORD = "lapidicom"  # guards a node on the loopback interface that lives as long as a test run
START_SECONDS = 120.0
STOP_SECONDS = 30.0


class BrokerError(Exception):
    """The broker cannot be started; the text ends with the end of its log."""


class Broker(ABC):
    """One RabbitMQ node with a pool of virtual hosts; user and password are `lapidicom`.

    Args:
        vhosts: how many virtual hosts exist from the start; `fresh_vhost` hands them out.
    """

    def __init__(self, vhosts: int) -> None:
        self.port = 0
        self.names = [f"test-{number:03}" for number in range(1, vhosts + 1)]
        self._unused: Iterator[str] = iter(self.names)
        self._numbers = itertools.count(vhosts + 1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def url(self, vhost: str = "test-001", **parameters: str | int) -> str:
        """The AMQP URL of a virtual host; parameters such as heartbeat=2 become its query."""
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{quote(vhost, safe='')}" + (
            f"?{query}" if query else ""
        )

    def fresh_vhost(self) -> str:
        """A virtual host that no test has used."""
        name = next(self._unused, None)
        if name is None:
            name = f"test-{next(self._numbers):03}"
            self.ctl("add_vhost", name)
            self.ctl("set_permissions", "-p", name, USER, ".*", ".*", ".*")
        return name

    @abstractmethod
    def start(self) -> None:
        """Start the node, on the same port as before if it ran before; return when it takes connections."""

    @abstractmethod
    def stop(self) -> None:
        """End the node in order (SIGTERM)."""

    @abstractmethod
    def kill(self) -> None:
        """End the node at once (SIGKILL): what it had not synced is lost.

        A quorum queue that was declared within the last second comes back empty and never confirms a
        publication: crash tests declare, then let a second pass (`settled`), then go on.
        """

    @abstractmethod
    def pause(self) -> None:
        """Freeze the node: connections stay open and answer nothing."""

    @abstractmethod
    def resume(self) -> None:
        """Let a frozen node go on; nothing happens to one that is not frozen, or does not run."""

    @abstractmethod
    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node; takes a second or two."""

    @abstractmethod
    def destroy(self) -> None:
        """End everything and leave nothing behind."""

    @property
    @abstractmethod
    def stop_commands(self) -> Sequence[str]:
        """Shell commands that do the same, for a node that outlives this process."""

    def settled(self) -> None:
        """Let a quiet second pass: queues that exist now then survive a kill."""
        quiet = time.monotonic() + 1.0
        wait(lambda: time.monotonic() > quiet, 2)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def speaks_amqp(self) -> bool:
        """Whether the node takes connections: it does so only after its definitions are loaded."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # a method frame: connection.start
        except OSError:
            return False

    def version(self) -> str:
        """What the node calls itself in its first frame, such as 3.10.8; empty if it says nothing."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.settimeout(10)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            kind, size = struct.unpack(">B2xI", _exactly(connection, 7))
            properties = _exactly(connection, size) if kind == 1 else b""
        _, found, rest = properties.partition(b"\x07versionS")
        if not found:
            return ""
        (length,) = struct.unpack_from(">I", rest)
        return rest[4 : 4 + length].decode()

    def definitions(self) -> str:
        """User, virtual hosts and rights, as RabbitMQ loads them at its start."""
        rights = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
        return json.dumps(
            {
                "users": [{"name": USER, "password_hash": _hash(PASSWORD), "tags": "administrator"}],
                "vhosts": [{"name": name} for name in self.names],
                "permissions": [{"vhost": name, **rights} for name in self.names],
            }
        )


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise BrokerError("the node closed the connection")
        data += part
    return data


def _hash(password: str) -> str:
    """RabbitMQ's salted SHA-256."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
