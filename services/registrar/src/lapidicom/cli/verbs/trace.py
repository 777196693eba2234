"""`lapidicom trace`: where an instance, a series or a study is."""

from typing import Annotated

import typer

from lapidicom.cli.errors import OperatorError
from lapidicom.cli.shell import Because, Limit, Shell, ShowPhi, command
from lapidicom.cli.trace.gathering import Gathering
from lapidicom.cli.trace.story import Detail, Subject, Trace
from lapidicom.common.instance.tags import is_uid


@command(
    "lapidicom trace 1.2.840.113619.2.5.1",
    "lapidicom trace 1.2.840.113619.2.5 --limit 0",
    "lapidicom trace A12345 --show-phi --because 'the ward asks'",
)
def trace(
    shell: Shell,
    uid: Annotated[
        str,
        typer.Argument(
            metavar="UID",
            help="Of an instance, a series or a study; with --show-phi an accession number.",
        ),
    ],
    limit: Limit = None,
    show_phi: ShowPhi = False,
    because: Because = "",
) -> int:
    """Show the whole story of an instance, a series or a study: from journals, volume, RabbitMQ and CUBE.

    Nothing is changed, and nothing is taken from the work queue or a delay queue: what is relayed, not in
    CUBE and not a dead letter is waiting.

    Exit status: 0 registered; 1 unknown; 10 waiting; 11 not relayed yet; 12 dead letter; 13 refused;
    14 set aside; 15 stored, but nothing asks for its registration; 16 stored or relayed, what became of it is
    not visible from here. A series or a study is as its worst instance.
    """
    if not (is_uid(uid) or show_phi):
        raise OperatorError("this is no UID", "an accession number is patient data: it needs --show-phi")
    found = shell.run(_trace(shell, uid, shell.rows(limit), because, show_phi=show_phi))
    if shell.output.json or found.subject is not Subject.INSTANCE:
        shell.output.show(found)
    else:
        for one in found.instances:
            shell.output.show(Detail(**dict(one), sees_volume="volume" not in found.not_visible))
        for line in found.surroundings():
            shell.output.text(line)
    shell.more(found.instances_not_shown)
    return found.state.exit_status


async def _trace(shell: Shell, uid: str, limit: int, because: str, *, show_phi: bool) -> Trace:
    what = uid if "." in uid and is_uid(uid) else "an accession number"
    async with shell.seeing_patient_data(show_phi, because, what):
        return await Gathering(shell, uid, show_phi=show_phi).trace(limit)
