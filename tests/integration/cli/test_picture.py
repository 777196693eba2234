"""Pictures of the documentation are records of real runs."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from lapidicom.cli.export import written
from tests.support.command import surroundings

CHECKOUT = Path(__file__).parents[3]


def _picture(file: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/picture.py", "--width", "100", file, *command],
        cwd=CHECKOUT,
        env=surroundings(AMQP_URL="amqp://nobody.example/"),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_a_picture_shows_the_command_and_what_it_printed_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pictures" / "import.svg"
    export = tmp_path / "letters.jsonl"
    with written(export):
        """No message."""
    assert _picture(file, "dlq", "import", str(export), "--dry-run").returncode == 0
    text = "".join(ElementTree.parse(file).getroot().itertext()).replace("\xa0", " ")
    assert "$ lapidicom dlq import" in text
    assert "0 messages would be dead letters again" in text
    assert "@font-face" not in file.read_text()


def test_a_command_that_fails_ends_the_script_with_its_status(tmp_path: Path) -> None:
    done = _picture(tmp_path / "nothing.svg", "dlq", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
