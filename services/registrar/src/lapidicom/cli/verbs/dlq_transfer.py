"""`lapidicom dlq export` and `dlq import`: dead letters to a file and back, exactly as they were."""

from pathlib import Path
from typing import Annotated, Final

import typer

from lapidicom.cli.answers import Answer
from lapidicom.cli.dead_letters import look
from lapidicom.cli.errors import OperatorError
from lapidicom.cli.export import FORMAT, OF_QUEUE, Exported, NoExport, read_export, written
from lapidicom.cli.filters import Filters
from lapidicom.cli.in_flight import InFlight
from lapidicom.cli.queues import FORMER_QUEUES
from lapidicom.cli.shell import Because, DryRun, Shell, command
from lapidicom.common.broker import BrokerError
from lapidicom.common.broker.connection import open_channel
from lapidicom.common.broker.errors import UnknownOutcome, boundary
from lapidicom.common.broker.publisher import PUBLISH_SECONDS
from lapidicom.common.topology import DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE

IN_FLIGHT: Final = 200


def _queue(name: str) -> str:
    """Only queues of which nobody but the command consumes: never the work queue or a delay queue."""
    if name not in {DEAD_LETTER_QUEUE, *FORMER_QUEUES}:
        raise ValueError(f"{name!r} cannot be exported: give {' or '.join(FORMER_QUEUES)}")
    return name


class ExportAnswer(Answer):
    """What was written."""

    file: str
    exported: int
    queue: str

    def headline(self) -> list[str]:
        """That it holds patient data."""
        what = "dead letters" if self.queue == DEAD_LETTER_QUEUE else f"messages of {self.queue}"
        return [f"{self.exported} {what} exported to {self.file}; it holds patient data"]


class ImportAnswer(Answer):
    """What was, or would be, put back."""

    file: str
    messages: int
    imported: int
    dry_run: bool

    def headline(self) -> list[str]:
        """How many."""
        return [f"{self.messages} messages {'would be' if self.dry_run else 'are'} dead letters again"]


@command("lapidicom dlq export letters.jsonl", "lapidicom dlq export mr.jsonl --where Modality=MR")
async def export(
    shell: Shell,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, JSON lines, mode 0600.")],
    filters: Filters,
    queue: Annotated[
        str,
        typer.Option(metavar="NAME", parser=_queue, help=f"A former queue: {' or '.join(FORMER_QUEUES)}."),
    ] = DEAD_LETTER_QUEUE,
    because: Because = "",
) -> None:
    """Write dead letters to a file: whole messages, patient data included. They stay dead letters."""
    count, is_former = 0, queue != DEAD_LETTER_QUEUE
    what = f"{path} {filters}" + (f" --queue {queue}" if is_former else "")
    async with shell.audited(because, what) as after, shell.connection() as link:
        with written(path, OF_QUEUE.format(queue) if is_former else FORMAT) as add:
            async with look(link, queue) as letters:
                async for letter, held in letters:
                    if filters.matches(letter):
                        add(Exported.of(held.routing_key, held.body, held.properties))
                        count += 1
        after["count"] = count
    shell.output.show(ExportAnswer(file=str(path), exported=count, queue=queue))


@command(
    "lapidicom dlq import letters.jsonl --dry-run",
    "lapidicom dlq import letters.jsonl --because 'dropped by mistake'",
)
async def import_letters(
    shell: Shell,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Written by `lapidicom dlq export`.")],
    dry_run: DryRun = False,
    because: Because = "",
) -> None:
    """Put exported messages back into the dead letters, as they were.

    The whole file is checked first. What is a dead letter already is there twice then, which does no harm.
    """
    try:
        messages = sum(1 for _ in read_export(path))
    except NoExport as error:
        what, remedy = f"{path} cannot be imported: {error}", "name a file that `lapidicom dlq export` wrote"
        raise OperatorError(what, remedy) from None
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror})", "name an export") from None
    if not dry_run:
        await _import(shell, path, messages, because)
    imported = 0 if dry_run else messages
    shell.output.show(ImportAnswer(file=str(path), messages=messages, imported=imported, dry_run=dry_run))


async def _import(shell: Shell, path: Path, messages: int, because: str) -> None:
    """Publish to the dead-letter exchange, confirmed, on a connection of nobody else who publishes.

    Two things of a message are left out, for RabbitMQ would act on them: an expiration, which would let the
    dead letter vanish, and a user id, which must be that of the connection.
    """
    stored = 0
    async with shell.audited(because, str(path), messages) as after, shell.connection() as link:
        channel = await (await open_channel(link, confirms=True)).get_underlay_channel()
        with shell.output.progress("imported", messages) as advance:

            async def publish(message: Exported) -> None:
                nonlocal stored
                message.properties.expiration = message.properties.user_id = None
                async with boundary(PUBLISH_SECONDS, UnknownOutcome):
                    await channel.basic_publish(
                        message.body,
                        exchange=DEAD_LETTER_EXCHANGE,
                        routing_key=message.routing_key,
                        properties=message.properties,
                        mandatory=True,
                    )
                stored += 1
                advance(1)

            try:
                async with InFlight(IN_FLIGHT) as flight:
                    for message in read_export(path):
                        await flight.start(publish, message)
            except BrokerError as error:
                what = f"RabbitMQ failed after {stored} of {messages} messages were imported ({error})"
                remedy = f"up to {IN_FLIGHT} more may be dead letters; a further import makes copies of all"
                raise OperatorError(what, remedy) from error
            finally:
                after["imported"] = stored
