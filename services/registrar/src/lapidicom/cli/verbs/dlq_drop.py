"""`lapidicom dlq drop`: dead letters that nobody will want, taken out for good."""

import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer
from aio_pika.abc import AbstractConnection
from pydantic import ConfigDict

from lapidicom.cli.answers import HIDDEN, Answer, Display
from lapidicom.cli.dead_letters import lock, walk
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.export import Exported, written
from lapidicom.cli.filters import Filters
from lapidicom.cli.letter_row import Row
from lapidicom.cli.output import Advance
from lapidicom.cli.queues import acknowledge
from lapidicom.cli.shell import Because, Shell, Yes, command

EXAMPLES: Final = 10
"""Letters that are shown before the question."""

HELD: Final = 1000
"""Letters that one consumer may hold."""


class Found(Answer):
    """What will be dropped."""

    model_config = ConfigDict(frozen=False)

    letters: Annotated[int, HIDDEN] = 0
    selected: Annotated[int, HIDDEN] = 0
    reasons: dict[str, int] = {}
    examples: Annotated[list[Row], Display("the first of them")] = []

    def headline(self) -> list[str]:
        """How many."""
        return [f"{self.selected} of {self.letters} dead letters will be dropped"]


class Dropped(Answer):
    """What was dropped."""

    selected: int
    dropped: int
    export: str | None

    def headline(self) -> list[str]:
        """How many, and where a copy is."""
        kept = f", kept in {self.export}" if self.export else ""
        return [f"{self.dropped} of {self.selected} dropped{kept}"]


@command(
    "lapidicom dlq drop --reason file-missing --export gone.jsonl --because 'study was deleted'",
    "lapidicom dlq drop --id 0b3f62c1.17 --no-export --yes",
)
async def drop(
    shell: Shell,
    filters: Filters,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Export them first, to a new file.")
    ] = None,
    no_export: Annotated[bool, typer.Option("--no-export", help="Keep no copy: they are gone.")] = False,
    yes: Yes = False,
    because: Because = "",
) -> ExitStatus:
    """Take dead letters out for good: their instances will not be registered.

    Filters are required, and so is either --export or --no-export. It shows what it will drop, and asks.
    """
    if not filters.are_given:
        raise OperatorError("nothing says which dead letters", "give filters such as --reason")
    if (export is None) != no_export:
        what = "nothing says whether to keep a copy, or both do"
        raise OperatorError(what, "give --export FILE or --no-export")
    if not yes and not sys.stdin.isatty():
        raise OperatorError("nobody can be asked: this is no terminal", "give --yes to drop without asking")
    kept = f"--export {export}" if export else "--no-export"
    acting = shell.audited(because, f"{filters} {kept}")
    async with acting as after, shell.connection() as link, lock(link):
        copies, found = await _find(link, filters, export)
        after["selected"] = selected = found.selected
        if not shell.output.json:
            shell.output.show(found)
        if selected and (yes or await shell.is_wanted(f"Drop these {selected} for good?")):
            with shell.output.progress("dropped", selected) as advance:
                try:
                    await _take_out(link, found.letters, copies, advance)
                finally:
                    after["dropped"] = selected - copies.total()
    dropped = selected - copies.total()
    shell.output.show(Dropped(selected=selected, dropped=dropped, export=str(export) if export else None))
    return ExitStatus.OK if dropped == selected else ExitStatus.FAILED


async def _find(
    link: AbstractConnection, filters: Filters, export: Path | None
) -> tuple[Counter[str], Found]:
    """Walk through all, and export those that are meant: how often each copy is there, and what is shown."""
    copies, reasons, found = Counter[str](), Counter[str](), Found()
    with written(export) if export is not None else nullcontext() as add:
        async with walk(link) as letters:
            async for letter, held in letters:
                found.letters += 1
                if not filters.matches(letter):
                    continue
                if add is not None:
                    add(Exported.of(held.routing_key, held.body, held.properties))
                reasons[letter.reason] += 1
                copies[letter.copy] += 1
                if len(found.examples) < EXAMPLES:
                    found.examples.append(Row.of(letter, show_phi=False))
    found.selected, found.reasons = reasons.total(), dict(reasons.most_common())
    return copies, found


async def _take_out(link: AbstractConnection, letters: int, left: Counter[str], advance: Advance) -> None:
    """Take out exactly what was found, under the same lock; what is left to do stays in `left`."""
    async with walk(link, most=HELD) as walked:
        async for letter, held in walked:
            letters -= 1
            if left[letter.copy] > 0:
                await acknowledge([held])
                left[letter.copy] -= 1
                advance(1)
            if not left.total() or not letters:
                return
