"""`lapidicom topology show|check|apply`."""

from typing import Annotated

import typer

from lapidicom.cli.errors import ExitStatus, NotVisible, OperatorError
from lapidicom.cli.management import management, vhost_of
from lapidicom.cli.output import Column, Output
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.topology.applying import apply_part, missing_part
from lapidicom.cli.topology.document import declared_document, report_document
from lapidicom.cli.topology.looking import look
from lapidicom.cli.topology.report import Kind, Report, State
from lapidicom.common.settings import DelaySection, SettingsError, load
from lapidicom.common.topology import Topology, topology


@command(
    "lapidicom topology show",
)
def show(shell: Shell) -> None:
    """Show what the services declare, with CHRIS_RETRY_DELAYS and CHRIS_PARK_DELAY of this environment.

    Asks nobody: RabbitMQ need not run.
    """
    try:
        declared = _declared(load(DelaySection, shell.environ))
    except SettingsError as error:
        raise OperatorError(str(error), "see docs/settings.md", ExitStatus.UNUSABLE) from None
    output = shell.output
    if output.json:
        output.document(declared_document(declared))
        return
    output.table(["exchange", "type", "durable"], [(name, "topic", "yes") for name in declared.exchanges])
    output.table(
        ["queue", "arguments"],
        [
            (queue.name, ", ".join(f"{name}={value}" for name, value in queue.arguments.items()))
            for queue in declared.queues
        ],
    )
    output.table(
        ["exchange", "routing key", "queue"],
        [(one.exchange, one.routing_key, one.queue) for one in declared.bindings],
    )


@command("lapidicom topology check", "lapidicom topology check --json")
def check(shell: Shell) -> ExitStatus:
    """Compare the broker's topology with the declared one; changes nothing.

    AMQP alone shows what is missing and which arguments differ; bindings and policies need
    AMQP_MANAGEMENT_URL. Exit status 1 if anything is missing, differs, or breaks a guarantee.
    """
    report = shell.run(_look(shell))
    if shell.output.json:
        shell.output.document(report_document(report))
    else:
        _print(shell.output, report)
    return ExitStatus.OK if report.is_sound else ExitStatus.FAILED


@command("lapidicom topology apply --because 'new virtual host'")
def apply(
    shell: Shell,
    because: Annotated[str, typer.Option("--because", help="Why; goes into the audit.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be declared; do nothing.")
    ] = False,
) -> ExitStatus:
    """Declare what is missing; nothing that exists is touched, and no message is lost.

    What differs in its arguments is left as it is: the steps to migrate are printed, exit status 1.
    """
    report, part = shell.run(_apply(shell, because, dry_run=dry_run))
    differing = list(report.of(State.DIFFERENT))
    if shell.output.json:
        shell.output.document(report_document(report, dry_run=dry_run, declared=declared_document(part)))
    else:
        verb = "would declare" if dry_run else "declared"
        for name in (*part.exchanges, *(queue.name for queue in part.queues)):
            shell.output.text(f"{verb} {name}")
        if not part.exchanges and not part.queues:
            shell.output.text("nothing is missing")
        if part.bindings:
            shell.output.text(f"{'would bind' if dry_run else 'bound'} {len(part.bindings)} routing keys")
        _print_steps(shell.output, report)
    return ExitStatus.FAILED if differing else ExitStatus.OK


async def _look(shell: Shell) -> Report:
    settings = shell.settings
    amqp_url = settings.amqp_url.get_secret_value()
    url = settings.management_url
    async with (
        shell.connection() as link,
        management(url.get_secret_value() if url else None, amqp_url) as api,
    ):
        return await look(link, api, _declared(settings), vhost_of(amqp_url))


async def _apply(shell: Shell, reason: str, *, dry_run: bool) -> tuple[Report, Topology]:
    report = await _look(shell)
    part = missing_part(_declared(shell.settings), report)
    if not dry_run:
        amqp_url = shell.settings.amqp_url.get_secret_value()
        async with shell.connection() as link:
            await apply_part(link, amqp_url, part, command=shell.command, why=reason)
    return report, part


def _declared(delays: "DelaySection") -> Topology:
    return topology(delays.retry_delays, delays.park_delay)


def _print(output: Output, report: Report) -> None:
    bindings = [row for row in report.rows if row.kind is Kind.BINDING]
    told = [row for row in report.rows if row not in bindings or row.state is State.MISSING]
    output.table(
        ["", "name", Column("state", style="bold"), "what differs"],
        [(row.kind, row.name, row.state, row.told) for row in told],
    )
    unseen = [row for row in bindings if row.state is State.NOT_VISIBLE]
    if unseen:
        output.text(f"bindings: {NotVisible(unseen[0].told)}")
    else:
        there = sum(row.state is State.EQUAL for row in bindings)
        output.text(f"bindings: {there} of {len(bindings)} are there")
    if isinstance(report.broken, NotVisible):
        output.text(f"policies: {report.broken}")
    elif report.broken:
        output.table(
            ["policy", "queue", "breaks", "why", "remedy"],
            [
                (
                    f"{one.policy}{' (operator policy)' if one.is_operators else ''}",
                    one.queue,
                    f"{one.key}={one.value}",
                    one.why,
                    one.remedy,
                )
                for one in report.broken
            ],
        )
    if any(report.of(State.MISSING)):
        output.text("missing: `lapidicom topology apply` declares it, without loss")
    _print_steps(output, report)


def _print_steps(output: Output, report: Report) -> None:
    for row in report.of(State.DIFFERENT):
        output.text(f"{row.kind} {row.name} differs ({row.told}); it is not touched. To migrate:")
        for number, step in enumerate(row.steps, 1):
            output.text(f"  {number}. {step}")
