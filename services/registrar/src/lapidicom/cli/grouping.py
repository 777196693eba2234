"""Groups of dead letters: how many have one cause, since when, and one of them as an example. Pure code."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from lapidicom.cli.causes import cause_of, normalised, remedy
from lapidicom.cli.dead_letters.letter import DeadLetter

UNKNOWN = "unknown"


class GroupBy(StrEnum):
    """What makes a group."""

    REASON = "reason"
    """The normalised cause: reason and CUBE's answer without what differs between messages."""
    STATUS = "status"
    SERIES = "series"
    PACS = "pacs"
    HOUR = "hour"


KEYS: Mapping[GroupBy, Callable[[DeadLetter], str]] = MappingProxyType(
    {
        GroupBy.REASON: normalised,
        GroupBy.STATUS: lambda letter: "none" if letter.http_status is None else str(letter.http_status),
        GroupBy.SERIES: lambda letter: letter.series_uid or UNKNOWN,
        GroupBy.PACS: lambda letter: letter.pacs_name or UNKNOWN,
        GroupBy.HOUR: lambda letter: hour(letter.died_at),
    }
)


@dataclass
class Group:
    """Dead letters that have something in common.

    Attributes:
        key: what they have in common.
        count: how many.
        oldest: when the first of them became a dead letter.
        youngest: when the last one did.
        example: id of the first one seen.
        remedy: what to do about the example.
        section: of the runbook.
        reasons: how many have which reason.
    """

    key: str
    example: str
    remedy: str
    section: str
    count: int = 0
    oldest: datetime | None = None
    youngest: datetime | None = None
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, letter: DeadLetter) -> None:
        """Count one more."""
        self.count += 1
        self.reasons[letter.reason] += 1
        if letter.died_at is not None:
            self.oldest = min(self.oldest or letter.died_at, letter.died_at)
            self.youngest = max(self.youngest or letter.died_at, letter.died_at)


class Groups:
    """Gathers groups from letters one by one, and keeps none of these.

    Args:
        by: what makes a group.
    """

    def __init__(self, by: GroupBy) -> None:
        self._key = KEYS[by]
        self._groups: dict[str, Group] = {}

    def add(self, letter: DeadLetter) -> None:
        """Put a letter into its group."""
        key = self._key(letter)
        group = self._groups.get(key)
        if group is None:
            section = cause_of(letter.reason).section
            group = self._groups[key] = Group(key, letter.id, remedy(letter, of_group=True), section)
        group.add(letter)

    def largest_first(self) -> list[Group]:
        """The groups, the largest first; of equal ones the older."""
        return sorted(self._groups.values(), key=lambda group: -group.count)


def hour(when: datetime | None) -> str:
    """The hour of a time, UTC."""
    return UNKNOWN if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H}:00Z"
