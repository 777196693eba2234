"""Which dead letters are meant: the options that list, replay, export and drop have in common. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from lapidicom.cli.letter import DeadLetter, is_named
from lapidicom.cli.times import parse_time

NO_STATUS = "none"
"""--status of what never got an answer."""


def _status(text: str) -> str:
    if text == NO_STATUS or re.fullmatch(r"[1-5][0-9]{2}", text, re.ASCII):
        return text
    raise ValueError(f"{text!r} is no HTTP status: give a number such as 400, or `none`")


def _given(text: str) -> str:
    """An empty beginning would fit everything: a script's unset variable must not mean all."""
    if not text:
        raise ValueError("it is empty")
    return text


def _pair(text: str) -> str:
    if not re.match(r"[^=]+=", text):
        raise ValueError(f"{text!r} is no KEY=VALUE: give, say, Modality=MR")
    return text


Since = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=parse_time, help="Not older: 30m, 2h, 3d, or an ISO date, UTC."),
]


Several = list[str] | None
"""Values of an option that may be given again."""


@dataclass(frozen=True)
class Filters:
    """Everything that is given must fit; of several values of one filter any one."""

    reason: Annotated[
        Several,
        typer.Option(
            metavar="REASON", help="Only this reason; `refused` means `refused: path` too. Repeatable."
        ),
    ] = None
    status: Annotated[
        Several,
        typer.Option(
            metavar="STATUS", parser=_status, help="Only CUBE's HTTP status, or `none`. Repeatable."
        ),
    ] = None
    series: Annotated[
        Several, typer.Option(metavar="UID", help="Only this SeriesInstanceUID. Repeatable.")
    ] = None
    pacs: Annotated[
        Several, typer.Option(metavar="NAME", help="Only this PACS (its AE title). Repeatable.")
    ] = None
    since: Since = None
    until: Annotated[
        datetime | None, typer.Option(metavar="TIME", parser=parse_time, help="Not younger; as --since.")
    ] = None
    id: Annotated[
        Several,
        typer.Option(metavar="ID", parser=_given, help="Only this id; a beginning will do. Repeatable."),
    ] = None
    where: Annotated[
        Several,
        typer.Option(
            metavar="KEY=VALUE",
            parser=_pair,
            help="Only where this field or header has this value; `*` is any text. Repeatable.",
        ),
    ] = None

    @property
    def are_given(self) -> bool:
        """Whether anything is filtered at all."""
        return any(getattr(self, one.name) for one in fields(self))

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        status = NO_STATUS if letter.http_status is None else str(letter.http_status)
        when = letter.died_at
        return (
            (not self.reason or any(f"{letter.reason}:".startswith(f"{one}:") for one in self.reason))
            and (not self.status or status in self.status)
            and (not self.series or letter.uid("SeriesInstanceUID") in self.series)
            and (not self.pacs or letter.pacs_name in self.pacs)
            and (not self.id or any(is_named(letter.id, one) for one in self.id))
            and (not self.since or (when is not None and when >= self.since))
            and (not self.until or (when is not None and when <= self.until))
            and (not self.where or self._has_fields(letter))
        )

    def __str__(self) -> str:
        """As options, without the values of --where, which may be patient data."""
        options = []
        for one in fields(self):
            value = getattr(self, one.name)
            for item in value if isinstance(value, list) else [value] if value else ():
                shown = f"{item.partition('=')[0]}=***" if one.name == "where" else str(item)
                options.append(f"--{one.name} {shown}")
        return " ".join(options)

    def _has_fields(self, letter: DeadLetter) -> bool:
        known: Mapping[str, object] = {**letter.headers, **letter.fields}
        pairs = [pair.partition("=")[::2] for pair in self.where or ()]
        return all(key in known and _fits(known[key], value) for key, value in pairs)


def _fits(found: object, wanted: str) -> bool:
    text = "" if found is None else str(found)
    return fnmatchcase(text, wanted.replace("[", "[[]").replace("?", "[?]"))
