"""Records what a terminal shows of a command as SVG: `python scripts/picture.py [--width N] FILE COMMAND...`.

The command runs for real, in this process, with the settings of the environment.
"""

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from rich.console import Console

from lapidicom.cli.__main__ import run
from lapidicom.cli.world import World

_WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Pictures load nothing from anywhere."""


def main() -> int:
    """Run the command and write the picture; its exit status is ours."""
    parser = argparse.ArgumentParser(description="Record a command of lapidicom as SVG.")
    parser.add_argument("--width", type=int, default=120, help="columns of the terminal")
    parser.add_argument("file", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="without `lapidicom`")
    arguments = parser.parse_args()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(
            record=True, width=arguments.width, file=nowhere, force_terminal=True, highlight=False
        )
        console.print(f"$ lapidicom {shlex.join(arguments.command)}", style="bold green", markup=False)
        status = run(arguments.command, World(os.environ, console=console))
    svg = console.export_svg(title="lapidicom", unique_id=arguments.file.stem)
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(_WEB_FONTS.sub("", svg), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
