"""`lapidicom dlq export` and `dlq import`: dead letters to a file and back, exactly as they were."""

from pathlib import Path
from typing import Annotated

import typer

from lapidicom.cli.audit import audited
from lapidicom.cli.dead_letters.dropping import find
from lapidicom.cli.dead_letters.export import NoExport, read_lines
from lapidicom.cli.dead_letters.export_file import export_file
from lapidicom.cli.dead_letters.importing import IN_FLIGHT, put_back
from lapidicom.cli.dead_letters.lock import lock
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import FilterOptions, Filters
from lapidicom.cli.publishing import publishing
from lapidicom.cli.shell import Shell, command
from lapidicom.common.broker import BrokerError


@command(
    "lapidicom dlq export letters.jsonl",
    "lapidicom dlq export mr.jsonl --where Modality=MR",
)
def export(
    shell: Shell,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, JSON lines, mode 0600.")],
    filters: FilterOptions,
) -> None:
    """Write dead letters to a file: whole messages, patient data included. They stay dead letters."""
    count = shell.run(_export(shell, path, filters))
    if shell.output.json:
        shell.output.document({"file": str(path), "exported": count})
    else:
        shell.output.text(f"{count} dead letters exported to {path}; it holds patient data")


@command(
    "lapidicom dlq import letters.jsonl --dry-run",
    "lapidicom dlq import letters.jsonl --because 'dropped by mistake'",
)
def import_letters(
    shell: Shell,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Written by `lapidicom dlq export`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file; do nothing.")] = False,
    why: Annotated[str, typer.Option("--because", help="Why; goes into the audit.")] = "",
) -> None:
    """Put exported messages back into the dead letters, as they were.

    The whole file is checked first. What is a dead letter already is there twice then; a replay says so.
    """
    count = _check(path)
    if not dry_run:
        shell.run(_import(shell, path, count, why))
    if shell.output.json:
        shell.output.document(
            {"file": str(path), "messages": count, "imported": 0 if dry_run else count, "dry_run": dry_run}
        )
    else:
        verb = "would be" if dry_run else "are"
        shell.output.text(f"{count} messages {verb} dead letters again")


async def _export(shell: Shell, path: Path, filters: Filters) -> int:
    async with shell.connection() as link, lock(link):
        with export_file(path) as file:
            await find(link, filters, file)
    return file.count


def _check(path: Path) -> int:
    """How many messages a file holds.

    Raises:
        OperatorError: it is no export, or cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return sum(1 for _ in read_lines(file))
    except (NoExport, UnicodeDecodeError) as error:
        what = str(error) if isinstance(error, NoExport) else "it is no text"
        raise OperatorError(
            f"{path} cannot be imported: {what}",
            "name a file that `lapidicom dlq export` wrote",
            ExitStatus.UNUSABLE,
        ) from None
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read ({error.strerror})", "name an export", ExitStatus.UNUSABLE
        ) from None


async def _import(shell: Shell, path: Path, count: int, why: str) -> None:
    url = shell.settings.amqp_url.get_secret_value()
    stored = 0

    async with publishing(url, shell.command) as publisher, shell.connection() as link:
        with shell.output.progress("imported", count) as advance:

            def on_stored(more: int) -> None:
                nonlocal stored
                stored += more
                advance(more)

            async with audited(publisher, shell.command, why=why, before={"messages": count}) as after:
                try:
                    with path.open(encoding="utf-8") as file:
                        await put_back(link, read_lines(file), on_stored)
                except BrokerError as error:
                    raise OperatorError(
                        f"RabbitMQ failed after {stored} of {count} messages were imported ({error})",
                        f"up to {IN_FLIGHT} more may be dead letters; a further import makes copies of all",
                        ExitStatus.UNUSABLE,
                    ) from error
                finally:
                    after["imported"] = stored
