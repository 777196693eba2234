"""The filters of CUBE's searches (sections 3 and 4): unknown parameters filter nothing."""

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tests.support.cube.contract import SEXES

Filter = Callable[[Any, str], bool]
"""Whether a row passes a parameter's value."""

R = TypeVar("R")


class BadParameter(Exception):
    """A parameter has a value that the filter refuses; args: name, message."""


def _exact(name: str) -> Filter:
    return lambda row, value: row.tags[name] == value


def _contains(name: str) -> Filter:
    return lambda row, value: value.lower() in row.tags[name].lower()


def _age(compare: Callable[[int, int], bool]) -> Filter:
    return lambda row, value: (
        row.tags["PatientAge"] is not None and compare(row.tags["PatientAge"], int(value))
    )


_ROW: Mapping[str, Filter] = {
    "id": lambda row, value: str(row.id) == value,
    "min_creation_date": lambda row, value: row.creation_date >= value,
    "max_creation_date": lambda row, value: row.creation_date <= value,
}
_FNAME: Mapping[str, Filter] = {
    "fname": lambda row, value: row.fname.startswith(value),
    "fname_exact": lambda row, value: row.fname == value,
    "fname_icontains": lambda row, value: value.lower() in row.fname.lower(),
    "fname_nslashes": lambda row, value: str(row.fname.count("/")) == value,
}
_TAGS: Mapping[str, Filter] = {
    "PatientAge": _age(lambda age, value: age == value),
    "min_PatientAge": _age(lambda age, value: age >= value),
    "max_PatientAge": _age(lambda age, value: age <= value),
    "pacs_identifier": _exact("pacs_name"),
    **{
        name: _exact(name)
        for name in (
            "PatientID",
            "PatientSex",
            "PatientBirthDate",
            "StudyDate",
            "AccessionNumber",
            "StudyInstanceUID",
            "SeriesInstanceUID",
        )
    },
    **{
        name: _contains(name)
        for name in ("PatientName", "ProtocolName", "StudyDescription", "SeriesDescription")
    },
}

FILES = {**_ROW, **_FNAME, **_TAGS}
"""Of `pacsfiles/search/` (v5)."""

SERIES: Mapping[str, Filter] = {
    **_ROW,
    **_TAGS,
    "deletion_status": lambda row, value: row.deletion_status == value,
}
"""Of `pacs/series/search/` (v6)."""

FILES_OF_SERIES = {**_ROW, **_FNAME}
"""Of `pacs/files/search/` (v6)."""

PACS: Mapping[str, Filter] = {
    "id": lambda row, value: str(row.id) == value,
    "identifier": lambda row, value: row.identifier == value,
}
"""Of `pacs/search/` (v6)."""


def search(filters: Mapping[str, Filter], rows: Iterable[R], parameters: Mapping[str, str]) -> list[R]:
    """The rows that pass all known filters; an empty value filters nothing.

    Raises:
        BadParameter: a date, age or sex that cannot be one.
    """
    asked = [
        (filters[name], _checked(name, value))
        for name, value in parameters.items()
        if name in filters and value
    ]
    return [row for row in rows if all(passes(row, value) for passes, value in asked)]


def _checked(name: str, value: str) -> str:
    if name in ("StudyDate", "PatientBirthDate"):
        try:
            return datetime.date.fromisoformat(value).isoformat()
        except ValueError:
            raise BadParameter(name, "Enter a valid date.") from None
    if name == "PatientSex" and value not in SEXES:
        raise BadParameter(name, f"Select a valid choice. {value} is not one of the available choices.")
    if name.endswith("PatientAge") and not re.fullmatch(r"-?\d+", value):
        raise BadParameter(name, "Enter a number.")
    return value


def page(parameters: Mapping[str, str]) -> tuple[int, int]:
    """limit and offset; a limit of 0 or nonsense means the default, 10."""
    return _positive(parameters.get("limit"), 0) or 10, _positive(parameters.get("offset"), 0)


def _positive(value: Any, default: int) -> int:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else default
