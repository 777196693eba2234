"""`lapidicom status`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Annotated

import typer
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lapidicom.cli.cube_look import cube_client
from lapidicom.cli.management import management
from lapidicom.cli.output import Output
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.status.document import document
from lapidicom.cli.status.judgement import Judgement, judge
from lapidicom.cli.status.looking import Looking
from lapidicom.cli.status.screen import findings, rows
from lapidicom.cli.status.snapshot import Snapshot
from lapidicom.common.topology import topology

_STYLES = {"ok": "green", "degraded": "yellow", "down": "bold red"}


@command(
    "lapidicom status",
    "lapidicom status --watch --every 5",
    "lapidicom status --json | jq .findings",
)
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
        return _tell(shell.output, await looking.look())


async def _watch(shell: Shell, seconds: float) -> int:
    """Look until Ctrl-C, the ordinary end; returns the level of the last look.

    Where there is no terminal, one screen or JSON document follows the other.
    """
    level = 0
    try:
        async with _looking(shell) as looking:
            with _showing(shell.output) as show:
                while True:
                    snapshot = await looking.look()
                    level = show(snapshot)
                    await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        return level


@contextmanager
def _showing(output: Output) -> "Iterator[Callable[[Snapshot], int]]":
    """Yields what shows a snapshot, in place of the one before or below it, and returns its level."""
    if not output.terminal:

        def below(snapshot: "Snapshot") -> int:
            level = _tell(output, snapshot)
            output.flush()
            return level

        yield below
        return
    with Live(console=output.console, auto_refresh=False, screen=True) as live:

        def in_place(snapshot: "Snapshot") -> int:
            judgement = judge(snapshot)
            live.update(_screen(snapshot, judgement), refresh=True)
            return judgement.level

        yield in_place


@asynccontextmanager
async def _looking(shell: Shell) -> "AsyncIterator[Looking]":
    settings = shell.settings
    url = settings.management_url
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            management(url.get_secret_value() if url else None, settings.amqp_url.get_secret_value())
        )
        section = settings.cube
        cube = None if section is None else await stack.enter_async_context(cube_client(section))
        declared = topology(settings.retry_delays, settings.park_delay)
        yield Looking(settings, declared, api, cube)


def _tell(output: Output, snapshot: "Snapshot") -> int:
    """Print one snapshot; returns its level."""
    judgement = judge(snapshot)
    if output.json:
        output.document(document(snapshot, judgement))
    elif output.terminal:
        output.console.print(_screen(snapshot, judgement))
    else:
        output.text(_head(snapshot, judgement))
        output.table(["area", "state", "seen"], rows(snapshot, judgement))
        if judgement.findings:
            output.table(["level", "what", "remedy"], findings(judgement))
    return judgement.level


def _screen(snapshot: "Snapshot", judgement: "Judgement") -> "RenderableType":
    level = judgement.level.name.lower()
    screen: list[RenderableType] = [Text(_head(snapshot, judgement), _STYLES.get(level, "bold green"))]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("area", "state", "seen"):
        table.add_column(title, overflow="fold")
    for area, state, seen in rows(snapshot, judgement):
        table.add_row(area, Text(state, _STYLES.get(state, "dim")), Text(seen))
    screen.append(table)
    for one, what, remedy in findings(judgement):
        screen.append(Text.assemble((f"{one}: ", _STYLES.get(one, "dim")), what, (f"\n  -> {remedy}", "dim")))
    return Group(*screen)


def _head(snapshot: "Snapshot", judgement: "Judgement") -> str:
    return f"lapidicom is {judgement.level.name.lower()}, {snapshot.taken_at:%Y-%m-%d %H:%M:%S} UTC"
