"""Writes the chart's README from the comments in its values: `python scripts/chart_readme.py [--check]`.

In values.yaml "#:" begins the text of the value below it and "##" a section. A map whose entries have
no text of their own is one value.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "lapidicom"

_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]\w*):(?: |$)")


@dataclass(frozen=True)
class Text:
    """A documented value, or (without a path) the title of a section."""

    path: tuple[str, ...]
    text: str


def texts(values: str) -> Iterator[Text]:
    """The documented values and sections, in their order."""
    above: list[str] = []
    path: list[str] = []
    for line in values.splitlines():
        bare = line.strip()
        if bare.startswith("## "):
            yield Text((), bare.removeprefix("## "))
        elif bare.startswith("#:"):
            above.append(bare.removeprefix("#:").strip())
        elif match := _KEY.match(line):
            path[len(match["indent"]) // 2 :] = [match["key"]]
            if above:
                yield Text(tuple(path), " ".join(above))
            above = []


def undocumented(values: dict[str, Any], told: set[tuple[str, ...]]) -> list[str]:
    """Values that neither have a text nor belong to one that has and whose entries have none."""

    def look(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        deeper = any(one[: len(path)] == path and len(one) > len(path) for one in told)
        if path in told and not deeper:
            return
        if isinstance(node, dict) and deeper:
            for key, value in node.items():
                yield from look(value, (*path, key))
        elif path not in told:
            yield path

    return [".".join(path) for path in look(values, ())]


def page() -> str:
    """The whole page."""
    source = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(source)
    found = list(texts(source))
    told = {one.path for one in found if one.path}
    if missing := undocumented(values, told):
        raise SystemExit(f"values.yaml tells nothing about {', '.join(missing)}")
    parts = [(CHART / "README.head.md").read_text(encoding="utf-8")]
    for one in found:
        if not one.path:
            parts.append(f"\n### {one.text}\n\n| value | default | meaning |\n|---|---|---|\n")
            continue
        group = any(other[: len(one.path)] == one.path and other != one.path for other in told)
        parts.append(
            f"| `{'.'.join(one.path)}` | {'' if group else _default(values, one.path)} | {one.text} |\n"
        )
    return "".join(parts)


def _default(values: Any, path: tuple[str, ...]) -> str:
    for key in path:
        values = values[key]
    return "" if values is None else f"`{json.dumps(values)}`"


def main() -> int:
    """Write the page, or with --check say whether it is fresh."""
    parser = argparse.ArgumentParser(description="Generate the chart's README.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is stale")
    file = CHART / "README.md"
    if parser.parse_args().check:
        fresh = file.exists() and file.read_text(encoding="utf-8") == page()
        if not fresh:
            sys.stderr.write(f"{file} is not what values.yaml says: run `make chart-docs`\n")
        return 0 if fresh else 1
    file.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
