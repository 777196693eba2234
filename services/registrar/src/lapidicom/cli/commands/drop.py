"""`lapidicom dlq drop`: dead letters that nobody will want, taken out for good."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from lapidicom.cli.audit import audited, told_filters
from lapidicom.cli.dead_letters.dropping import Found, find
from lapidicom.cli.dead_letters.dropping import drop as take_out
from lapidicom.cli.dead_letters.export_file import export_file
from lapidicom.cli.dead_letters.lock import lock
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import FilterOptions, Filters
from lapidicom.cli.in_thread import in_thread
from lapidicom.cli.output import Column
from lapidicom.cli.publishing import publishing
from lapidicom.cli.shell import Shell, command

EXAMPLES = 10
"""Letters that are shown before the question."""

ANSWER_SECONDS = 900.0


@command(
    "lapidicom dlq drop --reason file-missing --export gone.jsonl --because 'study was deleted'",
    "lapidicom dlq drop --id 0b3f62c1.17 --no-export --yes",
)
def drop(
    shell: Shell,
    filters: FilterOptions,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Export them first, to a new file.")
    ] = None,
    no_export: Annotated[bool, typer.Option("--no-export", help="Keep no copy: they are gone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    why: Annotated[str, typer.Option("--because", help="Why; goes into the audit.")] = "",
) -> ExitStatus:
    """Take dead letters out for good: their instances will not be registered.

    Filters are required, and so is either --export or --no-export. It shows what it will drop, and asks.
    """
    if not filters.any:
        raise OperatorError(
            "nothing says which dead letters", "give filters such as --reason", ExitStatus.UNUSABLE
        )
    if (export is None) != no_export:
        raise OperatorError(
            "nothing says whether to keep a copy"
            if export is None
            else "--export and --no-export contradict",
            "give --export FILE or --no-export",
            ExitStatus.UNUSABLE,
        )
    if not yes and not sys.stdin.isatty():
        raise OperatorError(
            "nobody can be asked: this is no terminal",
            "give --yes to drop without asking",
            ExitStatus.UNUSABLE,
        )
    meant, dropped = shell.run(_drop(shell, filters, export, yes, why))
    if shell.output.json:
        shell.output.document(
            {"selected": meant, "dropped": dropped, "export": None if export is None else str(export)}
        )
    else:
        shell.output.text(f"{dropped} of {meant} dropped" + (f", kept in {export}" if export else ""))
    return ExitStatus.OK if dropped == meant else ExitStatus.FAILED


async def _drop(shell: Shell, filters: Filters, export: Path | None, yes: bool, why: str) -> tuple[int, int]:
    url = shell.settings.amqp_url.get_secret_value()
    dropped = 0
    async with publishing(url, shell.command) as publisher, shell.connection() as link, lock(link):
        with export_file(export) if export is not None else nullcontext() as file:
            found = await find(link, filters, file, EXAMPLES)
        _show(shell, found)
        if not found.meant or not (yes or await _is_wanted(shell, found)):
            return found.meant, 0
        told, private = told_filters(filters)
        before = {"selected": found.meant, "export": str(export) if export else None, **told}
        with shell.output.progress("dropped", found.meant) as advance:

            def on_dropped(more: int) -> None:
                nonlocal dropped
                dropped += more
                advance(more)

            async with audited(publisher, shell.command, why=why, before=before, private=private) as after:
                try:
                    await take_out(link, found, on_dropped)
                finally:
                    after["dropped"] = dropped
    return found.meant, dropped


def _show(shell: Shell, found: "Found") -> None:
    output = shell.output
    output.text(f"{found.meant} of {found.letters} dead letters will be dropped")
    if not found.meant:
        return
    output.table(["reason", Column("letters", right=True)], found.reasons.most_common())
    output.table(
        ["id", "reason", "pacs", "series", "instance"],
        [
            (letter.id, letter.reason, letter.pacs_name, letter.series_uid, letter.sop_uid)
            for letter in found.examples
        ],
        title=f"the first {len(found.examples)}" if found.meant > len(found.examples) else "",
    )


async def _is_wanted(shell: Shell, found: "Found") -> bool:
    """Ask; the lock is kept meanwhile, and nothing is held."""
    shell.output.ask(f"Drop these {found.meant} for good? [y/N]")
    try:
        answer = await in_thread(sys.stdin.readline, ANSWER_SECONDS)
    except TimeoutError:
        answer = ""
    return answer.strip().lower() in {"y", "yes"}
