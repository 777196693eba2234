"""One session of consuming: workers, suspects, and the ways to stop (outage, shutdown, a trial that is over).

Suspects are deliveries that were in hand at two crashes or more: one of them may be what kills the
process. They are handled one at a time and in random order, so that the innocent ones get done
between the crashes and the guilty one reaches the delivery limit alone.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from lapidicom.common.broker import BrokerError, Consumer, Delivery
from lapidicom.registrar.consumer.deliveries import Deliveries
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.outcomes import SUCCESSES, Outcome, Verdict

log = structlog.get_logger(__name__)

SUSPECT_COUNT = 2

SUSPECT_PAUSE = 0.5
"""Seconds before each suspect: the others arrive, and the ack of the one before is safe."""


class Session:
    """Consumes with one worker per CUBE client until it is stopped or nothing can be registered.

    Args:
        consumer: consuming already; prefetch = number of workers.
        cubes: one client per worker.
        deliveries: the delivery rules.
        suspect_pause: seconds before each suspect.
        until_success: end after the first registration.
    """

    def __init__(
        self,
        consumer: Consumer,
        cubes: Sequence[Cube],
        deliveries: Deliveries,
        suspect_pause: float = SUSPECT_PAUSE,
        *,
        until_success: bool = False,
    ) -> None:
        self._consumer = consumer
        self._cubes = cubes
        self._deliveries = deliveries
        self._suspect_pause = suspect_pause
        self._until_success = until_success
        self._suspects: list[Delivery] = []
        self._suspected = asyncio.Event()
        self._stop = asyncio.Event()
        self.outage: Verdict | None = None
        self.successes = 0

    def stop(self) -> None:
        """Take no more; `run` returns when what is in hand has ended."""
        self._stop.set()

    async def run(self) -> None:
        """Consume. Returns after `stop`, or after an outage, which is then in `outage`.

        Raises:
            BrokerError: the consuming connection has ended.
        """
        failures: list[BrokerError] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._consumer.ended()),
                    group.create_task(self._work_on_suspects(self._cubes[0])),
                    *(group.create_task(self._work(cube)) for cube in self._cubes),
                ]
                await self._stop.wait()
                await self._consumer.stop()
                await self._consumer.deliveries.join()
                for task in tasks:
                    task.cancel()
        except* BrokerError as group_of_errors:
            failures.append(_first_of(group_of_errors))
        if failures:  # raised here: before Python 3.11.4 what is raised above comes out in a group
            raise failures[0]

    async def _work(self, cube: Cube) -> None:
        while True:
            delivery = await self._consumer.deliveries.get()
            if delivery.count >= SUSPECT_COUNT:
                self._suspects.append(delivery)
                self._suspected.set()
            else:
                await self._end(cube, delivery)

    async def _work_on_suspects(self, cube: Cube) -> None:
        while True:
            await self._suspected.wait()
            await asyncio.sleep(self._suspect_pause)
            chosen = random.randrange(len(self._suspects))  # noqa: S311 (fairness, not a secret)
            delivery = self._suspects.pop(chosen)
            if not self._suspects:
                self._suspected.clear()
            log.warning("suspect_delivery", lapidicom_id=delivery.lapidicom_id, count=delivery.count)
            await self._end(cube, delivery)

    async def _end(self, cube: Cube, delivery: Delivery) -> None:
        if self.outage is not None:
            await self._deliveries.park(delivery, self.outage)
        else:
            self._note(await self._deliveries.handle(cube, delivery))
        self._consumer.deliveries.task_done()

    def _note(self, verdict: Verdict | None) -> None:
        if verdict is None:
            return
        if verdict.outcome in SUCCESSES:
            self.successes += 1
            if self._until_success:
                self._stop.set()
        elif verdict.outcome is Outcome.OUTAGE and self.outage is None:
            self.outage = verdict
            self._stop.set()


def _first_of(group: BaseExceptionGroup[BrokerError]) -> BrokerError:
    error = group.exceptions[0]
    return _first_of(error) if isinstance(error, BaseExceptionGroup) else error
