"""Which parts of a registrar are observed: decided once, so that without traces nothing is paid for them."""

from dataclasses import dataclass

import httpx

from lapidicom.common.broker import Delivery, MakeDelivery
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.cube.clients import ObserveTransport


def _unobserved(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    return transport


@dataclass(frozen=True, slots=True)
class Observation:
    """The parts that are replaced by observed ones.

    Attributes:
        deliveries: the delivery rules.
        delivery: makes a delivery.
        transport: makes of a worker's connections to CUBE observed ones.
    """

    deliveries: type[Deliveries] = Deliveries
    delivery: MakeDelivery = Delivery
    transport: ObserveTransport = _unobserved
