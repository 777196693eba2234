"""The control loop of a listener: takes connections, reports, drains, and ends with the supervisor."""

import os
import select
from collections.abc import Callable
from time import monotonic
from typing import Final, NoReturn

import structlog

from lapidicom.receiver.child import orphaned
from lapidicom.receiver.control import (
    REPORT_INTERVAL,
    Connection,
    ControlClosedError,
    ControlSocket,
    Drain,
    Report,
)
from lapidicom.receiver.listener.connections import Connections
from lapidicom.receiver.listener.places import Places
from lapidicom.receiver.listener.service import Service

ABORT_SECONDS: Final = 5.0
"""Seconds that aborted associations have to end by themselves."""

_SHORTEST_INTERVAL: Final = 0.05
"""Seconds between two reports when connections end: the supervisor's choice needs fresh counts."""


class Shell:
    """Runs in the main thread of the listener.

    Args:
        control: the child's end of the control socket.
        service: what is served.
        places: the places for associations.
        on_orphaned: called when the supervisor has gone.
    """

    def __init__(
        self,
        control: ControlSocket,
        service: Service,
        places: Places,
        on_orphaned: Callable[[], NoReturn] = orphaned,
    ) -> None:
        self._control = control
        self._service = service
        self._places = places
        self._on_orphaned = on_orphaned
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._connections = Connections(
            service.association, places.total, lambda: os.eventfd_write(self._wake, 1)
        )
        self._drain_until: float | None = None
        self._aborted_at: float | None = None
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Serve until drained."""
        self._control.setblocking(False)
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        sent, due = float("-inf"), monotonic()
        while not self._is_done():
            now = monotonic()
            if now >= due:
                self.report()
                sent, due = now, now + REPORT_INTERVAL
            until = min(due, self._deadline())
            ready = {descriptor for descriptor, _ in poll.poll(max(0.0, until - monotonic()) * 1000 + 1)}
            if self._wake in ready:
                os.eventfd_read(self._wake)
                due = min(due, sent + _SHORTEST_INTERVAL)
            if self._control.fileno() in ready:
                self._receive()

    def report(self) -> None:
        """Tell the supervisor how we are; if it does not read, the next report says more anyway."""
        service, connections = self._service, self._connections
        counters = {**service.counters(), "connections_closed_bare": connections.closed_bare}
        report = Report(
            connections=connections.open,
            taken=connections.taken,
            places=self._places.in_use,
            life=service.life(),
            fault=service.fault(),
            degraded=service.degraded(),
            counters=counters,
        )
        try:
            self._control.send(report)
        except ControlClosedError:
            self._on_orphaned()
        if self._drain_until is None and service.must_restart():
            self._log.warning("listener_restarts", reason="the volume was mounted anew")
            self._drain(0.0)

    def _receive(self) -> None:
        while True:
            try:
                packet, descriptor = self._control.receive()
            except BlockingIOError:
                return
            except ControlClosedError:
                self._on_orphaned()
            if isinstance(packet, Connection) and descriptor is not None:
                self._connections.take(descriptor, packet)
            elif isinstance(packet, Drain):
                self._drain(packet.grace)

    def _drain(self, grace: float) -> None:
        self._log.info("draining", grace=round(grace, 1), connections=self._connections.open)
        self._drain_until = monotonic() + grace
        self._places.close()
        self._connections.stop_bare()

    def _deadline(self) -> float:
        if self._drain_until is None:
            return float("inf")
        return self._drain_until if self._aborted_at is None else self._aborted_at + ABORT_SECONDS

    def _is_done(self) -> bool:
        if self._drain_until is None:
            return False
        if self._connections.open == 0:
            return True
        now = monotonic()
        if self._aborted_at is None:
            if now < self._drain_until:
                return False
            self._log.warning("associations_aborted", connections=self._connections.open)
            self._connections.stop_all()
            self._aborted_at = now
        return now >= self._aborted_at + ABORT_SECONDS
