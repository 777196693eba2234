"""The delivery rules within spans: what becomes of a delivery stands on its CONSUMER span.

Imported only by processes that make traces.
"""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.trace import StatusCode

from lapidicom.common.broker import Delivery, Header
from lapidicom.common.broker.tracing import TracedDelivery
from lapidicom.common.messages import InstanceStored
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.consumer.headers import history
from lapidicom.registrar.consumer.result import Result
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import SUCCESSES, Verdict


class TracedDeliveries(Deliveries):
    """Ends deliveries, observed. What it publishes onward carries the context of its own span on."""

    async def handle(self, cube: Cube, delivery: Delivery) -> Verdict | None:
        """Take a delivery to its end."""
        if not isinstance(delivery, TracedDelivery):
            return await super().handle(cube, delivery)
        with delivery.in_hand():
            return await super().handle(cube, delivery)

    async def park(self, delivery: Delivery, outage: Verdict) -> None:
        """Send a message back for a while."""
        if not isinstance(delivery, TracedDelivery):
            return await super().park(delivery, outage)
        with delivery.in_hand() as span:
            span.set_attribute("lapidicom.reason", outage.reason)
            return await super().park(delivery, outage)

    async def _end(self, delivery: Delivery, result: Result) -> Verdict | None:
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(_about(delivery.headers, result))
            if result.verdict is not None and result.verdict.outcome not in SUCCESSES:
                span.set_status(StatusCode.ERROR)
        return await super()._end(delivery, result)

    async def _bury(self, delivery: Delivery, result: Result, reason: str, attempts: int) -> None:
        trace.get_current_span().set_attribute("lapidicom.dead_letter", True)
        await super()._bury(delivery, result, reason, attempts)


def _about(headers: Mapping[str, Header], result: Result) -> dict[str, str | int]:
    """What a span may tell: UIDs and codes, no path, no answer of CUBE's."""
    about: dict[str, str | int] = {"lapidicom.attempts": history(headers).attempts}
    message, verdict = result.message, result.verdict
    if message is not None:
        about |= {
            "dicom.association_id": message.association_id,
            "dicom.calling_ae_title": message.calling_ae_title,
            "dicom.series_instance_uid": message.SeriesInstanceUID,
        }
    if isinstance(message, InstanceStored):
        about |= {
            "dicom.sop_class_uid": message.SOPClassUID,
            "dicom.sop_instance_uid": message.SOPInstanceUID,
        }
    if verdict is not None:
        about |= {"lapidicom.outcome": verdict.outcome.value}
        if verdict.reason:
            about |= {"lapidicom.reason": verdict.reason}
    return about
