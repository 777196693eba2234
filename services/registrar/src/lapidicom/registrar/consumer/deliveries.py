"""The delivery rules: what is published onward, and that an ack comes only behind it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import assert_never

import structlog

from lapidicom.common.broker import BrokerError, Delivery, Envelope, Header
from lapidicom.common.messages import InstanceStored, SeriesReceived
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, EXCHANGE, WORK_QUEUE, Topology, delay_queue
from lapidicom.registrar.consumer.headers import after_attempt, history
from lapidicom.registrar.consumer.registration import Registration, Result
from lapidicom.registrar.consumer.retry import GiveUp, TryAgain, decide
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import Outcome, Verdict
from lapidicom.registrar.settings import RegistrarSettings

log = structlog.get_logger(__name__)

Publish = Callable[[Envelope], Awaitable[None]]


class Deliveries:
    """Ends deliveries.

    Args:
        registration: takes a message to its outcome.
        publish: returns once the message is confirmed.
        topology: for the delay queues.
        settings: retries and delays.
        registrar: name of this registrar.
    """

    def __init__(
        self,
        registration: Registration,
        publish: Publish,
        topology: Topology,
        settings: RegistrarSettings,
        registrar: str,
    ) -> None:
        self._registration = registration
        self._publish = publish
        self._topology = topology
        self._retries = settings.http_retries
        self._delays = settings.retry_delays
        self._park_delay = settings.park_delay
        self._registrar = registrar

    async def handle(self, cube: Cube, delivery: Delivery) -> Verdict | None:
        """Take a delivery to its end.

        Returns:
            The verdict; None for a message that needs no registration.

        Raises:
            BrokerError: the consuming connection has ended; the message will be delivered again.
        """
        try:
            result = await self._registration.register(cube, delivery.type, delivery.version, delivery.body)
        except BrokerError:
            raise
        except Exception as error:
            # A fault of ours must neither stop the others nor lose the message: bounded retries.
            log.exception("registration_crashed", lapidicom_id=delivery.lapidicom_id, exc_info=error)
            result = Result(Verdict(Outcome.RETRY, f"internal-error: {type(error).__name__}"))
        await self._end(delivery, result)
        return result.verdict

    async def park(self, delivery: Delivery, reason: str, told: dict[str, object] | None = None) -> None:
        """Send a message back for a while; its attempt is not spent."""
        await self._onward(delivery, delay_queue(self._park_delay), delivery.headers)
        log.info(
            "message_parked",
            reason=reason,
            delay=self._park_delay,
            **(told or _about(delivery, Result(None))),
        )

    async def _end(self, delivery: Delivery, result: Result) -> None:
        verdict, told = result.verdict, _about(delivery, result)
        if verdict is None:
            await delivery.ack()
            log.info("series_received", **told)
            return
        match verdict.outcome:
            case Outcome.REGISTERED | Outcome.ALREADY_REGISTERED:
                await delivery.ack()
                log.debug("instance_registered", outcome=verdict.outcome.value, **told)
            case Outcome.RETRY:
                await self._retry(delivery, verdict, told)
            case Outcome.PERMANENT:
                attempts = history(delivery.headers).attempts + 1
                await self._bury(delivery, verdict, attempts, told)
            case Outcome.OUTAGE | Outcome.NOT_YET_VISIBLE | Outcome.NEWER:
                await self.park(delivery, verdict.reason, told)
            case _:
                assert_never(verdict.outcome)

    async def _retry(self, delivery: Delivery, verdict: Verdict, told: dict[str, object]) -> None:
        decision = decide(
            history(delivery.headers).attempts,
            retries=self._retries,
            delays=self._delays,
            retry_after=verdict.retry_after,
            delay_for=self._topology.delay_for,
        )
        match decision:
            case GiveUp(attempts):
                await self._bury(delivery, verdict, attempts, told)
            case TryAgain(attempts, delay):
                await self._onward(delivery, delay_queue(delay), self._headers(delivery, verdict, attempts))
                log.warning(
                    "registration_retried", reason=verdict.reason, attempts=attempts, delay=delay, **told
                )
            case _:
                assert_never(decision)

    async def _bury(
        self, delivery: Delivery, verdict: Verdict, attempts: int, told: dict[str, object]
    ) -> None:
        headers = self._headers(delivery, verdict, attempts)
        await self._onward(delivery, WORK_QUEUE, headers, exchange=DEAD_LETTER_EXCHANGE)
        log.error("message_dead_lettered", reason=verdict.reason, attempts=attempts, **told)

    async def _onward(
        self, delivery: Delivery, key: str, headers: Mapping[str, Header], exchange: str = EXCHANGE
    ) -> None:
        """Publish, then ack: a crash between the two makes a second copy, never none."""
        await self._publish(
            Envelope(
                exchange, key, delivery.type, delivery.version, delivery.lapidicom_id, delivery.body, headers
            )
        )
        await delivery.ack()

    def _headers(self, delivery: Delivery, verdict: Verdict, attempts: int) -> dict[str, Header]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return after_attempt(delivery.headers, verdict, attempts, now, self._registrar)


def _about(delivery: Delivery, result: Result) -> dict[str, object]:
    """What a log line may tell: UIDs, no path (it holds a PatientName), no answer of CUBE's."""
    told: dict[str, object] = {"lapidicom_id": delivery.lapidicom_id}
    message, verdict = result.message, result.verdict
    if message is not None:
        told |= {"association_id": message.association_id, "SeriesInstanceUID": message.SeriesInstanceUID}
    if isinstance(message, InstanceStored):
        told["SOPInstanceUID"] = message.SOPInstanceUID
    if isinstance(message, SeriesReceived):
        told |= {"received": message.received, "refused": message.refused, "ok": message.ok}
    if verdict is not None and verdict.status is not None:
        told["status"] = verdict.status
    if result.mended:
        told["mended"] = result.mended
    return told
