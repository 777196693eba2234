"""Settings for people: name, default, meaning, and the value in effect with its source; secrets masked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from lapidicom.common.amqp_url import redacted
from lapidicom.common.settings.load import SettingsError, given, is_secret, variable
from lapidicom.common.settings.sections import Section

MASK = "***"


class Source(StrEnum):
    """Where a value comes from."""

    ENVIRONMENT = "environment"
    FILE = "file"
    """NAME_FILE names it."""
    DEFAULT = "default"
    MISSING = "missing"
    """Required and not set."""
    UNREADABLE = "unreadable"
    """NAME_FILE cannot be read, or NAME is set beside it."""


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as its model describes it.

    Attributes:
        name: of the environment variable.
        default: as it would be written in the environment; empty if there is none.
        required: it has no default and must be set.
        secret: its value must never be shown.
        in_words: the default is told in words: it depends on where the service runs.
    """

    name: str
    default: str
    meaning: str
    required: bool
    secret: bool
    in_words: bool


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting in an environment.

    Attributes:
        value: as given, or the default; masked if it is a secret: of a URL the address is left.
        source: where it comes from.
        file: that NAME_FILE names; empty if it does not.
    """

    described: Described
    value: str
    source: Source
    file: str = ""


def describe(settings: type[Section]) -> Sequence[Described]:
    """All settings of a model: required ones first, then by name."""
    found = [
        Described(
            name=variable(field),
            default="" if field.is_required() else _default(field),
            meaning=field.description or "",
            required=field.is_required(),
            secret=is_secret(field),
            in_words=_in_words(field) is not None,
        )
        for field in settings.model_fields.values()
    ]
    return sorted(found, key=lambda one: (not one.required, one.name))


def effective(settings: type[Section], environ: Mapping[str, str]) -> Sequence[Effective]:
    """All settings of a model as they are in an environment; whether they are allowed `load` tells."""
    return [_effective(one, environ) for one in describe(settings)]


def _effective(described: Described, environ: Mapping[str, str]) -> Effective:
    file = environ.get(f"{described.name}_FILE") or ""
    try:
        found = given(described.name, environ)
    except SettingsError:
        return Effective(described, "", Source.UNREADABLE, file)
    if found is None:
        source = Source.MISSING if described.required else Source.DEFAULT
        return Effective(described, described.default, source)
    shown = _masked(found) if described.secret else found
    return Effective(described, shown, Source.FILE if file else Source.ENVIRONMENT, file)


def _masked(value: str) -> str:
    return redacted(value) if "://" in value else MASK


def _in_words(field: FieldInfo) -> str | None:
    extra = field.json_schema_extra
    return str(extra["default"]) if isinstance(extra, dict) and "default" in extra else None


def _default(field: FieldInfo) -> str:
    match _in_words(field) or field.default:
        case None:
            return ""
        case bool() as value:
            return "yes" if value else "no"
        case tuple() as value:
            return ",".join(map(str, value))
        case ByteSize() as value:
            return value.human_readable().replace(".0", "")
        case value:
            return str(value)
