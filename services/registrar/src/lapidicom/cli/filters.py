"""Which dead letters are meant: the filters that list, replay, export and drop have in common. Pure code."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from lapidicom.cli.dead_letters.letter import DeadLetter, is_named
from lapidicom.cli.errors import ExitStatus, OperatorError
from lapidicom.cli.shell import OptionsOf

_AGO = re.compile(r"([0-9]+)([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

NO_STATUS = "none"
"""--status of what never got an answer."""


@dataclass(frozen=True)
class Filters:
    """Everything that is given must fit; of several values of one filter any one.

    Attributes:
        reasons: a whole reason, or what stands before its colon (`refused` means `refused: path` too).
        statuses: HTTP statuses, or `none`.
        series: SeriesInstanceUIDs.
        pacs: PACS names.
        since: not older; by the time at which it became a dead letter.
        until: not younger.
        ids: ids, or short ones, as `is_named` takes them.
        where: field of the body or header, and its value; `*` stands for any text.
    """

    reasons: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    pacs: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything is filtered at all."""
        return self != Filters()

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        status = NO_STATUS if letter.http_status is None else str(letter.http_status)
        return (
            (not self.reasons or any(_is_reason(letter.reason, reason) for reason in self.reasons))
            and (not self.statuses or status in self.statuses)
            and (not self.series or letter.series_uid in self.series)
            and (not self.pacs or letter.pacs_name in self.pacs)
            and (not self.ids or any(is_named(letter.id, wanted) for wanted in self.ids))
            and self._is_of_time(letter.died_at)
            and (not self.where or self._has_fields(letter))
        )

    def _is_of_time(self, when: datetime | None) -> bool:
        if self.since is None and self.until is None:
            return True
        if when is None:
            return False
        return (self.since is None or when >= self.since) and (self.until is None or when <= self.until)

    def _has_fields(self, letter: DeadLetter) -> bool:
        known: Mapping[str, object] = {**letter.headers, **letter.fields}
        return all(key in known and _fits(known[key], value) for key, value in self.where)


def make_filters(
    reason: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REASON",
            help="Only this reason; `refused` means `refused: path` too. May be given again.",
        ),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS", help="Only this HTTP status of CUBE's, or `none`. May be given again."
        ),
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(metavar="UID", help="Only this SeriesInstanceUID. May be given again."),
    ] = None,
    pacs: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only of this PACS (its AE title). May be given again."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not older: 30m, 2h, 3d, or an ISO date, UTC unless it says."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Not younger; as --since.")] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Only this id; a beginning will do. May be given again."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Only where this field or header has this value; `*` is any text."
        ),
    ] = None,
) -> Filters:
    """Make the filters of a command's options.

    Raises:
        OperatorError: an option does not make sense.
    """
    now = datetime.now(UTC)
    return Filters(
        reasons=tuple(reason or ()),
        statuses=tuple(_status(text) for text in status or ()),
        series=tuple(series or ()),
        pacs=tuple(pacs or ()),
        since=parse_time("--since", since, now),
        until=parse_time("--until", until, now),
        ids=tuple(_given("--id", ids or ())),
        where=tuple(_pair(text) for text in where or ()),
    )


FilterOptions = Annotated[Filters, OptionsOf(make_filters)]
"""As a command's parameter this is all the options of `make_filters`."""


def parse_time(option: str, text: str | None, now: datetime) -> datetime | None:
    """Read a time: so long ago (30m, 2h, 3d), or an ISO date or time, UTC unless it says otherwise.

    Raises:
        OperatorError: it is neither.
    """
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(
            f"{option} {text!r} is no time",
            "give 30m, 2h or 3d ago, or an ISO date such as 2026-11-24 or 2026-11-24T03:00+01:00",
            ExitStatus.UNUSABLE,
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _is_reason(reason: str, wanted: str) -> bool:
    return reason == wanted or reason.startswith(f"{wanted}:")


def _status(text: str) -> str:
    if text == NO_STATUS or re.fullmatch(r"[1-5][0-9]{2}", text, re.ASCII):
        return text
    raise OperatorError(
        f"--status {text!r} is no HTTP status", "give a number such as 400, or `none`", ExitStatus.UNUSABLE
    )


def _given(option: str, texts: Iterable[str]) -> Iterable[str]:
    """An empty beginning would fit everything: a script's unset variable must not mean all."""
    for text in texts:
        if not text:
            raise OperatorError(f"{option} is empty", "give an id", ExitStatus.UNUSABLE)
        yield text


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise OperatorError(
            f"--where {text!r} is no KEY=VALUE", "give, say, --where Modality=MR", ExitStatus.UNUSABLE
        )
    return key, value


def _fits(found: object, wanted: str) -> bool:
    text = "" if found is None else str(found)
    return fnmatchcase(text, wanted.replace("[", "[[]").replace("?", "[?]"))
