"""LONK (Light Oxidicom NotifiKations): how CUBE 6 learns of a series that is on its way, by NATS.

Subject and payloads are oxidicom's, and docs/lonk.md is the contract. Nobody waits for NATS: a message is put
into an outbox, which holds the newest of each series and no more, and is sent beside all other work. Imports
no client of NATS unless one is wanted.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

ROOT: Final = "oxidicom"
"""First token of each subject: CUBE subscribes to no other."""

DONE: Final = b"\x00"
"""Payload: the series is in CUBE."""

COUNT_SECONDS: Final = 0.5
"""Between two counts of a series, at least; its last one is sent at once."""

MOST_SERIES: Final = 1000
"""For so many series messages are kept while NATS takes none; the longest unchanged ones are dropped."""

GOODBYE_SECONDS: Final = 0.5
"""For the last messages when a service ends, and as long again to close the connection."""

_COUNT: Final = b"\x01"
_LONGEST_REASON: Final = 200
_TOKEN: Final = str.maketrans(dict.fromkeys(" .*>\t\r\n", "_") | {"\0": ""})


def subject_of(pacs_name: str, series_instance_uid: str) -> str:
    """The NATS subject of a series, such as `oxidicom.MY_PACS_1.1_2_3`."""
    return f"{ROOT}.{pacs_name.translate(_TOKEN)}.{series_instance_uid.translate(_TOKEN)}"


def count_of(instances: int) -> bytes:
    """Payload: so many instances of the series have come so far."""
    return _COUNT + min(instances, 0xFFFFFFFF).to_bytes(4, "little")


def failure_of(reason: str) -> bytes:
    """Payload: the series is not in CUBE, and why not. The reason holds no patient data."""
    return b"\x02" + reason[:_LONGEST_REASON].encode("utf-8", "replace")


Messages = list[tuple[str, bytes]]
"""Subjects and payloads, in the order of sending."""

Series = tuple[str, str]
"""PACS name and SeriesInstanceUID."""


class Outbox:
    """The newest message of each series that is still to be sent. For one event loop.

    Args:
        most: series for which messages are kept.
        clock: monotonic seconds.

    Attributes:
        closing: nothing more will be put in.
    """

    def __init__(self, most: int = MOST_SERIES, clock: Callable[[], float] = time.monotonic) -> None:
        self.closing = False
        self._most = most
        self._clock = clock
        self._counts: dict[Series, int] = {}
        self._urgent: dict[str, bytes] = {}
        self._counts_from = 0.0
        self._changed = asyncio.Event()

    def count(self, pacs_name: str, series_instance_uid: str, instances: int, *, last: bool = False) -> None:
        """So many instances of a series have come so far.

        Args:
            pacs_name: the sanitised calling AE title.
            series_instance_uid: of the series.
            instances: how many.
            last: no more come by this association: sent at once.
        """
        series = (pacs_name, series_instance_uid)
        if last:
            self._put_urgent(series, count_of(instances))
            return
        if not self._counts:
            self._changed.set()
        self._counts.pop(series, None)
        self._counts[series] = instances
        self._drop_oldest(self._counts)

    def done(self, pacs_name: str, series_instance_uid: str) -> None:
        """A series is in CUBE."""
        self._put_urgent((pacs_name, series_instance_uid), DONE)

    def failed(self, pacs_name: str, series_instance_uid: str, reason: str) -> None:
        """A series is not in CUBE, and does not get there by itself.

        Args:
            pacs_name: the sanitised calling AE title.
            series_instance_uid: of the series.
            reason: a stable text without values.
        """
        self._put_urgent((pacs_name, series_instance_uid), failure_of(reason))

    def _put_urgent(self, series: Series, payload: bytes) -> None:
        self._counts.pop(series, None)
        subject = subject_of(*series)
        self._urgent.pop(subject, None)
        self._urgent[subject] = payload
        self._drop_oldest(self._urgent)
        self._changed.set()

    def _drop_oldest(self, where: dict[Any, Any]) -> None:
        while len(where) > self._most:
            del where[next(iter(where))]

    async def take(self, is_over: Callable[[], bool] = lambda: False) -> Messages:
        """Wait for messages that may be sent now, and take them out.

        Args:
            is_over: asked after each `wake`: whether to wait no longer.

        Returns:
            Nothing if it is over, or if the outbox is closing and empty.
        """
        while True:
            self._changed.clear()
            now = self._clock()
            batch = list(self._urgent.items())
            self._urgent.clear()
            if self._counts and (now >= self._counts_from or self.closing):
                self._counts_from = now + COUNT_SECONDS
                batch += [(subject_of(*series), count_of(count)) for series, count in self._counts.items()]
                self._counts.clear()
            if batch or is_over() or self.closing:
                return batch
            with suppress(TimeoutError):
                async with asyncio.timeout(self._counts_from - now if self._counts else None):
                    await self._changed.wait()

    def put_back(self, batch: Messages) -> None:
        """Messages could not be sent: each is sent later unless there is a newer one of its series."""
        self._urgent = dict(batch) | self._urgent
        self._drop_oldest(self._urgent)
        for series in self._counts:
            subject = subject_of(*series)
            if self._urgent.get(subject, b"")[:1] == _COUNT:
                del self._urgent[subject]

    def wake(self) -> None:
        """Let who waits in `take` look again."""
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be put in: `take` returns what there is, and then nothing."""
        self.closing = True
        self._changed.set()


@asynccontextmanager
async def publishing(url: str | None, *, name: str) -> AsyncGenerator[Outbox, None]:
    """An outbox whose messages are sent for as long as the context lasts.

    Leaving it takes a second at most, whatever NATS does.

    Args:
        url: of NATS; without, the outbox is emptied by nobody.
        name: of this client, as NATS shows it.
    """
    outbox = Outbox()
    if url is None:
        yield outbox
        return
    from lapidicom.common.lonk_publisher import LonkPublisher

    publisher = LonkPublisher(url, outbox, name=name)
    sending = asyncio.create_task(publisher.run(), name="lonk")
    try:
        yield outbox
    finally:
        outbox.close()  # ends it also where a cancellation is lost (wait_for before Python 3.12)
        if publisher.connected:
            await asyncio.wait((sending,), timeout=GOODBYE_SECONDS)
        sending.cancel()
        await asyncio.wait((sending,), timeout=GOODBYE_SECONDS)
