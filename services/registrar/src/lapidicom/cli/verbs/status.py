"""`lapidicom status`: RabbitMQ, CUBE, services and the volume, asked at the same time; nothing is changed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar, Final, TypeVar

import typer
from aio_pika.abc import AbstractConnection
from pydantic import Field
from rich.console import Group
from rich.live import Live

from lapidicom.cli.answers import Answer, Display
from lapidicom.cli.check import Check, Result
from lapidicom.cli.cube import cube_client
from lapidicom.cli.cube_checks import (
    DATABASE,
    GENERATION,
    NO_CUBE,
    REACHABLE,
    READ_SECONDS,
    RIGHT,
    STORAGE,
    ask_cube,
)
from lapidicom.cli.dead_letters import Busy, look
from lapidicom.cli.errors import NotVisible
from lapidicom.cli.in_thread import of_volume
from lapidicom.cli.journals import look_at_journals, look_for_left_alone
from lapidicom.cli.judgement import STYLES, Finding, Level, judge, level
from lapidicom.cli.management import Management, management
from lapidicom.cli.queues import broker_version, count
from lapidicom.cli.services import ask_services
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.snapshot import (
    BrokerLook,
    CubeLook,
    DeadLettersLook,
    DelayedLook,
    QueueLook,
    ReasonLook,
    ServiceLook,
    Snapshot,
    VolumeLook,
)
from lapidicom.cli.volume import look_at_volume, stored_file
from lapidicom.common.broker import BrokerError, Refused, redacted
from lapidicom.common.settings import CubeSection
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology
from lapidicom.registrar.cube.client import Cube

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 0.5
_VOLUME_SECONDS: Final = 5.0
_SAME: Final = timedelta(seconds=30)
"""For so long dead letters are not read again while their number stays the same."""


class Area(Answer):
    """One row of the screen."""

    area: str
    state: Annotated[str, Display(style=STYLES)]
    seen: str


class Status(Snapshot):
    """A judged snapshot."""

    shown: ClassVar[tuple[str, ...]] = ("areas", "findings")

    status: str
    findings: Annotated[list[Finding], Display("")]
    areas: Annotated[list[Area], Display(""), Field(exclude=True)]

    def headline(self) -> list[str]:
        """How it is, and when."""
        return [f"lapidicom is {self.status}, {self.taken_at:%Y-%m-%d %H:%M:%S} UTC"]


@command("lapidicom status", "lapidicom status --watch --every 5", "lapidicom status --json | jq .findings")
def status(
    shell: Shell,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again, in place, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of --watch.")] = 2.0,
) -> int:
    """Show the whole system on one screen; changes nothing.

    Exit status: 0 healthy; 1 degraded, it works but somebody must see to it; 2 down, instances are not
    received or not registered. What cannot be seen from here is said, and not judged.
    """
    return shell.run(_watch(shell, every) if watch else _once(shell))


async def _once(shell: Shell) -> int:
    async with _looking(shell) as looking:
        answer = judged(await looking.look())
        shell.output.show(answer)
        return level(answer.findings)


async def _watch(shell: Shell, seconds: float) -> int:
    """Look until Ctrl-C, the ordinary end; returns the level of the last look.

    Where there is no terminal, one screen or JSON document follows the other.
    """
    found, output = 0, shell.output
    screen = Live(console=output.console, auto_refresh=False, screen=True) if output.terminal else None
    try:
        async with _looking(shell) as looking:
            with screen or nullcontext():
                while True:
                    answer = judged(await looking.look())
                    if screen is None:
                        output.show(answer)
                    else:
                        screen.update(Group(*output.rendered(answer)), refresh=True)
                    found = level(answer.findings)
                    await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        return found


@asynccontextmanager
async def _looking(shell: Shell) -> AsyncIterator["Looking"]:
    url = shell.settings.management_url
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            management(url.get_secret_value() if url else None, shell.amqp_url)
        )
        section = shell.settings.cube
        cube = (
            None if section is None else await stack.enter_async_context(cube_client(section, READ_SECONDS))
        )
        yield Looking(shell, api, cube, section)


@dataclass
class Looking:
    """Takes one snapshot after the other.

    Attributes:
        shell: settings, and the way to RabbitMQ.
        api: RabbitMQ's management API.
        cube: a client of CUBE, where its address and account are set.
        section: these.
    """

    shell: Shell
    api: Management
    cube: Cube | None
    section: CubeSection | None
    _held_back_since: datetime | None = None
    _letters: tuple[datetime, DeadLettersLook] | None = None
    _unseen: dict[str, str] = field(default_factory=dict)

    async def look(self) -> Snapshot:
        """Take a snapshot. What is away is not visible in it."""
        settings, self._unseen = self.shell.settings, {}
        found, (volume, cube), journals, left_alone, receivers, registrars = await asyncio.gather(
            self._rabbitmq(),
            self._volume_and_cube(),
            self._of_volume("journals", partial(look_at_journals, settings.spool)),
            self._of_volume("left_alone", partial(look_for_left_alone, settings.spool)),
            self._services("receiver", settings.receiver_urls),
            self._services("registrar", settings.registrar_urls),
        )
        now = datetime.now(UTC)
        held_back = found.get("held_back")
        self._held_back_since = (self._held_back_since or now) if held_back else None
        return Snapshot(
            taken_at=now,
            **found,
            journals=journals,
            left_alone=left_alone,
            cube=cube,
            volume=volume,
            receivers=receivers,
            registrars=registrars,
            oldest_unrelayed=min((one.oldest for one in journals or () if one.oldest), default=None),
            not_visible=dict(sorted(self._unseen.items())),
            held_back_seconds=(now - (self._held_back_since or now)).total_seconds(),
        )

    def _seen(self, key: str, value: T | NotVisible) -> T | None:
        """The value, or None and its reason beside it."""
        if isinstance(value, NotVisible):
            self._unseen[key] = value.reason
            return None
        return value

    async def _of_volume(self, key: str, look_at: Callable[[], T | NotVisible]) -> T | None:
        try:
            return self._seen(key, await of_volume(look_at, seconds=_VOLUME_SECONDS))
        except OSError as error:
            return self._seen(key, NotVisible(str(error.strerror)))

    async def _services(self, service: str, urls: Sequence[str]) -> list[ServiceLook] | None:
        if not urls:
            return self._seen(f"{service}s", NotVisible(f"CHRIS_{service.upper()}_URL is not set"))
        return await ask_services(service, urls)

    async def _volume_and_cube(self) -> tuple[VolumeLook | None, CubeLook | None]:
        """CUBE is asked for a file of the volume: does it see the same one?"""
        settings = self.shell.settings
        needed, root = int(settings.min_free_space), settings.files_root
        volume = await self._of_volume("volume", partial(look_at_volume, root, settings.spool, needed))
        if self.cube is None or self.section is None:
            return volume, self._seen("cube", NO_CUBE)
        stored: str | NotVisible = NotVisible("the volume is not visible")
        if volume is not None:
            found = await self._of_volume("cube.sees_our_files", partial(stored_file, root, settings.spool))
            stored = found or NotVisible(self._unseen["cube.sees_our_files"])
        checks = await ask_cube(self.cube, self.section, settings.registration_unit, stored)
        return volume, _cube_look(self.section.cube_url, checks)

    async def _rabbitmq(self) -> dict[str, Any]:
        """The broker, its queues, and the dead letters."""
        address = redacted(self.shell.amqp_url)
        try:
            async with self.shell.connection() as link:
                return await self._on(link, address)
        except BrokerError as error:
            for key in ("work", "delayed", "dead_letters", "held_back"):
                self._seen(key, NotVisible("RabbitMQ is not reachable"))
            return {"broker": BrokerLook(address=address, fault=str(error))}

    async def _on(self, link: AbstractConnection, address: str) -> dict[str, Any]:
        alarms = self._seen("broker.alarms", await self.api.alarms())
        managed = await self.api.queues()
        delays = topology(self.shell.settings.retry_delays, self.shell.settings.park_delay).delays
        looks = {
            name: await self._queue(link, name, managed) for name in (WORK_QUEUE, *map(delay_queue, delays))
        }
        work, *delayed = looks.values()
        missing = [name for name, one in looks.items() if one is None]
        there = [one for one in delayed if one is not None]
        held_back = None
        if isinstance(managed, NotVisible):
            for key in ("work.unacknowledged", "work.held_back", "work.publish_rate", "work.ack_rate"):
                self._seen(key, managed)
            for key in ("delayed.held_back", "held_back"):
                self._seen(key, managed)
        else:
            held_back = sum(one.held_back or 0 for one in looks.values() if one is not None)
        letters = await self._dead_letters(link, managed)
        if letters is None and "dead_letters" not in self._unseen:
            missing.append(DEAD_LETTER_QUEUE)
        return {
            "broker": BrokerLook(address=address, version=broker_version(link), alarms=alarms),
            "work": work,
            "delayed": DelayedLook(
                messages=sum(one.messages for one in there),
                missing=[name for name in missing if name not in {WORK_QUEUE, DEAD_LETTER_QUEUE}],
                held_back=None if held_back is None else sum(one.held_back or 0 for one in there),
            ),
            "dead_letters": letters,
            "missing": missing,
            "held_back": held_back,
        }

    async def _queue(
        self, link: AbstractConnection, name: str, managed: Mapping[str, Mapping[str, Any]] | NotVisible
    ) -> QueueLook | None:
        """A queue by AMQP, which is of this moment, and by the API, which is some seconds old."""
        found = await count(link, name)
        if found is None:
            return None
        one = {} if isinstance(managed, NotVisible) else managed.get(name, {})
        rates = one.get("message_stats") or {} if "messages_ready" in one else None
        return QueueLook(
            ready=found.ready,
            consumers=found.consumers,
            unacknowledged=one.get("messages_unacknowledged"),
            held_back=one.get("messages_dlx"),
            publish_rate=_rate(rates, "publish_details"),
            ack_rate=_rate(rates, "ack_details"),
        )

    async def _dead_letters(
        self, link: AbstractConnection, managed: Mapping[str, Mapping[str, Any]] | NotVisible
    ) -> DeadLettersLook | None:
        """By reason, unless another operator is at them: then only their number, where that is visible."""
        found = await count(link, DEAD_LETTER_QUEUE)
        if found is None:
            return None
        if self._letters is not None and found.ready:
            read_at, letters = self._letters
            if letters.count == found.ready and datetime.now(UTC) - read_at < _SAME:
                return letters
        try:
            letters = await _by_reason(link)
        except Busy as busy:
            one = {} if isinstance(managed, NotVisible) else managed.get(DEAD_LETTER_QUEUE, {})
            self._seen("dead_letters.reasons", NotVisible(busy.what))
            ready, held = one.get("messages_ready"), one.get("messages_unacknowledged")
            if ready is None or held is None:
                self._seen("dead_letters.count", NotVisible(busy.what))
                return DeadLettersLook()
            return DeadLettersLook(count=ready + held)
        except Refused as error:
            return self._seen("dead_letters", NotVisible(str(error)))
        self._letters = datetime.now(UTC), letters
        return letters


def _rate(rates: Mapping[str, Any] | None, name: str) -> float | None:
    return None if rates is None else float((rates.get(name) or {}).get("rate", 0.0))


async def _by_reason(link: AbstractConnection) -> DeadLettersLook:
    """How many dead letters there are for each reason; no body is kept."""
    counts: Counter[str] = Counter()
    oldest: dict[str, datetime] = {}
    async with aclosing(look(link, patience=_PATIENCE_SECONDS)) as letters:
        async for letter, _ in letters:
            counts[letter.reason] += 1
            if letter.died_at is not None:
                oldest[letter.reason] = min(oldest.get(letter.reason, letter.died_at), letter.died_at)
    reasons = [
        ReasonLook(reason=reason, count=number, oldest=oldest.get(reason))
        for reason, number in counts.most_common()
    ]
    return DeadLettersLook(count=counts.total(), reasons=reasons)


def _cube_look(url: str, checks: Sequence[Check]) -> CubeLook:
    results = {check.name: check.result for check in checks}
    seen = {check.name: check.seen for check in checks}
    bad = next((check for check in checks if check.result is Result.FAIL), None)
    is_asked = results.get(STORAGE, Result.NOT_VISIBLE) is not Result.NOT_VISIBLE
    return CubeLook(
        url=url,
        reachable=results[REACHABLE] is Result.PASS,
        generation=seen.get(GENERATION, "unknown"),
        token_accepted=results.get(DATABASE) is Result.PASS,
        may_register=results.get(RIGHT) is Result.PASS,
        sees_our_files=results[STORAGE] is Result.PASS if is_asked else None,
        trouble=bad.seen if bad else "",
        remedy=bad.remedy if bad else "",
    )


def judged(snapshot: Snapshot) -> Status:
    """The snapshot with its findings, and a row for each area, in the order of the path."""
    findings = judge(snapshot)
    areas = []
    for title, area, key, seen in snapshot.lines():
        worst = level([one for one in findings if one.area == area])
        is_seen = key not in snapshot.not_visible
        text = seen if is_seen else str(NotVisible(snapshot.not_visible[key]))
        state = worst.word if worst > Level.HEALTHY else "ok" if is_seen else "?"
        areas.append(Area(area=title, state=state, seen=text))
    fields = {name: getattr(snapshot, name) for name in Snapshot.model_fields}
    return Status(**fields, status=level(findings).word, findings=findings, areas=areas)
