"""`lapidicom status`: RabbitMQ, CUBE, services and the volume, asked at the same time; nothing is changed."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar, Final

import typer
from aio_pika.abc import AbstractConnection
from pydantic import Field
from rich.console import Group
from rich.live import Live

from lapidicom.cli.answers import Answer, Display, NotVisible
from lapidicom.cli.by_http import Management, Queues, ask_services, management, number
from lapidicom.cli.cube_checks import check_cube, cube_of
from lapidicom.cli.dead_letters import Busy, look
from lapidicom.cli.journals import look_at_journals
from lapidicom.cli.judgement import STYLES, Finding, Level, judge, level
from lapidicom.cli.queues import broker_version, count
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.snapshot import (
    BrokerLook,
    DeadLettersLook,
    DelayedLook,
    QueueLook,
    ReasonLook,
    Snapshot,
)
from lapidicom.cli.volume import look_at_volume, seen_of_volume
from lapidicom.common.broker import BrokerError, Refused, redacted
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology
from lapidicom.registrar.cube.client import Cube

_PATIENCE_SECONDS: Final = 0.5
_SAME: Final = timedelta(seconds=30)
"""For so long dead letters are not read again while their number stays the same."""

_TITLES: Final = {
    "receivers": "receivers",
    "volume": "volume",
    "journals": "journals",
    "broker": "RabbitMQ",
    "work": "work queue",
    "delayed": "delayed",
    "dead_letters": "dead letters",
    "registrars": "registrars",
    "cube": "CUBE",
}
"""The rows of the screen by their keys, in the order of the path."""


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
async def status(
    shell: Shell,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again, in place, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of --watch.")] = 2.0,
) -> int:
    """Show the whole system on one screen; changes nothing.

    Exit status: 0 healthy; 1 degraded, it works but somebody must see to it; 2 down, instances are not
    received or not registered. What cannot be seen from here is said, and not judged. With --watch it is
    that of the last look.
    """
    found, output = 0, shell.output
    is_live = watch and output.terminal
    screen = Live(console=output.console, auto_refresh=False, screen=True) if is_live else None
    try:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(management(shell.settings))
            cube = await stack.enter_async_context(cube_of(shell.settings))
            looking = Looking(shell, api, cube)
            stack.enter_context(screen or nullcontext())
            while True:
                answer = judged(await looking.look())
                found = level(answer.findings)
                if screen is None:
                    output.show(answer)
                else:
                    screen.update(Group(*output.rendered(answer)), refresh=True)
                if not watch:
                    return found
                await asyncio.sleep(every)
    except asyncio.CancelledError:
        if not watch:  # of which it is the ordinary end
            raise
        return found


@dataclass
class Looking:
    """Takes one snapshot after the other.

    Attributes:
        shell: settings, and the way to RabbitMQ.
        api: RabbitMQ's management API.
        cube: a client of CUBE, where its address and account are set.
    """

    shell: Shell
    api: Management
    cube: Cube | None
    _letters: tuple[datetime, DeadLettersLook] | None = None

    async def look(self) -> Snapshot:
        """Take a snapshot. What is away is not visible in it."""
        settings = self.shell.settings
        root, spool, needed = settings.files_root, settings.spool, int(settings.min_free_space)
        found, volume, cube, journals, receivers, registrars = await asyncio.gather(
            self._rabbitmq(),
            seen_of_volume(partial(look_at_volume, needed), root, spool),
            check_cube(self.cube, settings),
            seen_of_volume(look_at_journals, spool),
            ask_services("receiver", settings.receiver_urls),
            ask_services("registrar", settings.registrar_urls),
        )
        return Snapshot(
            taken_at=datetime.now(UTC),
            **found,
            journals=journals if isinstance(journals, NotVisible) else journals.read,
            left_alone=journals if isinstance(journals, NotVisible) else journals.left_alone,
            cube=cube,
            volume=volume,
            receivers=receivers,
            registrars=registrars,
        )

    async def _rabbitmq(self) -> dict[str, Any]:
        """The broker, its queues, and the dead letters."""
        address = redacted(self.shell.amqp_url)
        try:
            async with self.shell.connection() as link:
                return await self._on(link, address)
        except BrokerError as error:
            away = NotVisible("RabbitMQ is not reachable")
            broker = BrokerLook(address=address, fault=str(error))
            return {"broker": broker, "work": away, "delayed": away, "dead_letters": away}

    async def _on(self, link: AbstractConnection, address: str) -> dict[str, Any]:
        settings = self.shell.settings
        alarms, queues = await self.api.alarms(), await self.api.queues()
        names = [delay_queue(one) for one in topology(settings.retry_delays, settings.park_delay).delays]
        looks = {name: await _queue(link, name, queues) for name in names}
        there = [one for one in looks.values() if one is not None]
        delayed = DelayedLook(
            messages=sum(one.messages for one in there),
            missing=[name for name, one in looks.items() if one is None],
            held_back=queues
            if isinstance(queues, NotVisible)
            else sum(one.held_back for one in there if not isinstance(one.held_back, NotVisible)),
        )
        return {
            "broker": BrokerLook(address=address, version=broker_version(link), alarms=alarms),
            "work": await _queue(link, WORK_QUEUE, queues),
            "delayed": delayed,
            "dead_letters": await self._dead_letters(link, queues),
        }

    async def _dead_letters(
        self, link: AbstractConnection, queues: Queues | NotVisible
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
            letters = await _by_reason(link)
        except Busy as busy:
            all_of_it = number(queues, DEAD_LETTER_QUEUE, "messages")
            return DeadLettersLook(count=all_of_it, reasons=NotVisible(busy.what))
        except Refused as error:
            return NotVisible(str(error))
        self._letters = datetime.now(UTC), letters
        return letters


async def _queue(link: AbstractConnection, name: str, queues: Queues | NotVisible) -> QueueLook | None:
    """A queue by AMQP, which is of this moment, and by the API, which is some seconds old."""
    found = await count(link, name)
    if found is None:
        return None
    return QueueLook(
        ready=found.ready,
        consumers=found.consumers,
        unacknowledged=number(queues, name, "messages_unacknowledged"),
        held_back=number(queues, name, "messages_dlx"),
        publish_rate=number(queues, name, "message_stats", "publish_details", "rate"),
        ack_rate=number(queues, name, "message_stats", "ack_details", "rate"),
    )


async def _by_reason(link: AbstractConnection) -> DeadLettersLook:
    """How many dead letters there are for each reason; no body is kept."""
    counts: Counter[str] = Counter()
    oldest: dict[str, datetime] = {}
    async with look(link, patience=_PATIENCE_SECONDS) as letters:
        async for letter, _ in letters:
            counts[letter.reason] += 1
            if letter.died_at is not None:
                oldest[letter.reason] = min(oldest.get(letter.reason, letter.died_at), letter.died_at)
    reasons = [
        ReasonLook(reason=reason, count=number, oldest=oldest.get(reason))
        for reason, number in counts.most_common()
    ]
    return DeadLettersLook(count=counts.total(), reasons=reasons)


def judged(snapshot: Snapshot) -> Status:
    """The snapshot with its findings, and a row for each area, in the order of the path."""
    findings = judge(snapshot)
    areas = []
    for key, title in _TITLES.items():
        worst = level(one for one in findings if one.area == key)
        unseen = isinstance(getattr(snapshot, key), NotVisible)
        state = worst.word if worst > Level.HEALTHY else "?" if unseen else "ok"
        areas.append(Area(area=title, state=state, seen=snapshot.text(key)))
    return Status(**dict(snapshot), status=level(findings).word, findings=findings, areas=areas)
