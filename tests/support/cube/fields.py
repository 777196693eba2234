"""Checks the body of a registration as CUBE does: every failing field is reported, together."""

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.cube import contract
from tests.support.cube.contract import Field, Kind

_LOOSE_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})$")
_ZERO_FRACTION = re.compile(r"\.0*\s*$")

Errors = dict[str, list[str]]


class Invalid(Exception):
    """A field that is not as it must be; args are the messages."""


def clean(field: Field, body: Mapping[str, Any]) -> Any:
    """The value of a field as CUBE keeps it.

    Raises:
        Invalid: with CUBE's messages.
    """
    if field.name not in body:
        if field.required:
            raise Invalid(contract.REQUIRED)
        return None if field.nullable else ""
    value = body[field.name]
    if value is None:
        if field.nullable:
            return None
        raise Invalid(contract.NULL)
    match field.kind:
        case Kind.TEXT:
            return _text(field, value)
        case Kind.DATE:
            return _date(value)
        case Kind.INTEGER:
            return _integer(value)
        case Kind.SEX:
            if value == "" or str(value) in contract.SEXES:
                return str(value)
            raise Invalid(contract.WRONG_CHOICE.format(value))


def clean_all(fields: Iterable[Field], body: Mapping[str, Any]) -> tuple[dict[str, Any], Errors]:
    """All fields, and the messages of those that fail. Unknown fields are ignored."""
    values: dict[str, Any] = {}
    errors: Errors = {}
    for field in fields:
        try:
            values[field.name] = clean(field, body)
        except Invalid as invalid:
            errors[field.name] = list(invalid.args)
    return values, errors


def _text(field: Field, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Invalid(contract.NOT_A_STRING)
    text = str(value).strip()
    if not text:
        if field.required:
            raise Invalid(contract.BLANK)
        return ""
    messages = []
    if field.longest is not None and len(text) > field.longest:
        messages.append(contract.TOO_LONG.format(field.longest))
    if "\0" in text:
        messages.append(contract.NULL_CHARACTERS)
    surrogate = next((ord(character) for character in text if "\ud800" <= character <= "\udfff"), None)
    if surrogate is not None:
        messages.append(contract.SURROGATES.format(surrogate))
    if messages:
        raise Invalid(*messages)
    return text


def _date(value: Any) -> str:
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value).isoformat()
        except ValueError:
            pass
        loose = _LOOSE_DATE.match(value)
        if loose:
            try:
                return datetime.date(*map(int, loose.groups())).isoformat()
            except ValueError:
                pass
    raise Invalid(contract.WRONG_DATE)


def _integer(value: Any) -> int:
    try:
        number = int(_ZERO_FRACTION.sub("", str(value)))
    except ValueError:
        raise Invalid(contract.WRONG_INTEGER) from None
    if number > 2**31 - 1:
        raise Invalid(contract.TOO_LARGE)
    if number < -(2**31):
        raise Invalid(contract.TOO_SMALL)
    return number
