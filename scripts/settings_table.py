"""Writes docs/settings.md from the settings' models: `python scripts/settings_table.py [--check] FILE`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from lapidicom.cli.verbs.doctor import installed
from lapidicom.common.settings import Section
from lapidicom.common.settings.load import is_secret, variable

HEAD = """# Settings

Environment variables. This page is generated from the settings' models by `make settings-docs`.

- Each variable may also be given as `NAME_FILE`: the name of a file that holds the value (for secrets).
- An empty variable counts as unset. A wrong value stops the start with one line that says what is allowed.
- Traces are set up by OpenTelemetry's own `OTEL_*` variables: see [Traces](tracing.md).
"""

SERVICES = {
    "receiver": "Receiver (`lapidicom-receiver`)",
    "registrar": "Registrar (`lapidicom-registrar`)",
    "cli": "Operators' command (`lapidicom`)",
}
"""Titles, in the order of the page."""


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


def describe(settings: type[Section]) -> Sequence[Described]:
    """All settings of a model: required ones first, then by name."""
    found = [
        Described(
            name=variable(field),
            default="" if field.is_required() else _written(field),
            meaning=field.description or "",
            required=field.is_required(),
            secret=is_secret(field),
            in_words=_in_words(field) is not None,
        )
        for field in settings.model_fields.values()
    ]
    return sorted(found, key=lambda one: (not one.required, one.name))


def _in_words(field: FieldInfo) -> str | None:
    extra = field.json_schema_extra
    return str(extra["default"]) if isinstance(extra, dict) and "default" in extra else None


def _written(field: FieldInfo) -> str:
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


def page() -> str:
    """The whole page."""
    models = installed()
    parts = [HEAD]
    for name, title in SERVICES.items():
        parts.append(f"\n## {title}\n\n| variable | default | meaning |\n|---|---|---|\n")
        parts.extend(
            f"| `{one.name}` | {_default(one)} | {_meaning(one)} |\n" for one in describe(models[name])
        )
    return "".join(parts)


def _default(one: Described) -> str:
    if one.required:
        return "**required**"
    if not one.default or one.in_words:
        return one.default
    return f"`{one.default}`"


def _meaning(one: Described) -> str:
    text = one.meaning.replace("|", "\\|").replace("<", "&lt;")
    return f"{text} Secret: never logged." if one.secret else text


def main() -> int:
    """Write the page, or with --check say whether it is fresh."""
    parser = argparse.ArgumentParser(description="Generate the page of settings.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is stale")
    arguments = parser.parse_args()
    if arguments.check:
        fresh = arguments.file.exists() and arguments.file.read_text(encoding="utf-8") == page()
        if not fresh:
            sys.stderr.write(f"{arguments.file} is not what the models say: run `make settings-docs`\n")
        return 0 if fresh else 1
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
