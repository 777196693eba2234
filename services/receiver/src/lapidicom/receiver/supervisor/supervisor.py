"""The life of the process tree: started together, kept running, drained listeners first, relay last."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from time import monotonic
from typing import Final

import structlog

from lapidicom.common.health import serving
from lapidicom.common.listening_socket import listening_socket
from lapidicom.receiver.control import Drain, Report
from lapidicom.receiver.loops import RecentFailures
from lapidicom.receiver.supervisor.acceptor import Acceptor
from lapidicom.receiver.supervisor.child import Child, Role, reap_strangers
from lapidicom.receiver.supervisor.slot import Slot
from lapidicom.receiver.supervisor.state import (
    EndedListeners,
    Totals,
    degradations,
    reasons_not_ready,
    takers,
)

RELAY_GRACE: Final = 10.0
"""Seconds that the relay has for the rest after the last listener has ended."""

_LISTENER_MARGIN: Final = 10.0
"""Seconds beyond the grace for aborts, end records and the journal's last sync; then SIGKILL."""

_RELAY_MARGIN: Final = 2.0

_KILLED_MARGIN: Final = 5.0
"""Seconds in which a killed child has to end. One that the kernel holds in an I/O call is left to it."""

_TICK: Final = 1.0
_BACKLOG: Final = 256


class StartError(Exception):
    """The receiver cannot start; the text names the setting and the reason."""


@contextmanager
def _binding(setting: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(f"{setting}={port} cannot be bound: {os.strerror(error.errno or 0)}") from error


class Supervisor:
    """Runs the receiver's processes until SIGTERM or SIGINT.

    Args:
        launch: starts the process of a role and index.
        listeners: number of listener processes.
        port: TCP port of the SCP; 0 takes a free one.
        health_port: TCP port of /livez and /readyz; 0 takes a free one.
        shutdown_grace: seconds that associations have after SIGTERM.
        child_timeout: seconds without a report after which a child is killed and replaced.

    Attributes:
        has_failed: whether it ends because its loop failed again and again, and not upon a signal.
    """

    def __init__(
        self,
        launch: Callable[[Role, int], Child],
        *,
        listeners: int,
        port: int,
        health_port: int,
        shutdown_grace: float,
        child_timeout: float,
    ) -> None:
        self.has_failed = False
        self._failures = RecentFailures()
        self._port = port
        self._health_port = health_port
        self._grace = shutdown_grace
        self._listeners = [
            Slot(Role.LISTENER, index, launch, self, timeout=child_timeout) for index in range(listeners)
        ]
        self._relay = Slot(Role.RELAY, 0, launch, self, timeout=child_timeout)
        self._ended = EndedListeners()
        self._totals = Totals()
        self._acceptor: Acceptor | None = None
        self._signals = 0
        self._stop_wanted = asyncio.Event()
        self._something_ended = asyncio.Event()
        self._last_reasons: list[str] | None = None
        self._was_degraded = False
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Start everything, and return when everything has ended: after a signal, or upon `has_failed`.

        Raises:
            StartError: a port cannot be bound; no child was started.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(self._handling_signals())
            with _binding("PORT", self._port):
                listening = stack.enter_context(listening_socket(self._port, backlog=_BACKLOG))
            with _binding("HEALTH_PORT", self._health_port):
                health = serving(self._health_port, self._reasons, self._degraded)
                health_port = await stack.enter_async_context(health)
            await self._run(listening, health_port)
        self._log.info("stopped", **self._counters())

    async def _run(self, listening: socket.socket, health_port: int) -> None:
        self._acceptor = Acceptor(listening, self._takers, self._expects_taker)
        self._log.info("listening", scp_port=self._acceptor.port, health_port=health_port)
        for slot in self._slots():
            slot.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                ticking = tasks.create_task(self._tick_each_second(), name="tick")
                await self._stop_wanted.wait()
                await self._stop()
                ticking.cancel()
        finally:
            self._kill_all()

    # --- what happens to children ---

    def child_started(self, child: Child) -> None:
        """A new relay is sent all journals of ended listeners."""
        if child.role is Role.RELAY:
            self._ended.start_anew()
            self._ended.send(child.send)

    def child_reported(self, child: Child, report: Report) -> None:
        """A first report ends the wait for a live listener; a new journal ends the one before it."""
        before = child.report
        if before is None:
            asyncio.get_running_loop().call_soon(self._resume)
        elif before.journal is not None and report.journal != before.journal:
            self._owner_ended(before.journal)
        asyncio.get_running_loop().call_soon(self._note_health)

    def child_ended(self, child: Child) -> None:
        """Keep what it counted, and let the relay finish its journal."""
        if child.report is not None:
            self._totals.keep(child.report.counters)
            if child.report.journal is not None:
                self._owner_ended(child.report.journal)
        self._something_ended.set()

    def _owner_ended(self, journal: str) -> None:
        self._ended.add(journal)
        self._send_ended()

    def _send_ended(self) -> bool:
        relay = self._relay.child
        return relay is not None and self._ended.send(relay.send)

    # --- connections ---

    def _takers(self) -> Sequence[Child]:
        for slot in self._listeners:
            slot.read()
        order = takers(slot.state for slot in self._listeners)
        return [child for index in order if (child := self._listeners[index].child) is not None]

    def _expects_taker(self) -> bool:
        return any(slot.will_be_live for slot in self._listeners)

    def _resume(self) -> None:
        if self._acceptor is not None:
            self._acceptor.resume()

    # --- each second, and on signals ---

    def _slots(self) -> Iterator[Slot]:
        yield from self._listeners
        yield self._relay

    async def _tick_each_second(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 -- logged; the children go on
                self._log.error("supervisor_loop_failed", exc_info=error)
                if self._failures.add(monotonic()):
                    self.has_failed = True
                    self._stop_wanted.set()

    def _tick(self) -> None:
        self._reap()
        for slot in self._slots():
            slot.watch()
        self._send_ended()
        self._note_health()
        if self._acceptor is not None:
            self._acceptor.resume()
            self._acceptor.report()

    def _reap(self) -> None:
        for slot in self._slots():
            slot.reap()
        reap_strangers(frozenset(slot.child.pid for slot in self._slots() if slot.child is not None))

    def _signalled(self) -> None:
        self._signals += 1
        self._stop_wanted.set()
        self._something_ended.set()

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._signalled,
            signal.SIGINT: self._signalled,
            signal.SIGCHLD: self._reap,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    # --- readiness ---

    def _reasons(self) -> list[str]:
        states = [slot.state for slot in self._listeners]
        return reasons_not_ready(states, stopping=self._stop_wanted.is_set())

    def _degraded(self) -> list[str]:
        return degradations([slot.state for slot in self._listeners], self._relay.state)

    def _note_health(self) -> None:
        self._note_readiness()
        degraded = self._degraded() if self._last_reasons is not None else []
        if bool(degraded) != self._was_degraded:
            self._was_degraded = bool(degraded)
            if degraded:
                self._log.warning("degraded", reasons=degraded)
            else:
                self._log.info("degraded_no_longer")

    def _note_readiness(self) -> None:
        reasons = self._reasons()
        if self._last_reasons is None:
            if reasons and self._expects_taker():
                return  # still starting
        elif bool(reasons) == bool(self._last_reasons):
            return
        if reasons:
            self._log.warning("not_ready", reasons=reasons)
        else:
            self._log.info("ready")
        self._last_reasons = reasons

    def _counters(self) -> dict[str, int]:
        living = [slot.child.report for slot in self._slots() if slot.child is not None]
        total = self._totals.sum(report.counters for report in living if report is not None)
        total["connections_untaken"] = self._acceptor.closed_untaken if self._acceptor else 0
        return total

    # --- the end ---

    async def _stop(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
        self._log.info("stopping", grace=self._grace)
        for slot in self._listeners:
            slot.stop_replacing()
        await self._end_listeners(monotonic() + self._grace)
        self._relay.stop_replacing()
        await self._end_relay()

    async def _end_listeners(self, deadline: float) -> None:
        drained: dict[int, int] = {}  # process id: number of the signal at which it was sent a Drain
        while children := [slot.child for slot in self._listeners if slot.child is not None]:
            if self._signals > 1:
                deadline = min(deadline, monotonic())
            left = max(0.0, deadline - monotonic())
            for child in children:
                if drained.get(child.pid) != min(self._signals, 2) and child.send(Drain(left)):
                    drained[child.pid] = min(self._signals, 2)
                if monotonic() > deadline + _LISTENER_MARGIN:
                    self._kill(child)
            if monotonic() > deadline + _LISTENER_MARGIN + _KILLED_MARGIN:
                return
            await self._next_end()

    async def _end_relay(self) -> None:
        deadline = monotonic() + RELAY_GRACE
        is_drained = False
        while (child := self._relay.child) is not None:
            if not is_drained and self._send_ended():
                is_drained = child.send(Drain(max(0.0, deadline - monotonic())))
            if monotonic() > deadline + _RELAY_MARGIN:
                self._kill(child)
            if monotonic() > deadline + _RELAY_MARGIN + _KILLED_MARGIN:
                return
            await self._next_end()

    def _kill(self, child: Child) -> None:
        self._log.error("child_killed", role=child.role.value, child=child.pid)
        child.kill()

    async def _next_end(self) -> None:
        """Wait until a child has ended or a signal came, and look again each second in any case."""
        try:
            async with asyncio.timeout(_TICK):
                await self._something_ended.wait()
        except TimeoutError:
            return
        self._something_ended.clear()

    def _kill_all(self) -> None:
        for slot in self._slots():
            slot.stop_replacing()
            if slot.child is not None:
                slot.child.kill()
