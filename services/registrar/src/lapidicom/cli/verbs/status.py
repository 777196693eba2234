"""`lapidicom status`: RabbitMQ, CUBE, services and the volume, asked at the same time; nothing is changed."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final

import typer
from rich.console import Group
from rich.live import Live

from lapidicom.cli.answers import Answer, Check, Display, NotVisible, Result, worst
from lapidicom.cli.broker_checks import unreachable
from lapidicom.cli.broker_look import BrokerLook, DeadLetters, DelayQueues, WorkQueue
from lapidicom.cli.by_http import ask_services, management
from lapidicom.cli.cube_checks import check_cube, cube_of
from lapidicom.cli.journals import Journals, look_at_journals
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.volume import look_at_volume, seen_of_volume
from lapidicom.common.broker import BrokerError
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

_STATES: Final = {Result.DEGRADED: "degraded", Result.FAIL: "down"}
_STYLES: Final = {"ok": "green", "degraded": "yellow", "down": "bold red"}


class Area(Answer):
    """One row of the screen."""

    area: str
    state: Annotated[str, Display(style=_STYLES)]
    seen: str


class Status(Answer):
    """All that was seen: what has no numbers is checks, and what is not visible its reason."""

    shown: ClassVar[tuple[str, ...]] = ("areas", "findings")

    status: str
    taken_at: datetime
    areas: Annotated[list[Area], Display("")]
    findings: Annotated[list[Check], Display("")]
    receivers: list[Check] | NotVisible
    volume: list[Check] | NotVisible
    journals: Journals | NotVisible
    broker: list[Check]
    work: WorkQueue | NotVisible
    delayed: DelayQueues | NotVisible
    dead_letters: DeadLetters | NotVisible
    registrars: list[Check] | NotVisible
    cube: list[Check] | NotVisible

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
    screen = (
        Live(console=output.console, auto_refresh=False, screen=True) if watch and output.terminal else None
    )
    async with management(shell.settings) as api, cube_of(shell.settings) as cube:
        broker = BrokerLook(shell.settings, api)
        with screen or nullcontext():
            try:
                while True:
                    seen = await _look(shell, broker, cube)
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


async def _look(shell: Shell, broker: BrokerLook, cube: Cube | None) -> Status:
    """Ask all at the same time."""
    settings = shell.settings
    queues, receivers, volume, journals, registrars, checks_of_cube = await asyncio.gather(
        _rabbitmq(shell, broker),
        ask_services("receivers", settings.receiver_urls),
        look_at_volume(settings),
        seen_of_volume(look_at_journals, settings.spool),
        ask_services("registrars", settings.registrar_urls),
        check_cube(cube, settings),
    )
    return judged(
        **queues,
        receivers=receivers,
        volume=volume,
        journals=journals,
        registrars=registrars,
        cube=checks_of_cube,
    )


async def _rabbitmq(shell: Shell, broker: BrokerLook) -> dict[str, Any]:
    try:
        async with shell.connection() as link:
            return await broker.look(link)
    except BrokerError as error:
        away = NotVisible("RabbitMQ is not reachable")
        checks = unreachable(shell.amqp_url, error)
        return {"broker": checks, "work": away, "delayed": away, "dead_letters": away}


def judged(**seen: Any) -> Status:
    """All that was seen, by its keys, with a row for each area and what an operator should know of it."""
    areas, findings = [], []
    for key, title in _TITLES.items():
        match look := seen[key]:
            case NotVisible():
                checks, text, well = [], str(look), "?"
            case list():
                checks, text, well = look, _text(look), "ok"
            case _:
                checks, text, well = list(look.checks()), str(look), "ok"
        areas.append(Area(area=title, state=_STATES.get(worst(checks), well), seen=text))
        findings += [one for one in checks if one.result.severity >= Result.NOTE.severity]
    findings.sort(key=lambda one: -one.result.severity)
    state = _STATES.get(worst(findings), "healthy")
    return Status(status=state, taken_at=datetime.now(UTC), areas=areas, findings=findings, **seen)


def _text(checks: Sequence[Check]) -> str:
    """What is wrong; if nothing is, what was seen."""
    faults = [one.seen for one in checks if one.result.severity >= Result.NOTE.severity]
    seen = (one.seen if one.result is Result.PASS else f"{one.name} not visible" for one in checks)
    return "; ".join(faults or seen)
