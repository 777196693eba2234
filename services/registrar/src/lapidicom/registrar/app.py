"""The registrar's composition root and life: wait for CUBE, consume, park in an outage, drain at the end."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import structlog

from lapidicom.common import lonk, telemetry
from lapidicom.common.broker import Backoff, BrokerError, Publisher, consumer, publishers, redacted
from lapidicom.common.directory_cache import directory_cache_seconds
from lapidicom.common.health import serving
from lapidicom.common.lonk import Outbox
from lapidicom.common.settings import CubeSection
from lapidicom.common.telemetry import Tracing
from lapidicom.common.topology import WORK_QUEUE, Topology, topology
from lapidicom.registrar.by_generation import by_generation
from lapidicom.registrar.consumer.breaker import Breaker
from lapidicom.registrar.consumer.circuit import Circuit
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.onward import Onward
from lapidicom.registrar.consumer.session import Session
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.clients import clients
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.http import MakeTransport, transport_to_cube
from lapidicom.registrar.cube.probe import hindrance
from lapidicom.registrar.cube.volume import Volume
from lapidicom.registrar.mount import Mount
from lapidicom.registrar.observation import Observation
from lapidicom.registrar.pace import Pace
from lapidicom.registrar.readiness import Readiness, explained
from lapidicom.registrar.series.settle_time import settle_time
from lapidicom.registrar.settings import RegistrarSettings

log = structlog.get_logger(__name__)

NAME = "lapidicom-registrar"

LONGEST_RETRY_AFTER = 600.0

Supply = Callable[[str, Topology, Pace], AsyncGenerator[Publisher, None]]


def broker_supply(amqp_url: str, declared: Topology, pace: Pace) -> AsyncGenerator[Publisher, None]:
    """Publishers on a connection of their own."""
    return publishers(
        amqp_url,
        declared,
        name=NAME,
        first_pause=pace.first_pause,
        longest_pause=pace.longest_pause,
        publish_seconds=pace.publish,
    )


class Registrar:
    """The registrar.

    Args:
        settings: of the process.
        pace: times that are no settings.
        transport: makes the connections of a client to CUBE.
        supply: yields the publishers on which messages go onward.
        volume: our mount; by default that of the settings.
    """

    def __init__(
        self,
        settings: RegistrarSettings,
        pace: Pace | None = None,
        transport: MakeTransport = transport_to_cube,
        supply: Supply = broker_supply,
        volume: Volume | None = None,
    ) -> None:
        self._settings = settings
        self._supply = supply
        self._observation = Observation()
        self._pace = pace or Pace()
        self._transport = transport
        self._amqp_url = settings.amqp_url.get_secret_value()
        self._session: Session | None = None
        self._outages = Backoff(self._pace.first_pause, self._pace.longest_outage_pause)
        self._reconnects = Backoff(self._pace.first_pause, self._pace.longest_pause)
        self._settle_time = settle_time(settings, directory_cache_seconds(settings.files_root))
        self._mount = Mount(
            volume or Volume(settings.files_root, settings.spool),
            self._pace.volume_watch,
            self._pace.volume_look,
        )
        self.readiness = Readiness(settings.park_delay, self._pace.parking)

    async def run(
        self, stop: asyncio.Event, cut: asyncio.Event, observation: Observation | None = None
    ) -> None:
        """Register until `stop` is set; then end what is in hand, until the grace period or `cut` ends.

        Args:
            stop: the first SIGTERM.
            cut: the second SIGTERM.
            observation: which parts are observed; without, none.
        """
        self._observation = observation or Observation()
        declared = topology(self._settings.retry_delays, self._settings.park_delay)
        onward = Onward(self._supply(self._amqp_url, declared, self._pace))
        readiness = self.readiness
        readiness.publishing = lambda: onward.connected
        readiness.volume, readiness.unclaimed = self._mount.fault, self._mount.unclaimed
        async with (
            self._clients() as (prober, workers),
            serving(self._settings.health_port, readiness.reasons, readiness.degraded) as port,
            lonk.publishing(self._settings.nats_address, name=NAME) as outbox,
        ):
            log.info(
                "registrar_started",
                health_port=port,
                broker=redacted(self._amqp_url),
                settle_seconds=self._settle_time.seconds,
                settle_why=self._settle_time.why,
            )
            watching = asyncio.create_task(self._mount.watch(), name="volume")
            publishing = asyncio.create_task(onward.run(), name="onward")
            working = asyncio.create_task(self._work(prober, workers, onward, declared, outbox), name="work")
            try:
                await self._until(stop, working, publishing, watching)
                await self._drain(working, cut)
            finally:
                for task in (working, publishing, watching):
                    task.cancel()
                await asyncio.gather(working, publishing, watching, return_exceptions=True)
        log.info("registrar_stopped")

    async def _until(self, stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
        """Wait for `stop`; a task that ends before has failed, and its error is raised."""
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            stopped.cancel()

    async def _drain(self, working: asyncio.Task[None], cut: asyncio.Event) -> None:
        self.readiness.stopping = True
        log.info("registrar_stopping", grace=self._settings.shutdown_grace)
        if self._session is None:
            return
        self._session.stop()
        cutting = asyncio.create_task(cut.wait())
        try:
            done, _ = await asyncio.wait(
                {working, cutting},
                timeout=self._settings.shutdown_grace,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            cutting.cancel()
        if working not in done:
            log.warning("registrar_drain_cut")

    async def _work(
        self, prober: Cube, workers: list[Cube], onward: Onward, declared: Topology, outbox: Outbox
    ) -> None:
        pace = self._pace
        circuit = Circuit(prober, Breaker(pace.window, pace.few, pace.clocks), pace.probe_shared)
        self.readiness.open_for = lambda: circuit.open_for
        ways = by_generation(
            prober,
            self._mount,
            onward.publish,
            delays=declared.delays,
            retries=self._settings.http_retries,
            patience=self._settle_time.patience,
            probe_shared=pace.probe_shared,
        )
        while not self.readiness.stopping:
            generation = await self._until_cube_is_well(prober)
            deliveries = self._observation.deliveries(
                ways[generation],
                circuit,
                onward.publish,
                declared,
                self._settings,
                self.readiness,
                _name(),
                pace.visible,
                outbox,
            )
            # While all messages fail alike, one at a time is tried.
            trial = circuit.open_for is not None
            try:
                await self._consume(workers[:1] if trial else workers, deliveries, declared, trial=trial)
            except BrokerError as error:
                log.warning("broker_consumer_lost", broker=redacted(self._amqp_url), reason=str(error))
                await asyncio.sleep(self._reconnects.next())

    async def _until_cube_is_well(self, cube: Cube) -> Generation:
        """Wait for a CUBE to register with: which generation it is may have changed meanwhile."""
        logged = None
        while True:
            generation, reason = await hindrance(cube, self._settings.registration_unit)
            if reason is None:
                break
            self.readiness.cube = reason
            if reason != logged:
                log.warning("cube_not_available", reason=reason)
                logged = reason
            await asyncio.sleep(self._outages.next())
        self.readiness.cube = None
        log.info("cube_available", url=self._settings.cube_url, registers=generation.value)
        return generation

    async def _consume(
        self, cubes: list[Cube], deliveries: Deliveries, declared: Topology, *, trial: bool
    ) -> None:
        """Consume until `stop`, until a trial has succeeded, or until an outage: then wait a while."""
        async with consumer(
            self._amqp_url,
            declared,
            WORK_QUEUE,
            name=NAME,
            prefetch=len(cubes),
            look_seconds=self._pace.look,
            make_delivery=self._observation.delivery,
        ) as consuming:
            session = Session(consuming, cubes, deliveries, self._pace.suspect, until_success=trial)
            self._session = session
            self.readiness.consuming = True
            log.info("consuming", broker=redacted(self._amqp_url), prefetch=len(cubes))
            try:
                await session.run()
            finally:
                self.readiness.consuming = False
                self._session = None
                if session.successes:
                    self._outages.reset()
                    self._reconnects.reset()
        outage = session.outage
        if outage is not None and not self.readiness.stopping:
            self.readiness.cube = f"outage: {outage.explanation or explained(outage.reason)}"
            pause = max(self._outages.next(), min(outage.retry_after or 0.0, LONGEST_RETRY_AFTER))
            log.warning(
                "cube_outage",
                reason=outage.reason,
                explanation=outage.explanation,
                status=outage.status,
                pause=round(pause, 1),
            )
            await asyncio.sleep(pause)

    def _clients(self) -> AbstractAsyncContextManager[tuple[Cube, list[Cube]]]:
        return clients(
            self._settings.slice(CubeSection),
            self._settings.pusher_threads,
            connect_seconds=self._pace.connect,
            probe_seconds=self._pace.probe,
            read_seconds=self._pace.read,
            transport=self._transport,
            observe=self._observation.transport,
        )


async def serve(settings: RegistrarSettings, registrar: Registrar | None = None) -> None:
    """Run the registrar under SIGTERM and SIGINT: the first one drains, the second one cuts that short."""
    stop, cut = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def signalled() -> None:
        (cut if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    tracing = telemetry.start(NAME)
    try:
        await (registrar or Registrar(settings)).run(stop, cut, _observation(tracing))
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.shutdown)


def _observation(tracing: Tracing | None) -> Observation | None:
    if tracing is None:
        return None
    from lapidicom.registrar.tracing import traced

    return traced(tracing)


def _name() -> str:
    return f"{socket.gethostname()}.{os.getpid()}"
