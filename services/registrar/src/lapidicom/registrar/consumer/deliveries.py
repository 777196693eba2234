"""The delivery rules: what is published onward, and that an ack comes only behind it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol, assert_never

import structlog

from lapidicom.common.broker import BrokerError, Delivery, Envelope, Header
from lapidicom.common.lonk import Outbox
from lapidicom.common.messages import InstanceStored, SeriesReceived, SeriesSettling, SeriesStarted
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, EXCHANGE, WORK_QUEUE, Topology, delay_queue
from lapidicom.registrar.consumer.breaker import Blame
from lapidicom.registrar.consumer.circuit import Circuit
from lapidicom.registrar.consumer.headers import Waiting, after_attempt, history, iso, while_waiting
from lapidicom.registrar.consumer.result import Result
from lapidicom.registrar.consumer.retry import (
    VISIBLE_SECONDS,
    GiveUp,
    Patience,
    TryAgain,
    Wait,
    WaitBehind,
    next_step,
    waiting_for,
)
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from lapidicom.registrar.readiness import Readiness
from lapidicom.registrar.settings import RegistrarSettings

log = structlog.get_logger(__name__)

Publish = Callable[[Envelope], Awaitable[None]]


class TakesToOutcome(Protocol):
    """Takes a message to its outcome: of an instance or of a series, by what CUBE registers."""

    async def register(self, cube: Cube, delivery: Delivery) -> Result:
        """Never raises for what CUBE, the volume or the message does."""


class Deliveries:
    """Ends deliveries.

    Args:
        registration: takes a message to its outcome.
        circuit: says whose fault a failure is.
        publish: returns once the message is confirmed.
        topology: for the delay queues.
        settings: retries and delays.
        readiness: gets notice of what was registered and parked.
        registrar: name of this registrar.
        visible_seconds: after which a file that is not visible makes its message a dead letter.
        outbox: gets notice of whole series that are in CUBE, or do not get there by themselves.
    """

    def __init__(
        self,
        registration: TakesToOutcome,
        circuit: Circuit,
        publish: Publish,
        topology: Topology,
        settings: RegistrarSettings,
        readiness: Readiness,
        registrar: str,
        visible_seconds: float = VISIBLE_SECONDS,
        outbox: Outbox | None = None,
    ) -> None:
        self._registration = registration
        self._circuit = circuit
        self._publish = publish
        self._patience = Patience(
            settings.http_retries, settings.retry_delays, topology.delay_for, visible_seconds
        )
        self._park_delay = settings.park_delay
        self._readiness = readiness
        self._registrar = registrar
        self._outbox = outbox or Outbox()

    async def handle(self, cube: Cube, delivery: Delivery) -> Verdict | None:
        """Take a delivery to its end.

        Returns:
            The verdict, an outage also where all messages fail alike; None for a message that needs no
            registration.

        Raises:
            BrokerError: the consuming connection has ended; the message will be delivered again.
        """
        try:
            result = await self._registration.register(cube, delivery)
        except BrokerError:
            raise
        except Exception as error:
            # A fault of ours must neither stop the others nor lose the message: bounded retries.
            log.exception("registration_crashed", lapidicom_id=delivery.lapidicom_id, exc_info=error)
            result = Result(Verdict(Outcome.RETRY, f"internal-error: {type(error).__name__}"))
        return await self._end(delivery, result)

    async def park(self, delivery: Delivery, outage: Verdict) -> None:
        """Send a message back for a while, untried, for an outage."""
        await self._park(delivery, Result(outage), delivery.headers)

    async def _end(self, delivery: Delivery, result: Result) -> Verdict | None:
        verdict = result.verdict
        if verdict is None:
            await delivery.ack()
            write = log.info if isinstance(result.message, SeriesReceived | SeriesStarted) else log.debug
            write(_events(result)[0], **self._fields(delivery, result))
            return None
        match verdict.outcome:
            case Outcome.REGISTERED | Outcome.ALREADY_REGISTERED:
                if not result.path:  # that CUBE takes a blank file tells nothing about instances
                    self._circuit.succeeded(result.known_good())
                    self._readiness.registered()
                await delivery.ack()
                if isinstance(result.message, SeriesSettling):
                    self._outbox.done(result.message.pacs_name, result.message.SeriesInstanceUID)
                write = log.debug if isinstance(result.message, InstanceStored) else log.info
                write(_events(result)[1], outcome=verdict.outcome.value, **self._fields(delivery, result))
            case Outcome.OUTAGE:
                await self._park(delivery, result, delivery.headers)
            case Outcome.UNKNOWN_FORMAT:
                self._readiness.met_unknown_format(delivery.type, delivery.version)
                await self._onward(delivery, result, delay_queue(self._park_delay), delivery.headers)
                log.warning(
                    "message_of_unknown_format",
                    reason=verdict.reason,
                    version=delivery.version,
                    **self._fields(delivery, result),
                )
            case Outcome.INVALID:
                await self._bury(delivery, result, verdict.reason, history(delivery.headers).attempts + 1)
            case (
                Outcome.RETRY
                | Outcome.PERMANENT
                | Outcome.REFUSED_ON_THE_WAY
                | Outcome.NOT_YET_VISIBLE
                | Outcome.BEHIND_OTHERS
                | Outcome.HELD_UP
            ):
                return await self._end_failed(delivery, result, verdict)
            case _:
                assert_never(verdict.outcome)
        return verdict

    async def _end_failed(self, delivery: Delivery, result: Result, verdict: Verdict) -> Verdict:
        """End a message that failed by itself, or, for all that is known, with all others."""
        past = history(delivery.headers)
        step = next_step(verdict, past, self._patience, self._circuit.now(), self._circuit.succeeded_since)
        match step:
            case TryAgain(attempts, delay):
                await self._retry(delivery, result, verdict, attempts, delay)
                return verdict
            case WaitBehind() if self._circuit.open_for is not None:  # the others wait without an end, too
                await self._park(delivery, result, delivery.headers)
                return verdict
            case WaitBehind(waiting, delay):
                headers = while_waiting(delivery.headers, waiting)
                await self._onward(delivery, result, delay_queue(delay), headers)
                log.info(
                    "message_waits", reason=verdict.reason, delay=delay, **self._fields(delivery, result)
                )
                return verdict
            case Wait(waiting) | GiveUp(waiting=waiting):
                is_final = isinstance(step, GiveUp)
                blame = await self._blame(result, waiting_for(verdict, past), is_final=is_final)
            case _:
                assert_never(step)
        if isinstance(step, GiveUp) and blame is Blame.MESSAGE:
            await self._bury(delivery, result, step.reason, step.attempts)
            return verdict
        await self._park(delivery, result, while_waiting(delivery.headers, waiting))
        if blame is Blame.SYSTEM:
            return Verdict(Outcome.OUTAGE, self._circuit.open_for or verdict.reason, verdict.status)
        return verdict

    async def _blame(self, result: Result, waiting: Waiting | None, *, is_final: bool) -> Blame:
        failure = result.failure()
        if failure is None:
            return Blame.MESSAGE
        return await self._circuit.blame(failure, waiting.since if waiting else None, is_final=is_final)

    async def _retry(
        self, delivery: Delivery, result: Result, verdict: Verdict, attempts: int, delay: int
    ) -> None:
        await self._onward(delivery, result, delay_queue(delay), self._attempted(delivery, verdict, attempts))
        log.warning(
            "registration_retried",
            reason=verdict.reason,
            attempts=attempts,
            delay=delay,
            **self._fields(delivery, result),
        )

    async def _park(self, delivery: Delivery, result: Result, headers: Mapping[str, Header]) -> None:
        reason = result.verdict.reason if result.verdict is not None else ""
        self._readiness.parked(reason)
        await self._onward(delivery, result, delay_queue(self._park_delay), headers)
        log.info("message_parked", reason=reason, delay=self._park_delay, **self._fields(delivery, result))

    async def _bury(self, delivery: Delivery, result: Result, reason: str, attempts: int) -> None:
        verdict = result.verdict or Verdict(Outcome.INVALID, reason)
        headers = self._attempted(delivery, replace(verdict, reason=reason), attempts)
        await self._onward(delivery, result, WORK_QUEUE, headers, exchange=DEAD_LETTER_EXCHANGE)
        if isinstance(result.message, SeriesSettling):
            self._outbox.failed(result.message.pacs_name, result.message.SeriesInstanceUID, reason)
        log.error("message_dead_lettered", reason=reason, attempts=attempts, **self._fields(delivery, result))

    async def _onward(
        self,
        delivery: Delivery,
        result: Result,
        key: str,
        headers: Mapping[str, Header],
        exchange: str = EXCHANGE,
    ) -> None:
        """Publish, then ack: a crash between the two makes a second copy, never none."""
        message_type, version, body = delivery.type, delivery.version, delivery.body
        if result.instead is not None:
            message_type, version = SeriesSettling.TYPE, SeriesSettling.VERSION
            body = result.instead.model_dump_json().encode()
        await self._publish(
            Envelope(exchange, key, message_type, version, delivery.lapidicom_id, body, headers)
        )
        await delivery.ack()

    def _attempted(self, delivery: Delivery, verdict: Verdict, attempts: int) -> dict[str, Header]:
        now = iso(self._circuit.now())
        return after_attempt(delivery.headers, verdict, attempts, now, self._registrar)

    def _fields(self, delivery: Delivery, result: Result) -> dict[str, object]:
        return {"lapidicom_id": delivery.lapidicom_id} | result.log_fields()


def _events(result: Result) -> tuple[str, str]:
    """What is logged of a message that has ended: without a registration, and with one."""
    match result.message:
        case InstanceStored():
            return "instance_awaits_series", "instance_registered"
        case SeriesReceived():
            return "series_received", "series_received" if result.path else "series_registered"
        case SeriesStarted():
            return "series_started", "series_started"
        case _:
            return "series_settling", "series_registered"
