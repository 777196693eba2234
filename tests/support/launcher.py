"""Runs the receiver as the product does, but starts its children with faults at exact points.

`python -m tests.support.launcher` takes the place of `lapidicom-receiver`; its children are
`python -m tests.support.launcher <role> <control descriptor>`. LAUNCHER_FAULTS holds the faults,
LAUNCHER_FOLDER the folder by which they are reported.
"""

import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from lapidicom.common import logs
from lapidicom.common.broker.publisher import Envelope
from lapidicom.common.file_system import FileSystem
from lapidicom.receiver.control import ControlSocket
from lapidicom.receiver.relay.publish import PublishesEnvelopes
from lapidicom.receiver.settings import RelaySettings
from tests.support.faults import Armed, Fault, FaultyFileSystem, arm, decode

FAULTS = "LAUNCHER_FAULTS"
FOLDER = "LAUNCHER_FOLDER"
PUBLISH = "publish"


def main() -> int:
    """Be the supervisor, or the child that the arguments name."""
    if len(sys.argv) == 1:
        return _supervisor()
    role = sys.argv[1]
    faults = arm(decode(os.environ[FAULTS]), role, Path(os.environ[FOLDER]))
    control = ControlSocket.of_descriptor(int(sys.argv[2]))
    return {"listener": _listener, "relay": _relay}[role](control, FaultyFileSystem(faults), faults)


def _supervisor() -> int:
    from lapidicom.common.settings import load
    from lapidicom.receiver.settings import ReceiverSettings
    from lapidicom.receiver.supervisor import app

    settings = load(ReceiverSettings, os.environ)
    command = (sys.executable, "-m", "tests.support.launcher")
    return app.run(settings, child_command=lambda role: (*command, role.value), environ=os.environ)


def _listener(control: ControlSocket, file_system: FileSystem, _: Sequence[tuple[Fault, Armed]]) -> int:
    from lapidicom.receiver.listener import app
    from lapidicom.receiver.listener.__main__ import ignore_signals

    ignore_signals()
    return app.run(control, file_system=file_system)


def _relay(control: ControlSocket, file_system: FileSystem, faults: Sequence[tuple[Fault, Armed]]) -> int:
    from lapidicom.receiver.relay import app
    from lapidicom.receiver.relay.__main__ import ignore_signals

    publishing = [armed for fault, armed in faults if fault.operation == PUBLISH]

    async def supply(settings: RelaySettings) -> AsyncGenerator[PublishesEnvelopes, None]:
        async for publisher in app.supply_of(settings):
            yield FaultyPublisher(publisher, publishing)

    ignore_signals()
    return app.run(control, supply=supply, file_system=file_system)


class FaultyPublisher:
    """Publishes to the real broker, with faults before a message is sent or after it is confirmed.

    `where` of a fault is sought in the message's type and body.
    """

    def __init__(self, publisher: PublishesEnvelopes, armed: Sequence[Armed]) -> None:
        self._publisher = publisher
        self._armed = armed

    async def publish(self, envelope: Envelope) -> None:
        """Publish; return once it is confirmed."""
        about = f"{envelope.type} {envelope.body.decode()}"
        due = [armed for armed in self._armed if armed.is_due(about)]
        for armed in due:
            if not armed.after:
                armed.strike()
        await self._publisher.publish(envelope)
        for armed in due:
            if armed.after:
                armed.strike()


if __name__ == "__main__":
    exit_status = main()
    logs.flush()
    # Like the product's children: threads that are held at a fault are not waited for.
    os._exit(exit_status)
