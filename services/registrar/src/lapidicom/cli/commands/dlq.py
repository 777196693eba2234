"""`lapidicom dlq list` and `dlq show`: dead letters, looked at. Neither changes anything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import typer

from lapidicom.cli.dead_letters.letter import DeadLetter, is_named, read_letter
from lapidicom.cli.dead_letters.look import look
from lapidicom.cli.dead_letters.presenting import (
    group_document,
    group_rows,
    letter_rows,
    list_columns,
    list_row,
    summary,
    whole,
)
from lapidicom.cli.dead_letters.sight import Seen, sight_of
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.filters import FilterOptions, Filters
from lapidicom.cli.grouping import GroupBy, Groups
from lapidicom.cli.replay.records import Doubt, interrupted
from lapidicom.cli.shell import Shell, command

T = TypeVar("T")

ShowPhi = Annotated[
    bool, typer.Option("--show-phi", help="Show patient data (identity, paths, CUBE's own words).")
]


@command(
    "lapidicom dlq list --group-by reason",
    "lapidicom dlq list --since 2h --reason refused --where Modality=MR",
    "lapidicom dlq list --pacs PACS1 --limit 20 --json",
)
def list_letters(
    shell: Shell,
    filters: FilterOptions,
    group_by: Annotated[
        GroupBy | None,
        typer.Option(help="Count them by cause (reason), HTTP status, series, PACS, or hour, largest first."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Show at most so many, the oldest (or largest groups); 0 is all.")
    ] = 0,
    show_phi: ShowPhi = False,
) -> None:
    """List dead letters, oldest first, or groups of them.

    Looking changes nothing: the messages keep their place, and no count that could end them goes up.
    """
    if group_by is not None:
        _list_groups(shell, filters, group_by, limit)
        return
    now = datetime.now(UTC)
    if shell.output.json:
        documents = shell.run(
            _gather(shell, filters, limit, lambda letter: summary(letter, show_phi=show_phi))
        )
        shell.output.document(
            {"total": documents.total, "matching": documents.matching, "dead_letters": documents.kept}
        )
        return
    short = shell.output.terminal
    rows = shell.run(
        _gather(shell, filters, limit, lambda letter: list_row(letter, now, short=short, show_phi=show_phi))
    )
    shell.output.table(list_columns(show_phi=show_phi), rows.kept)
    shell.output.note(f"{len(rows.kept)} shown of {rows.matching} that match; {rows.total} in all")


@command(
    "lapidicom dlq show 0b3f62c1.17",
    "lapidicom dlq show 0b3f62c1.17 --show-phi",
)
def show(
    shell: Shell,
    letter_id: Annotated[
        str, typer.Argument(metavar="ID", help="Its id; a beginning will do, of `life.17` that of the life.")
    ],
    show_phi: ShowPhi = False,
) -> None:
    """Show one dead letter: its history, CUBE's answer, whether its file is there, and what to do.

    Patient data is masked unless --show-phi is given.
    """
    letter, copies, sight = shell.run(_look_at(shell, letter_id))
    if shell.output.json:
        shell.output.document(whole(letter, sight, copies, show_phi=show_phi))
        return
    for title, rows in letter_rows(letter, datetime.now(UTC), sight, copies, show_phi=show_phi):
        shell.output.text(title, "bold")
        shell.output.fields(rows)
        shell.output.text()


def _list_groups(shell: Shell, filters: Filters, group_by: GroupBy, limit: int) -> None:
    groups, matching, total = shell.run(_group(shell, filters, group_by))
    found = groups.largest_first()
    shown = found[:limit] if limit else found
    if shell.output.json:
        shell.output.document(
            {
                "total": total,
                "matching": matching,
                "group_by": group_by.value,
                "groups": [group_document(group) for group in shown],
            }
        )
        return
    columns, rows = group_rows(shown, group_by, datetime.now(UTC), short=shell.output.terminal)
    shell.output.table(columns, rows)
    shell.output.note(f"{len(shown)} of {len(found)} groups; {matching} letters match, of {total} in all")


@dataclass
class _Gathered(Generic[T]):
    """What a look has gathered.

    Attributes:
        total: dead letters in all.
        matching: how many of them match.
        kept: the first of these, as they are shown.
    """

    total: int = 0
    matching: int = 0
    kept: list[T] = field(default_factory=list)


async def _gather(
    shell: Shell, filters: Filters, limit: int, shown: Callable[[DeadLetter], T]
) -> _Gathered[T]:
    """Look at all, and keep of those that match only what will be shown."""
    found = _Gathered[T]()
    async with shell.connection() as link, look(link) as letters:
        doubt = Doubt(await interrupted(link))
        async for held in letters:
            letter = read_letter(held.body, held.properties)
            doubt.see(letter)
            found.total += 1
            if filters.matches(letter):
                found.matching += 1
                if not limit or len(found.kept) < limit:
                    found.kept.append(shown(letter))
    if doubt.count:
        shell.output.warn(doubt.line)
    return found


async def _group(shell: Shell, filters: Filters, group_by: GroupBy) -> tuple[Groups, int, int]:
    groups, matching = Groups(group_by), 0
    async with shell.connection() as link, look(link) as letters:
        doubt = Doubt(await interrupted(link))
        async for held in letters:
            letter = read_letter(held.body, held.properties)
            doubt.see(letter)
            if filters.matches(letter):
                matching += 1
                groups.add(letter)
    if doubt.count:
        shell.output.warn(doubt.line)
    return groups, matching, letters.received


async def _look_at(shell: Shell, wanted: str) -> tuple[DeadLetter, int, Seen]:
    letter, copies = await _find(shell, wanted)
    return letter, copies, await sight_of(shell.settings.files_root, letter)


async def _find(shell: Shell, wanted: str) -> tuple[DeadLetter, int]:
    """The letter that is meant, and how many copies of it there are (delivery is at least once).

    Raises:
        OperatorError: there is none, or several are meant.
    """
    found: dict[str, DeadLetter] = {}
    copies = 0
    async with shell.connection() as link, look(link) as letters:
        async for held in letters:
            letter = read_letter(held.body, held.properties)
            if wanted and is_named(letter.id, wanted):
                found.setdefault(letter.id, letter)
                copies += 1
    if not found:
        raise OperatorError(
            f"no dead letter {wanted!r}", "`lapidicom dlq list` tells which there are", ExitStatus.FAILED
        )
    if len(found) > 1:
        some = ", ".join(list(found)[:3])
        raise OperatorError(
            f"{len(found)} dead letters begin with {wanted!r}",
            f"give more of the id, such as {some}",
            ExitStatus.FAILED,
        )
    return next(iter(found.values())), copies
