"""What the journal is compared with: a receiver that publishes before it answers with success.

The product's receiver, with another journal put in: nothing is appended; after file and folder are
durable the message is published, and success waits for the broker's confirm. A prototype for
measuring (docs/adr/0002): no reconnect, and while RabbitMQ is away every instance is refused.

    python -m benchmarks.confirm_first

takes the receiver's settings from the environment, as the receiver does.
"""

import asyncio
import os
import sys
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from unittest.mock import patch

from lapidicom.common.broker import Envelope, publishers
from lapidicom.common.broker.publisher import Publisher
from lapidicom.common.file_system import FileSystem
from lapidicom.common.journal.records import parse
from lapidicom.common.settings import load
from lapidicom.common.topology import topology
from lapidicom.receiver.association.places import Places
from lapidicom.receiver.control import ControlSocket
from lapidicom.receiver.journal.writer import Entry, Journal, SeriesKey
from lapidicom.receiver.listener import app as listener
from lapidicom.receiver.listener.__main__ import ignore_signals
from lapidicom.receiver.listener.service import ListenerService
from lapidicom.receiver.relay.messages import envelope_of
from lapidicom.receiver.settings import ListenerSettings, ReceiverSettings
from lapidicom.receiver.supervisor import app as supervisor
from lapidicom.receiver.supervisor.child import Role

_URL = "BENCH_CONFIRM_FIRST_URL"  # survives in the environment of the children; AMQP_URL is no listener's
_PUBLISH_SECONDS = 30.0


class ConfirmingJournal:
    """Stands where the journal stands: publishes and waits for the confirm."""

    fault = None
    lacks_space = False
    folder = "none"

    def __init__(self, amqp_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connected = threading.Event()
        self._publisher: Publisher | None = None
        threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(amqp_url),), daemon=True
        ).start()
        if not self._connected.wait(_PUBLISH_SECONDS):
            raise RuntimeError("no connection to the broker")

    def append(
        self, records: Sequence[bytes], *, series: SeriesKey | None = None, starts: bytes | None = None
    ) -> Entry:
        """Keep the record for `wait`."""
        return Entry(records, series=series, starts=starts)

    def wait(self, entry: Entry) -> None:
        """Publish, and wait for the confirm: file and folder are durable by now."""
        for record in entry.bodies:
            envelope = envelope_of(uuid.uuid4().hex, parse(b"0\t" + record))
            if envelope is not None:
                self._publish(envelope)

    def settle(self, entry: Entry) -> None:
        """Nothing to do."""

    def append_quietly(self, records: Sequence[bytes], *, series: SeriesKey | None = None) -> None:
        """Refusals are no part of what is compared."""

    def end(
        self, records: Sequence[bytes], series: Sequence[SeriesKey], on_durable: Callable[[], None]
    ) -> None:
        """Nor are the ends of series."""

    def close(self) -> None:
        """Nothing to do."""

    def _publish(self, envelope: Envelope) -> None:
        if self._publisher is None:
            raise RuntimeError("no connection to the broker")
        publishing = self._publisher.publish(envelope)
        asyncio.run_coroutine_threadsafe(publishing, self._loop).result(_PUBLISH_SECONDS)

    async def _run(self, amqp_url: str) -> None:
        supply: AsyncGenerator[Publisher, None] = publishers(
            amqp_url, topology((5, 30, 120, 600), 30), name="confirm-first"
        )
        async with aclosing(supply):
            async for publisher in supply:
                self._publisher = publisher
                self._connected.set()
                await publisher.ended()


def _build(settings: ListenerSettings, file_system: FileSystem, places: Places) -> ListenerService:
    class Opener:
        @staticmethod
        def open(*_: object, **__: object) -> ConfirmingJournal:
            return ConfirmingJournal(os.environ[_URL])

    with patch.object(listener, Journal.__name__, Opener):
        return listener.build(settings, file_system, places)


def _command(role: Role) -> Sequence[str]:
    if role is Role.LISTENER:
        return (sys.executable, "-m", "benchmarks.confirm_first")
    return supervisor.child_command(role)


def main() -> None:
    """Without an argument the supervisor; with one, the listener on that control descriptor."""
    if len(sys.argv) > 1:
        ignore_signals()
        os._exit(listener.run(ControlSocket.of_descriptor(int(sys.argv[1])), build=_build))
    os.environ[_URL] = os.environ["AMQP_URL"]
    settings = load(ReceiverSettings, os.environ)
    sys.exit(supervisor.run(settings, child_command=_command, environ=os.environ))


if __name__ == "__main__":
    main()
