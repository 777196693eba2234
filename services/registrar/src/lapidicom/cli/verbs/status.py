"""`lapidicom status`: RabbitMQ, CUBE, services and the volume, asked at the same time; nothing is changed."""

import asyncio
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime
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
from lapidicom.cli.journals import look_at_journals
from lapidicom.cli.judgement import STYLES, Finding, Level, judge, level
from lapidicom.cli.queues import broker_version, count
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.snapshot import BrokerLook, DelayedLook, QueueLook, Snapshot
from lapidicom.cli.volume import look_at_volume, seen_of_volume
from lapidicom.common.broker import BrokerError, redacted
from lapidicom.common.topology import DEAD_LETTER_QUEUE, WORK_QUEUE, delay_queue, topology
from lapidicom.registrar.cube.client import Cube

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
            stack.enter_context(screen or nullcontext())
            while True:
                answer = judged(await _snapshot(shell, api, cube))
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


async def _snapshot(shell: Shell, api: Management, cube: Cube | None) -> Snapshot:
    """Ask all at the same time. What is away is not visible in it."""
    settings = shell.settings
    root, spool, needed = settings.files_root, settings.spool, int(settings.min_free_space)
    found, volume, checks, journals, receivers, registrars = await asyncio.gather(
        _rabbitmq(shell, api),
        seen_of_volume(partial(look_at_volume, needed), root, spool),
        check_cube(cube, settings),
        seen_of_volume(look_at_journals, spool),
        ask_services("receiver", settings.receiver_urls),
        ask_services("registrar", settings.registrar_urls),
    )
    return Snapshot(
        taken_at=datetime.now(UTC),
        **found,
        journals=journals if isinstance(journals, NotVisible) else journals.read,
        left_alone=journals if isinstance(journals, NotVisible) else journals.left_alone,
        cube=checks,
        volume=volume,
        receivers=receivers,
        registrars=registrars,
    )


async def _rabbitmq(shell: Shell, api: Management) -> dict[str, Any]:
    """The broker and its queues."""
    settings, address = shell.settings, redacted(shell.amqp_url)
    names = [delay_queue(one) for one in topology(settings.retry_delays, settings.park_delay).delays]
    try:
        async with shell.connection() as link:
            alarms, queues = await api.alarms(), await api.queues()
            looks = {
                name: await _queue(link, name, queues) for name in (WORK_QUEUE, DEAD_LETTER_QUEUE, *names)
            }
            version = broker_version(link)
    except BrokerError as error:
        away = NotVisible("RabbitMQ is not reachable")
        broker = BrokerLook(address=address, fault=str(error))
        return {"broker": broker, "work": away, "delayed": away, "dead_letters": away}
    work, dead_letters, *delayed = looks.values()
    there = [one for one in delayed if one is not None]
    held_back = sum(one.held_back for one in there if not isinstance(one.held_back, NotVisible))
    return {
        "broker": BrokerLook(address=address, version=version, alarms=alarms),
        "work": work,
        "delayed": DelayedLook(
            messages=sum(one.messages for one in there),
            missing=[name for name in names if looks[name] is None],
            held_back=queues if isinstance(queues, NotVisible) else held_back,
        ),
        "dead_letters": dead_letters,
    }


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
