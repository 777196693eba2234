"""Records of what a replay is about to send: an open one tells later that it was interrupted.

A killed replay's last acknowledgements may be lost: messages that it has sent are dead letters still.
So before each batch a record goes to the queue `lapidicom.replays`, and is taken out behind the closing
cancel. The record names each letter by its message_id, which is new in each publish: a letter that came
back from the interrupted replay is another one.
"""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from aio_pika.abc import AbstractConnection

from lapidicom.cli.dead_letters.copies import copy_of
from lapidicom.cli.dead_letters.letter import DeadLetter
from lapidicom.cli.dead_letters.reading import reading
from lapidicom.common.broker import BrokerError, Envelope, Publisher
from lapidicom.common.topology import EXCHANGE, REPLAY_QUEUE

TYPE = "ReplayBatch"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One batch of a replay.

    Attributes:
        replay: id of the replay.
        who: the operator, user@host.
        when: ISO 8601.
        letters: copies of letters that it sends, as `copy_of` names them.
    """

    replay: str
    who: str
    when: str
    letters: tuple[str, ...]


def dump(record: Record) -> bytes:
    """The record as a message's body."""
    return json.dumps(asdict(record)).encode()


def parse(body: bytes) -> Record | None:
    """Read a record; None for what is none."""
    try:
        fields = json.loads(body)
        texts = (fields["replay"], fields["who"], fields["when"], *fields["letters"])
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return Record(texts[0], texts[1], texts[2], tuple(texts[3:]))


class Records:
    """The records of one replay, under the lock of the dead letters. None is held between two calls.

    Args:
        link: the connection that has the lock.
        publisher: on another connection.
        replay: its id.

    Attributes:
        interrupted: open records of other replays, which ended without taking them out.
    """

    def __init__(self, link: AbstractConnection, publisher: Publisher, replay: str) -> None:
        self._link = link
        self._publisher = publisher
        self._replay = replay
        self.interrupted: tuple[Record, ...] = ()

    async def find(self) -> None:
        """Read what is open.

        Raises:
            BrokerError: there is no such queue, or no right to read it.
        """
        found: list[Record] = []
        async with reading(self._link, REPLAY_QUEUE) as held:
            async for one in held:
                if (record := parse(one.body)) is not None:
                    found.append(record)
        self.interrupted = tuple(found)

    async def begin(self, record: Record) -> None:
        """Say what will be sent; returns once it is on the broker's disks.

        Raises:
            BrokerError: it may not have been stored: send nothing.
        """
        await self._publisher.publish(
            Envelope(EXCHANGE, REPLAY_QUEUE, TYPE, VERSION, uuid.uuid4().hex, dump(record))
        )

    async def end(self) -> None:
        """Take the own records out: all that they name is sent, and acknowledged for certain.

        Raises:
            BrokerError: some stay open; a later replay will tell.
        """
        await self._take_out(lambda record: record.replay == self._replay)

    async def settle(self, remaining: Iterable[str]) -> None:
        """Take out interrupted replays' records of which no letter remains.

        Args:
            remaining: copies that are dead letters still.
        """
        still = frozenset(remaining)
        if self.interrupted:
            await self._take_out(
                lambda record: record.replay != self._replay and still.isdisjoint(record.letters)
            )

    async def _take_out(self, is_over: Callable[[Record], bool]) -> None:
        async with reading(self._link, REPLAY_QUEUE) as held:
            async for one in held:
                record = parse(one.body)
                if record is not None and is_over(record):
                    await one.ack()


async def interrupted(link: AbstractConnection) -> tuple[Record, ...]:
    """Look at the open records, under the lock; none where the queue cannot be read.

    `copy_of(letter)` in one's `letters`: that letter may have been sent already.
    """
    try:
        async with reading(link, REPLAY_QUEUE) as held:
            found = [parse(one.body) async for one in held]
    except BrokerError:
        return ()
    return tuple(record for record in found if record is not None)


class Doubt:
    """Counts, while dead letters are looked at, which of them an interrupted replay may have sent.

    Args:
        records: open ones.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = tuple(records)
        self._named = {copy for record in self.records for copy in record.letters}
        self.count = 0

    def see(self, letter: DeadLetter) -> bool:
        """Whether this letter may have been sent."""
        named = copy_of(letter) in self._named
        self.count += named
        return named

    @property
    def line(self) -> str:
        """What an operator must know; empty if there is nothing."""
        if not self.count:
            return ""
        first = self.records[0]
        return (
            f"an interrupted replay ({first.replay} by {first.who} at {first.when}) may already have sent "
            f"{self.count} of these dead letters; the next replay says which of its own"
        )
