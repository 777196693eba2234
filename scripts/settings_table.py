"""Writes docs/settings.md from the settings' models: `python scripts/settings_table.py [--check] FILE`."""

import argparse
import sys
from pathlib import Path

from lapidicom.common.settings.described import Described, describe
from lapidicom.common.settings.installed import installed

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
