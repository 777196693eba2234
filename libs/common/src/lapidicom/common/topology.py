"""The topology in RabbitMQ: every exchange, queue and binding of lapidicom, as data.

One declaration for RabbitMQ 3.10 to 4.x. Arguments of a queue are immutable: a change needs a new
queue name and a decision record. Why each argument is as it is: docs/messages.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

EXCHANGE = "lapidicom"
DEAD_LETTER_EXCHANGE = "lapidicom.dead-letter"
WORK_QUEUE = "lapidicom.registrations"
DEAD_LETTER_QUEUE = "lapidicom.dead-letters"

UNLIMITED = 2_147_483_647
"""A delivery limit that is never reached. -1 would make RabbitMQ 3.10 drop at the first requeue."""

WORK_DELIVERY_LIMIT = 20

Argument = str | int


@dataclass(frozen=True)
class Queue:
    """A durable quorum queue and its arguments, exactly as they are declared."""

    name: str
    arguments: dict[str, Argument] = field(hash=False)


@dataclass(frozen=True)
class Binding:
    """A route from an exchange to a queue."""

    exchange: str
    routing_key: str
    queue: str

    def __str__(self) -> str:
        return f"{self.exchange} -- {self.routing_key} -> {self.queue}"


@dataclass(frozen=True)
class Topology:
    """All that must exist in the vhost; the exchanges are durable topic exchanges."""

    exchanges: tuple[str, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    delays: tuple[int, ...]

    def delay_for(self, seconds: float) -> int:
        """The shortest delay queue that is not shorter than `seconds`, else the longest."""
        return next((delay for delay in self.delays if delay >= seconds), self.delays[-1])


def delay_queue(seconds: int) -> str:
    """Name, and routing key, of the queue in which a message waits for `seconds`."""
    return f"{WORK_QUEUE}.retry.{seconds}s"


def topology(retry_delays: Iterable[int], park_delay: int) -> Topology:
    """Build the topology for the configured delays (seconds)."""
    delays = tuple(sorted({*retry_delays, park_delay}))
    work = Queue(
        WORK_QUEUE,
        {
            "x-queue-type": "quorum",
            "x-delivery-limit": WORK_DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
            "x-dead-letter-routing-key": WORK_QUEUE,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    waiting = tuple(
        Queue(
            delay_queue(seconds),
            {
                "x-queue-type": "quorum",
                "x-message-ttl": seconds * 1000,
                "x-dead-letter-exchange": EXCHANGE,
                "x-dead-letter-routing-key": WORK_QUEUE,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        for seconds in delays
    )
    kept: dict[str, Argument] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": UNLIMITED,
        "x-overflow": "reject-publish",
    }
    events = ("instance.stored", "series.started", "series.received")
    own_keys = (WORK_QUEUE, *(queue.name for queue in waiting))
    return Topology(
        exchanges=(EXCHANGE, DEAD_LETTER_EXCHANGE),
        queues=(work, *waiting, Queue(DEAD_LETTER_QUEUE, kept)),
        bindings=(
            *(Binding(EXCHANGE, key, WORK_QUEUE) for key in events),
            *(Binding(EXCHANGE, key, key) for key in own_keys),
            Binding(DEAD_LETTER_EXCHANGE, "#", DEAD_LETTER_QUEUE),
        ),
        delays=delays,
    )
