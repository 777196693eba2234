"""Writes docs/settings.md from the settings' models: `python scripts/settings_table.py [--check] FILE`."""

import argparse
import sys
from pathlib import Path

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from lapidicom.cli.settings import CommandSettings
from lapidicom.common.settings.load import is_secret, variable
from lapidicom.common.settings.sections import Section
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.registrar.settings import RegistrarSettings

HEAD = """# Settings

Environment variables. This page is generated from the settings' models by `make settings-docs`.

- Each variable may also be given as `NAME_FILE`: the name of a file that holds the value (for secrets).
- An empty variable counts as unset. A wrong value stops the start with one line that says what is allowed.
- Traces are set up by OpenTelemetry's own `OTEL_*` variables: see [Traces](tracing.md).
"""

SERVICES: tuple[tuple[str, str, type[Section]], ...] = (
    ("Receiver", "lapidicom-receiver", ReceiverSettings),
    ("Registrar", "lapidicom-registrar", RegistrarSettings),
    ("Operators' command", "lapidicom", CommandSettings),
)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, command, settings in SERVICES:
        parts.append(f"\n## {title} (`{command}`)\n\n| variable | default | meaning |\n|---|---|---|\n")
        fields = sorted(
            settings.model_fields.values(), key=lambda field: (not field.is_required(), variable(field))
        )
        parts.extend(f"| `{variable(field)}` | {_default(field)} | {_meaning(field)} |\n" for field in fields)
    return "".join(parts)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    extra = field.json_schema_extra
    value = extra["default"] if isinstance(extra, dict) and "default" in extra else field.default
    match value:
        case None:
            return ""
        case bool():
            return "`yes`" if value else "`no`"
        case tuple():
            return f"`{','.join(map(str, value))}`"
        case ByteSize():
            return f"`{value.human_readable().replace('.0', '')}`"
        case str() if isinstance(extra, dict):
            return value
        case _:
            return f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    text = (field.description or "").replace("|", "\\|").replace("<", "&lt;")
    return f"{text} Secret: never logged." if is_secret(field) else text


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
