"""A NATS server as a child process, and a subscriber that reads LONK as CUBE does."""

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.process_groups import leash
from tests.support.requirements import tool

Message = tuple[str, dict[str, object]]
"""Subject, and what CUBE's clients get of the payload."""


class NatsServer:
    """The server, started anew at the same port.

    Args:
        configuration: text of its configuration file, such as that of its users.
    """

    def __init__(self, configuration: str = "") -> None:
        self._program = tool("nats-server", "nats-server")
        self._folder = Path(tempfile.mkdtemp(prefix="lapidicom-nats-"))
        self._configuration = self._folder / "nats.conf"
        self._configuration.write_text(configuration)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it, and wait until it speaks."""
        for _ in range(5):
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        *leash(),
                        str(self._program),
                        *("--addr", "127.0.0.1", "--port", str(self.port)),
                        *("--config", str(self._configuration)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            if eventually(lambda: self._speaks() or self._has_ended(), what="a NATS server") is not None:
                if not self._has_ended():
                    return self
                self.port = free_port()  # somebody else has taken it meanwhile
        raise AssertionError((self._folder / "log").read_text())

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _speaks(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def as_cube_reads(payload: bytes) -> dict[str, object]:
    """What CUBE 6 sends to its clients of a payload (facts: cube-contract, section 5)."""
    kind, data = payload[0], payload[1:]
    match kind:
        case 0x00:
            return {"done": True}
        case 0x01:
            return {"ndicom": int.from_bytes(data, "little", signed=False)}
        case 0x02:
            return {"error": data.decode("utf-8")}
    raise AssertionError(f"CUBE drops {payload!r}")


class Subscriber:
    """Reads all of LONK, in a thread of its own; comes back when the server does.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self.messages: list[Message] = []
        self._url = url
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._read(),))

    async def _read(self) -> None:
        client = Client()

        async def take(message: Msg) -> None:
            self.messages.append((message.subject, as_cube_reads(message.data)))

        async def ignore(_: Exception) -> None:
            """A server that is away is part of the test."""

        # Looks for a dead server once in two minutes: one that is frozen meanwhile keeps the subscription.
        await client.connect(self._url, error_cb=ignore, max_reconnect_attempts=-1, reconnect_time_wait=0)
        await client.subscribe("oxidicom.>", cb=take)
        await client.flush()
        self._ready.set()
        await self._stop.wait()
        await client.close()

    def of(self, subject: str) -> list[dict[str, object]]:
        """The messages of a series so far."""
        return [message for found, message in list(self.messages) if found == subject]

    def counts(self, subject: str) -> list[object]:
        """The counts of a series so far."""
        return [message["ndicom"] for message in self.of(subject) if "ndicom" in message]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()
