"""Takes a snapshot: asks RabbitMQ, CUBE and the volume at the same time, and changes nothing."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from aio_pika.abc import AbstractConnection

from lapidicom.cli.broker_look import Count, count, version
from lapidicom.cli.connection import connected
from lapidicom.cli.cube_look import (
    DATABASE,
    GENERATION,
    NO_CUBE,
    REACHABLE,
    RIGHT,
    STORAGE,
    ask_cube,
)
from lapidicom.cli.dead_letters.letter import read_letter
from lapidicom.cli.dead_letters.lock import Busy
from lapidicom.cli.dead_letters.look import look
from lapidicom.cli.doctor.check import Check, Result
from lapidicom.cli.errors import NotVisible
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.management import NO_MANAGEMENT, ManagedQueue, Management
from lapidicom.cli.services import Readiness, Service, ask_services
from lapidicom.cli.settings import CommandSettings
from lapidicom.cli.status.journals import look_at_journals, look_for_left_alone
from lapidicom.cli.status.snapshot import (
    BrokerLook,
    CubeLook,
    DeadLettersLook,
    DelayedLook,
    QueueLook,
    ReasonLook,
    Snapshot,
    VolumeLook,
)
from lapidicom.cli.status.volume import look_at_volume
from lapidicom.common.broker import BrokerError, Refused, redacted
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, Topology, delay_queue
from lapidicom.registrar.cube.client import Cube

_DOWN: Final = NotVisible("RabbitMQ is not reachable")
_PATIENCE_SECONDS: Final = 0.5
_VOLUME_SECONDS: Final = 5.0
_SAME: Final = timedelta(seconds=30)
"""For so long dead letters are not read again while their number stays the same."""

T = TypeVar("T")

Managed = Mapping[str, ManagedQueue] | NotVisible


@dataclass(frozen=True, slots=True)
class _Queues:
    """What the broker's part of a look found."""

    broker: BrokerLook
    work: QueueLook | NotVisible | None = _DOWN
    delayed: DelayedLook | NotVisible = _DOWN
    dead_letters: DeadLettersLook | NotVisible | None = _DOWN


class Looking:
    """Takes one snapshot after the other.

    Args:
        settings: of the command.
        declared: the topology.
        management: RabbitMQ's management API, where it is.
        cube: a client of CUBE, where its address and account are set.
    """

    def __init__(
        self,
        settings: CommandSettings,
        declared: Topology,
        management: Management | None,
        cube: Cube | None,
    ) -> None:
        self._settings = settings
        self._declared = declared
        self._management = management
        self._cube = cube
        self._held_back_since: datetime | None = None
        self._letters: tuple[datetime, DeadLettersLook] | None = None

    async def look(self) -> Snapshot:
        """Take a snapshot. Whatever is away is told in it."""
        settings = self._settings
        queues, (volume, cube), journals, left_alone, receivers, registrars = await asyncio.gather(
            self._queues(),
            self._volume_and_cube(),
            _of_volume(partial(look_at_journals, settings.spool)),
            _of_volume(partial(look_for_left_alone, settings.spool)),
            _services(Service.RECEIVER, settings.receiver_urls),
            _services(Service.REGISTRAR, settings.registrar_urls),
        )
        now = datetime.now(UTC)
        snapshot = Snapshot(
            taken_at=now,
            broker=queues.broker,
            work=queues.work,
            delayed=queues.delayed,
            dead_letters=queues.dead_letters,
            journals=journals,
            left_alone=left_alone,
            cube=cube,
            volume=volume,
            receivers=receivers,
            registrars=registrars,
        )
        return self._with_duration(snapshot)

    def _with_duration(self, snapshot: Snapshot) -> Snapshot:
        held_back = snapshot.held_back
        if isinstance(held_back, NotVisible) or held_back == 0:
            self._held_back_since = None
            return snapshot
        since = self._held_back_since = self._held_back_since or snapshot.taken_at
        return replace(snapshot, held_back_seconds=(snapshot.taken_at - since).total_seconds())

    async def _volume_and_cube(self) -> tuple[VolumeLook | NotVisible, CubeLook | NotVisible]:
        """CUBE is asked for a file of the volume: does it see the same one?"""
        settings = self._settings
        volume = await _of_volume(
            partial(look_at_volume, settings.files_root, settings.spool, int(settings.min_free_space))
        )
        if self._cube is None or settings.cube is None:
            return volume, NO_CUBE
        stored = volume if isinstance(volume, NotVisible) else volume.stored
        checks = await ask_cube(self._cube, settings.cube, settings.registration_unit, stored)
        return volume, _cube_look(settings.cube.cube_url, checks)

    async def _queues(self) -> _Queues:
        amqp_url = self._settings.amqp_url.get_secret_value()
        try:
            async with connected(amqp_url, "status") as link:
                return await self._on(link, redacted(amqp_url))
        except BrokerError as error:
            return _Queues(BrokerLook(redacted(amqp_url), fault=str(error), version=_DOWN, alarms=_DOWN))

    async def _on(self, link: "AbstractConnection", address: str) -> _Queues:
        management = self._management
        alarms = NO_MANAGEMENT if management is None else await management.alarms()
        managed: Managed = NO_MANAGEMENT if management is None else await management.queues()
        broker = BrokerLook(address, version=version(link), alarms=alarms)
        work = _queue(await count(link, WORK_QUEUE), managed, WORK_QUEUE)
        return _Queues(
            broker, work, await self._delayed(link, managed), await self._dead_letters(link, managed)
        )

    async def _delayed(self, link: "AbstractConnection", managed: Managed) -> DelayedLook:
        names = [delay_queue(delay) for delay in self._declared.delays]
        queues = {name: _queue(await count(link, name), managed, name) for name in names}
        there = [one for one in queues.values() if one is not None]
        return DelayedLook(
            messages=sum(one.messages for one in there),
            missing=[name for name, one in queues.items() if one is None],
            held_back=_sum([one.held_back for one in there]),
        )

    async def _dead_letters(
        self, link: "AbstractConnection", managed: Managed
    ) -> DeadLettersLook | NotVisible | None:
        """By reason, unless another operator is at them: then only their number, where that is visible."""
        found = await count(link, DEAD_LETTER_QUEUE)
        if found is None:
            return None
        if self._letters is not None and found.ready:
            read_at, letters = self._letters
            if letters.count == found.ready and datetime.now(UTC) - read_at < _SAME:
                return letters
        try:
            letters = DeadLettersLook(*await _by_reason(link))
        except Busy as busy:
            return _behind_another(busy, managed)
        except Refused as error:
            return NotVisible(str(error))
        self._letters = datetime.now(UTC), letters
        return letters


def _behind_another(busy: Busy, managed: Managed) -> DeadLettersLook:
    """What is visible while another operator holds all dead letters: ready is 0 then, and says nothing."""
    reason = NotVisible(busy.what)
    one = None if isinstance(managed, NotVisible) else managed.get(DEAD_LETTER_QUEUE)
    if one is None or one.ready is None or one.unacknowledged is None:
        return DeadLettersLook(reason, reason)
    return DeadLettersLook(one.ready + one.unacknowledged, reason)


async def _by_reason(link: "AbstractConnection") -> tuple[int, list[ReasonLook]]:
    """How many dead letters there are, and for each reason; no body is kept."""
    counts: Counter[str] = Counter()
    oldest: dict[str, datetime] = {}
    async with look(link, patience=_PATIENCE_SECONDS) as letters:
        async for held in letters:
            letter = read_letter(held.body, held.properties)
            counts[letter.reason] += 1
            died = letter.died_at
            if died is not None and (letter.reason not in oldest or died < oldest[letter.reason]):
                oldest[letter.reason] = died
    reasons = [ReasonLook(reason, number, oldest.get(reason)) for reason, number in counts.most_common()]
    return counts.total(), reasons


def _cube_look(url: str, checks: Sequence[Check]) -> CubeLook:
    by_name = {check.name: check for check in checks}
    results = {name: check.result is Result.PASS for name, check in by_name.items()}
    failed = next((check for check in checks if check.result is Result.FAIL), None)
    is_asked = STORAGE in by_name and by_name[STORAGE].result is not Result.NOT_VISIBLE
    return CubeLook(
        url=url,
        reachable=results[REACHABLE],
        generation=by_name[GENERATION].told if GENERATION in by_name else "unknown",
        token_accepted=results.get(DATABASE, False),
        may_register=results.get(RIGHT, False),
        sees_our_files=results[STORAGE] if is_asked else None,
        trouble=failed.told if failed else "",
        remedy=failed.remedy if failed else "",
    )


async def _services(service: Service, urls: Sequence[str]) -> Sequence[Readiness] | NotVisible:
    if not urls:
        return NotVisible(f"CHRIS_{service.name}_URL is not set")
    return await ask_services(service, urls)


def _sum(numbers: Sequence[int | NotVisible]) -> int | NotVisible:
    return next((one for one in numbers if isinstance(one, NotVisible)), sum(map(_whole, numbers)))


def _whole(number: int | NotVisible) -> int:
    return 0 if isinstance(number, NotVisible) else number


def _queue(found: Count | None, managed: Managed, name: str) -> QueueLook | None:
    """A queue by AMQP, which is of this moment, and by the API, which is some seconds old."""
    if found is None:
        return None
    if isinstance(managed, NotVisible):
        return QueueLook(found.ready, managed, found.consumers, managed, managed, managed)
    one = managed.get(name)
    late = NotVisible("the management API has no statistics of it yet")
    if one is None:
        return QueueLook(found.ready, late, found.consumers, late, late, late)
    return QueueLook(
        found.ready,
        late if one.unacknowledged is None else one.unacknowledged,
        found.consumers,
        late if one.dead_lettering is None else one.dead_lettering,
        late if one.publish_rate is None else one.publish_rate,
        late if one.ack_rate is None else one.ack_rate,
    )


async def _of_volume(look_at: Callable[[], T | NotVisible]) -> T | NotVisible:
    try:
        return await of_volume(look_at, seconds=_VOLUME_SECONDS)
    except TimeoutError as error:
        return NotVisible(str(error.strerror))
