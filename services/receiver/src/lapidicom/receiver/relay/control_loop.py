"""The control loop of the relay: hears of ended listeners, reports, drains, and ends with the supervisor."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import NoReturn

import structlog

from lapidicom.receiver.child_process import orphaned
from lapidicom.receiver.control import (
    REPORT_INTERVAL,
    ControlClosedError,
    ControlError,
    ControlSocket,
    Drain,
    OwnerEnded,
    Report,
)
from lapidicom.receiver.relay.journals import Journals
from lapidicom.receiver.relay.publish import JournalPublisher
from lapidicom.receiver.relay.reader import RelayCounts


class RelayControlLoop:
    """Serves the control socket beside the relay's work.

    Args:
        control: the child's end of the control socket.
        journals: are given the journals of ended listeners.
        publishing: asked whether anything is left.
        counts: what is reported.
        on_orphaned: called when the supervisor has gone.

    Attributes:
        connected: whether RabbitMQ is there.
    """

    def __init__(
        self,
        control: ControlSocket,
        journals: Journals,
        publishing: JournalPublisher,
        counts: RelayCounts,
        on_orphaned: Callable[[], NoReturn] = orphaned,
    ) -> None:
        self.connected = False
        self._control = control
        self._journals = journals
        self._publishing = publishing
        self._counts = counts
        self._on_orphaned = on_orphaned
        self._drain_until: float | None = None
        self._packet = asyncio.Event()
        self._log = structlog.get_logger()

    async def serve(self) -> int:
        """Serve until drained.

        Returns:
            The exit status.
        """
        loop = asyncio.get_running_loop()
        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), self._receive)
        try:
            while self._drain_until is None:
                self.report()
                await self._wait(REPORT_INTERVAL)
            await self._drain()
        finally:
            loop.remove_reader(self._control.fileno())
        self.report()
        return 0

    def report(self) -> None:
        """Tell the supervisor how we are."""
        counts = self._counts
        report = Report(
            counters={
                "messages_published": counts.published,
                "records_never_answered": counts.never_answered,
                "journal_lines_bad": counts.lines_bad,
            }
        )
        try:
            self._control.send(report)
        except ControlClosedError:
            self._on_orphaned()

    async def _wait(self, seconds: float) -> None:
        self._packet.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._packet.wait()
        except TimeoutError:
            return

    async def _drain(self) -> None:
        """Publish what is left, for as long as the grace lasts; a later, shorter grace cuts it."""
        rest = asyncio.create_task(self._publishing.until_at_rest())
        while not rest.done():
            left = (self._drain_until or 0.0) - monotonic()
            if left <= 0:
                self._log.warning("relay_leaves_records", connected=self.connected)
                break
            self.report()
            await asyncio.wait((rest,), timeout=min(left, 0.1))
        rest.cancel()

    def _receive(self) -> None:
        while True:
            try:
                packet, _ = self._control.receive()
            except BlockingIOError:
                return
            except ControlError as error:
                self._log.error("control_packet_unknown", reason=str(error))
                continue
            except ControlClosedError:
                self._on_orphaned()
            if isinstance(packet, OwnerEnded):
                self._owner_ended(packet.journal)
            elif isinstance(packet, Drain):
                self._drain_until = monotonic() + packet.grace
            self._packet.set()

    def _owner_ended(self, name: str) -> None:
        try:
            self._journals.owner_ended(name)
        except OSError as error:
            self._log.warning("relay_cannot_look", errno=error.errno)
