"""Reads settings from the environment: each NAME also as NAME_FILE, each fault as one line.

NAME_FILE names a file whose content, less a final line break, is the value: the form in which
container platforms hand out secrets.
"""

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import TypeVar, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from lapidicom.common.settings.sections import Section

S = TypeVar("S", bound=Section)


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable, the value and what is allowed."""


def load(settings: type[S], environ: Mapping[str, str]) -> S:
    """Build the settings of a process from its environment.

    Raises:
        SettingsError: with one line per fault.
    """
    values = {}
    for field in settings.model_fields.values():
        name = variable(field)
        value = given(name, environ)
        if value is not None:
            values[name] = value
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(settings, values, error))) from None


def given(name: str, environ: Mapping[str, str]) -> str | None:
    """The value of NAME, or the content of NAME_FILE; None if neither is set.

    An empty variable counts as unset: compose files and charts pass empty defaults on.

    Raises:
        SettingsError: both are set, or the file cannot be read.
    """
    value, file = environ.get(name) or None, environ.get(f"{name}_FILE") or None
    if file is None:
        return value
    if value is not None:
        raise SettingsError(f"{name} and {name}_FILE are both set; set one of them")
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(f"{name}_FILE={file}: cannot be read ({reason})") from None


def variable(field: FieldInfo) -> str:
    """The environment variable of a field: its alias."""
    if field.alias is None:
        raise TypeError("a settings field without an alias cannot be set from the environment")
    return field.alias


def is_secret(field: FieldInfo) -> bool:
    """Whether the value must never be shown."""
    annotation = field.annotation
    return annotation is SecretStr or (
        isinstance(annotation, UnionType) and SecretStr in get_args(annotation)
    )


def _lines(settings: type[Section], values: Mapping[str, str], error: ValidationError) -> list[str]:
    fields = {variable(field): field for field in settings.model_fields.values()}
    lines = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = fields.get(name)
        about = f" ({field.description})" if field else ""
        if fault["type"] == "missing":
            lines.append(f"{name} is not set{about}")
        elif not name:
            lines.append(fault["msg"].removeprefix("Value error, "))
        else:
            shown = "***" if field is None or is_secret(field) else repr(values.get(name))
            lines.append(f"{name}={shown}: {fault['msg'].removeprefix('Value error, ')}{about}")
    return lines
