"""Which dead letters are meant: the options that list, replay, export and drop have in common. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from lapidicom.cli.letter import DeadLetter, is_named
from lapidicom.cli.times import parse_time

NO_STATUS = "none"
"""--status of what never got an answer."""


def _of_form(pattern: str, what: str) -> Callable[[str], str]:
    """The parser of an option whose text must be of some form."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII | re.DOTALL):
            raise ValueError(f"{text!r} {what}")
        return text

    return parse


_status = _of_form(r"[1-5][0-9]{2}|none", "is no HTTP status: give a number such as 400, or `none`")
_pair = _of_form(r"[^=]+=.*", "is no KEY=VALUE: give, say, Modality=MR")
_given = _of_form(r".+", "is empty: a script's unset variable must not mean all")


Since = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=parse_time, help="Not older: 30m, 2h, 3d, or an ISO date, UTC."),
]

Several = list[str] | None
"""Values of an option that may be given again."""


def _option(metavar: str, help_text: str, parser: Callable[[str], Any] | None = None) -> Any:
    return typer.Option(metavar=metavar, help=help_text, parser=parser)


@dataclass(frozen=True)
class Filters:
    """Everything that is given must fit; of several values of one filter any one."""

    reason: Annotated[
        Several, _option("REASON", "Only this reason; `refused` means `refused: path` too. Repeatable.")
    ] = None
    status: Annotated[
        Several, _option("STATUS", "Only CUBE's HTTP status, or `none`. Repeatable.", _status)
    ] = None
    series: Annotated[Several, _option("UID", "Only this SeriesInstanceUID. Repeatable.")] = None
    pacs: Annotated[Several, _option("NAME", "Only this PACS (its AE title). Repeatable.")] = None
    since: Since = None
    until: Annotated[datetime | None, _option("TIME", "Not younger; as --since.", parse_time)] = None
    id: Annotated[Several, _option("ID", "Only this id; a beginning will do. Repeatable.", _given)] = None
    where: Annotated[
        Several,
        _option(
            "KEY=VALUE", "Only where this field or header has this value; `*` is any text. Repeatable.", _pair
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
