"""Times that are no settings: how long the registrar waits for CUBE and RabbitMQ, and between tries."""

from dataclasses import dataclass

from lapidicom.registrar.consumer.breaker import CLOCK_SECONDS, FEW_SECONDS, WINDOW_SECONDS
from lapidicom.registrar.consumer.retry import VISIBLE_SECONDS
from lapidicom.registrar.consumer.session import SUSPECT_PAUSE
from lapidicom.registrar.cube.probe import SHARED_SECONDS
from lapidicom.registrar.mount import LOOK_SECONDS, WATCH_SECONDS
from lapidicom.registrar.readiness import PARKING_SECONDS


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds; tests make them short.

    Attributes:
        connect: for a connection to CUBE.
        read: for a whole registration, from its token and connection to the last byte of the answer.
        probe: for a whole request of a probe.
        probe_shared: for which a failed probe is not repeated.
        first_pause: after the first failure; pauses double.
        longest_pause: between tries to reach RabbitMQ.
        longest_outage_pause: between probes in an outage.
        look: between two looks whether the queue knows its consumer.
        publish: for one confirmed publish.
        suspect: before each suspect delivery.
        window: within which a third patient must fail before all failures are the system's fault.
        few: after which failures too few to be the system's fault are their messages'.
        clocks: by which the clocks of registrars may differ.
        visible: after which a file that CUBE or we do not see makes its message a dead letter.
        volume_watch: between two looks whose volume our mount is.
        volume_look: for one look at our mount.
        parking: for which messages may be parked without a success before the registrar is not ready.
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
    window: float = WINDOW_SECONDS
    few: float = FEW_SECONDS
    clocks: float = CLOCK_SECONDS
    visible: float = VISIBLE_SECONDS
    volume_watch: float = WATCH_SECONDS
    volume_look: float = LOOK_SECONDS
    parking: float = PARKING_SECONDS
