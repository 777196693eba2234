"""Times that are no settings: how long the registrar waits for CUBE and RabbitMQ, and between tries."""

from dataclasses import dataclass

from lapidicom.registrar.consumer.session import SUSPECT_PAUSE
from lapidicom.registrar.cube.availability import SHARED_SECONDS


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds; tests make them short.

    Attributes:
        connect: for a TCP connection to CUBE.
        read: for CUBE's answer to a registration.
        probe: for CUBE's answer to a probe.
        probe_shared: for which a failed probe is not repeated.
        first_pause: after the first failure; pauses double.
        longest_pause: between tries to reach RabbitMQ.
        longest_outage_pause: between probes in an outage.
        look: between two looks whether the queue knows its consumer.
        publish: for one confirmed publish.
        suspect: before each suspect delivery.
    """

    connect: float = 5.0
    read: float = 60.0
    probe: float = 10.0
    probe_shared: float = SHARED_SECONDS
    first_pause: float = 1.0
    longest_pause: float = 30.0
    longest_outage_pause: float = 60.0
    look: float = 30.0
    publish: float = 10.0
    suspect: float = SUSPECT_PAUSE
