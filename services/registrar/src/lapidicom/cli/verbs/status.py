"""`lapidicom status`: RabbitMQ, CUBE, services and the volume, asked at the same time; nothing is changed."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final

import typer
from pydantic import Field
from rich.console import Group
from rich.live import Live

from lapidicom.cli.answers import Answer, Check, Display, NotVisible, Result, checked, worst
from lapidicom.cli.broker_checks import check_reachable, unreachable
from lapidicom.cli.broker_look import DELAYED, LETTERS, WORK, QueueLook
from lapidicom.cli.by_http import ask_services, management
from lapidicom.cli.cube_checks import check_cube, cube_of
from lapidicom.cli.journals import check_journals
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.volume import look_at_volume
from lapidicom.common.broker import BrokerError
from lapidicom.common.topology import topology
from lapidicom.registrar.cube.client import Cube

_STATES: Final = {Result.DEGRADED: "degraded", Result.FAIL: "down"}
_STYLES: Final = {"ok": "green", "degraded": "yellow", "down": "bold red"}


class Area(Answer):
    """One row of the screen."""

    area: str
    state: Annotated[str, Display(style=_STYLES)]
    seen: str


class Status(Answer):
    """All checks; as text a row for each area, and those that an operator should know of, the worst first."""

    shown: ClassVar[tuple[str, ...]] = ("areas", "findings")

    status: str
    taken_at: datetime
    areas: Annotated[list[Area], Display(""), Field(exclude=True)]
    findings: Annotated[list[Check], Display(""), Field(exclude=True)]
    checks: list[Check]

    def headline(self) -> list[str]:
        """How it is, and when."""
        return [f"lapidicom is {self.status}, {self.taken_at:%Y-%m-%d %H:%M:%S} UTC"]


@command(
    "lapidicom status",
    "lapidicom status --watch --every 5",
    "lapidicom status --json | jq '.checks[] | select(.result == \"fail\")'",
)
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
    found, output, settings = 0, shell.output, shell.settings
    is_live = watch and output.terminal
    screen = Live(console=output.console, auto_refresh=False, screen=True) if is_live else None
    async with management(settings) as api, cube_of(settings) as cube:
        queues = QueueLook(api, topology(settings.retry_delays, settings.park_delay).delays)
        with screen or nullcontext():
            try:
                while True:
                    seen = judged(await _look(shell, queues, cube))
                    found = ("healthy", "degraded", "down").index(seen.status)
                    if screen is None:
                        output.show(seen)
                    else:
                        screen.update(Group(*output.rendered(seen)), refresh=True)
                    if not watch:
                        return found
                    await asyncio.sleep(every)
            except asyncio.CancelledError:
                if not watch:  # of which it is the ordinary end
                    raise
                return found


async def _look(shell: Shell, queues: QueueLook, cube: Cube | None) -> list[Check]:
    """Ask all at the same time; what they say, in the order of the path."""
    settings = shell.settings
    found = await asyncio.gather(
        ask_services("receivers", settings.receiver_urls),
        look_at_volume(settings),
        check_journals(settings),
        _rabbitmq(shell, queues),
        ask_services("registrars", settings.registrar_urls),
        check_cube(cube, settings),
    )
    return [check for checks in found for check in checks]


async def _rabbitmq(shell: Shell, queues: QueueLook) -> list[Check]:
    try:
        async with shell.connection() as link:
            reachable = await check_reachable(link, queues.api, shell.amqp_url)
            return [*reachable, *await queues.look(link)]
    except BrokerError as error:
        away = NotVisible("RabbitMQ is not reachable")
        hidden = (checked(area, "visible", away) for area in (WORK, DELAYED, LETTERS))
        return [unreachable(shell.amqp_url, error), *hidden]


def judged(checks: Sequence[Check]) -> Status:
    """All checks, with a row for each area, and what an operator should know of."""
    areas: dict[str, list[Check]] = {}
    for check in checks:
        areas.setdefault(check.area, []).append(check)
    findings = sorted(filter(_is_finding, checks), key=lambda one: -one.result.severity)
    return Status(
        status=_STATES.get(worst(findings), "healthy"),
        taken_at=datetime.now(UTC),
        areas=[_area(*entry) for entry in areas.items()],
        findings=findings,
        checks=list(checks),
    )


def _is_finding(check: Check) -> bool:
    return check.result not in {Result.PASS, Result.NOT_VISIBLE}


def _area(area: str, checks: Sequence[Check]) -> Area:
    """What is wrong; if nothing is, what was seen."""
    state = _STATES.get(worst(filter(_is_finding, checks)), "ok")
    if all(one.result is Result.NOT_VISIBLE for one in checks):
        return Area(area=area, state="?", seen=str(NotVisible(checks[0].seen)))
    seen = (one.seen if one.result is Result.PASS else f"{one.name} not visible" for one in checks)
    return Area(
        area=area, state=state, seen="; ".join([one.seen for one in checks if _is_finding(one)] or seen)
    )
