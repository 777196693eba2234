"""Which parts of a registrar are observed: decided once, so that without traces nothing is paid for them."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from lapidicom.common.broker import Delivery, MakeDelivery
from lapidicom.registrar.consumer.deliveries import Deliveries


def _leave(http: httpx.AsyncClient) -> None:
    """Observe nothing."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The parts that are replaced by observed ones.

    Attributes:
        deliveries: the delivery rules.
        delivery: makes a delivery.
        client: told of each worker's HTTP client.
    """

    deliveries: type[Deliveries] = Deliveries
    delivery: MakeDelivery = Delivery
    client: Callable[[httpx.AsyncClient], None] = _leave
