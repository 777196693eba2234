"""The relay at work: looks at the volume beside publishing, and gives each journal its turn."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Never, Protocol

from lapidicom.common.broker.errors import BrokerError, ConnectionLost
from lapidicom.common.broker.publisher import Envelope
from lapidicom.receiver.journal.observer import Observer
from lapidicom.receiver.relay.follower import Follower
from lapidicom.receiver.relay.journals import Journals
from lapidicom.receiver.relay.offload import Offload
from lapidicom.receiver.relay.retention import DeletionCandidate, Retention
from lapidicom.receiver.relay.spool_sweep import SpoolSweep

_IDLE_SECONDS: Final = 0.1
"""Between two passes when the one before has reached all marks. Records gather meanwhile: one pass over
many costs relay and RabbitMQ half of what many passes over few do."""

_AFTER_FAULT_SECONDS: Final = 1.0
_RETENTION_SECONDS: Final = 5.0
_SWEEP_SECONDS: Final = 3600.0


class PublishesEnvelopes(Protocol):
    """What the relay asks of a connection to RabbitMQ."""

    async def publish(self, envelope: Envelope) -> None:
        """Return once the message is confirmed.

        Raises:
            BrokerError: it is not, or nobody knows.
        """


class _NoPublisher:
    """Stands where there is no connection."""

    async def publish(self, _: Envelope) -> None:
        """Refuse."""
        raise ConnectionLost("there is no publisher")


class JournalPublisher:
    """Publishes the journals of a volume.

    Args:
        journals: which they are.
        retention: deletes what is relayed.
        sweep: removes what lives and series have left in the spool.
        takeover: CHRIS_JOURNAL_TAKEOVER, seconds: how often to look at heartbeats follows from it.
        observe: called with each event.
        offload: runs what may wait for the disk.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        journals: Journals,
        retention: Retention,
        sweep: SpoolSweep,
        *,
        takeover: float,
        observe: Observer,
        offload: Offload,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journals = journals
        self._retention = retention
        self._sweep = sweep
        self._look_seconds = min(1.0, takeover / 20)
        self._observe = observe
        self._offload = offload
        self._clock = clock
        self._faulty_until: dict[Follower, float] = {}
        self._next = 0
        self._passes = 0
        self._passes_before = 0
        self._at_rest = asyncio.Event()
        self._passing = asyncio.Lock()

    async def watch(self) -> Never:
        """Look at the volume for as long as the relay lives, whether RabbitMQ is there or not."""
        retained = swept = float("-inf")
        while True:
            try:
                self._journals.look()
                self._journals.write_cursors()
                if self._clock() - retained >= _RETENTION_SECONDS:
                    retained = self._clock()
                    await self._offload(partial(self._retention.run, self.candidates()))
                if self._clock() - swept >= _SWEEP_SECONDS:
                    swept = self._clock()
                    await self._offload(self.sweep())
            except OSError as error:
                self._observe("relay_cannot_look", errno=error.errno)
            await asyncio.sleep(self._look_seconds)

    def sweep(self) -> Callable[[], None]:
        """A sweep of the spool, as things are now."""
        finished, others = self._journals.finished_lives(), self._journals.other_lives()
        return partial(self._sweep.run, finished=finished, others=others)

    def candidates(self) -> list[DeletionCandidate]:
        """Of which journals something may be deleted."""
        return [
            DeletionCandidate(one.folder, one.follower.relayed_extent if one.follower else None)
            for one in self._journals.watched()
            if one.follower is None or one.follower.unknown is None
        ]

    async def publish(self, publisher: PublishesEnvelopes) -> Never:
        """Publish for as long as the publisher works.

        Raises:
            BrokerError: ask for another publisher, and call again.
        """
        while True:
            self._passes += 1
            if await self.pass_over(publisher):
                continue
            if self._passes > self._passes_before and not self._asks:
                self._at_rest.set()
            await asyncio.sleep(_IDLE_SECONDS)

    async def pass_over(self, publisher: PublishesEnvelopes) -> bool:
        """Give each journal one turn, beginning behind the one that was last.

        Returns:
            Whether there may be more to do at once.
        """
        async with self._passing:
            return await self._pass_over(publisher)

    async def _pass_over(self, publisher: PublishesEnvelopes) -> bool:
        followers = self._journals.followers()
        self._faulty_until = {one: until for one, until in self._faulty_until.items() if one in followers}
        more = False
        for _ in range(len(followers)):
            self._next += 1
            follower = followers[self._next % len(followers)]
            if self._faulty_until.get(follower, 0.0) > self._clock():
                continue
            try:
                more |= await follower.turn(publisher.publish)
            except OSError as error:
                self._faulty_until[follower] = self._clock() + _AFTER_FAULT_SECONDS
                self._observe("journal_cannot_be_read", life=follower.life, errno=error.errno)
            else:
                self._faulty_until.pop(follower, None)
        return more

    @property
    def _asks(self) -> bool:
        return any(follower.asks for follower in self._journals.followers())

    async def until_at_rest(self) -> None:
        """Return once a whole pass, begun after this call, has found nothing more to publish."""
        with contextlib.suppress(BrokerError):
            # Without RabbitMQ nobody passes over the journals; if they hold nothing, that is rest too.
            while await self.pass_over(_NoPublisher()):
                pass
            if not self._asks:
                return
        self._passes_before = self._passes
        self._at_rest.clear()
        await self._at_rest.wait()
