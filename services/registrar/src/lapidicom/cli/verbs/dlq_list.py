"""`lapidicom dlq list`: dead letters, or groups of them, looked at. Nothing is changed."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

import typer
from pydantic import ConfigDict

from lapidicom.cli.answers import HIDDEN, Answer, Display
from lapidicom.cli.causes import cause_of, remedy
from lapidicom.cli.dead_letters import look
from lapidicom.cli.filters import Filters
from lapidicom.cli.letter import DeadLetter, short_id
from lapidicom.cli.letter_row import Row
from lapidicom.cli.masking import known_answer, known_word
from lapidicom.cli.shell import Because, Limit, Shell, ShowPhi, command
from lapidicom.cli.times import age

UNKNOWN: Final = "unknown"


class Letters(Answer):
    """The list."""

    total: Annotated[int, HIDDEN]
    matching: Annotated[int, HIDDEN]
    dead_letters: Annotated[list[Row], Display("")]


class Group(Answer):
    """Dead letters that have something in common.

    `example` is the first one's id; remedy and section of the runbook are the example's.
    """

    model_config = ConfigDict(frozen=False)

    count: Annotated[int, Display(style="bold", right=True)] = 0
    key: Annotated[str, Display("group", style="red")]
    reasons: dict[str, int] = {}
    oldest: Annotated[datetime | None, Display("oldest", right=True, form=age)] = None
    youngest: Annotated[datetime | None, HIDDEN] = None
    example: Annotated[str, Display(short=short_id)]
    remedy: Annotated[str, Display("what to do")]
    runbook: Annotated[str, HIDDEN]

    @classmethod
    def of(cls, key: str, example: DeadLetter) -> Self:
        """A group of none yet."""
        what = remedy(example.reason, short_id(example.id), of_group=True)
        return cls(key=key, example=example.id, remedy=what, runbook=cause_of(example.reason).section)

    def add(self, letter: DeadLetter) -> None:
        """Count one more."""
        self.count += 1
        self.reasons[letter.reason] = self.reasons.get(letter.reason, 0) + 1
        times = [one for one in (self.oldest, self.youngest, letter.died_at) if one is not None]
        self.oldest, self.youngest = min(times, default=None), max(times, default=None)


class GroupOfOneReason(Group):
    """A group whose name says its reason."""

    shown: ClassVar[tuple[str, ...]] = ("count", "key", "oldest", "example", "remedy")


class Groups(Answer):
    """All groups, the largest first."""

    total: Annotated[int, HIDDEN]
    matching: Annotated[int, HIDDEN]
    group_by: Annotated[str, HIDDEN]
    groups: Annotated[list[Group], Display("")]


class GroupBy(StrEnum):
    """What makes a group."""

    REASON = "reason"
    """Reason, and what CUBE is known to say."""
    STATUS = "status"
    SERIES = "series"
    PACS = "pacs"
    HOUR = "hour"


KEYS: Final[Mapping[GroupBy, Callable[[DeadLetter], str]]] = {
    GroupBy.REASON: lambda letter: (
        f"{letter.reason} ({said})" if (said := known_answer(letter.answer)) else letter.reason
    ),
    GroupBy.STATUS: lambda letter: "none" if letter.http_status is None else str(letter.http_status),
    GroupBy.SERIES: lambda letter: letter.uid("SeriesInstanceUID") or UNKNOWN,
    GroupBy.PACS: lambda letter: known_word(letter.pacs_name) or UNKNOWN,
    GroupBy.HOUR: lambda letter: f"{letter.died_at:%Y-%m-%d %H}:00Z" if letter.died_at else UNKNOWN,
}


@command(
    "lapidicom dlq list --group-by reason",
    "lapidicom dlq list --since 2h --reason refused --where Modality=MR",
    "lapidicom dlq list --pacs PACS1 --limit 20 --json",
)
async def list_letters(
    shell: Shell,
    filters: Filters,
    group_by: Annotated[
        GroupBy | None,
        typer.Option(help="Count them by cause (reason), HTTP status, series, PACS, or hour, largest first."),
    ] = None,
    limit: Limit = None,
    show_phi: ShowPhi = False,
    because: Because = "",
) -> None:
    """List dead letters, oldest first, or groups of them.

    Looking changes nothing: the messages keep their place, and no count that could end them goes up.
    """
    most = shell.rows(limit)
    rows: list[Row] = []
    groups: dict[str, Group] = {}
    made = GroupOfOneReason if group_by is GroupBy.REASON else Group
    total = matching = 0
    seeing = shell.seeing_patient_data(show_phi, because, str(filters))
    async with seeing as seen, shell.connection() as link, look(link) as letters:
        async for letter, _ in letters:
            total += 1
            if not filters.matches(letter):
                continue
            matching += 1
            if group_by is not None:
                key = KEYS[group_by](letter)
                if key not in groups:
                    groups[key] = made.of(key, letter)
                groups[key].add(letter)
            elif not most or len(rows) < most:
                rows.append(Row.of(letter, show_phi=show_phi))
        seen["letters"] = len(rows)
    if group_by is None:
        shell.output.show(Letters(total=total, matching=matching, dead_letters=rows))
        shell.more(matching - len(rows))
        return
    largest = sorted(groups.values(), key=lambda one: -one.count)[: most or None]
    for one in largest:
        one.reasons = dict(Counter(one.reasons).most_common())
    shell.output.show(Groups(total=total, matching=matching, group_by=group_by, groups=largest))
    shell.more(len(groups) - len(largest))
