"""The first page of the runbook: 400 dead letters of four causes, and every command that mends them.

The commands are the runbook's own, run one after the other. Each one that acts was offered by the output of
an earlier one: none needs a page of the documentation.
"""

import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lapidicom.common.topology import DEAD_LETTER_QUEUE
from tests.support.command import in_process
from tests.support.cube.process import CubeProcess
from tests.support.dead_letters import bury, dead_letter
from tests.support.polling import eventually
from tests.support.queues import look
from tests.support.registrar.process import RegistrarProcess
from tests.support.stored import instance_stored, store

RUNBOOK = Path(__file__).parents[3] / "docs/runbook.md"
MISSING, FAILED, LONG, DATED = range(1, 161), range(161, 301), range(301, 381), range(381, 401)
TOO_LONG = '{"Modality":["Ensure this field has no more than 15 characters."]}'
IN_CUBE = len(MISSING) + len(FAILED) + len(LONG)


class Terminal(io.StringIO):
    """Standard input at which somebody says yes."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def settings(amqp_url: str, cube: CubeProcess, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A registrar at work, and 400 dead letters."""
    (cube.root / "SERVICES/PACS").mkdir(parents=True)
    for number in (*FAILED, *LONG, *DATED):
        store(cube.root, instance_stored(number))
    letters = [
        *(dead_letter(number, "file-missing") for number in MISSING),
        *(dead_letter(number, "http_500", 500, "<title>Server Error (500)</title>") for number in FAILED),
        *(dead_letter(number, "refused: Modality", 400, TOO_LONG, Modality="X" * 16) for number in LONG),
        *(dead_letter(number, StudyDate="20249999") for number in DATED),
    ]
    bury(amqp_url, letters)
    with RegistrarProcess(amqp_url, cube, tmp_path / "log", CHRIS_HTTP_RETRIES="0"):
        yield {
            "AMQP_URL": amqp_url,
            "CHRIS_URL": cube.url,
            "CHRIS_USERNAME": cube.username,
            "CHRIS_PASSWORD": cube.password,
            "CHRIS_RETRY_DELAYS": "1",
            "CHRIS_PARK_DELAY": "1",
        }


def dialogue() -> list[str]:
    """The command lines of the runbook's first page."""
    page = RUNBOOK.read_text(encoding="utf-8").partition("\n## Reasons")[0]
    return re.findall(r"^ {4}\$ (lapidicom .+)$", page, re.MULTILINE)


def as_offered(command: str) -> str:
    """A command as an output offers it, without what only the operator can know."""
    command = re.sub(r" --because '[^']*'", "", command)
    return re.sub(r"--set \S+", "--set Field=value", re.sub(r"--export \S+", "--export FILE", command))


def test_each_cause_is_found_understood_and_mended_by_commands_that_the_outputs_offer(
    settings: dict[str, str], cube: CubeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    first, overview, *acts, last = dialogue()
    assert (first, overview) == ("lapidicom status", "lapidicom dlq list --group-by reason")
    assert last == first
    assert len(acts) <= 3 * 4
    seen = in_process("status", **settings).out
    assert overview in seen
    seen += in_process(*shlex.split(overview)[1:], **settings).out
    for number in MISSING:  # what the operator does beside the commands: the files are brought back
        store(cube.root, instance_stored(number))
    for command in acts:
        assert as_offered(command) in seen, f"nothing has offered {command}"
        ended = in_process(*shlex.split(command)[1:], **settings)
        assert ended.status == 0, (command, ended.out + ended.err)
        seen += ended.out
    assert look(settings["AMQP_URL"], DEAD_LETTER_QUEUE).ready == 0
    eventually(lambda: len(cube.control.paths()) == IN_CUBE, 60, what="registered")
    assert set(cube.control.counts().values()) == {1}
    exported = (tmp_path / "wrong-dates.jsonl").read_text().splitlines()
    assert json.loads(exported[-1]) == {"messages": len(DATED)}
    assert in_process("status", **settings).status == 0
