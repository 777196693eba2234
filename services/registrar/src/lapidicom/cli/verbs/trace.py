"""`lapidicom trace UID`."""

from typing import Annotated

import typer

from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.shell import Shell, command
from lapidicom.cli.trace.document import document
from lapidicom.cli.trace.gathering import gather
from lapidicom.cli.trace.report import tell
from lapidicom.cli.trace.story import EXIT_STATUSES
from lapidicom.common.instance.tags import is_uid


@command(
    "lapidicom trace 1.2.840.113619.2.5.1",
    "lapidicom trace 1.2.840.113619.2.5 --limit 0",
)
def trace(
    shell: Shell,
    uid: Annotated[str, typer.Argument(metavar="UID", help="SOPInstanceUID or SeriesInstanceUID.")],
    limit: Annotated[int, typer.Option(min=0, help="Instances to show at most; 0: all.")] = 50,
    show_phi: Annotated[
        bool, typer.Option("--show-phi", help="Show paths in full: they hold patient data.")
    ] = False,
) -> int:
    """Tell the whole story of an instance or a series: from journals, volume, RabbitMQ and CUBE.

    Nothing is changed, and nothing is taken from the work queue or a delay queue: what is relayed, not in
    CUBE and not a dead letter is waiting.

    Exit status: 0 registered; 1 unknown; 10 waiting; 11 not relayed yet; 12 dead letter; 13 refused;
    14 set aside; 15 stored, but nothing asks for its registration; 16 stored or relayed, what became of it is
    not visible from here. A series is as its worst instance.
    """
    if not is_uid(uid):
        raise OperatorError(
            "this is no UID", "give a SOPInstanceUID or SeriesInstanceUID", ExitStatus.UNUSABLE
        )
    found = gather(shell, uid)
    if shell.output.json:
        shell.output.document(document(found, limit=limit, show_phi=show_phi))
    else:
        tell(shell.output, found, limit=limit, show_phi=show_phi)
    return EXIT_STATUSES[found.state]
