"""Every command line that the documentation shows is one that the command takes."""

import re
import shlex
from pathlib import Path

import pytest

from lapidicom.cli.causes import CAUSES
from tests.support.command import in_process

DOCS = Path(__file__).parents[3] / "docs"

PAGES = ("cli.md", "runbook.md")


def _commands(text: str) -> list[str]:
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    shown = [line.removeprefix("$ ").partition(" | ")[0] for line in blocks]
    inline = re.findall(r"`(lapidicom [^`]+)`", text)
    return sorted({line for line in [*shown, *inline] if line.startswith("lapidicom ")})


COMMANDS = sorted(
    {line for page in PAGES for line in _commands((DOCS / page).read_text(encoding="utf-8"))}
    | {line for cause in CAUSES for line in _commands(cause.remedy)}
)


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_line_of_the_documentation_is_understood(line: str) -> None:
    ended = in_process(*shlex.split(line, comments=True)[1:], "--help")
    assert (ended.status, ended.err) == (0, "")
