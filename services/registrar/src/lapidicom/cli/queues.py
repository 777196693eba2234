"""How many messages wait, seen without touching them: the work queue and the delay queues."""

from collections.abc import Iterable
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection

from lapidicom.cli.broker_look import count
from lapidicom.common.topology import WORK_QUEUE, delay_queue


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages that nobody holds; what a registrar has in its hands is not among them.

    Attributes:
        work: in the work queue.
        delayed: in the delay queues: retried and parked ones.
    """

    work: int
    delayed: int

    @property
    def total(self) -> int:
        """All together."""
        return self.work + self.delayed


async def waiting(link: "AbstractConnection", delays: Iterable[int]) -> Waiting:
    """Count them by passive declarations; a queue that does not exist holds nothing.

    The delay queues come first: what expires while we look is then seen in the work queue.

    Args:
        link: to RabbitMQ.
        delays: seconds of the delay queues.

    Raises:
        BrokerError: the broker does not answer.
    """
    delayed = 0
    for seconds in sorted(set(delays)):
        found = await count(link, delay_queue(seconds))
        delayed += 0 if found is None else found.ready
    work = await count(link, WORK_QUEUE)
    return Waiting(0 if work is None else work.ready, delayed)
