"""The control loop of a listener: takes connections, reports, drains, and ends with the supervisor."""

import os
import select
import time
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Final, NoReturn

import structlog

from lapidicom.receiver.association.places import Places
from lapidicom.receiver.child_process import orphaned
from lapidicom.receiver.control import (
    REPORT_INTERVAL,
    Connection,
    ControlClosedError,
    ControlError,
    ControlSocket,
    Drain,
    Report,
)
from lapidicom.receiver.listener.connections import Connections
from lapidicom.receiver.listener.service import ListenerService
from lapidicom.receiver.loops import RecentFailures

ABORT_SECONDS: Final = 5.0
"""Seconds that aborted associations have to end by themselves."""

_SHORTEST_INTERVAL: Final = 0.05
"""Seconds between two reports when connections end: the supervisor's choice needs fresh counts."""

_BATCH: Final = 16
"""Packets taken before a report has its turn: a listener that only takes connections would seem silent."""


class ListenerControlLoop:
    """Runs in the main thread of the listener.

    A turn of the loop that fails is logged, and ends no association. If turns fail again and again, the
    process is drained and ends, so that the supervisor starts another.

    Args:
        control: the child's end of the control socket.
        service: what is served.
        places: the places for associations.
        failure_grace: seconds that associations have to end after the loop has failed again and again.
        on_orphaned: called when the supervisor has gone.

    Attributes:
        has_failed: whether it ends because the loop failed again and again.
    """

    def __init__(
        self,
        control: ControlSocket,
        service: ListenerService,
        places: Places,
        failure_grace: float,
        on_orphaned: Callable[[], NoReturn] = orphaned,
    ) -> None:
        self.has_failed = False
        self._control = control
        self._service = service
        self._places = places
        self._failure_grace = failure_grace
        self._on_orphaned = on_orphaned
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._connections = Connections(
            service.handler, places.total, lambda: os.eventfd_write(self._wake, 1)
        )
        self._drain_until: float | None = None
        self._aborted_at: float | None = None
        self._sent, self._due = float("-inf"), monotonic()
        self._reported = Report()
        self._lost_logged = 0
        self._failures = RecentFailures()
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Serve until drained."""
        self._control.setblocking(False)
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._is_done():
            try:
                self._turn(poll)
            except Exception as error:  # noqa: BLE001 -- logged; the associations go on
                self._turn_failed(error)
                time.sleep(_SHORTEST_INTERVAL)  # whatever it is, it must not take the processor

    def report(self) -> None:
        """Tell the supervisor how we are; if it does not read, the next report says more anyway."""
        connections = self._connections
        try:
            self._reported = self._current()
        except Exception as error:  # noqa: BLE001 -- logged; a silent listener would be killed as hung
            self._turn_failed(error)
            fault = f"internal error ({type(error).__name__})"
            self._reported = replace(
                self._reported, connections=connections.open, taken=connections.taken, fault=fault
            )
        try:
            self._control.send(self._reported)
        except ControlClosedError:
            self._on_orphaned()
        if lost := connections.lost - self._lost_logged:
            self._lost_logged = connections.lost
            self._log.error("connections_lost", count=lost, reason="no free file descriptor")

    def _current(self) -> Report:
        service, connections = self._service, self._connections
        return Report(
            connections=connections.open,
            taken=connections.taken,
            places=self._places.in_use,
            journal=service.journal(),
            fault="its control loop fails again and again" if self.has_failed else service.fault(),
            degraded=service.degraded(),
            counters={
                **service.counters(),
                "connections_closed_bare": connections.closed_bare,
                "connections_lost": connections.lost,
            },
        )

    def _turn(self, poll: select.poll) -> None:
        now = monotonic()
        if now >= self._due:
            self._sent, self._due = now, now + REPORT_INTERVAL
            self._service.look_for_hangs(self._connections.present())
            self.report()
            self._restart_if_needed()
        until = min(self._due, self._deadline())
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, until - monotonic()) * 1000 + 1)}
        if self._wake in ready:
            os.eventfd_read(self._wake)
            self._due = min(self._due, self._sent + _SHORTEST_INTERVAL)
        if self._control.fileno() in ready:
            self._receive()

    def _turn_failed(self, error: Exception) -> None:
        self._log.error("control_loop_failed", exc_info=error)
        if self._failures.add(monotonic()) and self._drain_until is None:
            self.has_failed = True
            self._log.critical("listener_restarts", reason="its control loop fails again and again")
            self._drain(self._failure_grace)

    def _restart_if_needed(self) -> None:
        service = self._service
        if self._drain_until is None and service.must_restart():
            self._log.warning("listener_restarts", reason="the volume was mounted anew")
            self._drain(0.0)

    def _receive(self) -> None:
        for _ in range(_BATCH):
            try:
                packet, descriptor = self._control.receive()
            except BlockingIOError:
                return
            except ControlError as error:
                self._log.error("control_packet_unknown", reason=str(error))
                continue
            except ControlClosedError:
                self._on_orphaned()
            if isinstance(packet, Connection):
                if descriptor is None:
                    self._connections.lose()
                else:
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
